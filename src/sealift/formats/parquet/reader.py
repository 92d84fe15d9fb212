"""Where the cells of a media column lie in a Parquet file, found without reading them."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sealift.errors import IntegrityError, RequestError
from sealift.formats import thrift
from sealift.formats.parquet import levels
from sealift.formats.parquet.footer import Footer, LeafChunk, Read, exactly
from sealift.formats.parquet.metadata import (
    BYTE_ARRAY,
    DATA_PAGE,
    DATA_PAGE_V2,
    MAX_PAGE_VALUES,
    PLAIN,
    RLE,
    UNCOMPRESSED,
    V1,
    V2,
    Page,
)

Int64 = npt.NDArray[np.int64]

HEAD_BYTES = 256
MAX_HEAD_BYTES = 16 << 20
AHEAD_BYTES = 64 << 10
LARGE_CELL = 4096
MAX_HEADER_VALUES = 1000


@dataclass(frozen=True, slots=True)
class CellPage:
    """The present cells of one page: row in the file, element in the row's list (-1 where the column is no list), and
    the byte range of the value in the file."""

    row_group: int
    row: Int64
    element: Int64
    offset: Int64
    length: Int64


def cells(read: Read, footer: Footer, leaf: str, row_groups: Iterable[int] | None = None) -> Iterator[CellPage]:
    """Every present cell of the leaf, page by page, in order, of the row groups named or of all.

    Any writer's file will do if the leaf is plain and uncompressed. Of the media only the 4 bytes of length before each
    cell are read (and small cells in passing, 64 KiB at a time). Memory is bounded by one page's rows.

    Raises:
        RequestError: the file has no such leaf, or one that is no bytes or a list of lists.
        IntegrityError: a page is damaged, or not plain and uncompressed; the message names row group and column.
    """
    number = _number(footer, leaf)
    for index in range(len(footer.row_groups)) if row_groups is None else row_groups:
        group = footer.row_groups[index]
        try:
            yield from _Walk(read, footer, index, group.chunks[number]).pages()
        except IntegrityError as error:
            raise IntegrityError(
                f"row group {index}, column {leaf!r}: {error.message}",
                hint="fetch the file again, or pack it again",
                row_group=index,
                column=leaf,
            ) from error


def _number(footer: Footer, path: str) -> int:
    found = [number for number, leaf in enumerate(footer.leaves) if leaf.path == path]
    if len(found) != 1:
        raise RequestError(f"the file has {len(found)} columns {path!r}", hint="name a leaf, such as 'audio.bytes'")
    leaf = footer.leaves[found[0]]
    if leaf.type != BYTE_ARRAY or leaf.max_repetition > 1:
        raise RequestError(f"column {path!r} is neither bytes nor a list of bytes", hint="name a media column's leaf")
    return found[0]


@dataclass(frozen=True, slots=True)
class _Head:
    """What a page's header says, and where the page's bytes lie."""

    values: int
    start: int
    end: int
    version: int
    repetition_bytes: int
    definition_bytes: int


class _Walk:
    """One way through the pages of a column chunk; knows the row and element it has come to."""

    def __init__(self, read: Read, footer: Footer, index: int, chunk: LeafChunk) -> None:
        self._read = read
        self._index = index
        self._group = footer.row_groups[index]
        self._chunk = chunk
        self._size = footer.size
        self._row = self._group.first_row - 1
        self._element = -1
        self._block = b""
        self._block_start = 0

    def pages(self) -> Iterator[CellPage]:
        chunk = self._chunk
        if chunk.codec != UNCOMPRESSED or chunk.has_dictionary:
            raise IntegrityError("its pages are not plain and uncompressed")
        position, values = chunk.start, 0
        while position < chunk.end:
            head = self._head(position)
            values += head.values
            yield self._page(head)
            position = head.end
        if values != chunk.values or self._row + 1 != self._group.first_row + self._group.rows:
            raise IntegrityError(f"its pages hold {values} values of {chunk.values}, or not the row group's rows")

    def _bytes(self, offset: int, length: int, ahead: int = 0) -> memoryview:
        """Bytes of the chunk, from the block that was read last if it has them."""
        at = offset - self._block_start
        if not 0 <= at <= at + length <= len(self._block):
            if offset + length > self._chunk.end:
                raise IntegrityError(f"a page goes beyond the column's bytes at {self._chunk.end}")
            wanted = min(max(length, ahead), self._chunk.end - offset)
            self._block, self._block_start, at = exactly(self._read, offset, wanted, self._size), offset, 0
        return memoryview(self._block)[at : at + length]

    def _head(self, position: int) -> _Head:
        length = HEAD_BYTES
        while True:
            data = self._bytes(position, min(length, self._chunk.end - position))
            try:
                header, used = thrift.decode(data, max_values=MAX_HEADER_VALUES)
                break
            except IntegrityError:
                if len(data) < length or length >= MAX_HEAD_BYTES:
                    raise
                length *= 16
        return self._checked(header, position + used)

    def _checked(self, header: thrift.Struct, start: int) -> _Head:
        kind = thrift.get(header, Page.TYPE, thrift.I32)
        if kind not in (DATA_PAGE, DATA_PAGE_V2):
            raise IntegrityError(f"a page of type {kind} where only data pages can be")
        size = thrift.get(header, Page.STORED, thrift.I32)
        if size < 0 or start + size > self._chunk.end or size != thrift.get(header, Page.BYTES, thrift.I32):
            raise IntegrityError(f"a page of {size} bytes at {start} does not fit")
        head = _first(header, start, size) if kind == DATA_PAGE else _second(header, start, size)
        if not 0 <= head.values <= MAX_PAGE_VALUES or min(head.repetition_bytes, head.definition_bytes) < 0:
            raise IntegrityError(f"a page of {head.values} values")
        return head

    def _page(self, head: _Head) -> CellPage:
        leaf = self._chunk.leaf
        repetition, position = self._levels(head, head.start, leaf.max_repetition, head.repetition_bytes)
        definition, position = self._levels(head, position, leaf.max_definition, head.definition_bytes)
        there = np.flatnonzero(definition == leaf.max_definition)
        offset, length = self._values(position, head.end, len(there))
        row, element = self._places(repetition, there, head.values)
        return CellPage(self._index, row, element, offset, length)

    def _levels(self, head: _Head, position: int, maximum: int, length: int) -> tuple[levels.Levels, int]:
        if head.version == 1 and maximum:
            length = int.from_bytes(self._bytes(position, 4), "little")
            position += 4
        if length > min(head.end - position, levels.max_bytes(head.values)):
            raise IntegrityError("the levels of a page are damaged")
        if not maximum:
            return np.zeros(head.values, np.uint8), position + length
        return levels.decode(self._bytes(position, length), head.values, maximum), position + length

    def _places(self, repetition: levels.Levels, there: Int64, values: int) -> tuple[Int64, Int64]:
        """Row and element of the slots that are there; moves on to the page's last row and element."""
        first_row, carried = self._row, self._element
        if not self._chunk.leaf.max_repetition:
            self._row += values
            self._within()
            return first_row + 1 + there, np.full(len(there), -1, np.int64)
        starts = np.flatnonzero(repetition == 0)
        if values and repetition[0] and first_row < self._group.first_row:
            raise IntegrityError("the first row begins in the middle")
        which = np.searchsorted(starts, there, side="right")
        begin = np.concatenate(([-1 - carried], starts))
        self._row += len(starts)
        self._element = values - 1 - int(begin[-1]) if values else carried
        self._within()
        return first_row + which, there - begin[which]

    def _within(self) -> None:
        if self._row >= self._group.first_row + self._group.rows:
            raise IntegrityError(f"its pages hold more than {self._group.rows} rows")

    def _values(self, position: int, end: int, count: int) -> tuple[Int64, Int64]:
        """Offset and length of the values that fill the bytes from `position` to `end` exactly."""
        if 4 * count > end - position:
            raise IntegrityError(f"{count} cells in {end - position} bytes")
        ahead = AHEAD_BYTES if end - position < LARGE_CELL * count else 0
        found = array("q")
        start = position
        while len(found) < count and position + 4 <= end:
            position += self._run(found, position, end, count, ahead)
        length = np.array(found, np.int64)
        ends = start + np.cumsum(length + 4)
        if len(found) != count or (int(ends[-1]) if count else start) != end:
            raise IntegrityError("the chain of its cells does not end where their page ends")
        return ends - length, length

    def _run(self, found: array[int], position: int, end: int, count: int, ahead: int) -> int:
        """Note the lengths that lie in the next block; the answer is how many bytes their cells take."""
        size = min(max(4, ahead), end - position)
        block = bytes(self._bytes(position, size))
        at = 0
        while True:
            length = int.from_bytes(block[at : at + 4], "little")
            found.append(length)
            after = at + 4 + length
            if after + 4 > size or len(found) == count:
                return after
            at = after


def _first(header: thrift.Struct, start: int, size: int) -> _Head:
    data = thrift.get(header, Page.V1, thrift.STRUCT)
    encodings = [thrift.get(data, field, thrift.I32) for field in (V1.ENCODING, V1.DEFINITION, V1.REPETITION)]
    if encodings != [PLAIN, RLE, RLE]:
        raise IntegrityError(f"a page with encodings {encodings} is not plain")
    return _Head(thrift.get(data, V1.VALUES, thrift.I32), start, start + size, 1, 0, 0)


def _second(header: thrift.Struct, start: int, size: int) -> _Head:
    data = thrift.get(header, Page.V2, thrift.STRUCT)
    if (encoding := thrift.get(data, V2.ENCODING, thrift.I32)) != PLAIN:
        raise IntegrityError(f"a page with encoding {encoding} is not plain")
    return _Head(
        values=thrift.get(data, V2.VALUES, thrift.I32),
        start=start,
        end=start + size,
        version=2,
        repetition_bytes=thrift.get(data, V2.REPETITION_BYTES, thrift.I32),
        definition_bytes=thrift.get(data, V2.DEFINITION_BYTES, thrift.I32),
    )
