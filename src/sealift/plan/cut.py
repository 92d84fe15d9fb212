"""Cutting an ordered list of rows into row groups and shards, from cumulative sizes alone. Pure.

Sizes are upper bounds of what a row takes in the file, so a shard never exceeds the cap unless it is a single row.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Protocol, overload

import numpy as np
import numpy.typing as npt

UNCAPPED = 1 << 62
MAX_ROW_GROUPS = 32_767
"""A Parquet file numbers its row groups with 16 bits and a sign."""
LOOK = 1024
"""How many sums are looked at first where a row group may end; twice as many each time that is not enough."""

Int64 = npt.NDArray[np.int64]


class Sizes(Protocol):
    """Cumulative sizes of n rows: n + 1 numbers that never fall, the first 0. An array, or sums on disk."""

    def __len__(self) -> int: ...
    @overload
    def __getitem__(self, at: int, /) -> int | np.int64: ...
    @overload
    def __getitem__(self, at: slice, /) -> Int64: ...


@dataclass(frozen=True, slots=True)
class Limits:
    """The caps of shards and row groups, in bytes and rows; None is no cap.

    `fixed` is what a shard takes before any row, `per_group` what each row group adds.
    """

    max_bytes: int | None
    group_bytes: int
    group_rows: int
    shard_rows: int | None = None
    shard_groups: int | None = MAX_ROW_GROUPS
    fixed: int = 0
    per_group: int = 0


@dataclass(frozen=True, slots=True)
class Cut:
    """A shard to be: rows [first, first + sum(groups)) in row groups, and the bound of its size in bytes."""

    first: int
    groups: tuple[int, ...]
    bound: int

    @property
    def rows(self) -> int:
        """How many rows it holds."""
        return sum(self.groups)


def cut(sizes: Sizes, limits: Limits, count: int | None = None) -> Iterator[Cut]:
    """Cut the rows, in order, into shards as full as the caps allow, or into `count` shards of like bytes.

    With `count`, each shard has at least one row, and the caps are those of row groups alone. No rows make one empty
    shard. Memory: the shard that is being cut.
    """
    rows = len(sizes) - 1
    if not rows:
        yield Cut(0, (), limits.fixed)
    elif count is None:
        yield from _greedy(sizes, limits)
    else:
        within = replace(limits, max_bytes=None, shard_rows=None, shard_groups=None)
        for start, end in pairwise(_like_bytes(sizes, min(count, rows))):
            yield _shard(sizes, start, end, within)


def _greedy(sizes: Sizes, limits: Limits) -> Iterator[Cut]:
    start, rows = 0, len(sizes) - 1
    while start < rows:
        shard = _shard(sizes, start, rows, limits)
        yield shard
        start += shard.rows


def _shard(sizes: Sizes, start: int, end: int, limits: Limits) -> Cut:
    """The shard that begins at `start`: row group after row group until `end` or a cap."""
    if limits.shard_rows is not None:
        end = min(end, start + limits.shard_rows)
    groups: list[int] = []
    bound, at = limits.fixed, start
    while at < end and (limits.shard_groups is None or len(groups) < limits.shard_groups):
        spare = UNCAPPED if limits.max_bytes is None else limits.max_bytes - bound - limits.per_group
        furthest = min(end, at + limits.group_rows)
        stop = _reach(sizes, at, furthest, min(limits.group_bytes, spare))
        if stop == at:
            if groups and int(sizes[at + 1] - sizes[at]) > spare:
                break
            stop = at + 1
        groups.append(stop - at)
        bound += limits.per_group + int(sizes[stop] - sizes[at])
        at = stop
    return Cut(start, tuple(groups), bound)


def _reach(sizes: Sizes, at: int, furthest: int, room: int) -> int:
    """The furthest boundary up to `furthest` such that rows [at, boundary) take at most `room` bytes."""
    if room < 0:
        return at
    goal, low, look = int(sizes[at]) + room, at, LOOK
    while low < furthest:
        window = sizes[low + 1 : min(low + look, furthest) + 1]
        fitting = int(np.searchsorted(window, goal, side="right"))
        low += fitting
        if fitting < len(window):
            break
        look *= 2
    return low


def _like_bytes(sizes: Sizes, count: int) -> Iterator[int]:
    """Boundaries of `count` runs of rows: each ends where the bytes come nearest its share; no run is empty."""
    rows, total = len(sizes) - 1, int(sizes[len(sizes) - 1])
    bound = 0
    yield bound
    for number in range(1, count):
        share = total * number // count
        after = bisect_left(sizes, share, lo=bound)
        nearest = after
        if after > bound and int(sizes[min(after, rows)]) - share > share - int(sizes[after - 1]):
            nearest = after - 1
        bound = min(max(nearest, bound + 1), rows - (count - number))
        yield bound
    yield rows
