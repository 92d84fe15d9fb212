"""Pull requests of a job: made, found again by its mark, committed to, merged, closed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from sealift.errors import AnswerLost, DestinationBusy, DestinationError, SealiftError
from sealift.stores.hub import marks
from sealift.stores.hub.changes import Changes
from sealift.stores.hub.client import HubClient
from sealift.stores.hub.landing import Lacking, land
from sealift.stores.hub.wire import Patience

OPEN = frozenset({"draft", "open"})
TITLE_CHARACTERS = 200
NO_SUCH = frozenset({404, 410})

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Pull:
    """A pull request as the Hub tells of it: `said` is its description, `merged_as` the commit that it became."""

    number: int
    status: str
    said: str
    merged_as: str | None

    @property
    def is_open(self) -> bool:
        """Whether it takes commits; a draft does, too."""
        return self.status in OPEN


@dataclass(frozen=True, slots=True)
class Pulls:
    """Our pull requests in one repository, made for the default branch: the Hub makes them for no other."""

    client: HubClient

    def url(self, number: int) -> str:
        """Its page, for people."""
        place = self.client.place
        return f"{place.endpoint}/datasets/{place.repo}/discussions/{number}"

    def ref(self, number: int) -> HubClient:
        """For calls about what it holds."""
        return replace(self.client, place=replace(self.client.place, revision=f"refs/pr/{number}"))

    def find(self, is_ours: Callable[[str], bool]) -> Iterator[Pull]:
        """Those that are open and whose description is ours, the newest first; drafts are open.

        It takes two requests, or one more for each further 50 pull requests of ours, and one for each that is open.
        """
        for said in self._listed():
            if said.get("status") not in OPEN:
                continue
            if (pull := self.look(int(said["num"]))) and pull.is_open and is_ours(pull.said):
                yield pull

    def look(self, number: int) -> Pull | None:
        """What it is now; None if it is not there."""
        try:
            said = self._ask("GET", f"/{number}")
        except DestinationError as error:
            if error.fields.get("status") in NO_SUCH:
                return None
            raise
        with self.client.translated():
            changes = said.get("changes") or {}
            return Pull(number, str(said["status"]), _description(said), changes.get("mergeCommitId"))

    def make(self, title: str, job: str, text: str) -> int:
        """A new draft with the job's mark in its description, at the head of the default branch; its number.

        An answer that was lost is looked for: there are not two in the end.
        """
        asked = {"title": title[:TITLE_CHARACTERS], "description": marks.marked(text, job), "pullRequest": True}

        def act() -> int:
            made = self._ask("POST", "", repeat=False, json=asked)
            with self.client.translated():
                return int(made["num"])

        def done() -> int | None:
            return next((pull.number for pull in self.find(lambda said: marks.is_marked(said, job))), None)

        return surely(self.client, act, done)

    def commit(self, number: int, changes: Changes, job: str, lacking: Lacking) -> str:
        """Commit to it, as `landing.land` does; no branch is changed, so a lost answer only means to try it again.

        Raises:
            DestinationBusy: nobody can say whether the commit took effect.
            ContentMissing, DestinationChanged, DestinationError: as `land`.
        """
        description = marks.marked(changes.description, job)
        try:
            return land(self.ref(number), replace(changes, description=description), job, lacking)
        except AnswerLost as error:
            lost = error
        # What refused a later try is what there is to mend.
        refused = lost.__cause__
        if isinstance(refused, SealiftError) and not isinstance(refused, DestinationBusy):
            raise refused
        raise DestinationBusy(
            f"{self.url(number)}: a commit was sent, and no answer said what became of it; nothing was published",
            hint="run the same command again",
            repository=self.client.place.repo,
        ) from lost

    def open(self, number: int) -> None:
        """Make it one that can be merged, which a draft cannot."""
        self._settle(number, {"status": "open"}, lambda pull: pull is None or pull.status != "draft")

    def close(self, number: int, comment: str) -> None:
        """Close it; one that is closed, merged or gone already is left as it is."""
        self._settle(number, {"status": "closed", "comment": comment}, lambda pull: pull is None or not pull.is_open)

    def merge(self, number: int) -> None:
        """Ask once for the merge. What the answer means only the caller knows.

        Raises:
            DestinationBusy: no answer, or not now; it may take effect all the same.
            DestinationError: it is refused; `status` says how.
        """
        self._ask("POST", f"/{number}/merge", repeat=False, json={})

    def _settle(self, number: int, said: dict[str, str], is_settled: Callable[[Pull | None], bool]) -> None:
        def act() -> bool:
            if not is_settled(self.look(number)):
                self._ask("POST", f"/{number}/status", repeat=False, json=said)
            return True

        surely(self.client, act, lambda: None)

    def _listed(self) -> Iterator[dict[str, Any]]:
        author = self.client.whoami().get("name")
        page, seen, count = 0, 0, 1
        while seen < count:
            query = {"type": "pull_request", "author": author, "p": page}
            said = self._ask("GET", "", params=query)
            with self.client.translated():
                found, count = said["discussions"], int(said["count"])
            if not found:
                return
            yield from found
            page, seen = page + 1, seen + len(found)

    def _ask(self, method: str, path: str, *, repeat: bool = True, **request: Any) -> dict[str, Any]:
        answer = self.client.call(method, f"{self.client.place.api}/discussions{path}", repeat=repeat, **request)
        with self.client.translated():
            said = answer.json() if answer.content else {}
            return said if isinstance(said, dict) else {}


def surely(client: HubClient, act: Callable[[], Result], done: Callable[[], Result | None]) -> Result:
    """What `act` brings about, once: after a lost answer `done` looks for it before it is tried again.

    Raises:
        DestinationBusy: neither, after some tries, or the Hub asks to wait for longer than `PATIENCE` altogether.
    """
    patience = Patience(client.waits)
    while True:
        try:
            return act()
        except DestinationBusy as error:
            wait = patience.after(error.fields.get("retry_after_s"), error.fields.get("status"))
            if wait is None:
                raise
            time.sleep(wait)
        if (found := done()) is not None:
            return found


def _description(said: dict[str, Any]) -> str:
    """The first comment, which is what a pull request was opened with."""
    for event in said.get("events") or ():
        if event.get("type") == "comment":
            latest = (event.get("data") or {}).get("latest") or {}
            return str(latest.get("raw") or "")
    return ""
