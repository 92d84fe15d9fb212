"""Bytes of a file as HTTP serves them: whole, a range, or only the headers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from sealift.localhub.refusals import Refusal

Read = Callable[[int, int], Iterator[bytes]]
"""The bytes from a start to an end, in pieces."""
_RANGE = re.compile(r"bytes=\s*(\d*)\s*-\s*(\d*)\s*")


def serve_bytes(request: Request, size: int, etag: str, read: Read, headers: Mapping[str, str]) -> Response:
    """The content, or the range that is asked for; of several ranges, all of it.

    Raises:
        Refusal: the range begins behind the end.
    """
    quoted = f'"{etag}"'
    said = {**headers, "ETag": quoted, "Accept-Ranges": "bytes"}
    if _has(request.headers.get("if-none-match"), quoted):
        return Response(status_code=304, headers=said)
    span = _span(request.headers, size, quoted) if request.method == "GET" else None
    start, end = span or (0, size)
    said["Content-Length"] = str(end - start)
    if span:
        said["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    if request.method == "HEAD":
        return Response(headers=said)
    return StreamingResponse(read(start, end), 206 if span else 200, headers=said)


def _span(headers: Headers, size: int, quoted: str) -> tuple[int, int] | None:
    """The range asked for, end exclusive; None stands for everything."""
    found = _RANGE.fullmatch(headers.get("range", ""))
    if not found or found.groups() == ("", "") or headers.get("if-range", quoted) != quoted:
        return None
    first, last = found.groups()
    start = int(first) if first else max(0, size - int(last))
    end = min(int(last) + 1, size) if first and last else size
    if first and last and int(last) < int(first):
        return None
    if start >= size:
        raise Refusal(
            416, f"The range begins behind the end, at {size} bytes", headers={"Content-Range": f"bytes */{size}"}
        )
    return start, end


def _has(asked: str | None, quoted: str) -> bool:
    """Whether `If-None-Match` names this content."""
    if asked is None:
        return False
    return asked.strip() == "*" or quoted in [one.strip().removeprefix("W/") for one in asked.split(",")]
