"""What a run writes down of itself, and what it finds of the runs before it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Self

import pyarrow as pa

from sealift import __version__
from sealift.errors import AnswerLost, ContentMissing, SealiftError
from sealift.journal import Journal
from sealift.journal.records import Basis, Sent
from sealift.model.event import Event, HandedOver, OnEvent, Said, Warned
from sealift.model.plan import Plan, PlannedShard
from sealift.model.receipt import Receipt
from sealift.pack import PackJob, is_same
from sealift.ports import Destination, Staged

PIN_AFTER_S = 2 * 3600.0
"""A job that takes longer has its staged shards pinned: content that no commit names has been collected after 20 h."""
PIN_EVERY_S = 1800.0


@dataclass
class Keeping:
    """The journal of a run, beside the destination that it speaks of. Use it with `with`, inside of both."""

    journal: Journal
    destination: Destination
    on_event: OnEvent
    pin_after: float = PIN_AFTER_S
    last: bool = True
    """Whether the job is over with the next commit."""
    _pinned: float = field(default=0.0, init=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        # What lies beside a folder stays for the next run, if that can use it.
        if self.destination.here and not self.journal.goes_on:
            self.destination.unpin()

    def settle(self, sent: Sent | None) -> str | None:
        """Find out what became of a commit that was about to be sent when a run ended; which it is, if it landed.

        One that has not may still come late: the parent that it names keeps it from doing harm then.
        """
        if sent is None:
            return None
        found = self.destination.landed(sent.parent)
        if found is None and self._is_in_place(sent):
            found = self.destination.name
        if found is None:
            self.journal.refused(sent.number)
        else:
            self.journal.landed(sent.number, self.destination.revision and found)
            self.on_event(Said(f"the commit of the run before has taken effect: {found}"))
        return found

    def _is_in_place(self, sent: Sent) -> bool:
        """Whether a folder, which keeps no history, has what was sent: not all of it is staged any more."""
        if not self.destination.here or not self.destination.missing(sent.files.values()):
            return False
        sizes: dict[str, int] = {}
        for batch in self.destination.listing():
            sizes.update(zip(*(batch.column(name).to_pylist() for name in ("path", "size")), strict=True))
        return all(sizes.get(path) == file.size for path, file in sent.files.items()) and sizes.keys().isdisjoint(
            sent.gone
        )

    def begin(self, basis: Basis, shards: Sequence[PlannedShard]) -> Basis | None:
        """Write down what is to be done; what the job was planned from when it was begun, None if it is new."""
        return self.journal.begin(self.destination.name, self.destination.url, basis, shards)

    def kept(self, jobs: Iterable[PackJob]) -> dict[str, Receipt]:
        """The receipts of those shards that need not be packed: they would be the same, and are there.

        Reads the rows of these shards once, and no media.
        """
        known = self.journal.receipts()
        ours = {job.shard.path: job for job in jobs if job.shard.path in known}
        same = {path: known[path] for path, job in ours.items() if is_same(job, known[path])}
        gone = set(self.destination.missing(staged_of(same.values()).values()))
        kept = {path: receipt for path, receipt in same.items() if path not in gone}
        self.journal.again(ours.keys() - kept.keys())
        return kept

    def heard(self, event: Event) -> None:
        """Write down what a worker says of its shard, and pass all else on."""
        if isinstance(event, HandedOver):
            self.journal.packed(event.path)
        self.on_event(event)

    def staged(self, receipt: Receipt) -> None:
        """A shard is proven; if the job is a long one, what is staged is pinned now and then."""
        self.journal.staged(receipt)
        now = time.time()
        if now - self.journal.began >= self.pin_after and now - self._pinned >= min(self.pin_after, PIN_EVERY_S):
            self.pin()
            self._pinned = now

    def pin(self) -> None:
        """Keep from being collected what is staged and not kept yet; all of it, if what kept it is gone."""
        receipts, paths, before = self.journal.receipts(), self.journal.unpinned(), self.journal.pinned_at
        try:
            where = self.destination.pin(staged_of(receipts[path] for path in paths))
        except ContentMissing as error:
            # The commit will name them, too; then they are packed again. They count no more for another run.
            self.on_event(Warned(error.message))
            self.journal.again(error.fields["paths"])
            return
        if where is None:
            return
        if where != before:
            self.on_event(Said(f"this takes long: finished shards are kept by {where} until they are published"))
            if before is not None:
                self.destination.pin(staged_of(receipts.values()))
        self.journal.pinned(receipts, where)

    @property
    def revision(self) -> str | None:
        """That of the destination."""
        return self.destination.revision

    def commit(self, files: Mapping[str, Staged], delete: Iterable[str], message: str) -> str | None:
        """The destination's commit, written down before it is sent and after it has landed. Raises what that raises."""
        delete = list(delete)
        number = self.journal.intend(self.destination.revision, files, delete, message, last=self.last)
        try:
            revision = self.destination.commit(files, delete, message)
        except AnswerLost:
            raise
        except SealiftError:
            # Of a folder it may have been decided, and is ended when that is opened again: `settle` sees that.
            self.journal.refused(number)
            raise
        self.journal.landed(number, revision)
        return revision

    def finish(self) -> None:
        """The job is done."""
        if self.journal.pinned_at is not None:
            self.destination.unpin()
        self.journal.finish(self.destination.revision)


def basis_of(plan: Plan, destination: Destination) -> Basis:
    """What this run is planned from. In JSON's words, so that it can be held against one that was written down."""
    spec = json.loads(json.dumps(plan.spec))
    versions = {"sealift": __version__, "pyarrow": pa.__version__}
    return Basis(spec, dict(plan.ids), plan.fingerprint, versions, destination.revision)


def staged_of(receipts: Iterable[Receipt]) -> dict[str, Staged]:
    """Packed shards as they were staged."""
    return {one.path: Staged(one.path, one.size, one.sha256, one.xet_hash) for one in receipts}


def changes(before: Basis, now: Basis) -> list[str]:
    """What is not as it was when the job was begun, for people."""
    said = []
    if before.spec != now.spec:
        said.append("the spec was changed")
    both = before.ids.keys() & now.ids.keys()
    if any(before.ids[name] != now.ids[name] for name in both):
        said.append("the rows, or how they are cut, are others")
    elif before.fingerprint != now.fingerprint:
        said.append("files of the source were changed")
    for name, version in now.versions.items():
        if before.versions.get(name) != version:
            said.append(f"{name} was {before.versions.get(name)} and is {version}")
    if before.base != now.base:
        said.append(f"the destination was at {_short(before.base)} and is at {_short(now.base)}")
    return said


def resumed(began: float, shards: int, kept: Mapping[str, Receipt], why: Sequence[str]) -> str:
    """What is said when a job goes on."""
    when = datetime.fromtimestamp(began, UTC).strftime("%Y-%m-%d %H:%M UTC")
    there = sum(receipt.size for receipt in kept.values())
    changed = f"; since then {', '.join(why)}" if why else ""
    counts = "still count" if why else "are there already"
    size = f"{there / 1e6:,.1f} MB" if there >= 1e6 else f"{there / 1e3:,.1f} kB"
    return f"going on with the job begun {when}{changed}: {len(kept):,} of {shards:,} shards {counts} ({size})"


def _short(revision: str | None) -> str:
    return "no revision" if revision is None else revision[:12]
