"""What an answer of a Hub means, or that none came: one table, by status and by type. No text is looked at."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from enum import Enum

import httpx2
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils import parse_ratelimit_headers


class Means(Enum):
    """What to do about what came."""

    DONE = "it took effect"
    WAIT = "it had no effect, or none that a second one would not have: wait, and ask again"
    CONFLICT = "something else was first: look, and decide"
    REFUSED = "it had no effect, and would have none if it were repeated"
    UNCERTAIN = "nobody said what became of it: look whether it took effect before anything else"


TURNED_AWAY = 429
"""Too much was asked; whatever it was had no effect."""
FOR_GOOD = frozenset({501, 505, 507})
"""A server's own failures that stay: it cannot do that, or has no room."""
LATER = frozenset({408, 425, *range(500, 1_000)}) - FOR_GOOD
"""In trouble, or too slow: something between may say so, by a number of its own, while the Hub still works on it."""
FOR_NOW = LATER | {TURNED_AWAY}
"""Answers that may be others a moment later."""
CONFLICT = frozenset({409, 412})
"""The parent is no longer the head, another commit is under way, or what is to be made is there."""
UNSENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError)
"""There was no connection: nothing was asked."""
BROKEN = (
    httpx2.TimeoutException,
    httpx2.NetworkError,
    httpx2.RemoteProtocolError,
    httpx2.ProxyError,
    httpx2.DecodingError,
)
"""A connection that failed, or gave what cannot be unpacked: whether the request took effect is not known, unless it is
`UNSENT`."""
UNREADABLE = (KeyError, TypeError, ValueError)
"""An answer that is none of a Hub's: something between has given it, or cut it."""

LONGEST = 86_400.0
"""No wait is believed to be longer than a day."""


def means(came: httpx2.Response | Exception, *, changes: bool) -> Means:
    """What it means that this came of a request: an answer, or what was raised instead.

    `changes` is whether the request changes something that must not change twice: a commit, a merge. Any other may be
    repeated. What is no failure of a request at all is refused: it would fail again.
    """
    if isinstance(came, HfHubHTTPError):
        came = came.response
    unknown = Means.UNCERTAIN if changes else Means.WAIT
    if not isinstance(came, httpx2.Response):
        if isinstance(came, UNSENT):
            return Means.WAIT
        if isinstance(came, BROKEN):
            return unknown
        return Means.UNCERTAIN if changes and isinstance(came, UNREADABLE) else Means.REFUSED
    status = came.status_code
    if 200 <= status < 300:
        return Means.DONE
    if status == TURNED_AWAY:
        return Means.WAIT
    if status in LATER:
        return unknown
    return Means.CONFLICT if status in CONFLICT else Means.REFUSED


def retry_after(answer: httpx2.Response, clock: Callable[[], float] = time.time) -> float | None:
    """The seconds that the Hub asks to wait for, from 1 to `LONGEST`; None if it does not say, or nothing sensible.

    It says so by its quota, if that is used up, else by Retry-After, in seconds or as a date. A date counts from the
    answer's own, where it has one: the Hub's clock and ours may differ.
    """
    quota = parse_ratelimit_headers(answer.headers)
    if answer.status_code == TURNED_AWAY and quota is not None and quota.remaining == 0:
        return _sensible(quota.reset_in_seconds + 1)
    said = answer.headers.get("retry-after", "").strip()
    if said.isascii() and said.isdecimal():
        return _sensible(float(said[:20]))
    until = _moment(said)
    if until is None:
        return None
    begins = _moment(answer.headers.get("date", ""))
    # A date has whole seconds: up to one of them is over already.
    return _sensible(math.ceil(until - (clock() if begins is None else begins)))


def _sensible(seconds: float) -> float:
    return min(LONGEST, max(1.0, float(seconds)))


def _moment(said: str) -> float | None:
    """Seconds since 1970 of a date of HTTP; None if it is none."""
    try:
        return parsedate_to_datetime(said).timestamp()
    except (TypeError, ValueError, OverflowError, IndexError):
        return None
