"""The way out to the sink: everything gathers in one small buffer, cells are read straight into it."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from struct import Struct
from typing import Protocol

from sealift.ports import Sink

LENGTH = Struct("<I")


class Cells(Protocol):
    """Gives the bytes of a row group's media cells.

    Present cells are counted from 0 in the row group, in the order of rows and of elements in a list. Each byte is
    asked for once, column by column and in order.
    """

    def read_all(self, column: str, first: int, views: list[memoryview]) -> None:
        """Fill each view with the whole of a cell: those of the column from number `first` on."""
        ...

    def read_into(self, column: str, cell: int, offset: int, view: memoryview) -> None:
        """Fill the view with bytes of the column's cell number `cell`, which is too large for one view."""
        ...


class Outlet:
    """Counts the bytes that go to a sink, and gathers them in one buffer of `slice_bytes`.

    With `overlap` there are two buffers: while a thread writes the one, the caller fills the other. Close it then.
    """

    def __init__(self, sink: Sink, slice_bytes: int, *, overlap: bool = False) -> None:
        self._sink = sink
        size = max(slice_bytes, LENGTH.size)
        self._view = memoryview(bytearray(size))
        self._other = memoryview(bytearray(size)) if overlap else None
        self._thread = ThreadPoolExecutor(1) if overlap else None
        self._written: Future[object] | None = None
        self._held = 0
        self._sent = 0

    def close(self) -> None:
        """Let go of the thread, once what it writes is written."""
        if self._thread is not None:
            self._thread.shutdown()

    @property
    def position(self) -> int:
        """How many bytes were put so far: the file offset of the next one."""
        return self._sent + self._held

    def put(self, data: bytes | memoryview) -> None:
        """Take the data; what does not fit the buffer goes to the sink at once."""
        if len(data) > len(self._view) - self._held:
            self._send_held()
        if len(data) > len(self._view):
            self._send(data)
        else:
            self._view[self._held : self._held + len(data)] = data
            self._held += len(data)

    def cells(self, cells: Cells, column: str, first: int, sizes: list[int]) -> None:
        """Put the cells from number `first` on, each behind its length; a large one passes through in slices."""
        room, pack = len(self._view), LENGTH.pack_into
        views: list[memoryview] = []
        for cell, size in enumerate(sizes, first):
            end = self._held + LENGTH.size + size
            if end > room:
                if views:
                    cells.read_all(column, cell - len(views), views)
                    views = []
                self._send_held()
                end = LENGTH.size + size
                if end > room:
                    self._large(cells, column, cell, size)
                    continue
            pack(self._view, self._held, size)
            views.append(self._view[self._held + LENGTH.size : end])
            self._held = end
        if views:
            cells.read_all(column, first + len(sizes) - len(views), views)

    def _large(self, cells: Cells, column: str, cell: int, size: int) -> None:
        self.put(LENGTH.pack(size))
        offset = 0
        while offset < size:
            if self._held == len(self._view):
                self._send_held()
            part = self._view[self._held : self._held + size - offset]
            cells.read_into(column, cell, offset, part)
            offset += len(part)
            self._held += len(part)

    def flush(self) -> None:
        """Send what is held to the sink, and see that it got there."""
        self._send_held()
        self._wait()

    def _send_held(self) -> None:
        if self._held:
            self._send(self._view[: self._held])
            self._held = 0

    def _send(self, data: bytes | memoryview) -> None:
        self._sent += len(data)
        if self._thread is None or self._other is None:
            self._sink.write(data)
            return
        self._wait()
        self._written = self._thread.submit(self._sink.write, data)
        self._view, self._other = self._other, self._view

    def _wait(self) -> None:
        if self._written is not None:
            written, self._written = self._written, None
            written.result()
