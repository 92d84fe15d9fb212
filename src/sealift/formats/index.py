"""The published index: a record for every media cell, with the range of its bytes in the shard and their digest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sealift.model import manifest
from sealift.model.column import MediaColumn
from sealift.model.entry import Entry
from sealift.ports import Sink

INDEX = pa.schema(
    [
        ("key", pa.string()),
        ("config", pa.string()),
        ("split", pa.string()),
        ("shard", pa.string()),
        ("row", pa.int64()),
        ("column", pa.string()),
        ("element", pa.int32()),
        ("path", pa.string()),
        ("size", pa.int64()),
        ("offset", pa.int64()),
        ("digest", pa.binary(32)),
    ]
)
GROUP_ROWS = 65_536
FILE_GROUPS = 64
"""One index file holds four million records at most, so that a reader can fetch the part it needs."""


@dataclass(frozen=True)
class Cells:
    """The cells that are there in one media column of a batch of planned rows, in the order of (row, element)."""

    column: str
    rows: npt.NDArray[np.int64]
    elements: npt.NDArray[np.int64] | None
    references: pa.StructArray

    def __len__(self) -> int:
        return len(self.rows)

    def entries(self) -> list[Entry]:
        """The entries that the cells stand for."""
        columns = (self.references.field(name).to_pylist() for name in ("path", "size", "version"))
        return [Entry(*one) for one in zip(*columns, strict=True)]

    def records(
        self,
        keys: pa.Array,
        place: tuple[str, str, str],
        first: int,
        offsets: npt.NDArray[np.int64],
        digests: pa.Array,
    ) -> pa.Table:
        """Index records of the cells; `place` is (config, split, shard), `first` the row where the batch begins."""
        count = len(self)
        config, split, shard = (pa.repeat(pa.scalar(word, pa.string()), count) for word in place)
        elements = pa.nulls(count, pa.int32()) if self.elements is None else pa.array(self.elements, pa.int32())
        column = pa.repeat(pa.scalar(self.column, pa.string()), count)
        path, size = self.references.field("path"), self.references.field("size")
        arrays = [
            keys.take(pa.array(self.rows)),
            config,
            split,
            shard,
            pa.array(self.rows + first),
            column,
            elements,
            path,
            size,
            pa.array(offsets),
            digests,
        ]
        return pa.table(arrays, schema=INDEX)


def cells_of(array: pa.Array, column: MediaColumn) -> Cells:
    """The cells that are there in a column of references."""
    if column.many:
        parents = pc.list_parent_indices(array).to_numpy(zero_copy_only=False).astype(np.int64)
        flat = array.flatten()
        elements = np.arange(len(parents)) - np.searchsorted(parents, parents, side="left")
    else:
        parents, flat, elements = np.arange(len(array), dtype=np.int64), array, None
    there = flat.is_valid()
    keep = there.to_numpy(zero_copy_only=False)
    return Cells(column.name, parents[keep], None if elements is None else elements[keep], flat.filter(there))


def index_chunks(parts: Iterable[Path]) -> Iterator[pa.Table]:
    """The records of the parts, in order, in tables of exactly `GROUP_ROWS` records, but the last."""
    waiting: list[pa.RecordBatch] = []
    count = 0
    for part in parts:
        with pq.ParquetFile(part) as file:
            for batch in file.iter_batches(batch_size=GROUP_ROWS):
                while count + batch.num_rows >= GROUP_ROWS:
                    head = batch.slice(0, GROUP_ROWS - count)
                    batch = batch.slice(head.num_rows)
                    yield pa.Table.from_batches([*waiting, head], INDEX).combine_chunks()
                    waiting, count = [], 0
                if batch.num_rows:
                    waiting.append(batch)
                    count += batch.num_rows
    if waiting:
        yield pa.Table.from_batches(waiting, INDEX).combine_chunks()


def index_paths(config: str, cells: int) -> list[str]:
    """The files that hold the index of a config with so many cells; none if there are none."""
    total = -(-cells // (FILE_GROUPS * GROUP_ROWS))
    return [f"{manifest.INDEX_FOLDER}/{config}-{number:05d}-of-{total:05d}.parquet" for number in range(total)]


def write_index(sink: Sink, chunks: Iterator[pa.Table]) -> None:
    """Write one index file from the next chunks: the same records, the same bytes."""
    with pq.ParquetWriter(
        pa.PythonFile(sink, mode="w"), INDEX, compression="zstd", use_dictionary=["config", "split", "shard", "column"]
    ) as writer:
        for chunk in islice(chunks, FILE_GROUPS):
            writer.write_table(chunk, row_group_size=max(1, chunk.num_rows))
