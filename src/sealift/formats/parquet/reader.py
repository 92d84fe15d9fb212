"""Where the cells of a media column lie in a Parquet file, found without reading them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from sealift.errors import IntegrityError, RequestError
from sealift.formats.parquet import levels
from sealift.formats.parquet.chains import Int64, PageBytes, Ranged, Read
from sealift.formats.parquet.footer import Footer, LeafChunk
from sealift.formats.parquet.heads import Head, read_head
from sealift.formats.parquet.metadata import BYTE_ARRAY, UNCOMPRESSED

MAX_EMPTY_PAGES = 1000
"""Pages without a value that are passed over in a column chunk: no writer needs one."""


@dataclass(frozen=True, slots=True)
class CellPage:
    """The present cells of one page: row in the file, element in the row's list (-1 where the column is no list), and
    the byte range of the value in the file."""

    row_group: int
    row: Int64
    element: Int64
    offset: Int64
    length: Int64


def cells(
    source: Read | PageBytes, footer: Footer, leaf: str, row_groups: Iterable[int] | None = None
) -> Iterator[CellPage]:
    """Every present cell of the leaf, page by page, in order, of the row groups named or of all.

    Any writer's file will do if the leaf is plain and uncompressed. Of the media only the 4 bytes of length before each
    cell are looked at; a source that reads by range gets small cells in passing, 64 KiB at a time. Memory is bounded by
    one page's rows.

    Raises:
        RequestError: the file has no such leaf, or one that is no bytes or a list of lists.
        IntegrityError: a page is damaged, or not plain and uncompressed; the message names row group and column.
    """
    number = _number(footer, leaf)
    for index in range(len(footer.row_groups)) if row_groups is None else row_groups:
        group = footer.row_groups[index]
        chunk = group.chunks[number]
        reads = Ranged(source, footer.size) if callable(source) else source
        try:
            yield from _Walk(reads, footer, index, chunk).pages()
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


class _Walk:
    """One way through the pages of a column chunk; knows the row and element it has come to."""

    def __init__(self, source: PageBytes, footer: Footer, index: int, chunk: LeafChunk) -> None:
        self._source = source
        self._index = index
        self._group = footer.row_groups[index]
        self._chunk = chunk
        self._row = self._group.first_row - 1
        self._element = -1

    def pages(self) -> Iterator[CellPage]:
        chunk = self._chunk
        if chunk.codec != UNCOMPRESSED or chunk.has_dictionary:
            what = "have a dictionary" if chunk.codec == UNCOMPRESSED else "are compressed"
            raise IntegrityError(
                f"its pages {what}; cells lie in the file as they are only in plain, uncompressed ones"
            )
        position, values, empty = chunk.start, 0, 0
        while position < chunk.end:
            head = read_head(self._source, position, chunk.end)
            values += head.values
            empty += not head.values
            if empty > MAX_EMPTY_PAGES or values > chunk.values:
                raise IntegrityError(f"its pages hold {values} values of {chunk.values}, and {empty} hold none")
            yield self._page(head)
            position = head.end
        if values != chunk.values or self._row + 1 != self._group.first_row + self._group.rows:
            raise IntegrityError(f"its pages hold {values} values of {chunk.values}, or not the row group's rows")

    def _page(self, head: Head) -> CellPage:
        leaf = self._chunk.leaf
        repetition, position = self._levels(head, head.start, leaf.max_repetition, head.repetition_bytes)
        definition, position = self._levels(head, position, leaf.max_definition, head.definition_bytes)
        there = np.flatnonzero(definition == leaf.max_definition)
        offset, length = self._values(position, head.end, len(there))
        row, element = self._places(repetition, there, head.values)
        return CellPage(self._index, row, element, offset, length)

    def _levels(self, head: Head, position: int, maximum: int, length: int) -> tuple[levels.Levels, int]:
        if head.version == 1 and maximum:
            length = int.from_bytes(self._range(position, 4), "little")
            position += 4
        if length > min(head.end - position, levels.max_bytes(head.values)):
            raise IntegrityError("the levels of a page are damaged")
        if not maximum:
            return np.zeros(head.values, np.uint8), position + length
        return levels.decode(self._range(position, length), head.values, maximum), position + length

    def _range(self, offset: int, length: int) -> bytes | memoryview:
        if offset + length > self._chunk.end:
            raise IntegrityError(f"a page goes beyond the column's bytes at {self._chunk.end}")
        return self._source.range(offset, length)

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
        length = self._source.lengths(position, end, count)
        ends = position + np.cumsum(length + 4)
        if len(length) != count or (int(ends[-1]) if count else position) != end:
            raise IntegrityError("the chain of its cells does not end where their page ends")
        return ends - length, length
