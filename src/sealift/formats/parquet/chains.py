"""Where a walk through the pages of a column gets its bytes from: by range from any store, or from memory."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from itertools import repeat
from typing import Protocol

import numpy as np
import numpy.typing as npt

from sealift.errors import IntegrityError

Int64 = npt.NDArray[np.int64]
Read = Callable[[int, int], bytes]
"""read(offset, length): exactly these bytes of the file."""

AHEAD_BYTES = 64 << 10
LARGE_CELL = 4096


class PageBytes(Protocol):
    """The bytes of a file, for one who walks its pages from front to back."""

    def range(self, offset: int, length: int, /) -> bytes | memoryview:
        """These bytes of the file; valid until the next call.

        Raises:
            IntegrityError: they do not lie in the file.
        """
        ...

    def lengths(self, start: int, end: int, count: int, /) -> Int64:
        """The lengths of at most `count` values that lie one behind the other from `start` on, each behind its length.

        Where the chain leaves the bytes up to `end`, the answer is of any length and content: the caller adds them up.
        """
        ...


class Ranged:
    """Bytes that are fetched: of large values only their lengths, of small ones 64 KiB at a time."""

    def __init__(self, read: Read, size: int) -> None:
        self._read = read
        self._size = size
        self._block = b""
        self._start = 0

    def range(self, offset: int, length: int, /) -> memoryview:
        """These bytes, from what was read last if they are there."""
        at = offset - self._start
        if not 0 <= at <= at + length <= len(self._block):
            self._block, self._start, at = exactly(self._read, offset, length, self._size), offset, 0
        return memoryview(self._block)[at : at + length]

    def lengths(self, start: int, end: int, count: int, /) -> Int64:
        """The lengths; each read of some takes as many as lie in it."""
        ahead = AHEAD_BYTES if end - start < LARGE_CELL * count else 4
        found = array("q")
        while len(found) < count and start + 4 <= end:
            block = self.range(start, min(ahead, end - start))
            start += _follow(_words(block), 0, count - len(found), found)
        return np.frombuffer(found, np.int64)


class Memory:
    """Bytes that are there, as those of a file that is mapped: only what is looked at is read. Nothing is copied."""

    def __init__(self, view: memoryview) -> None:
        self.size = len(view)
        self._view = view
        self._fours = _words(view)

    def range(self, offset: int, length: int, /) -> memoryview:
        """These bytes, in place."""
        if not 0 <= offset <= offset + length <= self.size:
            raise _damaged(f"bytes {offset} to {offset + length} are wanted of {self.size}")
        return self._view[offset : offset + length]

    def lengths(self, start: int, end: int, count: int, /) -> Int64:
        """The lengths; some 4 million a second."""
        found = array("q")
        _follow(self._fours, start, count, found)
        return np.frombuffer(found, np.int64)


def _words(view: memoryview) -> Sequence[memoryview]:
    """The view as numbers of 4 bytes in four ways, as they may begin at any byte: the one at `n` is [n & 3][n >> 2].

    An index into a memoryview is the cheapest way to a number that Python has. Both Parquet and the machines that
    pyarrow runs on have the lowest byte first.
    """
    size = len(view)
    return [view[by : max(by, size - (size - by) % 4)].cast("I") for by in range(4)]


def _follow(words: Sequence[memoryview], at: int, count: int, found: array[int]) -> int:
    """Note the lengths of at most `count` values from `at` on, as far as the bytes go; where the next one begins."""
    note = found.append
    try:
        for _ in repeat(None, count):
            length = words[at & 3][at >> 2]
            note(length)
            at += length + 4
    except IndexError:
        pass
    return at


def exactly(read: Read, offset: int, length: int, size: int) -> bytes:
    """These bytes, all of them.

    Raises:
        IntegrityError: they do not lie in the file, or fewer came.
    """
    if not 0 <= offset <= offset + length <= size:
        raise _damaged(f"bytes {offset} to {offset + length} are wanted of {size}")
    data = read(offset, length)
    if len(data) != length:
        raise _damaged(f"{len(data)} bytes came from {offset}, not {length}")
    return data


def _damaged(what: str) -> IntegrityError:
    return IntegrityError(f"the Parquet file is damaged: {what}", hint="fetch the file again, or pack it again")
