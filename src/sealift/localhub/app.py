"""The application: every address of the Hub's API, and what answers it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any, cast

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route

from sealift.localhub import commits, discussions, files, lfs, own, preupload, refs, repos, resolve, xet
from sealift.localhub.calls import KINDS, Handler, StreamHandler, streamed, whole
from sealift.localhub.cas import Cas
from sealift.localhub.collecting import collect
from sealift.localhub.contents import Contents
from sealift.localhub.counts import Tally
from sealift.localhub.faults import Fault, Plan
from sealift.localhub.front import Front
from sealift.localhub.gate import Gate
from sealift.localhub.hub import Hub
from sealift.localhub.refusals import Refusal
from sealift.localhub.secrets import Secrets
from sealift.localhub.settings import USER, Settings
from sealift.localhub.state import State
from sealift.localhub.troubled import DiskFull

_API = "/api/{type}/{namespace}/{name}"
_WEB = ("/{type}/{namespace}/{name}", "/{namespace}/{name}")
"""Addresses of files begin with the type, unless it is a model."""

_WHOLE: list[tuple[str, str, str, Handler]] = [
    ("GET", "/-/counts", "own", own.counts),
    ("GET", "/-/faults", "own", own.in_force),
    ("POST", "/-/faults", "own", own.faults),
    ("POST", "/-/collect", "own", own.collected),
    ("GET", "/api/whoami-v2", "whoami", repos.whoami),
    ("POST", "/api/validate-yaml", "validate-yaml", repos.validate_yaml),
    ("POST", "/api/repos/create", "create-repo", repos.create),
    ("DELETE", "/api/repos/delete", "delete-repo", repos.delete),
    ("POST", "/api/repos/move", "move-repo", repos.move),
    ("GET", "/api/settings/repositories", "storage", repos.storage),
    ("GET", "/api/organizations/{namespace}/settings/repositories", "storage", repos.storage),
    ("GET", "/api/{type}", "list-repos", repos.listed),
    ("GET", _API, "repo-info", repos.info),
    *(("GET", f"/api/{kinds}/{{name}}", "repo-info", repos.without_namespace) for kinds in KINDS),
    *(("GET", f"/api/{kinds}/{{name}}/revision/{{rev}}", "repo-info", repos.without_namespace) for kinds in KINDS),
    ("GET", "/{name}/resolve/{rev}/{path:path}", "resolve", repos.without_namespace),
    ("GET", f"{_API}/revision/{{rev:path}}", "repo-info", repos.info),
    ("PUT", f"{_API}/settings", "settings", repos.settings),
    ("GET", f"{_API}/auth-check", "auth-check", repos.may),
    ("GET", f"{_API}/auth-check/write", "auth-check", repos.may),
    ("GET", f"{_API}/tree/{{rev}}", "tree", files.tree),
    ("GET", f"{_API}/tree/{{rev}}/{{path:path}}", "tree", files.tree),
    ("POST", f"{_API}/paths-info/{{rev}}", "paths-info", files.paths_info),
    ("GET", f"{_API}/refs", "refs", refs.refs),
    ("GET", f"{_API}/commits/{{rev}}", "commits", refs.commits),
    ("POST", f"{_API}/branch/{{branch}}", "branch", refs.create_branch),
    ("DELETE", f"{_API}/branch/{{branch}}", "branch", refs.delete_branch),
    ("POST", f"{_API}/tag/{{rev}}", "tag", refs.create_tag),
    ("DELETE", f"{_API}/tag/{{rev}}", "tag", refs.delete_tag),
    ("POST", f"{_API}/super-squash/{{branch}}", "squash", refs.squash),
    ("GET", f"{_API}/discussions", "discussion", discussions.listed),
    ("POST", f"{_API}/discussions", "discussion", discussions.created),
    ("GET", f"{_API}/discussions/{{num}}", "discussion", discussions.details),
    ("POST", f"{_API}/discussions/{{num}}/{{act:path}}", "discussion", discussions.acted),
    ("POST", f"{_API}/preupload/{{rev}}", "preupload", preupload.preupload),
    ("POST", f"{_API}/lfs-files/duplicate", "lfs-duplicate", xet.duplicate),
    ("GET", f"{_API}/xet-read-token/{{rev:path}}", "xet-token", xet.read_token),
    ("GET", f"{_API}/xet-write-token/{{rev:path}}", "xet-token", xet.write_token),
    *(("POST", f"{web}.git/info/lfs/objects/batch", "lfs-batch", lfs.batch) for web in _WEB),
    ("POST", "/lfs/complete/{oid}", "lfs-complete", lfs.complete),
    ("POST", "/lfs/verify/{oid}", "lfs-verify", lfs.verify),
    ("GET", "/lfs/get/{oid}", "lfs-get", lfs.get),
    *(("GET", f"{web}/resolve/{{rev}}/{{path:path}}", "resolve", resolve.resolve) for web in _WEB),
    *(("GET", f"{web}/raw/{{rev}}/{{path:path}}", "raw", resolve.raw) for web in _WEB),
]
_STREAMED: list[tuple[str, str, str, StreamHandler]] = [
    ("POST", f"{_API}/commit/{{rev}}", "commit", commits.commit),
    ("PUT", "/lfs/put/{oid}", "lfs-put", lfs.put),
    ("PUT", "/lfs/part/{oid}", "lfs-part", lfs.put_part),
]


@contextmanager
def opened(settings: Settings) -> Iterator[tuple[Front, Mapping[str, str]]]:
    """The application over the state in the root, and the user with its tokens; the state is closed afterwards.

    Raises:
        OSError: the root cannot be written, or is of another version.
    """
    secrets = Secrets.of(settings.root)
    state, contents = State(settings.root / "hub.sqlite"), Contents(settings.root)
    tally = Tally({"api": settings.quota_api, "resolvers": settings.quota_resolvers})
    gate = Gate()
    with closing(state), closing(Cas(settings.root / "cas", url_path=xet.CAS, gate=gate)) as cas:
        state.open()
        contents.open()
        hub = Hub(settings, secrets, state, contents, cas, tally, Plan(settings.faults), gate)
        said = {"user": USER, "token": secrets.token, "read_token": secrets.read_token}
        yield application(hub), said


def application(hub: Hub) -> Front:
    """Everything that a request passes."""
    table: list[BaseRoute] = [Route(path, whole(hub, one), methods=[way], name=kind) for way, path, kind, one in _WHOLE]
    table += [Route(path, streamed(hub, one), methods=[way], name=kind) for way, path, kind, one in _STREAMED]
    if hub.settings.xet:
        table.append(Mount(xet.CAS, routes=hub.cas.routes()))
    catch: Mapping[Any, Callable[[Request, Exception], Response]] = {
        Refusal: _refused,
        HTTPException: _unserved,
        ClientDisconnect: _left,
        DiskFull: _full,
        Exception: _failed,
    }
    app = Starlette(routes=table, exception_handlers=catch)
    app.router.redirect_slashes = False
    return Front(app, table, hub.tally, hub.plan, lambda fault: _collect(hub, fault))


def _collect(hub: Hub, fault: Fault) -> None:
    """Collect as this fault says, and let it count if anything went."""
    if any(collect(hub, fault.collect_after or 0.0, remembers=fault.remembers).values()):
        hub.plan.collected(fault)


def _refused(_: Request, error: Exception) -> Response:
    return cast(Refusal, error).response()


def _unserved(request: Request, error: Exception) -> Response:
    status = cast(HTTPException, error).status_code
    return Refusal(status, f"{request.method} {request.url.path} is not served by the local Hub").response()


def _left(*_: object) -> Response:
    """Nobody is there to read this."""
    return Response(status_code=400)


def _full(_: Request, error: Exception) -> Response:
    """The disk is full, or was said to be."""
    return Refusal(cast(DiskFull, error).status, str(error)).response()


def _failed(_: Request, error: Exception) -> Response:
    """A mistake of this program: it is on standard error, too."""
    return Refusal(500, f"Internal error: {type(error).__name__}: {error}").response()
