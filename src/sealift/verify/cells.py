"""Level `full`: every media cell lies where the index says, with the bytes that were hashed at the source."""

from __future__ import annotations

from dataclasses import dataclass, field

import blake3
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sealift.errors import IntegrityError
from sealift.formats import parquet
from sealift.formats.parquet.chains import Int64
from sealift.model.column import MediaColumn
from sealift.model.event import Advanced, OnEvent
from sealift.model.manifest import PublishedConfig
from sealift.model.problem import Problem
from sealift.model.receipt import Receipt
from sealift.verify.ahead import Range
from sealift.verify.bones import Bones
from sealift.verify.codes import problem
from sealift.verify.opened import Opened
from sealift.verify.published import OUT_OF_REACH, UNREADABLE, said

Other = tuple[str, str]
"""Key and path of a cell whose bytes are not those of the source."""


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


@dataclass(frozen=True)
class Chunk:
    """A media column in one row group: bytes `start` up to `end` of the shard, and what the index says of its cells."""

    row_group: int
    column: MediaColumn
    start: int
    end: int
    records: pa.Table

    def numbers(self, name: str) -> Int64:
        """A column of the records, -1 for a null."""
        return np.asarray(self.records[name].fill_null(-1).to_numpy(), np.int64)

    def fits(self) -> bool:
        """Whether the records can be right: one cell after another, each with its length before it, in the chunk."""
        offset, size = self.numbers("offset"), self.numbers("size")
        inside = (offset >= self.start) & (size >= 0) & (size <= self.end - self.start) & (offset <= self.end - size)
        ends = np.concatenate(([self.start], offset + size))
        return bool(inside.all() and (offset - 4 >= ends[:-1]).all())


@dataclass
class CellCheck:
    """The cells of one shard, row group by row group, beside their index records.

    Each byte of the media is read once, from front to back: hashed where the index says that a cell is, and kept where
    it says that there is none, which is enough to walk the pages and see whether the index is right. The first chunk
    that is not in place ends it, for so are those behind.
    """

    shard: Receipt
    columns: list[MediaColumn]
    opened: Opened
    footer: parquet.Footer
    on_event: OnEvent
    problems: list[Problem] = field(default_factory=list)
    cells: int = 0
    over: bool = False

    def places(self, number: int) -> list[Range]:
        """Where the media of a row group lie."""
        leaves = {column.leaf for column in self.columns}
        return [(one.start, one.end) for one in self.footer.row_groups[number].chunks if one.leaf.path in leaves]

    def chunks(self, number: int, records: pa.Table) -> list[Chunk]:
        """The column chunks of a row group, each with its records; these must come in the order of the columns."""
        group, at, found = self.footer.row_groups[number], 0, []
        for column in self.columns:
            count = pc.sum(pc.equal(records["column"], column.name)).as_py() or 0
            part = records.slice(at, count)
            at += count
            places = [(one.start, one.end) for one in group.chunks if one.leaf.path == column.leaf]
            # A file without the column is told apart when its pages are to be walked.
            found += [Chunk(number, column, *place, part) for place in places or [(0, 0)]]
        if at != records.num_rows:
            self._out_of_place(str(records["column"][at].as_py()))
        return found

    def chunk(self, chunk: Chunk) -> None:
        """Check the cells of a column chunk, unless it is over.

        Raises:
            SourceError, DestinationError: the bytes cannot be had.
        """
        if self.over:
            return
        try:
            others = self._others(chunk)
        except OUT_OF_REACH:
            raise
        except UNREADABLE as error:
            self.over = True
            self.problems.append(problem("pages-damaged", said(error), self.shard.path))
            return
        if others is None:
            self._out_of_place(chunk.column.name)
            return
        self.cells += chunk.records.num_rows
        if others:
            key, path = others[0]
            message = f"the bytes of {path} are not those of the source"
            place = f"{self.shard.path} `{chunk.column.name}` {key}"
            self.problems.append(problem("cell-digest", message, place, len(others)))

    def _out_of_place(self, column: str) -> None:
        if not self.over:
            place = f"{self.shard.path} `{column}`"
            self.problems.append(problem("cell-place", "cells do not lie where the index says", place))
        self.over = True

    def _others(self, chunk: Chunk) -> list[Other] | None:
        """The cells with other bytes than they had at the source; None if they do not lie where the index says."""
        others = None
        if chunk.fits():
            bones = Bones(chunk.numbers("offset"), chunk.numbers("size"))
            others = self._sweep(chunk, bones)
            try:
                if self._in_place(bones, chunk):
                    return others
            except IntegrityError:
                pass  # The pages may be damaged, or the index wrong: that takes a look at all bytes.
        return others if self._in_place(self.opened.file.range, chunk) else None

    def _sweep(self, chunk: Chunk, bones: Bones) -> list[Other]:
        """Read the chunk once, hash its cells, and keep what is between them."""
        at, others = chunk.start, []
        names = ("key", "offset", "size", "digest", "path")
        records = zip(*(chunk.records[name].to_pylist() for name in names), strict=True)
        for key, offset, size, digest, path in records:
            bones.take(at, self.opened.views(at, offset), cell=True)
            at = offset + size
            hasher = blake3.blake3()
            for view in self.opened.views(offset, at):
                hasher.update(view)
                self.on_event(Advanced("verify", len(view)))
            if hasher.digest() != digest:
                others.append((key, path))
        bones.take(at, self.opened.views(at, chunk.end))
        return others

    def _in_place(self, source: parquet.Read | parquet.PageBytes, chunk: Chunk) -> bool:
        """Whether the records name exactly the cells that the pages hold: row, element, offset and size of each.

        Raises:
            IntegrityError: the pages cannot be walked.
        """
        pages, count = [], 0
        for page in parquet.cells(source, self.footer, chunk.column.leaf, [chunk.row_group]):
            count += len(page.row)
            if count > chunk.records.num_rows:
                return False
            pages.append(page)
        # A null stands as -1 below, and so no record may say -1 itself.
        if pc.any(pc.less(chunk.records["element"], 0)).as_py():
            return False
        named = pc.fill_null(pc.equal(chunk.records["column"], chunk.column.name), False)
        if count < chunk.records.num_rows or not pc.all(named, min_count=0).as_py():
            return False
        pairs = [("row", "row"), ("element", "element"), ("offset", "offset"), ("size", "length")]
        return not pages or all(
            np.array_equal(chunk.numbers(told), np.concatenate([getattr(page, there) for page in pages]))
            for told, there in pairs
        )
