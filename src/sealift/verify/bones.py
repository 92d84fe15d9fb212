"""What is left of a column chunk without its cells: enough to walk its pages."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable
from functools import cached_property

import numpy as np

from sealift.formats.parquet.chains import Int64

NONE = np.empty(0, np.int64)


class Bones:
    """What lies between the cells of a column chunk: the pages' heads and levels, and the cells' lengths.

    The cells are those that the index tells of, one behind the other. Their bytes read as 0. Who walks the pages does
    not look at them, unless the cells do not lie where they were said to lie, and then finds others than were said.
    Memory: some 50 bytes a cell; of more than `most` bytes the last read as 0, too, and no lengths are given.
    """

    def __init__(self, offset: Int64, size: Int64, most: int = 64 << 20) -> None:
        self._offset = offset
        self._size = size
        self._most = most
        self._held = bytearray()
        self._starts = array("q")
        self._ends = array("q")
        # Up to where the bytes are held that lie before each cell that was come to.
        self._before = array("q")
        self._lost = False

    def take(self, start: int, views: Iterable[memoryview], *, cell: bool = False) -> None:
        """Remember what comes next in the file, from `start` on; behind it lies the next cell, or none."""
        for view in views:
            if len(self._held) + len(view) <= self._most:
                self._held += view
                self._starts.append(start)
                self._ends.append(len(self._held))
            else:
                self._lost = True
            start += len(view)
        if cell:
            self._before.append(len(self._held))

    def range(self, offset: int, length: int, /) -> bytes:
        """These bytes of the file."""
        data = bytearray(length)
        for at in range(max(0, bisect_right(self._starts, offset) - 1), len(self._starts)):
            start, held = self._starts[at], self._ends[at - 1] if at else 0
            if start >= offset + length:
                break
            begin, end = max(start, offset), min(start + self._ends[at] - held, offset + length)
            if begin < end:
                data[begin - offset : end - offset] = self._held[held + begin - start : held + end - start]
        return bytes(data)

    def lengths(self, start: int, end: int, count: int, /) -> Int64:
        """The lengths before the next cells, as the file has them; none where it is not these that begin at `start`."""
        first = int(np.searchsorted(self._offset, start + 4))
        told = slice(first, first + count)
        chain = start + np.cumsum(self._size[told] + 4) - self._size[told]
        return self._found[told] if np.array_equal(chain, self._offset[told]) else NONE

    @cached_property
    def _found(self) -> Int64:
        """The four bytes before each cell as a number; none if some of them were not kept."""
        if self._lost:
            return NONE
        held, at = np.frombuffer(self._held, np.uint8), np.frombuffer(self._before, np.int64)
        return np.asarray(sum(held[at - 4 + byte].astype(np.int64) << 8 * byte for byte in range(4)), np.int64)
