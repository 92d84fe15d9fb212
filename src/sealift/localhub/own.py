"""The local Hub's own routes: counters, and faults on demand."""

from __future__ import annotations

import json

from starlette.responses import JSONResponse, Response

from sealift.localhub.calls import Call
from sealift.localhub.contents import disk_bytes
from sealift.localhub.refusals import bad_request
from sealift.localhub.settings import USER


def counts(call: Call) -> Response:
    """`GET /-/counts`: what was asked and moved since the start, and the bytes that the root takes now."""
    call.must_write(USER)
    hub = call.hub
    _, packed, packed_new = hub.cas.stored()
    stored = {
        "bytes": disk_bytes(hub.settings.root),
        "received": hub.contents.received + packed,
        "new": hub.contents.new + packed_new,
    }
    return JSONResponse(hub.tally.as_json() | {"stored": stored})


def faults(call: Call) -> Response:
    """`POST /-/faults`: these faults are in force from now on, in place of those before."""
    call.must_write(USER)
    try:
        call.hub.plan.replace(json.loads(call.body))
    except (ValueError, TypeError) as error:
        raise bad_request(f"These are no faults: {error}") from error
    return JSONResponse({})
