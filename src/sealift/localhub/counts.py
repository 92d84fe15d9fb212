"""What was asked, by kind, and how much of the quota that leaves."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

Bucket = Literal["api", "resolvers"]
WINDOW = 300
"""Seconds of a quota's window."""
_UNLIMITED = 1_000_000
"""The quota that is announced when there is none: clients that slow down before the end never see it coming."""


@dataclass
class Tally:
    """Counters since the start. For use from any thread."""

    quotas: dict[Bucket, int | None] = field(default_factory=dict)
    requests: Counter[str] = field(default_factory=Counter)
    buckets: dict[str, Bucket | None] = field(default_factory=dict)
    bytes_in: int = 0
    bytes_out: int = 0
    commits: int = 0
    _windows: dict[Bucket, tuple[float, int]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def request(self, kind: str, bucket: Bucket | None) -> Allowance | None:
        """Count one request; what its quota says, if it has one."""
        with self._lock:
            self.requests[kind] += 1
            self.buckets[kind] = bucket
            if bucket is None:
                return None
            now = time.monotonic()
            start, used = self._windows.get(bucket, (now, 0))
            if now - start >= WINDOW:
                start, used = now, 0
            self._windows[bucket] = (start, used + 1)
            quota = self.quotas.get(bucket) or _UNLIMITED
            return Allowance(bucket, quota, quota - used - 1, max(1, round(start + WINDOW - now)))

    def moved(self, came: int, went: int) -> None:
        """Count the bytes of bodies."""
        with self._lock:
            self.bytes_in += came
            self.bytes_out += went

    def commit(self) -> None:
        """Count a commit that was made."""
        with self._lock:
            self.commits += 1

    def as_json(self) -> dict[str, object]:
        """The counters so far."""
        with self._lock:
            return {
                "requests": dict(self.requests),
                "quota": dict(self.buckets),
                "bytes_in": self.bytes_in,
                "bytes_out": self.bytes_out,
                "commits": self.commits,
            }


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left of a quota: requests, and seconds until it is full again; below zero it is exceeded."""

    bucket: Bucket
    quota: int
    left: int
    seconds: int

    @property
    def headers(self) -> dict[str, str]:
        """As the Hub says it."""
        said = {
            "RateLimit": f'"{self.bucket}";r={max(self.left, 0)};t={self.seconds}',
            "RateLimit-Policy": f'"fixed window";"{self.bucket}";q={self.quota};w={WINDOW}',
        }
        return said | ({"Retry-After": str(self.seconds)} if self.left < 0 else {})
