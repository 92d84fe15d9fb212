"""Cutting an ordered list of rows into row groups and shards, from cumulative sizes alone. Pure.

Sizes are upper bounds of what a row takes in the file, so a shard never exceeds the cap unless it is a single row.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

UNCAPPED = 1 << 62
Sizes = npt.NDArray[np.int64]
"""Cumulative sizes of n rows: n + 1 numbers, the first 0. May be a memory map: only a few numbers are looked at."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The caps of shards and row groups, in bytes and rows; None is no cap.

    `fixed` is what a shard takes before any row, `per_group` what each row group adds.
    """

    max_bytes: int | None
    group_bytes: int
    group_rows: int
    shard_rows: int | None = None
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


def cut(sizes: Sizes, limits: Limits, count: int | None = None) -> list[Cut]:
    """Cut the rows, in order, into shards as full as the caps allow, or into `count` shards of like bytes.

    With `count`, each shard has at least one row, and `max_bytes` does not apply. No rows make one empty shard.
    """
    rows = len(sizes) - 1
    if not rows:
        return [Cut(0, (), limits.fixed)]
    if count is None:
        return list(_greedy(sizes, limits))
    bounds = _like_bytes(sizes, min(count, rows))
    limits = replace(limits, max_bytes=None, shard_rows=None)
    return [_shard(sizes, start, end, limits) for start, end in pairwise(bounds)]


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
    while at < end:
        spare = UNCAPPED if limits.max_bytes is None else limits.max_bytes - bound - limits.per_group
        stop = min(_reach(sizes, at, min(limits.group_bytes, spare)), at + limits.group_rows, end)
        if stop == at:
            if groups and int(sizes[at + 1] - sizes[at]) > spare:
                break
            stop = at + 1
        groups.append(stop - at)
        bound += limits.per_group + int(sizes[stop] - sizes[at])
        at = stop
    return Cut(start, tuple(groups), bound)


def _reach(sizes: Sizes, at: int, room: int) -> int:
    """The furthest boundary such that rows [at, boundary) take at most `room` bytes."""
    return max(at, int(np.searchsorted(sizes, int(sizes[at]) + room, side="right")) - 1) if room >= 0 else at


def _like_bytes(sizes: Sizes, count: int) -> list[int]:
    """Boundaries of `count` runs of rows: each ends where the bytes come nearest its share; no run is empty."""
    rows, total = len(sizes) - 1, int(sizes[-1])
    bounds: list[int] = [0]
    for number in range(1, count):
        share = total * number // count
        after = int(np.searchsorted(sizes, share, side="left"))
        nearest = (
            after if after == 0 or int(sizes[min(after, rows)]) - share <= share - int(sizes[after - 1]) else after - 1
        )
        bounds.append(min(max(nearest, bounds[-1] + 1), rows - (count - number)))
    return [*bounds, rows]


class Running:
    """A cumulative sum that grows batch by batch on disk, to be looked at as `Sizes`."""

    def __init__(self, path: Any) -> None:
        self.path = path
        self.total = 0
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = open(path, "wb")  # noqa: SIM115 — it stays open from batch to batch
        self._file.write(np.zeros(1, np.int64).tobytes())

    def add(self, sizes: Sizes) -> None:
        """Append the sizes of the next rows."""
        if len(sizes):
            sums = np.cumsum(sizes, dtype=np.int64) + self.total
            self.total = int(sums[-1])
            self._file.write(sums.tobytes())

    def sizes(self) -> Sizes:
        """Everything added so far; stops the adding."""
        self._file.close()
        return np.memmap(self.path, np.int64, "r")
