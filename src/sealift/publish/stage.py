"""Staging the files that go with the shards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sealift.formats.measured import Mark, Measured, ReadBack
from sealift.formats.ranged import SLICE
from sealift.model.manifest import PublishedFile
from sealift.ports import Sink, Staged, Stages


class Stage:
    """Stages the files that go with the shards, and keeps them for the commit by their paths."""

    def __init__(self, stager: Stages) -> None:
        self._stager = stager
        self._published: dict[str, PublishedFile] = {}
        self.files: dict[str, Staged] = {}

    def once(self, path: str, role: str, write: Callable[[Sink], object]) -> PublishedFile:
        """Stage the file that `write` gives, if it is not staged already: a commit may be tried again."""
        if path not in self._published:
            self._published[path] = self.file(path, role, write)
        return self._published[path]

    def file(self, path: str, role: str, write: Callable[[Sink], object]) -> PublishedFile:
        """Stage the file that `write` gives, as often as it is asked to, and read some of it back."""
        sha256: str | None = None
        marks = list[Mark]()

        def measured_write(sink: Sink) -> None:
            nonlocal sha256, marks
            measured = Measured(sink, digests=not self._stager.digests)
            write(measured)
            sha256, marks = measured.sha256, measured.marks()

        staged = self._stager.stage(path, measured_write, hold=True)
        ReadBack(self._stager, staged).check(marks)
        self.files[path] = staged
        return PublishedFile(path, role, staged.size, sha256 or staged.sha256 or "", xet_hash=staged.xet_hash)

    def bytes(self, path: str, role: str, data: bytes) -> PublishedFile:
        """Stage a file of these bytes, in the place of one that may be staged under that path."""
        return self.file(path, role, lambda sink: sink.write(data))


def copy_file(file: Path, sink: Sink) -> None:
    """Write the bytes of a file on this machine."""
    with open(file, "rb") as data:
        while piece := data.read(SLICE):
            sink.write(piece)
