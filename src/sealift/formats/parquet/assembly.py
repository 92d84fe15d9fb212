"""Many skeletons become one file: chunks move to new offsets, page indexes to the end, footers into one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

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


@dataclass(frozen=True)
class Placed:
    """A column chunk in its place in the file; its page index is written at the end."""

    fields: thrift.Struct
    offset_index: thrift.Struct
    column_index: bytes

    @property
    def sizes(self) -> tuple[int, int]:
        """The chunk's bytes before compression and as stored, page headers included."""
        meta = self.fields[Chunk.META][1]
        return meta[Meta.BYTES][1], meta[Meta.STORED][1]


def moved(part: Part, start: int) -> Placed:
    """The chunk with every offset shifted, so that it begins at `start`."""
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
    return Placed(_chunk(part, meta, start), index, part.column_index)


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
    return Placed(_chunk(part, meta, start), {OffsetIndex.PAGES: (LIST, (STRUCT, _locations(pages, start)))}, b"")


def _chunk(part: Part, meta: thrift.Struct, start: int) -> thrift.Struct:
    old = thrift.get(part.fields, Chunk.OFFSET, I64)
    return {Chunk.OFFSET: (I64, start if old else 0), Chunk.META: (STRUCT, meta)}


def _locations(pages: list[MediaPage], start: int) -> list[thrift.Struct]:
    locations = []
    for page in pages:
        locations.append(
            {Location.OFFSET: (I64, start), Location.STORED: (I32, page.size), Location.ROW: (I64, page.first_row)}
        )
        start += page.size
    return locations


class Assembly:
    """The footer to be. Memory grows with row groups times columns, not with bytes."""

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
        before, stored = (sum(sizes) for sizes in zip(*(chunk.sizes for chunk in chunks), strict=True))
        placed = {
            **group,
            Group.BYTES: (I64, before),
            Group.OFFSET: (I64, start),
            Group.STORED: (I64, stored),
            Group.ORDINAL: (thrift.I16, len(self._groups)),
        }
        self._rows += thrift.get(group, Group.ROWS, I64)
        self._groups.append((placed, chunks))

    def finish(self, put: Callable[[bytes], None], position: int) -> None:
        """Put column indexes, offset indexes and footer, the first at `position`."""
        position = self._put_indexes(put, position, Chunk.COLUMN_INDEX, lambda chunk: chunk.column_index)
        self._put_indexes(put, position, Chunk.OFFSET_INDEX, lambda chunk: thrift.encode(chunk.offset_index))
        groups = [
            {**group, Group.CHUNKS: (LIST, (STRUCT, [dict(sorted(chunk.fields.items())) for chunk in chunks]))}
            for group, chunks in self._groups
        ]
        file = {**self._file, File.ROWS: (I64, self._rows), File.GROUPS: (LIST, (STRUCT, groups))}
        footer = thrift.encode(file)
        put(footer + len(footer).to_bytes(4, "little") + MAGIC)

    def _put_indexes(
        self, put: Callable[[bytes], None], position: int, field: int, index: Callable[[Placed], bytes]
    ) -> int:
        """Put one index per chunk and point the chunk at it; `field` is the offset's, the next one the length's."""
        for _, chunks in self._groups:
            for number, chunk in enumerate(chunks):
                if data := index(chunk):
                    pointers = {field: (I64, position), field + 1: (I32, len(data))}
                    chunks[number] = replace(chunk, fields={**chunk.fields, **pointers})
                    put(data)
                    position += len(data)
        return position
