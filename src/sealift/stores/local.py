"""A folder on this machine as a source."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from sealift.errors import RequestError, SourceChanged, SourceError, SourceMissing
from sealift.model.entry import Entry, extension
from sealift.ports import LISTING

BATCH = 10_000
PASSED_OVER = {".git"}


@dataclass(frozen=True)
class LocalFolder:
    """A folder as a source. Links in it are followed, but none that leads out of it.

    `exclude` are folders inside it that do not belong to the source: the destination, when it lies there.
    """

    root: Path
    exclude: tuple[Path, ...] = ()

    def listing(self) -> Iterator[pa.RecordBatch]:
        """Every file below the root, in the order of its path's bytes; links are followed, `.git` is passed over.

        A link to a file out of the root is listed as not readable. A link to nothing, or to a folder that is out of
        the root or that it lies in itself, is not listed.

        Raises:
            SourceError: the root, or a folder in it, cannot be listed.
        """
        if not self.root.is_dir():
            raise SourceError(f"{self.root} is not a folder", hint="check `from:` or --from", path=str(self.root))
        batch: list[tuple[Any, ...]] = []
        real_root = os.path.realpath(self.root)
        for path, found in _walk(str(self.root), "", {os.path.realpath(one) for one in self.exclude}, (real_root,)):
            try:
                state = found.stat()
            except FileNotFoundError:  # deleted a moment ago
                continue
            inside = not found.is_symlink() or _inside(os.path.realpath(found.path), real_root)
            readable = inside and os.access(found.path, os.R_OK)
            version = str(state.st_mtime_ns)
            batch.append((path, state.st_size, state.st_mtime_ns // 1000, version, readable, extension(path)))
            if len(batch) == BATCH:
                yield _batch(batch)
                batch = []
        if batch:
            yield _batch(batch)

    def read_into(self, entry: Entry, offset: int, view: memoryview) -> None:
        """Fill the view from the file, which must still be the one that was listed.

        Raises:
            SourceMissing: it is gone, or may not be read.
            SourceChanged: its size or modification time differs, or it ended early.
        """
        try:
            file = os.open(f"{self.root}/{entry.path}", os.O_RDONLY)
            try:
                whole = _fill(file, offset, view)
                # After the bytes: a change while they were read counts, too.
                state = os.fstat(file)
            finally:
                os.close(file)
        except OSError as error:
            raise _gone(entry, error) from error
        if not whole or state.st_size != entry.size or entry.version not in (None, str(state.st_mtime_ns)):
            raise _changed(entry, state)

    @contextmanager
    def local_file(self, path: str) -> Iterator[str]:
        """The file itself.

        Raises:
            RequestError: the path leads out of the folder, by `..` or by a link.
            SourceMissing: there is no such file.
        """
        if os.path.isabs(path) or ".." in Path(path).parts or "\0" in path:
            raise RequestError(f"{path!r} leads out of the source", hint="name files below `from:`", path=path)
        file = self.root / path
        if not file.is_file():
            raise SourceMissing(f"{path} is not in {self.root}", hint="check the path below `from:`", path=path)
        if not _inside(os.path.realpath(file), os.path.realpath(self.root)):
            raise RequestError(
                f"{path} is a link that leads out of the source",
                hint="copy the file there, or name a folder in `from:` that holds both",
                path=path,
            )
        yield str(file)


def _walk(
    folder: str, prefix: str, exclude: set[str], above: tuple[str, ...]
) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Files in the order of their path's bytes; `above` are the real paths from the root down to this folder."""
    for entry, is_folder in _entries(folder):
        if entry.name in PASSED_OVER:
            continue
        path = prefix + _text(entry)
        if not is_folder:
            yield path, entry
            continue
        real = os.path.realpath(entry.path) if entry.is_symlink() else os.path.join(above[-1], entry.name)
        if real not in exclude and real not in above and _inside(real, above[0]):
            yield from _walk(entry.path, f"{path}/", exclude, (*above, real))


def _entries(folder: str) -> list[tuple[os.DirEntry[str], bool]]:
    """Files and folders of a folder, in the order of their paths' bytes: a folder sorts as its name with a slash."""
    try:
        with os.scandir(folder) as found:
            entries = [(one, is_folder) for one in found if (is_folder := _is_folder(one)) is not None]
    except OSError as error:
        raise SourceError(
            f"{folder} cannot be listed: {error.strerror}", hint="give yourself the right to read it", path=folder
        ) from error
    return sorted(entries, key=lambda one: one[0].name.encode("utf-8", "surrogateescape") + b"/" * one[1])


def _is_folder(entry: os.DirEntry[str]) -> bool | None:
    """Whether it is a folder rather than a file; None for a link to nothing, and for pipes and the like."""
    try:
        return True if entry.is_dir() else False if entry.is_file() else None
    except OSError:  # a link to itself, or through a folder that may not be searched
        return None


def _text(entry: os.DirEntry[str]) -> str:
    try:
        entry.name.encode()
    except UnicodeEncodeError:
        raise SourceError(
            f"{os.fsencode(entry.path)!r}: the name is not UTF-8", hint="rename the file", path=repr(entry.path)
        ) from None
    return entry.name


def _fill(file: int, offset: int, view: memoryview) -> bool:
    """Whether the file had enough bytes to fill the view."""
    while view:
        count = os.preadv(file, [view], offset)
        if not count:
            return False
        view, offset = view[count:], offset + count
    return True


def _inside(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip("/") + "/")


def _batch(rows: list[tuple[Any, ...]]) -> pa.RecordBatch:
    columns = [pa.array(values, field.type) for values, field in zip(zip(*rows, strict=True), LISTING, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=LISTING)


def _gone(entry: Entry, error: OSError) -> SourceMissing:
    return SourceMissing(
        f"{entry.path} cannot be read: {error.strerror}", hint="put it back, or plan again", path=entry.path
    )


def _changed(entry: Entry, state: os.stat_result) -> SourceChanged:
    what = (
        f"it has {state.st_size} bytes, {entry.size} were planned"
        if state.st_size != entry.size
        else "it was modified after it was listed"
    )
    return SourceChanged(f"{entry.path} changed since the plan: {what}", hint="run the command again", path=entry.path)
