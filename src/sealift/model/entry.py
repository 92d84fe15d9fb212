"""An entry: one object at the source, as the listing saw it."""

from __future__ import annotations

from dataclasses import dataclass

LISTING_COLUMNS = ("path", "size", "mtime", "version", "readable", "extension")
"""The columns of a listing, in order.

path       relative to the source's root, POSIX separators
size       bytes
mtime      UTC, microseconds; null where the store has none
version    what changes when the bytes do: mtime in nanoseconds, or the etag; null if unknown
readable   false when the permission bits say that it cannot be opened
extension  lower case, with the dot; compound for .nii.gz and .tar.*; '' if there is none
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One object at the source: where it is, how long it is, and which version of it was listed."""

    path: str
    size: int
    version: str | None = None


LEADING_DOT = r"^(\./+)+"
"""What a path may begin with and the listing never does: `./audio/a.flac` is `audio/a.flac`."""

COMPRESSED = (".gz", ".bz2", ".xz", ".zst")


def extension(path: str) -> str:
    """The extension in lower case with its dot: `.flac`; `.nii.gz` and `.tar.zst` whole; '' without one."""
    name = path.rpartition("/")[2].lower()
    stem, dot, last = name.rpartition(".")
    if not dot or not stem:
        return ""
    tail = dot + last
    if tail in COMPRESSED:
        inner = stem.rpartition(".")
        if inner[0] and inner[2] in ("nii", "tar"):
            return f".{inner[2]}{tail}"
    return tail
