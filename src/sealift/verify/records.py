"""The index of one config as a stream of records, handed out shard by shard and row group by row group."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sealift.errors import IntegrityError
from sealift.formats import parquet
from sealift.formats.index import GROUP_ROWS, INDEX
from sealift.model.manifest import Manifest
from sealift.model.problem import Problem
from sealift.verify.ahead import runs
from sealift.verify.bounded import MOST_UNPACKED, check_row_groups, check_stored
from sealift.verify.opened import chunks, open_file
from sealift.verify.published import UNREADABLE, Published, read_problem, shards_of


class Records:
    """Hands out index records in their order. Memory: a row group of the index, and the records of what is asked for.

    `strays` counts records of no shard, or of one that was asked for already; `broken` says what ended the stream
    early, and then nothing that was handed out proves anything.
    """

    def __init__(self, published: Published, found: Manifest, config: str) -> None:
        self.broken: Problem | None = None
        self.strays = 0
        shards = [shard.path for shard in shards_of(found, config)]
        self._rank = {shard: rank for rank, shard in enumerate(shards)}
        self._shards = pa.array(shards, pa.string())
        self._published = published
        self._batches = self._read([one.path for one in found.files if (one.role, one.config) == ("index", config)])
        self._next()

    def _next(self) -> None:
        """Hold the next batch, and the rank of each record's shard (-1 for one that is not there)."""
        self._held = next(self._batches, None)
        if self._held is not None:
            found = pc.index_in(self._held.column("shard"), value_set=self._shards)
            self._ranks = pc.fill_null(found, -1).to_numpy()

    def _read(self, paths: list[str]) -> Iterator[pa.RecordBatch]:
        for path in paths:
            try:
                with open_file(self._published, path) as opened, opened.parquet() as file:
                    check_index(file)
                    footer = opened.footer()
                    for number, places in enumerate(chunks(file.metadata, INDEX.names)):
                        check_stored(places)
                        # The columns lie side by side, and pyarrow would ask for each by itself.
                        for start, end in runs(places, 0):
                            opened.keep(start, end)
                        parquet.check_unpacked(opened.file.range, footer, number, INDEX.names, MOST_UNPACKED)
                        yield from _batches(file, number)
                        opened.drop()
            except UNREADABLE as error:
                self.broken = read_problem("index-damaged", "", self._published, path, error)
                return

    def of(self, shard: str, end_row: int | None = None) -> pa.Table:
        """The next records that are of this shard (and of its rows below `end_row`); those before it are strays."""
        rank = self._rank[shard]
        parts = []
        while self._held is not None:
            later = self._ranks > rank
            if end_row is not None:
                beyond = pc.greater_equal(self._held.column("row"), end_row)
                later |= (self._ranks == rank) & pc.fill_null(beyond, False).to_numpy(zero_copy_only=False)
            count = int(np.argmax(later)) if later.any() else len(later)
            part = self._held.slice(0, count).filter(pa.array(self._ranks[:count] == rank))
            parts.append(part)
            self.strays += count - part.num_rows
            if count < len(later):
                self._held, self._ranks = self._held.slice(count), self._ranks[count:]
                break
            self._next()
        return pa.Table.from_batches(parts, INDEX) if parts else INDEX.empty_table()

    def finish(self) -> None:
        """Count what was not asked for as strays."""
        while self._held is not None:
            self.strays += self._held.num_rows
            self._next()


def check_index(file: pq.ParquetFile) -> None:
    """See that the file can be one of an index: its columns, and how many records its row groups have.

    Raises:
        IntegrityError: it cannot.
    """
    if not file.schema_arrow.equals(INDEX, check_metadata=False):
        raise IntegrityError("its columns are not those of an index")
    check_row_groups(file.metadata, GROUP_ROWS)


def _batches(file: pq.ParquetFile, number: int) -> Iterator[pa.RecordBatch]:
    for batch in file.iter_batches(batch_size=GROUP_ROWS, row_groups=[number], use_threads=False):
        batch.validate(full=True)
        yield batch


def records_of(published: Published, found: Manifest, config: str) -> Records | None:
    """The records of a config; None if it has no index, or one that is known to be damaged."""
    paths = [one.path for one in found.files if (one.role, one.config) == ("index", config)]
    return Records(published, found, config) if paths and all(map(published.usable, paths)) else None
