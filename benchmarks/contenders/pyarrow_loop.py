"""A loop over pyarrow's writer as it is fastest, with the SHA-256 of every file on the way.

Files are read into one buffer, which the array of cells lies upon. Data pages are of about 1 MB: by default a row group
of small files would become one page, which costs up to twice the time. Media have no dictionary, statistics or
compression. Shards are cut by the sizes.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.contenders.job import BYTES, Job, Sample, main, parquet_samples

ROW_GROUP = 64 << 20
PAGE = 1 << 20
DIGEST = "sha256"


def write(job: Job) -> None:
    """Shards of the target's size; two workers are two processes over halves of the rows."""

    def part(number: int, rows: range) -> None:
        buffer = pa.allocate_buffer(max(ROW_GROUP, *job.sizes), resizable=False)
        for shard, these in enumerate(job.batches(job.target, rows)):
            _shard(job, these, f"{job.out}/{number}-{shard:05d}.parquet", buffer)

    job.each_part(part)


def _shard(job: Job, rows: range, path: str, buffer: pa.Buffer) -> None:
    light = job.table.schema.names
    schema = job.table.schema.append(pa.field(BYTES, pa.binary())).append(pa.field(DIGEST, pa.string()))
    mean = max(1, sum(job.sizes[rows.start : rows.stop]) // len(rows))
    options = {
        "use_dictionary": [name for name in light if name != "audio"],
        "compression": {**dict.fromkeys([*light, DIGEST], "snappy"), BYTES: "none"},
        "write_statistics": light,
        "write_batch_size": max(1, PAGE // mean),
    }
    with pq.ParquetWriter(path, schema, **options) as writer:
        for these in job.batches(ROW_GROUP, rows):
            columns = [*job.table.slice(these.start, len(these)).columns, *_cells(job, these, buffer)]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema), row_group_size=len(these))


def _cells(job: Job, rows: range, buffer: pa.Buffer) -> tuple[pa.Array, pa.Array]:
    """The bytes of these rows' files, one after the other in the buffer, and their digests."""
    view, at = memoryview(buffer).cast("B"), 0
    digests: list[str | None] = []
    for path, size in zip(job.paths[rows.start : rows.stop], job.sizes[rows.start : rows.stop], strict=True):
        if path is None:
            digests.append(None)
            continue
        cell = view[at : at + size]
        descriptor = os.open(f"{job.corpus}/{path}", os.O_RDONLY)
        got = os.readv(descriptor, [cell])
        os.close(descriptor)
        assert got == size, f"{path} was not read whole"
        digests.append(hashlib.sha256(cell).hexdigest())
        at += size
    offsets = np.zeros(len(rows) + 1, np.int32)
    np.cumsum(job.sizes[rows.start : rows.stop], out=offsets[1:])
    there = pa.array([digest is not None for digest in digests]).buffers()[1]
    return pa.Array.from_buffers(pa.binary(), len(rows), [there, pa.py_buffer(offsets), buffer]), pa.array(digests)


def read(job: Job) -> Iterator[Sample]:
    """The rows of the shards in the order of their names."""
    for light, media in parquet_samples(list(job.out.glob("*.parquet"))):
        said = light.pop(DIGEST)
        assert said == (media if media is None else hashlib.sha256(media).hexdigest())
        yield light, media


if __name__ == "__main__":
    main(write, read)
