"""What every handler works with: settings, state on disk, counters; and large content, wherever it lies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from sealift.localhub.cas import Cas
from sealift.localhub.contents import Contents
from sealift.localhub.counts import Tally
from sealift.localhub.faults import Plan
from sealift.localhub.gate import Gate
from sealift.localhub.secrets import Secrets
from sealift.localhub.settings import Settings
from sealift.localhub.state import State


@dataclass(frozen=True, slots=True)
class Large:
    """Content that was uploaded apart: its SHA-256, its size, and its Xet hash if it came by Xet."""

    sha256: str
    size: int
    xet: str | None = None


@dataclass(frozen=True)
class Hub:
    """The parts of a running Hub. For use from any thread."""

    settings: Settings
    secrets: Secrets
    state: State
    contents: Contents
    cas: Cas
    tally: Tally
    plan: Plan
    gate: Gate
    """Whoever is about to name content is inside with others; whoever collects it, alone."""
    remembered: dict[str, int] = field(default_factory=dict)
    """Sizes of content that was collected, and that questions are answered about as if it were here."""

    def find_large(self, sha256: str) -> Large | None:
        """Content that is here, whole; the first time, content that came by Xet is read through to prove its hash."""
        if found := self.cas.find(sha256):
            return Large(sha256, found.size, found.hash)
        size = self.contents.size(sha256)
        return None if size is None else Large(sha256, size)

    def reader(self, large: Large) -> Callable[[int, int], Iterator[bytes]]:
        """Reads a range of that content in pieces: from its own file, or from the store of chunks."""
        xet = large.xet
        if xet is None or self.contents.size(large.sha256) is not None:
            return lambda start, end: self.contents.read(large.sha256, start, end)
        return lambda start, end: self.cas.read(xet, start, end)
