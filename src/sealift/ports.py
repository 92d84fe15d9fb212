"""One small Protocol per ability that has more than one real implementation."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, Protocol, Self, TypeVar

import pyarrow as pa

from sealift.model.entry import Entry
from sealift.model.event import OnEvent

LISTING = pa.schema(
    [
        pa.field("path", pa.string(), nullable=False),
        pa.field("size", pa.int64(), nullable=False),
        pa.field("mtime", pa.timestamp("us", tz="UTC")),
        pa.field("version", pa.string()),
        pa.field("readable", pa.bool_(), nullable=False),
        pa.field("extension", pa.string(), nullable=False),
    ]
)
"""A listing's columns; `model.entry.LISTING_COLUMNS` says what they mean."""

Item = TypeVar("Item")
Result = TypeVar("Result")


class Reads(Protocol):
    """A place whose entries can be read by range. Picklable, so that a worker can take it along."""

    def read_into(self, entry: Entry, offset: int, view: memoryview) -> None:
        """Fill the whole view with the entry's bytes from `offset` on.

        Raises:
            SourceMissing: there is no such entry.
            SourceChanged: its size or version is not what the entry says.
        """
        ...


class Lists(Protocol):
    """A place that can say what lies in it."""

    def listing(self) -> Iterator[pa.RecordBatch]:
        """Every entry, in the order of its path's bytes, as batches of the schema `LISTING`."""
        ...


class Source(Reads, Lists, Protocol):
    """Where media and tables come from."""

    def read_all(self, entries: Sequence[Entry], views: Sequence[memoryview]) -> None:
        """Fill each view, of the entry's size, with the whole of its entry: many small ones cost less together.

        Raises:
            SourceMissing, SourceChanged: as `read_into`; the error's `path` is the entry's.
        """
        ...

    def local_file(self, path: str) -> AbstractContextManager[str]:
        """The entry as a file on this machine, for libraries that want a path (DuckDB, pyarrow)."""
        ...


class Sink(Protocol):
    """Takes bytes in order."""

    def write(self, data: bytes | bytearray | memoryview, /) -> object:
        """Take all of the data; the buffer may be reused once this returns."""
        ...


@dataclass(frozen=True, slots=True)
class Staged:
    """A file that is at the destination, and that nobody sees yet.

    `path` is the one it was staged under. `sha256` and `xet_hash` are as the destination itself took them from the
    bytes it got; None where it takes none. `data` are the bytes of a file so small that it travels with the commit.
    """

    path: str
    size: int
    sha256: str | None = None
    xet_hash: str | None = None
    data: bytes | None = field(default=None, repr=False)


class Stages(Protocol):
    """Takes files that nobody sees until they are committed. Picklable, so that a worker can take it along."""

    @property
    def digests(self) -> bool:
        """Whether it takes the SHA-256 of the bytes that it gets (`Staged.sha256`): then nobody else need do so."""
        ...

    def stage(self, path: str, write: Callable[[Sink], object], *, hold: bool = False) -> Staged:
        """Stage the file whose bytes `write` gives; the last one staged under a path counts.

        `write` may be called several times, by a destination that must know the file's digest before it takes its
        bytes, or that has to begin again; it gives the same bytes each time. What it raises comes out as it is, and
        the file is discarded. With `hold` a small file may stay in memory until the commit (`Staged.data`).

        Raises:
            DestinationError: the destination does not take the file.
        """
        ...

    def read_back(self, staged: Staged, offset: int, view: memoryview) -> None:
        """Fill the whole view with what the destination has of a staged file, from `offset` on.

        Raises:
            IntegrityError: it is not there, or not that long.
            DestinationError: the destination does not answer.
        """
        ...


class Destination(Reads, Lists, Protocol):
    """Where a dataset is published: files are staged unseen, then committed together. Use it with `with`."""

    def __enter__(self) -> Self:
        """Open it; nothing is made or changed there yet."""
        ...

    def __exit__(self, *error: object) -> None:
        """Leave it; what was staged and not committed is nobody's."""
        ...

    @property
    def name(self) -> str:
        """What people call it, and give to `sealift verify`: the folder's path, or `org/name`."""
        ...

    @property
    def url(self) -> str | None:
        """Its page, for people; None if it has none."""
        ...

    @property
    def revision(self) -> str | None:
        """The commit that is listed and read; None where there is no history, or nothing yet."""
        ...

    @property
    def here(self) -> tuple[Path, ...]:
        """The folders on this machine that are the destination's: never part of a source."""
        ...

    @property
    def work(self) -> Path:
        """A folder on this machine for what the run itself keeps; gone when the destination is left."""
        ...

    @property
    def stager(self) -> Stages:
        """What a worker needs to stage files here."""
        ...

    def refresh(self) -> None:
        """Look again: `revision`, listing and reads are those of the newest commit from now on."""
        ...

    def check_number(self, files: int) -> None:
        """See that so many files can be published there at once.

        Raises:
            RequestError: they cannot, with what to do.
        """
        ...

    def prepare(self) -> None:
        """Make the place, if it is not there yet, so that files can be staged. Repeating is safe.

        Raises:
            DestinationError: it cannot be made, or may not be written to.
        """
        ...

    def commit(self, files: Mapping[str, Staged], delete: Iterable[str], message: str) -> str | None:
        """Make staged files visible under their final paths ({final: staged}), and delete what they replace.

        Returns the new revision, which is what is listed and read from then on; None where there is no history.

        Raises:
            DestinationChanged: the destination is no longer at `revision`; nothing was changed.
            ContentMissing: content of staged files is not there any more; nothing was changed.
            DestinationError: it does not take the commit.
        """
        ...

    def landed(self, since: str | None) -> str | None:
        """The newest commit of this job that came after the revision `since`; None if there is none.

        Where there is no history it is the destination's name, if a commit was ended when it was opened.
        """
        ...

    def missing(self, files: Iterable[Staged]) -> list[str]:
        """The paths of the staged files that are not there any more, as far as the destination says."""
        ...

    def pin(self, files: Mapping[str, Staged]) -> str | None:
        """Keep staged files from being collected until they are committed; repeating is safe.

        Returns where they are kept, for people; None where nothing that is staged is ever collected.
        """
        ...

    def unpin(self) -> None:
        """What was kept by `pin` is not needed any more. Repeating is safe."""
        ...

    def mistrust(self) -> None:
        """What is remembered of earlier uploads counts no more: stagers from now on send every byte."""
        ...


@dataclass(frozen=True, slots=True)
class Outcome(Generic[Item, Result]):
    """What became of one item: a result, or the error that it met. Across workers a failure is a value."""

    item: Item
    result: Result | None = None
    error: BaseException | None = None


class Runner(Protocol):
    """Maps a function over items, here or elsewhere."""

    def map(
        self,
        function: Callable[[Item, OnEvent], Result],
        items: Iterable[Item],
        on_event: OnEvent,
    ) -> Generator[Outcome[Item, Result], None, None]:
        """Yield an outcome for every item, in the order they are done; at most `workers` run at once.

        `function` is a module-level function of picklable values; the events it sends arrive at `on_event`,
        in this process and thread. Closing the iterator stops the work.
        """
        ...
