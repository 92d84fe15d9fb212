"""References become entries: every media cell gets its size and version, or the policy decides what becomes of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sealift.formats.rowdigest import RowDigest
from sealift.formats.rowfile import KEY, REFERENCE, RowFile, passed
from sealift.model.column import MediaColumn
from sealift.model.plan import Config
from sealift.model.problem import Problem
from sealift.plan.cells import Cells, Lookup
from sealift.plan.gather import Gathered
from sealift.plan.notes import Notes
from sealift.plan.rejects import Policy, Rejects
from sealift.plan.shape import SPLIT, numbered
from sealift.plan.tally import RowSizes, Tally


@dataclass
class ResolvedSplit:
    """The rows of one split: where they lie, what they say, and what they come to in each config."""

    file: RowFile
    digest: RowDigest
    tallies: Mapping[str, Tally]
    present: dict[str, int] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return self.file.rows


@dataclass(frozen=True)
class Resolved:
    """The rows by split, on disk in `rows/<split>.parquet`, and what they come to.

    `longest` has the bytes of the longest value of each leaf of text.
    """

    splits: Mapping[str, ResolvedSplit]
    longest: Mapping[str, int]
    rejects: int
    problems: tuple[Problem, ...]

    @property
    def rows(self) -> dict[str, int]:
        """How many rows each split has."""
        return {name: split.rows for name, split in self.splits.items()}


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
    lookups = {name: Lookup(batches) for name, batches in joined.items()}
    schema = _row_schema(gathered, media)
    splits = {name: _split(name, number, configs, schema, work) for number, name in enumerate(gathered.splits)}
    notes = Notes()
    longest: dict[str, int] = {}
    with ExitStack() as stack:
        for split in splits.values():
            stack.enter_context(split.file)
        rejects = stack.enter_context(Rejects(work / "rejects.parquet", list(media), policy))
        for batch in passed(gathered.file):
            arrays, refused = {}, np.zeros(batch.num_rows, bool)
            for name, column in media.items():
                cells = Cells.of(column, batch.column(name), lookups[name])
                arrays[name] = cells.array()
                refused[cells.rows[cells.refused]] = True
                rejects.add(cells, batch, notes)
            kept = _with_media(batch, arrays, schema)
            left = pa.array(~refused) if policy == "skip" else None
            for name, rows in _by_split(kept, batch.column(SPLIT), left):
                into = splits[name]
                named = rows if keyed else _numbered(rows, name, into.rows)
                sizes = RowSizes.of(named, media)
                sizes.refuse(named, row_bytes_limit, notes)
                _take(into, named, sizes, configs, longest)
    return Resolved(splits, longest, rejects.count, tuple(notes.problems()))


def _split(name: str, number: int, configs: Sequence[Config], schema: pa.Schema, work: Path) -> ResolvedSplit:
    tallies = {one.name: Tally.at(work / "sizes" / f"{place}-{number}") for place, one in enumerate(configs)}
    return ResolvedSplit(RowFile(work / "rows" / f"{name}.parquet", schema), RowDigest(schema), tallies)


def _row_schema(gathered: Gathered, media: Mapping[str, MediaColumn]) -> pa.Schema:
    fields = [gathered.schema.field(name) for name in (*gathered.columns, KEY)]
    return pa.schema([pa.field(f.name, _reference(media[f.name])) if f.name in media else f for f in fields])


def _reference(column: MediaColumn) -> pa.DataType:
    return pa.list_(REFERENCE) if column.many else REFERENCE


def _with_media(batch: pa.RecordBatch, arrays: Mapping[str, pa.Array], schema: pa.Schema) -> pa.RecordBatch:
    columns = [arrays[name] if name in arrays else batch.column(name) for name in schema.names]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _by_split(rows: pa.RecordBatch, splits: pa.Array, left: pa.Array | None) -> Iterator[tuple[str, pa.RecordBatch]]:
    """The rows of each split that occurs, in order; of those that are `left`, if that is given."""
    for name in pc.unique(splits).drop_null().to_pylist():
        here = pc.equal(splits, name)
        if left is not None:
            here = pc.and_(here, left)
        if found := pc.sum(here).as_py():
            yield name, rows if found == rows.num_rows else rows.filter(here)


def _numbered(rows: pa.RecordBatch, split: str, first: int) -> pa.RecordBatch:
    """Without a key, a row's key is its split and its number there (the config is put before it in the index)."""
    keys = numbered(f"{split}/", first, rows.num_rows)
    return rows.set_column(rows.schema.get_field_index(KEY), KEY, keys)


def _take(
    into: ResolvedSplit, rows: pa.RecordBatch, sizes: RowSizes, configs: Sequence[Config], longest: dict[str, int]
) -> None:
    """Put the rows into their split, and count them."""
    into.file.write(rows)
    into.digest.add(rows)
    for config in configs:
        into.tallies[config.name].add(config.columns, sizes)
    for name, cells in sizes.cells.items():
        into.present[name] = into.present.get(name, 0) + int(np.count_nonzero(cells))
    for leaf, length in sizes.longest.items():
        longest[leaf] = max(longest.get(leaf, 0), length)
