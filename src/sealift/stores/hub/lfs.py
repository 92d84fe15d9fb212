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

from sealift.errors import DestinationError, IntegrityError
from sealift.stores.hub.addresses import EXPIRED, GOOD_FOR, Address, Addresses
from sealift.stores.hub.client import HubClient
from sealift.stores.hub.ranges import fetch
from sealift.stores.hub.wire import SLOW, checked

JSON = {"Accept": "application/vnd.git-lfs+json", "Content-Type": "application/vnd.git-lfs+json"}
BATCH_OBJECTS = 256
"""The most objects of one question, as the official client asks."""
MARGIN = 30.0
"""An address is not used in its last seconds."""

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


def send(client: HubClient, blob: Blob, order: Order, pieces: Pieces) -> None:
    """Send what the order asks for; each part is tried again by itself."""
    etags = [put(client, order, part, partial(pieces, part.start, part.size)) for part in order.parts]
    finish(client, blob, order, etags)


def put(
    client: HubClient, order: Order, part: Part, pieces: Callable[[], Iterable[bytes]], *, repeat: bool = True
) -> str:
    """Send one part; its ETag. With `repeat`, `pieces` gives its bytes as often as they are needed.

    Raises:
        httpx2.TransportError, HfHubHTTPError: without `repeat`, as they come.
    """
    headers = {**order.headers, "Content-Length": str(part.size)}

    def attempt() -> httpx2.Response:
        # What was read from `pieces` cannot be sent on.
        content = iter(pieces())
        return get_session().put(part.url, headers=headers, content=content, timeout=SLOW, follow_redirects=False)

    if not repeat:
        return str(checked(attempt()).headers.get("etag", ""))
    with client.translated():
        return str(checked(client.patiently(attempt)).headers.get("etag", ""))


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
        IntegrityError: it has none, or another size.
    """
    kept = _downloads.get((client, blob))
    found = None if kept is None else _fetched(client, kept, offset, view)
    if found is None or found.status_code in EXPIRED:
        found = _fetched(client, _download(client, blob), offset, view)
    if found.status_code in (404, 410, 416):
        raise _not_there(blob)
    with client.translated():
        checked(found)


def _download(client: HubClient, blob: Blob) -> Address:
    """Where the Hub says that the blob can be had."""
    answer = _batch(client, "download", [blob]).get(blob.sha256, {})
    action = answer.get("actions", {}).get("download")
    if action is None or answer.get("size") != blob.size:
        raise _not_there(blob)
    with client.translated():
        url = fix_hf_endpoint_in_url(action["href"], client.place.endpoint)
        headers = {**(client.headers if _ours(client, url) else {}), **(action.get("header") or {})}
        return _downloads.keep((client, blob), url, headers, good_for(action))


def _fetched(client: HubClient, address: Address, offset: int, view: memoryview) -> httpx2.Response:
    with client.translated():
        return client.patiently(lambda: fetch(address.url, address.headers, offset, view))


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
        raise DestinationError(
            f"{blob.path}: {client.place.endpoint} does not take it: {answer['error'].get('message')}",
            hint="mend what it names, and run the same command again",
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


def _not_there(blob: Blob) -> IntegrityError:
    return IntegrityError(
        f"{blob.path}: the Hub has not all of what was sent", hint="run the same command again", path=blob.path
    )
