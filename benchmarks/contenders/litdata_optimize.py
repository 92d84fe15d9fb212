"""litdata's `optimize`: a function makes each sample of its row; chunks of the target's size, without compression.

It holds no nulls: a row without a file has empty bytes and an empty path. The order of the rows is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from litdata import StreamingDataset, optimize

from benchmarks.contenders.job import BYTES, MEDIA, Job, Sample, main


def sample(light: dict[str, Any], corpus: str) -> dict[str, Any]:
    """A row with its bytes."""
    path = light[MEDIA]
    if path is None:
        return {**light, MEDIA: "", BYTES: b""}
    with open(f"{corpus}/{path}", "rb", buffering=0) as file:
        return {**light, BYTES: file.read()}


def write(job: Job) -> None:
    """Chunks, and the index that names them."""
    optimize(
        partial(sample, corpus=str(job.corpus)),
        job.table.to_pylist(),
        output_dir=str(job.out),
        chunk_bytes=job.target,
        num_workers=job.workers,
        keep_data_ordered=True,
        reorder_files=False,
        mode="overwrite",
        verbose=False,
    )


def read(job: Job) -> Iterator[Sample]:
    """The samples, with nulls where it holds empty ones."""
    for held in StreamingDataset(str(job.out), shuffle=False):
        light = dict(held)
        media = light.pop(BYTES)
        light[MEDIA] = light[MEDIA] or None
        yield light, media if light[MEDIA] else None


if __name__ == "__main__":
    main(write, read)
