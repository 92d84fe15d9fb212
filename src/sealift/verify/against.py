"""Against the source: every row and every cell that the spec gives now, beside what is published."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import blake3
import pyarrow as pa

from sealift.errors import SealiftError
from sealift.formats.index import cells_of
from sealift.formats.ranged import pieces
from sealift.formats.rowfile import KEY, RowReader
from sealift.model.column import MediaColumn
from sealift.model.entry import Entry
from sealift.model.event import Advanced, Finished, OnEvent, Started, ignore
from sealift.model.manifest import Manifest, PublishedConfig
from sealift.model.plan import Plan
from sealift.model.problem import Problem
from sealift.model.receipt import Receipt
from sealift.ports import Reads
from sealift.verify.cells import media_of
from sealift.verify.codes import problem
from sealift.verify.opened import chunks, open_file
from sealift.verify.published import UNREADABLE, Published, read_problem, shards_of
from sealift.verify.records import Records, records_of

STAGE = "against"
Place = tuple[int, int]


@dataclass(frozen=True)
class Against:
    """A publication beside a plan made anew from the spec: the same rows in the same order, equal in every light
    column, and each media cell with the digest of its file at the source.

    Memory: the rows and index records of a row group, and one slice of media.
    """

    published: Published
    found: Manifest
    plan: Plan
    source: Reads
    on_event: OnEvent = ignore

    def check(self) -> Iterator[Problem]:
        """Everything that differs. Files that are known to be damaged are not looked into."""
        beside = sum(table.size for table in self.plan.also)
        self.on_event(Started(STAGE, sum(shard.media_bytes for shard in self.plan.shards) + beside))
        for name in {**self.plan.ids, **{config.name: "" for config in self.found.configs}}:
            config = self.found.config(name)
            if config is None or name not in self.plan.ids:
                where = "published" if config is None else "in the spec"
                yield problem("source-config", f"the config is not {where}", name)
            else:
                yield from self._config(config)
        yield from self._also()
        self.on_event(Finished(STAGE))

    def _config(self, config: PublishedConfig) -> Iterator[Problem]:
        records = records_of(self.published, self.found, config.name)
        columns = self.plan.config(config.name).columns
        if [*config.features.items()] != [(name, self.plan.features[name]) for name in columns]:
            yield problem("source-config", "the spec gives the config other columns or features", config.name)
            return
        published = [split.name for split in config.splits]
        for split in dict.fromkeys([*published, *self.plan.splits]):
            shards = shards_of(self.found, config.name, split)
            rows = RowReader(self.plan.rows_file(split)) if split in self.plan.splits else None
            given, there = rows.rows if rows else 0, sum(shard.rows for shard in shards)
            if given != there:
                message = f"the source gives {given} rows; {there} are published"
                yield problem("source-rows", message, f"{config.name}/{split}")
            elif rows is not None:
                yield from self._split(config, shards, rows, records)

    def _split(
        self, config: PublishedConfig, shards: list[Receipt], rows: RowReader, records: Records | None
    ) -> Iterator[Problem]:
        media = [column for column in self.plan.media if column.name in {one.name for one in media_of(config)}]
        start = 0
        for shard in shards:
            if self.published.usable(shard.path):
                try:
                    yield from self._shard(shard, rows, start, media, records)
                except UNREADABLE as error:
                    yield read_problem("rows-damaged", "the rows cannot be read: ", self.published, shard.path, error)
            start += shard.rows

    def _shard(
        self, shard: Receipt, rows: RowReader, start: int, media: list[MediaColumn], records: Records | None
    ) -> Iterator[Problem]:
        names = {column.name for column in media}
        with open_file(self.published, shard.path) as opened, opened.parquet() as file:
            light = [name for name in file.schema_arrow.names if name not in names]
            places = chunks(file.metadata, light)
            opened.want(chain(*places))
            at = 0
            for number in range(file.num_row_groups):
                for place in sorted(places[number]):
                    opened.keep(*place)
                count = file.metadata.row_group(number).num_rows
                given = rows.read(start + at, count)
                there = file.read_row_group(number, columns=light, use_threads=False)
                yield from _compare_rows(pa.Table.from_batches([given.select(light)]), there, given[KEY], shard)
                if records is not None:
                    part = records.of(shard.path, at + count)
                    for column in media:
                        yield from self._cells(shard, given, column, at, part)
                opened.drop()
                at += count

    def _cells(
        self, shard: Receipt, given: pa.RecordBatch, column: MediaColumn, at: int, part: pa.Table
    ) -> Iterator[Problem]:
        """The files that the rows name now beside the index records, place by place; equal paths are hashed."""
        cells = cells_of(given.column(column.name), column)
        elements = [-1] * len(cells) if cells.elements is None else cells.elements.tolist()
        named: dict[Place, Entry] = dict(
            zip(zip((cells.rows + at).tolist(), elements, strict=True), cells.entries(), strict=True)
        )
        records = _records(part, column.name)
        others: list[str] = []
        changed: list[Problem] = []
        for place in {**records, **named}:
            key, path, digest = records.get(place, (given[KEY][place[0] - at].as_py(), None, None))
            entry = named.get(place)
            if entry is None or entry.path != path:
                others.append(f"{key}: {entry.path if entry else 'no file'}, published is {path or 'none'}")
            else:
                where = f"{shard.path} `{column.name}` {key}"
                changed += self._same(entry, blake3.blake3, digest, "source-digest", where)
        for code in ("source-digest", "source-file"):
            found = [one for one in changed if one.code == code]
            yield from (replace(one, count=len(found)) for one in found[:1])
        if others:
            message = f"the rows name other files at the source, the first of them {others[0]}"
            yield problem("source-cells", message, f"{shard.path} `{column.name}`", len(others))

    def _also(self) -> Iterator[Problem]:
        """The files beside the data, each with the SHA-256 of what lies at the source."""
        published = {file.path: file for file in self.found.files if file.role == "also"}
        given = {table.path: table for table in self.plan.also}
        for path in {**published, **given}:
            if path not in published or path not in given:
                where = "published" if path in given else "in the spec"
                yield problem("source-also", f"the file is not {where}", path)
            else:
                entry = Entry(given[path].source, given[path].size, given[path].version)
                digest = bytes.fromhex(published[path].sha256)
                yield from self._same(entry, hashlib.sha256, digest, "source-also", path)

    def _same(
        self, entry: Entry, algorithm: Callable[[], Any], digest: bytes | None, code: str, place: str
    ) -> Iterator[Problem]:
        """A problem unless the file at the source has that digest."""
        hasher = algorithm()
        try:
            for piece in pieces(self.source, entry):
                hasher.update(piece)
        except SealiftError as error:
            yield problem("source-file", error.message, place)
            return
        self.on_event(Advanced(STAGE, entry.size, 1))
        if hasher.digest() != digest:
            yield problem(code, f"{entry.path} has other bytes now than those that were published", place)


def _records(part: pa.Table, column: str) -> dict[Place, tuple[str, str, bytes]]:
    """Key, path and digest of a column's index records, by (row, element)."""
    names = ("row", "element", "key", "path", "digest")
    found = zip(*(part[name].to_pylist() for name in (*names, "column")), strict=True)
    return {
        (row, -1 if element is None else element): (key, path, digest)
        for row, element, key, path, digest, name in found
        if name == column
    }


def _compare_rows(given: pa.Table, there: pa.Table, keys: pa.Array, shard: Receipt) -> Iterator[Problem]:
    """One problem for the rows of a row group that differ, naming the first."""
    if there.equals(given):
        return
    # Arrow holds that NaN differs from NaN; as text they are equal.
    pairs = zip(given.to_pylist(), there.to_pylist(), keys.to_pylist(), strict=True)
    different = [(key, one, other) for one, other, key in pairs if repr(one) != repr(other)]
    if different:
        key, one, other = different[0]
        names = [name for name in other if repr(one[name]) != repr(other[name])]
        message = f"{len(different)} rows differ from the source, the first of them {key} in {', '.join(names)}"
        yield problem("source-row", message, shard.path, len(different))
