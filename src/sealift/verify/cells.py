"""Level `full`: every media cell lies where the index says, with the bytes that were hashed at the source."""

from __future__ import annotations

from collections.abc import Iterator

import blake3
import numpy as np
import pyarrow as pa

from sealift.errors import SealiftError
from sealift.formats import parquet
from sealift.formats.ranged import span
from sealift.model.column import MediaColumn
from sealift.model.event import Advanced, OnEvent
from sealift.model.manifest import Manifest, PublishedConfig
from sealift.model.problem import Problem
from sealift.model.receipt import Receipt
from sealift.verify.published import Published
from sealift.verify.records import Records

AGAIN = "publish again from the source"


def check_cells(published: Published, found: Manifest, on_event: OnEvent) -> Iterator[Problem]:
    """Walk the pages of every media column, compare each cell's place with the index, and hash its bytes."""
    for config in found.configs:
        if not any(file.role == "index" and file.config == config.name for file in found.files):
            continue
        records = Records(published, found, config.name)
        for shard in (one for one in found.shards if one.config == config.name):
            expected = records.of(shard.path)
            if published.usable(shard.path):
                yield from _check_shard(published, config, shard, expected, on_event)


def media_of(config: PublishedConfig, table: pa.Table) -> list[MediaColumn]:
    """The media columns of the config, by the index records of a shard."""
    named = dict.fromkeys(table["column"].unique().to_pylist())
    columns = []
    for name, feature in config.features.items():
        if name in named:
            many = feature.get("_type") == "List"
            cell = feature["feature"] if many else feature
            columns.append(MediaColumn(name, "", many, boxed=cell.get("_type") != "Value", feature=cell))
    return columns


def _check_shard(
    published: Published, config: PublishedConfig, shard: Receipt, expected: pa.Table, on_event: OnEvent
) -> Iterator[Problem]:
    file = published.file(shard.path)
    try:
        footer = parquet.read_footer(file.range, published.sizes[shard.path])
        columns = media_of(config, expected)
        at = 0
        whole = blake3.blake3()
        for number in range(len(footer.row_groups)):
            for column in columns:
                for page in parquet.cells(file.range, footer, column.leaf, [number]):
                    part = expected.slice(at, len(page.row))
                    at += len(page.row)
                    if not _in_place(part, column, page):
                        message = "cells do not lie where the index says"
                        yield Problem("cell-place", message, f"{shard.path} `{column.name}`", AGAIN)
                        return
                    yield from _check_bytes(published, shard, column, part, whole, on_event)
    except SealiftError as error:
        published.damaged.add(shard.path)
        yield Problem("pages-damaged", error.message, place=shard.path, remedy=AGAIN)
        return
    if at != expected.num_rows:
        yield Problem("cell-missing", f"{at} cells; the index has {expected.num_rows}", shard.path, AGAIN)
    elif whole.hexdigest() != shard.digest:
        yield Problem("shard-digest", "the digest of the shard's cells is not that of the manifest", shard.path, AGAIN)


def _in_place(part: pa.Table, column: MediaColumn, page: parquet.CellPage) -> bool:
    """Whether the records name exactly the page's cells: column, row, element, offset and size."""
    if part.num_rows != len(page.row) or set(part["column"].unique().to_pylist()) - {column.name}:
        return False
    elements = part["element"].fill_null(-1).to_numpy()
    pairs = [
        (part["row"].to_numpy(), page.row),
        (elements, page.element),
        (part["offset"].to_numpy(), page.offset),
        (part["size"].to_numpy(), page.length),
    ]
    return all(np.array_equal(said, there) for said, there in pairs)


def _check_bytes(
    published: Published, shard: Receipt, column: MediaColumn, part: pa.Table, whole: blake3.blake3, on_event: OnEvent
) -> Iterator[Problem]:
    entry = published.entry(shard.path)
    records = zip(*(part[name].to_pylist() for name in ("key", "offset", "size", "digest", "path")), strict=True)
    for key, offset, size, digest, path in records:
        hasher = blake3.blake3()
        for piece in span(published, entry, offset, size):
            hasher.update(piece)
        whole.update(digest)
        published.checked["cells"] += 1
        on_event(Advanced("verify", size))
        if hasher.digest() != digest:
            yield Problem(
                "cell-digest",
                f"the bytes of {path} are not those of the source",
                place=f"{shard.path} `{column.name}` {key}",
                remedy=AGAIN,
            )
