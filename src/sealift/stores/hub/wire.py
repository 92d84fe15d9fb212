"""Requests to a Hub: repeated while that can help, and refused in our words."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import httpx2
from huggingface_hub import hf_raise_for_status
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import parse_ratelimit_headers

from sealift.errors import (
    AccessDenied,
    DestinationBusy,
    DestinationChanged,
    DestinationError,
    RequestError,
    SealiftError,
)
from sealift.stores.hub.place import Place

TIMEOUT = httpx2.Timeout(60, connect=15)
"""Seconds for each step of a request; the client itself would wait without end."""
SLOW = httpx2.Timeout(300, connect=15)
"""For answers that come when a large file was put together or looked through."""
WAITS = (1.0, 2.0, 4.0, 8.0, 15.0)
"""Seconds before the tries after the first."""
PATIENCE = 900.0
"""The most seconds that one request waits because the Hub asks it to: three windows of its quota."""
FOR_NOW = frozenset({408, 429, 500, 502, 503, 504})
"""Answers that may be others a moment later."""
BROKEN = (httpx2.TimeoutException, httpx2.NetworkError, httpx2.RemoteProtocolError, httpx2.ProxyError)
"""A connection that failed: whether the request took effect is not known."""


def patiently(place: Place, attempt: Callable[[], httpx2.Response], pauses: Iterable[float] = WAITS) -> httpx2.Response:
    """The answer of the first try that is neither broken off nor turned away for now.

    A try that the Hub asks to wait for is repeated after that time, any other after one of the pauses. Only for what
    may be repeated.

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
        else:
            if answer.status_code not in FOR_NOW:
                return answer
            failure, asked = busy(place, answer), retry_after(answer)
        wait = asked if asked is not None else next(waits, None)
        if wait is None or (asked is not None and wait > patience):
            raise failure
        patience -= wait if asked is not None else 0
        time.sleep(wait)


def retry_after(answer: httpx2.Response) -> float | None:
    """The seconds that the Hub asks to wait for, at least one; None if it does not say."""
    quota = parse_ratelimit_headers(answer.headers)
    if answer.status_code == 429 and quota is not None and quota.remaining == 0:
        return float(quota.reset_in_seconds + 1)
    said = answer.headers.get("retry-after", "").strip()
    return max(1.0, float(said)) if said.isdecimal() else None


def unreachable(place: Place, error: Exception) -> DestinationBusy:
    """No answer came."""
    failure = DestinationBusy(
        f"{place.endpoint} does not answer: {str(error) or type(error).__name__}",
        hint="check the network and the endpoint (--endpoint, HF_ENDPOINT), then run the same command again",
        endpoint=place.endpoint,
    )
    failure.__cause__ = error
    return failure


def busy(place: Place, answer: httpx2.Response) -> DestinationBusy:
    """The Hub turned the request away for now."""
    seconds = retry_after(answer)
    why = "its quota of requests is used up" if answer.status_code == 429 else f"it answered {answer.status_code}"
    when = f"in {seconds:.0f} s" if seconds is not None else "later"
    return DestinationBusy(
        f"{place.endpoint} cannot take the request now: {why}",
        hint=f"run the same command again {when}",
        endpoint=place.endpoint,
        status=answer.status_code,
        retry_after_s=seconds,
    )


@contextmanager
def translated(place: Place, *, token: bool, seen: bool = False) -> Iterator[None]:
    """What the client raises becomes ours, by type and status; `token` and `seen` as in `refusal`."""
    try:
        yield
    except HfHubHTTPError as error:
        raise refusal(place, error, token=token, seen=seen) from error
    except OfflineModeIsEnabled as error:
        raise DestinationError(
            "HF_HUB_OFFLINE is set: no Hub may be called", hint="unset it", endpoint=place.endpoint
        ) from error
    except BROKEN as error:
        raise unreachable(place, error) from error
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise DestinationError(
            f"{place.endpoint} cannot be called: {error}", hint="check the endpoint", endpoint=place.endpoint
        ) from error
    except (KeyError, TypeError, ValueError) as error:
        raise DestinationError(
            f"{place.endpoint} does not answer like a Hub ({type(error).__name__})",
            hint="check --endpoint and HF_ENDPOINT",
            endpoint=place.endpoint,
        ) from error


def checked(answer: httpx2.Response) -> httpx2.Response:
    """The answer, if it is a success; else the client's error for it. One that sends us elsewhere is none."""
    hf_raise_for_status(answer)
    if answer.status_code // 100 == 3:
        raise HfHubHTTPError(f"{answer.status_code} for {answer.url.path}", response=answer)
    return answer


def refusal(place: Place, error: HfHubHTTPError, *, token: bool, seen: bool = False) -> SealiftError:
    """Our error for an answer that refuses.

    `token` is whether one was sent, `seen` whether the repository was there when this run looked.
    """
    status = error.response.status_code
    said = f": {error.server_message}" if error.server_message else ""
    if isinstance(error, GatedRepoError):
        return AccessDenied(
            f"{place.repo} is gated{said}", hint=f"ask for access at {place.url}", repository=place.repo
        )
    if seen and isinstance(error, RepositoryNotFoundError | RevisionNotFoundError) and status != 401:
        return gone(place, repository=isinstance(error, RepositoryNotFoundError))
    if isinstance(error, RepositoryNotFoundError) and not seen:
        return AccessDenied(
            f"there is no dataset {place.repo} at {place.endpoint}, or it may not be seen",
            hint="check the name, and that the token (`hf auth login`, HF_TOKEN, --token) may read it",
            repository=place.repo,
        )
    if isinstance(error, RevisionNotFoundError):
        return DestinationError(
            f"{place.repo} has no revision {place.branch}", hint="check the name after the @", revision=place.branch
        )
    if status in (401, 403):
        return denied(place, said, status=status, token=token)
    if status in FOR_NOW:
        return busy(place, error.response)
    return DestinationError(
        f"{place.endpoint} refuses ({status}){said or f': {error.response.reason_phrase}'}",
        hint="mend what it names, and run the same command again",
        status=status,
        repository=place.repo,
    )


def gone(place: Place, *, repository: bool = True) -> DestinationChanged:
    """The repository, or what was looked at in it, was there when this run looked."""
    what = place.repo if repository else f"{place.branch} in {place.repo}, or the commit of it that was looked at,"
    return DestinationChanged(
        f"{what} is gone from {place.endpoint} since this run looked: it was deleted, or this token may not see it now",
        hint=f"look at {place.endpoint}/datasets/{place.repo}; the same command makes it anew if it is to be there",
        repository=place.repo,
    )


def renamed(place: Place, name: str) -> RequestError:
    """The Hub knows the repository by another name, and takes no commit under the old one."""
    now = replace(place, repo=name).name
    return RequestError(
        f"{place.repo} is called {name} at {place.endpoint} now; nothing was published",
        hint=f"publish to {now}",
        to=place.name,
        repository=name,
    )


def denied(place: Place, said: str, *, status: int, token: bool) -> AccessDenied:
    """The token is missing, not valid, or lacks a right."""
    if not token:
        what, hint = f"{place.endpoint} wants a token", "log in (`hf auth login`), or set HF_TOKEN"
    elif status == 401:
        what, hint = f"{place.endpoint} does not take the token", "log in again (`hf auth login`), or check HF_TOKEN"
    else:
        what, hint = f"the token may not do that in {place.repo}", "use one with the right to write there"
    return AccessDenied(what + said, hint=f"{hint}; --token takes another one", repository=place.repo)
