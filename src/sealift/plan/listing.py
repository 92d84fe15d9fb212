"""The listing of the source, on disk: from the store, or from a table that the user has."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq

from sealift.errors import SealiftError
from sealift.model.event import Advanced, OnEvent
from sealift.ports import LISTING, Source
from sealift.rows import listing as listing_table
from sealift.spec import Spec


def write_listing(spec: Spec, source: Source, work: Path, memory: int, on_event: OnEvent) -> Path:
    """A Parquet file with the columns of `model.entry.LISTING_COLUMNS`, one record an entry.

    Memory: a batch of the source's listing, or `memory` bytes for DuckDB where it is a table.

    Raises:
        SourceError: the source cannot be listed.
        SpecError: the table named by `listing:` has no `path` and `size`.
    """
    work.mkdir(parents=True, exist_ok=True)
    file = work / "listing.parquet"
    if spec.listing is not None:
        try:
            listing_table.from_table(str(spec.path(spec.listing)), file, work, memory)
        except SealiftError as error:
            raise spec.mistake(error.message, "listing", hint=error.hint) from error
        return file
    # Paths never come twice, and nobody looks for one by its row group's least and largest.
    said = {"compression": "lz4", "use_dictionary": ["extension"], "write_statistics": False}
    with pq.ParquetWriter(file, LISTING, **said) as writer:
        for batch in source.listing():
            writer.write_batch(batch)
            on_event(Advanced("plan", files=batch.num_rows))
    return file
