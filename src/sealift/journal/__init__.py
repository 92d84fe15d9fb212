"""The journal: the durable record of one job, from which any process can go on, or finish its commit.

A job is what is under way to one destination. Its folder holds `journal.sqlite`, a lock, and in `parts/` the index
records of packed shards. What is written down is true before anything is done that depends on it:

1. The plan's shards are written down before the first of them is packed.
2. `packed`: all bytes of the shard were handed to the destination. Nothing depends on this but the wish to know.
3. `staged`, with the receipt: the destination has the shard, some of it was read back, its index part is on disk. From
   then on it is not packed again, as long as it would hold the same (`Made.identity`).
4. A commit is written down whole (files, deletions, parent, message) before it is sent. Whoever finds one of which the
   outcome is not written looks at the destination first: it may have taken effect, or may still.
5. Its outcome is written down when the destination has named the revision; then its shards are `committed`.
6. The job is over after its last commit. Only then is anything of it thrown away.

What is lost with the machine's power takes the job back to an earlier record: work is done twice, and never left out.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

from sealift.journal.database import LOCK, NAME, locked, made, opened, translated
from sealift.journal.records import Basis, Sent
from sealift.model.manifest import PublishedFile
from sealift.model.plan import PlannedShard
from sealift.model.receipt import Receipt

if TYPE_CHECKING:
    from sealift.ports import Staged

PARTS = "parts"


class Journal:
    """One job's record, held by one process at a time. Use it with `with`; no journal is made before `begin`.

    With `passing` the folder goes when it is left and there is nothing to go on with: the job is over, or no shard
    was staged and no commit sent.
    """

    def __init__(self, folder: Path, *, passing: bool = False) -> None:
        self.folder = folder
        self._passing = passing
        self._new = uuid.uuid4().hex
        self._lock: IO[str] | None = None
        self._database: sqlite3.Connection | None = None

    def __enter__(self) -> Self:
        """Take the job for this process.

        Raises:
            DestinationBusy: another process is at work on it; `pid` and `host` name it.
            DestinationError: the folder cannot be used, or the journal in it is of another version.
        """
        with translated(self.folder):
            self._lock = locked(self.folder)
            try:
                if (self.folder / NAME).exists():
                    self._database = opened(self.folder / NAME)
            except BaseException:
                self._lock.close()
                raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        assert self._lock is not None
        with self._lock:
            goes_on = True
            # What stopped the run is for those who ask how it went, and not to be hidden by a full disk.
            with suppress(Exception):
                if error is not None and self.under_way:
                    self._say(error=_in_words(error))
            with suppress(Exception):
                goes_on = self.goes_on
            if self._database is not None:
                self._database.close()
            if self._passing and not goes_on:
                self._remove()

    def _remove(self) -> None:
        """Leave nothing; the lock goes last, since the folder may be another's from then on."""
        with suppress(OSError):
            self._forget()
            (self.folder / LOCK).unlink()
            self.folder.rmdir()
            self.folder.parent.rmdir()

    @property
    def parts(self) -> Path:
        """Where the index records of packed shards lie until the job is over."""
        return self.folder / PARTS

    @property
    def job(self) -> str:
        """The job's id, which marks its commits: that of the job under way, or a new one."""
        return str(self._said("job")) if self.under_way else self._new

    @property
    def under_way(self) -> bool:
        """Whether a job was begun here, by whatever process, that is not over."""
        return self._database is not None and not self._said("over", otherwise=True)

    @property
    def goes_on(self) -> bool:
        """Whether a job is under way of which a shard is staged, or a commit was sent."""
        return self.under_way and bool(self.sent or self._all("SELECT 1 FROM shard WHERE receipt IS NOT NULL LIMIT 1"))

    @property
    def left(self) -> int:
        """How many shards of the job are not committed."""
        if not self.under_way:
            return 0
        return int(self._all("SELECT count(*) FROM shard WHERE state <> 'committed' AND number >= 0")[0][0])

    @property
    def began(self) -> float:
        """When the job was begun, in seconds since 1970."""
        return float(self._said("began", otherwise=time.time()))

    def begin(self, to: str, url: str | None, basis: Basis, shards: Sequence[PlannedShard]) -> Basis | None:
        """Write down what is to be packed; what the job under way was planned from before, None if there was none.

        Of shards that were planned before, by their paths, what is known stays; whether it still counts is for the
        caller, who looks at their receipts. Staged ones that are not planned now stay, too: they may be once more.
        """
        before = Basis(**self._said("basis")) if self.under_way else None
        if before is None:
            with translated(self.folder):
                self._forget()
                self._database = made(self.folder / NAME)
        with self._changing() as database:
            if before is None:
                self._say(job=self._new, began=time.time())
            self._say(to=to, url=url, basis=asdict(basis), over=False, error=None, revision=None)
            database.execute("CREATE TEMP TABLE coming (path, number, rows, media_bytes)")
            database.executemany(
                "INSERT INTO coming VALUES (?, ?, ?, ?)",
                ((one.path, number, one.rows, one.media_bytes) for number, one in enumerate(shards)),
            )
            database.execute("DELETE FROM shard WHERE receipt IS NULL AND path NOT IN (SELECT path FROM coming)")
            database.execute("UPDATE shard SET number = -1 WHERE path NOT IN (SELECT path FROM coming)")
            database.execute(
                "INSERT INTO shard (path, number, rows, media_bytes) SELECT * FROM coming WHERE true "
                "ON CONFLICT (path) DO UPDATE SET number = excluded.number, rows = excluded.rows, "
                "media_bytes = excluded.media_bytes"
            )
            database.execute("DROP TABLE coming")
        return before

    def receipts(self) -> dict[str, Receipt]:
        """The receipts of the shards that are staged, by their paths."""
        rows = self._all("SELECT receipt FROM shard WHERE receipt IS NOT NULL ORDER BY number")
        found = (Receipt.from_journal(json.loads(text)) for (text,) in rows)
        return {one.path: one for one in found}

    def packed(self, path: str) -> None:
        """All bytes of the shard were handed over."""
        self._change("UPDATE shard SET state = 'packed' WHERE path = ?", path)

    def staged(self, receipt: Receipt) -> None:
        """The shard is proven."""
        said = json.dumps(receipt.as_journal())
        with self._changing():
            self._change(
                "UPDATE shard SET state = 'staged', receipt = ?, pinned = 0 WHERE path = ?", said, receipt.path
            )
            self._say()

    def again(self, paths: Iterable[str]) -> None:
        """These are to be packed, or staged, whatever is known of them."""
        with self._changing() as database:
            gone = [(path,) for path in paths]
            database.executemany("UPDATE shard SET state = 'planned', receipt = NULL, pinned = 0 WHERE path = ?", gone)
            database.executemany("DELETE FROM beside WHERE path = ?", gone)

    def unpinned(self) -> list[str]:
        """The staged shards that are not pinned."""
        return [path for (path,) in self._all("SELECT path FROM shard WHERE state = 'staged' AND NOT pinned")]

    def pinned(self, paths: Iterable[str], where: str) -> None:
        """These are kept from being collected, there."""
        with self._changing() as database:
            self._say(pinned=where)
            database.executemany("UPDATE shard SET pinned = 1 WHERE path = ?", ((path,) for path in paths))

    @property
    def pinned_at(self) -> str | None:
        """Where shards are pinned, if any are."""
        where: str | None = self._said("pinned")
        return where

    def beside(self, path: str, identity: str) -> tuple[PublishedFile, Staged] | None:
        """A file that goes with the shards, as it was staged; None if it was made of something else, or never."""
        for published, staged, data in self._all(
            "SELECT published, staged, data FROM beside WHERE path = ? AND identity = ?", path, identity
        ):
            said = json.loads(published)
            columns = said.pop("columns")
            return PublishedFile(**said, columns=None if columns is None else tuple(columns)), _staged(staged, data)
        return None

    def keep_beside(self, identity: str, file: PublishedFile, staged: Staged) -> None:
        """A file that goes with the shards is staged; `identity` says what it was made of."""
        self._change(
            "INSERT OR REPLACE INTO beside VALUES (?, ?, ?, ?, ?)",
            *(file.path, identity, json.dumps(asdict(file)), *_said_of(staged)),
        )

    @property
    def sent(self) -> int:
        """How many commits of the job under way were written down."""
        return int(self._all("SELECT coalesce(max(number), 0) FROM sent")[0][0]) if self.under_way else 0

    def intend(
        self, parent: str | None, files: Mapping[str, Staged], gone: Collection[str], message: str, *, last: bool
    ) -> int:
        """A commit is about to be sent, in the place of an earlier one that has not landed; its number, from 1 on."""
        number = self.sent + 1
        with self._changing() as database:
            database.execute("UPDATE sent SET outcome = 'refused' WHERE outcome IS NULL")
            database.execute("DELETE FROM sent_file")
            database.execute(
                "INSERT INTO sent (number, parent, message, gone, last) VALUES (?, ?, ?, ?, ?)",
                (number, parent, message, json.dumps(list(gone)), last),
            )
            database.executemany(
                "INSERT INTO sent_file VALUES (?, ?, ?, ?, ?)",
                ((number, place, path, *_said_of(one)) for place, (path, one) in enumerate(files.items())),
            )
        return number

    def landed(self, number: int, revision: str | None) -> None:
        """The commit has taken effect, in that revision (None where there is no history), and is what is built on."""
        with self._changing() as database:
            database.execute("UPDATE sent SET outcome = 'landed', revision = ? WHERE number = ?", (revision, number))
            database.execute(
                # With the last commit all are, also those whose bytes were there already.
                "UPDATE shard SET state = 'committed' WHERE state = 'staged' AND (path IN (SELECT path FROM sent_file "
                "WHERE number = ?) OR (SELECT last FROM sent WHERE number = ?))",
                (number, number),
            )
            database.execute("DELETE FROM sent_file WHERE number = ?", (number,))
            self._say(revision=revision, basis=self._said("basis") | {"base": revision})

    def refused(self, number: int) -> None:
        """The commit has not taken effect, and will not unless it is sent again."""
        self._change("UPDATE sent SET outcome = 'refused' WHERE number = ?", number)

    def unsent(self) -> Sent | None:
        """The newest commit of the job under way, if it is not known to have landed."""
        found = self._all("SELECT number, parent, gone, message, last, outcome FROM sent ORDER BY number DESC LIMIT 1")
        if not self.under_way or not found or found[0][-1] == "landed":
            return None
        [(number, parent, gone, message, last, outcome)] = found
        rows = self._all("SELECT path, staged, data FROM sent_file WHERE number = ? ORDER BY place", number)
        files = {path: _staged(staged, data) for path, staged, data in rows}
        return Sent(number, parent, files, tuple(json.loads(gone)), message, bool(last), outcome == "refused")

    def uncertain(self) -> Sent | None:
        """The same, if nobody has written down what became of it."""
        found = self.unsent()
        return None if found is None or found.refused else found

    def finish(self, revision: str | None) -> None:
        """The job is over; what was kept for going on with it is thrown away. Nothing happens if none is under way."""
        if not self.under_way:
            return
        with self._changing() as database:
            self._say(over=True, revision=revision, error=None, pinned=None)
            database.execute("DELETE FROM beside")
            database.execute("DELETE FROM sent_file")
            database.execute("UPDATE shard SET receipt = NULL")
        with translated(self.folder):
            self._remove_parts()

    def _forget(self) -> None:
        """Nothing of an earlier job stays."""
        if self._database is not None:
            self._database.close()
            self._database = None
        for name in (NAME, f"{NAME}-wal", f"{NAME}-shm"):
            (self.folder / name).unlink(missing_ok=True)
        self._remove_parts()

    def _remove_parts(self) -> None:
        for folder, _, names in os.walk(self.parts, topdown=False):
            for name in names:
                os.unlink(os.path.join(folder, name))
            os.rmdir(folder)

    def _said(self, name: str, otherwise: Any = None) -> Any:
        rows = self._all("SELECT value FROM job WHERE name = ?", name)
        return json.loads(rows[0][0]) if rows else otherwise

    def _say(self, **facts: Any) -> None:
        with self._changing() as database:
            database.executemany(
                "INSERT OR REPLACE INTO job VALUES (?, ?)",
                ((name, json.dumps(value)) for name, value in {**facts, "changed": time.time()}.items()),
            )

    def _all(self, question: str, *values: Any) -> list[Any]:
        if self._database is None:
            return []
        with translated(self.folder):
            return self._database.execute(question, values).fetchall()

    def _change(self, order: str, *values: Any) -> None:
        with self._changing() as database:
            database.execute(order, values)

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        """One transaction, or a part of the one around it."""
        assert self._database is not None, "begin the job first"
        if self._database.in_transaction:
            yield self._database
            return
        with translated(self.folder):
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
            except BaseException:
                self._database.rollback()
                raise
            self._database.commit()


def _in_words(error: BaseException) -> str:
    """What ended a run, in one line."""
    if not isinstance(error, Exception):
        return "it was stopped"
    return str(getattr(error, "message", "") or type(error).__name__)


def _staged(said: str, data: bytes | None) -> Staged:
    from sealift.ports import Staged  # who only looks at a journal loads none of what the ports do

    return Staged(**json.loads(said), data=data)


def _said_of(one: Staged) -> tuple[str, bytes | None]:
    said = {"path": one.path, "size": one.size, "sha256": one.sha256, "xet_hash": one.xet_hash}
    return json.dumps(said), one.data
