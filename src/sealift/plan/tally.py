"""What rows come to: bytes in the file, in memory and of media, summed row by row on disk."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sealift.formats import parquet
from sealift.formats.index import cells_of
from sealift.formats.rowfile import KEY
from sealift.model.column import MediaColumn
from sealift.plan.cut import Int64
from sealift.plan.notes import Notes

WINDOW = 1 << 16
"""How many sums are in memory at once: half a megabyte."""
MAX_CELL_BYTES = (1 << 31) - 4096
"""What the cells of one row in one media column may hold together: readers keep them in one 32-bit Arrow array."""


class Sums:
    """Cumulative sums in a file, to be looked at like an array. Memory: one window, wherever one looks."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._count = os.path.getsize(path) // 8
        self._start = 0
        self._window: Int64 = np.zeros(0, np.int64)

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, at: int) -> np.int64: ...
    @overload
    def __getitem__(self, at: slice) -> Int64: ...
    def __getitem__(self, at: int | slice) -> np.int64 | Int64:
        start, stop = (at, at + 1) if isinstance(at, int) else at.indices(self._count)[:2]
        if start < self._start or stop > self._start + len(self._window):
            self._start = start
            self._window = np.fromfile(self._path, np.int64, max(WINDOW, stop - start), offset=start * 8)
        found = self._window[start - self._start : stop - self._start]
        return found[0] if isinstance(at, int) else found


class Running:
    """A cumulative sum that grows batch by batch on disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.total = 0
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(np.zeros(1, np.int64).tobytes())

    def add(self, sizes: Int64) -> None:
        """Append the sizes of the next rows."""
        if len(sizes):
            sums = np.cumsum(sizes, dtype=np.int64) + self.total
            self.total = int(sums[-1])
            with open(self.path, "ab") as file:
                file.write(sums.tobytes())

    def sums(self) -> Sums:
        """Everything added so far."""
        return Sums(self.path)


@dataclass
class Tally:
    """What the rows of one split of one config come to; `present` counts rows with media, by column.

    `bound` sums what a row takes in the file at most, `light` what its columns beside the media take in memory,
    `media` and `cells` the bytes and the number of its files. `num_bytes` is the whole in memory, `index_bytes` what
    its index records hold.
    """

    bound: Running
    light: Running
    media: Running
    cells: Running
    num_bytes: int = 0
    index_bytes: int = 0
    present: dict[str, int] = field(default_factory=dict)

    @classmethod
    def at(cls, folder: Path) -> Tally:
        """An empty tally whose sums grow in that folder."""
        bound, light, media, cells = (Running(folder / what) for what in ("bound", "light", "media", "cells"))
        return cls(bound, light, media, cells)

    def add(self, columns: Sequence[str], sizes: RowSizes) -> None:
        """Take the sizes of the next rows in these columns."""
        media = [name for name in columns if name in sizes.media]
        self.bound.add(sizes.over(sizes.stored, columns) + sizes.over(sizes.media, media))
        self.light.add(sizes.over(sizes.in_memory, columns) - sizes.over(sizes.media, media))
        self.media.add(sizes.over(sizes.media, media))
        self.cells.add(sizes.over(sizes.cells, media))
        self.num_bytes += int(sizes.over(sizes.in_memory, columns).sum())
        for name in media:
            self.index_bytes += sizes.index[name]
            self.present[name] = self.present.get(name, 0) + int(np.count_nonzero(sizes.cells[name]))


@dataclass
class RowSizes:
    """The sizes of a batch of rows, column by column: a number a row.

    `stored` is what the file takes beside the media's bytes, at most; `in_memory` the column in Arrow, media included;
    `longest` the longest value of each leaf of text; `index` the bytes of keys and paths in a column's index records.
    """

    rows: int
    stored: dict[str, Int64] = field(default_factory=dict)
    in_memory: dict[str, Int64] = field(default_factory=dict)
    media: dict[str, Int64] = field(default_factory=dict)
    cells: dict[str, Int64] = field(default_factory=dict)
    longest: dict[str, int] = field(default_factory=dict)
    index: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, rows: pa.RecordBatch, media: Mapping[str, MediaColumn]) -> RowSizes:
        """Measure the rows."""
        made = cls(rows.num_rows)
        keys = pc.binary_length(rows.column(KEY)).to_numpy(zero_copy_only=False)
        for name in (name for name in rows.schema.names if name != KEY):
            one, columns = rows.select([name]), [media[name]] if name in media else []
            if columns:
                made.media[name], made.cells[name], paths = _media_sizes(rows.column(name), media[name])
                made.index[name] = paths + int(np.sum(keys * made.cells[name]))
            made.stored[name] = parquet.light_bytes(one, columns)
            made.in_memory[name] = parquet.value_bytes(one, columns)
            made.longest.update(parquet.longest_values(one, columns))
        return made

    def over(self, sizes: Mapping[str, Int64], columns: Sequence[str]) -> Int64:
        """The sum over these columns, a number a row."""
        return sum((sizes[name] for name in columns), np.zeros(self.rows, np.int64))

    @property
    def light(self) -> Int64:
        """What each row takes in memory beside its media."""
        return self.over(self.in_memory, [*self.in_memory]) - self.over(self.media, [*self.media])

    def refuse(self, rows: pa.RecordBatch, row_bytes_limit: int, notes: Notes) -> None:
        """Note the rows that could not be kept: in Parquet, or in the memory that there is."""
        for name, sizes in self.media.items():
            notes.add(
                "row-too-large",
                f"the files of column `{name}` in one row have 2 GiB or more together; readers take less",
                "leave the row out, split its files over rows, or publish these files beside the data (`also:`)",
                *_keyed(rows, sizes, MAX_CELL_BYTES),
            )
        notes.add(
            "row-over-memory",
            "the columns beside the media take more in one row than the memory budget can keep",
            "give more --memory, or move the long text into a file of its own",
            *_keyed(rows, self.light, row_bytes_limit),
        )


def _keyed(rows: pa.RecordBatch, sizes: Int64, limit: int) -> tuple[int, list[str]]:
    """How many rows are above the limit; the first of them by key."""
    over = np.flatnonzero(sizes > limit)
    return len(over), [f"{rows.column(KEY)[int(row)].as_py()} ({sizes[row]} bytes)" for row in over[: Notes.EXAMPLES]]


def _media_sizes(array: pa.Array, column: MediaColumn) -> tuple[Int64, Int64, int]:
    """Bytes and cells of each row in one media column, and the bytes of all paths."""
    found = cells_of(array, column)
    starts = np.searchsorted(found.rows, np.arange(len(array) + 1))
    sums = np.concatenate(([0], np.cumsum(found.references.field("size").to_numpy(), dtype=np.int64)))
    paths = pc.sum(pc.binary_length(found.references.field("path"))).as_py() or 0
    return np.diff(sums[starts]), np.diff(starts).astype(np.int64), int(paths)
