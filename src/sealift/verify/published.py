"""A published dataset under examination: its files, what is known to be damaged, and what reading it took."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Protocol, runtime_checkable

import pyarrow as pa

from sealift.errors import DestinationError, IntegrityError, SealiftError, SourceError
from sealift.formats.ranged import RangedFile, whole
from sealift.model import manifest
from sealift.model.entry import Entry
from sealift.model.manifest import Manifest, PublishedSplit, read_manifest
from sealift.model.problem import Problem
from sealift.model.receipt import Receipt
from sealift.ports import Lists, Reads
from sealift.verify.ahead import FAR, NEAR, Reach
from sealift.verify.codes import problem

MANIFEST_BYTES = 128 << 20
"""A manifest has some 600 bytes a shard; a Hub advises no more than 100,000 files."""
TAIL_BYTES = 32 << 20
UNREADABLE = (SealiftError, pa.ArrowException, OSError, ValueError)
"""What reading a damaged Parquet file raises: our errors, Arrow's, and those of Python for text that is none."""
OUT_OF_REACH = (SourceError, DestinationError)
"""What a store raises that does not give a file's bytes: nothing is known of them."""


class Store(Reads, Lists, Protocol):
    """A place whose files can be listed and read, from several threads at once."""


class Told(Protocol):
    """What a store says of a file without its being read; None where it does not know."""

    @property
    def sha256(self) -> str | None:
        """The SHA-256 of the bytes, in hexadecimal."""
        ...

    @property
    def xet_hash(self) -> str | None:
        """The hash under which Xet has them, in hexadecimal."""
        ...


@runtime_checkable
class Knows(Protocol):
    """A store that knows its files' digests. It is far away: every read is a request."""

    @property
    def facts(self) -> Mapping[str, Told]:
        """What it knows of each file that it lists."""
        ...


@dataclass
class Published:
    """The files of a publication. Reads are counted, whatever thread they come from; a file in `damaged` is not
    looked into, and of one that lies `elsewhere`, which is another part's, no media are read.

    Only files of the listing are read: what a manifest names beyond them is missing, wherever it points. `how` its
    files are read, `verify` finds out if nobody says it. `heads` and `tails` are first bytes and footers of files that
    were opened, the latter up to 32 MiB altogether.
    """

    store: Store
    how: Reach | None = None
    sizes: dict[str, int] = field(default_factory=dict)
    facts: Mapping[str, Told] | None = None
    heads: dict[str, bytes] = field(default_factory=dict)
    tails: dict[str, bytes] = field(default_factory=dict)
    unreadable: set[str] = field(default_factory=set)
    damaged: set[str] = field(default_factory=set)
    elsewhere: frozenset[str] = frozenset()
    checked: Counter[str] = field(default_factory=Counter)
    bytes_read: int = 0
    requests: int = 0
    _remembered: int = 0
    _counting: Lock = field(default_factory=Lock, repr=False)

    def open_manifest(self) -> Manifest | None:
        """List the files and read the manifest; None if there is none.

        Raises:
            IntegrityError: it is damaged.
            SourceError, DestinationError: the place or the manifest cannot be read.
        """
        data = self.manifest_bytes()
        return None if data is None else read_manifest(data)

    def manifest_bytes(self) -> bytes | None:
        """List the files, and the bytes of the manifest; None if there is none.

        Raises:
            IntegrityError: it may not be read, or is larger than any.
            SourceError, DestinationError: the place or the manifest cannot be read.
        """
        for batch in self.store.listing():
            paths, sizes, readable = (batch.column(name).to_pylist() for name in ("path", "size", "readable"))
            self.sizes.update(zip(paths, sizes, strict=True))
            self.unreadable.update(path for path, can in zip(paths, readable, strict=True) if not can)
        if isinstance(self.store, Knows):
            self.facts = self.store.facts
        if manifest.PATH not in self.sizes:
            return None
        if manifest.PATH in self.unreadable or self.sizes[manifest.PATH] > MANIFEST_BYTES:
            raise IntegrityError(f"{manifest.PATH} cannot be read", path=manifest.PATH)
        return whole(self, self.entry(manifest.PATH))

    @property
    def reach(self) -> Reach:
        """How its files are best read."""
        return self.how or (NEAR if self.facts is None else FAR)

    def told(self, path: str) -> Told | None:
        """What the store says of the file, if it says its SHA-256: then its bytes need not be read for that."""
        found = None if self.facts is None else self.facts.get(path)
        return found if found is not None and found.sha256 is not None else None

    def read_into(self, entry: Entry, offset: int, view: memoryview) -> None:
        """Fill the view from a file, and count it."""
        with self._counting:
            self.requests += 1
        self.store.read_into(entry, offset, view)
        with self._counting:
            self.bytes_read += len(view)

    def remember(self, path: str, tail: bytes) -> None:
        """Keep a file's tail for who opens it again, if there is room."""
        with self._counting:
            if path not in self.tails and self._remembered + len(tail) <= TAIL_BYTES:
                self._remembered += len(tail)
                self.tails[path] = tail

    def usable(self, path: str) -> bool:
        """Whether the file is there and not known to be damaged."""
        return path in self.sizes and path not in self.damaged and path not in self.unreadable

    def entry(self, path: str) -> Entry:
        """The file as it lies there."""
        return Entry(path, self.sizes[path])

    def file(self, path: str) -> RangedFile:
        """The file, to be read by range."""
        return RangedFile(self, self.entry(path))


def shards_of(found: Manifest, config: str, split: str | None = None) -> list[Receipt]:
    """The shards of a config, or of one split of it, in the order of the manifest."""
    return [one for one in found.shards if one.config == config and split in (None, one.split)]


def rows_of(published: Published, found: Manifest, config: str, split: PublishedSplit) -> int:
    """The rows of a split: what its shards have together, or what the manifest says where one of them is not usable."""
    shards = shards_of(found, config, split.name)
    lost = published.damaged | published.unreadable
    return split.rows if any(shard.path in lost for shard in shards) else sum(shard.rows for shard in shards)


def read_problem(code: str, what: str, published: Published, path: str, error: Exception) -> Problem:
    """What is wrong with a file that was to be read: it cannot be had, or else it is damaged, which is `code`.

    In both cases it is not looked into again.
    """
    if isinstance(error, OUT_OF_REACH):
        published.unreadable.add(path)
        return problem("file-unreadable", said(error), path)
    published.damaged.add(path)
    return problem(code, what + said(error), path)


def said(error: Exception) -> str:
    """What went wrong, in one line."""
    return str(getattr(error, "message", error)).strip().partition("\n")[0] or type(error).__name__
