"""Pack one planned shard: its rows and the bytes of its media become one staged file, and a receipt that proves it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sealift.errors import IntegrityError
from sealift.formats.features import footer_metadata
from sealift.formats.index import INDEX
from sealift.formats.measured import Mark, Measured, ReadBack
from sealift.formats.parquet import ShardWriter, read_footer, storage_schema
from sealift.formats.rowdigest import RowDigest
from sealift.formats.rowfile import KEY, RowReader
from sealift.model.event import HandedOver, OnEvent, ignore
from sealift.model.plan import PlannedShard
from sealift.model.receipt import Made, Receipt
from sealift.pack.cells import STAGE, CellBytes
from sealift.pack.identity import file_digest, identity_of, is_same
from sealift.pack.jobs import PackJob, index_part, jobs
from sealift.ports import Sink, Staged

__all__ = ["STAGE", "PackJob", "index_part", "is_same", "jobs", "pack"]

PART: dict[str, Any] = {"compression": "lz4", "use_dictionary": False, "write_statistics": False}
"""How index parts are written: they are read once, and then thrown away."""


def pack(job: PackJob, on_event: OnEvent) -> Receipt:
    """Write one planned shard and return its proof.

    Rows keep the plan's order. Memory: the light columns of one row group, and one slice of media. Repeating gives
    the same bytes; the staged name appears only when the file is complete. Each media byte is read once, hashed on
    its way (BLAKE3 for the cell, SHA-256 for the file), and its first and last bytes are probed.

    Raises:
        SourceMissing, SourceChanged: an entry is not what was planned; `path` and `key` name it.
        DestinationError: the file cannot be written.
        IntegrityError: the file came out larger than the plan promised, or the destination has other bytes.
    """
    packed: _Packed | None = None

    def write(sink: Sink) -> None:
        nonlocal packed
        # A destination that asks a second time gets the same bytes; what was read is said once.
        packed = _pack_into(sink, job, on_event if packed is None else ignore)
        on_event(HandedOver(job.shard.path))

    staged = job.stage.stage(job.shard.path, write)
    assert packed is not None  # every stage writes
    sha256 = _prove(job, staged, packed)
    return Receipt(
        path=job.shard.path,
        config=job.shard.config,
        split=job.shard.split,
        index=job.shard.index,
        rows=job.shard.rows,
        size=packed.size,
        sha256=sha256,
        cells=packed.cells.count,
        media_bytes=packed.cells.bytes,
        digest=packed.cells.digest.hexdigest(),
        xet_hash=staged.xet_hash,
        findings=packed.cells.findings(),
        made=Made(packed.identity, file_digest(job.index_part)),
    )


@dataclass(frozen=True)
class _Packed:
    """What was written of a shard, and what of it to look for at the destination."""

    size: int
    sha256: str | None
    """None where the destination takes it, of the bytes that it gets."""
    marks: list[Mark]
    cells: CellBytes
    identity: str


def _pack_into(sink: Sink, job: PackJob, on_event: OnEvent) -> _Packed:
    """Write the shard, and the records of its cells into the index part."""
    rows = RowReader(job.rows_file, [*job.columns, KEY])
    job.index_part.parent.mkdir(parents=True, exist_ok=True)
    cells = CellBytes(job, on_event)
    light = pa.schema([rows.schema.field(name) for name in job.columns])
    schema = storage_schema(light, job.media, footer_metadata(job.features))
    measured, digest = Measured(sink, digests=not job.stage.digests), RowDigest(rows.schema)
    with (
        pq.ParquetWriter(job.index_part, INDEX, **PART) as index,
        ShardWriter(measured, schema, job.media, overlap=job.overlap) as writer,
    ):
        first = job.shard.first_row
        for count in job.shard.row_groups:
            group = rows.read(first, count)
            digest.add(group)
            cells.turn_to(group)
            offsets = writer.write(group.select(list(job.columns)), cells)
            _write_index(index, job, first - job.shard.first_row, offsets, cells)
            first += count
        writer.close()
        _check_size(job.shard, measured.size)
    cells.report(force=True)
    return _Packed(measured.size, measured.sha256, measured.marks(), cells, identity_of(job, digest))


def _prove(job: PackJob, staged: Staged, packed: _Packed) -> str:
    """See that the destination has the shard: its size and digest, some of its bytes, and its footer; the SHA-256."""
    known = {digest for digest in (staged.sha256, packed.sha256) if digest is not None}
    if staged.size != packed.size or len(known) != 1:
        raise IntegrityError(
            f"{staged.path}: {packed.size} bytes with sha256 {packed.sha256} were sent, the destination has "
            f"{staged.size} with {staged.sha256}",
            hint="run the same command again",
            shard=staged.path,
        )
    back = ReadBack(job.stage, staged)
    back.check(packed.marks)
    footer = read_footer(back.range, staged.size)
    if footer.rows != job.shard.rows:
        raise IntegrityError(
            f"{staged.path}: the destination has {footer.rows} rows, {job.shard.rows} were packed",
            hint="run the same command again",
            shard=staged.path,
        )
    return known.pop()


def _write_index(
    index: pq.ParquetWriter,
    job: PackJob,
    first: int,
    offsets: Mapping[str, np.ndarray[Any, np.dtype[np.int64]]],
    cells: CellBytes,
) -> None:
    place = (job.shard.config, job.shard.split, job.shard.path)
    for name, found in cells.cells.items():
        table = found.records(cells.keys, place, first, offsets[name], cells.digests(name))
        index.write_table(table, row_group_size=max(1, table.num_rows))


def _check_size(shard: PlannedShard, size: int) -> None:
    if size > shard.bound:
        raise IntegrityError(
            f"{shard.path} came out at {size} bytes; the plan promised at most {shard.bound}",
            hint="please report this: the plan's bound is wrong",
            shard=shard.path,
        )
