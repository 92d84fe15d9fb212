"""A dataset repository of a Hub as a destination: content is uploaded first, then one commit names it."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow as pa

from sealift.errors import AccessDenied, DestinationChanged, DestinationError, RequestError
from sealift.model.entry import Entry
from sealift.model.manifest import CARD
from sealift.ports import Staged
from sealift.stores.hub import xet
from sealift.stores.hub.changes import Changes, deletions, is_there
from sealift.stores.hub.client import HubClient, Repository
from sealift.stores.hub.files import HubFiles
from sealift.stores.hub.landing import TRAILER, land
from sealift.stores.hub.place import Place
from sealift.stores.hub.stage import ROOM, HubStage, Room, disk_of_one
from sealift.stores.hub.wire import WAITS, gone, renamed

GIVEN = frozenset({".gitattributes"})
"""What a new repository has from the start."""


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
    waits: tuple[float, ...] = WAITS
    """Seconds before each try after the first."""
    blocks: int = 1
    """How many blocks of an upload by Xet may be on their way in each process; see `stage.held`."""
    _client: HubClient = field(init=False, repr=False)
    _files: HubFiles = field(init=False, repr=False)
    _folder: tempfile.TemporaryDirectory[str] = field(init=False, repr=False)
    _stage: HubStage | None = field(default=None, init=False, repr=False)
    _room: Room = field(default_factory=Room, init=False, repr=False)
    _commits: int = field(default=0, init=False, repr=False)

    def __enter__(self) -> HubDestination:
        self._client = HubClient.of(self.place, self.token, self.waits, self.blocks)
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

    def prepare(self) -> None:
        """Make the repository or the branch if it is not there, and see that the token may write. Repeating is safe.

        Raises:
            AccessDenied: the token may not write there, or there is none.
            DestinationChanged: another has made it in the meantime, with files in it, or taken it away.
            DestinationError: it is public and should be private.
            RequestError: the revision is a tag or a pull request that is not there, or the repository has another name.
        """
        self._check_role()
        repository = self._client.repository()
        if repository is None:
            repository = self._make_repository()
        if repository.name != self.place.repo:
            raise renamed(self.place, repository.name)
        if self.private and not repository.private:
            raise DestinationError(
                f"{self.place.repo} is there already, and public; nothing was published",
                hint=f"make it private in its settings ({self.place.url}), or leave out --private",
                repository=self.place.repo,
            )
        self._prepare_branch(repository.head)
        self._client.upload_modes([("README.md", b"", 0)])  # only who may write may ask
        by_xet = xet.is_offered(self._client)
        disk = disk_of_one(self.staging, self.workers, by_xet, self.work)
        self._stage = HubStage(self._client, by_xet, disk, self.work / "staged", self._room)

    def commit(self, files: Mapping[str, Staged], delete: Iterable[str], message: str) -> str | None:
        """Name the files and delete what they replace, in one commit on `revision`; the id of the new one.

        Files that are there with the same bytes are left out; if nothing is left, no commit is made. Once it is done,
        there is room for others to be held.

        Raises:
            DestinationChanged, DestinationBusy, AnswerLost, DestinationError, RequestError: as `landing.land` says.
        """
        self._commit(files, delete, message)
        self._room.free(files.values())
        return self.revision

    def _commit(self, files: Mapping[str, Staged], delete: Iterable[str], message: str) -> None:
        facts = self._files.facts
        new = {path: file for path, file in files.items() if not is_there(file, facts.get(path))}
        unwanted = deletions(facts, delete, files)
        parent = self.revision
        if not new and not unwanted:
            return
        if parent is None:
            raise DestinationError(f"{self.name} is not there", hint="prepare it first", repository=self.place.repo)
        job = f"{self.job}/{self._commits + 1}"
        summary, _, rest = message.partition("\n")
        description = f"{rest.strip()}\n\n{TRAILER}: {job}".strip()
        changes = Changes(parent, summary, description, unwanted, new, self._inline(new))
        self._files = HubFiles(self._client, land(self._client, changes, job))
        self._commits += 1

    def _look(self) -> None:
        """List and read the newest commit; that of the default branch as long as there is no such branch."""
        head = self._client.head()
        if head is None:
            repository = self._client.repository()
            self._check_still_there(repository)
            head = None if repository is None else repository.head
        self._see(head)

    def _see(self, head: str | None) -> None:
        """List and read that commit; the repository is known from now on, if there is one."""
        self._client = replace(self._client, seen=self._client.seen or head is not None)
        self._files = HubFiles(self._client, head)

    def _check_still_there(self, repository: Repository | None) -> None:
        if repository is None and self._client.seen:
            raise gone(self.place)

    def _check_role(self) -> None:
        """A token that may only read is known before anything is made with it."""
        if self._client.token is None:
            raise AccessDenied(
                f"publishing to {self.place.endpoint} takes a token",
                hint="log in (`hf auth login`), or set HF_TOKEN or --token",
                repository=self.place.repo,
            )
        said = self._client.whoami()
        role = ((said.get("auth") or {}).get("accessToken") or {}).get("role")
        if role == "read":
            raise AccessDenied(
                f"the token of {said.get('name')} may only read",
                hint=f"make one that may write at {self.place.endpoint}/settings/tokens",
                repository=self.place.repo,
            )

    def _make_repository(self) -> Repository:
        """Make it; one that another made in the meantime will do as long as nothing is in it."""
        self._check_still_there(None)
        made = self._client.create_repository(private=self.private)
        repository = self._client.repository()
        if repository is None:
            raise AccessDenied(
                f"{self.place.repo} is there, and this token may not see it",
                hint="use one with the right to write there, or another name",
                repository=self.place.repo,
            )
        if not made and not HubFiles(self._client, repository.head).facts.keys() <= GIVEN:
            raise self._changed(repository.head)
        self._see(repository.head)
        return repository

    def _prepare_branch(self, default: str | None) -> None:
        """Make the branch if it is not there. It must be where it was when this run looked at it."""
        head = self._client.head()
        self._check_branch(is_there=head is not None)
        if head is None and default == self.revision:
            self._client.create_branch(str(default))
            head = self._client.head()
        if head is None or head != self.revision:
            raise self._changed(head or default)

    def _check_branch(self, *, is_there: bool) -> None:
        """See that the revision is one that takes commits."""
        if self.place.is_pull_request and not is_there:
            what, hint = "no such pull request", "open it first, or name a branch"
        elif (
            is_there and not self.place.is_pull_request and self.place.revision not in (None, *self._client.branches())
        ):
            what, hint = "a tag or a commit, and takes none", "name a branch after the @"
        else:
            return
        raise RequestError(f"{self.name}: {self.place.branch} is {what}", hint=hint, to=self.name)

    def _inline(self, new: Mapping[str, Staged]) -> frozenset[str]:
        """The files whose bytes go with the commit, `ROOM` of them at most; the other held ones are uploaded now."""
        held = {path: file for path, file in new.items() if file.data is not None}
        asked = [(path, file.data or b"", file.size) for path, file in held.items() if file.size]
        modes = self._client.upload_modes(asked)
        # An empty file has no content to upload.
        regular = [path for path in held if modes.get(path, "regular") == "regular"]
        inline, left = set(), ROOM
        for path in sorted(regular, key=lambda path: path != CARD):
            if held[path].size <= left:
                inline.add(path)
                left -= held[path].size
        self.stager.send_held([file for path, file in held.items() if path not in inline])
        return frozenset(inline)

    def _changed(self, found: str | None) -> DestinationChanged:
        return DestinationChanged(
            f"{self.name} was changed by another since this run looked at it; nothing was published",
            hint="run the same command again",
            expected=self.revision,
            found=found,
            repository=self.place.repo,
        )
