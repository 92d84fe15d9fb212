"""Reading an entry of any store: in slices, whole, or as a file for libraries that want one."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator

from sealift.errors import IntegrityError
from sealift.model.entry import Entry
from sealift.ports import Reads

SLICE = 4 << 20
AT_ONCE = 256 << 20
"""The most bytes that are read at once: the manifest of 100,000 shards has some 120 million."""


def pieces(reads: Reads, entry: Entry, slice_bytes: int = SLICE) -> Iterator[memoryview]:
    """The entry's bytes, a slice at a time; each is valid until the next. Memory: one slice."""
    yield from span(reads, entry, 0, entry.size, slice_bytes)


def span(reads: Reads, entry: Entry, start: int, size: int, slice_bytes: int = SLICE) -> Iterator[memoryview]:
    """`size` bytes of the entry from `start` on, a slice at a time; each is valid until the next."""
    buffer = memoryview(bytearray(min(slice_bytes, size)))
    for offset in range(0, size, slice_bytes):
        view = buffer[: min(slice_bytes, size - offset)]
        reads.read_into(entry, start + offset, view)
        yield view


def sha256(reads: Reads, entry: Entry, passed: Callable[[int], None]) -> str:
    """The SHA-256 of the entry, read in slices; `passed` is told the bytes of each."""
    digest = hashlib.sha256()
    for piece in pieces(reads, entry):
        digest.update(piece)
        passed(len(piece))
    return digest.hexdigest()


def whole(reads: Reads, entry: Entry, most: int = AT_ONCE) -> bytes:
    """All bytes of the entry. For small ones: manifest, card, tables of a demo.

    Raises:
        IntegrityError: it has more than `most` bytes, and so is none of them.
    """
    if entry.size > most:
        raise IntegrityError(
            f"{entry.path} has {entry.size} bytes, {most} are the most for a file of its kind",
            hint="look at what it is, and who wrote it",
            path=entry.path,
        )
    data = bytearray(entry.size)
    if data:
        reads.read_into(entry, 0, memoryview(data))
    return bytes(data)


class RangedFile(io.RawIOBase):
    """An entry as a read-only file; every read is a range of its own, nothing is read ahead."""

    def __init__(self, reads: Reads, entry: Entry) -> None:
        super().__init__()
        self._reads = reads
        self._entry = entry
        self._position = 0

    def range(self, offset: int, length: int) -> bytes:
        """These bytes; fewer where the entry ends."""
        data = bytearray(max(0, min(length, self._entry.size - offset)))
        if data:
            self._reads.read_into(self._entry, offset, memoryview(data))
        return bytes(data)

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Where the next read begins."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to an offset from the start, the position or the end."""
        self._position = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._entry.size}[whence]
        return self._position

    def readinto(self, buffer: object) -> int:
        """Fill the buffer as far as the entry goes."""
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        view = view[: max(0, self._entry.size - self._position)]
        if view:
            self._reads.read_into(self._entry, self._position, view)
        self._position += len(view)
        return len(view)
