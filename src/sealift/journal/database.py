"""The file of a journal, and the lock of the process that writes it."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from sealift.errors import DestinationBusy, DestinationError

NAME = "journal.sqlite"
LOCK = "lock"
FORMAT = 1
"""Of the tables below. A journal of another format is not read."""
WAIT_S = 30.0
"""So long a writer waits for those who look at the journal."""
TRIES, PAUSE_S = 10, 0.05
"""Who looks whether a job is running holds its lock for a moment: a second look tells."""
TABLES = """
CREATE TABLE job (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE shard (
    path TEXT PRIMARY KEY,
    number INTEGER NOT NULL,
    rows INTEGER NOT NULL,
    media_bytes INTEGER NOT NULL,
    state TEXT NOT NULL DEFAULT 'planned' CHECK (state IN ('planned', 'packed', 'staged', 'committed')),
    receipt TEXT,
    pinned INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE beside (
    path TEXT PRIMARY KEY, identity TEXT NOT NULL, published TEXT NOT NULL, staged TEXT NOT NULL, data BLOB
) STRICT;
CREATE TABLE sent (
    number INTEGER PRIMARY KEY,
    parent TEXT,
    message TEXT NOT NULL,
    gone TEXT NOT NULL,
    last INTEGER NOT NULL,
    outcome TEXT CHECK (outcome IN ('landed', 'refused')),
    revision TEXT
) STRICT;
CREATE TABLE sent_file (
    number INTEGER NOT NULL, place INTEGER NOT NULL, path TEXT NOT NULL, staged TEXT NOT NULL, data BLOB
) STRICT;
"""


def made(file: Path) -> sqlite3.Connection:
    """A new journal, for its user alone. `FULL` makes each record outlive the machine's power: 0.4 ms."""
    os.close(os.open(file, os.O_CREAT | os.O_EXCL, 0o600))
    database = _connected(f"file:{_quoted(file)}")
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    database.executescript(f"BEGIN; {TABLES} PRAGMA user_version = {FORMAT}; COMMIT;")
    return database


def opened(file: Path, *, to_look: bool = False) -> sqlite3.Connection | None:
    """The journal that is there; None if it was never completed.

    Raises:
        DestinationError: it is of another format.
    """
    database = _connected(f"file:{_quoted(file)}{'?mode=ro' if to_look else ''}")
    try:
        [found] = database.execute("PRAGMA user_version").fetchone()
        if found == 0:
            database.close()
            return None
        if found != FORMAT:
            raise DestinationError(
                f"{file} was written by another version of sealift (format {found}, this one has {FORMAT})",
                hint="finish the job with that version, or remove the folder to begin anew",
                path=str(file),
            )
        database.execute("PRAGMA synchronous = FULL")
    except BaseException:
        database.close()
        raise
    return database


def locked(folder: Path) -> IO[str]:
    """The lock of the job in that folder, which is made; held until it is closed or this process ends, however it ends.

    Raises:
        DestinationBusy: another process holds it; `pid` and `host` name it.
    """
    said: Mapping[str, Any] = {}
    for _ in range(TRIES):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            lock = os.fdopen(os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600), "r+", encoding="utf-8")
        except FileNotFoundError:  # who had it before has just taken the folder away
            continue
        try:
            if _taken(lock, folder / LOCK):
                lock.truncate(0)
                json.dump({"pid": os.getpid(), "host": socket.gethostname(), "since": time.time()}, lock)
                lock.flush()
                return lock
            said = _holder(lock)
        except BaseException:
            lock.close()
            raise
        lock.close()
        time.sleep(PAUSE_S)
    raise _busy(folder, said)


def _taken(lock: IO[str], file: Path) -> bool:
    """Whether this process has the lock now; not if the file was removed by who had it before."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(lock.fileno()), os.stat(file))
    except (BlockingIOError, FileNotFoundError):
        return False


def holder(folder: Path) -> Mapping[str, Any] | None:
    """The process that holds the job's lock: `pid`, `host`, `since`; None if nobody does."""
    try:
        with open(folder / LOCK, encoding="utf-8") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return _holder(lock)
    except FileNotFoundError:
        pass
    return None


@contextmanager
def translated(folder: Path) -> Iterator[None]:
    """What the file system or the database refuses becomes ours."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise DestinationError(
            f"the job's state in {folder} cannot be kept: {error}",
            hint="make room there and see that you may write to it, or keep the state elsewhere: --state DIR",
            path=str(folder),
        ) from error


def _connected(address: str) -> sqlite3.Connection:
    return sqlite3.connect(address, timeout=WAIT_S, isolation_level=None, uri=True)


def _quoted(file: Path) -> str:
    return str(file.absolute()).replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def _holder(lock: IO[str]) -> dict[str, Any]:
    lock.seek(0)
    try:
        said = json.loads(lock.read())
    except ValueError:  # it is being written
        return {}
    return said if isinstance(said, dict) else {}


def _busy(folder: Path, said: Mapping[str, Any]) -> DestinationBusy:
    who = f"process {said['pid']} on {said['host']}" if said else "another process"
    return DestinationBusy(
        f"{who} is at work on this job",
        hint="wait for it (`sealift status` with the destination and --watch shows how far it is), or stop it and run "
        "the same command again",
        path=str(folder),
        pid=said.get("pid"),
        host=said.get("host"),
    )
