"""What a path may be: below a root that is read from, and in a published dataset, which others put on their disks."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator

NAME_BYTES = 255
"""The most that the usual file systems take for one name, and so does the Hub."""
PATH_BYTES = 4096
OUTSIDE = r"^[/\\]|^[A-Za-z]:[/\\]|(^|[/\\])\.\.([/\\]|$)|\x00"
"""What leads out of the folder that a path counts from: here, or where a backslash parts folders."""

_OUTSIDE = re.compile(OUTSIDE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_DRIVE = re.compile(r".:")


def leads_out(path: str) -> bool:
    """Whether no folder on this machine holds the path: it is absolute, or has `..` or NUL in it."""
    return path.startswith("/") or "\0" in path or (".." in path and ".." in path.split("/"))


def unfit(path: str) -> str:
    """Why no file of a published dataset may have this path; '' if one may.

    Whoever loads the dataset has its files written to a disk of theirs, under these names.
    """
    names = path.split("/")
    if _OUTSIDE.search(path):
        return "it leads out of the dataset"
    if _CONTROL.search(path):
        return "it holds control characters, or is no text"
    if "\\" in path or _DRIVE.match(path):
        return "on some machines it would lie elsewhere (a backslash, or a drive)"
    if any(name in ("", ".") for name in names):
        return "it holds an empty name, or `.`"
    if any(map(_is_gits, names)):
        return "it is git's own"
    if len(path.encode()) > PATH_BYTES or any(len(name.encode()) > NAME_BYTES for name in names):
        return f"it is too long: {NAME_BYTES} bytes a name, {PATH_BYTES} in all"
    return ""


def clashes(paths: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Pairs of files or folders that are one where neither case nor the form of Unicode counts, as on many machines."""
    seen: dict[str, str] = {}
    for path in paths:
        # From the file up: a folder that was seen has been compared, and so have those that it lies in.
        while path and (other := seen.setdefault(_folded(path), path)) is path:
            path = path.rpartition("/")[0]
        if path and other != path:
            yield other, path


def _folded(path: str) -> str:
    return path.lower() if path.isascii() else unicodedata.normalize("NFD", path.casefold())


def _is_gits(name: str) -> bool:
    """Whether git, on any file system, would take the name for that of its own folder."""
    if name.isascii() and name[:1] != "." and "~" not in name:
        return False
    seen = "".join(one for one in name if unicodedata.category(one) != "Cf").rstrip(". ").lower()
    return seen in (".git", "git~1")
