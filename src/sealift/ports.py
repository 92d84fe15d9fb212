"""One small Protocol per ability that has more than one real implementation."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

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

    def local_file(self, path: str) -> AbstractContextManager[str]:
        """The entry as a file on this machine, for libraries that want a path (DuckDB, pyarrow)."""
        ...


class Sink(Protocol):
    """Takes bytes in order."""

    def write(self, data: bytes | bytearray | memoryview, /) -> object:
        """Take all of the data; the buffer may be reused once this returns."""
        ...


class Stages(Protocol):
    """Takes files that nobody sees until they are committed. Picklable, so that a worker can take it along."""

    def stage(self, path: str) -> AbstractContextManager[Sink]:
        """Write a file; leaving with an error discards it."""
        ...


class Destination(Reads, Lists, Protocol):
    """Where a dataset is published: files are staged unseen, then committed together."""

    @property
    def stager(self) -> Stages:
        """What a worker needs to stage files here."""
        ...

    def commit(self, staged: Mapping[str, str], delete: Iterable[str]) -> None:
        """Make staged files visible under their final paths ({staged: final}), then delete what they replace."""
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
