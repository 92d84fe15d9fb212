"""A published dataset under examination: its files, what is known to be damaged, and what reading it took."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Protocol

from sealift.errors import IntegrityError
from sealift.formats.ranged import RangedFile, whole
from sealift.model import manifest
from sealift.model.entry import Entry
from sealift.model.manifest import Manifest, read_manifest
from sealift.ports import Lists, Reads


class Store(Reads, Lists, Protocol):
    """A place whose files can be listed and read."""


@dataclass
class Published:
    """The files of a publication. Reads are counted; a file in `damaged` is not looked into."""

    store: Store
    sizes: dict[str, int] = field(default_factory=dict)
    damaged: set[str] = field(default_factory=set)
    checked: Counter[str] = field(default_factory=Counter)
    bytes_read: int = 0

    def open_manifest(self) -> Manifest:
        """List the files and read the manifest.

        Raises:
            IntegrityError: there is none, or it is damaged.
        """
        for batch in self.store.listing():
            self.sizes.update(zip(batch.column("path").to_pylist(), batch.column("size").to_pylist(), strict=True))
        if manifest.PATH not in self.sizes:
            raise IntegrityError(
                "there is no manifest, so nothing can be proven", hint="publish with sealift, or check the folder"
            )
        return read_manifest(whole(self, Entry(manifest.PATH, self.sizes[manifest.PATH])))

    def read_into(self, entry: Entry, offset: int, view: memoryview) -> None:
        """Fill the view from a file, and count it."""
        self.store.read_into(entry, offset, view)
        self.bytes_read += len(view)

    def usable(self, path: str) -> bool:
        """Whether the file is there and not known to be damaged."""
        return path in self.sizes and path not in self.damaged

    def entry(self, path: str) -> Entry:
        """The file as it lies there."""
        return Entry(path, self.sizes[path])

    def file(self, path: str) -> RangedFile:
        """The file, to be read by range."""
        return RangedFile(self, self.entry(path))
