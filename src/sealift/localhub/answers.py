"""The answers that a fault gives in place of the application's, as the Hub and what stands before it word them."""

from __future__ import annotations

import math
import time
from email.utils import formatdate

from starlette.responses import JSONResponse, Response

from sealift.localhub.faults import Fault

_SIGNED = ("lfs-put", "lfs-part", "lfs-complete", "lfs-verify", "lfs-get", "cas-xorb-get")
"""Kinds that no token opens, but the signature in their address."""
_QUOTA, _WINDOW = 1000, 300
_WITHOUT_BODY = (204, 304)


def answer(fault: Fault, kind: str, bucket: str) -> Response:
    """What the caller gets to hear; `bucket` is the quota that the request counts against."""
    status, error = _said(fault, kind)
    headers = _waits(fault, bucket) | dict(fault.headers)
    if status in _WITHOUT_BODY:
        return Response(status_code=status, headers=headers)
    return JSONResponse({"error": error} if fault.body is None else fault.body, status, headers)


def _said(fault: Fault, kind: str) -> tuple[int, str]:
    if fault.expired and kind in _SIGNED:
        return fault.status or 403, "The address has expired: ask for another one"
    if fault.expired and kind.startswith("cas-"):
        return fault.status or 401, "the token is not valid, or not any more: ask the Hub for a new one"
    if fault.expired:
        return fault.status or 401, "Invalid credentials in Authorization header"
    if fault.status is None:
        return (200 if fault.body is not None else 429), f"fault on demand: {kind}"
    return fault.status, f"fault on demand: {kind}"


def _waits(fault: Fault, bucket: str) -> dict[str, str]:
    """How long to wait, in each of the forms that are asked for."""
    headers = {}
    if fault.retry_after is not None:
        headers["Retry-After"] = str(math.ceil(fault.retry_after))
    if fault.retry_date is not None:
        # Such a date has no fractions, and must not be earlier than was asked for.
        headers["Retry-After"] = formatdate(math.ceil(time.time() + fault.retry_date), usegmt=True)
    if fault.rate_limit is not None:
        headers["RateLimit"] = f'"{bucket}";r=0;t={math.ceil(fault.rate_limit)}'
        headers["RateLimit-Policy"] = f'"fixed window";"{bucket}";q={_QUOTA};w={_WINDOW}'
    return headers
