"""Commits: lines come in, one transaction moves the reference, or nothing has happened."""

from __future__ import annotations

import sqlite3
import tempfile
import time
from typing import IO, Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from sealift.localhub.calls import Call, web_prefix
from sealift.localhub.discussions import open_pull, pushed
from sealift.localhub.drafts import Draft
from sealift.localhub.intake import LINE_BYTES, Copy, Intake, Put, Reader
from sealift.localhub.objects import at_path
from sealift.localhub.refusals import no_entry, stale_parent, too_large
from sealift.localhub.revisions import Commit, Repo, add_commit, revision, set_ref, writable

_IN_MEMORY = 4_000_000
"""Bytes of a commit's body before it goes to the disk."""


async def commit(call: Call) -> Response:
    """`POST …/commit/{rev}`: what the lines say, on top of the head, or a pull request with it."""
    most = call.hub.settings.max_commit_bytes
    await run_in_threadpool(_may, call)
    with tempfile.SpooledTemporaryFile(_IN_MEMORY, dir=str(call.hub.contents.half)) as body:
        async for piece in call.request.stream():
            await run_in_threadpool(body.write, piece)
            if body.tell() > most:
                raise too_large(f"A commit of more than {most} bytes is not taken: split it")
        body.seek(0)
        return await run_in_threadpool(_together, call, body)


def _may(call: Call) -> None:
    """Refuse before the body is read."""
    with call.hub.state.reading() as db:
        repo = call.repo(db, write=True)
        writable(db, repo, call.part("rev"))


def _together(call: Call, body: IO[bytes]) -> Response:
    """The commit, while nothing that it names can be collected."""
    with call.hub.gate.together():
        return _commit(call, body)


def _commit(call: Call, body: IO[bytes]) -> Response:
    hub, settings = call.hub, call.hub.settings
    lines = iter(lambda: body.readline(LINE_BYTES + 1), b"")
    taken = Reader(hub.state, hub.find_large, call.kind, settings.max_commit_files).read(lines)
    with hub.state.writing() as db:
        repo = call.repo(db, write=True)
        name, head = writable(db, repo, call.part("rev"))
        made = _applied(db, repo, head, taken, settings.max_folder_entries)
        if call.asks("create_pr"):
            number = open_pull(db, repo, name, made)
            pull = f"{call.endpoint}/{web_prefix(repo)}{repo.name}/discussions/{number}"
        else:
            pushed(db, repo, name, made)
            set_ref(db, repo, name, made.oid)
            pull = None
    hub.contents.count(taken.received, taken.new)
    hub.tally.commit()
    url = f"{call.endpoint}/{web_prefix(repo)}{repo.name}/commit/{made.oid}"
    said: dict[str, Any] = {"success": True, "commitUrl": url, "commitOid": made.oid, "hookOutput": ""}
    return JSONResponse(said | ({"pullRequestUrl": pull} if pull else {}))


def _applied(db: sqlite3.Connection, repo: Repo, head: Commit, taken: Intake, most: int) -> Commit:
    """The commit that the operations make of the head, in their order.

    One that changes nothing is made all the same: that is what the Hub does, and why its clients look before.
    """
    # The start of an id, of seven characters or more, stands for it.
    if taken.parent and (len(taken.parent) < 7 or not head.oid.startswith(taken.parent)):
        raise stale_parent(taken.parent, head.oid)
    draft = Draft(db, head.tree)
    for one in taken.operations:
        if isinstance(one, Put):
            draft.put(one.path, one.oid)
        elif isinstance(one, Copy):
            draft.put(one.path, _copied(db, repo, head, one))
        else:
            draft.remove(one.path, whole_folder=one.folder)
    return add_commit(db, repo, draft.write(most), head.oid, int(time.time()), taken.title, taken.description)


def _copied(db: sqlite3.Connection, repo: Repo, head: Commit, copy: Copy) -> bytes:
    source = revision(db, repo, copy.revision) if copy.revision else head
    found = at_path(db, source.tree, copy.source)
    if found is None or found.folder:
        raise no_entry(copy.source, source.oid)
    return found.oid
