"""One request: who calls, about which repository, with what; handlers get it, and run in threads."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from sealift.localhub.hub import Hub
from sealift.localhub.refusals import Refusal, bad_request, bad_token, no_repo, no_rights, no_token, too_large
from sealift.localhub.revisions import Repo, find_repo
from sealift.localhub.secrets import Role
from sealift.localhub.settings import USER

KINDS = {"datasets": "dataset", "models": "model", "spaces": "space"}
_BODY = 64_000_000
"""The largest body that is read whole: 256 samples or some thousand paths are far below."""


@dataclass(frozen=True)
class Call:
    """A request with its body, if that was read."""

    hub: Hub
    request: Request
    body: bytes = b""

    def part(self, name: str) -> str:
        """A part of the path; they are cut at slashes before they are decoded."""
        return unquote(str(self.request.path_params[name]))

    def query(self, name: str) -> str | None:
        """A parameter of the query."""
        return self.request.query_params.get(name)

    def asks(self, name: str) -> bool:
        """Whether a parameter is there and says yes."""
        return (self.query(name) or "").lower() in ("1", "true")

    def json(self) -> dict[str, Any]:
        """The body as an object.

        Raises:
            Refusal: it is none.
        """
        try:
            found = json.loads(self.body or b"{}")
        except ValueError as error:
            raise bad_request(f"The body is not JSON: {error}") from error
        if not isinstance(found, dict):
            raise bad_request("The body must be a JSON object")
        return found

    def form(self) -> dict[str, list[Any]]:
        """The body as lists of values, be it JSON or a form."""
        if self.request.headers.get("content-type", "").startswith("application/json"):
            return {key: value if isinstance(value, list) else [value] for key, value in self.json().items()}
        try:
            return dict(parse_qs(self.body.decode(), keep_blank_values=True))
        except ValueError as error:
            raise bad_request(f"The body is no form: {error}") from error

    @property
    def endpoint(self) -> str:
        """How the caller reaches this Hub: addresses that it gets must be on the same host."""
        return f"http://{self.request.headers['host']}"

    @property
    def kind(self) -> str:
        """The type of the repository that the path names, models if it names none.

        Raises:
            Refusal: there is no such type.
        """
        plural = self.request.path_params.get("type", "models")
        if plural not in KINDS:
            raise Refusal(404, f"{self.request.url.path} is not served by the local Hub")
        return KINDS[plural]

    @property
    def name(self) -> str:
        """The `namespace/name` that the path names."""
        return f"{self.part('namespace')}/{self.part('name')}"

    def role(self) -> Role | None:
        """What the caller's token allows; None without a token.

        Raises:
            Refusal: the token is none of ours.
        """
        scheme, _, token = self.request.headers.get("authorization", "").partition(" ")
        if not scheme:
            return None
        role = self.hub.secrets.role(token.strip()) if scheme.lower() == "bearer" else None
        if role is None:
            raise bad_token()
        return role

    def must_write(self, namespace: str) -> None:
        """Raises a refusal if the caller may not write to that namespace."""
        role = self.role()
        if role is None:
            raise no_token()
        orgs = self.hub.settings.orgs
        if role != "write":
            raise no_rights("this token may only read; use one with the role `write`")
        if namespace != USER and orgs is not None and namespace not in orgs:
            raise no_rights(f'you don\'t have the rights to write to the namespace "{namespace}"')

    def repo(self, db: sqlite3.Connection, *, write: bool = False) -> Repo:
        """The repository of the path, if the caller may see it, and write to it if asked.

        Raises:
            Refusal: it is not there for this caller.
        """
        role = self.role()
        found = find_repo(db, self.kind, self.name)
        if found is None or (found.private and role is None):
            raise no_repo(anonymous=role is None)
        if write:
            self.must_write(self.part("namespace"))
        return found


Handler = Callable[[Call], Response]
StreamHandler = Callable[[Call], Awaitable[Response]]


def whole(hub: Hub, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    """An endpoint that reads the body whole and answers in a thread."""

    async def endpoint(request: Request) -> Response:
        body = bytearray()
        async for piece in request.stream():
            body += piece
            if len(body) > _BODY:
                raise too_large(f"A body of more than {_BODY} bytes is not taken here")
        return await run_in_threadpool(handler, Call(hub, request, bytes(body)))

    return endpoint


def streamed(hub: Hub, handler: StreamHandler) -> Callable[[Request], Awaitable[Response]]:
    """An endpoint that takes the body in pieces."""

    async def endpoint(request: Request) -> Response:
        return await handler(Call(hub, request))

    return endpoint


def web_prefix(repo: Repo) -> str:
    """What comes before a repository's name in an address for people."""
    return "" if repo.type == "model" else f"{repo.type}s/"
