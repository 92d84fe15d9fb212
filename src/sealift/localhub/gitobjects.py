"""Blobs, trees and commits as git writes and names them, and the pointers of Git LFS. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import NamedTuple

from sealift.localhub.settings import USER

_POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize {}\n"
_POINTER_FORM = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\n(?:ext-[^\n]*\n)*oid sha256:([0-9a-f]{64})\nsize (\d{1,15})\n"
)


class Entry(NamedTuple):
    """One name in a folder; the id is of a tree if it is a folder, of a blob otherwise."""

    name: str
    oid: bytes
    folder: bool


class Pointer(NamedTuple):
    """What Git LFS keeps in place of a large file."""

    sha256: str
    size: int


def object_id(kind: str, data: bytes) -> bytes:
    """The 20 bytes by which git names this object."""
    return hashlib.sha1(b"%s %d\0" % (kind.encode(), len(data)) + data, usedforsecurity=False).digest()


def tree_bytes(entries: Iterable[Entry]) -> bytes:
    """The tree object of a folder, in git's order, which takes a folder's name for `name/`."""
    return b"".join(
        (b"40000 " if folder else b"100644 ") + name + b"\0" + oid
        for name, oid, folder in sorted(
            ((entry.name.encode(), entry.oid, entry.folder) for entry in entries),
            key=lambda one: one[0] + b"/" if one[2] else one[0],
        )
    )


def tree_entries(data: bytes) -> tuple[Entry, ...]:
    """The entries of a tree object as a reader lists them: folders first, then files, each by name."""
    entries, at = [], 0
    while at < len(data):
        space, end = data.index(b" ", at), data.index(b"\0", at)
        entries.append(Entry(data[space + 1 : end].decode(), data[end + 1 : end + 21], data[at:space] == b"40000"))
        at = end + 21
    return tuple(sorted(entries, key=listing_order))


def listing_order(entry: Entry) -> tuple[bool, bytes]:
    """The key by which a folder is listed."""
    return (not entry.folder, entry.name.encode())


def commit_bytes(tree: str, parent: str | None, seconds: int, message: str) -> bytes:
    """The commit object; the author is the one user."""
    author = f"{USER} <{USER}@localhost> {seconds} +0000"
    lines = [f"tree {tree}"]
    if parent:
        lines.append(f"parent {parent}")
    lines += [f"author {author}", f"committer {author}", "", message]
    return "\n".join(lines).encode()


def pointer_bytes(sha256: str, size: int) -> bytes:
    """The pointer file of that content."""
    return _POINTER.format(sha256, size).encode()


def pointer_in(data: bytes) -> Pointer | None:
    """The pointer that a small file is, or None."""
    found = _POINTER_FORM.fullmatch(data)
    return Pointer(found[1].decode(), int(found[2])) if found else None
