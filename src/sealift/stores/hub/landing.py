"""A commit that takes effect once, whatever becomes of the answers."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence

from huggingface_hub.errors import HfHubHTTPError

from sealift.errors import (
    AnswerLost,
    ContentMissing,
    DestinationBusy,
    DestinationChanged,
    DestinationError,
    SealiftError,
)
from sealift.stores.hub import marks
from sealift.stores.hub.answers import BROKEN, UNREADABLE, Means, means, retry_after
from sealift.stores.hub.changes import Changes, is_there
from sealift.stores.hub.client import NOT_THERE, Commit, HubClient
from sealift.stores.hub.facts import TreeFacts
from sealift.stores.hub.refusals import busy, gone, renamed, unreachable, unsigned
from sealift.stores.hub.wire import Patience

RIGHTS = frozenset({401, 403})
"""What the token may do is wrong, not what the commit holds."""

Lacking = Callable[[Changes, str | None], Sequence[str]]
"""The files of a commit, by their final paths, whose content the Hub lacks; the Hub's words were about one of them."""


def _none(_: Changes, __: str | None) -> Sequence[str]:
    return ()


def land(client: HubClient, changes: Changes, job: str, lacking: Lacking = _none) -> str:
    """Commit, and return the commit's id. `job` is in its description, by which it is known again.

    When the Hub refuses the commit, `lacking` is asked whether content is the reason.

    An answer that was lost is neither a failure nor a success: the history of the branch tells. As long as the parent
    is the head, sending again is safe, since the Hub takes one commit on a parent. What refuses a later try says
    nothing about an earlier one.

    Raises:
        DestinationChanged: another commit came first, or the repository is gone; ours did not take effect.
        DestinationBusy: the Hub asks to wait for longer than `PATIENCE`, or takes no commit now, though nothing has
            changed; ours did not take effect.
        RequestError: the repository was renamed; ours did not take effect.
        AnswerLost: nobody can say whether ours took effect, or may still.
        ContentMissing: the Hub has not, or not any more, what files of it hold; ours did not take effect.
        DestinationError: the Hub refuses the commit; `path` names the file, where it is about one.
    """
    size = sum(len(block) for block in changes.blocks())
    patience, lost = Patience(client.waits), False
    while True:
        try:
            with client.translated():
                return _once(client, changes, size, lacking)
        except SealiftError as error:
            if lost:
                raise _unknown(client, job) from error
            raise
        except _Turned as turned:
            if turned.means is not Means.WAIT:
                lost = lost or turned.means is Means.UNCERTAIN
                done = _look(client, changes, job, lost=lost)
                if done is not None:
                    return done
            wait = patience.after(turned.asked, turned.status)
            if wait is None:
                raise _given_up(client, job, turned.error, lost=lost) from turned.error
            time.sleep(wait)


class _Turned(Exception):
    """The commit was not answered with success, and may all the same be one, or become one."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error
        self.means = means(error, changes=True)
        answer = error.response if isinstance(error, HfHubHTTPError) else None
        self.status = None if answer is None else answer.status_code
        self.asked = None if answer is None else retry_after(answer)


def _once(client: HubClient, changes: Changes, size: int, lacking: Lacking) -> str:
    try:
        return client.commit(changes.blocks, size)
    except HfHubHTTPError as error:
        if means(error, changes=True) is not Means.REFUSED:
            raise _Turned(error) from error
        if error.response.status_code // 100 == 3:
            _see_name(client)
        refused = _refused(client, changes, error, lacking)
        if refused is None:
            raise
        raise refused from error
    except (*BROKEN, *UNREADABLE) as error:
        raise _Turned(error) from error


def _refused(client: HubClient, changes: Changes, error: HfHubHTTPError, lacking: Lacking) -> SealiftError | None:
    """What an answer that refuses the commit for good means; None if it is about no file."""
    status, said = error.response.status_code, unsigned(error.server_message or "")
    about = _named(changes, said)
    if status // 100 == 4 and status not in RIGHTS and not isinstance(error, NOT_THERE):
        missing = lacking(changes, about)
        if missing:
            return content_missing(client, changes, missing)
    if about is None:
        return None
    return DestinationError(
        f"{about}: {client.place.endpoint} refuses the commit ({status}): {said}",
        hint="mend what it names, and run the same command again",
        path=about,
        status=status,
    )


def content_missing(client: HubClient, changes: Changes, missing: Sequence[str]) -> ContentMissing:
    """The Hub has not what these files of the commit hold; they are to be sent again."""
    shown = ", ".join(missing[:5]) + (", …" if len(missing) > 5 else "")
    return ContentMissing(
        f"{client.place.endpoint} has not, or not any more, the content of files that were uploaded "
        f"({len(missing)}): {shown}; nothing was published",
        hint="run the same command again: it sends them again",
        paths=[changes.files[path].path for path in missing],
        repository=client.place.repo,
    )


def changed(client: HubClient, expected: str | None, found: str | None) -> DestinationChanged:
    """The branch is no longer where it was when this run looked."""
    return DestinationChanged(
        f"{client.place.name} was changed by another since this run looked at it; nothing was published",
        hint="run the same command again",
        expected=expected,
        found=found,
        repository=client.place.repo,
    )


def since(client: HubClient, parent: str | None) -> Iterator[Commit]:
    """The commits of the branch after the parent, the newest first."""
    for commit in client.history():
        if commit.id == parent:
            return
        yield commit


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
        for commit in since(client, changes.parent):
            first = first or commit.id
            if marks.is_marked(commit.message, job) or _is_the_same(client, commit, changes, job):
                return commit.id
    except SealiftError as error:
        if lost:
            raise _unknown(client, job) from error
        raise
    if not first:
        return None
    raise changed(client, changes.parent, first)


def _is_the_same(client: HubClient, commit: Commit, changes: Changes, job: str) -> bool:
    """Whether another run of the job has made this very change, with a commit whose answer came too late for it."""
    whole = job.rpartition("/")[0]
    if not whole or not marks.is_of_job(commit.message, whole):
        return False
    facts = TreeFacts(client.tree(commit.id))
    if any(path.removesuffix("/") in facts or _has(facts, path) for path in changes.deletions):
        return False
    return all(is_there(file, facts.get(path)) for path, file in changes.files.items())


def _has(facts: TreeFacts, folder: str) -> bool:
    return folder.endswith("/") and any(path.startswith(folder) for path in facts)


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
    place = client.place
    if lost:
        return _unknown(client, job)
    if not isinstance(error, HfHubHTTPError):
        return unreachable(place, error)
    status = error.response.status_code
    if status == 429:
        return busy(place, error.response)
    said = f": {unsigned(error.server_message)}" if error.server_message else ""
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
        hint=f"look for `{marks.line(job)}` among the commits of {client.place.url}; if it is not there after ten "
        "minutes, run the same command again",
        job=job,
        repository=client.place.repo,
    )
