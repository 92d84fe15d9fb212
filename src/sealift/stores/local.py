"""A folder on this machine: as a source, and as a destination laid out as on the Hub."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from sealift.errors import DestinationError, RequestError, SourceChanged, SourceError, SourceMissing
from sealift.model.entry import Entry, extension
from sealift.ports import LISTING

BATCH = 10_000
PASSED_OVER = {".git"}


@dataclass(frozen=True)
class LocalFolder:
    """A folder as a source. Nothing outside it is listed or read, but through links that lie in it.

    `exclude` are folders inside it that do not belong to the source: the destination, when it lies there.
    """

    root: Path
    exclude: tuple[Path, ...] = ()

    def listing(self) -> Iterator[pa.RecordBatch]:
        """Every file below the root, in the order of its path's bytes; links are followed, `.git` is passed over.

        A link that leads out of the root is listed as not readable; a link to nothing is not listed.

        Raises:
            SourceError: the root, or a folder in it, cannot be listed.
        """
        if not self.root.is_dir():
            raise SourceError(f"{self.root} is not a folder", hint="check `from:` or --from", path=str(self.root))
        batch: list[tuple[Any, ...]] = []
        real_root = os.path.realpath(self.root)
        for path, found in _walk(str(self.root), "", {os.path.realpath(one) for one in self.exclude}, (real_root,)):
            state = found.stat()
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
        except OSError as error:
            raise _gone(entry, error) from error
        try:
            state = os.fstat(file)
            if state.st_size != entry.size or (entry.version is not None and str(state.st_mtime_ns) != entry.version):
                raise _changed(entry, state)
            while view:
                count = os.preadv(file, [view], offset)
                if not count:
                    raise _changed(entry, os.fstat(file))
                view, offset = view[count:], offset + count
        except OSError as error:
            raise _gone(entry, error) from error
        finally:
            os.close(file)

    @contextmanager
    def local_file(self, path: str) -> Iterator[str]:
        """The file itself.

        Raises:
            RequestError: the path leads out of the folder.
            SourceMissing: there is no such file.
        """
        if os.path.isabs(path) or ".." in Path(path).parts or "\0" in path:
            raise RequestError(f"{path!r} leads out of the source", hint="name files below `from:`", path=path)
        file = self.root / path
        if not file.is_file():
            raise SourceMissing(f"{path} is not in {self.root}", hint="check the path below `from:`", path=path)
        yield str(file)


@dataclass
class LocalDestination:
    """A folder as a destination: staged beside it, renamed into place at the end. Use it with `with`.

    Staged files lie in `.<name>.sealift/` next to the folder, so that renaming never copies. The lock in there
    is held by the running process alone: one that died leaves nothing in the way.
    """

    root: Path
    _lock: IO[str] | None = field(default=None, repr=False)

    @property
    def beside(self) -> Path:
        """The folder next to the destination that holds what is not published yet."""
        return self.root.parent / f".{self.root.name}.sealift"

    def __enter__(self) -> LocalDestination:
        try:
            self.beside.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise DestinationError(
                f"{self.beside} cannot be made: {error.strerror}", hint="choose a folder that you may write to"
            ) from error
        self._lock = open(self.beside / "lock", "w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            raise DestinationError(
                f"another process is publishing to {self.root}", hint="wait for it to end", path=str(self.root)
            ) from error
        for left in ("staged", "work"):
            shutil.rmtree(self.beside / left, ignore_errors=True)
        return self

    def __exit__(self, *error: object) -> None:
        if self._lock is not None:
            shutil.rmtree(self.beside, ignore_errors=True)
            self._lock.close()
            self._lock = None

    def listing(self) -> Iterator[pa.RecordBatch]:
        """Every file that is published, none if the folder is not there yet."""
        return LocalFolder(self.root).listing() if self.root.is_dir() else iter(())

    def read_into(self, entry: Entry, offset: int, view: memoryview) -> None:
        """Fill the view from a published file."""
        LocalFolder(self.root).read_into(entry, offset, view)

    @property
    def stager(self) -> LocalStage:
        """What a worker needs to stage files here."""
        return LocalStage(self.beside / "staged")

    def commit(self, staged: Mapping[str, str], delete: Iterable[str]) -> None:
        """Rename staged files into place, in the mapping's order, then delete.

        A reader that looks in between may see some files new and some old; a Hub has one instant, a folder has not.

        Raises:
            DestinationError: a file cannot be renamed or deleted.
        """
        try:
            for source, path in staged.items():
                target = self.root / path
                target.parent.mkdir(parents=True, exist_ok=True)
                os.replace(self.stager.root / source, target)
            for path in delete:
                (self.root / path).unlink(missing_ok=True)
                _prune((self.root / path).parent, self.root)
        except OSError as error:
            raise DestinationError(
                f"{error.filename}: {error.strerror}",
                hint="mend that and run the same command again",
                path=error.filename,
            ) from error


@dataclass(frozen=True)
class LocalStage:
    """A folder of staged files. Picklable: workers write into it at the same time, each its own files."""

    root: Path

    @contextmanager
    def stage(self, path: str) -> Iterator[_Whole]:
        """Write a staged file; it has its name only when it is complete.

        Raises:
            DestinationError: the disk is full or does not take the file.
        """
        target = self.root / path
        half = target.with_name(target.name + ".part")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with open(half, "wb", buffering=0) as file:
                yield _Whole(file)
            os.replace(half, target)
        except OSError as error:
            raise DestinationError(
                f"{error.filename or target}: {error.strerror}", hint="make room there and run the same command again"
            ) from error
        finally:
            half.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class _Whole:
    """An unbuffered file whose write takes everything: the operating system may take less in one call."""

    file: Any

    def write(self, data: bytes | bytearray | memoryview) -> None:
        count = self.file.write(data)
        while count < len(data):
            data = memoryview(data)[count:]
            count = self.file.write(data)


def _walk(
    folder: str, prefix: str, exclude: set[str], above: tuple[str, ...]
) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Files in the order of their path's bytes: a folder sorts as its name with a slash."""
    try:
        with os.scandir(folder) as found:
            entries = [(one.name.encode("utf-8", "surrogateescape") + b"/" * one.is_dir(), one) for one in found]
    except OSError as error:
        raise SourceError(
            f"{folder} cannot be listed: {error.strerror}", hint="give yourself the right to read it", path=folder
        ) from error
    for name, entry in sorted(entries, key=lambda one: one[0]):
        if not name.endswith(b"/"):
            if entry.is_file():
                yield prefix + _text(entry), entry
        elif entry.name not in PASSED_OVER:
            real = os.path.realpath(entry.path) if entry.is_symlink() or exclude else entry.path
            if entry.is_symlink() and (not _inside(real, above[0]) or real in above):
                continue
            if real not in exclude:
                yield from _walk(entry.path, f"{prefix}{_text(entry)}/", exclude, (*above, real))


def _text(entry: os.DirEntry[str]) -> str:
    try:
        entry.name.encode()
    except UnicodeEncodeError:
        raise SourceError(
            f"{os.fsencode(entry.path)!r}: the name is not UTF-8", hint="rename the file", path=repr(entry.path)
        ) from None
    return entry.name


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


def _prune(folder: Path, root: Path) -> None:
    """Remove folders that deletions left empty."""
    while folder != root and folder.is_relative_to(root):
        try:
            folder.rmdir()
        except OSError:
            return
        folder = folder.parent
