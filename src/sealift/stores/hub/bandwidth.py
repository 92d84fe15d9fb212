"""So many bytes a second, and no more: for a line that others use, too."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache

PIECES = 8
"""Bytes go out in pieces of an eighth of a second."""
SMALLEST = 4_096
LARGEST = 1 << 20


@dataclass
class Bandwidth:
    """Lets `rate` bytes a second through, whoever sends them: nothing is saved up while nothing is sent."""

    rate: float
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _free: float = field(default=float("-inf"), init=False)
    """When all that was let through will have gone."""
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def take(self, size: int) -> None:
        """Wait until so many bytes may go."""
        with self._lock:
            now = self.clock()
            begin = max(now, self._free)
            self._free = begin + size / self.rate
        if begin > now:
            self.sleep(begin - now)

    def paced(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """The same bytes, in pieces as small as it takes, each when it may go."""
        step = int(min(LARGEST, max(SMALLEST, self.rate / PIECES)))
        for piece in pieces:
            view = memoryview(piece)
            for start in range(0, len(view), step):
                part = view[start : start + step]
                self.take(len(part))
                yield bytes(part)


def bandwidth_of(rate: float) -> Bandwidth:
    """The one of this process: all that it sends at that rate shares it."""
    return _of_process(rate, os.getpid())


def paced(rate: float | None, pieces: Iterable[bytes]) -> Iterable[bytes]:
    """The pieces, at that rate in this process, if there is one."""
    return pieces if rate is None else bandwidth_of(rate).paced(pieces)


@cache
def _of_process(rate: float, process: int) -> Bandwidth:  # noqa: ARG001
    return Bandwidth(rate)
