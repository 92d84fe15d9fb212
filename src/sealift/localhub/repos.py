"""Repositories: made, deleted, moved, hidden, described; and who calls."""

from __future__ import annotations

import re
import sqlite3
import time
from typing import Any

import yaml
from starlette.responses import JSONResponse, PlainTextResponse, Response

from sealift.localhub.calls import KINDS, Call, web_prefix
from sealift.localhub.cards import check_card, metadata, tags
from sealift.localhub.dates import stamp
from sealift.localhub.files import siblings
from sealift.localhub.gitobjects import Entry, object_id
from sealift.localhub.lfs_patterns import GITATTRIBUTES
from sealift.localhub.objects import add_blob, add_folder, at_path, blob_data, blobs, walk
from sealift.localhub.refusals import bad_request, exists, no_repo, no_token
from sealift.localhub.revisions import Commit, Repo, add_commit, find_repo, repo_of, revision, set_ref
from sealift.localhub.settings import USER

_NAME = re.compile(r"(?!.*(?:--|\.\.))[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?")
_SDKS = ("gradio", "streamlit", "docker", "static")
_MOST = 10_000


def whoami(call: Call) -> Response:
    """`GET /api/whoami-v2`: the one user, and the role of the token."""
    role = call.role()
    if role is None:
        raise no_token()
    orgs = [{"type": "org", "name": name, "fullname": name} for name in call.hub.settings.orgs or ()]
    token = {"displayName": f"local {role}", "role": role, "createdAt": stamp(0)}
    said = {"type": "user", "id": "0" * 24, "name": USER, "fullname": USER, "email": None, "emailVerified": True}
    return JSONResponse(said | {"isPro": False, "orgs": orgs, "auth": {"type": "access_token", "accessToken": token}})


def create(call: Call) -> Response:
    """`POST /api/repos/create`: a repository with its first commit."""
    said = call.json()
    kind, name = _named(call, said)
    private = said.get("visibility") == "private" or said.get("private") is True
    sdk = said.get("sdk") if kind == "space" else None
    if kind == "space" and sdk not in _SDKS:
        raise bad_request(f'"sdk" must be one of [{", ".join(_SDKS)}]')
    with call.hub.state.writing() as db:
        if found := find_repo(db, kind, name):
            raise exists(f"You already created this {kind} repo: {name}", url=_url(call, found))
        db.execute(
            "INSERT INTO repos (type, name, private, sdk, created) VALUES (?, ?, ?, ?, ?)",
            (kind, name, private, sdk, int(time.time())),
        )
        made = find_repo(db, kind, name)
        assert made
        data = GITATTRIBUTES[kind].encode()
        add_blob(db, data)
        tree = add_folder(db, [Entry(".gitattributes", object_id("blob", data), folder=False)])
        first = add_commit(db, made, tree, None, int(time.time()), "initial commit", "")
        set_ref(db, made, "refs/heads/main", first.oid)
    return JSONResponse({"url": _url(call, made), "name": name, "id": f"{made.id:024x}"})


def delete(call: Call) -> Response:
    """`DELETE /api/repos/delete`: the repository with its history; content that others share stays on disk."""
    kind, name = _named(call, call.json())
    with call.hub.state.writing() as db:
        if not (found := find_repo(db, kind, name)):
            raise no_repo(anonymous=False)
        db.execute("DELETE FROM repos WHERE id = ?", (found.id,))
    return Response("OK", media_type="text/plain")


def move(call: Call) -> Response:
    """`POST /api/repos/move`: another name, everything else stays."""
    said = call.json()
    kind = said.get("type", "model")
    old, new = str(said.get("fromRepo")), str(said.get("toRepo"))
    for name in (old, new):
        call.must_write(_checked(name).split("/")[0])
    with call.hub.state.writing() as db:
        if not (found := find_repo(db, kind, old)):
            raise no_repo(anonymous=False)
        if find_repo(db, kind, new):
            raise exists(f"A {kind} repository called `{new.split('/')[1]}` already exists")
        db.execute("UPDATE repos SET name = ? WHERE id = ?", (new, found.id))
    return JSONResponse({"success": True})


def settings(call: Call) -> Response:
    """`PUT …/settings`: visibility and gating."""
    said = call.json()
    with call.hub.state.writing() as db:
        repo = call.repo(db, write=True)
        visibility = said.get("visibility", {True: "private", False: "public"}.get(said.get("private", ...)))
        if visibility not in (None, "public", "private"):
            raise bad_request(f"{visibility!r} is no visibility")
        private = repo.private if visibility is None else visibility == "private"
        gated = said.get("gated", repo.gated) or None
        if gated not in (None, "auto", "manual"):
            raise bad_request(f"{gated!r} is no way of gating")
        db.execute("UPDATE repos SET private = ?, gated = ? WHERE id = ?", (private, gated, repo.id))
    return JSONResponse({"visibility": "private" if private else "public", "private": private, "gated": gated or False})


def info(call: Call) -> Response:
    """`GET …` or `…/revision/{rev}`: all about a repository, or what `expand` names."""
    rev = call.part("rev") if "rev" in call.request.path_params else "main"
    query = call.request.query_params
    wanted = [*query.getlist("expand"), *query.getlist("expand[]")]
    with call.hub.state.reading() as db:
        repo = call.repo(db)
        commit = revision(db, repo, rev)
        said = _described(db, repo, commit)
        if not wanted or "siblings" in wanted:
            said["siblings"] = siblings(db, commit, with_blobs=call.asks("blobs"))
        if "usedStorage" in wanted or "mainSize" in wanted:
            said["usedStorage"] = said["mainSize"] = _size(db, commit)
    if wanted:
        said = {key: value for key, value in said.items() if key in ("_id", "id", *wanted)}
    return JSONResponse(said)


def without_namespace(call: Call) -> Response:
    """Where a repository without a namespace would be: on the Hub there are some, here there are none."""
    raise no_repo(anonymous=call.role() is None)


def listed(call: Call) -> Response:
    """`GET /api/{type}`: repositories that the caller may see, by author and part of the name."""
    role, author, search = call.role(), call.query("author"), (call.query("search") or "").lower()
    limit = call.query("limit")
    most = int(limit) if limit and limit.isdecimal() else _MOST
    with call.hub.state.reading() as db:
        rows = db.execute("SELECT * FROM repos WHERE type = ? ORDER BY id DESC", (call.kind,)).fetchall()
        found = [repo for repo in map(repo_of, rows) if role or not repo.private]
        if author:
            found = [repo for repo in found if repo.name.split("/")[0] == author]
        found = [repo for repo in found if search in repo.name.lower()][:most]
        return JSONResponse([_described(db, repo, revision(db, repo, "main")) for repo in found])


def storage(call: Call) -> Response:
    """`GET …/settings/repositories`: everything in a namespace, with the bytes that its files have on main."""
    if call.role() is None:
        raise no_token()
    namespace = call.part("namespace") if "namespace" in call.request.path_params else USER
    with call.hub.state.reading() as db:
        found = [repo_of(row) for row in db.execute("SELECT * FROM repos ORDER BY id")]
        listed = [_stored(db, repo) for repo in found if repo.name.split("/")[0] == namespace]
    total = sum(one["storage"] for one in listed) or 1
    return JSONResponse([one | {"storagePercent": 100 * one["storage"] / total} for one in listed])


def may(call: Call) -> Response:
    """`GET …/auth-check[/write]`: says yes, or refuses as the call itself would."""
    with call.hub.state.reading() as db:
        call.repo(db, write=call.request.url.path.endswith("/write"))
    return JSONResponse({})


def validate_yaml(call: Call) -> Response:
    """`POST /api/validate-yaml`: what is wrong with a README.md."""
    said = call.json()
    found = check_card(str(said.get("content") or ""), str(said.get("repoType") or "model"))
    if call.request.headers.get("accept") == "text/plain":
        lines = [f"- Error: {one}" for one in found.errors] + [f"- Warning: {one}" for one in found.warnings]
        return PlainTextResponse("\n".join(lines), 400 if found.errors else 200)
    return JSONResponse(found.as_json(), 400 if found.errors else 200)


def _named(call: Call, said: dict[str, Any]) -> tuple[str, str]:
    """The type and the whole name that a body means, if the caller may write there."""
    kind = said.get("type") or "model"
    if kind not in KINDS.values():
        raise bad_request(f"{kind!r} is no type of repository")
    name = _checked(f"{said.get('organization') or USER}/{said.get('name') or ''}")
    call.must_write(name.split("/")[0])
    return str(kind), name


def _checked(name: str) -> str:
    if name.count("/") != 1 or not all(map(_NAME.fullmatch, name.split("/"))) or name.endswith(".git"):
        raise bad_request(f"Invalid repo name: {name!r}. Use letters, digits, '-', '_' and '.', as in namespace/name")
    return name


def _url(call: Call, repo: Repo) -> str:
    return f"{call.endpoint}/{web_prefix(repo)}{repo.name}"


def _described(db: sqlite3.Connection, repo: Repo, commit: Commit) -> dict[str, Any]:
    data = _card(db, commit)
    said: dict[str, Any] = {
        "_id": f"{repo.id:024x}",
        "id": repo.name,
        "author": repo.name.split("/")[0],
        "sha": commit.oid,
        "lastModified": stamp(commit.seconds),
        "createdAt": stamp(repo.created),
        "private": repo.private,
        "gated": repo.gated or False,
        "disabled": False,
        "downloads": 0,
        "likes": 0,
        "tags": tags(data),
    }
    if repo.sdk:
        said["sdk"] = repo.sdk
    return said | ({"cardData": data} if data else {})


def _card(db: sqlite3.Connection, commit: Commit) -> dict[str, Any]:
    """The metadata of README.md; empty if there is none that can be read."""
    found = at_path(db, commit.tree, "README.md")
    if found is None or found.folder:
        return {}
    try:
        data = metadata(blob_data(db, found.oid).decode())
    except (UnicodeDecodeError, yaml.YAMLError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def _stored(db: sqlite3.Connection, repo: Repo) -> dict[str, Any]:
    head = revision(db, repo, "main")
    said = {"id": repo.name, "type": repo.type, "visibility": "private" if repo.private else "public"}
    return said | {"updatedAt": stamp(head.seconds), "storage": _size(db, head)}


def _size(db: sqlite3.Connection, commit: Commit) -> int:
    entries = [entry.oid for entry in walk(db, commit.tree, deep=True) if not entry.folder]
    known = blobs(db, set(entries))
    return sum(known[oid].size for oid in entries)
