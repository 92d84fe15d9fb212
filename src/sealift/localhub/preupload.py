"""Before an upload: which files go apart, which are ignored, and what is there already."""

from __future__ import annotations

import base64
import binascii
import codecs
import sqlite3
from typing import Any

from starlette.responses import JSONResponse, Response

from sealift.localhub.calls import Call
from sealift.localhub.objects import at_path, blob_data, blobs
from sealift.localhub.paths import Patterns, checked
from sealift.localhub.refusals import bad_request, too_large
from sealift.localhub.revisions import Commit, revision
from sealift.localhub.settings import REGULAR_BYTES

_MOST = 1000


def preupload(call: Call) -> Response:
    """`POST …/preupload/{rev}`: for each file `lfs` or `regular`, and the id of what has its path now."""
    said = call.json()
    files = said.get("files")
    if not isinstance(files, list) or not all(isinstance(one, dict) for one in files):
        raise bad_request("`files` must be an array of objects")
    if len(files) > _MOST:
        raise too_large(f"At most {_MOST} files are answered at once, not {len(files)}")
    with call.hub.state.reading() as db:
        commit = revision(db, call.repo(db, write=True), call.part("rev"))
        attributes = Patterns(_text(db, commit, ".gitattributes"))
        ignored = Patterns(str(said["gitIgnore"]) if "gitIgnore" in said else _text(db, commit, ".gitignore"))
        answers = [_answer(db, commit, one, attributes, ignored) for one in files]
    return JSONResponse({"files": answers, "commitOid": commit.oid})


def _answer(
    db: sqlite3.Connection, commit: Commit, one: dict[str, Any], attributes: Patterns, ignored: Patterns
) -> dict[str, Any]:
    path, size = checked(one.get("path")), one.get("size")
    if not isinstance(size, int) or size < 0:
        raise bad_request(f"{path}: {size!r} is no size")
    large = attributes.is_lfs(path) or size > REGULAR_BYTES or _is_binary(path, one.get("sample"))
    mode = "lfs" if large else "regular"
    answer: dict[str, Any] = {"path": path, "uploadMode": mode, "shouldIgnore": ignored.is_ignored(path)}
    found = at_path(db, commit.tree, path)
    if found and not found.folder:
        answer["oid"] = blobs(db, [found.oid])[found.oid].etag
    return answer


def _is_binary(path: str, sample: object) -> bool:
    """Whether the first bytes of a file are no text: a NUL, as for git, or no UTF-8."""
    if not isinstance(sample, str):
        return False
    try:
        data = base64.b64decode(sample, validate=True)
    except binascii.Error as error:
        raise bad_request(f"{path}: the sample is not base64") from error
    try:
        # The sample may end within a character.
        codecs.getincrementaldecoder("utf-8")().decode(data)
    except UnicodeDecodeError:
        return True
    return b"\0" in data


def _text(db: sqlite3.Connection, commit: Commit, path: str) -> str:
    found = at_path(db, commit.tree, path)
    return blob_data(db, found.oid).decode(errors="replace") if found and not found.folder else ""
