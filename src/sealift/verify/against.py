"""Against the source: every row and every cell that the spec gives now, beside what is published."""

from __future__ import annotations

from collections.abc import Iterator

import blake3
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sealift.errors import SourceError
from sealift.formats.index import cells_of
from sealift.formats.ranged import pieces
from sealift.formats.rowfile import RowReader
from sealift.model.column import MediaColumn
from sealift.model.event import Advanced, Finished, OnEvent, Started, ignore
from sealift.model.manifest import Manifest, PublishedConfig
from sealift.model.plan import Plan
from sealift.model.problem import Problem
from sealift.model.receipt import Receipt
from sealift.ports import Reads
from sealift.verify.published import Published
from sealift.verify.records import Records

STAGE = "against"
REMEDY = "publish again, or put the source back"


def check_against(
    published: Published, found: Manifest, plan: Plan, source: Reads, on_event: OnEvent = ignore
) -> Iterator[Problem]:
    """Hold a plan made anew from the spec against the publication.

    The same rows in the same order, equal in every light column, and each media cell with the digest of its file at the
    source. Memory: the light columns of a row group, and one slice of media.
    """
    total = sum(shard.media_bytes for shard in plan.shards)
    on_event(Started(STAGE, total))
    for config in found.configs:
        if config.name not in plan.ids:
            yield Problem("source-config", "the spec has no such config", config.name, REMEDY)
            continue
        records = Records(published, found, config.name)
        for split in config.splits:
            yield from _check_split(published, found, config, split.name, plan, source, records, on_event)
    for name in plan.ids:
        if found.config(name) is None:
            yield Problem("source-config", "the config is not published", name, REMEDY)
    on_event(Finished(STAGE))


def _check_split(
    published: Published,
    found: Manifest,
    config: PublishedConfig,
    split: str,
    plan: Plan,
    source: Reads,
    records: Records,
    on_event: OnEvent,
) -> Iterator[Problem]:
    place = f"{config.name}/{split}"
    media = [column for column in plan.media if column.name in config.features]
    light = [name for name in config.features if name not in {column.name for column in media}]
    shards = [one for one in found.shards if (one.config, one.split) == (config.name, split)]
    rows = RowReader(plan.rows_file(split)) if split in plan.splits else None
    expected = rows.rows if rows else 0
    if expected != sum(shard.rows for shard in shards):
        message = f"the source gives {expected} rows; {sum(shard.rows for shard in shards)} are published"
        yield Problem("source-rows", message, place, REMEDY)
        for shard in shards:
            records.of(shard.path)
        return
    start = 0
    for shard in shards:
        if published.usable(shard.path) and rows is not None:
            yield from _check_shard(published, shard, light, media, rows, start, source, records, on_event)
        else:
            records.of(shard.path)
        start += shard.rows


def _check_shard(
    published: Published,
    shard: Receipt,
    light: list[str],
    media: list[MediaColumn],
    rows: RowReader,
    start: int,
    source: Reads,
    records: Records,
    on_event: OnEvent,
) -> Iterator[Problem]:
    at = 0
    with pq.ParquetFile(published.file(shard.path)) as file:
        for number in range(file.num_row_groups):
            count = file.metadata.row_group(number).num_rows
            planned = rows.read(start + at, count)
            there = file.read_row_group(number, columns=light, use_threads=False)
            if not there.equals(pa.Table.from_batches([planned.select(light)])):
                place = f"{shard.path} rows {at} to {at + count - 1}"
                yield Problem("source-row", "the rows differ from those of the source", place, REMEDY)
            part = records.of(shard.path, at + count)
            for column in media:
                named = part.filter(pc.equal(part["column"], column.name))
                yield from _check_cells(planned, column, named, shard, source, on_event)
            at += count


def _check_cells(
    planned: pa.RecordBatch,
    column: MediaColumn,
    named: pa.Table,
    shard: Receipt,
    source: Reads,
    on_event: OnEvent,
) -> Iterator[Problem]:
    cells = cells_of(planned.column(column.name), column)
    entries = cells.entries()
    if [entry.path for entry in entries] != named["path"].to_pylist():
        place = f"{shard.path} `{column.name}`"
        yield Problem("source-cells", "the rows name other files at the source", place, REMEDY)
        return
    for entry, key, digest in zip(entries, named["key"].to_pylist(), named["digest"].to_pylist(), strict=True):
        hasher = blake3.blake3()
        try:
            for piece in pieces(source, entry):
                hasher.update(piece)
        except SourceError as error:
            yield Problem("source-file", error.message, f"{shard.path} `{column.name}` {key}", REMEDY)
            continue
        on_event(Advanced(STAGE, entry.size, 1))
        if hasher.digest() != digest:
            message = f"{entry.path} has other bytes now than those that were published"
            yield Problem("source-digest", message, f"{shard.path} `{column.name}` {key}", REMEDY)
