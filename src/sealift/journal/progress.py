"""How far jobs are, for those who only look."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from sealift.journal.database import NAME, holder, opened, translated
from sealift.journal.records import STATES, Count, Progress


def progress(folder: Path) -> Progress | None:
    """How far the job in that folder is; None if none was ever begun there. Safe while a process is at work on it.

    Raises:
        DestinationError: the journal cannot be read, or is of another version.
    """
    if not (folder / NAME).exists():
        return None
    with translated(folder):
        database = opened(folder / NAME, to_look=True)
        if database is None:
            return None
        with closing(database):
            return _progress(folder, database)


def _progress(folder: Path, database: sqlite3.Connection) -> Progress | None:
    said: dict[str, Any] = {
        name: json.loads(value) for name, value in database.execute("SELECT name, value FROM job").fetchall()
    }
    if "job" not in said:
        return None
    counted = database.execute(
        "SELECT state, count(*), sum(rows), sum(media_bytes) FROM shard WHERE number >= 0 GROUP BY state"
    ).fetchall()
    counts = {state: Count(*numbers) for state, *numbers in counted}
    commits, uncertain = database.execute(
        "SELECT count(*) FILTER (WHERE outcome = 'landed'), count(*) FILTER (WHERE outcome IS NULL) FROM sent"
    ).fetchone()
    return Progress(
        folder=folder,
        job=said["job"],
        to=said["to"],
        url=said["url"],
        began=said["began"],
        changed=said["changed"],
        over=said["over"],
        base=said["basis"]["base"],
        revision=said["revision"],
        shards={state: counts.get(state, Count()) for state in STATES},
        commits=commits,
        uncertain=bool(uncertain) and not said["over"],
        pinned=said.get("pinned"),
        error=said["error"],
        running=holder(folder),
    )
