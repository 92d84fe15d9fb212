"""Branches, tags and history."""

from __future__ import annotations

import html
import time
from itertools import islice
from typing import Any
from urllib.parse import urlencode

from starlette.responses import JSONResponse, Response

from sealift.localhub.calls import Call
from sealift.localhub.dates import stamp
from sealift.localhub.refusals import Refusal, bad_request, exists, no_revision
from sealift.localhub.revisions import (
    Commit,
    add_commit,
    history,
    is_ref_name,
    ref,
    revision,
    set_ref,
    writable,
)
from sealift.localhub.settings import USER

_PAGE = 50


def refs(call: Call) -> Response:
    """`GET …/refs`: branches and tags, and pull requests with `include_prs`."""
    groups = {"refs/heads/": "branches", "refs/tags/": "tags", "refs/pr/": "pullRequests"}
    said: dict[str, list[dict[str, str]]] = {"branches": [], "converts": [], "tags": []}
    if call.asks("include_prs"):
        said["pullRequests"] = []
    with call.hub.state.reading() as db:
        repo = call.repo(db)
        for row in db.execute("SELECT name, oid FROM refs WHERE repo = ? ORDER BY name", (repo.id,)):
            prefix = next(one for one in groups if row["name"].startswith(one))
            if groups[prefix] in said:
                name = row["name"].removeprefix(prefix)
                said[groups[prefix]].append({"name": name, "ref": row["name"], "targetCommit": row["oid"]})
    return JSONResponse(said)


def commits(call: Call) -> Response:
    """`GET …/commits/{rev}`: one page of the history, newest first."""
    asked, limit = call.query("p") or "0", call.query("limit") or str(_PAGE)
    if not (asked.isdecimal() and limit.isdecimal() and int(limit) > 0):
        raise bad_request("`p` and `limit` are numbers")
    size, number = min(int(limit), 1000), int(asked)
    formatted = "formatted" in call.request.query_params.getlist("expand[]")
    with call.hub.state.reading() as db:
        repo = call.repo(db)
        start = revision(db, repo, call.part("rev"))
        page = list(islice(history(db, repo, start), number * size, (number + 1) * size + 1))
    headers = {}
    if len(page) > size:
        kept = [(key, value) for key, value in call.request.query_params.multi_items() if key != "p"]
        query = urlencode([*kept, ("p", str(number + 1))])
        headers["Link"] = f'<{call.endpoint}{call.request.scope["path"]}?{query}>; rel="next"'
    return JSONResponse([_shown(one, formatted=formatted) for one in page[:size]], headers=headers)


def create_branch(call: Call) -> Response:
    """`POST …/branch/{name}`: at the starting point, or at the head of main."""
    name, start = call.part("branch"), call.json().get("startingPoint") or "main"
    if not is_ref_name(name):
        raise bad_request(f"Invalid branch name: {name!r}")
    with call.hub.state.writing() as db:
        repo = call.repo(db, write=True)
        if ref(db, repo, f"refs/heads/{name}"):
            raise exists(f"Reference refs/heads/{name} already exists")
        set_ref(db, repo, f"refs/heads/{name}", revision(db, repo, str(start)).oid)
    return Response("OK", media_type="text/plain")


def delete_branch(call: Call) -> Response:
    """`DELETE …/branch/{name}`: any but main; its commits stay."""
    name = call.part("branch")
    with call.hub.state.writing() as db:
        repo = call.repo(db, write=True)
        if name == "main":
            raise Refusal(403, "Cannot delete refs/heads/main")
        if not ref(db, repo, f"refs/heads/{name}"):
            raise no_revision(name)
        db.execute("DELETE FROM refs WHERE repo = ? AND name = ?", (repo.id, f"refs/heads/{name}"))
    return Response("OK", media_type="text/plain")


def create_tag(call: Call) -> Response:
    """`POST …/tag/{rev}`: a name for that revision that does not move."""
    said = call.json()
    name = said.get("tag")
    if not isinstance(name, str) or not is_ref_name(name):
        raise bad_request(f"Invalid tag name: {name!r}")
    with call.hub.state.writing() as db:
        repo = call.repo(db, write=True)
        if ref(db, repo, f"refs/tags/{name}"):
            raise exists(f"Reference refs/tags/{name} already exists")
        set_ref(db, repo, f"refs/tags/{name}", revision(db, repo, call.part("rev")).oid, said.get("message"))
    return Response("OK", media_type="text/plain")


def delete_tag(call: Call) -> Response:
    """`DELETE …/tag/{name}`: the name goes, the commit stays."""
    name = call.part("rev")
    with call.hub.state.writing() as db:
        repo = call.repo(db, write=True)
        if not ref(db, repo, f"refs/tags/{name}"):
            raise no_revision(name)
        db.execute("DELETE FROM refs WHERE repo = ? AND name = ?", (repo.id, f"refs/tags/{name}"))
    return Response("OK", media_type="text/plain")


def squash(call: Call) -> Response:
    """`POST …/super-squash/{branch}`: the branch keeps its files, and has one commit."""
    title = str(call.json().get("message") or "Super-squash history")
    with call.hub.state.writing() as db:
        repo = call.repo(db, write=True)
        name, head = writable(db, repo, call.part("branch"))
        made = add_commit(db, repo, head.tree, None, int(time.time()), title, "")
        set_ref(db, repo, name, made.oid)
    return JSONResponse({"commitOid": made.oid})


def _shown(commit: Commit, *, formatted: bool) -> dict[str, Any]:
    said: dict[str, Any] = {
        "id": commit.oid,
        "title": commit.title,
        "message": commit.message,
        "authors": [{"user": USER, "avatar": ""}],
        "date": stamp(commit.seconds),
    }
    if formatted:
        said["formatted"] = {"title": html.escape(commit.title), "message": html.escape(commit.message)}
    return said
