"""Repositories and their history: what a name stands for, what came before, what changed when."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sealift.localhub.gitobjects import commit_bytes, object_id
from sealift.localhub.objects import at_path
from sealift.localhub.refusals import no_revision

_PULL = re.compile(r"refs/pr/[1-9][0-9]*")
_ID = re.compile(r"[0-9a-f]{7,40}")
"""A commit's id, or enough of it."""
_NAME_FORM = re.compile(r"(?!/)(?!.*(?://|\.\.|@\{|\.lock(?:/|$)|/\.|[/.]$))(?!\.)[^\x00-\x20\x7f~^:?*\[\\]{1,200}")


@dataclass(frozen=True, slots=True)
class Repo:
    """A repository; the name is `namespace/name`, `created` unix seconds."""

    id: int
    type: str
    name: str
    private: bool
    gated: str | None
    sdk: str | None
    created: int


@dataclass(frozen=True, slots=True)
class Commit:
    """One state of a repository, and the one before it."""

    oid: str
    tree: bytes
    parent: str | None
    seconds: int
    title: str
    message: str


def find_repo(db: sqlite3.Connection, kind: str, name: str) -> Repo | None:
    """The repository of that type and name."""
    row = db.execute("SELECT * FROM repos WHERE type = ? AND name = ?", (kind, name)).fetchone()
    return repo_of(row) if row else None


def repo_of(row: sqlite3.Row) -> Repo:
    """A row of the table as a value."""
    return Repo(row["id"], row["type"], row["name"], bool(row["private"]), row["gated"], row["sdk"], row["created"])


def is_ref_name(name: str) -> bool:
    """Whether git would take it as the name of a branch or tag that is no full reference."""
    return bool(_NAME_FORM.fullmatch(name)) and not name.startswith("refs/") and name != "HEAD"


def ref(db: sqlite3.Connection, repo: Repo, name: str) -> str | None:
    """The commit that a full reference names."""
    row = db.execute("SELECT oid FROM refs WHERE repo = ? AND name = ?", (repo.id, name)).fetchone()
    return row["oid"] if row else None


def set_ref(db: sqlite3.Connection, repo: Repo, name: str, oid: str, message: str | None = None) -> None:
    """Let the reference name that commit."""
    db.execute("INSERT OR REPLACE INTO refs VALUES (?, ?, ?, ?)", (repo.id, name, oid, message))


def commit_at(db: sqlite3.Connection, repo: Repo, oid: str) -> Commit | None:
    """The commit of that id in this repository."""
    row = db.execute(
        "SELECT oid, tree, parent, seconds, title, message FROM commits WHERE repo = ? AND oid = ?", (repo.id, oid)
    ).fetchone()
    return Commit(*row) if row else None


def revision(db: sqlite3.Connection, repo: Repo, name: str) -> Commit:
    """The commit that a branch, tag, pull request, full reference, commit id or the start of one names.

    Raises:
        Refusal: there is none.
    """
    names = [name] if name.startswith("refs/") else [f"refs/heads/{name}", f"refs/tags/{name}"]
    for full in names:
        if oid := ref(db, repo, full):
            return the_commit(db, repo, oid)
    if _ID.fullmatch(name):
        found = db.execute(
            "SELECT oid FROM commits WHERE repo = ? AND oid BETWEEN ? AND ? LIMIT 2", (repo.id, name, f"{name}g")
        ).fetchall()
        if len(found) == 1:
            return the_commit(db, repo, found[0]["oid"])
    raise no_revision(name)


def writable(db: sqlite3.Connection, repo: Repo, name: str) -> tuple[str, Commit]:
    """The full reference that commits to this name move, and where it is.

    Raises:
        Refusal: it is no branch and no pull request.
    """
    full = name if name.startswith("refs/heads/") or _PULL.fullmatch(name) else f"refs/heads/{name}"
    if oid := ref(db, repo, full):
        return full, the_commit(db, repo, oid)
    raise no_revision(name)


def the_commit(db: sqlite3.Connection, repo: Repo, oid: str) -> Commit:
    """A commit that a reference or another commit names: it is there."""
    found = commit_at(db, repo, oid)
    assert found is not None, f"{repo.name} has no commit {oid}"
    return found


def add_commit(
    db: sqlite3.Connection, repo: Repo, tree: bytes, parent: str | None, seconds: int, title: str, message: str
) -> Commit:
    """Keep a commit, named as git would name it; no reference moves."""
    text = f"{title}\n\n{message}" if message else title
    oid = object_id("commit", commit_bytes(tree.hex(), parent, seconds, text)).hex()
    db.execute(
        "INSERT OR IGNORE INTO commits VALUES (?, ?, ?, ?, ?, ?, ?)",
        (repo.id, oid, tree, parent, seconds, title, message),
    )
    return the_commit(db, repo, oid)


def history(db: sqlite3.Connection, repo: Repo, start: Commit) -> Iterator[Commit]:
    """The commit and all before it, newest first."""
    found: Commit | None = start
    while found:
        yield found
        found = the_commit(db, repo, found.parent) if found.parent else None


def last_changes(db: sqlite3.Connection, repo: Repo, start: Commit, paths: Iterable[str]) -> dict[str, Commit]:
    """For each path that is there, the newest commit that made it what it is."""
    now = {path: at_path(db, start.tree, path) for path in paths}
    changed: dict[str, Commit] = {}
    for commit in history(db, repo, start):
        if not now:
            break
        before = the_commit(db, repo, commit.parent).tree if commit.parent else None
        if before == commit.tree:
            continue
        for path in [one for one in now if before is None or at_path(db, before, one) != now[one]]:
            del now[path]
            changed[path] = commit
    return changed


def common(db: sqlite3.Connection, repo: Repo, one: Commit, other: Commit) -> Commit | None:
    """The newest commit in both histories."""
    seen = {commit.oid for commit in history(db, repo, one)}
    return next((commit for commit in history(db, repo, other) if commit.oid in seen), None)
