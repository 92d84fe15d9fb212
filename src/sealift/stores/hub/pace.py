"""Keeping clear of a Hub's quotas: what it says of them with every answer, and how long to wait before a call."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx2
from huggingface_hub.utils import parse_ratelimit_headers

from sealift.stores.hub.answers import TURNED_AWAY

API = "api"
"""The quota that calls to the API count against, as the Hub names it."""
RESOLVERS = "resolvers"
"""The same for the addresses of files."""
WINDOW = 900.0
"""Seconds. A longer one is not waited for before the Hub itself says so (`wire.PATIENCE`); a Hub's has 300."""
TIGHT = 10
"""A quota is used freely until a tenth of it is left."""
SPARE = 5
"""A fifth of that tenth is left to others with the same token."""
UNSAID = 500
"""What a quota is taken for whose size is not said."""
ENOUGH = 20
"""So many commits within an hour tell that it was their number that was too much."""
HOUR = 3_600.0


@dataclass(frozen=True, slots=True)
class Quota:
    """What was left of a quota when the Hub last said so; `until` is when it is full again, by the same clock as `now`.

    It is used freely as long as more than a tenth of it is left. After that, what is left is spread over the time that
    is left. As every answer says anew how much that is, several processes with one token slow down together, each by
    the calls of all, and a fiftieth is never used.
    """

    left: int
    until: float
    limit: int | None = None

    def pause(self, now: float) -> float:
        """Seconds to wait before the next call."""
        rest = self.until - now
        tight = (self.limit if self.limit is not None else UNSAID) // TIGHT
        if rest <= 0 or rest > WINDOW or self.left > tight:
            return 0.0
        usable = self.left - tight // SPARE
        return rest / usable if usable > 0 else rest


@dataclass(frozen=True, slots=True)
class Commits:
    """The commits to one repository within the last hour, and the seconds that are to lie between two.

    A Hub has a number for them that it does not say. Once it has turned one away after many, they are spread out.
    """

    made: tuple[float, ...] = ()
    gap: float = 0.0

    def one_more(self, now: float) -> Commits:
        """After a commit was made."""
        return Commits((*self._recent(now), now), self.gap)

    def turned_away(self, now: float) -> Commits:
        """After the Hub would not take one more: learnt from, if so many were made that it can be their number."""
        recent = self._recent(now)
        return Commits(recent, max(self.gap, HOUR / len(recent)) if len(recent) >= ENOUGH else self.gap)

    def pause(self, now: float) -> float:
        """Seconds to wait before the next commit."""
        return max(0.0, self.made[-1] + self.gap - now) if self.made else 0.0

    def _recent(self, now: float) -> tuple[float, ...]:
        return tuple(one for one in self.made if one > now - HOUR)


@dataclass
class Pace:
    """What a process knows of the quotas of its Hubs. For use from any thread."""

    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _quotas: dict[tuple[str, str], Quota] = field(default_factory=dict, init=False)
    _commits: dict[str, Commits] = field(default_factory=dict, init=False)

    def wait(self, endpoint: str, quota: str = API) -> None:
        """Wait until a call may be made."""
        known = self._quotas.get((_origin(endpoint), quota))
        self._pause(0.0 if known is None else known.pause(self.clock()))

    def note(self, answer: httpx2.Response) -> None:
        """Learn from an answer, if it says something of a quota."""
        said = parse_ratelimit_headers(answer.headers)
        if said is not None:
            until = self.clock() + said.reset_in_seconds + 1
            self._quotas[(_origin(str(answer.url)), said.resource_type)] = Quota(said.remaining, until, said.limit)

    def wait_to_commit(self, repository: str) -> None:
        """Wait until a commit may be sent to the repository, which is named by its address."""
        self.wait(repository)
        self._pause(self._commits.get(repository, Commits()).pause(self.clock()))

    def note_commit(self, repository: str, answer: httpx2.Response) -> None:
        """Learn from the answer to a commit."""
        self.note(answer)
        known = self._commits.get(repository, Commits())
        if answer.is_success:
            self._commits[repository] = known.one_more(self.clock())
        elif answer.status_code == TURNED_AWAY:
            self._commits[repository] = known.turned_away(self.clock())

    def _pause(self, seconds: float) -> None:
        if seconds > 0:
            self.sleep(seconds)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower()


PACE = Pace()
"""That of this process."""
