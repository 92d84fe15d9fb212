"""DuckDB: one `COPY` of the table joined to `read_blob` of its files, into Parquet files of the target's size.

Row groups by bytes and files by bytes are only to be had without the order of rows, so the rows come in another order.
"""

from __future__ import annotations

from collections.abc import Iterator

import duckdb

from benchmarks.contenders.job import Job, Sample, main, parquet_samples

COPY = """\
COPY (
    SELECT rows.*, content AS bytes
    FROM read_parquet('{corpus}/rows.parquet') AS rows
    LEFT JOIN read_blob('{corpus}/audio/*/*') AS files ON files.filename = '{corpus}/' || rows.audio
) TO '{out}' (
    FORMAT parquet, COMPRESSION uncompressed, ROW_GROUP_SIZE_BYTES '64MB',
    FILE_SIZE_BYTES '{target}B', FILENAME_PATTERN 'shard-{{i}}'
)"""


def write(job: Job) -> None:
    """Shards by the engine's own cut."""
    connection = duckdb.connect(config={"threads": job.workers})
    connection.execute("SET preserve_insertion_order = false")
    connection.execute(f"SET temp_directory = '{job.out.parent}/duckdb'")
    connection.execute(COPY.format(corpus=job.corpus, out=job.out, target=job.target))


def read(job: Job) -> Iterator[Sample]:
    """The rows of the shards, in the order of their names."""
    yield from parquet_samples(list(job.out.rglob("*.parquet")))


if __name__ == "__main__":
    main(write, read)
