"""The shards of every config and split, cut from the tallies, and what they come to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

import pyarrow as pa

from sealift.formats import features, parquet
from sealift.model.plan import Config, ConfigSplit, PlannedShard
from sealift.model.problem import Problem
from sealift.plan.cut import MAX_ROW_GROUPS, UNCAPPED, Cut, Limits, cut
from sealift.plan.gather import Gathered
from sealift.plan.resolve import Resolved
from sealift.plan.tally import Sums, Tally
from sealift.spec import Spec

MAX_GROUP_ROWS = 100_000
MOST_SHARDS = 100_000
"""As many files as the Hub takes in a repository; a plan of more would only fill the memory."""
LIGHT_COPIES = 6
"""How often the light columns of a row group are in memory at once while it is written: read, encoded, compressed."""
FOOTER_CHUNK = 1024
"""Bytes that a column of a row group takes in the footer that grows while a shard is written; 950 were measured."""

assert MAX_ROW_GROUPS == parquet.MAX_ROW_GROUPS


@dataclass
class Layout:
    """The shards in order, the totals of each config and split, and the largest row group: whole, and beside the media.

    Sizes are bytes, in memory; `index_bytes` bounds what all index records hold.
    """

    shards: list[PlannedShard] = field(default_factory=list)
    totals: list[ConfigSplit] = field(default_factory=list)
    largest_group: int = 0
    largest_light: int = 0
    largest_footer: int = 0
    index_bytes: int = 0

    @property
    def held(self) -> int:
        """What a worker holds at once of the shard that takes most: light columns, and the footer so far."""
        return LIGHT_COPIES * self.largest_light + self.largest_footer


def lay_out(spec: Spec, gathered: Gathered, resolved: Resolved, configs: Sequence[Config]) -> Layout:
    """Cut every split of every config.

    Raises:
        SpecError: it makes more shards than any repository takes.
    """
    made = Layout()
    for config in configs:
        limits = _limits(spec, gathered, config, resolved)
        for split in filter(resolved.rows.get, gathered.splits):  # readers take no split without rows
            tally = resolved.splits[split].tallies[config.name]
            cuts = list(islice(cut(tally.bound.sums(), limits, spec.shards.count), MOST_SHARDS + 1))
            if len(made.shards) + len(cuts) > MOST_SHARDS:
                message = f"the rows would make more than {MOST_SHARDS} files"
                raise spec.mistake(message, "shards", hint="make shards larger: raise `max_bytes` or `rows`")
            shards = list(_shards(config, split, tally, cuts))
            made.shards += shards
            made.totals.append(_total(config, split, tally, shards))
            made.index_bytes += tally.index_bytes
            made.largest_group = max(made.largest_group, _largest(tally.bound.sums(), cuts))
            made.largest_light = max(made.largest_light, _largest(tally.light.sums(), cuts))
            groups = max((len(one.groups) for one in cuts), default=0)
            made.largest_footer = max(made.largest_footer, groups * len(config.columns) * FOOTER_CHUNK)
    return made


def oversized(shards: Iterable[PlannedShard], spec: Spec) -> Iterator[Problem]:
    """What is wrong with the shards' sizes: rows above the cap, or more row groups than a file can number."""
    cap = int(spec.shards.max_bytes)
    over = [shard for shard in shards if shard.bound > cap and shard.rows and spec.shards.count is None]
    if over:
        yield Problem(
            "row-above-cap",
            f"rows larger than a shard may be ({cap} bytes); each gets a shard of its own",
            place=", ".join(shard.path for shard in over[:5]),
            remedy="raise `shards: {max_bytes: …}` if the cap matters",
            severity="warning",
            count=len(over),
        )
    many = [shard for shard in shards if len(shard.row_groups) > MAX_ROW_GROUPS]
    if many:
        yield Problem(
            "row-groups",
            f"a Parquet file numbers at most {MAX_ROW_GROUPS} row groups",
            place=", ".join(shard.path for shard in many[:5]),
            remedy="raise `shards: {count: …}`, or make row groups larger",
            count=len(many),
        )


def _limits(spec: Spec, gathered: Gathered, config: Config, resolved: Resolved) -> Limits:
    columns = [column for column in gathered.media if column.name in config.columns]
    light = pa.schema([gathered.schema.field(name) for name in config.columns])
    metadata = features.footer_metadata({name: gathered.features[name] for name in config.columns})
    schema = parquet.storage_schema(light, columns, metadata)
    return Limits(
        max_bytes=min(int(spec.shards.max_bytes), UNCAPPED),
        group_bytes=int(spec.shards.row_group_bytes),
        group_rows=min(spec.shards.row_group_rows or MAX_GROUP_ROWS, MAX_GROUP_ROWS),
        shard_rows=spec.shards.rows,
        fixed=parquet.fixed_bytes(schema),
        per_group=parquet.row_group_bytes(schema, columns, resolved.longest),
    )


def _shards(config: Config, split: str, tally: Tally, cuts: Sequence[Cut]) -> Iterator[PlannedShard]:
    cells, media = tally.cells.sums(), tally.media.sums()
    for number, one in enumerate(cuts):
        start, end = one.first, one.first + one.rows
        yield PlannedShard(
            config.name,
            split,
            number,
            f"{config.folder}/{split}-{number:05d}-of-{len(cuts):05d}.parquet",
            start,
            one.groups,
            int(cells[end] - cells[start]),
            int(media[end] - media[start]),
            one.bound,
        )


def _total(config: Config, split: str, tally: Tally, shards: Sequence[PlannedShard]) -> ConfigSplit:
    return ConfigSplit(
        config.name,
        split,
        sum(shard.rows for shard in shards),
        len(shards),
        sum(shard.media_bytes for shard in shards),
        tally.num_bytes,
        {column: tally.present.get(column, 0) for column in config.columns if column in tally.present},
    )


def _largest(sums: Sums, cuts: Sequence[Cut]) -> int:
    """The most that one row group comes to."""
    largest, before = 0, 0
    for one in cuts:
        at = one.first
        for rows in one.groups:
            at += rows
            largest, before = max(largest, int(sums[at]) - before), int(sums[at])
    return largest
