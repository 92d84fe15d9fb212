"""A publication of more files than one commit takes: several commits on a pull request, and its merge."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, replace

from sealift.errors import (
    AnswerLost,
    ContentMissing,
    DestinationBusy,
    DestinationChanged,
    DestinationError,
    RequestError,
    SealiftError,
)
from sealift.model.event import OnEvent, Said, Warned
from sealift.stores.hub import marks
from sealift.stores.hub.answers import CONFLICT, Means, means
from sealift.stores.hub.changes import Changes
from sealift.stores.hub.client import Commit
from sealift.stores.hub.landing import Lacking, changed, content_missing, since
from sealift.stores.hub.place import DEFAULT_BRANCH, Place
from sealift.stores.hub.pulls import Pulls
from sealift.stores.hub.wire import Patience

WHY = """\
{files:,} files are more than one commit takes. So they come here, in several commits, and Sealift merges them as one \
when all are there. If this stays open, the publication was interrupted: close it; the same command begins anew."""
LEFT = "The publication that this belonged to was interrupted; it begins anew."
GIVEN_UP = "Nothing of this was merged."


@dataclass(frozen=True)
class Merging:
    """Publishes by a pull request: the branch has all of it, or nothing.

    A merge takes no parent, as a commit does, so the branch is compared just before. What another commits in the
    moment between is merged with it; the Hub refuses the merge if the same files are changed.
    """

    pulls: Pulls
    most: int
    """The most files and deletions of one commit."""
    lacking: Lacking
    on_event: OnEvent

    def publish(self, changes: Changes, job: str) -> str:
        """Merge the changes into the branch, and return the commit of the merge.

        Raises:
            DestinationChanged: the branch is no longer at the parent; nothing of ours took effect.
            ContentMissing, DestinationBusy, AccessDenied, DestinationError: the Hub does not take it, or not now;
                nothing took effect.
            RequestError: the branch is not the default one; nothing was sent.
            AnswerLost: nobody can say whether the merge took effect, or may still.
        """
        files = len(changes.files)
        check_branch(self.pulls.client.place, files, self.most)
        self._close_left(job)
        self._check_parent(changes.parent)
        number = self.pulls.make(changes.summary, job, f"{changes.description}\n\n{WHY.format(files=files)}")
        try:
            self._fill(number, changes, job)
            self.pulls.open(number)
            done = self._merge(number, changes.parent, job)
        except AnswerLost:
            raise
        except SealiftError:
            # Closed so that nobody merges half of it; if even that fails, the next try does so.
            with suppress(DestinationError):
                self.pulls.close(number, GIVEN_UP)
            raise
        self._tell_others(number, changes.parent, done)
        return done

    def _fill(self, number: int, changes: Changes, job: str) -> None:
        """Bring all changes to the pull request, on top of the parent."""
        url = self.pulls.url(number)
        self.on_event(
            Said(
                f"more files than one commit takes: they are published by a pull request, {url}. A merge takes no "
                "parent, so what another commits in the moment before it stays beside what is published"
            )
        )
        head = changes.parent
        for count, part in enumerate(changes.parts(self.most), 1):
            try:
                head = self.pulls.commit(number, replace(part, parent=head), f"{job}/part-{count}", self.lacking)
            except ContentMissing as error:
                raise self._all_missing(changes, error) from error
            except DestinationChanged as error:
                self._check_parent(changes.parent)
                raise DestinationChanged(
                    f"{url} was changed or closed by another while it was filled; nothing was published",
                    hint="run the same command again",
                    repository=self.pulls.client.place.repo,
                ) from error

    def _all_missing(self, changes: Changes, first: ContentMissing) -> ContentMissing:
        """What is gone of all the commits, not only of the first that was refused: it is sent again together."""
        gone = set(first.fields["paths"])
        about = next(path for path, file in changes.files.items() if file.path in gone)
        missing = self.lacking(changes, about)
        return content_missing(self.pulls.client, changes, missing) if missing else first

    def _merge(self, number: int, parent: str, job: str) -> str:
        """Merge once: what may have taken effect is not asked for again, only looked for."""
        client, patience = self.pulls.client, Patience(self.pulls.client.waits)
        while True:
            self._check_parent(parent)
            error = self._try(number)
            if error is None:
                return self._awaited(number, parent, job, patience)
            pull = self.pulls.look(number)
            if pull is not None and pull.status == "merged":
                return self._awaited(number, parent, job, patience)
            if pull is None or not pull.is_open or error.fields.get("status") in CONFLICT:
                raise changed(client, parent, client.head()) from error
            if not isinstance(error, DestinationBusy):
                raise error
            wait = patience.after(error.fields.get("retry_after_s"), error.fields.get("status"))
            if wait is None:
                raise error
            time.sleep(wait)

    def _try(self, number: int) -> DestinationError | None:
        """Ask for the merge: the error by which it is known that this had no effect, None if it may have had it."""
        try:
            self.pulls.merge(number)
        except DestinationError as error:
            came = error.__cause__
            if not isinstance(came, Exception) or means(came, changes=True) is not Means.UNCERTAIN:
                return error
        return None

    def _awaited(self, number: int, parent: str, job: str, patience: Patience) -> str:
        """The commit of a merge that was asked for; AnswerLost if it does not appear, or the Hub does not tell."""
        while True:
            try:
                done = self._merged(number, parent, job)
            except SealiftError as error:
                raise _unknown(self.pulls, number, job) from error
            if done is not None:
                return done
            wait = patience.after(None)
            if wait is None:
                raise _unknown(self.pulls, number, job)
            time.sleep(wait)

    def _merged(self, number: int, parent: str, job: str) -> str | None:
        """The commit of the merge, by the pull request or by the branch; None if neither has it now."""
        client = self.pulls.client
        pull = self.pulls.look(number)
        if pull is not None and pull.status == "merged":
            return pull.merged_as or client.head()
        return next((one.id for one in since(client, parent) if is_merge_of(self.pulls, one, job)), None)

    def _check_parent(self, parent: str) -> None:
        found = self.pulls.client.head()
        if found != parent:
            raise changed(self.pulls.client, parent, found)

    def _close_left(self, job: str) -> None:
        """Close what a run of this job that was interrupted left open, so that nobody merges half of it."""
        for pull in list(self.pulls.find(lambda said: _is_publication(said, job))):
            self.pulls.close(pull.number, LEFT)

    def _tell_others(self, number: int, parent: str, done: str) -> None:
        """Say which commits of others came between the comparison and the merge."""
        client = self.pulls.client
        with suppress(DestinationError):
            others = [commit.id for commit in since(client, parent) if commit.id != done]
            mine = {commit.id for commit in since(self.pulls.ref(number), parent)} if others else set()
            if others := [one for one in others if one not in mine]:
                self.on_event(
                    Warned(
                        f"{client.place.name}: {len(others)} commits of others came in the moment of the merge, or "
                        f"just after it ({', '.join(one[:8] for one in others[:3])}): look at {client.place.url}"
                    )
                )


def is_merge_of(pulls: Pulls, commit: Commit, job: str) -> bool:
    """Whether the commit is a merge of a pull request of the job; it has only the title of that, and its number."""
    number = commit.message.partition("\n")[0].rstrip().rpartition("(#")[2]
    if not number.endswith(")") or not number[:-1].isdecimal():
        return False
    pull = pulls.look(int(number[:-1]))
    return pull is not None and pull.merged_as in (commit.id, None) and marks.is_of_job(pull.said, job)


def _is_publication(said: str, job: str) -> bool:
    """Whether a pull request publishes something of the job of which `job` is one commit."""
    whole = job.rpartition("/")[0]
    return marks.is_of_job(said, whole) and not marks.is_marked(said, whole)


def check_branch(place: Place, files: int, most: int) -> None:
    """See that so many files can be published there.

    Raises:
        RequestError: they are more than one commit takes, and the branch is not the default one.
    """
    if files > most and place.branch != DEFAULT_BRANCH:
        raise RequestError(
            f"{place.name}: {files:,} files are more than the {most:,} that one commit takes, and only a "
            f"publication to {DEFAULT_BRANCH} can have more: a Hub makes pull requests for it alone",
            hint=f"publish to {DEFAULT_BRANCH}, or make the shards larger",
            to=place.name,
        )


def _unknown(pulls: Pulls, number: int, job: str) -> AnswerLost:
    return AnswerLost(
        f"the merge of {pulls.url(number)} was asked for, and no answer said what became of it: it may have taken "
        "effect, or may still",
        hint="look at that page: if it is merged, the dataset is published; if it is not after ten minutes, run the "
        "same command again",
        job=job,
        repository=pulls.client.place.repo,
    )
