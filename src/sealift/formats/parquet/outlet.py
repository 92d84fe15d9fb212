"""The way out to the sink: small pieces gather in one reusable buffer, large cells pass through it in slices."""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct

from sealift.ports import Sink

LENGTH = Struct("<I")
ReadInto = Callable[[str, int, int, memoryview], None]


class Outlet:
    """Counts the bytes that go to a sink, and gathers them in one buffer of `slice_bytes`."""

    def __init__(self, sink: Sink, slice_bytes: int) -> None:
        self._sink = sink
        self._view = memoryview(bytearray(max(slice_bytes, LENGTH.size)))
        self._held = 0
        self._sent = 0

    @property
    def position(self) -> int:
        """How many bytes were put so far: the file offset of the next one."""
        return self._sent + self._held

    def put(self, data: bytes | memoryview) -> None:
        """Take the data; what does not fit the buffer goes to the sink at once."""
        if len(data) > len(self._view) - self._held:
            self.flush()
        if len(data) > len(self._view):
            self._sink.write(data)
            self._sent += len(data)
        else:
            self._view[self._held : self._held + len(data)] = data
            self._held += len(data)

    def cells(self, read_into: ReadInto, column: str, first: int, sizes: list[int]) -> None:
        """Put the cells from number `first` on, each behind its length, read straight into the buffer."""
        view, room, pack, held = self._view, len(self._view), LENGTH.pack_into, self._held
        for cell, size in enumerate(sizes, first):
            end = held + 4 + size
            if end > room:
                self._held = held
                self.flush()
                held, end = 0, 4 + size
                if end > room:
                    self._large(read_into, column, cell, size)
                    continue
            pack(view, held, size)
            if size:
                read_into(column, cell, 0, view[held + 4 : end])
            held = end
        self._held = held

    def _large(self, read_into: ReadInto, column: str, cell: int, size: int) -> None:
        self.put(LENGTH.pack(size))
        self.flush()
        for offset in range(0, size, len(self._view)):
            part = self._view[: min(len(self._view), size - offset)]
            read_into(column, cell, offset, part)
            self._sink.write(part)
            self._sent += len(part)

    def flush(self) -> None:
        """Send what is held to the sink."""
        if self._held:
            self._sink.write(self._view[: self._held])
        self._sent += self._held
        self._held = 0
