"""A published dataset under examination: its files, what is known to be damaged, and what reading it took."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Protocol

import pyarrow as pa

from sealift.errors import IntegrityError, SealiftError
from sealift.formats.ranged import RangedFile, whole
from sealift.model import manifest
from sealift.model.entry import Entry
from sealift.model.manifest import Manifest, PublishedSplit, read_manifest
from sealift.model.receipt import Receipt
from sealift.ports import Lists, Reads

MANIFEST_BYTES = 1 << 30
UNREADABLE = (SealiftError, pa.ArrowException, OSError, ValueError)
"""What reading a damaged Parquet file raises: our errors, Arrow's, and those of Python for text that is none."""


class Store(Reads, Lists, Protocol):
    """A place whose files can be listed and read."""


@dataclass
class Published:
    """The files of a publication. Reads are counted; a file in `damaged` is not looked into.

    Only files of the listing are read: what a manifest names beyond them is missing, wherever it points.
    """

    store: Store
    sizes: dict[str, int] = field(default_factory=dict)
    unreadable: set[str] = field(default_factory=set)
    damaged: set[str] = field(default_factory=set)
    checked: Counter[str] = field(default_factory=Counter)
    bytes_read: int = 0

    def open_manifest(self) -> Manifest | None:
        """List the files and read the manifest; None if there is none.

        Raises:
            IntegrityError: it is damaged.
            SourceError: the folder or the manifest cannot be read.
        """
        for batch in self.store.listing():
            paths, sizes, readable = (batch.column(name).to_pylist() for name in ("path", "size", "readable"))
            self.sizes.update(zip(paths, sizes, strict=True))
            self.unreadable.update(path for path, can in zip(paths, readable, strict=True) if not can)
        if manifest.PATH not in self.sizes:
            return None
        if manifest.PATH in self.unreadable or self.sizes[manifest.PATH] > MANIFEST_BYTES:
            raise IntegrityError(f"{manifest.PATH} cannot be read", path=manifest.PATH)
        return read_manifest(whole(self, self.entry(manifest.PATH)))

    def read_into(self, entry: Entry, offset: int, view: memoryview) -> None:
        """Fill the view from a file, and count it."""
        self.store.read_into(entry, offset, view)
        self.bytes_read += len(view)

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
    """The rows of a split: what its shards have together, or what the manifest says where one of them is damaged."""
    shards = shards_of(found, config, split.name)
    whole = published.damaged.isdisjoint(shard.path for shard in shards)
    return sum(shard.rows for shard in shards) if whole else split.rows


def said(error: Exception) -> str:
    """What went wrong, in one line."""
    return str(getattr(error, "message", error)).strip().partition("\n")[0] or type(error).__name__
