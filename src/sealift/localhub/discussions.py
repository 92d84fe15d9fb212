"""Discussions and pull requests: what is said, and the reference that waits to be merged."""

from __future__ import annotations

import html
import json
import secrets
import sqlite3
import time
from itertools import takewhile
from typing import Any

from starlette.responses import JSONResponse, Response

from sealift.localhub.calls import Call
from sealift.localhub.dates import stamp
from sealift.localhub.diffs import diff
from sealift.localhub.merging import conflicts, merged
from sealift.localhub.refusals import Refusal, bad_request, conflict
from sealift.localhub.revisions import Commit, Repo, add_commit, common, history, ref, set_ref, the_commit
from sealift.localhub.settings import USER

_PAGE = 50
_AUTHOR = {"name": USER, "fullname": USER, "type": "user", "avatarUrl": ""}
_OPEN = ("draft", "open")


def listed(call: Call) -> Response:
    """`GET …/discussions`: newest first, by page; of a type, status or author if asked."""
    page_number = call.query("p") or "0"
    if not page_number.isdecimal():
        raise bad_request("`p` is a number")
    start = int(page_number) * _PAGE
    with call.hub.state.reading() as db:
        repo = call.repo(db)
        rows = db.execute("SELECT * FROM discussions WHERE repo = ? ORDER BY num DESC", (repo.id,)).fetchall()
        wanted = [row for row in rows if _wanted(call, row)]
        page = [_summary(repo, row) for row in wanted[start : start + _PAGE]]
    return JSONResponse({"discussions": page, "count": len(wanted), "start": start, "numClosedDiscussions": 0})


def created(call: Call) -> Response:
    """`POST …/discussions`: a discussion, or a pull request as a draft at the head of main."""
    said = call.json()
    title, pull = str(said.get("title") or "").strip(), bool(said.get("pullRequest"))
    if not 3 <= len(title) <= 200:
        raise bad_request("A title has 3 to 200 characters")
    with call.hub.state.writing() as db:
        repo = call.repo(db, write=True)
        number = _open(db, repo, title, "refs/heads/main" if pull else None, "draft" if pull else "open")
        _event(db, repo, number, "comment", _comment(str(said.get("description") or "")))
        if pull and (head := ref(db, repo, "refs/heads/main")):
            set_ref(db, repo, f"refs/pr/{number}", head)
    return JSONResponse({"num": number, "pullRequest": pull})


def details(call: Call) -> Response:
    """`GET …/discussions/{num}`: with its events, and with the changes as text if asked for `diff`."""
    with call.hub.state.reading() as db:
        repo = call.repo(db)
        row = _found(db, repo, call)
        said = _summary(repo, row) | {"events": _events(db, repo, row["num"])}
        if row["pull"]:
            said |= _changes(db, repo, row, with_diff=call.asks("diff"))
    return JSONResponse(said)


def acted(call: Call) -> Response:
    """`POST …/discussions/{num}/{act}`: comment, title, status, merge; or edit or hide a comment."""
    acts = {"comment": _commented, "title": _retitled, "status": _settled, "merge": _merge}
    name, said = call.part("act"), call.json()
    with call.hub.state.writing() as db:
        repo = call.repo(db, write=True)
        row = _found(db, repo, call)
        if name in acts:
            return JSONResponse(acts[name](db, repo, row, said))
        if name.startswith("comment/") and name.count("/") == 2:
            return JSONResponse(_rewritten(db, repo, row, name.split("/")[1], name.split("/")[2], said))
    raise Refusal(404, f"A discussion has no {name!r}")


def open_pull(db: sqlite3.Connection, repo: Repo, base: str, made: Commit) -> int:
    """A pull request with one commit; its number."""
    if not base.startswith("refs/heads/"):
        raise bad_request(f"A pull request is made to a branch, not to {base}")
    number = _open(db, repo, made.title, base, "open")
    _event(db, repo, number, "comment", _comment(made.message))
    _event(db, repo, number, "commit", {"subject": made.title, "oid": made.oid})
    set_ref(db, repo, f"refs/pr/{number}", made.oid)
    return number


def pushed(db: sqlite3.Connection, repo: Repo, name: str, made: Commit) -> None:
    """Note a commit if its reference is a pull request's.

    Raises:
        Refusal: the pull request is closed or merged.
    """
    if not name.startswith("refs/pr/"):
        return
    number = int(name.removeprefix("refs/pr/"))
    status = _row(db, repo, number)["status"]
    if status not in _OPEN:
        raise Refusal(403, f"The pull request {number} is {status}: it takes no commits")
    _event(db, repo, number, "commit", {"subject": made.title, "oid": made.oid})


def _open(db: sqlite3.Connection, repo: Repo, title: str, base: str | None, status: str) -> int:
    number: int = db.execute("SELECT coalesce(max(num), 0) + 1 FROM discussions WHERE repo = ?", (repo.id,)).fetchone()[
        0
    ]
    db.execute(
        "INSERT INTO discussions VALUES (?, ?, ?, ?, ?, ?, NULL, ?)",
        (repo.id, number, title, base is not None, status, base, time.time()),
    )
    return number


def _commented(db: sqlite3.Connection, repo: Repo, row: sqlite3.Row, said: dict[str, Any]) -> dict[str, Any]:
    text = str(said.get("comment") or "")
    if not text.strip():
        raise bad_request("A comment needs text")
    return {"newMessage": _event(db, repo, row["num"], "comment", _comment(text))}


def _retitled(db: sqlite3.Connection, repo: Repo, row: sqlite3.Row, said: dict[str, Any]) -> dict[str, Any]:
    title = str(said.get("title") or "").strip()
    if not 3 <= len(title) <= 200:
        raise bad_request("A title has 3 to 200 characters")
    _update(db, repo, row, "title", title)
    return {"newTitle": _event(db, repo, row["num"], "title-change", {"from": row["title"], "to": title})}


def _settled(db: sqlite3.Connection, repo: Repo, row: sqlite3.Row, said: dict[str, Any]) -> dict[str, Any]:
    status = said.get("status")
    if status not in ("open", "closed"):
        raise bad_request("A status is open or closed")
    if row["status"] in ("merged", status):
        raise bad_request(f"The discussion {row['num']} is {row['status']} already")
    _say(db, repo, row, said)
    _update(db, repo, row, "status", status)
    return {"newStatus": _event(db, repo, row["num"], "status-change", {"status": status})}


def _merge(db: sqlite3.Connection, repo: Repo, row: sqlite3.Row, said: dict[str, Any]) -> dict[str, Any]:
    if not row["pull"] or row["status"] != "open":
        raise bad_request(f"Only an open pull request can be merged; {row['num']} is {row['status']}")
    base, head, start = _sides(db, repo, row)
    tree = start.tree if start else None
    if collide := conflicts(db, tree, base.tree, head.tree):
        raise conflict(f"The pull request {row['num']} conflicts with {row['base']} in {', '.join(collide[:10])}")
    # As on the Hub: one commit on the branch, which names those that it holds.
    inside = takewhile(lambda one: start is None or one.oid != start.oid, history(db, repo, head))
    message = "\n".join(f"- {one.title} ({one.oid})" for one in reversed(list(inside)))
    title = f"{row['title']} (#{row['num']})"
    both = merged(db, tree, base.tree, head.tree)
    made = add_commit(db, repo, both, base.oid, int(time.time()), title, message)
    set_ref(db, repo, row["base"], made.oid)
    _say(db, repo, row, said)
    _update(db, repo, row, "status", "merged")
    _update(db, repo, row, "merged", made.oid)
    _event(db, repo, row["num"], "status-change", {"status": "merged"})
    return {"mergeCommitId": made.oid}


def _rewritten(
    db: sqlite3.Connection, repo: Repo, row: sqlite3.Row, event: str, act: str, said: dict[str, Any]
) -> dict[str, Any]:
    found = db.execute(
        "SELECT * FROM events WHERE repo = ? AND num = ? AND id = ? AND type = 'comment'", (repo.id, row["num"], event)
    ).fetchone()
    if found is None or act not in ("edit", "hide"):
        raise Refusal(404, f"There is no comment {event} to {act}")
    data = json.loads(found["data"])
    before = data["latest"]
    latest = _comment(str(said.get("content") or "") if act == "edit" else "This comment has been hidden")["latest"]
    data |= {"edited": True, "hidden": act == "hide", "latest": latest, "numEdits": data["numEdits"] + 1}
    data["history"] = [*data["history"], before] if act == "edit" else []
    db.execute("UPDATE events SET data = ? WHERE id = ?", (json.dumps(data), event))
    return {"updatedComment": _shown(event, "comment", found["created"], data)}


def _sides(db: sqlite3.Connection, repo: Repo, row: sqlite3.Row) -> tuple[Commit, Commit, Commit | None]:
    """The branch, the pull request, and where they parted."""
    base, head = (ref(db, repo, name) for name in (row["base"], f"refs/pr/{row['num']}"))
    if base is None or head is None:
        raise bad_request(f"{row['base']}, which the pull request {row['num']} is for, is gone")
    one, other = the_commit(db, repo, base), the_commit(db, repo, head)
    return one, other, common(db, repo, one, other)


def _changes(db: sqlite3.Connection, repo: Repo, row: sqlite3.Row, *, with_diff: bool) -> dict[str, Any]:
    changes: dict[str, Any] = {"base": row["base"]}
    if row["merged"]:
        return {"changes": changes | {"mergeCommitId": row["merged"]}, "filesWithConflicts": []} | (
            {"diff": ""} if with_diff else {}
        )
    base, head, start = _sides(db, repo, row)
    tree = start.tree if start else None
    said = {"changes": changes, "filesWithConflicts": conflicts(db, tree, base.tree, head.tree)}
    return said | ({"diff": diff(db, tree, head.tree)} if with_diff else {})


def _say(db: sqlite3.Connection, repo: Repo, row: sqlite3.Row, said: dict[str, Any]) -> None:
    if text := str(said.get("comment") or "").strip():
        _event(db, repo, row["num"], "comment", _comment(text))


def _update(db: sqlite3.Connection, repo: Repo, row: sqlite3.Row, column: str, value: str) -> None:
    assert column in ("title", "status", "merged")
    db.execute(f"UPDATE discussions SET {column} = ? WHERE repo = ? AND num = ?", (value, repo.id, row["num"]))  # noqa: S608


def _found(db: sqlite3.Connection, repo: Repo, call: Call) -> sqlite3.Row:
    number = call.part("num")
    if not number.isdecimal() or len(number) > 9:
        raise Refusal(404, f"There is no discussion {number!r}")
    return _row(db, repo, int(number))


def _row(db: sqlite3.Connection, repo: Repo, number: int) -> sqlite3.Row:
    row: sqlite3.Row | None = db.execute(
        "SELECT * FROM discussions WHERE repo = ? AND num = ?", (repo.id, number)
    ).fetchone()
    if row is None:
        raise Refusal(404, f"There is no discussion {number}")
    return row


def _wanted(call: Call, row: sqlite3.Row) -> bool:
    kind, status, author = call.query("type"), call.query("status"), call.query("author")
    return (
        (kind in (None, "all") or row["pull"] == (kind == "pull_request"))
        and (status in (None, "all") or (row["status"] in _OPEN) == (status == "open"))
        and author in (None, USER)
    )


def _summary(repo: Repo, row: sqlite3.Row) -> dict[str, Any]:
    return {
        "num": row["num"],
        "title": row["title"],
        "status": row["status"],
        "isPullRequest": bool(row["pull"]),
        "author": _AUTHOR,
        "createdAt": stamp(row["created"]),
        "repo": {"name": repo.name, "type": repo.type},
        "repoOwner": {"name": repo.name.split("/")[0], "type": "user"},
    }


def _event(db: sqlite3.Connection, repo: Repo, number: int, kind: str, data: dict[str, Any]) -> dict[str, Any]:
    """Add an event; as it is shown."""
    name, now = secrets.token_hex(12), time.time()
    db.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)", (name, repo.id, number, kind, now, json.dumps(data)))
    return _shown(name, kind, now, data)


def _events(db: sqlite3.Connection, repo: Repo, number: int) -> list[dict[str, Any]]:
    rows = db.execute("SELECT * FROM events WHERE repo = ? AND num = ? ORDER BY rowid", (repo.id, number))
    return [_shown(row["id"], row["type"], row["created"], json.loads(row["data"])) for row in rows]


def _shown(name: str, kind: str, created: float, data: dict[str, Any]) -> dict[str, Any]:
    return {"id": name, "type": kind, "author": _AUTHOR, "createdAt": stamp(created), "data": data}


def _comment(text: str) -> dict[str, Any]:
    latest = {"raw": text, "html": f"<p>{html.escape(text)}</p>", "updatedAt": stamp(time.time()), "author": _AUTHOR}
    return {"edited": False, "hidden": False, "numEdits": 0, "history": [], "latest": latest}
