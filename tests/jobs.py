"""What the journal of a job knows, read as a stranger would, and whether its runs did anything twice."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pyarrow.parquet as pq
from tests.publishers import Ended

from sealift.model.event import Event, HandedOver, Said, Warned


def staged(job: Path) -> set[str]:
    """The shards that the journal knows to be staged, or committed."""
    if not (job / "journal.sqlite").exists():
        return set()
    with closing(sqlite3.connect(f"file:{job / 'journal.sqlite'}?mode=ro", uri=True)) as database:
        try:
            found = database.execute("SELECT path FROM shard WHERE receipt IS NOT NULL").fetchall()
        except sqlite3.OperationalError:  # it was killed before there were tables
            return set()
    return {path for (path,) in found}


def shards_of(out: Path) -> dict[str, str]:
    """The shard of each media file, as the published index has it."""
    cells = pq.read_table(out / ".sealift/index/default-00000-of-00001.parquet", columns=["path", "shard"])
    return {cell["path"]: cell["shard"] for cell in cells.to_pylist()}


def check_done_once(runs: Sequence[Ended], proven: Sequence[set[str]], shard_of: dict[str, str], flying: int) -> None:
    """What was staged when a run ended is not packed by a later one; of all others, those in flight alone are again.

    `proven` is what was staged at the end of each run but the last.
    """
    for number, before in enumerate(proven):
        for later in runs[number + 1 :]:
            assert not before & set(later.packed)
            assert not before & {shard_of.get(path) for path in later.read}
    again = [path for path, times in Counter(path for run in runs for path in run.packed).items() if times > 1]
    assert len(again) <= flying * len(proven)
    reads = Counter(path for run in runs for path in run.read if path in shard_of)
    assert len({shard_of[path] for path, times in reads.items() if times > 1}) <= flying * len(proven)


class Pulled(BaseException):
    """The plug, in the middle of a run: nobody expects it, and nobody handles it."""


class Counted:
    """Listens to a run: the shards whose bytes were handed over, and what the user was told.

    After so many shards it pulls the plug; by then they are staged, and one more is packed.
    """

    def __init__(self, after: int | None = None) -> None:
        self.after = after
        self.packed: list[str] = []
        self.heard: list[str] = []

    def __call__(self, event: Event) -> None:
        if isinstance(event, Said | Warned):
            self.heard.append(event.message)
        if isinstance(event, HandedOver):
            self.packed.append(event.path)
            self.note(event.path)
            if self.after is not None and len(self.packed) > self.after:
                raise Pulled

    def note(self, path: str) -> None:
        """For those who want to do more then."""
