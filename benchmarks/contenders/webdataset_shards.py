"""`webdataset.ShardWriter`: a TAR member for the media and one of JSON for the columns of each row.

A row without a file has no member for it. It has no workers: two are two processes over halves of the rows.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator

from webdataset import ShardWriter

from benchmarks.contenders.job import Job, Sample, main


def write(job: Job) -> None:
    """Shards of the target's size."""

    def part(number: int, rows: range) -> None:
        pattern = f"{job.out}/{number}-%05d.tar"
        light = job.table.slice(rows.start, len(rows)).to_pylist()
        with ShardWriter(pattern, maxcount=1 << 60, maxsize=job.target, verbose=0) as writer:
            for row, columns in zip(rows, light, strict=True):
                sample = {"__key__": columns["id"], "json": columns}
                media = job.media(row)
                writer.write(sample if media is None else {**sample, "wav": media})

    job.each_part(part)


def read(job: Job) -> Iterator[Sample]:
    """The samples in the order of the shards' names."""
    for shard in sorted(job.out.glob("*.tar")):
        light, media = None, None
        with tarfile.open(shard) as archive:
            for member in archive:
                file = archive.extractfile(member)
                assert file is not None
                if member.name.endswith(".json"):
                    if light is not None:
                        yield light, media
                    light, media = json.load(file), None
                else:
                    media = file.read()
        if light is not None:
            yield light, media


if __name__ == "__main__":
    main(write, read)
