"""What a Hub does at night: content that no commit of any reference names is dropped."""

from __future__ import annotations

import sqlite3
import time

from sealift.localhub.hub import Hub
from sealift.localhub.objects import blobs, folder

_COMMITS = """
WITH RECURSIVE named (repo, oid) AS (
    SELECT repo, oid FROM refs
    UNION SELECT c.repo, c.parent FROM commits c JOIN named n ON c.repo = n.repo AND c.oid = n.oid
    WHERE c.parent IS NOT NULL
) SELECT DISTINCT c.tree FROM named n JOIN commits c ON c.repo = n.repo AND c.oid = n.oid
"""
"""The trees of every commit that a branch, a tag or a pull request has."""


def collect(hub: Hub, older_than: float = 0.0, *, remembers: bool = False) -> dict[str, int]:
    """Drop large content that no commit of a reference names and that came more than so many seconds ago; what went.

    With `remembers`, questions about it are still answered as if it were here. Waits for commits that are being made,
    and lets none begin.
    """
    before = time.time() - older_than
    with hub.gate.alone():
        with hub.state.reading() as db:
            named = _named(db)
        contents = hub.contents.collect(named, before)
        files, xorbs, freed = hub.cas.collect(named, before, remembers=remembers)
    if remembers:
        hub.remembered.update(contents | files)
    return {
        "contents": len(contents),
        "files": len(files),
        "xorbs": xorbs,
        "bytes": freed + sum(contents.values()),
    }


def _named(db: sqlite3.Connection) -> set[str]:
    """The SHA-256 of every large file in the history of a reference."""
    waiting = [row["tree"] for row in db.execute(_COMMITS)]
    seen, small = set(waiting), set()
    while waiting:
        for entry in folder(db, waiting.pop()).entries:
            if not entry.folder:
                small.add(entry.oid)
            elif entry.oid not in seen:
                seen.add(entry.oid)
                waiting.append(entry.oid)
    return {blob.sha256 for blob in blobs(db, small).values() if blob.sha256}
