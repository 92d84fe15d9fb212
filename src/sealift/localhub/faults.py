"""Faults on demand: which request fails, before or after it took effect."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

HANG_UP = "sealift.localhub.hang_up"
"""The extension of an ASGI scope that closes the connection at once."""


@dataclass
class Fault:
    """What happens to some requests of one kind, and how many are left; `delay` is in seconds.

    With `after`, the request takes effect before it waits and its answer is replaced. With `drop`, there is no answer.
    With neither `drop` nor `status`, the request is only slow.
    """

    kind: str
    times: int = 1
    after: bool = False
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    drop: bool = False
    delay: float = 0.0
    skip: int = 0


class Plan:
    """The faults in force. For use from any thread."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def replace(self, described: object) -> None:
        """Let these faults be in force, and no others.

        Raises:
            ValueError: they are not described as `Fault` says.
        """
        if not isinstance(described, list):
            raise ValueError("faults are a list of objects")
        made = [_fault(one) for one in described]
        with self._lock:
            self._faults = made

    def next(self, kind: str) -> Fault | None:
        """The fault for this request, which counts as happened."""
        with self._lock:
            for fault in self._faults:
                if fault.kind != kind or fault.times < 1:
                    continue
                if fault.skip > 0:
                    fault.skip -= 1
                    continue
                fault.times -= 1
                return fault
        return None


def _fault(described: Any) -> Fault:
    names = {one.name for one in fields(Fault)}
    if not isinstance(described, dict) or "kind" not in described:
        raise ValueError(f"a fault is an object with a kind: {described!r}")
    if unknown := set(described) - names:
        raise ValueError(f"a fault has no {', '.join(sorted(unknown))}; it has {', '.join(sorted(names))}")
    fault = Fault(**{key: value for key, value in described.items() if value is not None})
    if not all(isinstance(one, int | float) for one in (fault.times, fault.skip, fault.delay, fault.status or 0)):
        raise ValueError(f"times, skip, delay and status are numbers: {described!r}")
    return fault
