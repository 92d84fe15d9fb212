"""The bytes of a shard's cells on their way from the source: digested, probed and counted."""

from __future__ import annotations

from typing import Any

import blake3
import pyarrow as pa

from sealift import media
from sealift.errors import SourceError
from sealift.formats.index import Cells, cells_of
from sealift.formats.rowfile import KEY
from sealift.model.entry import Entry
from sealift.model.event import Advanced, OnEvent
from sealift.model.receipt import Finding
from sealift.pack.jobs import PackJob

STAGE = "pack"
REPORT_BYTES = 8 << 20
DIGEST_BYTES = 32


class CellBytes:
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
