"""Content to and from a Hub without Xet: Git LFS, in one piece or in parts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import httpx2
from huggingface_hub import get_session
from huggingface_hub.utils import fix_hf_endpoint_in_url

from sealift.errors import ContentMissing, DestinationError, IntegrityError
from sealift.stores.hub.addresses import EXPIRED, GOOD_FOR, Address, Addresses
from sealift.stores.hub.bandwidth import paced
from sealift.stores.hub.client import HubClient
from sealift.stores.hub.ranges import fetch
from sealift.stores.hub.refusals import AGAIN, unsigned
from sealift.stores.hub.wire import SLOW, checked

JSON = {"Accept": "application/vnd.git-lfs+json", "Content-Type": "application/vnd.git-lfs+json"}
BATCH_OBJECTS = 256
"""The most objects of one question, as the official client asks."""
MARGIN = 30.0
"""An address is not used in its last seconds."""
STALLS = 2
"""So many tries to send a part may end because nothing moves."""
LOST = frozenset({404, 410})
"""Answers of content that is not there."""

Pieces = Callable[[int, int], Iterable[bytes]]
"""The bytes of a file: (start, size) → pieces, as often as asked."""


@dataclass(frozen=True, slots=True)
class Blob:
    """Content by what it is."""

    path: str
    sha256: str
    size: int


_downloads: Addresses[tuple[HubClient, Blob]] = Addresses()


@dataclass(frozen=True, slots=True)
class Part:
    """Some of a file, and where to put it."""

    url: str = field(repr=False)
    start: int
    size: int


@dataclass(frozen=True, slots=True)
class Order:
    """What the Hub asks for so that it has a blob. No parts: it has it."""

    parts: tuple[Part, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    complete: str | None = field(default=None, repr=False)
    verify: str | None = field(default=None, repr=False)


def orders(client: HubClient, blobs: Sequence[Blob]) -> list[Order]:
    """What is to be sent for each blob.

    Raises:
        DestinationError: the Hub does not want one of them; `path` names it.
    """
    found = []
    for start in range(0, len(blobs), BATCH_OBJECTS):
        asked = blobs[start : start + BATCH_OBJECTS]
        answers = _batch(client, "upload", asked)
        with client.translated():
            found += [_order(client, blob, answers[blob.sha256]) for blob in asked]
    return found


def missing(client: HubClient, blobs: Sequence[Blob]) -> list[Blob]:
    """Those that the Hub does not have, as it says itself: it wants them sent. A request for 256."""
    wanted = orders(client, blobs)
    return [blob for blob, order in zip(blobs, wanted, strict=True) if order.parts]


def unreadable(client: HubClient, blobs: Sequence[Blob]) -> list[Blob]:
    """Those of which the Hub gives no byte, whatever it says that it has. A request for each, and one for 256.

    For when it says that it has all of them, and refuses a commit that names them all the same.
    """
    found: list[Blob] = []
    for start in range(0, len(blobs), BATCH_OBJECTS):
        asked = blobs[start : start + BATCH_OBJECTS]
        answers = _batch(client, "download", asked)
        for blob in asked:
            try:
                _fetch_first(client, blob, answers.get(blob.sha256, {}))
            except (ContentMissing, IntegrityError):
                found.append(blob)
    return found


def _fetch_first(client: HubClient, blob: Blob, answer: Mapping[str, Any]) -> None:
    address = _address(client, blob, answer)
    if blob.size:
        _examine(client, blob, _fetched(client, address, 0, memoryview(bytearray(1))))


def send(client: HubClient, blob: Blob, order: Order, pieces: Pieces) -> None:
    """Send what the order asks for; each part is tried again by itself."""
    etags = [put(client, order, part, partial(pieces, part.start, part.size)) for part in order.parts]
    finish(client, blob, order, etags)


def put(
    client: HubClient, order: Order, part: Part, pieces: Callable[[], Iterable[bytes]], *, repeat: bool = True
) -> str:
    """Send one part; its ETag. With `repeat`, `pieces` gives its bytes as often as they are needed.

    A try ends when not a byte moves for `client.stall` seconds.

    Raises:
        httpx2.TransportError, HfHubHTTPError: without `repeat`, as they come.
    """
    headers = {**order.headers, "Content-Length": str(part.size)}
    timeout = httpx2.Timeout(client.stall, connect=15)

    def attempt() -> httpx2.Response:
        # What was read from `pieces` cannot be sent on.
        content = iter(paced(client.bandwidth, pieces()))
        return get_session().put(part.url, headers=headers, content=content, timeout=timeout, follow_redirects=False)

    if not repeat:
        return str(checked(attempt()).headers.get("etag", ""))
    with client.translated():
        return str(checked(client.patiently(attempt, quota=None, stalls=STALLS)).headers.get("etag", ""))


def finish(client: HubClient, blob: Blob, order: Order, etags: Sequence[str]) -> None:
    """Have the parts put together and the whole looked at."""
    if order.complete is not None:
        parts = [{"partNumber": number, "etag": etag} for number, etag in enumerate(etags, 1)]
        _post(client, order.complete, {"oid": blob.sha256, "parts": parts}, JSON)
    if order.verify is not None:
        _post(client, order.verify, {"oid": blob.sha256, "size": blob.size}, {})


def read_back(client: HubClient, blob: Blob, offset: int, view: memoryview) -> None:
    """Fill the view with what the Hub has of the blob. Where that lies is asked for once, as long as it is good.

    Raises:
        ContentMissing: it has none.
        IntegrityError: it has another size.
    """
    kept = _downloads.get((client, blob))
    found = None if kept is None else _fetched(client, kept, offset, view)
    if found is None or found.status_code in EXPIRED:
        found = _fetched(client, _download(client, blob), offset, view)
    _examine(client, blob, found)


def _examine(client: HubClient, blob: Blob, found: httpx2.Response) -> None:
    if found.status_code in LOST:
        raise _missing(blob)
    if found.status_code == 416:
        raise _not_all(blob)
    with client.translated():
        checked(found)


def _download(client: HubClient, blob: Blob) -> Address:
    return _address(client, blob, _batch(client, "download", [blob]).get(blob.sha256, {}))


def _address(client: HubClient, blob: Blob, answer: Mapping[str, Any]) -> Address:
    """Where the Hub says that the blob can be had."""
    action = (answer.get("actions") or {}).get("download")
    if action is None:
        raise _missing(blob)
    if answer.get("size") != blob.size:
        raise _not_all(blob)
    with client.translated():
        url = fix_hf_endpoint_in_url(action["href"], client.place.endpoint)
        headers = {**(client.headers if _ours(client, url) else {}), **(action.get("header") or {})}
        return _downloads.keep((client, blob), url, headers, good_for(action))


def _fetched(client: HubClient, address: Address, offset: int, view: memoryview) -> httpx2.Response:
    with client.translated():
        return client.patiently(lambda: fetch(address.url, address.headers, offset, view), quota=None)


def good_for(action: Mapping[str, Any]) -> float:
    """How many seconds the address of an action can be used; what it says in seconds counts before the date."""
    if action.get("expires_in"):
        return float(action["expires_in"]) - MARGIN
    if action.get("expires_at"):
        left = datetime.fromisoformat(action["expires_at"]) - datetime.now(UTC)
        return left.total_seconds() - MARGIN
    return GOOD_FOR


def _batch(client: HubClient, operation: str, blobs: Sequence[Blob]) -> dict[str, dict[str, Any]]:
    """The Hub's answer for each blob, by its SHA-256."""
    place = client.place
    question = {
        "operation": operation,
        "transfers": ["basic", "multipart"],
        "hash_algo": "sha256",
        "ref": {"name": place.branch},
        "objects": [{"oid": blob.sha256, "size": blob.size} for blob in blobs],
    }
    url = f"{place.endpoint}/datasets/{place.repo}.git/info/lfs/objects/batch"
    answer = client.call("POST", url, json=question, headers=JSON)
    with client.translated():
        return {one["oid"]: one for one in answer.json()["objects"]}


def _order(client: HubClient, blob: Blob, answer: Mapping[str, Any]) -> Order:
    if "error" in answer:
        said = answer["error"].get("message")
        raise DestinationError(
            f"{blob.path}: {client.place.endpoint} does not take it: {unsigned(str(said))}",
            hint=AGAIN,
            path=blob.path,
        )
    actions = answer.get("actions") or {}
    if "upload" not in actions:
        return Order()
    upload, header = actions["upload"], dict(actions["upload"].get("header") or {})
    href = fix_hf_endpoint_in_url(upload["href"], client.place.endpoint)
    verify = actions.get("verify", {}).get("href")
    verify = verify and fix_hf_endpoint_in_url(verify, client.place.endpoint)
    if "chunk_size" not in header:
        return Order((Part(href, 0, blob.size),), header, verify=verify)
    return Order(tuple(_parts(blob, int(header["chunk_size"]), header)), complete=href, verify=verify)


def _parts(blob: Blob, size: int, header: Mapping[str, str]) -> Iterator[Part]:
    """The parts by their numbers, all but the last of the same size.

    Raises:
        ValueError: their number does not fit the blob.
    """
    urls = [url for _, url in sorted((int(name), url) for name, url in header.items() if name.isdecimal())]
    if len(urls) != -(-blob.size // size):
        raise ValueError(f"{len(urls)} parts of {size} bytes for {blob.size}")
    for number, url in enumerate(urls):
        yield Part(url, number * size, min(size, blob.size - number * size))


def _post(client: HubClient, url: str, said: Mapping[str, Any], headers: Mapping[str, str]) -> None:
    client.call("POST", url, json=dict(said), headers=dict(headers), timeout=SLOW, signed=_ours(client, url))


def _ours(client: HubClient, url: str) -> bool:
    """Whether the address is the Hub's own, so that the token may go there."""
    return urlsplit(url)[:2] == urlsplit(client.place.endpoint)[:2]


def _missing(blob: Blob) -> ContentMissing:
    return ContentMissing(
        f"{blob.path}: the Hub has nothing of what was sent",
        hint="run the same command again: it is sent again",
        path=blob.path,
        paths=[blob.path],
    )


def _not_all(blob: Blob) -> IntegrityError:
    return IntegrityError(
        f"{blob.path}: the Hub has not all of what was sent", hint="run the same command again", path=blob.path
    )
