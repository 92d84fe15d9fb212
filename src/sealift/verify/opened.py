"""A Parquet file under examination: read from front to back in pieces of several MB, each byte once."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Generator, Iterable, Iterator
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Self

import pyarrow.parquet as pq

from sealift.errors import IntegrityError
from sealift.formats.parquet.footer import MAX_FOOTER, Footer, read_footer
from sealift.formats.parquet.metadata import MAGIC
from sealift.formats.ranged import RangedFile
from sealift.model.entry import Entry
from sealift.verify.ahead import Range, in_order, pieces
from sealift.verify.published import Published

TAIL = 64 << 10
"""So much of a file's end is read at first, as readers of Parquet do; most footers are smaller."""
WHOLE = 256 << 10
"""A file up to this size is read at once, whatever is wanted of it."""
MAX_IN_LIST = 1 << 20
"""Columns, row groups or anything else of which pyarrow takes no more from a footer or a page's header."""


class Opened:
    """A file whose ends are in memory. What is wanted of the rest comes ahead of what is looked at, in order.

    Reads that go forward through what is wanted cost no reads of their own; any others do, and are right all the same.
    Memory: the ends, what is kept, and the pieces that the store's reach allows.
    """

    def __init__(self, published: Published, path: str, ends: Iterable[tuple[int, bytes]]) -> None:
        self.entry: Entry = published.entry(path)
        self._published = published
        self._reach = published.reach
        self._ends = list(ends)
        self._kept: list[tuple[int, bytes]] = []
        self._block: tuple[int, bytes] = (0, b"")
        self._pieces: list[Range] = []
        self._coming: Generator[tuple[Range, Future[bytearray]]] | None = None
        self._spare: list[bytearray] = []
        # The piece that was come to: its number, where it begins, its bytes, and what these lie in.
        self._number, self._start, self._piece, self._buffer = -1, 0, memoryview(b""), bytearray()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._coming is not None:
            self._coming.close()

    @property
    def file(self) -> RangedFile:
        """The file for libraries that want one."""
        return RangedFile(self, self.entry)

    def parquet(self) -> pq.ParquetFile:
        """The file for pyarrow, which asks for each column chunk by itself; `keep` what it is going to ask for."""
        return pq.ParquetFile(
            self.file,
            pre_buffer=False,
            thrift_string_size_limit=MAX_FOOTER,
            thrift_container_size_limit=MAX_IN_LIST,
        )

    def footer(self) -> Footer:
        """The footer, for what is no business of pyarrow's. No reads: its end is in memory.

        First bytes that are not, nobody looks at, and neither does pyarrow: they are taken for right.

        Raises:
            IntegrityError: it is damaged.
        """
        begun = any(start == 0 for start, _ in self._ends)

        def read(offset: int, length: int) -> bytes:
            return self.file.range(offset, length) if begun or offset else MAGIC

        return read_footer(read, self.entry.size)

    def want(self, ranges: Iterable[Range]) -> None:
        """Begin to read these ranges, as far as they lie in the file. Once for each file."""
        begin, end = 0, self.entry.size
        for start, data in self._ends:
            begin, end = (len(data), end) if start == 0 else (begin, start)
        inside = [(max(begin, start), min(stop, end)) for start, stop in ranges]
        self._pieces = pieces(inside, self._reach)
        self._coming = in_order(self._ahead, self._pieces, self._reach.at_once)

    def views(self, start: int, end: int) -> Iterator[memoryview]:
        """These bytes in order, a piece or less at a time; each view is valid until the next bytes are asked for.

        Raises:
            IntegrityError: they do not lie in the file.
            SealiftError: as the store says.
        """
        if not 0 <= start <= end <= self.entry.size:
            raise IntegrityError(f"bytes {start} to {end} are wanted of {self.entry.size}", path=self.entry.path)
        while start < end:
            view = self._some(start, end)
            start += len(view)
            yield view

    def keep(self, start: int, end: int) -> None:
        """Read these bytes now, as `views` does, and give them from memory until they are dropped."""
        data = bytearray()
        for view in self.views(start, end):
            data += view
        self._kept.append((start, bytes(data)))

    def drop(self) -> None:
        """Give up what was kept."""
        self._kept.clear()

    def read_into(self, entry: Entry, offset: int, view: memoryview) -> None:
        """Fill the view with bytes of this file: from memory where they are there. Small reads fetch some more."""
        for start, data in (*self._kept, *self._ends, self._block):
            if start <= offset and offset + len(view) <= start + len(data):
                view[:] = data[offset - start : offset - start + len(view)]
                return
        if len(view) >= self._reach.gap:
            self._published.read_into(entry, offset, view)
            return
        block = self._fetch((offset, min(offset + self._reach.gap, entry.size)))
        self._block = (offset, bytes(block))
        view[:] = block[: len(view)]

    def _some(self, offset: int, end: int) -> memoryview:
        """At least the first of these bytes."""
        at = offset - self._start
        if 0 <= at < len(self._piece):
            return self._piece[at : at + end - offset]
        for start, data in self._ends:
            if start <= offset < start + len(data):
                return memoryview(data)[offset - start : end - start]
        number = bisect_right(self._pieces, (offset, self.entry.size)) - 1
        if number > self._number and offset < self._pieces[number][1]:
            return self._come_to(number)[offset - self._start : end - self._start]
        return memoryview(self._fetch((offset, min(end, offset + self._reach.piece))))

    def _come_to(self, number: int) -> memoryview:
        assert self._coming is not None
        while self._number < number:
            self._spare += [self._buffer] if self._buffer else []
            self._piece, self._buffer = memoryview(b""), bytearray()
            (start, end), coming = next(self._coming)
            self._number += 1
            self._start, self._buffer = start, coming.result()
            self._piece = memoryview(self._buffer)[: end - start]
        return self._piece

    def _ahead(self, place: Range) -> bytearray:
        """A piece at the start of a buffer. These are used again: new ones would be spread over the threads' heaps."""
        start, end = place
        try:
            buffer = self._spare.pop()
        except IndexError:
            buffer = bytearray(max(end - start for start, end in self._pieces))
        self._published.read_into(self.entry, start, memoryview(buffer)[: end - start])
        return buffer

    def _fetch(self, place: Range) -> bytearray:
        start, end = place
        data = bytearray(end - start)
        self._published.read_into(self.entry, start, memoryview(data))
        return data


def open_file(published: Published, path: str, *, head: bool = False) -> Opened:
    """The file with its footer in memory, in one read, or two where the footer is large; one more for the `head`.

    The head are the bytes by which a Parquet file is known. Both are remembered, the footers as far as there is room.

    Raises:
        SealiftError: as the store says.
    """
    size = published.sizes[path]
    file = published.file(path)
    tail = published.tails.get(path) or _tail(file, size)
    if head and path not in published.heads and len(tail) < size:
        published.heads[path] = file.range(0, len(MAGIC))
    published.remember(path, tail)
    begin = published.heads.get(path)
    return Opened(published, path, [(size - len(tail), tail), *([(0, begin)] if begin else [])])


def _tail(file: RangedFile, size: int) -> bytes:
    """The end of the file, with all of its footer; all of a small file."""
    if size <= WHOLE:
        return file.range(0, size)
    tail = file.range(size - TAIL, TAIL)
    footer = int.from_bytes(tail[-8:-4], "little") + 8
    if tail[-4:] != MAGIC or footer > min(size, MAX_FOOTER + 8):
        return tail
    return file.range(size - footer, max(0, footer - TAIL)) + tail


def chunks(metadata: Any, columns: Collection[str]) -> list[list[Range]]:
    """Where the columns' bytes lie, by row group, as pyarrow's metadata of the file says."""
    paths = [metadata.schema.column(number).path for number in range(metadata.num_columns)]
    wanted = [number for number, path in enumerate(paths) if within(path, columns)]
    groups = (metadata.row_group(number) for number in range(metadata.num_row_groups))
    return [[_chunk(group.column(number)) for number in wanted] for group in groups]


def within(path: str, columns: Collection[str]) -> bool:
    """Whether a leaf is of one of the columns; a column's name may hold dots."""
    steps = path.split(".")
    return any(".".join(steps[:count]) in columns for count in range(1, len(steps) + 1))


def _chunk(column: Any) -> Range:
    start = min(column.data_page_offset, column.dictionary_page_offset or column.data_page_offset)
    return start, start + column.total_compressed_size
