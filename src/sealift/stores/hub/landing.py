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
from sealift.stores.hub.wire import BROKEN, FOR_NOW, PATIENCE, busy, gone, renamed, retry_after

CHANGED = frozenset({409, 412})
"""The parent is no longer the head, or another commit is under way."""
TRAILER = "Sealift-Job"


def land(client: HubClient, changes: Changes, job: str) -> str:
    """Commit, and return the commit's id. `job` is in its description, by which it is known again.

    An answer that was lost is neither a failure nor a success: the history of the branch tells. As long as the parent
    is the head, sending again is safe, since the Hub takes one commit on a parent.

    Raises:
        DestinationChanged: another commit came first, or the repository is gone; ours did not take effect.
        DestinationBusy: the Hub asks to wait for longer than `PATIENCE`, or takes no commit now, though nothing has
            changed; ours did not take effect.
        RequestError: the repository was renamed; ours did not take effect.
        AnswerLost: nobody can say whether ours took effect, or may still.
        DestinationError: the Hub refuses the commit; `path` names the file, where it is about one.
    """
    size = sum(len(block) for block in changes.blocks())
    waits, patience, lost = iter(client.waits), PATIENCE, False
    while True:
        try:
            with client.translated():
                return _once(client, changes, size)
        except _Turned as turned:
            answer = turned.answer
            if answer is not None and answer.status_code == 429:
                wait = retry_after(answer) or next(waits, None)
                wait = None if wait is None or wait > patience else wait
                patience -= wait or 0
            else:
                lost = lost or answer is None or answer.status_code not in CHANGED
                done = _look(client, changes, job, lost=lost)
                if done is not None:
                    return done
                wait = next(waits, None)
            if wait is None:
                raise _given_up(client, job, turned.error, lost=lost) from turned.error
            time.sleep(wait)


class _Turned(Exception):
    """The commit was not answered with success, and may all the same be one, or become one."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    @property
    def answer(self) -> httpx2.Response | None:
        """What came instead, if anything did."""
        return self.error.response if isinstance(self.error, HfHubHTTPError) else None


def _once(client: HubClient, changes: Changes, size: int) -> str:
    try:
        return client.commit(changes.blocks, size)
    except HfHubHTTPError as error:
        status = error.response.status_code
        if status in CHANGED or status in FOR_NOW:
            raise _Turned(error) from error
        if status // 100 == 3:
            _see_name(client)
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
        raise _Turned(error) from error


def _see_name(client: HubClient) -> None:
    """The Hub sends us elsewhere with the commit, and took nothing: see whether the repository was renamed.

    Raises:
        RequestError: it was.
        DestinationChanged: it is gone.
    """
    found = client.repository()
    if found is None:
        raise gone(client.place)
    if found.name != client.place.repo:
        raise renamed(client.place, found.name)


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


def _given_up(client: HubClient, job: str, error: Exception, *, lost: bool) -> SealiftError:
    """What is said when there is no use in sending it again. Where no answer was lost, it did not take effect."""
    if lost or not isinstance(error, HfHubHTTPError):
        return _unknown(client, job)
    place, status = client.place, error.response.status_code
    if status == 429:
        return busy(place, error.response)
    said = f": {error.server_message}" if error.server_message else ""
    return DestinationBusy(
        f"{place.endpoint} does not take the commit ({status}){said}; nothing changed there, and nothing was published",
        hint=f"see that nothing else is at work on {place.name}, and run the same command again",
        endpoint=place.endpoint,
        status=status,
    )


def _unknown(client: HubClient, job: str) -> SealiftError:
    return AnswerLost(
        f"the commit was sent to {client.place.endpoint}, and no answer said what became of it: it may have taken "
        "effect, or may still",
        hint=f"look for `{TRAILER}: {job}` among the commits of {client.place.url}; if it is not there after ten "
        "minutes, run the same command again",
        job=job,
        repository=client.place.repo,
    )
