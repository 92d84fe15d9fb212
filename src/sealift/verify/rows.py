"""Levels `rows` and `full`: every key once in its config, the index names the rows that are there, and their cells."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pyarrow.parquet as pq

from sealift.model.event import OnEvent
from sealift.model.manifest import Manifest, PublishedConfig
from sealift.model.problem import Problem
from sealift.model.receipt import Receipt
from sealift.rows import joins
from sealift.verify.ahead import in_order
from sealift.verify.cells import media_of
from sealift.verify.codes import problem
from sealift.verify.opened import Opened, open_file
from sealift.verify.published import Published, shards_of
from sealift.verify.records import records_of
from sealift.verify.walk import KEYS, Walk

MEMORY = 256_000_000


def check_rows(
    published: Published, found: Manifest, work: Path, on_event: OnEvent, *, cells: bool
) -> Iterator[Problem]:
    """Read the key columns of every shard and the records of the index, and hold them against each other.

    With `cells` the media are looked at on the way, so that shards and index are gone through once.
    """
    opening = partial(_open, published)
    published.checked.update(dict.fromkeys(["rows", "cells"] if cells else ["rows"], 0))
    for number, config in enumerate(found.configs):
        media = media_of(config)
        key = found.key if {*found.key} <= config.features.keys() - {column.name for column in media} else ()
        records = records_of(published, found, config.name)
        keys_file = work / f"keys-{number}.parquet"
        with pq.ParquetWriter(keys_file, KEYS) as writer:
            walk = Walk(published, key, records, writer, media, cells and records is not None, on_event)
            for shard, opened in in_order(opening, shards_of(found, config.name), published.reach.at_once):
                yield from walk.shard(shard, opened)
        yield from _duplicates(keys_file, config.name)
        yield from _check_index(published, found, config, walk)
        keys_file.unlink()


def _open(published: Published, shard: Receipt) -> Opened | None:
    return open_file(published, shard.path) if published.usable(shard.path) else None


def _duplicates(keys_file: Path, config: str) -> Iterator[Problem]:
    count, first = joins.duplicates([keys_file], "key", keys_file.parent, MEMORY)
    if count:
        named = ", ".join(f"{key} ({times} times)" for key, times in first)
        yield problem("row-duplicate", f"keys occur more than once: {named}", config, count)


def _check_index(published: Published, found: Manifest, config: PublishedConfig, walk: Walk) -> Iterator[Problem]:
    """What the index as a whole shows. One that broke off proves nothing of the shards, so they are not blamed."""
    shards = shards_of(found, config.name)
    if walk.records is None:
        has_index = any((one.role, one.config) == ("index", config.name) for one in found.files)
        has_media = any(shard.cells for shard in shards) or any(any(s.present.values()) for s in config.splits)
        if has_media and not has_index:
            yield problem("index-missing", "the config has media, and no index of them", config.name)
        elif not has_index:
            yield from _check_bytes(published, config, shards)
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
    yield from _check_present(published, config, shards, walk)
    yield from _check_bytes(published, config, shards)
    published.damaged.update(walk.spoilt)
    yield from walk.cell_problems


def _check_present(
    published: Published, config: PublishedConfig, shards: list[Receipt], walk: Walk
) -> Iterator[Problem]:
    """Hold the rows that have files against what the manifest says of a split, if all its shards were counted."""
    for split in config.splits:
        whole = all(published.usable(shard.path) for shard in shards if shard.split == split.name)
        for column, rows in split.present.items():
            there = walk.present[(split.name, column)]
            if whole and there != rows:
                message = f"{there} rows have files in `{column}`; the manifest says {rows}"
                yield problem("manifest-present", message, f"{config.name}/{split.name}")


def _check_bytes(published: Published, config: PublishedConfig, shards: list[Receipt]) -> Iterator[Problem]:
    """Hold the bytes of a split's media against those of its shards, if all of these are what is said of them."""
    for split in config.splits:
        ours = [shard for shard in shards if shard.split == split.name]
        there = sum(shard.media_bytes for shard in ours)
        if there != split.media_bytes and all(published.usable(shard.path) for shard in ours):
            message = f"its shards have {there} bytes of media; the manifest says {split.media_bytes}"
            yield problem("manifest-bytes", message, f"{config.name}/{split.name}")
