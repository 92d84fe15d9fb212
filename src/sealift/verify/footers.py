"""Level `footers`: the shards have the rows, columns and features that the manifest says, and so has the card."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from functools import partial
from typing import Any

import pyarrow as pa

from sealift.errors import RequestError
from sealift.formats.features import BOXED_TYPES, dtype_name, footer_features
from sealift.formats.parquet.storage import BOX
from sealift.model.manifest import Manifest, PublishedConfig
from sealift.model.problem import Problem
from sealift.model.receipt import Receipt
from sealift.verify.ahead import in_order
from sealift.verify.card import check_card
from sealift.verify.codes import problem
from sealift.verify.opened import Opened, open_file
from sealift.verify.published import UNREADABLE, Published, read_problem, rows_of, shards_of


def check_footers(published: Published, found: Manifest) -> Iterator[Problem]:
    """Read every footer and hold it against the manifest, then the manifest against itself and the card."""
    for config in found.configs:
        shards = [shard for shard in shards_of(found, config.name) if published.usable(shard.path)]
        for shard, opening in in_order(partial(_open, published), shards, published.reach.at_once):
            published.checked["footers"] += 1
            yield from _check_footer(published, config, shard, opening)
        yield from _check_counts(published, found, config)
    yield from check_card(published, found)


def _open(published: Published, shard: Receipt) -> Opened:
    return open_file(published, shard.path, head=True)


def _check_footer(
    published: Published, config: PublishedConfig, shard: Receipt, opening: Future[Opened]
) -> Iterator[Problem]:
    """What is wrong with one shard's footer; its rows are not looked at any more if they cannot be what is said."""
    try:
        with opening.result() as opened:
            footer = opened.footer()
            schema = opened.parquet().schema_arrow
    except UNREADABLE as error:
        yield read_problem("footer-damaged", "the footer cannot be read: ", published, shard.path, error)
        return
    if footer.rows != shard.rows:
        published.damaged.add(shard.path)
        yield problem("footer-rows", f"{footer.rows} rows; the manifest says {shard.rows}", shard.path)
    if schema.names != [*config.features]:
        published.damaged.add(shard.path)
        yield problem("footer-schema", f"the columns are {', '.join(schema.names)}", shard.path)
        return
    if footer_features(footer.metadata) != config.features:
        yield problem("footer-features", "the features are not those of the manifest", shard.path)
    for name, feature in config.features.items():
        if not _stored_right(schema.field(name).type, feature):
            published.damaged.add(shard.path)
            kind = feature.get("_type", "a struct")
            message = f"column `{name}` is stored as {schema.field(name).type}: loaders do not read it as {kind}"
            yield problem("footer-storage", message, shard.path)


def _stored_right(dtype: pa.DataType, feature: Mapping[str, Any]) -> bool:
    """Whether that Arrow type is what loaders turn into the feature; not for a feature that they do not have."""
    try:
        return _stored_as(dtype, feature)
    except (KeyError, AttributeError, TypeError, RequestError):
        return False


def _stored_as(dtype: pa.DataType, feature: Mapping[str, Any]) -> bool:
    match feature.get("_type"):
        case "Value":
            return bool(dtype_name(dtype) == feature["dtype"])
        case "ClassLabel":
            return bool(pa.types.is_int64(dtype))
        case "List":
            many = pa.types.is_list(dtype) or pa.types.is_fixed_size_list(dtype)
            return many and _stored_as(dtype.value_type, feature["feature"])
        case "LargeList":
            return bool(pa.types.is_large_list(dtype)) and _stored_as(dtype.value_type, feature["feature"])
        case str() as kind:
            return kind in BOXED_TYPES and bool(dtype == BOX)
        case _:
            names = [field.name for field in dtype] if pa.types.is_struct(dtype) else None
            return names == [*feature] and all(_stored_as(field.type, feature[field.name]) for field in dtype)


def _check_counts(published: Published, found: Manifest, config: PublishedConfig) -> Iterator[Problem]:
    for split in config.splits:
        rows = rows_of(published, found, config.name, split)
        if rows != split.rows:
            message = f"the shards have {rows} rows together; the manifest says {split.rows}"
            yield problem("manifest-rows", message, f"{config.name}/{split.name}")
