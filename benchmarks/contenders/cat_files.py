"""The limit of copying: all files into one, by `cat` itself. No rows, no digest. This module only reads it back."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.contenders.job import Job, Sample, main


def read(job: Job) -> Iterator[Sample]:
    """The corpus's rows, with the bytes that stand at their place in the file, which has nothing else."""
    with open(job.out / "all.bin", "rb") as file:
        for light, size in zip(job.table.to_pylist(), job.sizes, strict=True):
            yield light, None if light["audio"] is None else file.read(size)
        assert not file.read(1), "there is more in the file than in the corpus"


if __name__ == "__main__":
    main(None, read)
