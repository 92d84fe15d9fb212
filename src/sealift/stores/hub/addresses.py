"""Signed addresses of content, used again for as long as they are good: to ask for one counts against the quota."""

from __future__ import annotations

import time
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

GOOD_FOR = 600.0
"""Seconds for which an address is used again if nobody says how long it is good; the Hub's are good for an hour."""
KEPT = 256
EXPIRED = frozenset({401, 403, 404, 410})
"""Answers of an address that was good before, and is to be asked for anew."""

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Address:
    """Where content can be had without asking the Hub, and what a request for it carries."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    until: float
    """By `time.monotonic`."""


class Addresses(Generic[Key]):
    """Addresses by what they lead to, about `most` of them. For use from any thread, and picklable."""

    def __init__(self, most: int = KEPT) -> None:
        self._most = most
        self._kept: dict[Key, Address] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: Key) -> Address | None:
        """The address, if there is one that is still good."""
        found = self._kept.get(key)
        return found if found is not None and time.monotonic() < found.until else None

    def keep(self, key: Key, url: str, headers: Mapping[str, str], good_for: float = GOOD_FOR) -> Address:
        """Use that address again for so many seconds."""
        if len(self._kept) >= self._most:
            # Not one by one: another thread may be looking into the old ones.
            self._kept = {}
        address = self._kept[key] = Address(url, headers, time.monotonic() + good_for)
        return address
