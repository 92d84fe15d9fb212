"""Two sides of one tree, compared file by file: what each changed, where they collide, what both make together."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping

from sealift.localhub.drafts import Draft
from sealift.localhub.gitobjects import Entry
from sealift.localhub.objects import folder, joined

Change = tuple[bytes | None, bytes | None]
"""A file's content before and after; None where it is not there."""


def changes(
    db: sqlite3.Connection, before: bytes | None, after: bytes | None, under: str = ""
) -> Iterator[tuple[str, Change]]:
    """Every file that differs between two trees, by path; folders that are the same are not opened."""
    if before == after:
        return
    left, right = _inside(db, before), _inside(db, after)
    for name in sorted(left.keys() | right.keys()):
        one, other, path = left.get(name), right.get(name), joined(under, name)
        if one == other:
            continue
        if (change := (_oid(one, folder=False), _oid(other, folder=False))) != (None, None):
            yield path, change
        yield from changes(db, _oid(one, folder=True), _oid(other, folder=True), path)


def conflicts(db: sqlite3.Connection, start: bytes | None, one: bytes, other: bytes) -> list[str]:
    """Files that both sides changed, and not to the same; and files of one side that are folders of the other."""
    left, right = dict(changes(db, start, one)), dict(changes(db, start, other))
    found = {path for path in left.keys() & right.keys() if left[path] != right[path]}
    for ours, theirs in ((left, right), (right, left)):
        there = {path for path, (_, after) in ours.items() if after}
        found |= {path for path, (_, after) in theirs.items() if after and not there.isdisjoint(_above(path))}
    return sorted(found)


def merged(db: sqlite3.Connection, start: bytes | None, one: bytes, other: bytes) -> bytes:
    """The tree with the changes of both sides, which do not collide; it is kept in the database."""
    draft = Draft(db, one)
    theirs = set(changes(db, start, other)) - set(changes(db, start, one))
    for path, (before, after) in sorted(theirs, key=lambda change: change[1][1] is not None):
        if after:
            draft.put(path, after)
        elif before:
            draft.remove(path, whole_folder=False)
    return draft.write()


def _inside(db: sqlite3.Connection, tree: bytes | None) -> Mapping[str, Entry]:
    return folder(db, tree).by_name if tree else {}


def _oid(entry: Entry | None, *, folder: bool) -> bytes | None:
    return entry.oid if entry and entry.folder == folder else None


def _above(path: str) -> Iterator[str]:
    """The folders that lead to a path."""
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path
