"""Pack one planned shard: its rows and the bytes of its media become one staged file, and a receipt that proves it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import blake3
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sealift import media
from sealift.errors import IntegrityError, SourceError
from sealift.formats.features import Feature, footer_metadata
from sealift.formats.index import INDEX, Cells, cells_of
from sealift.formats.measured import Mark, Measured, ReadBack
from sealift.formats.parquet import ShardWriter, read_footer, storage_schema
from sealift.formats.rowfile import KEY, RowReader
from sealift.model.column import MediaColumn
from sealift.model.entry import Entry
from sealift.model.event import Advanced, OnEvent, ignore
from sealift.model.plan import Plan, PlannedShard
from sealift.model.receipt import Finding, Receipt
from sealift.ports import Reads, Sink, Staged, Stages

STAGE = "pack"
REPORT_BYTES = 8 << 20
NOTHING = blake3.blake3().digest()
DIGEST_BYTES = len(NOTHING)


@dataclass(frozen=True)
class PackJob:
    """Everything a worker needs to pack one shard, here or on another machine that sees the same files."""

    shard: PlannedShard
    rows_file: Path
    index_part: Path
    columns: tuple[str, ...]
    media: tuple[MediaColumn, ...]
    features: Mapping[str, Feature]
    source: Reads
    stage: Stages
    keyed: bool


def job(plan: Plan, shard: PlannedShard, source: Reads, stage: Stages) -> PackJob:
    """The job that packs that shard of the plan."""
    config = plan.config(shard.config)
    return PackJob(
        shard=shard,
        rows_file=plan.rows_file(shard.split),
        index_part=index_part(plan, shard),
        columns=config.columns,
        media=plan.media_of(config),
        features={name: plan.features[name] for name in config.columns},
        source=source,
        stage=stage,
        keyed=bool(plan.key),
    )


def index_part(plan: Plan, shard: PlannedShard) -> Path:
    """Where the index records of a packed shard lie until they are published."""
    return plan.work / "index" / shard.config / f"{shard.split}-{shard.index:05d}.parquet"


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

    staged = job.stage.stage(job.shard.path, write)
    assert packed is not None  # every stage writes
    _prove(job, staged, packed)
    return Receipt(
        path=job.shard.path,
        config=job.shard.config,
        split=job.shard.split,
        index=job.shard.index,
        rows=job.shard.rows,
        size=packed.size,
        sha256=packed.sha256,
        cells=packed.cells.count,
        media_bytes=packed.cells.bytes,
        digest=packed.cells.digest.hexdigest(),
        xet_hash=staged.xet_hash,
        findings=packed.cells.findings(),
    )


@dataclass(frozen=True)
class _Packed:
    """What was written of a shard, and what of it to look for at the destination."""

    size: int
    sha256: str
    marks: list[Mark]
    cells: _CellBytes


def _pack_into(sink: Sink, job: PackJob, on_event: OnEvent) -> _Packed:
    """Write the shard, and the records of its cells into the index part."""
    rows = RowReader(job.rows_file, [*job.columns, KEY])
    job.index_part.parent.mkdir(parents=True, exist_ok=True)
    cells = _CellBytes(job, on_event)
    light = pa.schema([rows.schema.field(name) for name in job.columns])
    schema = storage_schema(light, job.media, footer_metadata(job.features))
    with (
        Measured(sink) as measured,
        pq.ParquetWriter(job.index_part, INDEX, compression="zstd") as index,
        ShardWriter(measured, schema, job.media) as writer,
    ):
        first = job.shard.first_row
        for count in job.shard.row_groups:
            group = rows.read(first, count)
            cells.turn_to(group)
            offsets = writer.write(group.select(list(job.columns)), cells)
            _write_index(index, job, first - job.shard.first_row, offsets, cells)
            first += count
        writer.close()
        _check_size(job.shard, measured.size)
    cells.report(force=True)
    return _Packed(measured.size, measured.digest.hexdigest(), measured.marks(), cells)


def _prove(job: PackJob, staged: Staged, packed: _Packed) -> None:
    """See that the destination has the shard: its size and digest, some of its bytes, and its footer."""
    if staged.size != packed.size or staged.sha256 not in (None, packed.sha256):
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


class _CellBytes:
    """The bytes of a row group's cells, read from the source, hashed and probed on their way."""

    def __init__(self, job: PackJob, on_event: OnEvent) -> None:
        self._source = job.source
        self._job = job
        self._probes = {column.name: media.TYPES[column.type].probe for column in job.media}
        self._on_event = on_event
        self._entries: dict[str, list[Entry]] = {}
        self._digests: dict[str, bytearray] = {}
        self._hasher: Any = None
        self._head = self._tail = b""
        self._found: dict[tuple[str, str], tuple[int, str]] = {}
        self._unsaid = (0, 0)
        self.keys: pa.Array = pa.nulls(0, pa.string())
        self.cells: dict[str, Cells] = {}
        self.digest = blake3.blake3()
        self.count = 0
        self.bytes = 0

    def turn_to(self, group: pa.RecordBatch) -> None:
        """Take up the cells of the next row group."""
        self.keys = group.column(KEY)
        if not self._job.keyed:
            words = [f"{self._job.shard.config}/{key}" for key in self.keys.to_pylist()]
            self.keys = pa.array(words, pa.string())
        self.cells = {column.name: cells_of(group.column(column.name), column) for column in self._job.media}
        self._entries = {name: cells.entries() for name, cells in self.cells.items()}
        self._digests = {name: bytearray(NOTHING * len(cells)) for name, cells in self.cells.items()}

    def read_into(self, column: str, cell: int, offset: int, view: memoryview) -> None:
        """Fill the view with the bytes of a cell, in order; the last call for a cell completes its digest."""
        entry = self._entries[column][cell]
        try:
            self._source.read_into(entry, offset, view)
        except SourceError as error:
            error.fields["key"] = self.keys[int(self.cells[column].rows[cell])].as_py()
            raise
        size = len(view)
        if size == entry.size:
            digest = blake3.blake3(view).digest()
            head, tail = bytes(view[: media.VIEW]), bytes(view[-media.VIEW :])
        else:
            if not offset:
                self._hasher, self._head, self._tail = blake3.blake3(), bytes(view[: media.VIEW]), b""
            self._hasher.update(view)
            self._tail = (self._tail + bytes(view[-media.VIEW :]))[-media.VIEW :]
            if offset + size < entry.size:
                self._advance(size, 0)
                return
            digest, head, tail = self._hasher.digest(), self._head, self._tail
        self._digests[column][cell * DIGEST_BYTES : (cell + 1) * DIGEST_BYTES] = digest
        self._advance(size, 1)
        reason = self._probes[column](head, tail, entry.size)
        if reason is not None:
            count, example = self._found.get((column, reason), (0, entry.path))
            self._found[(column, reason)] = (count + 1, example)

    def digests(self, column: str) -> pa.Array:
        """The digests of the row group's cells in a column, once all are read; they count for the shard now."""
        data = bytes(self._digests.pop(column))
        self.digest.update(data)
        count = len(data) // DIGEST_BYTES
        self.count += count
        return pa.FixedSizeBinaryArray.from_buffers(pa.binary(DIGEST_BYTES), count, [None, pa.py_buffer(data)])

    def _advance(self, size: int, files: int) -> None:
        self.bytes += size
        self._unsaid = (self._unsaid[0] + size, self._unsaid[1] + files)
        self.report()

    def report(self, *, force: bool = False) -> None:
        """Say how far the shard is, now and then."""
        if any(self._unsaid) and (force or self._unsaid[0] >= REPORT_BYTES):
            self._on_event(Advanced(STAGE, *self._unsaid))
            self._unsaid = (0, 0)

    def findings(self) -> tuple[Finding, ...]:
        """What the probes noticed."""
        return tuple(Finding(*at, count, example) for at, (count, example) in sorted(self._found.items()))


def _write_index(
    index: pq.ParquetWriter,
    job: PackJob,
    first: int,
    offsets: Mapping[str, np.ndarray[Any, np.dtype[np.int64]]],
    cells: _CellBytes,
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
