"""A commit that takes effect once, whatever becomes of the answers."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import httpx2
from huggingface_hub.errors import HfHubHTTPError

from sealift.errors import AnswerLost, DestinationBusy, DestinationChanged, DestinationError, SealiftError
from sealift.stores.hub.changes import Changes
from sealift.stores.hub.client import Commit, HubClient
from sealift.stores.hub.wire import BROKEN, FOR_NOW, PATIENCE, busy, retry_after

CHANGED = frozenset({409, 412})
"""The parent is no longer the head, or another commit is under way."""
TRAILER = "Sealift-Job"


def land(client: HubClient, changes: Changes, job: str) -> str:
    """Commit, and return the commit's id. `job` is in its description, by which it is known again.

    An answer that was lost is neither a failure nor a success: the history of the branch tells. As long as the parent
    is the head, sending again is safe, since the Hub takes one commit on a parent.

    Raises:
        DestinationChanged: another commit came first; ours did not take effect.
        DestinationBusy: the Hub asks to wait for longer than `PATIENCE`; ours did not take effect.
        AnswerLost: nobody can say whether ours took effect, or may still.
        DestinationError: the Hub refuses the commit; `path` names the file, where it is about one.
    """
    size = sum(len(block) for block in changes.blocks())
    waits, patience, lost = iter(client.waits), PATIENCE, False
    while True:
        wait: float | None
        try:
            with client.translated():
                return _once(client, changes, size)
        except _Turned as turned:
            if turned.answer is not None and turned.answer.status_code == 429:
                wait = retry_after(turned.answer) or next(waits, None)
                if wait is None or wait > patience:
                    raise busy(client.place, turned.answer) from None
                patience -= wait
                time.sleep(wait)
                continue
            lost = lost or turned.answer is None or turned.answer.status_code not in CHANGED
            done = _look(client, changes, job, lost=lost)
            if done is not None:
                return done
            wait = next(waits, None)
            if wait is None:
                raise _unknown(client, job) from turned.__cause__
            time.sleep(wait)


class _Turned(Exception):
    """The commit was not answered with success, and may all the same be one, or become one."""

    def __init__(self, answer: httpx2.Response | None) -> None:
        super().__init__()
        self.answer = answer


def _once(client: HubClient, changes: Changes, size: int) -> str:
    try:
        return client.commit(changes.blocks, size)
    except HfHubHTTPError as error:
        status = error.response.status_code
        if status in CHANGED or status in FOR_NOW:
            raise _Turned(error.response) from error
        about = _named(changes, error.server_message or "")
        if about is None:
            raise
        raise DestinationError(
            f"{about}: {client.place.endpoint} refuses the commit ({status}): {error.server_message}",
            hint="run the same command again: what it misses is sent again",
            path=about,
            status=status,
        ) from error
    except (*BROKEN, KeyError, ValueError) as error:
        raise _Turned(None) from error


def _look(client: HubClient, changes: Changes, job: str, *, lost: bool) -> str | None:
    """The commit's id if the branch has it, None if its parent is still the head.

    Raises:
        DestinationChanged: neither; the branch has gone another way.
        AnswerLost: the Hub does not tell, and the commit may have taken effect.
    """
    try:
        first = ""
        for commit in _since(client, changes.parent):
            first = first or commit.id
            if f"{TRAILER}: {job}" in commit.message.splitlines():
                return commit.id
    except DestinationBusy as error:
        if lost:
            raise _unknown(client, job) from error
        raise
    if not first:
        return None
    raise DestinationChanged(
        f"{client.place.name} was changed by another while this run was at work; nothing was published",
        hint="run the same command again",
        expected=changes.parent,
        found=first,
        repository=client.place.repo,
    )


def _since(client: HubClient, parent: str) -> Iterator[Commit]:
    """The commits after the parent, the newest first."""
    for commit in client.history():
        if commit.id == parent:
            return
        yield commit


def _named(changes: Changes, said: str) -> str | None:
    """The file of the commit that the Hub's words are about: by its SHA-256, else by its path."""
    for path, file in changes.files.items():
        if file.sha256 is not None and file.sha256 in said:
            return path
    for path in changes.files:
        if path in said and re.search(rf"(?<![\w./-]){re.escape(path)}(?![\w/-])", said):
            return path
    return None


def _unknown(client: HubClient, job: str) -> SealiftError:
    return AnswerLost(
        f"the commit was sent to {client.place.endpoint}, and no answer said what became of it: it may have taken "
        "effect, or may still",
        hint=f"look for `{TRAILER}: {job}` among the commits of {client.place.url}; if it is not there after ten "
        "minutes, run the same command again",
        job=job,
        repository=client.place.repo,
    )
