"""The cells of a media column in a batch, with what the listing says of each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sealift.formats.rowfile import REFERENCE
from sealift.model.column import MediaColumn
from sealift.plan.cut import Int64
from sealift.plan.paths import lengths_of, listed, places_of

REASONS = ("missing", "unreadable", "empty")
"""Why a cell cannot be used."""


class Lookup:
    """Hands out what the listing says of the next references, from a stream of batches in their order."""

    def __init__(self, batches: Iterator[pa.RecordBatch]) -> None:
        self._batches = batches
        self._held: pa.RecordBatch | None = None

    def take(self, count: int) -> pa.RecordBatch | None:
        """The next `count` records; None if that is none."""
        parts: list[pa.RecordBatch] = []
        while count:
            if self._held is None or not self._held.num_rows:
                self._held = next(self._batches)
                continue
            part = self._held.slice(0, count)
            self._held = self._held.slice(part.num_rows)
            count -= part.num_rows
            parts.append(part)
        return pa.concat_batches(parts) if parts else None


@dataclass(frozen=True)
class Cells:
    """The cells of one media column in a batch, flat: row, element and path of each, and what the listing says.

    `reason` is the place in `REASONS` of why the cell cannot be used, or -1.
    """

    column: MediaColumn
    shape: pa.Array
    rows: Int64
    elements: Int64
    paths: pa.Array
    sizes: Int64
    versions: pa.Array
    reason: npt.NDArray[np.int8]

    @classmethod
    def of(cls, column: MediaColumn, array: pa.Array, lookup: Lookup) -> Cells:
        """The cells of the column's paths; takes as many records from the lookup as there are paths."""
        rows, elements, flat = places_of(array, column)
        there = flat.is_valid().to_numpy(zero_copy_only=False)
        sizes, reason = np.zeros(len(flat), np.int64), np.full(len(flat), -1, np.int8)
        versions = pa.nulls(len(flat), pa.string())
        said = lookup.take(len(flat) - flat.null_count)
        if said is not None:
            sizes[there] = pc.fill_null(said["size"], 0).to_numpy()
            found = said["found"].to_numpy(zero_copy_only=False)
            readable = pc.fill_null(said["readable"], True).to_numpy(zero_copy_only=False)
            reason[there] = np.select([~found, ~readable, sizes[there] <= 0], [0, 1, 2], -1)
            versions = said["version"]
            if flat.null_count:
                places = np.cumsum(there) - 1
                versions = versions.take(pa.array(places, mask=~there))
        return cls(column, array, rows, elements, flat, sizes, versions, reason)

    @property
    def refused(self) -> Int64:
        """The cells that cannot be used."""
        return np.flatnonzero(self.reason >= 0)

    def array(self) -> pa.Array:
        """The cells as references, in the column's shape; those that cannot be used are null."""
        gone = pa.array((self.reason >= 0) | ~self.paths.is_valid().to_numpy(zero_copy_only=False))
        sizes = pa.array(np.where(self.reason >= 0, 0, self.sizes))
        flat = pa.StructArray.from_arrays([self.paths, sizes, self.versions], fields=list(REFERENCE), mask=gone)
        return listed(lengths_of(self.shape), flat, self.shape) if self.column.many else flat
