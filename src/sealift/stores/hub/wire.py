"""Requests to a Hub: repeated while that can help. `answers` says what came, `refusals` says it in words."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import httpx2
from huggingface_hub import hf_raise_for_status
from huggingface_hub.errors import HfHubHTTPError

from sealift.stores.hub.answers import BROKEN, CONFLICT, FOR_NOW, LATER, Means, means, retry_after
from sealift.stores.hub.place import Place
from sealift.stores.hub.refusals import busy, denied, gone, harmless, renamed, translated, unreachable, unsigned

__all__ = [
    "BROKEN",
    "CONFLICT",
    "FOR_NOW",
    "LATER",
    "PATIENCE",
    "SLOW",
    "TIMEOUT",
    "WAITS",
    "Means",
    "busy",
    "checked",
    "denied",
    "gone",
    "harmless",
    "means",
    "patiently",
    "renamed",
    "retry_after",
    "translated",
    "unreachable",
    "unsigned",
]

TIMEOUT = httpx2.Timeout(60, connect=15)
"""Seconds for each step of a request; the client itself would wait without end."""
SLOW = httpx2.Timeout(300, connect=15)
"""For answers that come when a large file was put together or looked through."""
WAITS = (1.0, 2.0, 4.0, 8.0, 15.0)
"""Seconds before the tries after the first."""
PATIENCE = 900.0
"""The most seconds that one request waits because the Hub asks it to: three windows of its quota.

A Hub that asks for more, by a number, by a date far away or by asking again and again, is not waited for: the run ends
with what it asked for (`retry_after_s`), and the same command goes on.
"""


def patiently(
    place: Place,
    attempt: Callable[[], httpx2.Response],
    pauses: Iterable[float] = WAITS,
    *,
    stalls: int | None = None,
) -> httpx2.Response:
    """The answer of the first try that is neither broken off nor turned away for now.

    A try that the Hub asks to wait for is repeated after that time, any other after one of the pauses; `stalls` is how
    many tries may end because nothing moves, if not all. Only for what may be repeated.

    Raises:
        DestinationBusy: no try succeeded, or the Hub asks for more than `PATIENCE` seconds altogether.
    """
    waits, patience = iter(pauses), PATIENCE
    while True:
        asked = None
        try:
            answer = attempt()
        except BROKEN as error:
            failure = unreachable(place, error)
            if stalls is not None and isinstance(error, httpx2.ReadTimeout | httpx2.WriteTimeout):
                stalls -= 1
                if not stalls:
                    raise failure from error
        else:
            if means(answer, changes=False) is not Means.WAIT:
                return answer
            failure, asked = busy(place, answer), retry_after(answer)
        wait = asked if asked is not None else next(waits, None)
        if wait is None or (asked is not None and wait > patience):
            raise failure
        patience -= wait if asked is not None else 0
        time.sleep(wait)


def checked(answer: httpx2.Response) -> httpx2.Response:
    """The answer, if it is a success; else the client's error for it. One that sends us elsewhere is none."""
    hf_raise_for_status(answer)
    if answer.status_code // 100 == 3:
        raise HfHubHTTPError(f"{answer.status_code} for {answer.url.path}", response=answer)
    return answer
