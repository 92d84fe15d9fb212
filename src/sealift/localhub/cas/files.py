"""The files that are there: segments of xorbs, proven to make up what their hashes say before they are recorded."""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

import numpy as np

from sealift.localhub.cas import hashes, shard
from sealift.localhub.cas.database import Database
from sealift.localhub.cas.refusals import Malformed
from sealift.localhub.cas.shard import Segment
from sealift.localhub.cas.xorb import Index
from sealift.localhub.cas.xorbs import Xorbs
from sealift.localhub.gate import Gate

_PIECE = 1024 * 1024
"""Content is handed out in pieces of about as many bytes."""
_FOLLOWING = 16
"""Segments after a known chunk whose xorbs a client is told: about a GiB of content in a MB of hashes."""
_AFTER = """
SELECT next.xorb FROM segments next JOIN (
    SELECT file, min(start) AS start FROM segments JOIN files ON id = file
    WHERE xorb = ? GROUP BY file ORDER BY files.size DESC LIMIT 1
) here ON next.file = here.file AND next.start > here.start ORDER BY next.start LIMIT ?
"""
"""The xorbs that follow one in the largest file that has it."""


@dataclass(frozen=True, slots=True)
class XetFile:
    """A file whose content is complete and was read through once: both hashes are of that content."""

    hash: str
    size: int
    sha256: str


class Files:
    """The files over a folder of xorbs. A file that is recorded can be read, and has the SHA-256 that is recorded."""

    def __init__(self, xorbs: Xorbs, database: Database, gate: Gate) -> None:
        self._xorbs = xorbs
        self._database = database
        self._gate = gate

    def accept(self, stream: IO[bytes]) -> bool:
        """Record the files of a shard, all of them at once; whether any was new. Memory does not grow with them.

        One that needs what was collected, and is remembered, is passed over as if nobody had looked.

        Raises:
            Malformed: the shard is none, or one of its files is not what it says; then nothing is recorded.
        """
        stream.seek(0)
        with self._gate.together():
            proven = [self._proven(file) for file in shard.files(stream)]
            stream.seek(0)
            with self._database.writing() as db:
                described = zip(shard.files(stream), proven, strict=True)
                return sum(self._record(db, file, digest) for file, digest in described if digest) > 0

    def get(self, name: bytes) -> XetFile | None:
        """The file of that Xet hash, if it is there."""
        return self._select("hash = ?", name)

    def find(self, sha256: str) -> XetFile | None:
        """A file with that SHA-256, if there is one."""
        return self._select("sha256 = ?", sha256)

    def cover(self, name: bytes, start: int, end: int) -> list[Segment]:
        """The fewest whole chunks that have those bytes of a file, in its order."""
        with self._database.reading() as db:
            rows = db.execute(
                "SELECT s.start, s.size, s.xorb, s.first, s.last FROM segments s JOIN files f ON f.id = s.file"
                " WHERE f.hash = ?1 AND s.start < ?3 AND s.start >="
                " (SELECT max(start) FROM segments WHERE file = f.id AND start <= ?2) ORDER BY s.start",
                (name, start, end),
            ).fetchall()
        return [
            _cut(segment, self._xorbs.index(segment.xorb), start, end) for segment in (Segment(*row) for row in rows)
        ]

    def read(self, name: bytes, start: int, end: int) -> Iterator[bytes]:
        """Those bytes of a file, in pieces of about a MiB; `end` is exclusive and may lie past the end."""
        cover = self.cover(name, start, end) if start < end else []
        return _joined(_trimmed(self._content(cover), start - cover[0].start, end - start)) if cover else iter(())

    def with_chunk(self, chunk: bytes) -> list[Index]:
        """Xorbs whose chunks a client should know if it has this one: the xorb with it, and what follows it in a file.

        Of a whole file that is here, a client asks for the first chunk and for one in a thousand: alone, the xorb with
        that chunk would leave it to send those that have none.
        """
        with self._database.reading() as db:
            row = db.execute("SELECT xorb FROM chunks WHERE hash = ?", (chunk,)).fetchone()
            after = db.execute(_AFTER, (row[0], _FOLLOWING)).fetchall() if row else []
        return [self._xorbs.index(xorb) for (xorb,) in dict.fromkeys([row, *after] if row else [])]

    def _content(self, segments: list[Segment]) -> Iterator[bytes | memoryview]:
        for segment in segments:
            yield from self._xorbs.read(self._xorbs.index(segment.xorb), segment.first, segment.last)

    def _select(self, condition: str, value: bytes | str) -> XetFile | None:
        with self._database.reading() as db:
            row = db.execute(f"SELECT hash, size, sha256 FROM files WHERE {condition} LIMIT 1", (value,)).fetchone()  # noqa: S608 — ours
        return XetFile(hashes.text(row[0]), row[1], row[2]) if row else None

    def _proven(self, file: shard.File) -> str | None:
        """The SHA-256 of a file, whose chunks are all there; None if some are only remembered.

        Raises:
            Malformed: they are not, or make up something else.
        """
        self._check(file)
        if any(self._xorbs.is_gone(xorb) for xorb in {segment.xorb for segment in file.segments}):
            return None
        known = self.get(file.hash)
        digest = known.sha256 if known else self._sha256(file)
        if file.sha256 not in (None, digest):
            raise Malformed(
                f"file {hashes.text(file.hash)} has the SHA-256 {digest}, not {file.sha256} as the shard says"
            )
        return digest

    def _sha256(self, file: shard.File) -> str:
        digest = hashlib.sha256()
        for content in self._content(file.segments):
            digest.update(content)
        return digest.hexdigest()

    def _check(self, file: shard.File) -> None:
        tree = hashes.Tree()
        for at, segment in enumerate(file.segments):
            index = self._checked(file, segment)
            run = index.hashes[segment.first * 32 : segment.last * 32]
            if file.proofs is not None and hashes.range_hash(run) != file.proofs[at]:
                raise Malformed(f"file {hashes.text(file.hash)}: segment {at} is not the chunks that it was made from")
            for chunk, size in enumerate(np.diff(index.unpacked[segment.first : segment.last + 1]).tolist()):
                tree.add(run[chunk * 32 : chunk * 32 + 32], size)
        if (made := tree.file_hash()) != file.hash:
            raise Malformed(f"file {hashes.text(file.hash)}: its segments make up {hashes.text(made)}")

    def _checked(self, file: shard.File, segment: Segment) -> Index:
        """The index of the xorb of a segment that can be there."""
        where = f"file {hashes.text(file.hash)}: xorb {hashes.text(segment.xorb)}"
        try:
            index = self._xorbs.index(segment.xorb)
        except KeyError:
            hint = "it was never sent here, or a client's shard cache is older than this store: empty that cache"
            raise Malformed(f"{where} is not here; {hint}") from None
        if not segment.first < segment.last <= index.chunks:
            raise Malformed(f"{where} has {index.chunks} chunks, not {segment.first} to {segment.last}")
        if (size := index.size(segment.first, segment.last)) != segment.size:
            raise Malformed(f"{where} has {size:,} bytes in its segment, not {segment.size:,} as the shard says")
        return index

    def _record(self, db: sqlite3.Connection, file: shard.File, sha256: str) -> bool:
        """Put one proven file into the transaction; whether it was new."""
        now = time.time()
        insert = "INSERT OR IGNORE INTO files (hash, size, sha256, recorded) VALUES (?, ?, ?, ?)"
        row = db.execute(insert, (file.hash, file.size, sha256, now))
        if row.rowcount == 0:
            db.execute("UPDATE files SET recorded = ? WHERE hash = ?", (now, file.hash))
            return False
        db.executemany(
            "INSERT INTO segments VALUES (?, ?, ?, ?, ?, ?)",
            ((row.lastrowid, s.start, s.size, s.xorb, s.first, s.last) for s in file.segments),
        )
        for segment in file.segments[:1]:
            chunk = self._xorbs.index(segment.xorb).chunk(segment.first)
            db.execute("INSERT OR IGNORE INTO chunks VALUES (?, ?)", (chunk, segment.xorb))
        return True


def _cut(segment: Segment, index: Index, start: int, end: int) -> Segment:
    """The chunks of a segment that have bytes of that range of the file."""
    base = int(index.unpacked[segment.first])
    bounds = index.unpacked[segment.first : segment.last + 1]
    skipped = int(np.searchsorted(bounds, base + max(0, start - segment.start), "right")) - 1
    kept = int(np.searchsorted(bounds, base + min(segment.size, end - segment.start), "left"))
    first, last = segment.first + skipped, segment.first + kept
    return Segment(segment.start + index.size(segment.first, first), index.size(first, last), segment.xorb, first, last)


def _trimmed(chunks: Iterator[bytes | memoryview], skip: int, count: int) -> Iterator[bytes | memoryview]:
    """`count` bytes of what comes, from `skip` on."""
    for chunk in chunks:
        part = memoryview(chunk)[skip : skip + count]
        skip, count = 0, count - len(part)
        yield part


def _joined(parts: Iterator[bytes | memoryview]) -> Iterator[bytes]:
    """The same bytes in fewer pieces."""
    held: list[bytes | memoryview] = []
    size = 0
    for part in parts:
        held.append(part)
        size += len(part)
        if size >= _PIECE:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)
