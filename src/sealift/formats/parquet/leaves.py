"""The leaf columns that Parquet makes of an Arrow type: their dotted paths, and how many levels they have."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from sealift.errors import RequestError


@dataclass(frozen=True)
class ArrowLeaf:
    """A leaf: its dotted path, the type of its values, and the bins of its two histograms of levels."""

    path: str
    type: Any
    levels: int


def leaves(path: str, kind: pa.DataType, levels: int = 3) -> Iterator[ArrowLeaf]:
    """The leaves below a field of that path and type, in the order of the file."""
    if isinstance(kind, pa.BaseExtensionType):
        kind = kind.storage_type
    if pa.types.is_struct(kind):
        for index in range(kind.num_fields):
            yield from leaves(f"{path}.{kind.field(index).name}", kind.field(index).type, levels + 1)
    elif pa.types.is_map(kind):
        yield from leaves(f"{path}.key_value.key", kind.key_type, levels + 3)
        yield from leaves(f"{path}.key_value.value", kind.item_type, levels + 3)
    elif is_list(kind):
        yield from leaves(f"{path}.list.element", kind.value_type, levels + 3)
    else:
        yield ArrowLeaf(path, kind.value_type if pa.types.is_dictionary(kind) else kind, levels)


def is_list(kind: pa.DataType) -> bool:
    """Whether values of the type are lists in Parquet: lists of any layout, and maps."""
    types = pa.types
    return any(test(kind) for test in (types.is_list, types.is_large_list, types.is_fixed_size_list, types.is_map))


def check_distinct(schema: pa.Schema) -> None:
    """See that no two leaves share a path: readers and pyarrow's options tell columns by it.

    Raises:
        RequestError: two do, as those of a column `a.b` and of a field `b` of column `a`.
    """
    owners: dict[str, str] = {}
    for field in schema:
        for leaf in leaves(field.name, field.type):
            if leaf.path in owners:
                raise RequestError(
                    f"columns {owners[leaf.path]!r} and {field.name!r} have one path in Parquet, {leaf.path!r}",
                    hint="give one of them another name, without a dot",
                    column=field.name,
                )
            owners[leaf.path] = field.name
