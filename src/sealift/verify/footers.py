"""Level `footers`: shards, card and manifest agree on rows, schema and features."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sealift.errors import SealiftError
from sealift.formats import parquet
from sealift.formats.card import read_card, split_counts
from sealift.formats.features import BOXED_TYPES, card_features, footer_features
from sealift.formats.parquet import storage
from sealift.formats.ranged import whole
from sealift.model import manifest
from sealift.model.manifest import Manifest, PublishedConfig
from sealift.model.problem import Problem
from sealift.model.receipt import Receipt
from sealift.reconcile import compare
from sealift.verify.published import Published

AGAIN = "publish again from the source"


def check_footers(published: Published, found: Manifest) -> Iterator[Problem]:
    """Read every footer; compare what it says with the manifest, then the manifest with the card."""
    schemas: dict[str, pa.Schema] = {}
    for shard in found.shards:
        if published.usable(shard.path):
            published.checked["footers"] += 1
            yield from _check_footer(published, found, shard, schemas)
    for config in found.configs:
        yield from _check_counts(found, config)
    if published.usable(manifest.CARD):
        yield from _check_card(published, found)


def _check_footer(
    published: Published, found: Manifest, shard: Receipt, schemas: dict[str, pa.Schema]
) -> Iterator[Problem]:
    file = published.file(shard.path)
    try:
        footer = parquet.read_footer(file.range, published.sizes[shard.path])
        schema = pq.read_schema(file)
    except (SealiftError, pa.ArrowException, OSError) as error:
        published.damaged.add(shard.path)
        yield Problem(
            "footer-damaged",
            f"the footer cannot be read: {getattr(error, 'message', error)}",
            place=shard.path,
            remedy=AGAIN,
        )
        return
    if footer.rows != shard.rows:
        yield Problem(
            "footer-rows", f"{footer.rows} rows; the manifest says {shard.rows}", place=shard.path, remedy=AGAIN
        )
    config = found.config(shard.config)
    if config is None:
        yield Problem("shard-config", f"the manifest has no config `{shard.config}`", place=shard.path, remedy=AGAIN)
        return
    first = schemas.setdefault(shard.config, schema)
    if not schema.equals(first, check_metadata=False):
        yield Problem(
            "footer-schema", "the schema differs from that of the config's first shard", place=shard.path, remedy=AGAIN
        )
    if footer_features(schema.metadata) != config.features:
        yield Problem("footer-features", "the features are not those of the manifest", place=shard.path, remedy=AGAIN)
    for name, feature in config.features.items():
        if not _stored_right(schema, name, feature):
            yield Problem(
                "footer-storage",
                f"column `{name}` is stored as {schema.field(name).type if name in schema.names else 'nothing'}, "
                f"which loaders do not read as {feature.get('_type', 'a struct')}",
                place=shard.path,
                remedy=AGAIN,
            )


def _stored_right(schema: pa.Schema, name: str, feature: Mapping[str, Any]) -> bool:
    """Whether the column's Arrow type is what loaders turn into that feature."""
    if name not in schema.names:
        return False
    dtype = schema.field(name).type
    if feature.get("_type") == "List" and pa.types.is_list(dtype):
        feature, dtype = feature["feature"], dtype.value_type
    return feature.get("_type") not in BOXED_TYPES or dtype == storage.BOX


def _check_counts(found: Manifest, config: PublishedConfig) -> Iterator[Problem]:
    for split in config.splits:
        rows = sum(s.rows for s in found.shards if (s.config, s.split) == (config.name, split.name))
        if rows != split.rows:
            yield Problem(
                "manifest-rows",
                f"the shards have {rows} rows together; the manifest says {split.rows}",
                place=f"{config.name}/{split.name}",
                remedy=AGAIN,
            )


def _check_card(published: Published, found: Manifest) -> Iterator[Problem]:
    try:
        card = read_card(whole(published, published.entry(manifest.CARD)).decode())
    except (SealiftError, UnicodeDecodeError) as error:
        yield Problem("card-damaged", str(error), place=manifest.CARD, remedy="publish again: the card is written anew")
        return
    remedy = "publish again: the card is written anew"
    said = split_counts(card)
    rows: dict[tuple[str, str], int] = {}
    for config in found.configs:
        rows |= {(config.name, split.name): split.rows for split in config.splits}
    comparison = compare(rows, said)
    for name in (*comparison.missing, *comparison.different):
        message = f"the card says {said.get(name, 'nothing of')} rows; there are {rows[name]}"
        yield Problem("card-counts", message, place="/".join(name), remedy=remedy)
    files = {one.get("config_name"): one for one in card.get("configs") or []}
    infos = {one.get("config_name"): one for one in card.get("dataset_info") or []}
    for config in found.configs:
        yield from _check_card_config(found, config, files.get(config.name), infos.get(config.name), remedy)


def _check_card_config(
    found: Manifest, config: PublishedConfig, files: Any, info: Any, remedy: str
) -> Iterator[Problem]:
    patterns = {one["split"]: one["path"] for one in (files or {}).get("data_files") or []}
    for split in config.splits:
        meant = {s.path for s in found.shards if (s.config, s.split) == (config.name, split.name)}
        matched = {s.path for s in found.shards if fnmatchcase(s.path, patterns.get(split.name, ""))}
        if meant != matched:
            yield Problem(
                "card-files",
                f"the card's pattern takes {len(matched)} shards; the split has {len(meant)}",
                place=f"{config.name}/{split.name}",
                remedy=remedy,
            )
    if (info or {}).get("features") != card_features(config.features):
        yield Problem(
            "card-features", "the card's features are not those of the shards", place=config.name, remedy=remedy
        )
