"""Writing a shard: pyarrow encodes the light columns, the media bytes stream past them into pages of our own."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa

from sealift.formats.parquet import pages, skeleton
from sealift.formats.parquet.assembly import Assembly, Placed, media_chunk, moved
from sealift.formats.parquet.metadata import MAGIC
from sealift.formats.parquet.outlet import Cells, Outlet
from sealift.formats.parquet.pages import PAGE_BYTES
from sealift.formats.parquet.storage import Int64, References, reference_type, references
from sealift.model.column import MediaColumn
from sealift.ports import Sink

SLICE_BYTES = 1 << 20
"""What is read, hashed and written at a time. Less costs more calls, with more writing takes longer (decision 0015)."""


class ShardWriter:
    """Writes one Parquet file, row group by row group.

    The same row groups give the same bytes for one version of pyarrow. Memory is one slice and the light columns of one
    row group, whatever the size of a cell. Leaving the context without an error closes the file; with one it leaves the
    sink as it is, without a footer.
    """

    def __init__(
        self,
        sink: Sink,
        schema: pa.Schema,
        media: Sequence[MediaColumn],
        *,
        page_bytes: int = PAGE_BYTES,
        slice_bytes: int = SLICE_BYTES,
        overlap: bool = False,
    ) -> None:
        """`schema` is that of the file (see `storage.storage_schema`); its metadata goes into the footer.

        With `overlap`, the sink is written in a thread of its own, while the next cells are read.
        """
        self._sink = sink
        self._schema = schema
        self._media = {column.name: column for column in media}
        self._page_bytes = page_bytes
        self._slice_bytes = slice_bytes
        self._overlap = overlap
        self._total: int | None = None

    def __enter__(self) -> Self:
        self._out.put(MAGIC)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self.close()
        finally:
            self._out.close()

    @cached_property
    def _out(self) -> Outlet:
        return Outlet(self._sink, self._slice_bytes, overlap=self._overlap)

    @cached_property
    def _blank(self) -> bytes:
        return skeleton.blank(self._schema)

    @cached_property
    def _assembly(self) -> Assembly:
        return Assembly(skeleton.footer(self._blank))

    @cached_property
    def _media_leaves(self) -> frozenset[str]:
        return frozenset(column.leaf for column in self._media.values())

    @cached_property
    def _options(self) -> dict[str, Any]:
        return skeleton.options(skeleton.leaves(self._blank), self._media_leaves)

    def write(self, rows: pa.RecordBatch, cells: Cells) -> dict[str, Int64]:
        """Write one row group; the answer is the file offset of each media column's present cells, in order.

        `rows` has the columns of the schema, in its order, the media columns as references (`storage.REFERENCE`, or
        a list of them). No rows, no row group.

        Raises:
            SampleError: a reference has no size, or one row's cells do not fit a page: 2 GiB, 4 million cells.
            ValueError: the columns of the rows are not those of the schema.
            RequestError: the file already has all the row groups that it can number.
        """
        if rows.schema.names != self._schema.names:
            raise ValueError(f"rows have columns {rows.schema.names}, the schema {self._schema.names}")
        media = {
            column.leaf: references(column, rows.column(name).cast(reference_type(column)))
            for name, column in self._media.items()
        }
        if not rows.num_rows:
            return {name: np.empty(0, np.int64) for name in self._media}
        return self._write(self._bones(rows, media), media, cells)

    def _bones(self, rows: pa.RecordBatch, media: dict[str, References]) -> skeleton.Skeleton:
        boxes = {item.column.name: item.skeleton for item in media.values()}
        arrays = [
            boxes[field.name] if field.name in boxes else _as(column, field.type)
            for field, column in zip(self._schema, rows.columns, strict=True)
        ]
        batch = pa.RecordBatch.from_arrays(arrays, schema=self._schema.remove_metadata())
        return skeleton.write(batch, self._media_leaves, self._options)

    def _write(self, bones: skeleton.Skeleton, media: dict[str, References], cells: Cells) -> dict[str, Int64]:
        start = self._out.position
        chunks: list[Placed] = []
        offsets: dict[str, Int64] = {}
        for part in bones.parts:
            at = self._out.position
            if item := media.get(part.leaf):
                cut = pages.cut(item, self._page_bytes)
                chunks.append(media_chunk(part, cut, len(item.definition), at))
                offsets[item.column.name] = pages.cell_offsets(item, cut, at)
                self._stream(item, cut, cells)
            else:
                chunks.append(moved(part, at))
                self._out.put(bones.data[part.start : part.end])
        self._assembly.add(bones.group, chunks, start)
        return offsets

    def _stream(self, item: References, cut: list[pages.MediaPage], cells: Cells) -> None:
        sizes = item.sizes.tolist()
        for page in cut:
            self._out.put(page.head)
            self._out.cells(cells, item.column.name, page.first_cell, sizes[page.first_cell : page.end_cell])

    def close(self) -> int:
        """Write page index and footer; the answer is the size of the file. A second call only answers again."""
        if self._total is None:
            self._assembly.finish(self._out.put, self._out.position)
            self._out.flush()
            self._total = self._out.position
        return self._total


def _as(column: pa.Array, kind: pa.DataType) -> pa.Array:
    return column if column.type == kind else column.cast(kind)
