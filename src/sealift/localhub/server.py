"""The process: one listening socket on loopback, a line when it is ready, a clean stop on a signal."""

from __future__ import annotations

import asyncio
import fcntl
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from sealift.localhub.app import opened
from sealift.localhub.connection import Connection
from sealift.localhub.settings import Settings

GRACE = 3
"""Seconds that answers under way have to end after the stop signal."""
KEEP_ALIVE = 300
"""Seconds that a connection may be idle: longer than any client keeps one, so that no request meets a closing one."""


class RootInUse(Exception):
    """Another process serves this root."""


def serve(settings: Settings, ready: Callable[[Mapping[str, str]], None]) -> None:
    """Serve until SIGTERM or SIGINT; `ready` is called once, with address and tokens, when requests are answered.

    Raises:
        RootInUse: another process serves this root.
        OSError: the port is taken, or the root cannot be written.
    """
    with _only_one(settings.root), opened(settings) as (app, tokens):
        listening = socket.create_server(("127.0.0.1", settings.port))
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        config = uvicorn.Config(
            app,
            http=Connection,
            ws="none",
            lifespan="off",
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE,
            timeout_graceful_shutdown=GRACE,
        )
        said = {"endpoint": address, **tokens, "root": str(settings.root)}
        server = _Server(config, ready=lambda: ready(said), end=app.end)
        asyncio.run(server.serve(sockets=[listening]))


class _Server(uvicorn.Server):
    """Says when it is ready and when it ends, and does not raise the stop signal again after a clean stop."""

    def __init__(self, config: uvicorn.Config, *, ready: Callable[[], None], end: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready
        self._end = end

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._end()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {one: signal.signal(one, self.handle_exit) for one in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)


@contextmanager
def _only_one(root: Path) -> Iterator[None]:
    """Hold the root; a killed process holds nothing."""
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open(root / "lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RootInUse(f"{root} is served by another process; stop that one or choose another --root") from error
        yield
