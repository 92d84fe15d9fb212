"""GNU tar itself: all files in one archive. No rows, no digest. This module only reads it back."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator

from benchmarks.contenders.job import Job, Sample, main


def read(job: Job) -> Iterator[Sample]:
    """The corpus's rows, with the bytes of the archive's next member, and its name as their path."""
    with tarfile.open(job.out / "all.tar") as archive:
        for light in job.table.to_pylist():
            if light["audio"] is None:
                yield light, None
                continue
            member = archive.next()
            assert member is not None
            file = archive.extractfile(member)
            assert file is not None
            yield {**light, "audio": member.name}, file.read()
        assert archive.next() is None, "there is more in the archive than in the corpus"


if __name__ == "__main__":
    main(None, read)
