"""Tokens for the store of chunks: what a client needs to send and fetch content by Xet."""

from __future__ import annotations

from typing import Literal

from starlette.responses import JSONResponse, Response

from sealift.localhub.calls import Call
from sealift.localhub.faults import Met
from sealift.localhub.refusals import Refusal, bad_request
from sealift.localhub.troubled import MET

CAS = "/cas"
_MOST = 1000


def read_token(call: Call) -> Response:
    """`GET …/xet-read-token/{rev}`: for who may read the repository."""
    return _token(call, "read")


def write_token(call: Call) -> Response:
    """`GET …/xet-write-token/{rev}`: for who may write to it; the revision may be one that is yet to come."""
    return _token(call, "write")


def duplicate(call: Call) -> Response:
    """`POST …/lfs-files/duplicate`: another repository is to have these files.

    Content is shared between repositories, so it only has to be here.
    """
    files = call.json().get("files")
    if not isinstance(files, list) or len(files) > _MOST:
        raise bad_request(f"`files` is an array of at most {_MOST} objects")
    with call.hub.state.reading() as db:
        call.repo(db)
    oids = [str(one.get("sha256")) for one in files if isinstance(one, dict)]
    failed = [{"sha256": oid, "error": "not here"} for oid in oids if call.hub.find_large(oid) is None]
    return JSONResponse({"success": not failed, "failed": failed})


def _token(call: Call, scope: Literal["read", "write"]) -> Response:
    if not call.hub.settings.xet:
        raise Refusal(404, "This Hub has no Xet: upload by LFS (HF_HUB_DISABLE_XET=1)")
    with call.hub.state.reading() as db:
        call.repo(db, write=scope == "write")
    met: Met | None = call.request.scope.get(MET)
    seconds = met.fault.token_seconds if met else None
    token, until = call.hub.cas.token(scope) if seconds is None else call.hub.cas.token(scope, seconds)
    url = f"{call.endpoint}{CAS}"
    headers = {"X-Xet-Access-Token": token, "X-Xet-Token-Expiration": str(until), "X-Xet-Cas-Url": url}
    return JSONResponse({"accessToken": token, "exp": until, "casUrl": url}, headers=headers)
