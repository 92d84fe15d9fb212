"""What of an earlier publication stays as it is: decided from what lies there and what is planned, without a look."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sealift.model.manifest import Manifest, PublishedConfig, PublishedFile
from sealift.model.plan import Plan
from sealift.model.receipt import Receipt
from sealift.publish.present import Present


@dataclass(frozen=True)
class Reuse:
    """What of an earlier publication stays as it is: configs, with their shards and index files, tables, rejects."""

    configs: Mapping[str, PublishedConfig]
    shards: tuple[Receipt, ...]
    files: tuple[PublishedFile, ...]


NOTHING = Reuse({}, (), ())


def reusable(plan: Plan, kept: Collection[str], present: Present) -> Reuse:
    """What need not be made again: configs whose plan and source are as before, those in `kept` in any case, and
    tables whose source is as before.

    Which version of the libraries packed them does not matter: what is there was proven. A config counts only if all
    its files are at the destination, as far as is known.
    """
    old = present.manifest
    if old is None:
        return NOTHING
    configs = {}
    for config in old.configs:
        unchanged = (config.id, config.fingerprint) == (plan.ids.get(config.name), plan.fingerprint)
        if (config.name in kept or unchanged) and present.whole(config.name):
            configs[config.name] = config
    return _of(old, configs, unchanged_tables(plan, present))


def staying(present: Present, without: Collection[str]) -> Reuse:
    """What stays as it is when these configs alone are published: all else that the manifest names, whole or not."""
    old = present.manifest
    if old is None:
        return NOTHING
    configs = {config.name: config for config in old.configs if config.name not in without}
    return _of(old, configs, [file for file in old.files if file.role in ("also", "rejects")])


def beside(plan: Plan, present: Present) -> Reuse:
    """What stays as it is when the tables beside the data alone are published: every config, and unchanged tables."""
    old = present.manifest
    if old is None:
        return NOTHING
    return _of(old, {config.name: config for config in old.configs}, unchanged_tables(plan, present))


def unchanged_tables(plan: Plan, present: Present) -> list[PublishedFile]:
    """The tables beside the data whose source is what they were copied from."""
    said = {(one.path, one.source, one.size, one.version) for one in plan.also if one.version is not None}
    return [file for file in present.files("also") if (file.path, file.source, file.size, file.version) in said]


def _of(old: Manifest, configs: Mapping[str, PublishedConfig], files: Sequence[PublishedFile]) -> Reuse:
    index = [file for file in old.files if file.role == "index" and file.config in configs]
    return Reuse(configs, tuple(one for one in old.shards if one.config in configs), (*index, *files))
