"""A contender that packs most of the corpus: the last byte of one file is another one. The harness has to see that."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.contenders.job import Job, Sample, main


def write(job: Job) -> None:
    """All files in one, but for one byte."""
    media = bytearray(b"".join(job.media(row) or b"" for row in range(len(job.paths))))
    media[-1] ^= 1
    (job.out / "all.bin").write_bytes(media)


def read(job: Job) -> Iterator[Sample]:
    """The corpus's rows, with the bytes that stand at their place in the file."""
    with open(job.out / "all.bin", "rb") as file:
        for light, size in zip(job.table.to_pylist(), job.sizes, strict=True):
            yield light, None if light["audio"] is None else file.read(size)


if __name__ == "__main__":
    main(write, read)
