"""How media columns lie in a shard: their Arrow types, and a row group's levels and sizes from its references."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sealift.errors import SampleError
from sealift.formats.parquet.leaves import check_distinct
from sealift.formats.parquet.levels import Levels
from sealift.formats.parquet.metadata import CUT_BY_CONTENT
from sealift.model.column import MediaColumn

Int64 = npt.NDArray[np.int64]

REFERENCE = pa.struct([("path", pa.string()), ("size", pa.int64()), ("version", pa.string())])
"""What a media cell is before its shard is packed. `size` is in bytes."""
BOX = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
"""The storage of Audio, Image, Video, Nifti and Pdf in `datasets`; other order or width, and they read as structs."""


def storage_type(column: MediaColumn) -> pa.DataType:
    """The Arrow type of the column in the file."""
    cell = BOX if column.boxed else pa.binary()
    return pa.list_(cell) if column.many else cell


def reference_type(column: MediaColumn) -> pa.DataType:
    """The Arrow type of the column in the rows that are given to the writer."""
    return pa.list_(REFERENCE) if column.many else REFERENCE


def storage_schema(
    schema: pa.Schema, media: Sequence[MediaColumn], metadata: Mapping[str | bytes, str | bytes] | None = None
) -> pa.Schema:
    """The schema of the file: references become storage, dictionaries their values.

    Its metadata is that given, and, if there is media, that its pages are cut by content.

    Raises:
        RequestError: two columns would have leaves of the same path, such as `a.bytes` beside the media column `a`.
    """
    boxes = {column.name: storage_type(column) for column in media}
    fields = [pa.field(field.name, boxes.get(field.name, _plain(field.type)), field.nullable) for field in schema]
    said: dict[str | bytes, str | bytes] = {}
    if media:
        said.update(CUT_BY_CONTENT)
    said.update(metadata or {})
    stored = pa.schema(fields, metadata=said or None)
    check_distinct(stored)
    return stored


def _plain(kind: pa.DataType) -> pa.DataType:
    # The order of an Arrow dictionary depends on how the rows were batched, and so would the bytes of the file.
    return kind.value_type if pa.types.is_dictionary(kind) else kind


@dataclass(frozen=True)
class References:
    """A media column of one row group: who is there, how big, and under which path.

    `slots` are the level entries: one a row, or one an element of a list (and one for a list that is null or empty).
    `slot_start` and `cell_start` say which slots and present cells are a row's: from [row] up to [row + 1].
    """

    column: MediaColumn
    rows: int
    slot_start: Int64
    cell_start: Int64
    definition: Levels
    repetition: Levels | None
    sizes: Int64
    skeleton: Any

    @property
    def row_weight(self) -> Int64:
        """What each row takes of a page, in bytes: its cells, 4 bytes of length before each, and one for each slot."""
        before = np.concatenate(([0], np.cumsum(self.sizes + 4)))
        return np.diff(before[self.cell_start] + self.slot_start)


def references(column: MediaColumn, array: pa.Array) -> References:
    """What the writer must know of a column of references, and the same column in storage form with all bytes null.

    Raises:
        SampleError: a reference has no size, or a negative one.
    """
    return _many(column, array) if column.many else _single(column, array)


def _single(column: MediaColumn, array: pa.Array) -> References:
    present = _mask(array.is_valid())
    starts = np.arange(len(array) + 1, dtype=np.int64)
    return References(
        column=column,
        rows=len(array),
        slot_start=starts,
        cell_start=np.concatenate(([0], np.cumsum(present))),
        definition=present * np.uint8(column.max_definition_level),
        repetition=None,
        sizes=_sizes(column, array, present),
        skeleton=_boxes(column, array, present),
    )


def _many(column: MediaColumn, array: pa.Array) -> References:
    elements = array.flatten()
    present = _mask(elements.is_valid())
    there = _mask(array.is_valid())
    lengths = pc.fill_null(pc.list_value_length(array), 0).to_numpy().astype(np.int64)
    slots = np.maximum(lengths, 1)
    slot_start = np.concatenate(([0], np.cumsum(slots)))
    element_start = np.concatenate(([0], np.cumsum(lengths)))
    definition = np.empty(slot_start[-1], np.uint8)
    filled = np.repeat(lengths > 0, slots)
    definition[~filled] = there[lengths == 0]
    definition[filled] = np.where(present, column.max_definition_level, 2)
    repetition = np.ones(slot_start[-1], np.uint8)
    repetition[slot_start[:-1]] = 0
    return References(
        column=column,
        rows=len(array),
        slot_start=slot_start,
        cell_start=np.concatenate(([0], np.cumsum(present)))[element_start],
        definition=definition,
        repetition=repetition,
        sizes=_sizes(column, elements, present),
        skeleton=pa.ListArray.from_arrays(
            pa.array(element_start, pa.int32()), _boxes(column, elements, present), mask=pa.array(~there)
        ),
    )


def _mask(array: pa.Array) -> npt.NDArray[np.bool_]:
    return np.asarray(array.to_numpy(zero_copy_only=False), np.bool_)


def _sizes(column: MediaColumn, array: pa.Array, present: npt.NDArray[np.bool_]) -> Int64:
    sizes = np.asarray(pc.fill_null(pc.struct_field(array, "size"), -1).to_numpy(), np.int64)[present]
    if len(sizes) and sizes.min() < 0:
        raise SampleError(
            f"a reference in column {column.name!r} has no size",
            hint="plan again: every reference must carry the size of its file",
            column=column.name,
        )
    return sizes


def _boxes(column: MediaColumn, array: pa.Array, present: npt.NDArray[np.bool_]) -> pa.Array:
    empty = pa.nulls(len(array), pa.binary())
    if not column.boxed:
        return empty
    paths = pc.struct_field(array, "path").cast(pa.string())
    return pa.StructArray.from_arrays([empty, paths], fields=list(BOX), mask=pa.array(~present))
