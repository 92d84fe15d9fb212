"""What is being staged: first in memory, then on disk as far as the budget goes, then handed on."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from sealift.errors import DestinationError
from sealift.ports import Sink

SLICE = 1 << 20
"""Bytes are handed on in pieces of this size."""

Bytes = bytes | bytearray | memoryview


@dataclass
class Spool:
    """A sink that keeps what it gets in `memory` bytes, then in a file of at most `disk` bytes in `folder`.

    A file that is larger goes on to `beyond`, from its first byte; without `beyond` its bytes are only counted. What
    lies on disk is gone when the spool is left. Use it with `with`.
    """

    folder: Path
    memory: int = 0
    disk: int = 0
    beyond: Callable[[], Sink] | None = None
    hashed: bool = False
    """Whether the SHA-256 of all bytes is taken on the way."""
    size: int = field(default=0, init=False)
    held: bytearray | None = field(default_factory=bytearray, init=False, repr=False)
    """The bytes, while they are in memory."""
    file: IO[bytes] | None = field(default=None, init=False, repr=False)
    """The file, while they are on disk."""
    _onward: Sink | None = field(default=None, init=False, repr=False)
    _sha256: hashlib._Hash = field(default_factory=hashlib.sha256, init=False, repr=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._drop_file()

    @property
    def sha256(self) -> str:
        """The SHA-256 of all bytes, if it is `hashed`."""
        return self._sha256.hexdigest()

    def write(self, data: Bytes) -> None:
        """Take all of the data.

        Raises:
            DestinationError: the disk does not take it.
        """
        size = self.size + len(data)
        if self.hashed:
            self._sha256.update(data)
        if self.held is not None and size > self.memory:
            self._leave_memory(size)
        elif self.file is not None and size > self.disk:
            self._leave_disk()
        if self.held is not None:
            self.held += data
        elif self.file is not None:
            self._to_file(data)
        elif self._onward is not None:
            self._onward.write(data)
        self.size = size

    def pieces(self) -> Iterator[bytes]:
        """What is kept, from the start, in pieces of at most `SLICE` bytes; as often as wanted."""
        if self.held is not None:
            for start in range(0, len(self.held), SLICE):
                yield bytes(self.held[start : start + SLICE])
        elif self.file is not None:
            yield from file_pieces(self.file, 0, self.size)

    def _leave_memory(self, size: int) -> None:
        kept, self.held = self.held, None
        assert kept is not None
        if size <= self.disk:
            self.file = self._made_file()
            self._to_file(kept)
        else:
            self._go_on()
            if self._onward is not None and kept:
                self._onward.write(kept)

    def _leave_disk(self) -> None:
        self._go_on()
        if self._onward is not None:
            for piece in self.pieces():
                self._onward.write(piece)
        self._drop_file()

    def _go_on(self) -> None:
        if self.beyond is not None:
            self._onward = self.beyond()

    def _made_file(self) -> IO[bytes]:
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            return tempfile.NamedTemporaryFile(dir=self.folder, buffering=0, delete=False)
        except OSError as error:
            raise self._refused(error) from error

    def _to_file(self, data: Bytes) -> None:
        assert self.file is not None
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self.file.write(rest) :]
        except OSError as error:
            raise self._refused(error) from error

    def _drop_file(self) -> None:
        if self.file is not None:
            self.file.close()
            os.unlink(self.file.name)
            self.file = None

    def _refused(self, error: OSError) -> DestinationError:
        return DestinationError(
            f"{self.folder}: {error.strerror or error}",
            hint="make room there, point TMPDIR elsewhere, or give --staging 0",
            path=str(self.folder),
        )


def file_pieces(file: IO[bytes], start: int, size: int) -> Iterator[bytes]:
    """`size` bytes of the file from `start` on, in pieces of at most `SLICE` bytes; the file's position stays."""
    for offset in range(start, start + size, SLICE):
        piece = os.pread(file.fileno(), min(SLICE, start + size - offset), offset)
        yield piece
