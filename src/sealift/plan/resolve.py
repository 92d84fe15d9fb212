"""References become entries: every media cell gets its size and version, or the policy decides what becomes of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sealift.formats import parquet
from sealift.formats.index import cells_of
from sealift.formats.rowfile import KEY, REFERENCE, RowFile, RowReader
from sealift.model.column import MediaColumn
from sealift.model.plan import Config
from sealift.model.problem import Problem
from sealift.plan.cut import Running
from sealift.plan.gather import EXAMPLES, SPLIT, Gathered

Policy = Literal["fail", "skip", "null"]
Mask = npt.NDArray[np.bool_]
Int64 = npt.NDArray[np.int64]

MAX_CELL_BYTES = (1 << 31) - 4096
"""What the cells of one row in one media column may hold together: readers keep them in one 32-bit Arrow array."""

REJECTS = pa.schema(
    [
        ("key", pa.string()),
        ("split", pa.string()),
        ("column", pa.string()),
        ("element", pa.int32()),
        ("path", pa.string()),
        ("reason", pa.string()),
        ("action", pa.string()),
    ]
)


@dataclass
class Tally:
    """What the rows of one split of one config come to. The sizes are cumulative, row by row, and lie on disk."""

    bound: Running
    light: Running
    media: Running
    cells: Running
    num_bytes: int = 0
    present: dict[str, int] = field(default_factory=dict)

    @classmethod
    def at(cls, folder: Path) -> Tally:
        """An empty tally whose sums grow in that folder."""
        return cls(*[Running(folder / what) for what in ("bound", "light", "media", "cells")])  # type: ignore[arg-type]


@dataclass(frozen=True)
class Resolved:
    """The rows by split, on disk in `rows/<split>.parquet`, and what they come to."""

    rows: Mapping[str, int]
    tallies: Mapping[tuple[str, str], Tally]
    longest: Mapping[str, int]
    heaviest_row: int
    rejects: int
    problems: tuple[Problem, ...]


def resolve(
    gathered: Gathered,
    joined: Mapping[str, Iterator[pa.RecordBatch]],
    configs: Sequence[Config],
    policy: Policy,
    work: Path,
    *,
    keyed: bool,
    row_bytes_limit: int,
) -> Resolved:
    """Stream the gathered rows and, in step, what the listing says of each reference. Memory: a few batches a split.

    `joined` yields, for each media column, a record per reference in the order of (row, element).
    """
    media = {column.name: column for column in gathered.media}
    lookups = {name: _Lookup(batches) for name, batches in joined.items()}
    schema = _row_schema(gathered)
    tallies = {
        (config.name, split): Tally.at(work / "sizes" / f"{c}-{s}")
        for c, config in enumerate(configs)
        for s, split in enumerate(gathered.splits)
    }
    notes = _Notes(policy, row_bytes_limit)
    longest: dict[str, int] = {}
    with ExitStack() as stack:
        files = {
            split: stack.enter_context(RowFile(work / "rows" / f"{split}.parquet", schema)) for split in gathered.splits
        }
        rejects = stack.enter_context(_Rejects(work / "rejects.parquet"))
        for batch in RowReader(gathered.file).batches():
            arrays, bad = {}, np.zeros(batch.num_rows, bool)
            for name, column in media.items():
                cells = _Cells.of(column, batch.column(name), lookups[name])
                arrays[name] = cells.array()
                bad |= cells.refuse(batch, policy, rejects, notes)
            kept = _with_media(batch, arrays, schema)
            if policy == "skip" and bad.any():
                kept, batch = kept.filter(pa.array(~bad)), batch.filter(pa.array(~bad))
            for split in gathered.splits:
                here = pc.equal(batch.column(SPLIT), split)
                rows = kept.filter(here)
                if rows.num_rows:
                    if not keyed:
                        rows = _numbered(rows, split, files[split].rows)
                    files[split].write(rows)
                    _tally(rows, split, configs, media, tallies, notes, longest)
        rows_by_split = {split: file.rows for split, file in files.items()}
    return Resolved(rows_by_split, tallies, longest, notes.heaviest_row, rejects.count, tuple(notes.problems()))


def _row_schema(gathered: Gathered) -> pa.Schema:
    media = {column.name: column for column in gathered.media}
    source = RowReader(gathered.file).schema
    fields = []
    for name in gathered.columns:
        if name in media:
            fields.append(pa.field(name, pa.list_(REFERENCE) if media[name].many else REFERENCE))
        else:
            fields.append(source.field(name))
    return pa.schema([*fields, pa.field(KEY, pa.string())])


def _with_media(batch: pa.RecordBatch, arrays: Mapping[str, pa.Array], schema: pa.Schema) -> pa.RecordBatch:
    columns = [arrays[name] if name in arrays else batch.column(name) for name in schema.names]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _numbered(rows: pa.RecordBatch, split: str, first: int) -> pa.RecordBatch:
    """Without a key, a row's key is its split and its number there (the config is put before it in the index)."""
    keys = pa.array([f"{split}/{number}" for number in range(first, first + rows.num_rows)], pa.string())
    return rows.set_column(rows.schema.get_field_index(KEY), KEY, keys)


class _Lookup:
    """Hands out what the listing says of the next n references."""

    def __init__(self, batches: Iterator[pa.RecordBatch]) -> None:
        self._batches = batches
        self._held: pa.RecordBatch | None = None

    def take(self, count: int) -> pa.Table:
        parts: list[pa.RecordBatch] = []
        while count:
            if self._held is None or not self._held.num_rows:
                self._held = next(self._batches)
                continue
            part = self._held.slice(0, count)
            self._held = self._held.slice(part.num_rows)
            count -= part.num_rows
            parts.append(part)
        return pa.Table.from_batches(parts) if parts else None


@dataclass(frozen=True)
class _Cells:
    """The cells of one media column in a batch: flat, with what the listing says of each."""

    column: MediaColumn
    shape: pa.Array
    parents: Int64
    elements: Int64
    paths: pa.Array
    sizes: Int64
    versions: pa.Array
    there: Mask
    reasons: Mapping[str, Mask]

    @classmethod
    def of(cls, column: MediaColumn, array: pa.Array, lookup: _Lookup) -> _Cells:
        if column.many:
            parents = pc.list_parent_indices(array).to_numpy(zero_copy_only=False).astype(np.int64)
            flat = array.flatten()
        else:
            parents, flat = np.arange(len(array)), array
        elements = np.arange(len(parents)) - np.searchsorted(parents, parents, side="left")
        there = flat.is_valid().to_numpy(zero_copy_only=False)
        said = lookup.take(int(there.sum()))
        sizes, found, readable = np.zeros(len(flat), np.int64), ~there, np.ones(len(flat), bool)
        versions = pa.nulls(len(flat), pa.string())
        if said is not None:
            sizes[there] = pc.fill_null(said["size"], 0).to_numpy()
            found[there] = said["found"].to_numpy()
            readable[there] = pc.fill_null(said["readable"], True).to_numpy()
            positions = np.zeros(len(flat), np.int64)
            positions[there] = np.arange(int(there.sum()))
            versions = said["version"].combine_chunks().take(pa.array(positions, mask=~there))
        reasons = {
            "missing": there & ~found,
            "unreadable": there & found & ~readable,
            "empty": there & found & readable & (sizes == 0),
        }
        return cls(column, array, parents, elements, flat, sizes, versions, there, reasons)

    @property
    def bad(self) -> Mask:
        return np.asarray(np.logical_or.reduce(list(self.reasons.values())), np.bool_)

    def array(self) -> pa.Array:
        """The cells as references; those that cannot be used are null."""
        gone = ~self.there | self.bad
        sizes = np.where(gone, 0, self.sizes)
        flat = pa.StructArray.from_arrays(
            [self.paths, pa.array(sizes), self.versions], fields=list(REFERENCE), mask=pa.array(gone)
        )
        if not self.column.many:
            return flat
        offsets = self.shape.offsets.to_numpy()
        lengths = np.diff(offsets) * self.shape.is_valid().to_numpy(zero_copy_only=False)
        starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
        mask = self.shape.is_null() if self.shape.null_count else None
        return pa.ListArray.from_arrays(pa.array(starts), flat, mask=mask)

    def refuse(self, batch: pa.RecordBatch, policy: Policy, rejects: _Rejects, notes: _Notes) -> Mask:
        """Write down the cells that cannot be used; returns which rows have one."""
        rows = np.zeros(batch.num_rows, bool)
        if not self.bad.any():
            return rows
        rows[self.parents[self.bad]] = True
        action = {"fail": "refused", "skip": "row left out", "null": "cell made null"}[policy]
        for reason, mask in self.reasons.items():
            for number in np.flatnonzero(mask):
                row = int(self.parents[number])
                key, path = batch.column(KEY)[row].as_py(), self.paths[int(number)].as_py()
                element = int(self.elements[number]) if self.column.many else None
                split = batch.column(SPLIT)[row].as_py()
                rejects.add((key, split, self.column.name, element, path, reason, action))
                notes.rejected(self.column.name, reason, f"{key} ({path})")
        return rows


class _Rejects:
    """The rejects, written in batches. Use it with `with`."""

    def __init__(self, path: Path) -> None:
        self.count = 0
        self._path = path
        self._waiting: list[tuple[Any, ...]] = []

    def __enter__(self) -> _Rejects:
        self._writer = pq.ParquetWriter(self._path, REJECTS, compression="zstd")
        return self

    def add(self, record: tuple[Any, ...]) -> None:
        self.count += 1
        self._waiting.append(record)
        if len(self._waiting) == 10_000:
            self._flush()

    def _flush(self) -> None:
        columns = [
            pa.array(values, kind.type) for values, kind in zip(zip(*self._waiting, strict=True), REJECTS, strict=True)
        ]
        self._writer.write_table(pa.table(columns, schema=REJECTS))
        self._waiting = []

    def __exit__(self, *error: object) -> None:
        if self._waiting:
            self._flush()
        self._writer.close()


class _Notes:
    """Counts of cells that cannot be used and of rows that cannot be kept, with the first few of each."""

    def __init__(self, policy: Policy, row_bytes_limit: int) -> None:
        self.policy = policy
        self.row_bytes_limit = row_bytes_limit
        self.heaviest_row = 0
        self._rejected: dict[tuple[str, str], tuple[int, list[str]]] = {}
        self._problems: list[Problem] = []

    def rejected(self, column: str, reason: str, place: str) -> None:
        count, places = self._rejected.get((column, reason), (0, []))
        self._rejected[(column, reason)] = (count + 1, places if len(places) >= EXAMPLES else [*places, place])

    def too_large(self, key: str, column: str, size: int) -> None:
        self._problems.append(
            Problem(
                "row-too-large",
                f"the files of column `{column}` have {size} bytes together; readers take less than 2 GiB",
                place=key,
                remedy="leave the row out, split its files over rows, or publish these files beside the data (`also:`)",
            )
        )

    def heavy(self, key: str, size: int) -> None:
        self._problems.append(
            Problem(
                "row-over-memory",
                f"the columns beside the media take {size} bytes in this row: more than the memory budget can keep",
                place=key,
                remedy="give more --memory, or move the long text into a file of its own",
            )
        )

    def problems(self) -> Iterator[Problem]:
        severity: Literal["error", "warning"] = "error" if self.policy == "fail" else "warning"
        remedy = {
            "fail": "put the files there, or say `missing: skip` or `missing: null`",
            "skip": "these rows are left out and listed",
            "null": "these cells are null, and listed",
        }[self.policy]
        for (column, reason), (count, places) in sorted(self._rejected.items()):
            yield Problem(
                f"media-{reason}",
                f"files of column `{column}` are {reason}",
                place=", ".join(places),
                remedy=remedy,
                severity=severity,
                count=count,
            )
        yield from self._problems[: EXAMPLES * 4]


def _tally(
    rows: pa.RecordBatch,
    split: str,
    configs: Sequence[Config],
    media: Mapping[str, MediaColumn],
    tallies: Mapping[tuple[str, str], Tally],
    notes: _Notes,
    longest: dict[str, int],
) -> None:
    """Add the rows' sizes, column by column, to each config that has the column."""
    zero = np.zeros(rows.num_rows, np.int64)
    bound: dict[str, Int64] = {}
    in_memory: dict[str, Int64] = {}
    cells: dict[str, Int64] = {}
    bytes_: dict[str, Int64] = {}
    for name in rows.schema.names:
        if name == KEY:
            continue
        one, columns = rows.select([name]), [media[name]] if name in media else []
        if columns:
            bytes_[name], cells[name] = _media_sizes(rows.column(name), media[name])
            for number in np.flatnonzero(bytes_[name] > MAX_CELL_BYTES):
                notes.too_large(rows.column(KEY)[int(number)].as_py(), name, int(bytes_[name][number]))
        bound[name] = parquet.light_bytes(one, columns)
        in_memory[name] = parquet.value_bytes(one, columns)
        for leaf, length in parquet.longest_values(one, columns).items():
            longest[leaf] = max(longest.get(leaf, 0), length)
    light = sum(in_memory.values(), zero) - sum(bytes_.values(), zero)
    notes.heaviest_row = max(notes.heaviest_row, int(light.max(initial=0)))
    for number in np.flatnonzero(light > notes.row_bytes_limit):
        notes.heavy(rows.column(KEY)[int(number)].as_py(), int(light[number]))
    for config in configs:
        tally = tallies[(config.name, split)]
        kept = [name for name in config.columns if name in media]
        tally.media.add(sum((bytes_[name] for name in kept), zero))
        tally.cells.add(sum((cells[name] for name in kept), zero))
        tally.bound.add(
            sum((bound[name] for name in config.columns), zero) + sum((bytes_[name] for name in kept), zero)
        )
        tally.light.add(
            sum((in_memory[name] for name in config.columns), zero) - sum((bytes_[name] for name in kept), zero)
        )
        tally.num_bytes += int(sum((in_memory[name] for name in config.columns), zero).sum())
        for name in kept:
            tally.present[name] = tally.present.get(name, 0) + int((cells[name] > 0).sum())


def _media_sizes(array: pa.Array, column: MediaColumn) -> tuple[Int64, Int64]:
    """Bytes and cells of each row in one media column."""
    found = cells_of(array, column)
    counts = np.bincount(found.rows, minlength=len(array))
    sizes = np.zeros(len(array), np.int64)
    np.add.at(sizes, found.rows, found.references.field("size").to_numpy())
    return sizes, counts.astype(np.int64)
