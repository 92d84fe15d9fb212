"""Finishing a job from its journal alone: no spec, no source, on whatever machine has the job's state."""

from __future__ import annotations

from dataclasses import dataclass

from sealift.build.keeping import Keeping
from sealift.build.places import USUAL, Access, open_destination, open_journal
from sealift.errors import DestinationChanged, RequestError
from sealift.journal.progress import progress
from sealift.journal.records import Sent
from sealift.model.event import OnEvent, ignore
from sealift.plan import DEFAULT_MEMORY
from sealift.plan.estimate import Memory
from sealift.spec import Spec


@dataclass(frozen=True)
class Finished:
    """What became of the job's last commit: its revision (None for a folder), and whether it had landed already.

    `over` is whether the job is over with it; if not, `left` is how many shards were to come in further commits.
    """

    to: str
    revision: str | None
    landed: bool
    files: tuple[str, ...]
    over: bool
    left: int


def finish(to: str, *, access: Access = USUAL, on_event: OnEvent = ignore) -> Finished:
    """See whether the commit that a run was about to send has landed; if not, send it.

    Readers see the old dataset before, and the new one after. Repeating is safe.

    Raises:
        RequestError: no commit is to be finished there: everything was said of the last one, or none was made ready.
        DestinationChanged: another has changed the destination; nothing was published.
        ContentMissing: staged files are gone; `sealift publish` packs them again.
        DestinationError: the destination does not take the commit, or does not answer.
    """
    spec = Spec(to=to)
    record = open_journal(spec, to, access)
    if progress(record.folder) is None:
        raise _nothing(to)
    with record as journal:
        sent = journal.unsent()
        if sent is None:
            raise _nothing(to)
        with (
            open_destination(spec, to, access, Memory(DEFAULT_MEMORY), journal, on_event) as destination,
            Keeping(journal, destination, on_event) as keeping,
        ):
            landed = keeping.settle(sent)
            if landed is None:
                _send(keeping, sent)
            left = 0 if sent.last else journal.left
            if sent.last:
                keeping.finish()
            return Finished(
                destination.name, destination.revision, landed is not None, tuple(sent.files), sent.last, left
            )


def _nothing(to: str) -> RequestError:
    return RequestError(
        f"no commit to {to} is to be finished",
        hint="`sealift status` shows the jobs; `sealift publish` goes on with one that is not packed yet",
        to=to,
    )


def _send(keeping: Keeping, sent: Sent) -> None:
    """Send the commit as it was written down, if the destination is where it was then."""
    destination = keeping.destination
    if destination.revision != sent.parent:
        raise DestinationChanged(
            f"{destination.name} was changed by another since the commit was made ready; nothing was published",
            hint="run `sealift publish` again: what is staged still counts",
            expected=sent.parent,
            found=destination.revision,
        )
    destination.prepare()
    keeping.last = sent.last
    keeping.commit(sent.files, sent.gone, sent.message)
