"""A sink that knows what went through it: SHA-256, size, and some pieces to look for where it went."""

from __future__ import annotations

import hashlib
import heapq
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import blake3

from sealift.errors import IntegrityError
from sealift.ports import Sink, Staged, Stages

MARKS = 8
"""So many pieces of a file are marked."""
MARK_BYTES = 64 << 10
SMALL_BYTES = 1 << 20
"""Up to this size a file is read back whole."""


@dataclass(frozen=True, slots=True, order=True)
class Mark:
    """Some bytes of a file, by their BLAKE3: whoever reads them back knows whether they are what was written."""

    offset: int
    size: int
    digest: bytes

    def fits(self, data: bytes | bytearray | memoryview) -> bool:
        """Whether these are the marked bytes."""
        return blake3.blake3(data).digest() == self.digest


class Measured:
    """Passes everything on and measures it; enough of a file for pyarrow. With `digests` SHA-256 is taken, too."""

    closed = False

    def __init__(self, sink: Sink, *, digests: bool = True) -> None:
        self._write: Callable[[Any], object] = sink.write
        self._marked: list[tuple[float, Mark]] = []
        # Not for secrets: any bytes will do, as long as they are others each time.
        self._chance = random.Random()  # noqa: S311
        self._digest = hashlib.sha256() if digests else None
        self.size = 0

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Take all of the data; how many bytes that was."""
        if self._digest is not None:
            self._digest.update(data)
        self._write(data)
        self._mark(data)
        self.size += len(data)
        return len(data)

    @property
    def sha256(self) -> str | None:
        """That of all bytes so far; None if it is taken elsewhere."""
        return None if self._digest is None else self._digest.hexdigest()

    def marks(self) -> list[Mark]:
        """At most `MARKS` pieces of at most `MARK_BYTES`, at random places, in the order of the file."""
        return sorted(mark for _, mark in self._marked)

    def _mark(self, data: bytes | bytearray | memoryview) -> None:
        """Keep a piece of this write with the chance that its size gives it among all writes so far.

        Sampling by weight from a stream: keep those with the largest u ** (1 / weight), u uniform in [0, 1)
        (Efraimidis and Spirakis, 2006).
        """
        if not len(data):
            return
        luck = self._chance.random() ** (1 / len(data))
        if len(self._marked) == MARKS and luck <= self._marked[0][0]:
            return
        start = self._chance.randrange(max(1, len(data) - MARK_BYTES + 1))
        piece = memoryview(data)[start : start + MARK_BYTES]
        mark = Mark(self.size + start, len(piece), blake3.blake3(piece).digest())
        (heapq.heappushpop if len(self._marked) == MARKS else heapq.heappush)(self._marked, (luck, mark))

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """Who opened the sink closes it."""


@dataclass
class ReadBack:
    """What the destination has of a staged file, to be held against what was sent. A small file is fetched once."""

    stages: Stages
    staged: Staged
    _whole: bytes | None = None

    def range(self, offset: int, length: int) -> bytes:
        """These bytes; fewer where the file ends.

        Raises:
            IntegrityError, DestinationError: as `Stages.read_back` says.
        """
        if self.staged.size > SMALL_BYTES:
            return self._fetch(offset, min(length, self.staged.size - offset))
        if self._whole is None:
            self._whole = self._fetch(0, self.staged.size)
        return self._whole[offset : offset + length]

    def check(self, marks: Iterable[Mark]) -> None:
        """See that the marked bytes are there.

        Raises:
            IntegrityError: the destination has others.
            DestinationError: it does not answer.
        """
        for mark in marks:
            if not mark.fits(self.range(mark.offset, mark.size)):
                raise IntegrityError(
                    f"{self.staged.path}: at {mark.offset} the destination has other bytes than were sent",
                    hint="not published; run again, and if it stays so, clear the uploader's cache (HF_XET_CACHE)",
                    path=self.staged.path,
                    offset=mark.offset,
                    size=mark.size,
                )

    def _fetch(self, offset: int, length: int) -> bytes:
        data = bytearray(max(0, length))
        self.stages.read_back(self.staged, offset, memoryview(data))
        return bytes(data)
