"""The plan: every row in its place in a shard, with the bytes expected there."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sealift.model.column import MediaColumn
from sealift.model.problem import Problem


@dataclass(frozen=True, slots=True)
class Config:
    """A named selection of the published columns, as the Hub uses the word; `columns` keep the query's order."""

    name: str
    columns: tuple[str, ...]
    default: bool = False
    folder: str = "data"


@dataclass(frozen=True, slots=True)
class PlannedShard:
    """One file to be: rows `first_row` … of a split, in row groups of the given row counts.

    `bound` is an upper bound of the file's size in bytes; `media_bytes` is exact.
    """

    config: str
    split: str
    index: int
    path: str
    first_row: int
    row_groups: tuple[int, ...]
    cells: int
    media_bytes: int
    bound: int

    @property
    def rows(self) -> int:
        """How many rows the shard holds."""
        return sum(self.row_groups)


@dataclass(frozen=True, slots=True)
class ConfigSplit:
    """The totals of one split of one config. `num_bytes` is the size of its rows in memory, as the card states it."""

    config: str
    split: str
    rows: int
    shards: int
    media_bytes: int
    num_bytes: int
    present: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Also:
    """A file that is published beside the data as it is: from `source` (a path at the source) to `path`."""

    source: str
    path: str
    size: int
    version: str | None
    rows: int | None
    columns: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Estimate:
    """What the work will take: bytes of peak anonymous memory, bytes of disk, seconds, and how many workers fit."""

    memory: int
    disk: int
    seconds: float
    workers: int


@dataclass(frozen=True)
class Plan:
    """The frozen, deterministic answer to a spec.

    `ids` has the identity of each config: the same for the same input on any machine; `fingerprint` also covers the
    versions (mtime, etag) of the entries, so it tells whether the source may have changed since. The rows themselves
    lie in `work/rows/<split>.parquet`: the light columns, `_key`, and each media column as references
    (struct<path, size, version>, or a list of them).
    """

    ids: Mapping[str, str]
    fingerprint: str
    work: Path
    key: tuple[str, ...]
    media: tuple[MediaColumn, ...]
    features: Mapping[str, Mapping[str, Any]]
    configs: tuple[Config, ...]
    splits: tuple[str, ...]
    shards: tuple[PlannedShard, ...]
    totals: tuple[ConfigSplit, ...]
    also: tuple[Also, ...]
    rejects: int
    problems: tuple[Problem, ...]
    estimate: Estimate
    spec: Mapping[str, Any]

    def rows_file(self, split: str) -> Path:
        """Where the rows of a split lie, in order."""
        return self.work / "rows" / f"{split}.parquet"

    @property
    def rejects_file(self) -> Path:
        """Where the rows and cells lie that the policy left out."""
        return self.work / "rejects.parquet"

    @property
    def smallest_first(self) -> list[str]:
        """The configs by the bytes of their media: the order of the work, so that a mistake shows early."""
        weight = {config.name: 0 for config in self.configs}
        for shard in self.shards:
            weight[shard.config] += shard.media_bytes
        return sorted(weight, key=lambda name: weight[name])

    def part(self, configs: Collection[str], *, rest: bool) -> Plan:
        """The plan of these configs alone; without the `rest`, also without tables beside them and rejects."""
        return replace(
            self,
            configs=tuple(config for config in self.configs if config.name in configs),
            shards=tuple(shard for shard in self.shards if shard.config in configs),
            totals=tuple(total for total in self.totals if total.config in configs),
            also=self.also if rest else (),
            rejects=self.rejects if rest else 0,
        )

    def config(self, name: str) -> Config:
        """The config of that name."""
        return next(config for config in self.configs if config.name == name)

    def media_of(self, config: Config) -> tuple[MediaColumn, ...]:
        """The media columns that the config keeps, in its order."""
        media = {column.name: column for column in self.media}
        return tuple(media[name] for name in config.columns if name in media)
