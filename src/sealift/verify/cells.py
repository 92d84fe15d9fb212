"""Level `full`: every media cell lies where the index says, with the bytes that were hashed at the source."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import blake3
import numpy as np
import pyarrow as pa

from sealift.formats import parquet
from sealift.formats.ranged import span
from sealift.model.column import MediaColumn
from sealift.model.event import Advanced, OnEvent
from sealift.model.manifest import Manifest, PublishedConfig
from sealift.model.problem import Problem
from sealift.model.receipt import Receipt
from sealift.verify.codes import problem
from sealift.verify.published import UNREADABLE, Published, said, shards_of
from sealift.verify.records import Records, records_of


def check_cells(published: Published, found: Manifest, on_event: OnEvent) -> Iterator[Problem]:
    """Walk the pages of every media column, compare each cell's place with the index, and hash its bytes."""
    for config in found.configs:
        records = records_of(published, found, config.name)
        columns = media_of(config)
        for shard in shards_of(found, config.name) if records else ():
            if records and published.usable(shard.path):
                yield from _Shard(published, shard, columns, records, on_event).check()


def media_of(config: PublishedConfig) -> list[MediaColumn]:
    """The media columns of the config, which are those whose files the manifest counts."""
    media = {column for split in config.splits for column in split.present}
    columns = []
    for name, feature in config.features.items():
        if name in media:
            many = feature.get("_type") == "List"
            cell = feature["feature"] if many else feature
            columns.append(MediaColumn(name, "", many, boxed=cell.get("_type") != "Value", feature=cell))
    return columns


@dataclass
class _Shard:
    """One shard and its records; `whole` is the digest over the digests of its cells."""

    published: Published
    shard: Receipt
    columns: list[MediaColumn]
    records: Records
    on_event: OnEvent
    whole: blake3.blake3 = field(default_factory=blake3.blake3)

    def check(self) -> Iterator[Problem]:
        """Everything that is wrong with the cells; the first that is out of place ends it, for so are those behind."""
        path = self.shard.path
        file = self.published.file(path)
        try:
            footer = parquet.read_footer(file.range, self.published.sizes[path])
            for number, group in enumerate(footer.row_groups):
                records = self.records.of(path, group.first_row + group.rows)
                at = 0
                for column in self.columns:
                    for page in parquet.cells(file.range, footer, column.leaf, [number]):
                        part = records.slice(at, len(page.row))
                        at += len(page.row)
                        if not _in_place(part, column, page):
                            yield self._out_of_place(column.name)
                            return
                        yield from self._check_bytes(part, column.name)
                if at != records.num_rows:
                    yield self._out_of_place(records["column"][at].as_py())
                    return
        except UNREADABLE as error:
            self.published.damaged.add(path)
            yield problem("pages-damaged", said(error), path)
            return
        if self.whole.hexdigest() != self.shard.digest:
            yield problem("shard-digest", "the digest of the cells is not that of the manifest", path)

    def _out_of_place(self, column: str) -> Problem:
        self.published.damaged.add(self.shard.path)
        return problem("cell-place", "cells do not lie where the index says", f"{self.shard.path} `{column}`")

    def _check_bytes(self, part: pa.Table, column: str) -> Iterator[Problem]:
        """Hash the cells of a page; one problem for all of them that are other than they were."""
        entry, others = self.published.entry(self.shard.path), []
        for key, offset, size, digest, path in _records(part, "key", "offset", "size", "digest", "path"):
            hasher = blake3.blake3()
            for piece in span(self.published, entry, offset, size):
                hasher.update(piece)
            self.whole.update(digest or b"")
            self.published.checked["cells"] += 1
            self.on_event(Advanced("verify", size))
            if hasher.digest() != digest:
                others.append((key, path))
        if others:
            key, path = others[0]
            message = f"the bytes of {path} are not those of the source"
            yield problem("cell-digest", message, f"{self.shard.path} `{column}` {key}", len(others))


def _records(part: pa.Table, *names: str) -> Iterator[tuple[Any, ...]]:
    return zip(*(part[name].to_pylist() for name in names), strict=True)


def _in_place(part: pa.Table, column: MediaColumn, page: parquet.CellPage) -> bool:
    """Whether the records name exactly the page's cells: column, row, element, offset and size."""
    if part.num_rows != len(page.row) or set(part["column"].unique().to_pylist()) - {column.name}:
        return False
    pairs = [
        (part["row"], page.row),
        (part["element"].fill_null(-1), page.element),
        (part["offset"], page.offset),
        (part["size"], page.length),
    ]
    return all(np.array_equal(told.to_numpy(), there) for told, there in pairs)
