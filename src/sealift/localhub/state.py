"""What the Hub remembers, in SQLite: repositories, refs, commits, trees, small files, discussions."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_VERSION = 1
_SCHEMA = """
CREATE TABLE repos (
    id INTEGER PRIMARY KEY, type TEXT NOT NULL, name TEXT NOT NULL, private INTEGER NOT NULL, gated TEXT,
    sdk TEXT, created INTEGER NOT NULL, UNIQUE (type, name)
);
CREATE TABLE refs (
    repo INTEGER NOT NULL REFERENCES repos ON DELETE CASCADE, name TEXT NOT NULL, oid TEXT NOT NULL, message TEXT,
    PRIMARY KEY (repo, name)
) WITHOUT ROWID;
CREATE TABLE commits (
    repo INTEGER NOT NULL REFERENCES repos ON DELETE CASCADE, oid TEXT NOT NULL, tree BLOB NOT NULL, parent TEXT,
    seconds INTEGER NOT NULL, title TEXT NOT NULL, message TEXT NOT NULL, PRIMARY KEY (repo, oid)
) WITHOUT ROWID;
CREATE TABLE trees (oid BLOB PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE blobs (oid BLOB PRIMARY KEY, size INTEGER NOT NULL, sha256 TEXT, xet TEXT, data BLOB NOT NULL);
CREATE TABLE discussions (
    repo INTEGER NOT NULL REFERENCES repos ON DELETE CASCADE, num INTEGER NOT NULL, title TEXT NOT NULL,
    pull INTEGER NOT NULL, status TEXT NOT NULL, base TEXT, merged TEXT, created REAL NOT NULL, PRIMARY KEY (repo, num)
) WITHOUT ROWID;
CREATE TABLE events (
    id TEXT PRIMARY KEY, repo INTEGER NOT NULL, num INTEGER NOT NULL, type TEXT NOT NULL, created REAL NOT NULL,
    data TEXT NOT NULL,
    FOREIGN KEY (repo, num) REFERENCES discussions (repo, num) ON DELETE CASCADE
);
CREATE INDEX events_of ON events (repo, num);
"""


class State:
    """The database of one root. Readers see one moment each; writers wait for each other. For use from any thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._idle: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self._writing = threading.Lock()

    def open(self) -> None:
        """Make the tables if they are not there.

        Raises:
            OSError: the file is no database of this version.
        """
        with self._borrowed() as db:
            db.execute("PRAGMA journal_mode = WAL")
            found = db.execute("PRAGMA user_version").fetchone()[0]
            if found not in (0, _VERSION):
                raise OSError(f"{self.path} is of another version ({found}); choose another --root")
            if found == 0:
                db.executescript(f"BEGIN;{_SCHEMA}PRAGMA user_version = {_VERSION};COMMIT;")

    def close(self) -> None:
        """Close every connection; nobody may be using one."""
        while self._idle:
            self._idle.pop().close()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A view of one moment, whatever is written meanwhile."""
        with self._borrowed() as db:
            db.execute("BEGIN")
            try:
                yield db
            finally:
                db.execute("ROLLBACK")

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it is on disk afterwards, or none of it if an error leaves the block."""
        # SQLite would let writers wait for each other by polling, and fail some of them under load.
        with self._writing, self._borrowed() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                db.execute("ROLLBACK")
                raise

    @contextmanager
    def _borrowed(self) -> Iterator[sqlite3.Connection]:
        """A connection that nobody else has: there are as many as were ever needed at once."""
        with self._lock:
            db = self._idle.pop() if self._idle else None
        db = db or self._connected()
        try:
            yield db
        finally:
            with self._lock:
                self._idle.append(db)

    def _connected(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=60)
        db.row_factory = sqlite3.Row
        db.execute("PRAGMA foreign_keys = ON")
        db.execute("PRAGMA synchronous = FULL")
        return db
