"""Staging the files that go with the shards."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from sealift.errors import DestinationBusy
from sealift.formats.measured import Mark, Measured, ReadBack
from sealift.formats.ranged import SLICE
from sealift.journal import Journal
from sealift.model.manifest import PublishedFile
from sealift.ports import Sink, Staged, Stages

TRIES = 3


class Stage:
    """Stages the files that go with the shards, and keeps them for the commit by their paths."""

    def __init__(self, stager: Stages, journal: Journal) -> None:
        self._stager = stager
        self._journal = journal
        self._published: dict[str, PublishedFile] = {}
        self.files: dict[str, Staged] = {}

    def once(self, path: str, role: str, write: Callable[[Sink], object], identity: str | None = None) -> PublishedFile:
        """Stage the file that `write` gives, if it is not staged already: a commit may be tried again.

        With an `identity`, which says what the file is made of, one that an earlier run has staged counts, too.
        """
        if path in self._published:
            return self._published[path]
        if identity is None:
            self._published[path] = self.file(path, role, write)
        elif (kept := self._journal.beside(path, identity)) is not None:
            self._published[path], self.files[path] = kept
        else:
            self._journal.again([path])  # what was staged there is written over
            self._published[path] = self.file(path, role, write)
            self._journal.keep_beside(identity, self._published[path], self.files[path])
        return self._published[path]

    def has(self, path: str, identity: str | None) -> bool:
        """Whether `once` has nothing to do."""
        return path in self._published or (identity is not None and self._journal.beside(path, identity) is not None)

    def again(self, stager: Stages, paths: Iterable[str]) -> None:
        """Those files are staged anew when they are asked for, by that stager, which all use from now on."""
        self._stager = stager
        for path in paths:
            self._published.pop(path, None)
            self.files.pop(path, None)

    def file(self, path: str, role: str, write: Callable[[Sink], object]) -> PublishedFile:
        """Stage the file that `write` gives, as often as it is asked to, and read some of it back.

        A destination that is busy is asked again at once, `TRIES` times in all: it has waited already. If it says when
        to come again, that was too long to be waited for, and the run ends.
        """
        for _ in range(TRIES - 1):
            try:
                return self._tried(path, role, write)
            except DestinationBusy as error:
                if error.fields.get("retry_after_s") is not None:
                    raise
        return self._tried(path, role, write)

    def _tried(self, path: str, role: str, write: Callable[[Sink], object]) -> PublishedFile:
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
