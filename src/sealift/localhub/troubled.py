"""A request that meets a fault: what happens to its body, to its answer and to its connection on the way."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from contextlib import suppress
from typing import cast

from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sealift.localhub.cas import SPOILS
from sealift.localhub.faults import Met, Share
from sealift.localhub.passing import Passing

CONNECTION = "sealift.localhub.connection"
"""The extension of an ASGI scope that has the connection's transport."""
MET = "sealift.localhub.met"
"""The key of a scope under which handlers find the fault that their request meets."""
_LOOK = 0.2
"""Seconds between looks whether the client is still there, while nothing is read from it."""
_FLUSH = 5.0
"""Seconds that what was sent before a cut has to reach the client."""
_ESTABLISHED = 1
_GONE: Message = {"type": "http.disconnect"}


class DiskFull(Exception):
    """There is no room for what comes; `status` is the answer's."""

    def __init__(self, status: int) -> None:
        super().__init__("No space left on device")
        self.status = status


class Troubled:
    """One request on its way through the application, with its fault. It ends when the client or the server does."""

    def __init__(self, met: Met, ended: asyncio.Event, scope: Scope, receive: Receive, send: Send) -> None:
        self._met = met
        self._fault = met.fault
        self._ended = ended
        self._scope = scope
        self._receive = receive
        self._send = send
        self._transport = cast(asyncio.Transport, scope["extensions"][CONNECTION])
        self._known = {**scope, MET: met, SPOILS: met.spoils if met.fault.flip_stored else None}
        self._over = False
        self._answered = False
        self._incoming = self._request_body()
        self._outgoing = Passing()

    async def through(self, app: ASGIApp) -> None:
        """Have the application answer, late, slowly, wrongly or not to the end."""
        if not self._fault.after:
            await self._wait(self._fault.delay)
        if not self._over:
            await app(self._known, self.receive, self.send)
        await self._finished()

    async def replaced(self, app: ASGIApp, answer: Response | None) -> None:
        """Give that answer, or none and hang up; the application acts if it is to, and says it to nobody."""
        if self._fault.after:
            await app(self._known, self.receive, _nowhere)
        await self._wait(self._fault.delay)
        if answer is None and not self._over:
            self._hang_up()
        if answer is not None and not self._over:
            if answer.status_code < 300 and not self._fault.after:
                await self._read_to_the_end()
            await answer(self._scope, self.receive, self.send)
        await self._finished()

    async def receive(self) -> Message:
        """What comes from the client, as the fault lets it through."""
        if self._over:
            return _GONE
        message = await self._receive()
        if message["type"] != "http.request" or self._incoming.done:
            return message
        more = bool(message.get("more_body", False))
        piece = self._incoming.take(message.get("body", b""))
        await self._pace(len(piece), self._fault.slow_request)
        if self._incoming.done or not more:
            more = await self._at_the_end_of_the_request(more)
        return _GONE if self._over else {"type": "http.request", "body": piece, "more_body": more}

    async def send(self, message: Message) -> None:
        """What goes to the client, as the fault lets it through."""
        if not self._answered:
            await self._begin(message)
            return
        if self._over or self._outgoing.done:
            return
        piece = self._outgoing.take(message.get("body", b""))
        more = bool(message.get("more_body", False))
        if self._outgoing.done:
            more = self._fault.truncate_answer is None
        await self._send_slowly(piece, more=more)
        if self._outgoing.done and not self._over:
            await self._stop_answering()

    # ------------------------------------------------------------------------------------------------------- requests

    def _request_body(self) -> Passing:
        fault = self._fault
        told = dict(self._scope["headers"]).get(b"content-length", b"")
        limit = _first(fault.cut_request, fault.stall_request, fault.truncate_request, fault.disk_full)
        return Passing(limit, int(told) if told.isdigit() else None, self._met, fault.flip_request)

    async def _at_the_end_of_the_request(self, more: bool) -> bool:
        """What is to happen once so much of the body has come, or all of it; whether the application gets more."""
        fault = self._fault
        full = self._incoming.done and fault.disk_full is not None
        self._incoming.done = True
        if fault.cut_request is not None:
            self._hang_up()
        elif fault.stall_request is not None:
            await self._wait(None)
        elif full:
            while more:
                more = bool((await self._receive()).get("more_body", False))
            raise DiskFull(fault.status or 507)
        return more and fault.truncate_request is None

    async def _read_to_the_end(self) -> None:
        while not self._over and not self._incoming.done:
            self._over = (await self.receive())["type"] == "http.disconnect"

    # -------------------------------------------------------------------------------------------------------- answers

    async def _begin(self, message: Message) -> None:
        """The head of the answer, once the request's own trouble is over."""
        fault = self._fault
        if (fault.cut_request, fault.stall_request) != (None, None):
            await self._read_to_the_end()
        if fault.after and not fault.replaces:
            await self._wait(fault.delay)
        self._answered = True
        if self._over:
            return
        headers = MutableHeaders(scope=message)
        told = headers.get("content-length", "")
        size = int(told) if told.isdecimal() else None
        limit = _first(fault.cut_answer, fault.stall_answer, fault.truncate_answer)
        if size == 0 or self._scope["method"] == "HEAD":
            limit = None
        if size is not None and limit is not None:
            # In the middle of a body is before its last byte.
            limit = min(_bytes(limit, size), size - 1)
            if fault.truncate_answer is not None:
                headers["content-length"] = str(limit)
        self._outgoing = Passing(limit, size, self._met, fault.flip_answer)
        await self._send(message)

    async def _send_slowly(self, piece: bytes, *, more: bool) -> None:
        speed = self._fault.slow_answer
        step = max(1, min(1 << 16, int(speed / 10))) if speed else max(1, len(piece))
        for at in range(0, max(1, len(piece)), step):
            part = piece[at : at + step]
            await self._pace(len(part), speed)
            if self._over:
                return
            last = at + step >= len(piece)
            await self._send({"type": "http.response.body", "body": part, "more_body": more or not last})

    async def _stop_answering(self) -> None:
        if self._fault.cut_answer is not None:
            self._over = True
            self._transport.close()
        elif self._fault.stall_answer is not None:
            await self._wait(None)

    # ----------------------------------------------------------------------------------------------------- connection

    def _hang_up(self) -> None:
        self._over = True
        self._transport.abort()

    async def _finished(self) -> None:
        """Return when the connection is closed, if it is to be."""
        if self._over:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._left(), _FLUSH)
            self._transport.abort()
            await self._left()

    async def _left(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def _pace(self, size: int, speed: float | None) -> None:
        if speed and size:
            await self._wait(size / speed)

    async def _wait(self, seconds: float | None) -> None:
        """Let that time pass, or all time; hang up as soon as the client or the server has ended."""
        end = None if seconds is None else time.monotonic() + seconds
        while not self._over and (end is None or time.monotonic() < end):
            if self._ended.is_set() or not _is_there(self._transport):
                self._hang_up()
                return
            left = _LOOK if end is None else min(_LOOK, max(0.0, end - time.monotonic()))
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), left)


def _is_there(transport: asyncio.Transport) -> bool:
    """Whether the client keeps its connection; where the system does not tell, it is taken to."""
    if transport.is_closing():
        return False
    if not hasattr(socket, "TCP_INFO"):
        return True
    told = transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 8)
    return bool(struct.unpack_from("B", told)[0] == _ESTABLISHED)


def _first(*shares: Share | None) -> Share | None:
    return next((one for one in shares if one is not None), None)


def _bytes(share: Share, size: int) -> int:
    return share if isinstance(share, int) else int(share * size)


async def _nowhere(message: Message) -> None:
    """Where an answer goes that nobody gets."""
