"""Level `sample`: cells drawn at random lie where the index says, with the bytes that were hashed at the source."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from itertools import accumulate
from typing import Any

import blake3

from sealift.formats import parquet
from sealift.formats.index import INDEX
from sealift.formats.ranged import span
from sealift.model.event import Advanced, Finished, OnEvent, Started
from sealift.model.manifest import Manifest, PublishedConfig
from sealift.model.problem import Problem
from sealift.model.receipt import Receipt
from sealift.verify.ahead import in_order, runs
from sealift.verify.bounded import MOST_UNPACKED, check_stored
from sealift.verify.cells import media_of
from sealift.verify.codes import problem
from sealift.verify.extent import Extent
from sealift.verify.opened import chunks, open_file
from sealift.verify.published import OUT_OF_REACH, UNREADABLE, Published, read_problem, said, shards_of
from sealift.verify.records import check_index

STAGE = "sample"
LENGTH = 4
"""The bytes before a cell that say how long it is."""


def drawn(seed: int, count: int, total: int) -> list[int]:
    """So many different numbers below `total`, in order, each as likely as any other; all of them if there are fewer.

    They are the first different ones among BLAKE3 of `seed:0`, `seed:1` …, its first 16 bytes as a little-endian number
    modulo `total`: anybody can draw them again.
    """
    if count >= total:
        return list(range(total))
    picked: set[int] = set()
    number = 0
    while len(picked) < count:
        digest = blake3.blake3(b"%d:%d" % (seed, number)).digest(16)
        picked.add(int.from_bytes(digest, "little") % total)
        number += 1
    return sorted(picked)


def check_sample(published: Published, found: Manifest, extent: Extent, on_event: OnEvent) -> Iterator[Problem]:
    """Draw cells among all records of the index, and read each by its range.

    Memory: a row group of the index, and the pieces that are read ahead. Of the index, only the row groups are read
    that hold a record which is drawn. What lies in shards that are known to be damaged is passed over.
    """
    published.checked["cells"] += 0
    groups: list[_Group] = []
    for config in found.configs:
        yield from _frame(published, found, config, groups)
    ends = [*accumulate(group.rows for group in groups)]
    picks = drawn(extent.seed or 0, extent.cells or 0, ends[-1] if ends else 0)
    on_event(Started(STAGE, None, len(picks)))
    sample = _Sample(published, found)
    cells = sample.cells(groups, ends, picks)
    for cell, coming in in_order(partial(_read, published), cells, published.reach.at_once):
        sample.judge(cell, coming)
        on_event(Advanced(STAGE, 0 if cell.offset is None else cell.size, 1))
    yield from sample.problems()
    on_event(Finished(STAGE))


@dataclass(frozen=True)
class _Group:
    """A row group of an index file; `first` is the number of its first record in the config's index."""

    config: PublishedConfig
    path: str
    number: int
    first: int
    rows: int


@dataclass(frozen=True)
class _Cell:
    """A record that was drawn. Without an offset there is nothing to read; `wrong` says why, if something is."""

    shard: str
    column: str
    key: str
    size: int
    offset: int | None
    digest: bytes
    wrong: tuple[str, str, str] | None = None


def _frame(published: Published, found: Manifest, config: PublishedConfig, groups: list[_Group]) -> Iterator[Problem]:
    """Add the row groups of a config's index, if it has as many records as the manifest says it has cells."""
    paths = [one.path for one in found.files if (one.role, one.config) == ("index", config.name)]
    cells = sum(shard.cells for shard in shards_of(found, config.name))
    if not paths and (cells or any(any(split.present.values()) for split in config.splits)):
        yield problem("index-missing", "the config has media, and no index of them", config.name)
    if not paths or not all(map(published.usable, paths)):
        return
    ours: list[_Group] = []
    for path in paths:
        try:
            with open_file(published, path) as opened, opened.parquet() as file:
                check_index(file)
                for number in range(file.num_row_groups):
                    first = ours[-1].first + ours[-1].rows if ours else 0
                    ours.append(_Group(config, path, number, first, file.metadata.row_group(number).num_rows))
        except UNREADABLE as error:
            yield read_problem("index-damaged", "", published, path, error)
            return
    if (there := sum(group.rows for group in ours)) != cells:
        yield problem("index-cells", f"the index has {there} cells; the manifest says {cells}", config.name)
    else:
        groups += ours


@dataclass
class _Sample:
    """Goes from the numbers that were drawn to their records and cells; collects what is wrong, place by place."""

    published: Published
    found: Manifest
    _footers: dict[str, parquet.Footer | None] = field(default_factory=dict)
    _wrong: dict[tuple[str, str], str] = field(default_factory=dict)
    _times: Counter[tuple[str, str]] = field(default_factory=Counter)
    _unread: list[Problem] = field(default_factory=list)

    def cells(self, groups: Sequence[_Group], ends: Sequence[int], picks: Sequence[int]) -> Iterator[_Cell]:
        """The cells of the records with these numbers, in the order of the index."""
        at = 0
        while at < len(picks):
            which = bisect_right(ends, picks[at])
            stop = next((n for n in range(at, len(picks)) if picks[n] >= ends[which]), len(picks))
            begin = ends[which] - groups[which].rows
            yield from self._records(groups[which], [pick - begin for pick in picks[at:stop]])
            at = stop

    def _records(self, group: _Group, picks: list[int]) -> Iterator[_Cell]:
        shards = shards_of(self.found, group.config.name)
        ends = [*accumulate(shard.cells for shard in shards)]
        if not self.published.usable(group.path):
            return
        try:
            with open_file(self.published, group.path) as opened, opened.parquet() as file:
                places = chunks(file.metadata, INDEX.names)[group.number]
                footer = opened.footer()
                check_stored(places)
                for start, end in runs(places, 0):
                    opened.keep(start, end)
                parquet.check_unpacked(opened.file.range, footer, group.number, INDEX.names, MOST_UNPACKED)
                table = file.read_row_group(group.number, use_threads=False)
                table.validate(full=True)
        except UNREADABLE as error:
            self._unread.append(read_problem("index-damaged", "", self.published, group.path, error))
            return
        for place, record in zip(picks, table.take(picks).to_pylist(), strict=True):
            shard = shards[bisect_right(ends, group.first + place)]
            if self.published.usable(shard.path):
                yield self._cell(group.config, shard, record)

    def _cell(self, config: PublishedConfig, shard: Receipt, record: dict[str, Any]) -> _Cell:
        """The cell of a record, which is to be one of this shard, where it can be by the shard's footer."""
        wrong = _misplaced(config, shard, record)
        column, key = str(record["column"]), str(record["key"])
        if wrong is None and self._footer(shard.path) is None:
            return _Cell(shard.path, column, key, 0, None, b"")
        if wrong is None and not self._can_be(config, shard, record):
            wrong = ("cell-place", f"{shard.path} `{column}`", "cells do not lie where the index says")
        if wrong is not None:
            return _Cell(shard.path, column, key, 0, None, b"", wrong)
        return _Cell(shard.path, column, key, record["size"], record["offset"], record["digest"] or b"")

    def _footer(self, path: str) -> parquet.Footer | None:
        """The footer of a shard; None if it cannot be read, which is then a problem. One is remembered."""
        if path not in self._footers:
            self._footers.clear()
            try:
                with open_file(self.published, path, head=True) as opened:
                    self._footers[path] = opened.footer()
            except UNREADABLE as error:
                self._footers[path] = None
                self._unread.append(
                    read_problem("footer-damaged", "the footer cannot be read: ", self.published, path, error)
                )
        return self._footers[path]

    def _can_be(self, config: PublishedConfig, shard: Receipt, record: dict[str, Any]) -> bool:
        """Whether the bytes lie within the pages of that column in the row group of that row."""
        footer = self._footer(shard.path)
        leaf = next((one.leaf for one in media_of(config) if one.name == record["column"]), None)
        if footer is None or leaf is None or None in (record["offset"], record["size"]):
            return False
        begin, end = record["offset"] - LENGTH, record["offset"] + record["size"]
        for group in footer.row_groups:
            if group.first_row <= record["row"] < group.first_row + group.rows:
                places = [(one.start, one.end) for one in group.chunks if one.leaf.path == leaf]
                return record["size"] >= 0 and any(start <= begin and end <= stop for start, stop in places)
        return False

    def judge(self, cell: _Cell, coming: Future[tuple[bytes, bytes] | None]) -> None:
        """Hold what was read of a cell against its record. A shard that cannot be had is named once."""
        place = f"{cell.shard} `{cell.column}`"
        if cell.wrong is not None:
            self._note(*cell.wrong)
            return
        try:
            read = coming.result()
        except OUT_OF_REACH as error:
            if cell.shard not in self.published.unreadable:
                self._unread.append(problem("file-unreadable", said(error), cell.shard))
            self.published.unreadable.add(cell.shard)
            return
        if read is None:
            return
        length, digest = read
        if int.from_bytes(length, "little") != cell.size:
            self._note("cell-place", place, "cells do not lie where the index says")
        elif digest != cell.digest:
            self._note("cell-digest", place, f"the bytes of {cell.key} are not those of the source")
        else:
            self.published.checked["cells"] += 1

    def _note(self, code: str, place: str, message: str) -> None:
        self._wrong.setdefault((code, place), message)
        self._times[(code, place)] += 1

    def problems(self) -> Iterator[Problem]:
        """What is wrong: a problem for each kind and place, with how many of the cells that were drawn it met."""
        yield from self._unread
        for (code, place), message in self._wrong.items():
            yield problem(code, message, place, self._times[(code, place)])


def _misplaced(config: PublishedConfig, shard: Receipt, record: dict[str, Any]) -> tuple[str, str, str] | None:
    """What is wrong with a record that should be one of this shard: code, place, message."""
    if record["shard"] != shard.path:
        return "index-stray", config.name, "records belong to no shard, or are out of order"
    columns = [column.name for column in media_of(config)]
    if (record["config"], record["split"]) != (shard.config, shard.split) or record["column"] not in columns:
        return "index-key", shard.path, "records name another row's key, config, split or column"
    if record["row"] is None or not 0 <= record["row"] < shard.rows:
        return "index-row", shard.path, "records are of rows that are not there"
    return None


def _read(published: Published, cell: _Cell) -> tuple[bytes, bytes] | None:
    """The bytes that say a cell's length, and the digest of those that are the cell."""
    if cell.offset is None or not published.usable(cell.shard):
        return None
    hasher, length = blake3.blake3(), b""
    for view in span(
        published, published.entry(cell.shard), cell.offset - LENGTH, cell.size + LENGTH, published.reach.piece
    ):
        skipped = LENGTH - len(length)
        length += bytes(view[:skipped])
        hasher.update(view[skipped:])
    return length, hasher.digest()
