"""Many skeletons become one file: chunks move to new offsets, page indexes to the end, footers into one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sealift.errors import RequestError
from sealift.formats import thrift
from sealift.formats.parquet.metadata import (
    DATA_PAGE,
    MAGIC,
    MAX_ROW_GROUPS,
    PLAIN,
    UNCOMPRESSED,
    Chunk,
    Encoding,
    File,
    Group,
    Location,
    Meta,
    OffsetIndex,
)
from sealift.formats.parquet.pages import MediaPage
from sealift.formats.parquet.skeleton import Part

I32, I64, STRUCT, LIST = thrift.I32, thrift.I64, thrift.STRUCT, thrift.LIST


@dataclass(frozen=True, slots=True)
class Placed:
    """A column chunk in its place in the file; its page index is written at the end.

    `plain` and `stored` are its bytes before compression and after, page headers included. All that can be encoded is:
    a wide table has tens of thousands of chunks, and as dicts they take ten times the memory.
    """

    meta: bytes
    plain: int
    stored: int
    offset: int
    offset_index: bytes
    column_index: bytes

    def pointing(self, column_index: int, offset_index: int) -> thrift.Struct:
        """The ColumnChunk, its page index at these offsets."""
        struct: thrift.Struct = {Chunk.OFFSET: (I64, self.offset), Chunk.META: (STRUCT, self.meta)}
        if self.offset_index:
            struct[Chunk.OFFSET_INDEX] = (I64, offset_index)
            struct[Chunk.OFFSET_INDEX_LENGTH] = (I32, len(self.offset_index))
        if self.column_index:
            struct[Chunk.COLUMN_INDEX] = (I64, column_index)
            struct[Chunk.COLUMN_INDEX_LENGTH] = (I32, len(self.column_index))
        return struct


def moved(part: Part, start: int) -> Placed:
    """The chunk with every offset shifted, so that it begins at `start`; sizes are as they were."""
    shift = start - part.start
    meta = part.meta
    for field in (Meta.DATA, Meta.DICTIONARY):
        if field in meta:
            meta[field] = (I64, meta[field][1] + shift)
    pages = [
        {**page, Location.OFFSET: (I64, page[Location.OFFSET][1] + shift)}
        for page in thrift.get_list(part.offset_index, OffsetIndex.PAGES, STRUCT)
    ]
    index = {**part.offset_index, OffsetIndex.PAGES: (LIST, (STRUCT, pages))}
    return _placed(part, meta, start, index, part.column_index)


def media_chunk(part: Part, pages: list[MediaPage], slots: int, start: int) -> Placed:
    """The chunk of a media leaf whose pages begin at `start`, without the size statistics of the skeleton's nulls."""
    size = sum(page.size for page in pages)
    kept = {field: part.meta[field] for field in (Meta.TYPE, Meta.ENCODINGS, Meta.PATH)}
    stats = {Encoding.PAGE: (I32, DATA_PAGE), Encoding.ENCODING: (I32, PLAIN), Encoding.COUNT: (I32, len(pages))}
    meta: thrift.Struct = {
        **kept,
        Meta.CODEC: (I32, UNCOMPRESSED),
        Meta.VALUES: (I64, slots),
        Meta.BYTES: (I64, size),
        Meta.STORED: (I64, size),
        Meta.DATA: (I64, start),
        Meta.ENCODING_STATS: (LIST, (STRUCT, [stats])),
    }
    return _placed(part, meta, start, {OffsetIndex.PAGES: (LIST, (STRUCT, _locations(pages, start)))}, b"")


def _placed(part: Part, meta: thrift.Struct, start: int, offset_index: thrift.Struct, column_index: bytes) -> Placed:
    return Placed(
        meta=thrift.encode(meta),
        plain=thrift.get(meta, Meta.BYTES, I64),
        stored=thrift.get(meta, Meta.STORED, I64),
        offset=start if thrift.get(part.fields, Chunk.OFFSET, I64) else 0,
        offset_index=thrift.encode(offset_index),
        column_index=column_index,
    )


def _locations(pages: list[MediaPage], start: int) -> list[thrift.Struct]:
    locations = []
    for page in pages:
        locations.append(
            {Location.OFFSET: (I64, start), Location.STORED: (I32, page.size), Location.ROW: (I64, page.first_row)}
        )
        start += page.size
    return locations


class Assembly:
    """The footer to be. Memory grows with row groups times columns (about 1 KB each), not with bytes."""

    def __init__(self, file: thrift.Struct) -> None:
        self._file = file
        self._groups: list[tuple[thrift.Struct, list[Placed]]] = []
        self._rows = 0

    def add(self, group: thrift.Struct, chunks: list[Placed], start: int) -> None:
        """Take the next row group, which begins at `start`.

        Raises:
            RequestError: there are more row groups than a Parquet file can number.
        """
        if len(self._groups) == MAX_ROW_GROUPS:
            raise RequestError(
                f"a Parquet file has at most {MAX_ROW_GROUPS} row groups",
                hint="make row groups larger, or shards smaller",
            )
        placed = {
            **group,
            Group.CHUNKS: (LIST, (STRUCT, [])),
            Group.BYTES: (I64, sum(chunk.plain for chunk in chunks)),
            Group.OFFSET: (I64, start),
            Group.STORED: (I64, sum(chunk.stored for chunk in chunks)),
            Group.ORDINAL: (thrift.I16, len(self._groups)),
        }
        self._rows += thrift.get(group, Group.ROWS, I64)
        self._groups.append((placed, chunks))

    def finish(self, put: Callable[[bytes], None], position: int) -> None:
        """Put column indexes, offset indexes and footer, the first at `position`."""
        chunks = [chunk for _, placed in self._groups for chunk in placed]
        column_indexes = _put_all(put, position, [chunk.column_index for chunk in chunks])
        offset_indexes = _put_all(put, column_indexes[-1], [chunk.offset_index for chunk in chunks])
        places = zip(column_indexes, offset_indexes, strict=True)
        groups = []
        for group, placed in self._groups:
            structs = [thrift.encode(chunk.pointing(*next(places))) for chunk in placed]
            groups.append(thrift.encode({**group, Group.CHUNKS: (LIST, (STRUCT, structs))}))
        footer = thrift.encode({**self._file, File.ROWS: (I64, self._rows), File.GROUPS: (LIST, (STRUCT, groups))})
        put(footer + len(footer).to_bytes(4, "little") + MAGIC)


def _put_all(put: Callable[[bytes], None], position: int, parts: Iterable[bytes]) -> list[int]:
    """Put one after another; where each begins, and where the last one ends."""
    starts = [position]
    for data in parts:
        put(data)
        starts.append(starts[-1] + len(data))
    return starts
