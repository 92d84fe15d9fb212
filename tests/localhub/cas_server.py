"""The store of chunks behind a server of its own, for tests that speak to it over HTTP."""

from __future__ import annotations

import http.client
import json
import os
import select
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sealift.localhub.cas import Cas

ROOT = Path(__file__).parents[2]
START_SECONDS, STOP_SECONDS, CALL_SECONDS = 30, 15, 60


@dataclass(frozen=True)
class Answer:
    """What came back for one request."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def said(self) -> Any:
        """The body, which is JSON."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Store:
    """A store that is being served, with tokens for it."""

    root: Path
    port: int
    process: subprocess.Popen[str]
    write: str
    read: str
    expired: str
    expiry: int

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}/cas"

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request, over a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=CALL_SECONDS)
        try:
            given = {"Authorization": f"Bearer {token}"} if token else {}
            connection.request(method, path, body, {**given, **(headers or {})})
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    @contextmanager
    def stopped(self) -> Iterator[Cas]:
        """The same store in this process; its server has ended."""
        self.process.terminate()
        self.process.wait(STOP_SECONDS)
        with closing(Cas(self.root)) as cas:
            yield cas

    def recorded(self) -> set[str]:
        """The SHA-256 of every file that is recorded."""
        with closing(sqlite3.connect(self.root / "cas.sqlite")) as db:
            return {row[0] for row in db.execute("SELECT sha256 FROM files")}

    def kept(self) -> dict[str, tuple[int, int]]:
        """Size and time of change of the files with content, by name."""
        found = [path for path in self.root.rglob("*") if path.is_file() and path.parent.parent.name == "xorbs"]
        return {path.name: (path.stat().st_size, path.stat().st_mtime_ns) for path in found}


@contextmanager
def serving(root: Path, port: int = 0) -> Iterator[Store]:
    """Serve the store in that folder until the end of the block; a log of errors lies beside it."""
    with open(root.with_name(f"{root.name}.log"), "a") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.localhub.cas_server", str(root), str(port)],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            cwd=ROOT,
        )
    assert process.stdout is not None
    try:
        ready, _, _ = select.select([process.stdout], [], [], START_SECONDS)
        line = process.stdout.readline() if ready else ""
        assert line, f"the server did not start: {root.with_name(f'{root.name}.log').read_text()}"
        yield Store(root=root, process=process, **json.loads(line))
    finally:
        process.kill()
        process.wait(STOP_SECONDS)
        process.stdout.close()


def main(root: Path, port: int) -> None:
    """Serve; the tokens are good for an hour."""
    import uvicorn
    from starlette.applications import Starlette
    from starlette.routing import Mount

    # asyncio sends small answers at once only where a socket says that it is TCP.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("127.0.0.1", port))
    listening.listen()
    cas = Cas(root)
    app = Starlette(routes=[Mount("/cas", routes=cas.routes())])
    write, expiry = cas.token("write", 3600)
    said = {"write": write, "read": cas.token("read", 3600)[0], "expired": cas.token("write", -1)[0], "expiry": expiry}
    os.write(1, (json.dumps({"port": listening.getsockname()[1], **said}) + "\n").encode())
    uvicorn.Server(uvicorn.Config(app, http="h11", log_level="warning")).run(sockets=[listening])


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
