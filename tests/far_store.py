"""A folder that behaves as a Hub does: it knows its large files' digests, and each read is a request that can fail."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from threading import Lock

import pyarrow as pa

from sealift.errors import SealiftError
from sealift.model.entry import Entry
from sealift.stores.local import LocalFolder
from sealift.verify import Level, Verified, verify
from sealift.verify.ahead import Reach
from sealift.verify.published import Published

SHORT = Reach(piece=700, gap=16, at_once=2)
"""So short that the files of a test are read in many pieces."""


@dataclass(frozen=True)
class Fact:
    """What is known of a file."""

    sha256: str | None
    xet_hash: str | None


@dataclass
class FarFolder:
    """A folder from afar, where Parquet files are large. `xet` has hashes by path, `broken` what reading raises."""

    root: Path
    xet: Mapping[str, str] = field(default_factory=dict)
    broken: Mapping[str, SealiftError] = field(default_factory=dict)
    delay_s: float = 0
    reads: list[tuple[str, int, int]] = field(default_factory=list)
    at_once: int = 0
    _running: int = 0
    _lock: Lock = field(default_factory=Lock)

    @property
    def facts(self) -> Mapping[str, Fact]:
        """The digests of the files as they are."""
        paths = [path.relative_to(self.root).as_posix() for path in self.root.rglob("*") if path.is_file()]
        return {path: Fact(self._sha256(path), self.xet.get(path)) for path in paths}

    def _sha256(self, path: str) -> str | None:
        large = path.endswith(".parquet")
        return sha256((self.root / path).read_bytes()).hexdigest() if large else None

    def listing(self) -> Iterator[pa.RecordBatch]:
        """The files."""
        return LocalFolder(self.root).listing()

    def read_into(self, entry: Entry, offset: int, view: memoryview) -> None:
        """Read a range, and note it."""
        with self._lock:
            self.reads.append((entry.path, offset, offset + len(view)))
            self._running += 1
            self.at_once = max(self.at_once, self._running)
        time.sleep(self.delay_s)
        if entry.path in self.broken:
            raise self.broken[entry.path]
        LocalFolder(self.root).read_into(entry, offset, view)
        with self._lock:
            self._running -= 1

    def verify(self, work: Path, level: Level = "full", how: Reach | None = None) -> Verified:
        """Prove it, with a folder for what that takes."""
        work.mkdir(exist_ok=True)
        return verify(Published(self, how), work, level)

    def read_twice(self) -> set[str]:
        """The Parquet files of which a byte was read more than once."""
        ranges = defaultdict(list)
        for path, start, end in self.reads:
            ranges[path].append((start, end))
        return {
            path
            for path, found in ranges.items()
            if path.endswith(".parquet")
            and any(one[1] > other[0] for one, other in zip(sorted(found), sorted(found)[1:], strict=False))
        }
