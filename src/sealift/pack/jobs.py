"""What a worker needs to pack one shard."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sealift.formats.features import Feature
from sealift.model.column import MediaColumn
from sealift.model.plan import Config, Plan, PlannedShard
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


def jobs(
    plan: Plan, shards: Iterable[PlannedShard], source: Source, stage: Stages, parts: Path, *, overlap: bool = False
) -> list[PackJob]:
    """The jobs that pack those shards, with their index parts in `parts`.

    Those of a config share what they have in common: there may be 100,000.
    """
    common = {config.name: _common(plan, config) for config in plan.configs}
    return [
        PackJob(
            shard=shard,
            rows_file=plan.rows_file(shard.split),
            index_part=index_part(parts, shard),
            source=source,
            stage=stage,
            keyed=bool(plan.key),
            overlap=overlap,
            **common[shard.config],
        )
        for shard in shards
    ]


def _common(plan: Plan, config: Config) -> dict[str, Any]:
    features = {name: plan.features[name] for name in config.columns}
    return {"columns": config.columns, "media": plan.media_of(config), "features": features}


def index_part(parts: Path, shard: PlannedShard) -> Path:
    """Where the index records of a packed shard lie until they are published."""
    return parts / shard.config / f"{shard.split}-{shard.index:05d}.parquet"
