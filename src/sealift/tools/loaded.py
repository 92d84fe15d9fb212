"""What a loader gave, held against the published index: every row in its place, every media byte as it was hashed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from blake3 import blake3

from sealift.errors import IntegrityError
from sealift.formats.ranged import RangedFile
from sealift.model.manifest import Manifest
from sealift.tools.loading import Batches, Job
from sealift.verify.published import Published, shards_of

RECORDS = 8192
Column = tuple[str, str]
"""Split and media column."""


@dataclass
class Seen:
    """Media cells by column, whatever their order: how many, and the sum of the digests of place and content.

    Two of them are equal only if the same cells stand in the same places. Memory: a number for each column.
    """

    cells: Counter[Column] = field(default_factory=Counter)
    sums: Counter[Column] = field(default_factory=Counter)

    def add(self, column: Column, row: int, element: int, digest: bytes) -> None:
        """Count a cell: its row in the split, its place in a list (0 for a single cell), the digest of its bytes."""
        self.cells[column] += 1
        self.sums[column] += int.from_bytes(blake3(b"%d %d " % (row, element) + digest).digest(16), "little")

    def other(self, than: Seen) -> list[str]:
        """The columns that are not the same, as people call them."""
        columns = sorted({*self.cells, *than.cells})
        return [
            f"{split}, column `{name}`"
            for split, name in columns
            if (self.cells[split, name], self.sums[split, name]) != (than.cells[split, name], than.sums[split, name])
        ]


def published_cells(published: Published, found: Manifest, config: str) -> Seen:
    """The cells of a config as the index has them. Memory: some thousand records."""
    seen, first, before = Seen(), {}, Counter[str]()
    for shard in shards_of(found, config):
        first[shard.path] = before[shard.split]
        before[shard.split] += shard.rows
    for one in found.files:
        if (one.role, one.config) == ("index", config):
            for split, shard_path, row, column, element, digest in _records(published.file(one.path)):
                seen.add((split, column), first[shard_path] + row, element or 0, digest)
    return seen


def compare(job: Job, found: Manifest, media: Sequence[str], expected: Seen, came: Batches) -> dict[str, int]:
    """The rows by split that a loader gave; the media columns hold exactly what is expected.

    Raises:
        IntegrityError: a row or a cell is missing, too many, in another place, or has other bytes.
    """
    seen, rows = Seen(), Counter[str]()
    for split, table in came:
        for column in (name for name in media if name in table.column_names):
            _add(seen, (split, column), rows[split], table[column])
        rows[split] += table.num_rows
    wanted = {split.name: split.rows for one in found.configs if one.name == job.config for split in one.splits}
    if rows != wanted:
        raise _differs(job, f"{dict(rows)} rows came back, {wanted} were published")
    if others := seen.other(expected):
        raise _differs(job, f"other media came back than was published: {'; '.join(others)}")
    return dict(rows)


def _records(file: RangedFile) -> Iterator[tuple[Any, ...]]:
    columns = ["split", "shard", "row", "column", "element", "digest"]
    with pq.ParquetFile(pa.PythonFile(file, mode="r"), pre_buffer=True) as index:
        for batch in index.iter_batches(RECORDS, columns=columns):
            yield from zip(*(batch.column(name).to_pylist() for name in columns), strict=True)


def _add(seen: Seen, column: Column, first: int, cells: pa.ChunkedArray) -> None:
    for row, value in enumerate(cells, first):
        listed = value.values if isinstance(value, pa.ListScalar | pa.LargeListScalar) else [value]
        for element, cell in enumerate(listed or ()):
            data = cell["bytes"] if isinstance(cell, pa.StructScalar) and cell.is_valid else cell
            if data.is_valid:
                seen.add(column, row, element, blake3(memoryview(data.as_buffer())).digest())


def _differs(job: Job, said: str) -> IntegrityError:
    return IntegrityError(
        f"config {job.config}, loaded as a {job.way}: {said}", hint="please report this", config=job.config
    )
