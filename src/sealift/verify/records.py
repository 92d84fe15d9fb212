"""The index of one config as a stream of records, handed out shard by shard and row group by row group."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sealift.formats.index import GROUP_ROWS, INDEX
from sealift.model.manifest import Manifest
from sealift.verify.published import Published


class Records:
    """Hands out index records in their order. Memory: a row group of the index."""

    def __init__(self, published: Published, found: Manifest, config: str) -> None:
        self._batches = self._read(published, found, config)
        self._held: pa.RecordBatch | None = next(self._batches, None)

    @staticmethod
    def _read(published: Published, found: Manifest, config: str) -> Iterator[pa.RecordBatch]:
        for file in found.files:
            if file.role == "index" and file.config == config and published.usable(file.path):
                yield from pq.ParquetFile(published.file(file.path)).iter_batches(batch_size=GROUP_ROWS)

    def of(self, shard: str, end_row: int | None = None) -> pa.Table:
        """The next records that are of this shard (and of its rows below `end_row`)."""
        parts = []
        while self._held is not None:
            fits = pc.equal(self._held.column("shard"), shard)
            if end_row is not None:
                fits = pc.and_(fits, pc.less(self._held.column("row"), end_row))
            mask = pc.fill_null(fits, False).to_numpy(zero_copy_only=False)
            count = len(mask) if mask.all() else int(np.argmin(mask))
            parts.append(self._held.slice(0, count))
            if count < len(mask):
                self._held = self._held.slice(count)
                break
            self._held = next(self._batches, None)
        return pa.Table.from_batches(parts, INDEX) if parts else INDEX.empty_table()

    def left(self) -> int:
        """How many records were not handed out: of shards that are not there, or out of order."""
        count = 0
        while self._held is not None:
            count += self._held.num_rows
            self._held = next(self._batches, None)
        return count
