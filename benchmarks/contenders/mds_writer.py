"""MosaicML Streaming's `MDSWriter`: shards of the target's size, without compression and hashes, as is its default.

It holds no nulls: a row without a file has empty bytes and an empty path. It has no workers: two are two processes over
halves of the rows, whose indexes are merged, as its documentation says.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pyarrow as pa

# The package imports its vision datasets, and these torchvision, which would have to fit the very build of torch.
sys.modules.setdefault("streaming.vision", ModuleType("streaming.vision"))

from streaming import LocalDataset, MDSWriter  # noqa: E402
from streaming.base.util import merge_index  # noqa: E402

from benchmarks.contenders.job import BYTES, MEDIA, Job, Sample, main  # noqa: E402


def write(job: Job) -> None:
    """Shards, and the index that names them."""
    kinds = {name: "float64" if pa.types.is_floating(kind) else "str" for name, kind in _fields(job)}

    def part(number: int, rows: range) -> None:
        out = job.out / str(number) if job.workers > 1 else job.out
        light = job.table.slice(rows.start, len(rows)).to_pylist()
        with MDSWriter(out=str(out), columns={**kinds, BYTES: "bytes"}, size_limit=job.target, exist_ok=True) as writer:
            for row, columns in zip(rows, light, strict=True):
                writer.write({**columns, MEDIA: columns[MEDIA] or "", BYTES: job.media(row) or b""})

    job.each_part(part)
    if job.workers > 1:
        merge_index(str(job.out), keep_local=True)


def _fields(job: Job) -> list[tuple[str, Any]]:
    schema = job.table.schema
    return list(zip(schema.names, schema.types, strict=True))


def read(job: Job) -> Iterator[Sample]:
    """The samples, with nulls where it holds empty ones."""
    for folder in sorted(job.out.glob("*/")) if job.workers > 1 else [job.out]:
        dataset = LocalDataset(str(folder))
        for row in range(len(dataset)):
            sample = dataset[row]
            media = sample.pop(BYTES)
            sample[MEDIA] = sample[MEDIA] or None
            yield sample, media if sample[MEDIA] else None


if __name__ == "__main__":
    main(write, read)
