"""Requests to a Hub: repeated while that can help. `answers` says what came, `refusals` says it in words."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import httpx2
from huggingface_hub import hf_raise_for_status
from huggingface_hub.errors import HfHubHTTPError

from sealift.stores.hub.answers import BROKEN, TURNED_AWAY, Means, means, retry_after
from sealift.stores.hub.place import Place
from sealift.stores.hub.refusals import busy, unreachable

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


class Patience:
    """How long to wait before each further try of one request: the tries are as many as the waits, and no more.

    Only a quota that is used up is waited for beside them, since the Hub does nothing for such a try, and for
    `PATIENCE` seconds at most from the first time that the Hub asks for any.
    """

    def __init__(self, waits: Iterable[float], clock: Callable[[], float] = time.monotonic) -> None:
        self._waits, self._clock = iter(waits), clock
        self._end: float | None = None

    def after(self, asked: float | None, status: int | None = None) -> float | None:
        """Seconds to wait after such an answer, which asks for `asked` of them; None if there is no use in more."""
        if asked is not None:
            # From here on and not before: a try itself may send for hours.
            now = self._clock()
            self._end = now + PATIENCE if self._end is None else self._end
            if now + asked > self._end:
                return None
            if status == TURNED_AWAY:
                return asked
        wait = next(self._waits, None)
        return None if wait is None else max(wait, asked or 0.0)


def patiently(
    place: Place,
    attempt: Callable[[], httpx2.Response],
    pauses: Iterable[float] = WAITS,
    *,
    stalls: int | None = None,
) -> httpx2.Response:
    """The answer of the first try that is neither broken off nor turned away for now.

    Each is repeated after one of the pauses, or after the time that the Hub asks for; `stalls` is how many tries may
    end because nothing moves, if not all. Only for what may be repeated.

    Raises:
        DestinationBusy: no try succeeded, or the Hub asks for more than `PATIENCE` seconds altogether.
    """
    patience = Patience(pauses)
    while True:
        asked = status = None
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
            failure, asked, status = busy(place, answer), retry_after(answer), answer.status_code
        wait = patience.after(asked, status)
        if wait is None:
            raise failure
        time.sleep(wait)


def checked(answer: httpx2.Response) -> httpx2.Response:
    """The answer, if it is a success; else the client's error for it. One that sends us elsewhere is none."""
    hf_raise_for_status(answer)
    if answer.status_code // 100 == 3:
        raise HfHubHTTPError(f"{answer.status_code} for {answer.url.path}", response=answer)
    return answer
