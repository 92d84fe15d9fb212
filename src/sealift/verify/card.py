"""The card beside the manifest: what loaders read from it must be what the shards hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from sealift.formats.card import read_card, split_counts
from sealift.formats.features import card_features
from sealift.formats.ranged import whole
from sealift.model import manifest
from sealift.model.manifest import Manifest, PublishedConfig
from sealift.model.problem import Problem
from sealift.verify.codes import problem
from sealift.verify.published import UNREADABLE, Published, read_problem, rows_of, shards_of

MALFORMED = (*UNREADABLE, KeyError, TypeError, AttributeError)


def check_card(published: Published, found: Manifest) -> Iterator[Problem]:
    """Row counts, patterns, default and features of our configs; what the card says of others is not judged."""
    if not published.usable(manifest.CARD):
        return
    try:
        card = read_card(whole(published, published.entry(manifest.CARD)).decode())
        yield from list(_differences(published, card, found))
    except MALFORMED as error:
        yield read_problem("card-damaged", "", published, manifest.CARD, error)


def _differences(published: Published, card: Mapping[str, Any], found: Manifest) -> Iterator[Problem]:
    counts = split_counts(card)
    files = {one.get("config_name", "default"): one for one in _listed(card.get("configs"))}
    infos = {one.get("config_name", "default"): one for one in _listed(card.get("dataset_info"))}
    for config in found.configs:
        rows = {split.name: rows_of(published, found, config.name, split) for split in config.splits}
        stated = {split: count for (name, split), count in counts.items() if name == config.name}
        yield from _counts(config.name, rows, stated)
        yield from _files(found, config, files.get(config.name, {}))
        yield from _bytes(config, infos.get(config.name, {}))
        if infos.get(config.name, {}).get("features") != card_features(config.features):
            yield problem("card-features", "the card's features are not those of the shards", config.name)


def _listed(given: Any) -> list[Mapping[str, Any]]:
    return [given] if isinstance(given, Mapping) else list(given or [])


def _counts(config: str, rows: Mapping[str, int], stated: Mapping[str, int]) -> Iterator[Problem]:
    for split in {**rows, **stated}:
        if rows.get(split) != stated.get(split):
            message = f"the card says {stated.get(split, 'nothing of')} rows; there are {rows.get(split, 0)}"
            yield problem("card-counts", message, f"{config}/{split}")


def _bytes(config: PublishedConfig, stated: Mapping[str, Any]) -> Iterator[Problem]:
    """Sizes in memory; that of the whole config where those of the splits are right."""
    sizes = {one["name"]: one.get("num_bytes") for one in stated.get("splits") or []}
    for split in config.splits:
        if sizes.get(split.name, split.num_bytes) != split.num_bytes:
            message = f"the card says {sizes[split.name]} bytes; the manifest says {split.num_bytes}"
            yield problem("card-bytes", message, f"{config.name}/{split.name}")
            return
    total = sum(split.num_bytes for split in config.splits)
    if stated.get("dataset_size", total) != total:
        yield problem(
            "card-bytes", f"the card says {stated['dataset_size']} bytes; the splits have {total}", config.name
        )


def _files(found: Manifest, config: PublishedConfig, stated: Mapping[str, Any]) -> Iterator[Problem]:
    """A split's pattern takes its shards and no others: a loader asks for nothing else."""
    patterns = {one["split"]: one["path"] for one in stated.get("data_files") or []}
    for split in {**{split.name: None for split in config.splits}, **patterns}:
        meant = {shard.path for shard in shards_of(found, config.name, split)}
        given = patterns.get(split) or []
        taken = {s.path for s in found.shards for one in _each(given) if _takes(one, s.path)}
        if meant != taken:
            message = f"the card's pattern takes {len(taken)} shards; the split has {len(meant)}"
            if len(taken) == len(meant):
                message = "the card's pattern takes other shards than those of the split"
            yield problem("card-files", message, f"{config.name}/{split}")
    if bool(stated.get("default")) != config.default:
        message = "the card does not make it the default" if config.default else "the card makes it the default"
        yield problem("card-default", message, config.name)


def _each(given: Any) -> list[str]:
    return [given] if isinstance(given, str) else list(given)


def _takes(pattern: str, path: str) -> bool:
    """Whether the pattern matches, folder by folder: a `*` does not cross a slash."""
    steps, names = pattern.split("/"), path.split("/")
    return len(steps) == len(names) and all(map(fnmatchcase, names, steps))
