"""Ray Data: blocks of the table, the files read by `map_batches`, written as Parquet.

A file takes as many rows as make the target at the mean size. The cluster that it starts here is part of the run.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pyarrow as pa

from benchmarks.contenders.job import BYTES, MEDIA, Job, Sample, main, parquet_samples

BATCH = 32 << 20


def write(job: Job) -> None:
    """Shards of about the target's size."""
    os.environ["RAY_DATA_DISABLE_PROGRESS_BARS"] = "1"
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray

    ray.init(num_cpus=job.workers, include_dashboard=False, log_to_driver=False, _temp_dir=str(job.out.parent / "ray"))
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.execution_options.preserve_order = True
    corpus, mean = str(job.corpus), max(1, sum(job.sizes) // len(job.sizes))

    def with_bytes(batch: pa.Table) -> pa.Table:
        cells: list[bytes | None] = []
        for path in batch[MEDIA].to_pylist():
            if path is None:
                cells.append(None)
                continue
            with open(f"{corpus}/{path}", "rb", buffering=0) as file:
                cells.append(file.read())
        return batch.append_column(BYTES, pa.array(cells, pa.large_binary()))

    rows = max(1, job.target // mean)
    blocks = max(job.workers, -(-len(job.sizes) // rows))
    data = ray.data.from_arrow(job.table).repartition(blocks)
    packed = data.map_batches(
        with_bytes, batch_format="pyarrow", batch_size=max(1, BATCH // mean), zero_copy_batch=True
    )
    packed.write_parquet(str(job.out), min_rows_per_file=rows, compression="none")
    ray.shutdown()


def read(job: Job) -> Iterator[Sample]:
    """The rows of the shards, in the order of their names."""
    yield from parquet_samples(list(job.out.rglob("*.parquet")))


if __name__ == "__main__":
    main(write, read)
