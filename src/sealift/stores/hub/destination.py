"""A dataset repository of a Hub as a destination: content is uploaded first, then one commit names it."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow as pa

from sealift.errors import ContentMissing, DestinationError, RequestError
from sealift.model.entry import Entry
from sealift.model.event import OnEvent, Warned, ignore
from sealift.ports import Staged
from sealift.stores.hub import lfs, marks, xet
from sealift.stores.hub.changes import Changes, deletions, is_there
from sealift.stores.hub.client import HubClient
from sealift.stores.hub.files import HubFiles
from sealift.stores.hub.inline import inline
from sealift.stores.hub.lacking import lacking
from sealift.stores.hub.landing import land
from sealift.stores.hub.landing import since as history_since
from sealift.stores.hub.merging import Merging, check_branch, is_merge_of
from sealift.stores.hub.pins import Pins
from sealift.stores.hub.place import Place
from sealift.stores.hub.preparing import (
    check_repository,
    check_role,
    check_still_there,
    make_repository,
    prepare_branch,
)
from sealift.stores.hub.pulls import Pulls
from sealift.stores.hub.stage import HubStage, Room, disk_of_one
from sealift.stores.hub.wire import WAITS

COMMIT_FILES = 25_000
"""The most LFS files of one commit, as the Hub documents."""
KNOWN_FOR = 300.0
"""Seconds for which the author of pull requests is not asked for again."""


def _new_job() -> str:
    return uuid.uuid4().hex


@dataclass
class HubDestination:
    """A dataset on a Hub that takes a publication in one commit. Use it with `with`.

    Nothing is made at the Hub before `prepare`. `staging` is how many bytes of files on their way may lie on this
    machine's disk, for all `workers` together; None leaves that to the way they are uploaded. `job` marks the commits.
    """

    place: Place
    token: str | None = field(default=None, repr=False)
    private: bool = False
    staging: int | None = None
    workers: int = 1
    job: str = field(default_factory=_new_job)
    commits: int = 0
    """How many commits of the job there were before; they are numbered."""
    waits: tuple[float, ...] = WAITS
    """Seconds before each try after the first."""
    stall: float | None = None
    """Seconds without a byte of content, after which a try ends; None as the client has it."""
    blocks: int = 1
    """How many blocks of an upload by Xet may be on their way in each process; see `stage.held`."""
    bandwidth: float | None = None
    """The most bytes per second that all workers together upload; None knows no limit."""
    commit_files: int = COMMIT_FILES
    """More files than that are published by a pull request."""
    on_event: OnEvent = field(default=ignore, repr=False)
    """Who hears of what the user should know: that a pull request is merged, and what came in between."""
    _client: HubClient = field(init=False, repr=False)
    _files: HubFiles = field(init=False, repr=False)
    _folder: tempfile.TemporaryDirectory[str] = field(init=False, repr=False)
    _stage: HubStage | None = field(default=None, init=False, repr=False)
    _room: Room = field(default_factory=Room, init=False, repr=False)
    _pins: Pins | None = field(default=None, init=False, repr=False)
    _afresh: bool = field(default=False, init=False, repr=False)

    def __enter__(self) -> HubDestination:
        self._client = HubClient.of(self.place, self.token, self.waits, self.blocks, self._share)
        if self.stall is not None:
            self._client = replace(self._client, stall=self.stall)
        if self.place.is_commit:
            raise RequestError(
                f"{self.place.name}: a commit cannot be published to", hint="name a branch after the @", to=self.name
            )
        self._look()
        self._folder = tempfile.TemporaryDirectory(prefix="sealift-", ignore_cleanup_errors=True)
        return self

    def __exit__(self, *error: object) -> None:
        self._folder.cleanup()
        self._stage = None

    @property
    def name(self) -> str:
        """`org/name`, with `@revision` where one was named."""
        return self.place.name

    @property
    def url(self) -> str:
        """The page of the dataset."""
        return self.place.url

    @property
    def revision(self) -> str | None:
        """The commit that is listed and read; None while there is no repository.

        Of a branch that is to be made, it is the commit that the branch will begin with.
        """
        return self._files.revision

    @property
    def here(self) -> tuple[Path, ...]:
        """Nothing of a Hub lies on this machine."""
        return ()

    @property
    def work(self) -> Path:
        """A temporary folder, below TMPDIR."""
        return Path(self._folder.name)

    @property
    def stager(self) -> HubStage:
        """What a worker needs to stage files here, once the destination is prepared."""
        assert self._stage is not None, "prepare the destination first"
        return self._stage

    def listing(self) -> Iterator[pa.RecordBatch]:
        """Every file at `revision`; none if there is no repository yet."""
        return self._files.listing()

    def read_into(self, entry: Entry, offset: int, view: memoryview) -> None:
        """Fill the view from a file at `revision`."""
        self._files.read_into(entry, offset, view)

    def refresh(self) -> None:
        """Look again: `revision`, listing and reads are those of the newest commit from now on.

        Raises:
            AccessDenied: the repository may not be read.
            DestinationChanged: it is gone.
        """
        self._look()

    def check_number(self, files: int) -> None:
        """See that so many files can be published at once: more than `commit_files` only to the default branch.

        Raises:
            RequestError: they cannot.
        """
        check_branch(self.place, files, self.commit_files)

    def prepare(self) -> None:
        """Make the repository or the branch if it is not there, and see that the token may write. Repeating is safe.

        Raises:
            AccessDenied: the token may not write there, or there is none.
            DestinationChanged: another has made it in the meantime, with files in it, or taken it away.
            DestinationError: it is public and should be private.
            RequestError: the revision is a tag or a pull request that is not there, or the repository has another name.
        """
        check_role(self._client)
        repository = self._client.repository()
        if repository is None:
            repository = make_repository(self._client, self.revision, private=self.private)
            self._see(repository.head)
        check_repository(self._client, repository, private=self.private)
        prepare_branch(self._client, repository.head, self.revision)
        self._client.upload_modes([("README.md", b"", 0)])  # only who may write may ask
        by_xet = xet.is_offered(self._client)
        disk = disk_of_one(self.staging, self.workers, by_xet, self.work)
        folder = self.work / "staged"
        self._stage = HubStage(self._client, by_xet, disk, folder, self._room, self._share, self._afresh)

    def commit(self, files: Mapping[str, Staged], delete: Iterable[str], message: str) -> str | None:
        """Name the files and delete what they replace, in one commit on `revision`; the id of the new one.

        Files that are there with the same bytes are left out; if nothing is left, no commit is made. Once it is done,
        there is room for others to be held. More than `commit_files` files are committed to a pull request, which is
        then merged: see `merging`.

        Raises:
            ContentMissing: the Hub has not what some of the files hold; nothing was changed.
            DestinationChanged, DestinationBusy, AnswerLost, DestinationError, RequestError: as `landing.land` and
                `merging.Merging.publish` say.
        """
        changes = self._changes(files, delete, message)
        if changes is not None:
            self._files = HubFiles(self._client, self._land(changes, f"{self.job}/{self.commits + 1}"))
            self.commits += 1
        self._room.free(files.values())
        return self.revision

    def landed(self, since: str | None) -> str | None:
        """The newest commit of this job on the branch after `since`; None if there is none.

        One request for each 50 commits after it, and one for each of them that merges a pull request. If `since` is not
        in the history, all of it is looked through.
        """
        if self._client.head() is None:
            return None
        for commit in history_since(self._client, since):
            if marks.is_of_job(commit.message, self.job) or is_merge_of(self._pulls, commit, self.job):
                return commit.id
        return None

    def missing(self, files: Iterable[Staged]) -> list[str]:
        """The paths of those whose content the Hub has not, or not any more, as far as it says; 256 a request.

        Of content in Xet that no commit names it is not known to say: there the commit tells.
        """
        if self.stager.xet:
            return []
        blobs = [lfs.Blob(file.path, file.sha256, file.size) for file in files if file.sha256 and file.data is None]
        return [blob.path for blob in lfs.missing(self._client, [blob for blob in blobs if blob.size])]

    def pin(self, files: Mapping[str, Staged]) -> str | None:
        """Keep what was uploaded from being collected, by a draft pull request; its page. See `pins.Pins.keep`.

        It is a precaution: where the Hub does not take it, the user is told, None is returned, and the job goes on.

        Raises:
            ContentMissing: some of it is gone already.
        """
        try:
            return self._at_pins.keep(files.values())
        except ContentMissing:
            raise
        except DestinationError as error:
            self.on_event(Warned(f"what is uploaded cannot be kept from being collected now: {error.message}"))
            return None

    def unpin(self) -> None:
        """Close the pull requests of this job, those that another process of it made, too. Repeating is safe.

        What cannot be closed is left to the user, who is told.
        """
        try:
            self._at_pins.release()
        except DestinationError as error:
            where = f"{self.place.endpoint}/datasets/{self.place.repo}/discussions"
            self.on_event(
                Warned(f"a pull request that is not needed any more was not closed: {error.message}; {where}")
            )

    @property
    def _at_pins(self) -> Pins:
        if self._pins is None:
            self._pins = Pins(self._pulls, self.job, self._lacking)
        return self._pins

    def mistrust(self) -> None:
        """What this machine or the store remembers of uploads counts no more: from now on every byte is sent."""
        self._afresh = True
        if self._stage is not None:
            self._stage = replace(self._stage, afresh=True)

    @property
    def _share(self) -> float | None:
        """The most bytes per second that one process sends."""
        return None if self.bandwidth is None else self.bandwidth / max(1, self.workers)

    @property
    def _pulls(self) -> Pulls:
        """With the whole bandwidth: who commits is alone, but for what is pinned, which is short."""
        return Pulls(replace(self._client, bandwidth=self.bandwidth, known_for=KNOWN_FOR))

    def _lacking(self, changes: Changes, about: str | None) -> list[str]:
        return lacking(self.stager, changes, about)

    def _changes(self, files: Mapping[str, Staged], delete: Iterable[str], message: str) -> Changes | None:
        """What has to be changed at `revision`; None if nothing has."""
        facts = self._files.facts
        new = {path: file for path, file in files.items() if not is_there(file, facts.get(path))}
        unwanted = deletions(facts, delete, files)
        if not new and not unwanted:
            return None
        if self.revision is None:
            raise DestinationError(f"{self.name} is not there", hint="prepare it first", repository=self.place.repo)
        summary, _, rest = message.partition("\n")
        stager = replace(self.stager, bandwidth=self.bandwidth)  # nobody else sends now
        return Changes(self.revision, summary, rest.strip(), unwanted, new, inline(self._client, stager, new))

    def _land(self, changes: Changes, job: str) -> str:
        """The commit that has all of them; see `commit`."""
        if len(changes.uploaded) > self.commit_files:
            merging = Merging(self._pulls, self.commit_files, self._lacking, self.on_event)
            return merging.publish(changes, job)
        marked = replace(changes, description=marks.marked(changes.description, job))
        client = replace(self._client, bandwidth=self.bandwidth)  # nobody else sends now
        return land(client, marked, job, self._lacking)

    def _look(self) -> None:
        """List and read the newest commit; that of the default branch as long as there is no such branch."""
        head = self._client.head()
        if head is None:
            repository = self._client.repository()
            check_still_there(self._client, repository)
            head = None if repository is None else repository.head
        self._see(head)

    def _see(self, head: str | None) -> None:
        """List and read that commit; the repository is known from now on, if there is one."""
        self._client = replace(self._client, seen=self._client.seen or head is not None)
        self._files = HubFiles(self._client, head)
