"""Staging the files that go with the shards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sealift.formats.measured import Measured
from sealift.formats.ranged import SLICE
from sealift.model.manifest import PublishedFile
from sealift.ports import Destination


class Stage:
    """Stages the files that go with the shards, and knows their sizes and digests."""

    def __init__(self, destination: Destination) -> None:
        self._stager = destination.stager
        self.sizes: dict[str, int] = {}

    @contextmanager
    def file(self, path: str) -> Iterator[Measured]:
        """Write one file."""
        with self._stager.stage(path) as sink, Measured(sink) as measured:
            yield measured
        self.sizes[path] = measured.size

    def write(self, path: str, data: bytes) -> Measured:
        """Write a file of these bytes."""
        with self.file(path) as sink:
            sink.write(data)
        return sink

    def text(self, text: str, path: str, role: str) -> PublishedFile:
        """Write a file of this text."""
        sink = self.write(path, text.encode())
        return PublishedFile(path, role, sink.size, sink.digest.hexdigest())

    def copy(self, file: Path, path: str, role: str) -> PublishedFile:
        """Write a file with the bytes of another on this machine."""
        with self.file(path) as sink, open(file, "rb") as data:
            while piece := data.read(SLICE):
                sink.write(piece)
        return PublishedFile(path, role, sink.size, sink.digest.hexdigest())
