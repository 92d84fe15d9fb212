"""What a rehearsal measured, and what follows from it for the real run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from sealift.model.problem import Problem
from sealift.tools.hubprocess import Counts
from sealift.tools.loading import Way

COMMITS_PER_HOUR = 128
"""So many commits to a repository the Hub has been seen to take in an hour; it documents no number."""
WINDOW_S = 300
"""The Hub counts requests in windows of five minutes."""


@dataclass(frozen=True, slots=True)
class Quota:
    """Requests that the Hub takes from one account in each window, to its API and to its files."""

    api: int
    resolvers: int


QUOTAS: Mapping[str, Quota] = {
    "free": Quota(1000, 5000),
    "pro": Quota(2500, 12_000),
    "team": Quota(3000, 20_000),
    "enterprise": Quota(6000, 50_000),
}
"""As the Hub documented them in September 2025, by the plan of the account or organization."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a rehearsal: seconds, and what the Hub was asked meanwhile."""

    name: str
    seconds: float
    counts: Counts


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """A config that came back as it was published: rows by split, and how many media files were compared."""

    config: str
    way: Way
    rows: Mapping[str, int]
    cells: int


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What was done here, which all held, and what follows for the real run.

    Sizes are bytes: `content` is that of all files, `packed` that of the media, taken in `packing_s` seconds. `loaded`
    is None where `datasets` is not installed, and loading was left out.
    """

    to: str
    revision: str
    files: int
    content: int
    packed: int
    packing_s: float
    steps: tuple[Step, ...]
    verified: Mapping[str, int]
    loaded: tuple[LoadedConfig, ...] | None
    problems: tuple[Problem, ...]

    @property
    def publishing(self) -> Step:
        """The step that the real run is."""
        return self.steps[0]

    @property
    def sent(self) -> int:
        """The bytes that went to the Hub while publishing."""
        return self.publishing.counts.bytes_in

    @property
    def deduplicated(self) -> int:
        """The bytes of content that the Hub had already from another file of the dataset."""
        return max(0, self.content - self.publishing.counts.new)

    @property
    def rate(self) -> float | None:
        """Bytes of media a second that were packed and uploaded here; None where nothing was packed."""
        return self.packed / self.packing_s if self.packed and self.packing_s else None

    def seconds(self, bandwidth: float) -> float:
        """How long publishing takes at least, over a line of so many bits a second."""
        return max(self.publishing.seconds, self.sent * 8 / bandwidth)

    def windows(self, quota: Quota) -> int:
        """How many windows of the quota publishing takes at least; 1 means that it never waits."""
        asked = self.publishing.counts
        return max(
            1, math.ceil(asked.against("api") / quota.api), math.ceil(asked.against("resolvers") / quota.resolvers)
        )
