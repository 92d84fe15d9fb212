"""Staging the files that go with the shards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sealift.formats.measured import Mark, Measured, ReadBack
from sealift.formats.ranged import SLICE
from sealift.model.manifest import PublishedFile
from sealift.ports import Destination, Sink, Staged


class Stage:
    """Stages the files that go with the shards, and keeps them for the commit by their paths."""

    def __init__(self, destination: Destination) -> None:
        self._stager = destination.stager
        self.files: dict[str, Staged] = {}

    def file(self, path: str, role: str, write: Callable[[Sink], object]) -> PublishedFile:
        """Stage the file that `write` gives, twice if it is asked to, and read some of it back."""
        sha256, marks = "", list[Mark]()

        def measured_write(sink: Sink) -> None:
            nonlocal sha256, marks
            with Measured(sink) as measured:
                write(measured)
            sha256, marks = measured.digest.hexdigest(), measured.marks()

        staged = self._stager.stage(path, measured_write, hold=True)
        ReadBack(self._stager, staged).check(marks)
        self.files[path] = staged
        return PublishedFile(path, role, staged.size, sha256, xet_hash=staged.xet_hash)

    def bytes(self, path: str, role: str, data: bytes) -> PublishedFile:
        """Stage a file of these bytes."""
        return self.file(path, role, lambda sink: sink.write(data))

    def copy(self, path: str, role: str, file: Path) -> PublishedFile:
        """Stage a file with the bytes of another on this machine."""

        def write(sink: Sink) -> None:
            with open(file, "rb") as data:
                while piece := data.read(SLICE):
                    sink.write(piece)

        return self.file(path, role, write)
