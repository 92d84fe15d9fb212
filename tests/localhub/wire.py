"""A plain HTTP caller: the Hub is asked for things here that its official clients would never send."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from typing import Any
from urllib.parse import urlsplit

from tests.hubs import Hub

SECONDS = 60


@dataclass(frozen=True)
class Answer:
    """What came back, read to its end."""

    status: int
    headers: Message
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """What a person is told."""
        return str(self.json()["error"])

    @property
    def code(self) -> str | None:
        """What a client is told."""
        return self.headers.get("X-Error-Code")

    @property
    def next(self) -> str | None:
        """The next page."""
        link = self.headers.get("Link")
        return None if link is None else link.partition("<")[2].partition(">")[0]


@dataclass(frozen=True)
class Wire:
    """Calls a Hub. A path is sent as it stands; a whole address, too, if it leads to this Hub."""

    hub: Hub

    def __call__(
        self,
        method: str,
        path: str,
        said: object = None,
        *,
        body: bytes | None = None,
        token: str | None = "",
        headers: Mapping[str, str] | None = None,
        seconds: float = SECONDS,
    ) -> Answer:
        """One request in a connection of its own; the token is the one that may write, none if None."""
        sent = dict(headers or {})
        if token is not None:
            sent.setdefault("Authorization", f"Bearer {token or self.hub.token}")
        if said is not None:
            body = json.dumps(said).encode()
            sent.setdefault("Content-Type", "application/json")
        connection = http.client.HTTPConnection(self.place[0], self.place[1], timeout=seconds)
        try:
            connection.request(method, path.removeprefix(self.hub.endpoint), body, sent)
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    @property
    def place(self) -> tuple[str, int]:
        found = urlsplit(self.hub.endpoint)
        assert found.hostname and found.port
        return found.hostname, found.port

    def create(self, **more: object) -> Dataset:
        """A new dataset."""
        name = self.hub.name()
        namespace, _, short = name.partition("/")
        made = self("POST", "/api/repos/create", {"name": short, "organization": namespace, "type": "dataset", **more})
        assert made.status == 200, made.body
        return Dataset(self, name)

    def raw(self, data: bytes) -> bytes:
        """What the Hub says to these bytes in a new connection, up to its end."""
        with socket.create_connection(self.place, timeout=SECONDS) as opened:
            opened.sendall(data)
            opened.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: opened.recv(65536), b""))


@dataclass(frozen=True)
class Dataset:
    """A dataset on a Hub."""

    wire: Wire
    name: str

    @property
    def api(self) -> str:
        return f"/api/datasets/{self.name}"

    @property
    def head(self) -> str:
        """The commit that main is at."""
        sha: str = self.wire("GET", self.api).json()["sha"]
        return sha

    def get(self, path: str, **more: Any) -> Answer:
        return self.wire("GET", f"/datasets/{self.name}/resolve/main/{path}", **more)

    def paths(self, revision: str = "main") -> list[str]:
        """Every file, in the order of the listing."""
        found, page = [], f"{self.api}/tree/{revision}?recursive=true"
        while page:
            answer = self.wire("GET", page)
            assert answer.status == 200, answer.body
            found += [one["path"] for one in answer.json() if one["type"] == "file"]
            page = answer.next or ""
        return found

    def commit(self, *lines: object, to: str = "main", token: str | None = "", **header: object) -> Answer:
        """Send a commit of these lines."""
        sent = [{"key": "header", "value": {"summary": "a commit", **header}}, *lines]
        body = "\n".join(json.dumps(one) for one in sent).encode()
        return self.wire("POST", f"{self.api}/commit/{to}", body=body, token=token)

    def put(self, files: Mapping[str, bytes]) -> str:
        """Commit small files; the id of the commit."""
        answer = self.commit(*(small(path, data) for path, data in files.items()))
        assert answer.status == 200, answer.body
        oid: str = answer.json()["commitOid"]
        return oid

    def batch(self, data: bytes, **more: object) -> dict[str, Any]:
        """What the Hub wants to have done to get this content by LFS."""
        objects = [{"oid": sha256(data), "size": len(data)}]
        path = f"/datasets/{self.name}.git/info/lfs/objects/batch"
        answer = self.wire("POST", path, {"operation": "upload", "objects": objects, **more})
        assert answer.status == 200, answer.body
        [one] = answer.json()["objects"]
        return dict(one)

    def send(self, data: bytes) -> str:
        """Upload content by LFS, whole; its SHA-256."""
        one = self.batch(data)
        if "actions" in one:
            assert self.wire("PUT", one["actions"]["upload"]["href"], body=data, token=None).status == 200
        return sha256(data)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def small(path: str, data: bytes) -> object:
    """A line that adds a small file."""
    content = base64.b64encode(data).decode()
    return {"key": "file", "value": {"path": path, "content": content, "encoding": "base64"}}


def large(path: str, oid: str, size: int | None = None) -> object:
    """A line that adds content that was uploaded."""
    value = {"path": path, "algo": "sha256", "oid": oid} | ({} if size is None else {"size": size})
    return {"key": "lfsFile", "value": value}


def gone(path: str, *, folder: bool = False) -> object:
    """A line that deletes."""
    return {"key": "deletedFolder" if folder else "deletedFile", "value": {"path": path}}


def refused(answer: Answer, status: int, words: str, code: str | None = None) -> None:
    """Hold that the answer is a refusal that says so in every way that clients look at."""
    assert (answer.status, answer.code) == (status, code), answer.body
    assert words in answer.error
    assert answer.headers["X-Request-Id"]
    assert words.isascii() is False or words in answer.headers["X-Error-Message"]
