"""The xorbs that are there: each one a file as it was sent, and its index in the database."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import IO

import numpy as np

from sealift.localhub.cas import hashes
from sealift.localhub.cas.database import Database
from sealift.localhub.cas.refusals import Malformed
from sealift.localhub.cas.xorb import MAX_BYTES, Index, Indexer, contents

_PIECE = 512 * 1024
"""About as many bytes are read at a time."""
_HERE = "hash NOT IN (SELECT hash FROM gone)"
_PUT = """
INSERT INTO xorbs VALUES (?, ?, ?, ?, ?)
ON CONFLICT (hash) DO UPDATE SET bytes = excluded.bytes, packed = excluded.packed
"""
_INDEXES = 32
"""Indexes kept in memory: 40 KB each as a rule, 330 KB at most."""


class Xorbs:
    """A folder of xorbs. A xorb that is recorded is whole, was checked, and stays until it is collected.

    Its file has its name before it is recorded, so a process that dies leaves at most a file that nobody knows; the
    next upload of that xorb puts the same bytes there again.
    """

    def __init__(self, root: Path, database: Database) -> None:
        self._folder = root / "xorbs"
        self._incoming = root / "incoming"
        self._database = database
        self._keeping, self._counting = threading.Lock(), threading.Lock()
        self._received = self._new = 0
        self._again: dict[bytes, float] = {}
        # What is not there yet raises, and is not remembered.
        self.index = lru_cache(_INDEXES)(self._load)

    def clean(self) -> None:
        """Make the folders, and remove what a process that died was receiving."""
        shutil.rmtree(self._incoming, ignore_errors=True)
        for folder in (self._incoming, self._folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def has(self, xorb: bytes) -> bool:
        """Whether that xorb is there."""
        with self._database.reading() as db:
            return db.execute(f"SELECT 1 FROM xorbs WHERE hash = ? AND {_HERE}", (xorb,)).fetchone() is not None  # noqa: S608

    def is_gone(self, xorb: bytes) -> bool:
        """Whether that xorb was here, and only its index is still."""
        with self._database.reading() as db:
            return db.execute("SELECT 1 FROM gone WHERE hash = ?", (xorb,)).fetchone() is not None

    def came(self, xorb: bytes) -> float:
        """When that xorb, which is here, was sent last; unix seconds."""
        return max(self._path(xorb).stat().st_mtime, self._again.get(xorb, 0.0))

    def came_again(self, xorb: bytes) -> None:
        """Take note that a xorb was sent that is here."""
        self._again[xorb] = time.time()

    def receive(self) -> Incoming:
        """A xorb to be written piece by piece."""
        return Incoming(self, self._incoming)

    def scratch(self) -> IO[bytes]:
        """A file without a name, gone when it is closed."""
        return tempfile.TemporaryFile(dir=self._incoming)

    def read(self, index: Index, first: int, last: int) -> Iterator[bytes | memoryview]:
        """The unpacked content of those chunks, chunk by chunk."""
        with open(self._path(index.hash), "rb", buffering=0) as file:
            while first < last:
                limit = int(index.packed[first]) + _PIECE
                stop = min(last, max(first + 1, int(np.searchsorted(index.packed, limit, "right")) - 1))
                start, end = int(index.packed[first]), int(index.packed[stop])
                yield from contents(_exactly(file, start, end))
                first = stop

    def packed(self, xorb: bytes, start: int, end: int) -> Iterator[bytes]:
        """The bytes of a xorb's file in that range, in pieces."""
        with open(self._path(xorb), "rb", buffering=0) as file:
            for at in range(start, end, _PIECE):
                yield _exactly(file, at, min(at + _PIECE, end))

    def stored(self) -> tuple[int, int, int]:
        """Bytes of all xorbs; bytes that came in and bytes among them that were new since the store was opened."""
        with self._database.reading() as db:
            (total,) = db.execute(f"SELECT coalesce(sum(bytes), 0) FROM xorbs WHERE {_HERE}").fetchone()  # noqa: S608
        with self._counting:
            return total, self._received, self._new

    def count(self, received: int) -> None:
        """Take note of bytes of a xorb that came in, kept or not."""
        with self._counting:
            self._received += received

    def keep(self, temporary: Path, index: Index) -> bool:
        """Give a complete file its name and record it, unless that xorb is there already; whether it was new.

        One at a time: the same chunks packed in another way are the same xorb, and must not replace what was recorded.
        """
        path = self._path(index.hash)
        with self._keeping:
            if self.has(index.hash):
                return False
            path.parent.mkdir(mode=0o700, exist_ok=True)
            os.replace(temporary, path)
            for folder in (path.parent, self._folder):
                _sync(folder)
            self._record(index)
        with self._counting:
            self._new += int(index.packed[-1])
        return True

    def drop(self, xorb: bytes, *, remembers: bool) -> None:
        """Take the content of a xorb away, which no file needs; with `remembers`, its index stays."""
        with self._keeping:
            with self._database.writing() as db:
                if remembers:
                    db.execute("INSERT OR IGNORE INTO gone VALUES (?)", (xorb,))
                else:
                    db.execute("DELETE FROM chunks WHERE xorb = ?", (xorb,))
                    db.execute("DELETE FROM xorbs WHERE hash = ?", (xorb,))
            self._path(xorb).unlink(missing_ok=True)
            self._again.pop(xorb, None)
            self.index.cache_clear()

    def replace(self, index: Index, content: bytes) -> None:
        """Let a xorb that is here have this content, which lies as the index says; nothing is checked."""
        descriptor, name = tempfile.mkstemp(dir=self._incoming)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        with self._keeping:
            os.replace(name, self._path(index.hash))
            self._record(index)

    def _record(self, index: Index) -> None:
        row = (index.hash, int(index.packed[-1]), index.hashes, index.packed.tobytes(), index.unpacked.tobytes())
        asked_for = [(chunk, index.hash) for chunk in map(index.chunk, range(index.chunks)) if hashes.asked_for(chunk)]
        with self._database.writing() as db:
            db.execute(_PUT, row)
            db.execute("DELETE FROM gone WHERE hash = ?", (index.hash,))
            db.executemany("INSERT OR IGNORE INTO chunks VALUES (?, ?)", asked_for)
        self.index.cache_clear()

    def _load(self, xorb: bytes) -> Index:
        """The index of that xorb.

        Raises:
            KeyError: it is not there.
        """
        with self._database.reading() as db:
            row = db.execute("SELECT hashes, packed, unpacked FROM xorbs WHERE hash = ?", (xorb,)).fetchone()
        if row is None:
            raise KeyError(hashes.text(xorb))
        return Index(xorb, row[0], np.frombuffer(row[1], np.uint32), np.frombuffer(row[2], np.uint32))

    def _path(self, xorb: bytes) -> Path:
        name = hashes.text(xorb)
        return self._folder / name[:2] / name


class Incoming:
    """A xorb on its way in: on the disk under another name, and checked as it comes. Use it with `with`."""

    def __init__(self, xorbs: Xorbs, folder: Path) -> None:
        self._xorbs = xorbs
        descriptor, name = tempfile.mkstemp(dir=folder)
        self._path = Path(name)
        self._file = os.fdopen(descriptor, "wb")
        self._indexer = Indexer()
        self._size = 0

    def __enter__(self) -> Incoming:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()
        with suppress(FileNotFoundError):
            self._path.unlink()

    def write(self, piece: bytes) -> None:
        """Go on with these bytes.

        Raises:
            Malformed: they are no chunks of a xorb, or too many.
        """
        self._size += len(piece)
        self._xorbs.count(len(piece))
        if self._size > MAX_BYTES:
            raise Malformed(f"the xorb has more than {MAX_BYTES:,} bytes")
        self._indexer.feed(piece)
        self._file.write(piece)

    def finish(self, named: bytes) -> bool:
        """Keep the xorb under its name; whether it was new.

        Raises:
            Malformed: it is not complete, or its name is not its hash.
        """
        index = self._indexer.finish()
        if index.hash != named:
            raise Malformed(
                f"the xorb has the hash {hashes.text(index.hash)}, not {hashes.text(named)} as its name says"
            )
        self._file.flush()
        os.fsync(self._file.fileno())
        return self._xorbs.keep(self._path, index)


def _exactly(file: IO[bytes], start: int, end: int) -> bytes:
    """The bytes of that range.

    Raises:
        EOFError: the file has become shorter than it was when it was recorded.
    """
    parts = []
    while start < end:
        part = os.pread(file.fileno(), end - start, start)
        if not part:
            raise EOFError(f"{file.name}: {end - start:,} bytes are gone")
        parts.append(part)
        start += len(part)
    return b"".join(parts)


def _sync(folder: Path) -> None:
    """Put the names in a folder on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
