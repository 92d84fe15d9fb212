"""The rows of a split as a plan holds them on disk: light columns, `_key`, and references to entries.

Row groups are cut at fixed row numbers and by bytes, so the same rows give the same file, however they arrived.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from types import TracebackType

import blake3
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

KEY = "_key"
VERSION = "version"
REFERENCE = pa.struct([("path", pa.string()), ("size", pa.int64()), (VERSION, pa.string())])
"""A media cell of a planned row: the entry's path, its size in bytes, and its version in the listing."""

BLOCK_ROWS = 1024
GROUP_ROWS = 16 * BLOCK_ROWS
GROUP_BYTES = 32 << 20


class RowFile:
    """Takes batches of any length and writes them in row groups that depend on the rows alone. Use it with `with`."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.path = path
        self.schema = schema
        self.rows = 0
        self._writer: pq.ParquetWriter | None = None
        self._waiting: list[pa.RecordBatch] = []
        self._waiting_bytes = 0

    def __enter__(self) -> RowFile:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._writer = pq.ParquetWriter(self.path, self.schema, compression="zstd", write_page_index=False)
        return self

    def write(self, batch: pa.RecordBatch) -> None:
        """Take the batch; what does not fill a block yet stays in memory."""
        while batch.num_rows:
            part = batch.slice(0, BLOCK_ROWS - self.rows % BLOCK_ROWS)
            batch = batch.slice(part.num_rows)
            self.rows += part.num_rows
            self._waiting.append(part)
            self._waiting_bytes += part.nbytes
            if self.rows % BLOCK_ROWS == 0 and (self.rows % GROUP_ROWS == 0 or self._waiting_bytes >= GROUP_BYTES):
                self._flush()

    def _flush(self) -> None:
        if self._waiting and self._writer is not None:
            table = pa.Table.from_batches(self._waiting, self.schema).combine_chunks()
            self._writer.write_table(table, row_group_size=max(1, table.num_rows))
            self._waiting, self._waiting_bytes = [], 0

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._flush()
        if self._writer is not None:
            self._writer.close()


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
        """The schema of what is read."""
        return self._file.schema_arrow

    @property
    def rows(self) -> int:
        """How many rows there are in all."""
        return self._starts[-1]

    def read(self, first: int, count: int) -> pa.RecordBatch:
        """Rows `first` … `first + count` as one batch."""
        parts = []
        for number in range(len(self._starts) - 1):
            start, end = self._starts[number], self._starts[number + 1]
            if start < first + count and end > first:
                low, high = max(first, start), min(first + count, end)
                parts.append(self._group(number).slice(low - start, high - low))
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


def digest(path: Path, unversioned: Collection[str] = ()) -> str:
    """BLAKE3 of the rows in the file, but for the versions in the media columns `unversioned`.

    Without versions it is the same wherever the same files lie.
    """
    hasher = blake3.blake3()
    metadata = pq.read_metadata(path)
    with open(path, "rb") as file:
        for number in range(metadata.num_row_groups):
            group = metadata.row_group(number)
            for leaf in range(group.num_columns):
                chunk = group.column(leaf)
                steps = chunk.path_in_schema.split(".")
                if steps[-1] == VERSION and steps[0] in unversioned:
                    continue
                start = chunk.dictionary_page_offset or chunk.data_page_offset
                file.seek(start)
                hasher.update(file.read(chunk.total_compressed_size))
    return hasher.hexdigest()
