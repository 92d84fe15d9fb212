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
from sealift.ports import Sink, Source, Staged, Stages

STAGE = "pack"
REPORT_BYTES = 8 << 20
DIGEST_BYTES = 32
PART: dict[str, Any] = {"compression": "lz4", "use_dictionary": False, "write_statistics": False}
"""How index parts are written: they are read once, and then thrown away."""


@dataclass(frozen=True)
class PackJob:
    """Everything a worker needs to pack one shard, here or on another machine that sees the same files.

    With `overlap` it takes two cores: one reads and digests cells while the other digests the file and writes it.
    """

    shard: PlannedShard
    rows_file: Path
    index_part: Path
    columns: tuple[str, ...]
    media: tuple[MediaColumn, ...]
    features: Mapping[str, Feature]
    source: Source
    stage: Stages
    keyed: bool
    overlap: bool = False


def job(plan: Plan, shard: PlannedShard, source: Source, stage: Stages, *, overlap: bool = False) -> PackJob:
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
        overlap=overlap,
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
    )


@dataclass(frozen=True)
class _Packed:
    """What was written of a shard, and what of it to look for at the destination."""

    size: int
    sha256: str | None
    """None where the destination takes it, of the bytes that it gets."""
    marks: list[Mark]
    cells: _CellBytes


def _pack_into(sink: Sink, job: PackJob, on_event: OnEvent) -> _Packed:
    """Write the shard, and the records of its cells into the index part."""
    rows = RowReader(job.rows_file, [*job.columns, KEY])
    job.index_part.parent.mkdir(parents=True, exist_ok=True)
    cells = _CellBytes(job, on_event)
    light = pa.schema([rows.schema.field(name) for name in job.columns])
    schema = storage_schema(light, job.media, footer_metadata(job.features))
    measured = Measured(sink, digests=not job.stage.digests)
    with (
        pq.ParquetWriter(job.index_part, INDEX, **PART) as index,
        ShardWriter(measured, schema, job.media, overlap=job.overlap) as writer,
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
    return _Packed(measured.size, measured.sha256, measured.marks(), cells)


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


class _CellBytes:
    """The bytes of a row group's cells, read from the source, hashed and probed on their way."""

    def __init__(self, job: PackJob, on_event: OnEvent) -> None:
        self._source = job.source
        self._job = job
        self._types = {column.name: media.TYPES[column.type] for column in job.media}
        self._on_event = on_event
        self._entries: dict[str, list[Entry]] = {}
        self._digests: dict[str, list[bytes]] = {}
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
        self._digests = {name: [] for name in self.cells}

    def read_all(self, column: str, first: int, views: list[memoryview]) -> None:
        """Fill each view with the whole of a cell, from number `first` on."""
        entries = self._entries[column][first : first + len(views)]
        try:
            self._source.read_all(entries, views)
        except SourceError as error:
            cell = first + [entry.path for entry in entries].index(error.fields["path"])
            error.fields["key"] = self._key(column, cell)
            raise
        self._digests[column] += [blake3.blake3(view).digest() for view in views]
        probe = self._types[column].probe_whole
        for entry, view in zip(entries, views, strict=True):
            if entry.size and (reason := probe(view)) is not None:
                self._note(column, reason, entry)
        self._advance(sum(map(len, views)), len(views))

    def read_into(self, column: str, cell: int, offset: int, view: memoryview) -> None:
        """Fill the view with bytes of one cell, in order; the last call for a cell completes its digest."""
        entry = self._entries[column][cell]
        try:
            self._source.read_into(entry, offset, view)
        except SourceError as error:
            error.fields["key"] = self._key(column, cell)
            raise
        if not offset:
            self._hasher, self._head, self._tail = blake3.blake3(), b"", b""
        self._hasher.update(view)
        end = offset + len(view)
        if offset < media.VIEW:
            self._head += bytes(view[: media.VIEW - offset])
        if end > entry.size - media.VIEW:
            self._tail += bytes(view[max(0, entry.size - media.VIEW - offset) :])
        whole = end == entry.size
        if whole:
            self._digests[column].append(self._hasher.digest())
            reason = self._types[column].probe(self._head, self._tail, entry.size)
            if reason is not None:
                self._note(column, reason, entry)
        self._advance(len(view), int(whole))

    def _key(self, column: str, cell: int) -> str | None:
        key: str | None = self.keys[int(self.cells[column].rows[cell])].as_py()
        return key

    def _note(self, column: str, reason: str, entry: Entry) -> None:
        count, example = self._found.get((column, reason), (0, entry.path))
        self._found[(column, reason)] = (count + 1, example)

    def digests(self, column: str) -> pa.Array:
        """The digests of the row group's cells in a column, once all are read; they count for the shard now."""
        found = self._digests.pop(column)
        data = b"".join(found)
        self.digest.update(data)
        self.count += len(found)
        return pa.FixedSizeBinaryArray.from_buffers(pa.binary(DIGEST_BYTES), len(found), [None, pa.py_buffer(data)])

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
