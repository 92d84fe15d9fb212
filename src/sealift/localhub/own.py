"""The local Hub's own routes: counters, faults on demand, and the collection of what nobody names."""

from __future__ import annotations

import json

from starlette.responses import JSONResponse, Response

from sealift.localhub.calls import Call
from sealift.localhub.collecting import collect
from sealift.localhub.contents import disk_bytes
from sealift.localhub.faultfile import read
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
        call.hub.plan.replace(read(json.loads(call.body)))
    except ValueError as error:
        raise bad_request(f"These are no faults: {error}") from error
    return JSONResponse({})


def in_force(call: Call) -> Response:
    """`GET /-/faults`: each of them, how many requests it was about, and to how many it has happened."""
    call.must_write(USER)
    return JSONResponse(call.hub.plan.as_json())


def collected(call: Call) -> Response:
    """`POST /-/collect`: content that no commit of a reference names goes now; says how much went."""
    call.must_write(USER)
    said = call.json()
    older_than, remembers = said.get("older_than", 0), said.get("remembers", False)
    if not isinstance(older_than, int | float) or not isinstance(remembers, bool):
        raise bad_request("`older_than` is a number of seconds, and `remembers` is true or false")
    return JSONResponse(collect(call.hub, older_than, remembers=remembers))
