"""Whether a shard that was packed before is the one that would be packed now."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import blake3
import pyarrow as pa

from sealift import __version__
from sealift.formats.rowdigest import RowDigest
from sealift.formats.rowfile import KEY, RowReader
from sealift.model.receipt import Receipt
from sealift.pack.jobs import PackJob


def identity(job: PackJob) -> str:
    """What fixes the bytes of the job's shard, and its index records: equal identities, equal bytes.

    The planned rows, with path, size and version of every entry; how they are cut; the schema; and the versions of the
    libraries that write them. Reads the shard's rows, and no media. Memory: the rows of one row group.
    """
    rows, first = RowReader(job.rows_file, [*job.columns, KEY]), job.shard.first_row
    digest = RowDigest(rows.schema)
    for count in job.shard.row_groups:
        digest.add(rows.read(first, count))
        first += count
    return identity_of(job, digest)


def is_same(job: PackJob, receipt: Receipt) -> bool:
    """Whether a receipt of before is that of this job: the shard would be the same, and its index part is there."""
    made = receipt.made
    return made is not None and made.part == file_digest(job.index_part) and made.identity == identity(job)


def identity_of(job: PackJob, rows: RowDigest) -> str:
    """The same where the rows have been read already."""
    shard = job.shard
    names = [*job.columns, KEY]
    columns = rows.columns()
    said = {
        "written by": [__version__, pa.__version__],
        "shard": [shard.path, shard.config, shard.split, shard.row_groups],
        "media": [repr(column) for column in job.media],
        "features": {name: job.features[name] for name in job.columns},
        "keyed": job.keyed,
        "rows": [[name, columns[name]] for name in names],
        "versions": rows.versions(),
    }
    return str(blake3.blake3(json.dumps(said, sort_keys=True).encode()).hexdigest())


def file_digest(file: Path) -> str:
    """The BLAKE3 of a file; of one that is not there, that of nothing."""
    hasher = blake3.blake3()
    with suppress(FileNotFoundError):
        hasher.update_mmap(file)
    return str(hasher.hexdigest())
