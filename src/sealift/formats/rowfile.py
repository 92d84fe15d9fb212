"""The rows of a split as a plan holds them on disk: light columns, `_key`, and references to entries."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

KEY = "_key"
VERSION = "version"
REFERENCE = pa.struct([("path", pa.string()), ("size", pa.int64()), (VERSION, pa.string())])
"""A media cell of a planned row: the entry's path, its size in bytes, and its version in the listing."""

GROUP_ROWS = 16_384
GROUP_BYTES = 32 << 20
"""A row group holds no more rows and, but for its last row, no more bytes: a reader decodes one at a time."""


class RowFile:
    """Takes batches of any length and writes them in row groups that fit into memory. Use it with `with`.

    The file is Parquet; with `passing` it is an Arrow file, which takes half the time, to be read once by `passed`.
    """

    def __init__(self, path: Path, schema: pa.Schema, *, passing: bool = False) -> None:
        self.path = path
        self.schema = schema
        self.rows = 0
        self._passing = passing
        self._writer: Any = None
        self._waiting: list[pa.RecordBatch] = []
        self._waiting_rows = 0
        self._waiting_bytes = 0

    def __enter__(self) -> RowFile:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # These files are read once or twice and thrown away: what takes time to make them small is left out.
        self._writer = (
            pa.ipc.new_file(str(self.path), self.schema, options=pa.ipc.IpcWriteOptions(compression="lz4"))
            if self._passing
            else pq.ParquetWriter(
                self.path, self.schema, compression="lz4", use_dictionary=False, write_statistics=False
            )
        )
        return self

    def write(self, batch: pa.RecordBatch) -> None:
        """Take the batch; what does not fill a row group yet stays in memory."""
        self.rows += batch.num_rows
        while batch.num_rows:
            fitting = max(1, batch.num_rows * GROUP_BYTES // max(1, batch.nbytes))
            part = batch.slice(0, min(fitting, GROUP_ROWS - self._waiting_rows))
            batch = batch.slice(part.num_rows)
            self._waiting.append(part)
            self._waiting_rows += part.num_rows
            self._waiting_bytes += part.nbytes
            if self._waiting_rows == GROUP_ROWS or self._waiting_bytes >= GROUP_BYTES:
                self._flush()

    def _flush(self) -> None:
        if self._waiting and self._writer is not None:
            table = pa.Table.from_batches(self._waiting, self.schema).combine_chunks()
            self._writer.write_table(table, max(1, table.num_rows))
            self._waiting, self._waiting_rows, self._waiting_bytes = [], 0, 0

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._flush()
        if self._writer is not None:
            self._writer.close()


def passed(path: Path) -> Iterator[pa.RecordBatch]:
    """All rows of a file that was written `passing`, in order, a row group at a time."""
    with pa.OSFile(str(path)) as file, pa.ipc.open_file(file) as rows:
        for number in range(rows.num_record_batches):
            yield rows.get_batch(number)


class RowReader:
    """Reads ranges of planned rows; going forward costs one decoded row group at a time."""

    def __init__(self, path: Path, columns: list[str] | None = None) -> None:
        self._file = pq.ParquetFile(path, memory_map=False, pre_buffer=False)
        self._columns = columns
        metadata = self._file.metadata
        self._starts = [0]
        for number in range(metadata.num_row_groups):
            self._starts.append(self._starts[-1] + metadata.row_group(number).num_rows)
        self._held: tuple[int, pa.Table] | None = None

    @property
    def schema(self) -> pa.Schema:
        """The schema of the file, whatever columns are read."""
        return self._file.schema_arrow

    @property
    def rows(self) -> int:
        """How many rows there are in all."""
        return self._starts[-1]

    def read(self, first: int, count: int) -> pa.RecordBatch:
        """Rows `first` … `first + count` as one batch."""
        parts, end = [], min(first + count, self.rows)
        number = bisect_right(self._starts, first) - 1
        while first < end:
            stop = min(end, self._starts[number + 1])
            parts.append(self._group(number).slice(first - self._starts[number], stop - first))
            first, number = stop, number + 1
        if not parts:
            return self._empty()
        batches = pa.concat_tables(parts).combine_chunks().to_batches()
        return batches[0] if batches else self._empty()

    def batches(self) -> Iterator[pa.RecordBatch]:
        """All rows in order, a row group at a time."""
        for number in range(len(self._starts) - 1):
            yield from self._group(number).to_batches()

    def _group(self, number: int) -> pa.Table:
        if self._held is None or self._held[0] != number:
            self._held = None
            table = self._file.read_row_group(number, columns=self._columns, use_threads=False)
            self._held = (number, table.combine_chunks())
        return self._held[1]

    def _empty(self) -> pa.RecordBatch:
        kept = [field for field in self.schema if self._columns is None or field.name in self._columns]
        return pa.RecordBatch.from_pylist([], schema=pa.schema(kept))


def joined_key(parts: Sequence[pa.Array]) -> pa.Array:
    """One string a row from the columns of its key; several are joined with `/`, with %25 for % and %2F for /."""
    words = [pc.fill_null(pc.cast(part, pa.string()), "") for part in parts]
    if len(words) == 1:
        return words[0]
    quoted = [pc.replace_substring(pc.replace_substring(word, "%", "%25"), "/", "%2F") for word in words]
    return pc.binary_join_element_wise(*quoted, "/")
