"""How large a shard can get at most, from its rows and before it is written: the planner's hard cap rests on this.

    size of the file <= fixed_bytes + sum of row_group_bytes + sum of light_bytes + bytes of the media

Every figure assumes the worst that encoding and zstd can do, so tables that compress well end far below; media, which
is stored as it is, dominates the sum where it matters.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sealift.errors import NotSupportedYet
from sealift.formats.parquet import skeleton
from sealift.formats.parquet.leaves import is_list, leaves
from sealift.formats.parquet.pages import PAGE_BYTES
from sealift.formats.parquet.storage import Int64, reference_type, references
from sealift.model.column import MediaColumn

MAX_STATISTIC = 4096
"""parquet-cpp leaves out minima and maxima that are longer (measured with pyarrow 26)."""
LEVEL = 1
"""A level; runs take half a byte at most, the rest pays for the pages that begin after 20,000 rows."""
INDEX = 3
"""An index into a dictionary page of 1 MiB, with its share of run headers."""
MEDIA_PAGE = 72
"""Header, lengths of levels and offset index entry of one media page."""
LIGHT_PAGE = 192
"""Headers of a light leaf's first page and dictionary, their zstd frames, lengths of levels and page index entries."""
CHUNK = 192
"""A column chunk's metadata without path, statistics and histograms."""


def light_bytes(rows: pa.RecordBatch, media: Sequence[MediaColumn], *, page_bytes: int = PAGE_BYTES) -> Int64:
    """Bytes that each row takes in the file at most, all but the media's own.

    `rows` is as for `ShardWriter.write`. What media cells cost beside their bytes is in it: length, level, path, pages.

    Raises:
        NotSupportedYet: a column is of a type that shards cannot hold.
    """
    boxes = {column.name: column for column in media}
    total = np.zeros(rows.num_rows, np.int64)
    for name, array in zip(rows.schema.names, rows.columns, strict=True):
        total += _media(boxes[name], array, page_bytes) if name in boxes else _sum(array, _Stored(), False)
    return total


def value_bytes(rows: pa.RecordBatch, media: Sequence[MediaColumn]) -> Int64:
    """Bytes that each row takes in Arrow's memory once it is read, the media's own among them.

    Offsets and values count, null or not; validity bits do not, and a boolean counts as one byte.

    Raises:
        NotSupportedYet: a column is of a type that shards cannot hold.
    """
    boxes = {column.name: column for column in media}
    total = np.zeros(rows.num_rows, np.int64)
    for name, array in zip(rows.schema.names, rows.columns, strict=True):
        if name not in boxes:
            total += _sum(array, _InMemory(), False)
            continue
        item = references(boxes[name], array.cast(reference_type(boxes[name])))
        cells = np.concatenate(([0], np.cumsum(item.sizes)))[item.cell_start]
        total += _sum(item.skeleton, _InMemory(), False) + np.diff(cells)
    return total


def longest_values(rows: pa.RecordBatch, media: Sequence[MediaColumn]) -> dict[str, int]:
    """The bytes of the longest value of each light leaf of text or bytes, for `row_group_bytes`."""
    boxes = {column.name: column for column in media}
    longest: dict[str, int] = {}
    for name, array in zip(rows.schema.names, rows.columns, strict=True):
        column = references(boxes[name], array.cast(reference_type(boxes[name]))).skeleton if name in boxes else array
        for leaf, values in _leaf_arrays(name, column):
            if _is_bytes(values.type):
                longest[leaf] = int(_lengths(values).max(initial=0))
    return longest


def fixed_bytes(schema: pa.Schema) -> int:
    """Bytes of a file of this schema without a row group, and those that its footer's counts may grow by."""
    return len(skeleton.blank(schema)) + 64


def row_group_bytes(schema: pa.Schema, media: Sequence[MediaColumn], longest: Mapping[str, int]) -> int:
    """Bytes that a row group adds at most beside those of its rows: metadata, statistics, page index, first pages.

    `schema` is that of the file; `longest` has the longest value of each leaf of text or bytes (see `longest_values`);
    where it is unknown, the longest that statistics keep is taken.
    """
    bytes_leaves = {column.leaf for column in media}
    total = 64
    for leaf in (leaf for field in schema for leaf in leaves(field.name, field.type)):
        total += CHUNK + sum(len(step.encode()) + 5 for step in leaf.path.split("."))
        if leaf.path in bytes_leaves:
            total += 2 * MEDIA_PAGE
        else:
            total += LIGHT_PAGE + _statistics(leaf.type, longest.get(leaf.path, MAX_STATISTIC)) + 10 * leaf.levels
    return total


def _media(column: MediaColumn, array: pa.Array, page_bytes: int) -> Int64:
    """Lengths and levels of the media leaf, its pages, and the path leaf.

    A page ends before the row that would not fit any more. Let a row cost two pages when it is half a page or more, and
    four times its share of a page otherwise: then every page pays for its own beginning and for its neighbour's.
    """
    item = references(column, array.cast(reference_type(column)))
    share = np.minimum(2 * MEDIA_PAGE, -(-4 * MEDIA_PAGE * item.row_weight // page_bytes))
    kinds = 2 if column.many else 1
    total = 4 * np.diff(item.cell_start) + share + kinds * LEVEL * np.diff(item.slot_start)
    if not column.boxed:
        return np.asarray(total, np.int64)
    # The skeleton's bytes leaf is all null and costs what a null costs: too much, never too little.
    return np.asarray(total + _sum(item.skeleton, _Stored(), False), np.int64)


class _Cost(Protocol):
    """What a slot costs: a leaf's value, and a list of `count` leaves whatever is in it."""

    def leaf(self, array: pa.Array, repeated: bool) -> Int64: ...

    def list(self, array: pa.Array, count: int) -> int: ...


class _Stored:
    """Costs in the file, at worst."""

    def leaf(self, array: pa.Array, repeated: bool) -> Int64:
        width = (
            4 + _lengths(array) if _is_bytes(array.type) else np.full(len(array), _plain_width(array.type), np.int64)
        )
        # Any page but the first follows 1 MiB of values, or 20,000 rows, or a dictionary of 1 MiB that was given up. A
        # 64th of that and a byte a row pay for its header, index entries, minimum and maximum (twice 4 KiB at most).
        return np.asarray(width + (width >> 6) + 1 + INDEX + (1 + repeated) * LEVEL, np.int64)

    def list(self, array: pa.Array, count: int) -> int:
        return count * (1 + INDEX + 2 * LEVEL)


class _InMemory:
    """Costs in Arrow's memory."""

    def leaf(self, array: pa.Array, repeated: bool) -> Int64:
        if _is_bytes(array.type):
            return _lengths(array) + (8 if _is_large(array.type) else 4)
        return np.full(len(array), 0 if pa.types.is_null(array.type) else _width(array.type), np.int64)

    def list(self, array: pa.Array, count: int) -> int:
        return 8 if pa.types.is_large_list(array.type) else 0 if pa.types.is_fixed_size_list(array.type) else 4


def _sum(array: pa.Array, cost: _Cost, repeated: bool) -> Int64:
    """The cost of each slot, all that is nested in it included."""
    array = _simple(array)
    if pa.types.is_struct(array.type):
        return sum((_sum(child, cost, repeated) for child in array.flatten()), np.zeros(len(array), np.int64))
    if not is_list(array.type):
        return cost.leaf(array, repeated)
    elements, lengths = _unnested(array)
    before = np.concatenate(([0], np.cumsum(_sum(elements, cost, True))))
    ends = np.cumsum(lengths)
    count = sum(1 for _ in leaves("", array.type))
    return np.asarray(before[ends] - before[ends - lengths] + cost.list(array, count), np.int64)


def _leaf_arrays(path: str, array: pa.Array) -> Iterator[tuple[str, pa.Array]]:
    array = _simple(array)
    if pa.types.is_struct(array.type):
        for index, child in enumerate(array.flatten()):
            yield from _leaf_arrays(f"{path}.{array.type.field(index).name}", child)
    elif is_list(array.type):
        step = "key_value" if pa.types.is_map(array.type) else "list.element"
        yield from _leaf_arrays(f"{path}.{step}", _unnested(array)[0])
    else:
        yield path, array


def _simple(array: pa.Array) -> pa.Array:
    """The array without extension type or dictionary."""
    if isinstance(array.type, pa.BaseExtensionType):
        array = array.storage
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def _unnested(array: pa.Array) -> tuple[pa.Array, Int64]:
    """The elements of all lists in a row, and how many each has."""
    if pa.types.is_map(array.type):
        pair = pa.struct([pa.field("key", array.type.key_type), pa.field("value", array.type.item_type)])
        array = array.cast(pa.list_(pair))
    lengths = pc.fill_null(pc.list_value_length(array), 0).to_numpy(zero_copy_only=False)
    return array.flatten(), lengths.astype(np.int64)


def _statistics(kind: pa.DataType, longest: int) -> int:
    """Minimum and maximum in the chunk's statistics and in its page index; statistics keep those of numbers twice."""
    each = min(longest if _is_bytes(kind) else _width(kind), MAX_STATISTIC) + 4
    return (4 if _is_bytes(kind) else 6) * each


def _lengths(array: pa.Array) -> Int64:
    return np.asarray(pc.fill_null(pc.binary_length(array), 0).to_numpy(), np.int64)


def _width(kind: pa.DataType) -> int:
    """The bytes of a value in memory, one for a boolean."""
    if pa.types.is_null(kind):
        return 4
    try:
        return max(1, int(kind.bit_width) // 8)
    except ValueError as error:
        raise NotSupportedYet(f"no shard can hold a column of type {kind}", hint="cast it in the rows query") from error


def _plain_width(kind: pa.DataType) -> int:
    """The bytes of a value in a plain page at most: Parquet has no integers below 32 bits."""
    return 1 if pa.types.is_boolean(kind) else max(4, _width(kind))


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_binary(kind)) or _is_large(kind)


def _is_large(kind: pa.DataType) -> bool:
    return bool(pa.types.is_large_string(kind) or pa.types.is_large_binary(kind))
