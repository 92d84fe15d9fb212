"""The difference of two trees as text, as git prints it."""

from __future__ import annotations

import difflib
import sqlite3

from sealift.localhub.merging import changes
from sealift.localhub.objects import blob_data

_MOST = 100_000
"""Bytes of a file beyond which its lines are not compared."""
_NULL = "0" * 40


def diff(db: sqlite3.Connection, before: bytes | None, after: bytes) -> str:
    """Every file that differs: its lines, or that it is binary. Large files are compared by their pointers."""
    return "".join(_file(db, path, *change) for path, change in changes(db, before, after))


def _file(db: sqlite3.Connection, path: str, before: bytes | None, after: bytes | None) -> str:
    ids = [oid.hex() if oid else _NULL for oid in (before, after)]
    head = f"diff --git a/{path} b/{path}\n"
    head += "" if before else "new file mode 100644\n"
    head += "" if after else "deleted file mode 100644\n"
    head += f"index {ids[0]}..{ids[1]}\n"
    names = (f"a/{path}" if before else "/dev/null", f"b/{path}" if after else "/dev/null")
    texts = [_lines(blob_data(db, oid)) if oid else [] for oid in (before, after)]
    left, right = texts
    if left is None or right is None:
        return head + f"Binary files {names[0]} and {names[1]} differ\n"
    return head + "".join(_ended(line) for line in difflib.unified_diff(left, right, *names))


def _lines(data: bytes) -> list[str] | None:
    """The lines of a text; None if it is none, or too long."""
    if len(data) > _MOST or b"\0" in data:
        return None
    try:
        return data.decode().splitlines(keepends=True)
    except UnicodeDecodeError:
        return None


def _ended(line: str) -> str:
    return line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
