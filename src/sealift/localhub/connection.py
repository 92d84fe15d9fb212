"""A connection: answers go out at once, long bodies come in without being copied, and faults may break it off."""

from __future__ import annotations

import socket
from asyncio import BaseTransport, Transport
from typing import Any, cast

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.h11_impl import H11Protocol

from sealift.localhub.troubled import CONNECTION

RECEIVED = 1 << 20
"""Bytes that are taken off the socket at a time, where asyncio takes a quarter: each time costs a round of the loop."""


class Connection(H11Protocol):
    """One client's connection."""

    def connection_made(self, transport: BaseTransport) -> None:
        """Begin: without delay, in large pieces, and with a way for faults to break it off."""
        # asyncio does so for sockets that say they are TCP; one that was made with the default protocol does not.
        # Without it, each answer of two packets waits 40 ms for the acknowledgement of the first.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        cast(Any, transport).max_size = RECEIVED
        super().connection_made(cast(Transport, transport))
        self.app = _with_connection(self.app, cast(Transport, transport))

    def data_received(self, data: bytes) -> None:
        """Pass what is within a body to the application as it is; h11 and uvicorn would copy it five times.

        The ends of a body, and all else, go their way: where h11 is another than we know, everything does.
        """
        reader: Any = getattr(self.conn, "_reader", None)
        missing = getattr(reader, "_remaining", 0)
        if len(data) >= missing or self.cycle.response_complete or self.conn.trailing_data[0]:
            super().data_received(data)
            return
        reader._remaining = missing - len(data)
        # Its bytearray would be copied once more when the application takes it.
        body: Any = self.cycle.body + data if self.cycle.body else data
        self.cycle.body = body
        if len(body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        self.cycle.message_event.set()


def _with_connection(app: ASGIApp, transport: Transport) -> ASGIApp:
    """The application, whose requests know their connection: faults on demand need that."""

    async def called(scope: Scope, receive: Receive, send: Send) -> None:
        scope.setdefault("extensions", {})[CONNECTION] = transport
        await app(scope, receive, send)

    return called
