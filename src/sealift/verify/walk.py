"""One way through the shards of a config, from front to back: keys, index records and, for `full`, media cells."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import chain

import blake3
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sealift.formats import parquet
from sealift.formats.index import INDEX
from sealift.formats.rowfile import joined_key
from sealift.model.column import MediaColumn
from sealift.model.event import OnEvent
from sealift.model.problem import Problem
from sealift.model.receipt import Receipt
from sealift.verify.ahead import Range
from sealift.verify.bounded import MOST_ROWS, MOST_UNPACKED, check_row_groups, check_stored
from sealift.verify.cells import CellCheck
from sealift.verify.codes import problem
from sealift.verify.opened import Opened, chunks, within
from sealift.verify.published import UNREADABLE, Published, read_problem
from sealift.verify.records import Records

KEYS = pa.schema([("key", pa.string())])


@dataclass
class Walk:
    """Goes through shards; notes their keys, and what is wrong with their index records and their cells.

    `columns` are those of media; their cells are checked if `cells` says so. `present` counts the rows that have files,
    by split and column. `spoilt` are the shards whose cells cannot be relied on.
    """

    published: Published
    key: tuple[str, ...]
    records: Records | None
    writer: pq.ParquetWriter
    columns: list[MediaColumn]
    cells: bool
    on_event: OnEvent
    present: Counter[tuple[str, str]] = field(default_factory=Counter)
    problems: list[Problem] = field(default_factory=list)
    cell_problems: list[Problem] = field(default_factory=list)
    spoilt: set[str] = field(default_factory=set)

    def looks_into(self, shard: Receipt) -> bool:
        """Whether the cells of this shard are checked: another part looks into those that lie elsewhere."""
        return self.cells and shard.path not in self.published.elsewhere

    def shard(self, shard: Receipt, opening: Future[Opened | None]) -> Iterator[Problem]:
        """Take the shard's keys, records and cells; the records of one that cannot be read are passed over."""
        one = _Shard(self, shard)
        if self.published.usable(shard.path):
            try:
                if opened := opening.result():
                    with opened, opened.parquet() as file:
                        one.go(opened, file)
            except UNREADABLE as error:
                yield read_problem("rows-damaged", "the rows cannot be read: ", self.published, shard.path, error)
        if self.records:
            rest = len(self.records.of(shard.path))
            if self.published.usable(shard.path):
                self._judge(one, rest)

    def _judge(self, one: _Shard, rest: int) -> None:
        """Where the records are wrong, nothing that the cells show beside them counts."""
        judged = [*one.judged(rest)]
        self.problems += judged
        if one.check and not judged:
            self.published.checked["cells"] += one.check.cells
            self.cell_problems += one.check.problems
            self.spoilt.update([one.shard.path] if one.check.over else ())

    def count(self, split: str, part: pa.Table) -> None:
        """Count the rows that have files, column by column; no row is in two parts."""
        for found in part.group_by("column").aggregate([("row", "count_distinct")]).to_pylist():
            self.present[(split, found["column"])] += found["row_count_distinct"]

    def keys(self, file: pq.ParquetFile, number: int) -> pa.Array | None:
        """The keys of a row group, None in a config that drops a column of the key."""
        if not self.key:
            return None
        table = file.read_row_group(number, columns=list(self.key), use_threads=False)
        table.validate(full=True)
        keys = joined_key([table[name].combine_chunks() for name in self.key])
        self.writer.write_table(pa.table([keys], schema=KEYS))
        return keys


@dataclass
class _Shard:
    """One shard on the way: the rows that were passed, their records, and how many of these are wrong."""

    walk: Walk
    shard: Receipt
    rows: int = 0
    records: int = 0
    wrong: int = 0
    media_bytes: int = 0
    digests: blake3.blake3 = field(default_factory=blake3.blake3)
    check: CellCheck | None = None

    def go(self, opened: Opened, file: pq.ParquetFile) -> None:
        """Go through the row groups. What is wanted of them is asked for in the order of the file."""
        metadata = file.metadata
        check_row_groups(metadata, MOST_ROWS)
        footer = opened.footer()
        keys = chunks(metadata, self.walk.key)
        leaves = {leaf.path for leaf in footer.leaves if within(leaf.path, self.walk.key)}
        if self.walk.looks_into(self.shard):
            self.check = CellCheck(self.shard, self.walk.columns, opened, footer, self.walk.on_event)
            opened.want(chain(*keys, *map(self.check.places, range(metadata.num_row_groups))))
        else:
            opened.want(chain(*keys))
        for number in range(metadata.num_row_groups):
            rows = metadata.row_group(number).num_rows
            part = self._part(self.rows + rows)
            check_stored(keys[number])
            self._read(opened, number, keys[number], part)
            parquet.check_unpacked(opened.file.range, footer, number, leaves, MOST_UNPACKED)
            self._hold(part, self.walk.keys(file, number))
            opened.drop()
            self.rows += rows
            self.walk.published.checked["rows"] += rows

    def _part(self, end_row: int) -> pa.Table:
        records = self.walk.records
        return records.of(self.shard.path, end_row) if records else INDEX.empty_table()

    def _read(self, opened: Opened, number: int, keys: list[Range], part: pa.Table) -> None:
        """Read a row group from front to back: keys are kept for pyarrow, cells are checked."""
        cells = self.check.chunks(number, part) if self.check else []
        steps = [(place, None) for place in keys] + [((one.start, one.end), one) for one in cells]
        for (start, end), one in sorted(steps, key=lambda step: step[0]):
            if one is None:
                opened.keep(start, end)
            elif self.check:
                self.check.chunk(one)

    def _hold(self, part: pa.Table, keys: pa.Array | None) -> None:
        """Hold the records of a row group against its keys."""
        self.walk.count(self.shard.split, part)
        self.records += len(part)
        self.media_bytes += pc.sum(part["size"]).as_py() or 0
        self.digests.update(b"".join(digest or b"" for digest in part["digest"].to_pylist()))
        self.wrong += _wrong(part, self.shard, self.rows, keys, [column.name for column in self.walk.columns])

    def judged(self, rest: int) -> Iterator[Problem]:
        """The first thing that is wrong with the shard's records; what else is follows from it."""
        path, cells = self.shard.path, self.shard.cells
        if rest:
            yield problem("index-row", f"{rest} records are of rows after the last", path, rest)
        elif self.records != cells:
            yield problem("index-cells", f"the index has {self.records} cells; the manifest says {cells}", path)
        elif self.media_bytes != self.shard.media_bytes:
            message = f"the index has {self.media_bytes} bytes of media; the manifest says {self.shard.media_bytes}"
            yield problem("index-bytes", message, path)
        elif self.wrong:
            yield problem("index-key", "records name another row's key, config, split or column", path, self.wrong)
        elif self.digests.hexdigest() != self.shard.digest:
            message = "the digests in the index together are not the one that the manifest says"
            yield problem("shard-digest", message, path)


def _wrong(part: pa.Table, shard: Receipt, start: int, keys: pa.Array | None, columns: list[str]) -> int:
    """How many records name another key, config or split than their row's, what is no media column, or a row before."""
    right = pc.and_(pc.equal(part["config"], shard.config), pc.equal(part["split"], shard.split))
    right = pc.and_(right, pc.greater_equal(part["row"], start))
    right = pc.and_(right, pc.is_in(part["column"], value_set=pa.array(columns, pa.string())))
    if keys is not None:
        rows = pc.subtract(part["row"], start)
        inside = pc.and_(pc.greater_equal(rows, 0), pc.less(rows, len(keys)))
        named = pc.take(keys, pc.if_else(inside, rows, None).combine_chunks())
        right = pc.and_(right, pc.equal(part["key"], named))
    return len(part) - int(pc.sum(pc.fill_null(right, False)).as_py() or 0)
