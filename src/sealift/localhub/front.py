"""What every request passes, whatever it is: host check, raw path, counters, quotas, faults on demand."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from urllib.parse import unquote

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.routing import BaseRoute, Match, Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sealift.localhub.answers import answer
from sealift.localhub.calls import KINDS
from sealift.localhub.counts import Bucket, Tally
from sealift.localhub.faults import Fault, Plan
from sealift.localhub.refusals import Refusal
from sealift.localhub.troubled import Troubled

_LOOPBACK = re.compile(r"(?:127\.0\.0\.1|localhost|\[::1\])(?::\d{1,5})?")
_OWN = "/-/"
"""Paths of the local Hub's own routes: not counted, never faulty."""
_RESOLVERS = ("resolve", "raw")
_UNMETERED = ("lfs-", "cas-", "other")


class Front:
    """The outermost application. Bodies pass through it in pieces."""

    def __init__(
        self,
        app: ASGIApp,
        routes: Sequence[BaseRoute],
        tally: Tally,
        plan: Plan,
        collect: Callable[[Fault], object],
    ) -> None:
        self._app = app
        self._routes = routes
        self._tally = tally
        self._plan = plan
        self._collect = collect
        self._ended = asyncio.Event()

    def end(self) -> None:
        """Let go of requests that a fault holds: the server ends."""
        self._ended.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # The server decodes the path before it is cut at slashes; a revision may hold one, as `refs%2Fpr%2F1`.
        scope["path"] = scope["raw_path"].decode("latin-1")
        identified = _with_headers(send, {"X-Request-Id": secrets.token_hex(12)})
        if not _LOOPBACK.fullmatch(Headers(scope=scope).get("host", "")):
            # A page in a browser may have its own name point here: it must not reach the Hub by that.
            refusal = Refusal(421, "The local Hub answers to 127.0.0.1 and localhost only")
            await refusal.response()(scope, receive, identified)
        elif scope["path"].startswith(_OWN):
            await self._app(scope, receive, identified)
        else:
            await self._counted(scope, receive, identified)

    async def _counted(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind, about = matched(self._routes, scope)
        allowance = self._tally.request(kind, bucket(kind))
        receiving, bare = _metered(receive, send, self._tally)
        sending = _with_headers(bare, allowance.headers if allowance else {})
        if allowance and allowance.left < 0:
            refusal = Refusal(429, f"Too many requests; come back in {allowance.seconds} seconds")
            await refusal.response()(scope, receiving, sending)
            return
        if collecting := self._plan.due():
            await run_in_threadpool(self._collect, collecting)
        met = self._plan.next(kind, scope["method"], list(_paths(scope, about)))
        if met is None:
            await self._app(scope, receiving, sending)
        elif met.fault.drop or met.fault.replaces:
            # Its headers are those that were asked for, without what is left of the quota: clients wait by that.
            said = None if met.fault.drop else answer(met.fault, kind, bucket(kind) or "api")
            await Troubled(met, self._ended, scope, receiving, bare).replaced(self._app, said)
        else:
            await Troubled(met, self._ended, scope, receiving, sending).through(self._app)


def matched(routes: Sequence[BaseRoute], scope: Scope) -> tuple[str, dict[str, Any]]:
    """The name of the route that answers this request, and the parts of its path.

    `/api/{type}` matches more than there are types.
    """
    for route in routes:
        match, child = route.matches(scope)
        if match is not Match.FULL:
            continue
        if isinstance(route, Mount):
            return matched(route.routes, {**scope, **child})
        if isinstance(route, Route) and child["path_params"].get("type", "models") in KINDS:
            return route.name, child["path_params"]
    return "other", {}


def _paths(scope: Scope, about: dict[str, Any]) -> Iterator[str]:
    """What a pattern of paths is held against: that of the request, and the file that it is about."""
    yield unquote(scope["path"])
    if "path" in about:
        yield unquote(about["path"])


def bucket(kind: str) -> Bucket | None:
    """The quota that requests of this kind count against."""
    if kind in _RESOLVERS:
        return "resolvers"
    return None if kind.startswith(_UNMETERED) else "api"


def _with_headers(send: Send, headers: dict[str, str]) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(headers)
        await send(message)

    return sending


def _metered(receive: Receive, send: Send, tally: Tally) -> tuple[Receive, Send]:
    """Both ways with the bytes of bodies counted."""

    async def receiving() -> Message:
        message = await receive()
        tally.moved(len(message.get("body", b"")), 0)
        return message

    async def sending(message: Message) -> None:
        tally.moved(0, len(message.get("body", b"")))
        await send(message)

    return receiving, sending
