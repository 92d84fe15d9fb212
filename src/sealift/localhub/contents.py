"""Large files on disk, by SHA-256: what is equal is there once, and what is there is whole."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

PIECE = 1_000_000
"""Bytes that are in memory for each file that is read or written."""
_ABANDONED = 24 * 3600
"""Seconds after which the parts of an upload that nobody completed are deleted."""


class Contents:
    """The folder of large files: written aside, synced, then renamed to the name of what they hold."""

    def __init__(self, root: Path) -> None:
        self._kept = root / "contents"
        self.half = root / "half"
        self._parts = root / "parts"
        self._lock = threading.Lock()
        self.received = 0
        self.new = 0

    def open(self) -> None:
        """Make the folders; delete what a killed process left half-written."""
        shutil.rmtree(self.half, ignore_errors=True)
        for folder in (self._kept, self.half, self._parts):
            folder.mkdir(exist_ok=True)
        for upload in self._parts.iterdir():
            if upload.stat().st_mtime < time.time() - _ABANDONED:
                shutil.rmtree(upload, ignore_errors=True)

    def size(self, sha256: str) -> int | None:
        """The size of that content; None if it is not here."""
        try:
            return self._path(sha256).stat().st_size
        except FileNotFoundError:
            return None

    def read(self, sha256: str, start: int, end: int) -> Iterator[bytes]:
        """The bytes of that range, in pieces."""
        with open(self._path(sha256), "rb", buffering=0) as file:
            file.seek(start)
            while start < end:
                piece = file.read(min(PIECE, end - start))
                if not piece:
                    raise OSError(f"{file.name} is shorter than it was")
                start += len(piece)
                yield piece

    @contextmanager
    def incoming(self) -> Iterator[Incoming]:
        """Content that is being written; it is gone after the block unless it was kept."""
        half = self.half / secrets.token_hex(16)
        with open(half, "xb", buffering=0) as file:
            try:
                yield Incoming(file)
            finally:
                half.unlink(missing_ok=True)

    def keep(self, written: Incoming) -> None:
        """Give it its name, for good."""
        written.sync()
        target = self._path(written.sha256)
        with self._lock:
            known = target.exists()
            self.received += written.size
            self.new += 0 if known else written.size
            if known:
                # It is not to be collected as if nobody had sent it just now.
                os.utime(target)
            else:
                target.parent.mkdir(exist_ok=True)
                os.replace(written.file.name, target)
        if not known:
            _sync_folder(target.parent)

    def keep_part(self, upload: str, number: int, written: Incoming) -> None:
        """Keep one part of a large upload, named by its number and digest."""
        written.sync()
        folder = self._parts / upload
        folder.mkdir(exist_ok=True)
        os.replace(written.file.name, folder / f"{number}-{written.sha256}")

    def part(self, upload: str, number: int, etag: str) -> Path | None:
        """Where that part lies, if it is here with that digest."""
        path = self._parts / upload / f"{number}-{etag}"
        return path if path.exists() else None

    def drop_parts(self, upload: str) -> None:
        """Forget an upload's parts."""
        shutil.rmtree(self._parts / upload, ignore_errors=True)

    def collect(self, named: Container[str], before: float) -> dict[str, int]:
        """Drop content that is not named and came before that time (unix seconds); SHA-256 and size of what went."""
        gone = {}
        with self._lock:
            for path in list(self._kept.glob("*/*")):
                told = path.stat()
                if path.name not in named and told.st_mtime <= before:
                    path.unlink()
                    gone[path.name] = told.st_size
        return gone

    def spoil(self, sha256: str, bits: Callable[[int], list[int]]) -> None:
        """Turn bits of content, if it is here: those that are chosen for its size."""
        with self._lock, suppress(FileNotFoundError), open(self._path(sha256), "r+b", buffering=0) as file:
            for bit in bits(os.fstat(file.fileno()).st_size):
                [byte] = os.pread(file.fileno(), 1, bit // 8)
                os.pwrite(file.fileno(), bytes([byte ^ 1 << bit % 8]), bit // 8)

    def count(self, received: int, new: int) -> None:
        """Count content that was kept elsewhere: small files lie in the database."""
        with self._lock:
            self.received += received
            self.new += new

    def _path(self, sha256: str) -> Path:
        return self._kept / sha256[:2] / sha256


@dataclass
class Incoming:
    """A file that grows, and what is known of it so far."""

    file: IO[bytes]
    size: int = 0
    _digest: hashlib._Hash = field(default_factory=hashlib.sha256, repr=False)

    def write(self, data: bytes) -> None:
        """Append all of it."""
        self._digest.update(data)
        self.size += len(data)
        left = memoryview(data)
        while left:
            left = left[self.file.write(left) :]

    @property
    def sha256(self) -> str:
        """Of what is written so far."""
        return self._digest.hexdigest()

    def sync(self) -> None:
        """Have it on the disk."""
        os.fsync(self.file.fileno())


def _sync_folder(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def disk_bytes(folder: Path) -> int:
    """Bytes of all files below a folder; files that vanish meanwhile do not count."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.stat(os.path.join(place, name)).st_size
            except FileNotFoundError:
                continue
    return total
