"""What the store knows beside the bytes: SQLite with a write-ahead log, a transaction for each thing recorded."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, LifoQueue

_SCHEMA = """
CREATE TABLE IF NOT EXISTS xorbs (
    hash BLOB PRIMARY KEY,
    bytes INTEGER NOT NULL,
    hashes BLOB NOT NULL,
    packed BLOB NOT NULL,
    unpacked BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS files (
    id INTEGER PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE,
    size INTEGER NOT NULL,
    sha256 TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS files_by_sha256 ON files (sha256);
CREATE TABLE IF NOT EXISTS segments (
    file INTEGER NOT NULL REFERENCES files,
    start INTEGER NOT NULL,
    size INTEGER NOT NULL,
    xorb BLOB NOT NULL REFERENCES xorbs,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    PRIMARY KEY (file, start)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS segments_by_xorb ON segments (xorb, file, start);
CREATE TABLE IF NOT EXISTS gone (hash BLOB PRIMARY KEY REFERENCES xorbs ON DELETE CASCADE) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS chunks (hash BLOB PRIMARY KEY, xorb BLOB NOT NULL REFERENCES xorbs) WITHOUT ROWID;
"""
_RECORDED = "ALTER TABLE files ADD COLUMN recorded REAL NOT NULL DEFAULT 0"
"""When a file was recorded last, in unix seconds: stores of earlier versions do not say."""
_PATIENCE = 60.0
"""Seconds that a transaction waits for another one."""


class Database:
    """Connections to one SQLite file, for any number of threads: each takes one that is free, or opens one more."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._free: LifoQueue[sqlite3.Connection] = LifoQueue()
        with self.reading() as connection:
            connection.executescript(_SCHEMA)
            if not any(row[1] == "recorded" for row in connection.execute("PRAGMA table_info(files)")):
                connection.execute(_RECORDED)

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection of one's own; each statement sees what is committed."""
        try:
            connection = self._free.get_nowait()
        except Empty:
            connection = self._opened()
        try:
            yield connection
        finally:
            self._free.put(connection)

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: committed and on the disk at the end, undone after an error."""
        with self.reading() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                connection.rollback()
                raise

    def close(self) -> None:
        """Close every connection; no thread may be using one."""
        while True:
            try:
                self._free.get_nowait().close()
            except Empty:
                return

    def _opened(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False)
        for setting in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
            connection.execute(f"PRAGMA {setting}")
        return connection
