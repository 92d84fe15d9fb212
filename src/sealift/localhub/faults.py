"""Faults on demand: which requests meet trouble, how often, and of what sort."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from fnmatch import fnmatchcase
from typing import Any

Share = int | float
"""Bytes of a body: as many as a whole number says, or that part of it as a fraction below one says."""


@dataclass(frozen=True)
class Fault:
    """What happens to some requests. What is None or 0 does not happen; several things may happen to one request.

    `times` counts those that it happens to, None is without end; `skip` lets the first ones pass. Of those that are
    left, `probability` takes some: the same ones each time that the same requests come with the same `seed`.
    Durations are seconds, speeds bytes per second, flips bits.
    """

    kind: str | None = None
    """The name of a route, or a pattern of names."""
    method: str | None = None
    path: str | None = None
    """A pattern of request paths, or of the file in a repository that a request is about."""
    times: int | None = 1
    skip: int = 0
    probability: float = 1.0
    seed: int = 0
    after: bool = False
    """The request takes effect first; then comes the trouble with its answer."""
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    retry_after: float | None = None
    retry_date: float | None = None
    rate_limit: float | None = None
    expired: bool = False
    token_seconds: int | None = None
    drop: bool = False
    delay: float = 0.0
    cut_request: Share | None = None
    cut_answer: Share | None = None
    stall_request: Share | None = None
    stall_answer: Share | None = None
    truncate_request: Share | None = None
    truncate_answer: Share | None = None
    slow_request: float | None = None
    slow_answer: float | None = None
    flip_request: int = 0
    flip_answer: int = 0
    flip_stored: int = 0
    disk_full: Share | None = None
    collect_after: float | None = None
    remembers: bool = False

    @property
    def replaces(self) -> bool:
        """Whether the request gets another answer than the application's."""
        told = (self.status, self.body, self.retry_after, self.retry_date, self.rate_limit)
        return self.expired or (self.disk_full is None and any(one is not None for one in told))

    def is_about(self, kind: str, method: str, paths: Sequence[str]) -> bool:
        """Whether a request is one of those that are meant; it is about any of the paths."""
        if self.kind is None or not fnmatchcase(kind, self.kind) or self.method not in (None, method):
            return False
        if self.disk_full is not None and method not in ("POST", "PUT"):
            return False
        return self.path is None or any(fnmatchcase(one, self.path) for one in paths)

    def as_json(self) -> dict[str, Any]:
        """What differs from a fault that does nothing, as it is described."""
        plain = asdict(Fault())
        return {key: value for key, value in asdict(self).items() if value != plain[key]}


NAMES = frozenset(one.name for one in fields(Fault))


@dataclass(frozen=True)
class Met:
    """A fault that happens to a request, and which bits it takes: the same each time for that request of a sequence."""

    fault: Fault
    number: int

    def bits(self, count: int, size: int) -> list[int]:
        """The positions of that many bits, in order, in a body of so many bytes."""
        drawn = random.Random(f"{self.fault.seed}/{self.number}")  # noqa: S311 — to be repeated, not to be secret
        return sorted(drawn.sample(range(size * 8), min(count, size * 8)))

    def spoils(self, size: int) -> list[int]:
        """The positions of the bits that turn in content of so many bytes once it is stored."""
        return self.bits(self.fault.flip_stored, size)


@dataclass
class _Standing:
    """A fault in force, and what it has done."""

    fault: Fault
    drawn: random.Random
    since: float
    seen: int = 0
    happened: int = 0

    def takes(self) -> bool:
        """Whether this request, which it is about, is one that it happens to."""
        if self.fault.times is not None and self.happened >= self.fault.times:
            return False
        self.seen += 1
        if self.seen <= self.fault.skip or self.drawn.random() >= self.fault.probability:
            return False
        self.happened += 1
        return True


class Plan:
    """The faults in force. For use from any thread."""

    def __init__(self, faults: Sequence[Fault] = ()) -> None:
        self._lock = threading.Lock()
        self.replace(faults)

    def replace(self, faults: Sequence[Fault]) -> None:
        """Let these faults be in force, and no others; each begins anew."""
        now = time.monotonic()
        made = [_Standing(one, random.Random(one.seed), now) for one in faults]  # noqa: S311
        with self._lock:
            self._standing = made

    def next(self, kind: str, method: str = "", paths: Sequence[str] = ()) -> Met | None:
        """The fault for this request, which counts as happened: the first one that takes it."""
        with self._lock:
            for one in self._standing:
                if one.fault.is_about(kind, method, paths) and one.takes():
                    return Met(one.fault, one.happened)
        return None

    def due(self) -> Fault | None:
        """The fault that wants unnamed content collected now, if it is time; it is asked for often."""
        now = time.monotonic()
        with self._lock:
            for one in self._standing:
                after = one.fault.collect_after
                if after is not None and now - one.since >= after / 4:
                    one.since = now
                    one.seen += 1
                    return one.fault
        return None

    def collected(self, fault: Fault) -> None:
        """Take note that content was dropped for it."""
        with self._lock:
            for one in self._standing:
                one.happened += one.fault is fault

    def as_json(self) -> list[dict[str, Any]]:
        """Every fault in force, how many requests it was about, and to how many it has happened."""
        with self._lock:
            return [one.fault.as_json() | {"seen": one.seen, "happened": one.happened} for one in self._standing]
