"""The store over HTTP: the routes of the Xet protocol that the released client needs. It does without the others."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from sealift.localhub.cas import hashes, shard
from sealift.localhub.cas.files import Files
from sealift.localhub.cas.losses import SPOILS, Losses
from sealift.localhub.cas.reconstruction import reconstruction
from sealift.localhub.cas.refusals import Refused
from sealift.localhub.cas.tokens import Scope, Signer
from sealift.localhub.cas.xorbs import Xorbs

_PIECE = 1024 * 1024
_ADDRESS_SECONDS = 3600
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_LOG = logging.getLogger(__name__)
Handler = Callable[[Request], Awaitable[Response]]


class Api:
    """What clients may ask of the store. What takes time is done in threads."""

    def __init__(self, xorbs: Xorbs, files: Files, losses: Losses, signer: Signer, url_path: str) -> None:
        self._xorbs = xorbs
        self._files = files
        self._losses = losses
        self._signer = signer
        self._url_path = url_path

    def routes(self) -> list[BaseRoute]:
        """The routes below `url_path`."""
        get, post = ["GET"], ["POST"]
        xorb = "/v1/xorbs/default/{hash}"
        # The released client says `default` where the protocol's page says `default-merkledb`.
        chunk = "/v1/chunks/{prefix}/{hash}"
        return [
            Route(chunk, self._with_token("read", self._chunk), methods=get, name="cas-chunk"),
            Route(xorb, self._with_token("write", self._put_xorb), methods=post, name="cas-xorb-put"),
            Route(xorb, _answered(self._get_xorb), methods=get, name="cas-xorb-get"),
            Route("/v1/shards", self._with_token("write", self._put_shard), methods=post, name="cas-shard"),
            Route(
                "/v1/reconstructions/{hash}",
                self._with_token("read", self._reconstruction),
                methods=get,
                name="cas-reconstruction",
            ),
        ]

    def _with_token(self, scope: Scope, handler: Handler) -> Handler:
        async def checked(request: Request) -> Response:
            kind, _, token = request.headers.get("authorization", "").partition(" ")
            self._signer.check_token(token if kind.lower() == "bearer" else "", scope)
            return await handler(request)

        return _answered(checked)

    async def _chunk(self, request: Request) -> Response:
        """The chunks around this one, so that a client need not send what is here already."""
        known = await run_in_threadpool(self._files.with_chunk, hashes.parse(request.path_params["hash"]))
        if not known:
            raise Refused(404, "no xorb is known by this chunk")
        body = await run_in_threadpool(shard.answer, known, int(time.time()))
        return Response(body, media_type="application/octet-stream")

    async def _put_xorb(self, request: Request) -> Response:
        name = hashes.parse(request.path_params["hash"])
        if await run_in_threadpool(self._xorbs.has, name):
            async for piece in _pieces(request):
                self._xorbs.count(len(piece))
            await run_in_threadpool(self._xorbs.came_again, name)
            return JSONResponse({"was_inserted": False})
        with await run_in_threadpool(self._xorbs.receive) as incoming:
            async for piece in _pieces(request):
                await run_in_threadpool(incoming.write, piece)
            new = await run_in_threadpool(incoming.finish, name)
        return JSONResponse({"was_inserted": new})

    async def _get_xorb(self, request: Request) -> Response:
        written, query = request.path_params["hash"], request.query_params
        self._signer.check_signature(f"xorb {written}", query.get("expires", ""), query.get("signature", ""))
        name = hashes.parse(written)
        if not await run_in_threadpool(self._xorbs.has, name):
            raise Refused(404, "the xorb is not here any more")
        size = int((await run_in_threadpool(self._xorbs.index, name)).packed[-1])
        asked = request.headers.get("range")
        start, end = byte_range(asked, size)
        headers = {"Content-Length": str(end - start), "Accept-Ranges": "bytes"}
        if asked:
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
        return StreamingResponse(
            self._xorbs.packed(name, start, end),
            206 if asked else 200,
            headers=headers,
            media_type="application/octet-stream",
        )

    async def _put_shard(self, request: Request) -> Response:
        with await run_in_threadpool(self._xorbs.scratch) as scratch:
            size = 0
            async for piece in _pieces(request):
                size += len(piece)
                if size > shard.MAX_BYTES:
                    raise Refused(413, f"the shard has more than {shard.MAX_BYTES:,} bytes")
                await run_in_threadpool(scratch.write, piece)
            new = await run_in_threadpool(self._files.accept, scratch)
            if spoils := request.scope.get(SPOILS):
                await run_in_threadpool(self._losses.spoil, scratch, spoils)
        return JSONResponse({"result": int(new)})

    async def _reconstruction(self, request: Request) -> Response:
        return await run_in_threadpool(self._reconstructed, request)

    def _reconstructed(self, request: Request) -> Response:
        name = hashes.parse(request.path_params["hash"])
        file = self._files.get(name)
        if file is None:
            raise Refused(404, f"no file has the hash {hashes.text(name)}")
        start, end = byte_range(request.headers.get("range"), file.size)
        base = f"{request.url.scheme}://{request.headers['host']}{self._url_path}"

        def address(xorb: bytes) -> str:
            written, expiry = hashes.text(xorb), int(time.time()) + _ADDRESS_SECONDS
            query = {"expires": expiry, "signature": self._signer.sign(f"xorb {written}", expiry)}
            return f"{base}/v1/xorbs/default/{written}?{urlencode(query)}"

        cover = self._files.cover(name, start, end)
        return JSONResponse(reconstruction(cover, start, self._xorbs.index, address))


def byte_range(header: str | None, size: int) -> tuple[int, int]:
    """Start and end (exclusive) of what a Range header asks for; all of it without one.

    Raises:
        Refused: 416, it cannot be had or is not one range.
    """
    if header is None:
        return 0, size
    matched = _RANGE.fullmatch(header.strip())
    first, last = matched.groups() if matched else ("", "")
    if first:
        start, end = int(first), min(size, int(last) + 1) if last else size
    else:
        start, end = size - min(size, int(last or 0)), size
    if start >= end:
        raise Refused(416, f"{header!r} has no byte of {size:,}", {"Content-Range": f"bytes */{size}"})
    return start, end


async def _pieces(request: Request) -> AsyncIterator[bytes]:
    """The body in fewer, larger pieces."""
    held: list[bytes] = []
    size = 0
    async for piece in request.stream():
        held.append(piece)
        size += len(piece)
        if size >= _PIECE:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)


def _answered(handler: Handler) -> Handler:
    """The handler, with refusals turned into answers once the body has been taken off the connection."""

    async def answered(request: Request) -> Response:
        try:
            return await handler(request)
        except Refused as refused:
            # The client shows its user the status alone.
            log = _LOG.warning if refused.status in (400, 413) else _LOG.debug
            log("%s %s: %s", request.method, request.url.path, refused)
            try:
                async for _ in request.stream():
                    pass
            except (ClientDisconnect, RuntimeError):
                pass
            return JSONResponse({"error": str(refused)}, refused.status, headers=refused.headers)
        except ClientDisconnect:
            return Response(status_code=400)

    return answered
