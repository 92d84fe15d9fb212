"""Large files over plain HTTP: where to send them, whole or in parts, and whether they arrived."""

from __future__ import annotations

import re
import secrets
import time
from math import ceil
from typing import Any
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from sealift.localhub.calls import Call
from sealift.localhub.cas import SPOILS
from sealift.localhub.contents import PIECE, Incoming
from sealift.localhub.refusals import Refusal, bad_request
from sealift.localhub.serving import serve_bytes

_VALID = 24 * 3600
"""Seconds for which an address is good."""
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MOST = 1000


def batch(call: Call) -> Response:
    """`POST …/objects/batch`: addresses for what has to be sent, or can be fetched; none for what is there already."""
    said = call.json()
    operation, objects = said.get("operation"), said.get("objects")
    if operation not in ("upload", "download") or not isinstance(objects, list) or len(objects) > _MOST:
        raise bad_request(f"A batch has an operation, upload or download, and at most {_MOST} objects")
    if said.get("hash_algo", "sha256") != "sha256":
        raise Refusal(409, "Objects are named by their sha256")
    with call.hub.state.reading() as db:
        call.repo(db, write=operation == "upload")
    multipart = "multipart" in (said.get("transfers") or ["basic"])
    answers = [_object(call, one, operation, multipart=multipart) for one in objects]
    parted = any("chunk_size" in one.get("actions", {}).get("upload", {}).get("header", {}) for one in answers)
    found = {"transfer": "multipart" if parted else "basic", "hash_algo": "sha256", "objects": answers}
    return JSONResponse(found, media_type="application/vnd.git-lfs+json")


async def put(call: Call) -> Response:
    """`PUT` of a whole object: kept if size and hash are those that the address is for."""
    oid, size = _signed(call, "put")
    with call.hub.contents.incoming() as incoming:
        await _receive(call, incoming, size)
        await run_in_threadpool(_keep, call, incoming, oid, size)
    await run_in_threadpool(_spoil, call, oid)
    return Response(status_code=200)


async def put_part(call: Call) -> Response:
    """`PUT` of one part; its `ETag` is needed to complete the object."""
    _, size = _signed(call, "part")
    with call.hub.contents.incoming() as incoming:
        await _receive(call, incoming, size)
        if incoming.size != size:
            raise bad_request(f"The part has {incoming.size} bytes, not {size}")
        await run_in_threadpool(
            call.hub.contents.keep_part, call.query("upload") or "", int(call.query("number") or 0), incoming
        )
    return Response(headers={"ETag": f'"{incoming.sha256}"'})


def complete(call: Call) -> Response:
    """`POST` after the last part: the object, if all parts are there and give its hash."""
    oid, size = _signed(call, "complete")
    upload, said = call.query("upload") or "", call.json().get("parts")
    count = ceil(size / call.hub.settings.lfs_part_size)
    etags = {one.get("partNumber"): str(one.get("etag")).strip('"') for one in said or [] if isinstance(one, dict)}
    if sorted(map(str, etags)) != sorted(map(str, range(1, count + 1))):
        raise bad_request(f"The parts are not 1 to {count}: {sorted(map(str, etags))[:20]}")
    contents = call.hub.contents
    if contents.size(oid) is not None:
        contents.drop_parts(upload)
        return JSONResponse({"success": True})
    with contents.incoming() as incoming:
        for number in range(1, count + 1):
            part = contents.part(upload, number, etags[number]) if _SHA256.fullmatch(etags[number]) else None
            if part is None:
                raise bad_request(f"Part {number} is not here with the ETag {etags[number]!r}")
            with open(part, "rb", buffering=0) as file:
                while piece := file.read(PIECE):
                    incoming.write(piece)
        _keep(call, incoming, oid, size)
    contents.drop_parts(upload)
    _spoil(call, oid)
    return JSONResponse({"success": True})


def verify(call: Call) -> Response:
    """`POST` after an upload: whether the object is here, with that size."""
    oid, size = _signed(call, "verify")
    said = call.json()
    if said.get("oid", oid) != oid or call.hub.contents.size(oid) is None:
        raise Refusal(404, f"The object {oid} is not here")
    if said.get("size", size) != call.hub.contents.size(oid):
        raise bad_request(f"The object {oid} has {call.hub.contents.size(oid)} bytes, not {said.get('size')}")
    return JSONResponse({"success": True})


def get(call: Call) -> Response:
    """`GET` of an object by an address from a batch."""
    oid, size = _signed(call, "get")
    if (large := call.hub.find_large(oid)) is None:
        raise Refusal(404, f"The object {oid} is not here")
    return serve_bytes(call.request, size, oid, call.hub.reader(large), {"Content-Type": "application/octet-stream"})


def _object(call: Call, one: Any, operation: str, *, multipart: bool) -> dict[str, Any]:
    oid, size = (one.get("oid"), one.get("size")) if isinstance(one, dict) else (None, None)
    if not isinstance(oid, str) or not _SHA256.fullmatch(oid) or not isinstance(size, int) or size < 0:
        raise bad_request(f"An object is a sha256 in lower case and a size, not {str(one)[:100]}")
    answer: dict[str, Any] = {"oid": oid, "size": size, "authenticated": True}
    found = call.hub.find_large(oid)
    if found and found.size != size:
        return answer | {"error": {"code": 422, "message": f"{oid} has {found.size} bytes, not {size}"}}
    if operation == "download":
        missing = {"error": {"code": 404, "message": f"{oid} is not here"}}
        return answer | ({"actions": {"download": {"href": _address(call, "get", oid, size)}}} if found else missing)
    if found or oid in call.hub.remembered:
        return answer
    upload = _parts(call, oid, size) if multipart and size > call.hub.settings.lfs_multipart_over else None
    upload = upload or {"href": _address(call, "put", oid, size)}
    return answer | {"actions": {"upload": upload, "verify": {"href": _address(call, "verify", oid, size)}}}


def _parts(call: Call, oid: str, size: int) -> dict[str, Any]:
    """One address for each part, and one to complete the object."""
    part, upload = call.hub.settings.lfs_part_size, secrets.token_hex(16)
    header = {"chunk_size": str(part)}
    for number in range(1, ceil(size / part) + 1):
        length = min(part, size - (number - 1) * part)
        header[str(number)] = _address(call, "part", oid, length, upload, number)
    return {"href": _address(call, "complete", oid, size, upload), "header": header}


def _address(call: Call, act: str, oid: str, size: int, upload: str = "", number: int = 0) -> str:
    until = int(time.time()) + _VALID
    said = {"size": size, "until": until, "upload": upload, "number": number}
    signature = call.hub.secrets.sign(act, oid, *said.values())
    return f"{call.endpoint}/lfs/{act}/{oid}?{urlencode({**said, 'signature': signature})}"


def _signed(call: Call, act: str) -> tuple[str, int]:
    """What an address is for: the object, and the bytes expected.

    Raises:
        Refusal: this Hub did not make it, or it is too old.
    """
    said = [call.query(name) or "" for name in ("size", "until", "upload", "number")]
    oid = call.part("oid")
    if not call.hub.secrets.signed(call.query("signature") or "", act, oid, *said):
        raise Refusal(403, "The address is not signed by this Hub")
    if int(said[1]) < time.time():
        raise Refusal(403, "The address has expired: ask for another one")
    return oid, int(said[0])


async def _receive(call: Call, incoming: Incoming, most: int) -> None:
    """Write the body as it comes, in pieces large enough to be worth a thread."""
    waiting = bytearray()
    async for piece in call.request.stream():
        waiting += piece
        if incoming.size + len(waiting) > most:
            raise bad_request(f"The body has more than the {most} bytes expected")
        if len(waiting) >= PIECE:
            await run_in_threadpool(incoming.write, bytes(waiting))
            waiting.clear()
    await run_in_threadpool(incoming.write, bytes(waiting))


def _keep(call: Call, incoming: Incoming, oid: str, size: int) -> None:
    if incoming.size != size:
        raise bad_request(f"{incoming.size} bytes came, not {size}")
    if incoming.sha256 != oid:
        raise bad_request(f"The bytes that came have the sha256 {incoming.sha256}, not {oid}")
    call.hub.contents.keep(incoming)
    call.hub.remembered.pop(oid, None)


def _spoil(call: Call, oid: str) -> None:
    """Turn bits of what was checked and kept, if the request meets a fault that does so."""
    if spoils := call.request.scope.get(SPOILS):
        call.hub.contents.spoil(oid, spoils)
