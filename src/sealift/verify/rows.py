"""Level `rows`: every key once in its config, and the index names the rows that are there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sealift.formats.index import INDEX
from sealift.formats.rowfile import joined_key
from sealift.model.manifest import Manifest, PublishedConfig
from sealift.model.problem import Problem
from sealift.model.receipt import Receipt
from sealift.rows import joins
from sealift.verify.codes import problem
from sealift.verify.published import UNREADABLE, Published, said, shards_of
from sealift.verify.records import Records, records_of

KEYS = pa.schema([("key", pa.string())])
MEMORY = 256_000_000


def check_rows(published: Published, found: Manifest, work: Path) -> Iterator[Problem]:
    """Read the key columns of every shard and the records of the index, and hold them against each other."""
    for number, config in enumerate(found.configs):
        shards = shards_of(found, config.name)
        key = found.key if set(found.key) <= config.features.keys() else ()
        keys_file = work / f"keys-{number}.parquet"
        with pq.ParquetWriter(keys_file, KEYS) as writer:
            walk = _Walk(published, key, records_of(published, found, config.name), writer)
            for shard in shards:
                yield from walk.shard(shard)
        yield from _duplicates(keys_file, config.name)
        yield from _check_index(published, found, config, walk)
        keys_file.unlink()


def _duplicates(keys_file: Path, config: str) -> Iterator[Problem]:
    count, first = joins.duplicates([keys_file], "key", keys_file.parent, MEMORY)
    if count:
        named = ", ".join(f"{key} ({times} times)" for key, times in first)
        yield problem("row-duplicate", f"keys occur more than once: {named}", config, count)


def _check_index(published: Published, found: Manifest, config: PublishedConfig, walk: _Walk) -> Iterator[Problem]:
    """What the index as a whole shows. One that broke off proves nothing of the shards, so they are not blamed."""
    shards = shards_of(found, config.name)
    if walk.records is None:
        has_index = any((one.role, one.config) == ("index", config.name) for one in found.files)
        has_media = any(shard.cells for shard in shards) or any(any(s.present.values()) for s in config.splits)
        if has_media and not has_index:
            yield problem("index-missing", "the config has media, and no index of them", config.name)
        return
    walk.records.finish()
    if walk.records.broken:
        yield walk.records.broken
        return
    published.damaged.update(one.place for one in walk.problems)
    yield from walk.problems
    if walk.records.strays:
        message = f"{walk.records.strays} records belong to no shard, or are out of order"
        yield problem("index-stray", message, config.name)
    for split in config.splits:
        whole = all(published.usable(shard.path) for shard in shards if shard.split == split.name)
        for column, rows in split.present.items():
            there = walk.present[(split.name, column)]
            if whole and there != rows:
                message = f"{there} rows have files in `{column}`; the manifest says {rows}"
                yield problem("manifest-present", message, f"{config.name}/{split.name}")


@dataclass
class _Walk:
    """One way through the shards of a config; notes their keys, and what is wrong with their index records."""

    published: Published
    key: tuple[str, ...]
    records: Records | None
    writer: pq.ParquetWriter
    present: Counter[tuple[str, str]] = field(default_factory=Counter)
    problems: list[Problem] = field(default_factory=list)

    def shard(self, shard: Receipt) -> Iterator[Problem]:
        """Take the shard's keys and records; the records of one that cannot be read are passed over."""
        start = cells = wrong = 0
        if self.published.usable(shard.path):
            try:
                with pq.ParquetFile(self.published.file(shard.path)) as file:
                    for number in range(file.num_row_groups):
                        rows = file.metadata.row_group(number).num_rows
                        keys = self._keys(file, number)
                        part = self.records.of(shard.path, start + rows) if self.records else INDEX.empty_table()
                        self._count(shard.split, part)
                        cells += len(part)
                        wrong += _wrong(part, shard, start, keys)
                        self.published.checked["rows"] += rows
                        start += rows
            except UNREADABLE as error:
                self.published.damaged.add(shard.path)
                yield problem("rows-damaged", f"the rows cannot be read: {said(error)}", shard.path)
        if self.records:
            rest = len(self.records.of(shard.path))
            if self.published.usable(shard.path):
                self.problems += _judged(shard, cells, wrong, rest)

    def _keys(self, file: pq.ParquetFile, number: int) -> pa.Array | None:
        """The keys of a row group, None in a config that drops a column of the key."""
        if not self.key:
            return None
        table = file.read_row_group(number, columns=list(self.key), use_threads=False)
        table.validate(full=True)
        keys = joined_key([table[name].combine_chunks() for name in self.key])
        self.writer.write_table(pa.table([keys], schema=KEYS))
        return keys

    def _count(self, split: str, part: pa.Table) -> None:
        """Count the rows that have files, column by column; no row is in two parts."""
        for found in part.group_by("column").aggregate([("row", "count_distinct")]).to_pylist():
            self.present[(split, found["column"])] += found["row_count_distinct"]


def _judged(shard: Receipt, cells: int, wrong: int, rest: int) -> Iterator[Problem]:
    """The first thing that is wrong with a shard's records; what else is follows from it."""
    if rest:
        yield problem("index-row", f"{rest} records are of rows after the last", shard.path, rest)
    elif cells != shard.cells:
        yield problem("index-cells", f"the index has {cells} cells; the manifest says {shard.cells}", shard.path)
    elif wrong:
        yield problem("index-key", "records name another row's key, config or split", shard.path, wrong)


def _wrong(part: pa.Table, shard: Receipt, start: int, keys: pa.Array | None) -> int:
    """How many of the records name another key, config or split than the row they stand for, or a row before."""
    right = pc.and_(pc.equal(part["config"], shard.config), pc.equal(part["split"], shard.split))
    right = pc.and_(right, pc.greater_equal(part["row"], start))
    if keys is not None:
        rows = pc.subtract(part["row"], start)
        inside = pc.and_(pc.greater_equal(rows, 0), pc.less(rows, len(keys)))
        named = pc.take(keys, pc.if_else(inside, rows, None).combine_chunks())
        right = pc.and_(right, pc.equal(part["key"], named))
    return len(part) - int(pc.sum(pc.fill_null(right, False)).as_py() or 0)
