"""Daft: the table with its paths downloaded into a column, written as Parquet files of the target's size.

Its own threads take the cores that it is given.
"""

from __future__ import annotations

from collections.abc import Iterator

import daft
from daft.functions import download

from benchmarks.contenders.job import BYTES, MEDIA, Job, Sample, main, parquet_samples


def write(job: Job) -> None:
    """Shards by the engine's own cut."""
    daft.set_execution_config(parquet_target_filesize=job.target, parquet_target_row_group_size=64 << 20)
    frame = daft.read_parquet(f"{job.corpus}/rows.parquet")
    place = daft.lit(f"file://{job.corpus}/") + daft.col(MEDIA)
    frame.with_column(BYTES, download(place)).write_parquet(str(job.out), compression="none")


def read(job: Job) -> Iterator[Sample]:
    """The rows of the shards, in the order of their names."""
    yield from parquet_samples(list(job.out.rglob("*.parquet")))


if __name__ == "__main__":
    main(write, read)
