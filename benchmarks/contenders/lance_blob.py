"""Lance with its blob encoding for the media column, which a reader gets as a file; otherwise like `lance_plain`.

This is the first form of blobs, within the data files. The second puts each blob above 4 MB into a file of its own, so
that there would be no shards of the target's size; it was not faster.
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from benchmarks.contenders.job import BYTES, Job, Sample, main
from benchmarks.contenders.lance_plain import cells, write_lance


def field() -> pa.Field:
    """The media column."""
    return pa.field(BYTES, pa.large_binary(), metadata={"lance-encoding:blob": "true"})


def write(job: Job) -> None:
    """One dataset, in one transaction."""
    write_lance(job, field, cells, "2.1")


def read(job: Job) -> Iterator[Sample]:
    """The rows as they are scanned, with their bytes."""
    import lance

    dataset = lance.dataset(str(job.out / "rows.lance"))
    for batch in dataset.to_batches(batch_size=16, scan_in_order=True, blob_handling="all_binary"):
        for row in batch.to_pylist():
            media = row.pop(BYTES)
            yield row, media


if __name__ == "__main__":
    main(write, read)
