"""Reading a range of bytes over HTTP into a buffer that is there already."""

from __future__ import annotations

import re
from collections.abc import Mapping

import httpx2
from huggingface_hub import get_session

from sealift.stores.hub.wire import TIMEOUT

_TOTAL = re.compile(r"bytes\s+(\d+)-\d+/(\d+)")


def fetch(url: str, headers: Mapping[str, str], offset: int, view: memoryview) -> httpx2.Response:
    """Ask once for the bytes from `offset` on, and fill the view with them if they come.

    A redirection is not followed, and anything else that is no success is returned with what it says.

    Raises:
        httpx2.TransportError: the connection broke, or fewer bytes came than the range has.
    """
    asked = {**headers, "range": f"bytes={offset}-{offset + len(view) - 1}", "accept-encoding": "identity"}
    with get_session().stream("GET", url, headers=asked, timeout=TIMEOUT, follow_redirects=False) as answer:
        if answer.status_code in (200, 206):
            _fill(answer, offset, view)
        else:
            answer.read()
    return answer


def total_bytes(answer: httpx2.Response) -> int | None:
    """How long the whole file is, if the answer says so."""
    said = _TOTAL.match(answer.headers.get("content-range", ""))
    if said:
        return int(said[2])
    length = answer.headers.get("x-linked-size")
    if length is None and answer.status_code == 200:
        length = answer.headers.get("content-length")
    return None if length is None else int(length)


def _fill(answer: httpx2.Response, offset: int, view: memoryview) -> None:
    # A server that does not know ranges gives the file from its start, and is not listened to until its end. A range
    # is read to its end: a connection that is left before that is closed.
    said = _TOTAL.match(answer.headers.get("content-range", ""))
    position = (int(said[1]) if said and answer.status_code == 206 else 0) - offset
    filled = 0
    for piece in answer.iter_raw():
        part = memoryview(piece)[max(0, -position) :][: len(view) - filled]
        view[filled : filled + len(part)] = part
        filled, position = filled + len(part), position + len(piece)
        if filled == len(view) and answer.status_code == 200:
            return
    if filled < len(view):
        raise httpx2.ReadError(f"{filled} bytes came where {len(view)} were asked for", request=answer.request)
