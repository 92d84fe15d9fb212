"""What lies in a folder on this machine, file by file, in the order of the paths' bytes."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import groupby

import pyarrow as pa

from sealift.errors import SourceError
from sealift.model.entry import COMPRESSED, extension
from sealift.ports import LISTING

BATCH = 10_000
PASSED_OVER = frozenset({".git"})
EVERYBODY = stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH


@dataclass(frozen=True, slots=True)
class _Files:
    """Files of one folder, in order: `folder` is its path here, `prefix` that in the listing, both with a slash."""

    folder: str
    prefix: str
    names: list[str]
    links: frozenset[str]


def listing(root: str, exclude: set[str]) -> Iterator[pa.RecordBatch]:
    """Batches of `LISTING` for all below the root but what lies in `exclude`, which are real paths.

    Memory: a batch, and the names in the folders from the root down to the one that is read.

    Raises:
        SourceError: a folder cannot be listed, or a name is not UTF-8.
    """
    real_root = os.path.realpath(root)
    columns = _Columns(real_root, os.getuid())
    for files in _walk(os.path.join(root, ""), "", exclude, (real_root,)):
        start = 0
        while start < len(files.names):
            part = files.names[start : start + BATCH - len(columns)]
            columns.add(files, part)
            start += len(part)
            if len(columns) >= BATCH:
                yield columns.batch()
    if len(columns):
        yield columns.batch()


def inside(path: str, root: str) -> bool:
    """Whether a real path is the root or lies below it."""
    return path == root or path.startswith(root.rstrip("/") + "/")


@dataclass(slots=True)
class _Columns:
    """A batch that grows: each column a list, so that a file costs a few steps of loops that Python runs fast."""

    real_root: str
    user: int
    paths: list[str] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    readable: list[bool] = field(default_factory=list)
    extensions: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.paths)

    def add(self, files: _Files, names: list[str]) -> None:
        """Take the files of these names."""
        _check_text(files.folder, names)
        names, states = _states(files.folder, names)
        self.paths += [files.prefix + name for name in names]
        self.sizes += [state.st_size for state in states]
        self.times += [state.st_mtime_ns for state in states]
        self.extensions += [
            _plain(name[dot:]) or extension(name) if (dot := name.rfind(".")) > 0 else "" for name in names
        ]
        # One's own file that everybody may read needs no asking; the bits of others' leave doubt (access lists).
        self.readable += [
            (state.st_uid == self.user and state.st_mode & EVERYBODY == EVERYBODY)
            or os.access(files.folder + name, os.R_OK)
            for name, state in zip(names, states, strict=True)
        ]
        if files.links:
            self._look_where_links_lead(files, names)

    def batch(self) -> pa.RecordBatch:
        """All that was taken; what comes next is a new batch."""
        made = {
            "path": self.paths,
            "size": self.sizes,
            "mtime": [time // 1000 for time in self.times],
            "version": list(map(str, self.times)),
            "readable": self.readable,
            "extension": self.extensions,
        }
        self.paths, self.sizes, self.times, self.readable, self.extensions = [], [], [], [], []
        return pa.RecordBatch.from_arrays([pa.array(made[one.name], one.type) for one in LISTING], schema=LISTING)

    def _look_where_links_lead(self, files: _Files, names: list[str]) -> None:
        for at, name in enumerate(names, len(self.readable) - len(names)):
            if name in files.links and not inside(os.path.realpath(files.folder + name), self.real_root):
                self.readable[at] = False


def _walk(folder: str, prefix: str, exclude: set[str], above: tuple[str, ...]) -> Iterator[_Files]:
    """All files in the order of their path's bytes; `above` are the real paths from the root down to this folder."""
    names, links = _names(folder)
    for are_folders, found in groupby(names, lambda name: name[-1] == "/"):
        if not are_folders:
            yield _Files(folder, prefix, list(found), links)
            continue
        for name in found:
            _check_text(folder, [name])
            path = folder + name[:-1]
            real = os.path.realpath(path) if name[:-1] in links else os.path.join(above[-1], name[:-1])
            if real not in exclude and real not in above and inside(real, above[0]):
                yield from _walk(folder + name, prefix + name, exclude, (*above, real))


def _names(folder: str) -> tuple[list[str], frozenset[str]]:
    """What is in the folder, in the order of the paths' bytes, folders with a slash; and which of it are links.

    Text sorts as its UTF-8 does, and a folder as its name with a slash: that is what the files in it begin with.
    """
    names, links = [], []
    try:
        with os.scandir(folder) as found:
            for one in found:
                is_folder = False if one.is_file(follow_symlinks=False) else _is_folder(one)
                if is_folder is None or one.name in PASSED_OVER:
                    continue
                names.append(one.name + "/" if is_folder else one.name)
                if one.is_symlink():
                    links.append(one.name)
    except OSError as error:
        raise _unlisted(folder, error) from error
    return sorted(names), frozenset(links)


def _is_folder(entry: os.DirEntry[str]) -> bool | None:
    """Whether it is a folder rather than a file; None for a link to nothing, and for pipes and the like."""
    try:
        return True if entry.is_dir() else False if entry.is_file() else None
    except OSError:  # a link to itself, or through a folder that may not be searched
        return None


def _states(folder: str, names: list[str]) -> tuple[list[str], list[os.stat_result]]:
    """The names that are still there, and what is known of each file."""
    try:
        return names, [os.stat(folder + name) for name in names]
    except FileNotFoundError:  # one was deleted a moment ago
        there = [(name, state) for name in names if (state := _state(folder + name)) is not None]
        return [name for name, _ in there], [state for _, state in there]


def _state(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except FileNotFoundError:
        return None


@lru_cache(maxsize=1024)
def _plain(tail: str) -> str:
    """The extension of every name that ends in this, from its last dot on; '' if it takes the whole name to say."""
    lower = tail.lower()
    return lower if tail.isascii() and lower not in COMPRESSED else ""


def _check_text(folder: str, names: list[str]) -> None:
    if all(map(str.isascii, names)):
        return
    for name in names:
        try:
            name.encode()
        except UnicodeEncodeError:
            path = folder + name.rstrip("/")
            raise SourceError(
                f"{os.fsencode(path)!r}: the name is not UTF-8", hint="rename the file", path=repr(path)
            ) from None


def _unlisted(folder: str, error: OSError) -> SourceError:
    path = folder.rstrip("/") or "/"
    return SourceError(
        f"{path} cannot be listed: {error.strerror}", hint="give yourself the right to read it", path=path
    )
