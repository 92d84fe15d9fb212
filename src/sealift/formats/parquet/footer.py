"""The footer of any Parquet file: leaves, row groups and column chunks, every place checked against the file's size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sealift.errors import IntegrityError
from sealift.formats import thrift
from sealift.formats.parquet.chains import Read, exactly
from sealift.formats.parquet.metadata import MAGIC, OPTIONAL, REPEATED, Chunk, Element, File, Group, KeyValue, Meta

MAX_FOOTER = 64 << 20
MAX_FOOTER_VALUES = 16_000_000
"""Some 60 for each column of each row group: 2,000 columns in 130 row groups."""
MAX_FOOTER_KEPT = 2_500_000
"""Of these, some 8 are looked at."""
MAX_SCHEMA_DEPTH = 64
MAX_PATH = 16 << 10
MAX_PATHS = 64 << 20
"""Characters that the paths of all leaves have together: a long name may stand before a million short ones."""
MAX_ROWS = 1 << 48
WANTED = {
    File.SCHEMA: dict.fromkeys((Element.TYPE, Element.REPETITION, Element.NAME, Element.CHILDREN)),
    File.ROWS: None,
    File.GROUPS: {
        Group.CHUNKS: {
            Chunk.META: dict.fromkeys((Meta.CODEC, Meta.VALUES, Meta.STORED, Meta.DATA, Meta.DICTIONARY)),
        },
        Group.ROWS: None,
    },
    File.METADATA: None,
}
TAIL = 64 << 10


@dataclass(frozen=True, slots=True)
class Leaf:
    """A leaf column: its dotted path, physical type and the greatest levels."""

    path: str
    type: int
    max_definition: int
    max_repetition: int


@dataclass(frozen=True, slots=True)
class LeafChunk:
    """Where a leaf's pages lie in one row group: bytes `start` up to `end`."""

    leaf: Leaf
    start: int
    end: int
    values: int
    codec: int
    has_dictionary: bool


@dataclass(frozen=True, slots=True)
class RowGroup:
    """A row group: its first row in the file, its rows, and its chunks in the order of the leaves."""

    first_row: int
    rows: int
    chunks: tuple[LeafChunk, ...]


@dataclass(frozen=True)
class Footer:
    """What a file says of itself. `size` is that of the file, `start` where the footer begins."""

    size: int
    start: int
    rows: int
    leaves: tuple[Leaf, ...]
    row_groups: tuple[RowGroup, ...]
    metadata: Mapping[bytes, bytes]


def read_footer(read: Read, size: int) -> Footer:
    """The footer of the file of `size` bytes, from one or two reads at its end and one of its first bytes.

    Raises:
        IntegrityError: it is no Parquet file, or its footer is damaged, larger than 64 MiB, points out of the file or
            to the same bytes twice, or counts more rows than there can be.
    """
    if size < 12 or exactly(read, 0, 4, size) != MAGIC:
        raise _damaged("it does not begin as a Parquet file")
    tail = exactly(read, max(0, size - TAIL), min(size, TAIL), size)
    length = int.from_bytes(tail[-8:-4], "little")
    if tail[-4:] != MAGIC or length > min(size - 12, MAX_FOOTER):
        raise _damaged("it does not end as a Parquet file")
    start = size - 8 - length
    data = tail[-8 - length : -8] if length + 8 <= len(tail) else exactly(read, start, length, size)
    try:
        struct, _ = thrift.decode(data, wanted=WANTED, max_values=MAX_FOOTER_VALUES, max_kept=MAX_FOOTER_KEPT)
    except thrift.Unended as error:
        raise _damaged("its footer ends too early") from error
    leaves = tuple(_within(_leaves(thrift.get_list(struct, File.SCHEMA, thrift.STRUCT))))
    groups = tuple(_groups(thrift.get_list(struct, File.GROUPS, thrift.STRUCT), leaves, start))
    _check_apart(groups)
    rows = thrift.get(struct, File.ROWS, thrift.I64)
    if rows != sum(group.rows for group in groups):
        raise _damaged(f"it counts {rows} rows, its row groups {sum(group.rows for group in groups)}")
    return Footer(size, start, rows, leaves, groups, _metadata(struct))


def _within(leaves: Iterator[Leaf]) -> Iterator[Leaf]:
    """The leaves, as long as their paths fit into memory."""
    left = MAX_PATHS
    for leaf in leaves:
        left -= len(leaf.path)
        if left < 0:
            raise _damaged("the names of its columns are too long")
        yield leaf


def _check_apart(groups: Iterable[RowGroup]) -> None:
    """See that no byte is of two columns: a file of a few MB could be read for days."""
    reached = 0
    for start, end in sorted((one.start, one.end) for group in groups for one in group.chunks if one.end > one.start):
        if start < reached:
            raise _damaged(f"two columns share the bytes at {start}")
        reached = end


def _leaves(elements: list[thrift.Struct]) -> Iterator[Leaf]:
    if not elements:
        raise _damaged("it has no schema")
    rest = iter(elements[1:])
    for _ in range(_children(elements[0])):
        yield from _branch(rest, "", 0, 0, MAX_SCHEMA_DEPTH)


def _branch(rest: Iterator[thrift.Struct], parent: str, definition: int, repetition: int, depth: int) -> Iterator[Leaf]:
    element = next(rest, None)
    if element is None or not depth:
        raise _damaged("its schema is no tree")
    kind = thrift.get(element, Element.REPETITION, thrift.I32)
    definition += kind in (OPTIONAL, REPEATED)
    repetition += kind == REPEATED
    path = parent + thrift.get(element, Element.NAME, thrift.BINARY).decode("utf-8", "replace")
    if len(path) > MAX_PATH:
        raise _damaged(f"a column's name has {len(path)} characters")
    if children := _children(element):
        for _ in range(children):
            yield from _branch(rest, f"{path}.", definition, repetition, depth - 1)
    else:
        yield Leaf(path, thrift.get(element, Element.TYPE, thrift.I32, -1), definition, repetition)


def _children(element: thrift.Struct) -> int:
    return int(thrift.get(element, Element.CHILDREN, thrift.I32, 0))


def _groups(structs: list[thrift.Struct], leaves: tuple[Leaf, ...], end: int) -> Iterator[RowGroup]:
    first = 0
    for number, struct in enumerate(structs):
        rows = thrift.get(struct, Group.ROWS, thrift.I64)
        chunks = thrift.get_list(struct, Group.CHUNKS, thrift.STRUCT)
        if not 0 <= rows <= MAX_ROWS - first or len(chunks) != len(leaves):
            raise _damaged(f"row group {number} has {rows} rows and {len(chunks)} of {len(leaves)} columns")
        found = tuple(_chunk(leaf, chunk, end) for leaf, chunk in zip(leaves, chunks, strict=True))
        if any(chunk.values < rows for chunk in found):
            raise _damaged(f"row group {number} has {rows} rows, and a column with fewer values")
        yield RowGroup(first, rows, found)
        first += rows


def _chunk(leaf: Leaf, struct: thrift.Struct, end: int) -> LeafChunk:
    meta = thrift.get(struct, Chunk.META, thrift.STRUCT)
    data = thrift.get(meta, Meta.DATA, thrift.I64)
    dictionary = thrift.get(meta, Meta.DICTIONARY, thrift.I64, 0)
    start = min(data, dictionary) if dictionary > 0 else data
    stored = thrift.get(meta, Meta.STORED, thrift.I64)
    if start < 4 or stored < 0 or start + stored > end:
        raise _damaged(f"the bytes of column {leaf.path!r} do not lie in the file")
    return LeafChunk(
        leaf=leaf,
        start=start,
        end=start + stored,
        values=thrift.get(meta, Meta.VALUES, thrift.I64),
        codec=thrift.get(meta, Meta.CODEC, thrift.I32),
        has_dictionary=dictionary > 0,
    )


def _metadata(struct: thrift.Struct) -> dict[bytes, bytes]:
    pairs = thrift.get_list(struct, File.METADATA, thrift.STRUCT)
    get: Any = thrift.get
    return {get(pair, KeyValue.KEY, thrift.BINARY): get(pair, KeyValue.VALUE, thrift.BINARY, b"") for pair in pairs}


def _damaged(what: str) -> IntegrityError:
    return IntegrityError(f"the Parquet file is damaged: {what}", hint="fetch the file again, or pack it again")
