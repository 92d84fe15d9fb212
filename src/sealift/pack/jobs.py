"""What a worker needs to pack one shard."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from sealift.formats.features import Feature
from sealift.model.column import MediaColumn
from sealift.model.plan import Plan, PlannedShard
from sealift.ports import Source, Stages


@dataclass(frozen=True)
class PackJob:
    """Everything a worker needs to pack one shard, here or on another machine that sees the same files.

    With `overlap` it takes two cores: one reads and digests cells while the other digests the file and writes it.
    """

    shard: PlannedShard
    rows_file: Path
    index_part: Path
    columns: tuple[str, ...]
    media: tuple[MediaColumn, ...]
    features: Mapping[str, Feature]
    source: Source
    stage: Stages
    keyed: bool
    overlap: bool = False


def job(
    plan: Plan, shard: PlannedShard, source: Source, stage: Stages, parts: Path | None = None, *, overlap: bool = False
) -> PackJob:
    """The job that packs that shard of the plan, with its index part in `parts`; else it lies with the plan's rows."""
    config = plan.config(shard.config)
    return PackJob(
        shard=shard,
        rows_file=plan.rows_file(shard.split),
        index_part=index_part(parts or plan.work / "index", shard),
        columns=config.columns,
        media=plan.media_of(config),
        features={name: plan.features[name] for name in config.columns},
        source=source,
        stage=stage,
        keyed=bool(plan.key),
        overlap=overlap,
    )


def jobs(
    plan: Plan, shards: Iterable[PlannedShard], source: Source, stage: Stages, parts: Path, *, overlap: bool = False
) -> list[PackJob]:
    """The jobs that pack those shards. They share what those of a config have in common: there may be 100,000."""
    first: dict[str, PackJob] = {}
    made = []
    for shard in shards:
        if shard.config not in first:
            first[shard.config] = job(plan, shard, source, stage, parts, overlap=overlap)
        like = first[shard.config]
        made.append(
            replace(like, shard=shard, rows_file=plan.rows_file(shard.split), index_part=index_part(parts, shard))
        )
    return made


def index_part(parts: Path, shard: PlannedShard) -> Path:
    """Where the index records of a packed shard lie until they are published."""
    return parts / shard.config / f"{shard.split}-{shard.index:05d}.parquet"
