"""Trees and small files in the database, by the id that git gives them: what is equal is there once."""

from __future__ import annotations

import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from sealift.localhub.gitobjects import Entry, object_id, pointer_bytes, tree_bytes, tree_entries

_AT_ONCE = 500
"""Ids in one query."""


@dataclass(frozen=True, slots=True)
class Blob:
    """A file's content: its size, and where it lies if it is not in the database."""

    oid: bytes
    size: int
    sha256: str | None = None
    """Of LFS and Xet files only."""
    xet: str | None = None

    @property
    def etag(self) -> str:
        """What names this content for clients: SHA-256 of a large file, git's id of a small one."""
        return self.sha256 or self.oid.hex()

    @property
    def pointer_size(self) -> int:
        """Bytes of the pointer file that git holds in its place."""
        return len(pointer_bytes(self.sha256 or "", self.size))


def add_blob(db: sqlite3.Connection, data: bytes) -> bool:
    """Keep a small file; whether it is new."""
    oid = object_id("blob", data)
    done = db.execute("INSERT OR IGNORE INTO blobs VALUES (?, ?, NULL, NULL, ?)", (oid, len(data), data))
    return done.rowcount > 0


def add_large(db: sqlite3.Connection, sha256: str, size: int, xet: str | None) -> None:
    """Keep the pointer of a large file."""
    data = pointer_bytes(sha256, size)
    oid = object_id("blob", data)
    # A pointer of content that came by plain LFS first gets its Xet hash when it comes by Xet.
    db.execute(
        "INSERT INTO blobs VALUES (?, ?, ?, ?, ?) ON CONFLICT (oid) DO UPDATE SET xet = coalesce(xet, excluded.xet)",
        (oid, size, sha256, xet, data),
    )


def blobs(db: sqlite3.Connection, oids: Iterable[bytes]) -> dict[bytes, Blob]:
    """What is known of these blobs."""
    found = {}
    left = iter(oids)
    while some := list(islice(left, _AT_ONCE)):
        marks = ",".join("?" * len(some))
        rows = db.execute(f"SELECT oid, size, sha256, xet FROM blobs WHERE oid IN ({marks})", some)  # noqa: S608
        for row in rows:
            found[row["oid"]] = Blob(*row)
    return found


def blob_data(db: sqlite3.Connection, oid: bytes) -> bytes:
    """A small file's bytes, or a large file's pointer."""
    data: bytes = db.execute("SELECT data FROM blobs WHERE oid = ?", (oid,)).fetchone()["data"]
    return data


@dataclass(frozen=True, slots=True)
class Folder:
    """What is in a folder, in the order of listings."""

    entries: tuple[Entry, ...]
    by_name: Mapping[str, Entry]


class _Read:
    """Folders that were read lately. An id names one content for ever, so none of them is ever stale."""

    def __init__(self, most_entries: int) -> None:
        self._most = most_entries
        self._folders: OrderedDict[bytes, Folder] = OrderedDict()
        self._entries = 0
        self._lock = threading.Lock()

    def get(self, oid: bytes) -> Folder | None:
        with self._lock:
            if found := self._folders.get(oid):
                self._folders.move_to_end(oid)
            return found

    def put(self, oid: bytes, read: Folder) -> None:
        with self._lock:
            if oid not in self._folders:
                self._folders[oid] = read
                self._entries += len(read.entries)
            while self._entries > self._most and len(self._folders) > 1:
                self._entries -= len(self._folders.popitem(last=False)[1].entries)


# Some thirty megabytes.
_READ = _Read(most_entries=100_000)


def folder(db: sqlite3.Connection, oid: bytes) -> Folder:
    """The folder of that id, which is there."""
    if found := _READ.get(oid):
        return found
    entries = tree_entries(db.execute("SELECT data FROM trees WHERE oid = ?", (oid,)).fetchone()["data"])
    read = Folder(entries, {entry.name: entry for entry in entries})
    _READ.put(oid, read)
    return read


def add_folder(db: sqlite3.Connection, entries: Iterable[Entry]) -> bytes:
    """Keep a folder; its id."""
    data = tree_bytes(entries)
    oid = object_id("tree", data)
    db.execute("INSERT OR IGNORE INTO trees VALUES (?, ?)", (oid, data))
    return oid


def at_path(db: sqlite3.Connection, tree: bytes, path: str) -> Entry | None:
    """What lies at a path; the tree itself at the empty one."""
    found = Entry("", tree, folder=True)
    for name in path.split("/") if path else ():
        if not found.folder:
            return None
        inside = folder(db, found.oid).by_name
        if name not in inside:
            return None
        found = inside[name]
    return found


def walk(db: sqlite3.Connection, tree: bytes, under: str = "", *, deep: bool, after: str = "") -> Iterator[Entry]:
    """Entries below a folder, named by their whole path, in the order of listings.

    `after` is a path in that folder: what comes up to it, itself included, is left out. The entries of one folder are
    in memory for each level.
    """
    passed, _, rest = after.partition("/")
    entries = iter(folder(db, tree).entries)
    if passed:
        last = next((entry for entry in entries if entry.name == passed), None)
        if last and last.folder and deep:
            yield from walk(db, last.oid, joined(under, last.name), deep=True, after=rest)
    for entry in entries:
        path = joined(under, entry.name)
        yield entry._replace(name=path)
        if entry.folder and deep:
            yield from walk(db, entry.oid, path, deep=True)


def joined(folder_path: str, name: str) -> str:
    """The path of a name in a folder; the root is the empty path."""
    return f"{folder_path}/{name}" if folder_path else name
