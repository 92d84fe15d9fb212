"""What a Hub refuses, in our words, with what to do. Addresses are said without their signed part."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import httpx2
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from sealift.errors import (
    AccessDenied,
    DestinationBusy,
    DestinationChanged,
    DestinationError,
    RequestError,
    SealiftError,
)
from sealift.redact import cut
from sealift.stores.hub.answers import BROKEN, FOR_NOW, TURNED_AWAY, UNREADABLE, retry_after
from sealift.stores.hub.place import Place

AGAIN = "mend what it names, and run the same command again"
WHAT_TO_DO = {
    400: AGAIN,
    402: "the plan of that account does not cover it: ask whoever pays for the namespace",
    404: "check that the endpoint is a Hub's and as new as this client, then run the same command again",
    409: "something else is at work there: let it end, and run the same command again",
    410: "run the same command again: what was looked at is not there any more",
    412: "run the same command again: it was changed meanwhile",
    413: "publish less at once: fewer or smaller shards (--max-shard-size), or config by config",
    416: "run the same command again: what is there is shorter than it was",
    422: AGAIN,
    507: "the Hub has no room for it: make some there, or ask who runs it, then run the same command again",
}
"""By status, where the status is all that is known."""

STEPS = {httpx2.ConnectTimeout: "connect", httpx2.ReadTimeout: "read", httpx2.WriteTimeout: "write"}
"""What was waited for, by the time-out."""

LOGGERS = ("httpx2", "httpcore2.http11", "httpcore2.http2", "huggingface_hub.utils._http")
"""Those of the client that log addresses, or headers with addresses. A filter does not count for loggers below."""

_SIGNED = re.compile(r"\?[^\s'\"<>()?]*=[^\s'\"<>()]*")
_LOGIN = re.compile(r"(?<=://)[^\s/@'\"<>]+@")


def unsigned(text: str) -> str:
    """The text without the queries of the addresses in it, and without their logins: either may be a key."""
    return cut(_LOGIN.sub("", _SIGNED.sub("", text)))


def unsigned_record(record: logging.LogRecord) -> bool:
    """A filter for loggers: the record is logged, with its text as `unsigned` makes it."""
    record.msg, record.args = unsigned(record.getMessage()), ()
    return True


def unsign_logs() -> None:
    """The client's loggers name addresses without what signs them, from now on. Repeating is safe."""
    for name in LOGGERS:
        logging.getLogger(name).addFilter(unsigned_record)


def harmless(error: BaseException) -> BaseException:
    """The error itself, after the same was done to what it says, and to what it comes of: a traceback shows that."""
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        if any(isinstance(arg, str) for arg in one.args):
            one.args = tuple(unsigned(arg) if isinstance(arg, str) else arg for arg in one.args)
        one = one.__cause__ or one.__context__
    return error


@contextmanager
def translated(place: Place, *, token: bool, seen: bool = False) -> Iterator[None]:
    """What the client raises becomes ours, by type and status; `token` and `seen` as in `refusal`."""
    try:
        yield
    except HfHubHTTPError as error:
        raise refusal(place, error, token=token, seen=seen) from harmless(error)
    except OfflineModeIsEnabled as error:
        raise DestinationError(
            "HF_HUB_OFFLINE is set: no Hub may be called", hint="unset it", endpoint=place.endpoint
        ) from error
    except BROKEN as error:
        raise unreachable(place, error) from error
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise DestinationError(
            f"{place.endpoint} cannot be called: {harmless(error)}", hint="check the endpoint", endpoint=place.endpoint
        ) from error
    except UNREADABLE as error:
        raise DestinationError(
            f"{place.endpoint} does not answer like a Hub ({type(error).__name__})",
            hint="check --endpoint and HF_ENDPOINT",
            endpoint=place.endpoint,
        ) from harmless(error)


def refusal(place: Place, error: HfHubHTTPError, *, token: bool, seen: bool = False) -> SealiftError:
    """Our error for an answer that refuses.

    `token` is whether one was sent, `seen` whether the repository was there when this run looked.
    """
    status, words = error.response.status_code, unsigned(error.server_message or "")
    said = f": {words}" if words else ""
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
        hint=AGAIN if words else WHAT_TO_DO.get(status, AGAIN),
        status=status,
        repository=place.repo,
    )


def unreachable(place: Place, error: Exception) -> DestinationBusy:
    """No answer came."""
    said = _waited(error) or str(harmless(error)) or type(error).__name__
    failure = DestinationBusy(
        f"{place.endpoint} does not answer: {said}",
        hint="check the network and the endpoint (--endpoint, HF_ENDPOINT), then run the same command again",
        endpoint=place.endpoint,
    )
    failure.__cause__ = error
    return failure


def _waited(error: Exception) -> str | None:
    """How long nothing moved, of a time-out that knows its request."""
    step = next((name for kind, name in STEPS.items() if isinstance(error, kind)), None)
    # The attribute is not there, rather than None, on an error that was not raised for a request.
    request = getattr(error, "_request", None)
    seconds = request.extensions.get("timeout", {}).get(step) if request is not None and step else None
    if seconds is None:
        return None
    return f"no connection within {seconds:g} s" if step == "connect" else f"nothing moved for {seconds:g} s"


def busy(place: Place, answer: httpx2.Response) -> DestinationBusy:
    """The Hub turned the request away for now."""
    seconds, status = retry_after(answer), answer.status_code
    why = "its quota of requests is used up" if status == TURNED_AWAY else f"it answered {status}"
    when = f"in {seconds:.0f} s" if seconds is not None else "later"
    return DestinationBusy(
        f"{place.endpoint} cannot take the request now: {why}",
        hint=f"run the same command again {when}",
        endpoint=place.endpoint,
        status=status,
        retry_after_s=seconds,
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
