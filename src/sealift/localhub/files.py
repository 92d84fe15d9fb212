"""Listings: what lies in a revision, by folder, by path, and as one list."""

from __future__ import annotations

import base64
import binascii
import sqlite3
from collections.abc import Iterable
from itertools import islice
from typing import Any
from urllib.parse import urlencode

from starlette.responses import JSONResponse, Response

from sealift.localhub.calls import Call
from sealift.localhub.dates import stamp
from sealift.localhub.gitobjects import Entry
from sealift.localhub.objects import Blob, at_path, blobs, walk
from sealift.localhub.refusals import Refusal, bad_request, no_entry, too_large
from sealift.localhub.revisions import Commit, Repo, last_changes, revision

_PAGE = 1000
_PAGE_EXPANDED = 50
_MOST_PATHS = 1000


def tree(call: Call) -> Response:
    """`GET …/tree/{rev}[/{path}]`: one page of a folder, or of all below it; the next one is in `Link`."""
    under = call.part("path").strip("/") if "path" in call.request.path_params else ""
    deep, expand = call.asks("recursive"), call.asks("expand")
    most = _PAGE_EXPANDED if expand else _PAGE
    asked = call.query("limit")
    size = min(int(asked), most) if asked and asked.isdecimal() and int(asked) > 0 else most
    with call.hub.state.reading() as db:
        repo = call.repo(db)
        # Pages are of one commit, also when the branch moves between them.
        pinned, after = _cursor(call.query("cursor"))
        commit = revision(db, repo, pinned or call.part("rev"))
        start = at_path(db, commit.tree, under)
        if start is None or not start.folder:
            raise no_entry(under, commit.oid)
        page = list(islice(walk(db, start.oid, under, deep=deep, after=after), size + 1))
        listed = _described(db, call, repo, commit, page[:size], expand=expand)
    headers = {}
    if len(page) > size:
        last = page[size - 1].name
        inside = last[len(under) + 1 :] if under else last
        headers["Link"] = f'<{_next(call, commit.oid, inside)}>; rel="next"'
    return JSONResponse(listed, headers=headers)


def paths_info(call: Call) -> Response:
    """`POST …/paths-info/{rev}`: what lies at each path; nothing for those that are not there."""
    form = call.form()
    paths = [str(path).strip("/") for path in form.get("paths", form.get("paths[]", []))]
    if len(paths) > _MOST_PATHS:
        raise too_large(f"At most {_MOST_PATHS} paths are answered at once, not {len(paths)}")
    expand = str(form.get("expand", ["false"])[0]).lower() in ("1", "true")
    with call.hub.state.reading() as db:
        repo = call.repo(db)
        commit = revision(db, repo, call.part("rev"))
        found = ((path, at_path(db, commit.tree, path)) for path in dict.fromkeys(paths) if path)
        entries = [entry._replace(name=path) for path, entry in found if entry]
        return JSONResponse(_described(db, call, repo, commit, entries, expand=expand))


def siblings(db: sqlite3.Connection, commit: Commit, *, with_blobs: bool) -> list[dict[str, Any]]:
    """Every file of a revision, as the answer about a repository lists them."""
    entries = [entry for entry in walk(db, commit.tree, deep=True) if not entry.folder]
    if not with_blobs:
        return [{"rfilename": entry.name} for entry in entries]
    known = blobs(db, {entry.oid for entry in entries})
    listed = []
    for entry in entries:
        blob = known[entry.oid]
        one: dict[str, Any] = {"rfilename": entry.name, "size": blob.size, "blobId": entry.oid.hex()}
        if blob.sha256:
            one["lfs"] = {"sha256": blob.sha256, "size": blob.size, "pointerSize": blob.pointer_size}
        listed.append(one)
    return listed


def _described(
    db: sqlite3.Connection, call: Call, repo: Repo, commit: Commit, entries: Iterable[Entry], *, expand: bool
) -> list[dict[str, Any]]:
    entries = list(entries)
    known = blobs(db, {entry.oid for entry in entries if not entry.folder})
    changed = last_changes(db, repo, commit, [entry.name for entry in entries]) if expand else {}
    listed = []
    for entry in entries:
        one = _folder(entry) if entry.folder else _file(entry, known[entry.oid], xet=call.hub.settings.xet)
        if last := changed.get(entry.name):
            one["lastCommit"] = {"id": last.oid, "title": last.title, "date": stamp(last.seconds)}
        listed.append(one)
    return listed


def _folder(entry: Entry) -> dict[str, Any]:
    return {"type": "directory", "oid": entry.oid.hex(), "size": 0, "path": entry.name}


def _file(entry: Entry, blob: Blob, *, xet: bool) -> dict[str, Any]:
    one: dict[str, Any] = {"type": "file", "oid": entry.oid.hex(), "size": blob.size, "path": entry.name}
    if blob.sha256:
        one["lfs"] = {"oid": blob.sha256, "size": blob.size, "pointerSize": blob.pointer_size}
    if blob.xet and xet:
        one["xetHash"] = blob.xet
    return one


def _next(call: Call, commit: str, last: str) -> str:
    cursor = base64.urlsafe_b64encode(f"{commit}:{last}".encode()).decode()
    kept = [(key, value) for key, value in call.request.query_params.multi_items() if key != "cursor"]
    return f"{call.endpoint}{call.request.scope['path']}?{urlencode([*kept, ('cursor', cursor)])}"


def _cursor(text: str | None) -> tuple[str | None, str]:
    """The commit and the last path of the page before."""
    if text is None:
        return None, ""
    try:
        commit, _, path = base64.urlsafe_b64decode(text).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise _bad_cursor(text) from error
    if not path:
        raise _bad_cursor(text)
    return commit, path


def _bad_cursor(text: str) -> Refusal:
    return bad_request(f"The cursor {text!r} is none of this Hub's")
