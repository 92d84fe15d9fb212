"""A local Hub with Xet or without, and repositories on it, for the tests of its store."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi
from tests.hubs import Hub

from sealift.formats.ranged import whole
from sealift.model.entry import Entry
from sealift.ports import Sink
from sealift.stores.hub import HubDestination, HubFiles, Place

SOON = (0.05, 0.05, 0.1, 0.1, 0.2)
"""Seconds between tries, where a test makes them fail."""


def writing(*pieces: bytes) -> Callable[[Sink], None]:
    """What writes these pieces, as often as it is asked to."""

    def write(sink: Sink) -> None:
        for piece in pieces:
            sink.write(piece)

    return write


class Written:
    """A file of its own content, written in slices; notes how often, and the most that lay in a folder meanwhile."""

    def __init__(self, size: int, folder: Path, *, seed: int | None = None) -> None:
        self.size, self.folder = size, folder
        # A Hub that has the content already would not want it.
        self.seed = random.randrange(1 << 60) if seed is None else seed
        self.times, self.peak = 0, 0

    def __call__(self, sink: Sink) -> None:
        self.times += 1
        chance = random.Random(self.seed)
        for start in range(0, self.size, 300_000):
            sink.write(chance.randbytes(min(300_000, self.size - start)))
            self.peak = max(self.peak, sum(file.stat().st_size for file in self.folder.rglob("*") if file.is_file()))

    @property
    def data(self) -> bytes:
        chance = random.Random(self.seed)
        return b"".join(chance.randbytes(min(300_000, self.size - start)) for start in range(0, self.size, 300_000))


@dataclass
class Repository:
    """A repository that is not there yet, seen by us and by the official client."""

    hub: Hub
    revision: str | None = None
    name: str = ""
    api: HfApi = field(init=False)

    def __post_init__(self) -> None:
        self.name = self.name or self.hub.name()
        self.api = HfApi(endpoint=self.hub.endpoint, token=self.hub.token)

    @property
    def place(self) -> Place:
        return Place.parse(self.name if self.revision is None else f"{self.name}@{self.revision}", self.hub.endpoint)

    def at(self, revision: str) -> Repository:
        """The same repository at a revision."""
        return Repository(self.hub, revision, self.name)

    def opened(self, **options: Any) -> HubDestination:
        return HubDestination(self.place, options.pop("token", self.hub.token), waits=SOON, **options)

    @contextmanager
    def prepared(self, **options: Any) -> Iterator[HubDestination]:
        """The destination, once it is ready to stage."""
        with self.opened(**options) as destination:
            destination.prepare()
            yield destination

    def put(self, files: Mapping[str, bytes], delete: Sequence[str] = (), **options: Any) -> str:
        """Publish small files, which are held, in one commit."""
        with self.prepared(**options) as destination:
            staged = {path: destination.stager.stage(path, writing(data), hold=True) for path, data in files.items()}
            revision = destination.commit(staged, delete, f"put {len(files)} files")
        assert revision is not None
        return revision

    def contents(self) -> dict[str, bytes]:
        """Every file but the Hub's own, as a reader gets it."""
        files = HubFiles.at(self.place, self.hub.token)
        found = {path: facts.size for path, facts in files.facts.items() if path != ".gitattributes"}
        return {path: whole(files, Entry(path, size)) for path, size in found.items()}

    def titles(self) -> list[str]:
        """The commits of the revision, the oldest first."""
        found = self.api.list_repo_commits(self.name, repo_type="dataset", revision=self.revision)
        return [one.title for one in found][::-1]

    def asked(self, kind: str) -> int:
        """How many requests of that kind the Hub has had."""
        return int(self.hub.counts()["requests"].get(kind, 0))
