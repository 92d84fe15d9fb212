"""Reading before it is asked for: jobs a few at once and in order, and ranges of a file joined and cut for that."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
Range = tuple[int, int]
"""Bytes of a file: from, up to."""


@dataclass(frozen=True, slots=True)
class Reach:
    """How a place is best read: at most `piece` bytes at a time, `at_once` reads ahead of what is looked at.

    A gap of `gap` bytes is read and thrown away rather than left out by another read.
    """

    piece: int
    gap: int
    at_once: int


NEAR = Reach(piece=4 << 20, gap=64 << 10, at_once=1)
"""A disk: reads cost nothing beside their bytes, but one is under way while another's bytes are hashed."""
FAR = Reach(piece=8 << 20, gap=256 << 10, at_once=4)
"""A Hub: a read is a request of 50 to 100 ms, and one connection is slow. Five pieces are held, 40 MiB."""


def in_order(
    function: Callable[[Item], Result], items: Iterable[Item], at_once: int
) -> Generator[tuple[Item, Future[Result]]]:
    """Every item with what the function makes of it, in the items' order; threads are `at_once` items ahead.

    Closing the iterator waits for what has begun, and begins nothing more.
    """
    waiting: deque[tuple[Item, Future[Result]]] = deque()
    pool = ThreadPoolExecutor(at_once, "ahead")
    try:
        for item in items:
            waiting.append((item, pool.submit(function, item)))
            if len(waiting) > at_once:
                yield waiting.popleft()
        while waiting:
            yield waiting.popleft()
    finally:
        pool.shutdown(cancel_futures=True)


def runs(ranges: Iterable[Range], gap: int) -> list[Range]:
    """The ranges in order, those that touch, overlap or lie at most `gap` bytes apart joined."""
    joined: list[Range] = []
    for start, end in sorted(one for one in ranges if one[0] < one[1]):
        if joined and start - joined[-1][1] <= gap:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined


def pieces(ranges: Iterable[Range], reach: Reach) -> list[Range]:
    """What to read to have the ranges: runs of them, none longer than a piece."""
    return [
        (at, min(at + reach.piece, end))
        for start, end in runs(ranges, reach.gap)
        for at in range(start, end, reach.piece)
    ]
