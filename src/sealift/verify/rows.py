"""Level `rows`: every key once in its config, and the index names the rows that are there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sealift.formats.rowfile import joined_key
from sealift.model.manifest import Manifest, PublishedConfig
from sealift.model.problem import Problem
from sealift.model.receipt import Receipt
from sealift.rows import joins
from sealift.verify.published import Published
from sealift.verify.records import Records

KEYS = pa.schema([("key", pa.string())])
MEMORY = 256_000_000
AGAIN = "publish again from the source"


def check_rows(published: Published, found: Manifest, work: Path) -> Iterator[Problem]:
    """Read the key columns of every shard and the records of the index, and hold them against each other."""
    for config in found.configs:
        yield from _check_config(published, found, config, work)


def _check_config(published: Published, found: Manifest, config: PublishedConfig, work: Path) -> Iterator[Problem]:
    file = work / f"keys-{config.name}.parquet"
    records = Records(published, found, config.name)
    has_index = any(one.role == "index" and one.config == config.name for one in found.files)
    with pq.ParquetWriter(file, KEYS) as writer:
        for shard in (one for one in found.shards if one.config == config.name):
            if published.usable(shard.path):
                yield from _check_shard(published, found, config, shard, records, has_index, writer)
            else:
                records.of(shard.path)
    if left := records.left():
        yield Problem(
            "index-stray", f"{left} index records belong to no shard, or are out of order", config.name, AGAIN
        )
    if set(found.key) <= config.features.keys() and found.key:
        count, first = joins.duplicates([file], "key", work, MEMORY)
        if count:
            named = ", ".join(f"{key} ({times} times)" for key, times in first)
            yield Problem("row-duplicate", f"keys occur more than once: {named}", config.name, AGAIN, count=count)


def _check_shard(
    published: Published,
    found: Manifest,
    config: PublishedConfig,
    shard: Receipt,
    records: Records,
    has_index: bool,
    writer: pq.ParquetWriter,
) -> Iterator[Problem]:
    keyed = bool(found.key) and set(found.key) <= config.features.keys()
    start = cells = 0
    with pq.ParquetFile(published.file(shard.path)) as file:
        for number in range(file.num_row_groups):
            rows = file.metadata.row_group(number).num_rows
            keys = None
            if keyed:
                table = file.read_row_group(number, columns=list(found.key), use_threads=False)
                keys = joined_key([table[name].combine_chunks() for name in found.key])
                writer.write_table(pa.table([keys], schema=KEYS))
            published.checked["rows"] += rows
            if has_index:
                part = records.of(shard.path, start + rows)
                cells += part.num_rows
                yield from _check_records(part, shard, keys, start)
            start += rows
    if has_index and cells != shard.cells:
        yield Problem("index-cells", f"the index has {cells} cells; the manifest says {shard.cells}", shard.path, AGAIN)


def _check_records(part: pa.Table, shard: Receipt, keys: pa.Array | None, start: int) -> Iterator[Problem]:
    if not part.num_rows:
        return
    wrong = pc.or_(pc.not_equal(part["config"], shard.config), pc.not_equal(part["split"], shard.split))
    if keys is not None:
        rows = pc.subtract(part["row"], start)
        inside = pc.and_(pc.greater_equal(rows, 0), pc.less(rows, len(keys)))
        if not pc.all(inside).as_py():
            yield Problem("index-row", "the index names rows that the shard does not have", shard.path, AGAIN)
            return
        wrong = pc.or_(wrong, pc.not_equal(part["key"], keys.take(rows.combine_chunks())))
    count = pc.sum(pc.cast(wrong, pa.int64())).as_py() or 0
    if count:
        yield Problem(
            "index-key", "index records name another row's key, config or split", shard.path, AGAIN, count=count
        )
