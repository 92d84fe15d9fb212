"""Lance: record batches of about 8 MB of media into files of the target's size. Media are a column of large binary.

Its own threads take the cores that it is given. Two workers are two processes that write fragments, committed together,
which is its documented way of writing in parallel. It is imported after the fork, which it does not survive.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pyarrow as pa

from benchmarks.contenders.job import BYTES, Job, Sample, main

BATCH = 8 << 20
Cells = list[bytes | None]


def field() -> pa.Field:
    """The media column."""
    return pa.field(BYTES, pa.large_binary())


def cells(values: Cells) -> pa.Array:
    """Its cells."""
    return pa.array(values, pa.large_binary())


def write(job: Job) -> None:
    """One dataset, in one transaction."""
    write_lance(job, field, cells, "2.1")


def write_lance(job: Job, field: Callable[[], pa.Field], cells: Callable[[Cells], pa.Array], version: str) -> None:
    """The fragments of each worker, with such a media column, committed together."""
    place = str(job.out / "rows.lance")

    def batches(schema: pa.Schema, rows: range) -> Iterator[pa.RecordBatch]:
        for these in job.batches(BATCH, rows):
            light = job.table.slice(these.start, len(these)).combine_chunks()
            media = cells([job.media(row) for row in these])
            yield pa.RecordBatch.from_arrays([*(column.chunk(0) for column in light.columns), media], schema=schema)

    def part(_number: int, rows: range) -> list[str]:
        import lance

        schema = job.table.schema.append(field())
        written = lance.fragment.write_fragments(
            pa.RecordBatchReader.from_batches(schema, batches(schema, rows)),
            place,
            schema,
            mode="create",
            max_bytes_per_file=job.target,
            data_storage_version=version,
        )
        return [json.dumps(fragment.to_json()) for fragment in written]

    said = job.each_part(part)
    import lance

    fragments = [lance.FragmentMetadata.from_json(fragment) for some in said for fragment in some]
    lance.LanceDataset.commit(place, lance.LanceOperation.Overwrite(job.table.schema.append(field()), fragments))


def read(job: Job) -> Iterator[Sample]:
    """The rows as they are scanned."""
    import lance

    for batch in lance.dataset(str(job.out / "rows.lance")).to_batches(batch_size=16, scan_in_order=True):
        for row in batch.to_pylist():
            media = row.pop(BYTES)
            yield row, media


if __name__ == "__main__":
    main(write, read)
