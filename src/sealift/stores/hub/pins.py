"""Uploaded content that a job still needs, kept from being collected: a draft pull request names it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from urllib.parse import quote

from sealift.errors import ContentMissing, DestinationChanged, DestinationError
from sealift.ports import Staged
from sealift.stores.hub import marks
from sealift.stores.hub.changes import Changes
from sealift.stores.hub.client import HubClient
from sealift.stores.hub.landing import Lacking
from sealift.stores.hub.pulls import NO_SUCH, Pulls

FILES = 1_000
"""The most files of one of its commits: a Hub takes some seconds for so many."""
FOLDER = ".sealift/pinned"
"""In the pull request only. Files lie there by their digests: a dataset of 10,000 files a folder would have no room
for as many new ones beside the old."""
TRIES = 3
TITLE = "Sealift: shards of a publication under way (not to be merged)"
WHY = """\
A dataset is being published to this repository by Sealift. The Hub removes uploaded content after some hours if no \
commit names it, and this publication takes longer, or may be interrupted. So the commits here name the shards that \
are finished. They need not be uploaded again as long as this draft is open.

It is not meant to be merged: its files have no names yet. It is closed when the dataset is published. If you gave the \
publication up, close it."""
CLOSED = "The publication needs this no longer."


@dataclass
class Pins:
    """Content of one job that is kept. What is there is asked of the Hub once; another process finds it by the mark."""

    pulls: Pulls
    job: str
    lacking: Lacking
    files: int = FILES
    _number: int | None = field(default=None, init=False)
    _head: str = field(default="", init=False)
    _there: set[str] = field(default_factory=set, init=False)
    _wanted: dict[str, Staged] = field(default_factory=dict, init=False)

    def keep(self, files: Iterable[Staged]) -> str | None:
        """Have the content of the files named by a commit; the page of the pull request, None if nothing is to keep.

        One request if all of it is kept already; else one more for each thousand files. If the pull request was
        closed, it is made anew, with all that this object was ever asked to keep.

        Raises:
            ContentMissing: some of it is gone already; that is not asked for any more.
            DestinationBusy, AccessDenied, DestinationError: the Hub does not take it now, or at all.
        """
        self._wanted.update((file.sha256, file) for file in files if file.sha256 and file.size and file.data is None)
        if not self._wanted:
            return None
        for attempt in range(TRIES):
            number = self._at_hand()
            try:
                self._add(number)
                break
            except ContentMissing as error:
                gone = set(error.fields["paths"])
                self._wanted = {digest: file for digest, file in self._wanted.items() if file.path not in gone}
                raise
            except DestinationChanged:
                # Somebody else committed to it, or closed it just now.
                self._forget()
                if attempt == TRIES - 1:
                    raise
        return self.pulls.url(number)

    def release(self) -> None:
        """Close every pull request of the job; what was published keeps its content by itself. Repeating is safe."""
        for pull in list(self.pulls.find(lambda said: marks.is_of_job(said, self.job))):
            self.pulls.close(pull.number, CLOSED)
        self._forget()
        self._wanted.clear()

    def _at_hand(self) -> int:
        """The number of the pull request, which is open: the one there is, else a new one."""
        if self._number is not None:
            pull = self.pulls.look(self._number)
            if pull is not None and pull.is_open:
                return self._number
            self._forget()
        found = next(self.pulls.find(lambda said: marks.is_marked(said, self.job)), None)
        number = self.pulls.make(TITLE, self.job, WHY) if found is None else found.number
        client = self.pulls.ref(number)
        head = client.head()
        if head is None:
            raise DestinationError(
                f"{self.pulls.url(number)} has no commits to begin with", hint="run the same command again"
            )
        self._there = set() if found is None else set(_pinned(client, head))
        self._number, self._head = number, head
        return number

    def _add(self, number: int) -> None:
        """Commit what is not there yet."""
        missing = [file for digest, file in self._wanted.items() if digest not in self._there]
        for start in range(0, len(missing), self.files):
            part = {_path(file): file for file in missing[start : start + self.files]}
            summary = f"Keep {len(part)} shards" if len(part) > 1 else "Keep a shard"
            changes = Changes(self._head, summary, "", (), part, frozenset())
            self._head = self.pulls.commit(number, changes, f"{self.job}/pin-{len(self._there) + 1}", self.lacking)
            self._there.update(str(file.sha256) for file in part.values())

    def _forget(self) -> None:
        """Look anew the next time."""
        self._number, self._head, self._there = None, "", set()


def _path(file: Staged) -> str:
    """Where the content is named, with its extension: by that a Hub knows what belongs into LFS."""
    digest = str(file.sha256)
    return f"{FOLDER}/{digest[:2]}/{digest}{PurePosixPath(file.path).suffix}"


def _pinned(client: HubClient, commit: str) -> Iterator[str]:
    """The digests of what is kept in that commit."""
    url = f"{client.place.api}/tree/{commit}/{quote(FOLDER, safe='')}"
    try:
        yield from (str(entry["lfs"]["oid"]) for entry in client.pages(url, {"recursive": "true"}) if entry.get("lfs"))
    except DestinationError as error:
        if error.fields.get("status") not in NO_SUCH:
            raise
