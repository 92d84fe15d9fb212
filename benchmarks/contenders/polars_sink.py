"""Polars: a source of its own that yields frames of about 32 MB with the files' bytes, streamed into a partitioned sink
that cuts files of about the target's size. Without compression, since media do not compress.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from benchmarks.contenders.job import BYTES, Job, Sample, main, parquet_samples

BATCH = 32 << 20


def write(job: Job) -> None:
    """Shards by the engine's own cut."""
    os.environ["POLARS_MAX_THREADS"] = str(job.workers)
    import polars as pl
    from polars.io.plugins import register_io_source

    table = pl.DataFrame(job.table)

    def frames(
        columns: list[str] | None, predicate: pl.Expr | None, most: int | None, _batch: int | None
    ) -> Iterator[pl.DataFrame]:
        assert predicate is None and most is None
        for rows in job.batches(BATCH):
            cells = pl.Series(BYTES, [job.media(row) for row in rows], pl.Binary)
            frame = table[rows.start : rows.stop].with_columns(cells)
            yield frame if columns is None else frame.select(columns)

    source = register_io_source(frames, schema={**table.schema, BYTES: pl.Binary()})
    source.sink_parquet(
        pl.PartitionBy(job.out, approximate_bytes_per_file=job.target, max_rows_per_file=1 << 30),
        compression="uncompressed",
        mkdir=True,
        engine="streaming",
    )


def read(job: Job) -> Iterator[Sample]:
    """The rows of the shards, in the order of their names."""
    yield from parquet_samples(list(job.out.rglob("*.parquet")))


if __name__ == "__main__":
    main(write, read)
