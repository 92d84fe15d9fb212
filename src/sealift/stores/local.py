"""A folder on this machine as a source, out of which no path and no link leads, whatever happens to it meanwhile."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from sealift.errors import RequestError, SourceChanged, SourceError, SourceMissing
from sealift.model.entry import Entry
from sealift.model.path import leads_out
from sealift.stores.local_listing import inside, listing
from sealift.stores.local_opened import Opener


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
        yield from listing(str(self.root), {os.path.realpath(one) for one in self.exclude})

    def read_into(self, entry: Entry, offset: int, view: memoryview) -> None:
        """Fill the view from the file, which must still be the one that was listed.

        Raises:
            SourceMissing: it is gone, or may not be read.
            SourceChanged: its size or modification time differs, or it ended early.
        """
        with Opener(str(self.root)) as opener:
            _read(opener, entry, offset, view)

    def read_all(self, entries: Sequence[Entry], views: Sequence[memoryview]) -> None:
        """Fill each view with a whole file; see `read_into`.

        A file costs four system calls, and next to nothing besides: with small files this loop is the hottest there is.
        """
        with Opener(str(self.root)) as opener:
            for entry, view in zip(entries, views, strict=True):
                try:
                    file = opener.open(entry.path)
                    try:
                        count = os.readv(file, (view,))
                        state = os.fstat(file)
                    finally:
                        os.close(file)
                except OSError as error:
                    raise _gone(entry, error) from error
                if not count == state.st_size == entry.size or entry.version not in (None, str(state.st_mtime_ns)):
                    _read(opener, entry, 0, view)  # which knows what to say, or that the file came in parts

    @contextmanager
    def local_file(self, path: str) -> Iterator[str]:
        """The file itself.

        Raises:
            RequestError: the path leads out of the folder, by `..` or by a link.
            SourceMissing: there is no such file.
        """
        if leads_out(path):
            raise RequestError(f"{path!r} leads out of the source", hint="name files below `from:`", path=path)
        file = self.root / path
        if not file.is_file():
            raise SourceMissing(f"{path} is not in {self.root}", hint="check the path below `from:`", path=path)
        if not inside(os.path.realpath(file), os.path.realpath(self.root)):
            raise RequestError(
                f"{path} is a link that leads out of the source",
                hint="copy the file there, or name a folder in `from:` that holds both",
                path=path,
            )
        yield str(file)


def _read(opener: Opener, entry: Entry, offset: int, view: memoryview) -> None:
    try:
        file = opener.open(entry.path)
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


def _fill(file: int, offset: int, view: memoryview) -> bool:
    """Whether the file had enough bytes to fill the view."""
    while view:
        count = os.preadv(file, [view], offset)
        if not count:
            return False
        view, offset = view[count:], offset + count
    return True


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
