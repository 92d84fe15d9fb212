"""Sealift: `sealift publish SPEC --to FOLDER`, the command as it is installed. This module only reads it back."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.contenders.job import Job, Sample, main, parquet_samples


def read(job: Job) -> Iterator[Sample]:
    """The rows of the published shards, in the order of their names."""
    yield from parquet_samples(list(job.out.glob("data/*.parquet")))


if __name__ == "__main__":
    main(None, read)
