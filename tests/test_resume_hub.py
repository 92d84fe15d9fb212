"""Going on with a job whose destination is a Hub: on any machine that has its state, whatever became of the branch."""

from __future__ import annotations

import hashlib
import os
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import HfApi
from huggingface_hub.hf_api import RepoFile
from tests.albums import albums, digests, publish_albums, tracks, write_tracks
from tests.hubs import Hub
from tests.jobs import Counted, Pulled, staged
from tests.publishers import Ended, Publisher

from sealift.build import build
from sealift.build.finish import finish
from sealift.build.places import Access
from sealift.errors import DestinationBusy, RequestError
from sealift.journal import Journal
from sealift.model.event import Event, Started
from sealift.spec import Spec
from sealift.stores.hub import HubDestination, Place

LAST = 3
"""So many shards are staged when a run is cut off."""

pytestmark = pytest.mark.usefixtures("own_xet_cache")


@dataclass
class Job:
    """A publication to a repository of its own, and where its state is kept."""

    hub: Hub
    source: Path
    access: Access
    name: str
    spec: Spec = field(init=False)

    def __post_init__(self) -> None:
        self.spec = Spec.load(self.source / "sealift.yaml")

    @property
    def api(self) -> HfApi:
        return HfApi(endpoint=self.hub.endpoint, token=self.hub.token)

    @property
    def state(self) -> Path:
        assert self.access.state is not None
        return self.access.state

    def run(self, heard: Counted | None = None, **changes: Any) -> Counted:
        """Publish, and listen."""
        heard = heard or Counted()
        build(self.spec, self.name, workers=1, access=replace(self.access, **changes), on_event=heard)
        return heard

    def cut_off(self, **changes: Any) -> Counted:
        """The same until some shards are staged."""
        heard = Counted(after=LAST)
        with pytest.raises(Pulled):
            self.run(heard, **changes)
        return heard

    def begun(self, publisher: Publisher, step: int) -> None:
        """Publish in another process, which is killed at that boundary of the journal."""
        asked = {"endpoint": self.hub.endpoint, "token": self.hub.token, "state": str(self.state)}
        assert publisher.run(self.source, self.name, at=["journal"], step=step, **asked).was_killed

    def whole(self, publisher: Publisher) -> Ended:
        """The same to its end, to another repository."""
        asked = {"endpoint": self.hub.endpoint, "token": self.hub.token}
        ended = publisher.run(self.source, self.hub.name(), at=["journal"], **asked)
        assert ended.code == 0, ended.said
        return ended

    def shards(self, revision: str | None = None) -> dict[str, str]:
        """The digest of every shard that is published."""
        found = self.api.list_repo_tree(self.name, repo_type="dataset", recursive=True, revision=revision)
        return {
            one.path: one.lfs.sha256
            for one in found
            if isinstance(one, RepoFile) and one.lfs and one.path.startswith("data/")
        }

    def commits(self) -> list[str]:
        """Titles, the oldest first, without the one that made the repository."""
        return [one.title for one in self.api.list_repo_commits(self.name, repo_type="dataset")][::-1][1:]

    def pulls(self) -> list[str]:
        """The states of the repository's pull requests."""
        return [one.status for one in self.api.get_repo_discussions(self.name, repo_type="dataset")]

    def proven(self) -> set[str]:
        """The shards whose receipts are written down."""
        return set().union(*map(staged, self.state.iterdir()))

    def received(self) -> int:
        return int(self.hub.counts()["stored"]["received"])


@pytest.fixture
def job(xet_hub: Hub, tmp_path: Path) -> Job:
    source = albums(tmp_path / "source", configs=None, also={"extra/": ["notes.csv"]})
    renew(source)
    access = Access(xet_hub.endpoint, xet_hub.token, state=tmp_path / "state")
    return Job(xet_hub, source, access, xet_hub.name())


def renew(source: Path) -> None:
    """No shard has the content of one that the Hub has seen."""
    write_tracks(source, [{**row, "label": uuid.uuid4().hex} for row in tracks(source)])


@pytest.fixture
def wanted(job: Job) -> dict[str, str]:
    """The digests of the shards that should come out."""
    out = job.source.parent / "wanted" / "out"
    publish_albums(job.source, out, workers=1)
    return {path: digest for path, digest in digests(out).items() if path.startswith("data/")}


@pytest.fixture(scope="module")
def publisher(tmp_path_factory: pytest.TempPathFactory, xet_hub: Hub) -> Iterator[Publisher]:
    home = tmp_path_factory.mktemp("publisher")
    with Publisher(home, xet_hub.environment(home)) as made:
        yield made


def test_another_machine_goes_on(job: Job, wanted: dict[str, str], tmp_path: Path) -> None:
    """A copy of the state is all that it takes; a job without it begins anew."""
    before = job.cut_off()
    shutil.copytree(job.state, tmp_path / "copied")
    shutil.rmtree(job.state)
    again = job.run(state=tmp_path / "copied")
    assert len(again.packed) == len(wanted) - LAST
    assert not set(before.packed[:LAST]) & set(again.packed)
    assert any(f"{LAST} of {len(wanted)} shards are there already" in said for said in again.heard)
    assert (job.shards(), len(job.commits())) == (wanted, 1)


def test_a_second_process_is_refused(job: Job, wanted: dict[str, str]) -> None:
    """It is told who is at work; the first one is not disturbed."""
    refused: list[int] = []

    class Second(Counted):
        def note(self, path: str) -> None:
            with pytest.raises(DestinationBusy) as caught:
                job.run()
            refused.append(caught.value.fields["pid"])

    job.run(Second())
    assert set(refused) == {os.getpid()}
    assert (job.shards(), len(job.commits())) == (wanted, 1)


def test_a_branch_that_moved_is_told(job: Job, wanted: dict[str, str]) -> None:
    """Somebody edits the card and adds a file between two runs: what is staged still counts, and theirs stays."""
    job.cut_off()
    card = b"---\nlicense: mit\n---\n# By hand\n\nWritten by people.\n"
    job.api.upload_file(path_or_fileobj=card, path_in_repo="README.md", repo_id=job.name, repo_type="dataset")
    job.api.upload_file(path_or_fileobj=b"mine", path_in_repo="theirs.txt", repo_id=job.name, repo_type="dataset")
    again = job.run()
    assert any("the destination was at " in said and f"{LAST} of 5 shards still count" in said for said in again.heard)
    assert len(again.packed) == len(wanted) - LAST
    assert job.shards() == wanted
    assert "Written by people." in Path(job.api.hf_hub_download(job.name, "README.md", repo_type="dataset")).read_text()
    assert job.api.file_exists(job.name, "theirs.txt", repo_type="dataset")


def test_another_dataset_that_came_in_between_is_not_overwritten(job: Job, tmp_path: Path) -> None:
    """The run that goes on is told; the other dataset stays whole."""
    job.cut_off()
    other = albums(tmp_path / "other", configs={"theirs": {"default": True}}, also=None, key=None)
    Job(job.hub, other, replace(job.access, state=tmp_path / "their-state"), job.name).run()
    theirs = job.api.dataset_info(job.name).sha
    again = Counted()
    try:
        job.run(again)
    except RequestError as error:
        assert "another dataset" in error.message
        assert job.api.dataset_info(job.name).sha == theirs
    else:
        assert any("the destination was at " in said for said in again.heard)
        assert {path.partition("/")[0] for path in job.shards()} == {"data"}


@pytest.mark.parametrize(("from_the_end", "landed"), [(5, False), (4, True)])
def test_any_process_can_finish_a_commit(
    job: Job, wanted: dict[str, str], publisher: Publisher, from_the_end: int, landed: bool
) -> None:
    """Killed just before the commit was sent, or just after it took effect: without spec, source or what the machine
    remembers, there is one commit in the end, and the state says that the job is over."""
    steps = job.whole(publisher).steps
    job.begun(publisher, steps - from_the_end)
    assert job.proven() == set(wanted)
    assert len(job.commits()) == landed
    shutil.rmtree(job.source)
    done = finish(job.name, access=job.access)
    assert (done.landed, done.revision) == (landed, job.api.dataset_info(job.name).sha)
    assert (job.shards(), len(job.commits())) == (wanted, 1)
    with pytest.raises(RequestError):
        finish(job.name, access=job.access)


def test_a_commit_that_lands_late_is_ours(job: Job, wanted: dict[str, str], publisher: Publisher) -> None:
    """The Hub may still work on the commit of a run that was killed: when it takes effect while the next run is at
    work, that one has nothing left to publish, and is told of no other publisher."""
    job.begun(publisher, job.whole(publisher).steps - 5)
    [folder] = job.state.iterdir()
    with Journal(folder) as journal:
        mark, uncertain = journal.job, journal.uncertain()
    assert uncertain is not None
    sent = uncertain

    class Late(Counted):
        def __call__(self, event: Event) -> None:
            if isinstance(event, Started) and event.stage == "publish":
                place = Place.parse(job.name, job.hub.endpoint)
                with HubDestination(place, job.hub.token, job=mark) as destination:
                    destination.prepare()
                    destination.commit(sent.files, sent.gone, sent.message)
            super().__call__(event)

    again = job.run(Late())
    assert again.packed == []
    assert (job.shards(), len(job.commits())) == (wanted, 1)
    assert job.run().packed == []
    assert len(job.commits()) == 1


def test_shards_of_a_long_job_are_pinned(job: Job, wanted: dict[str, str]) -> None:
    """They outlive the Hub's collection on a pull request of the job, which a run that goes on finds again, and which
    is closed when they are published."""
    job.cut_off(pin_after=0)
    assert job.pulls() == ["draft"]
    assert job.hub.collect()["files"] <= 1  # that of the shard that was in flight
    before = job.received()
    again = job.run(pin_after=0)
    assert any(f"{LAST} of 5 shards" in said for said in again.heard)
    assert len(again.packed) == len(wanted) - LAST
    assert job.received() - before < sum(size_of(job, path) for path in again.packed) + 20_000
    assert job.shards() == wanted
    assert job.pulls() == ["closed"]
    assert len(job.commits()) == 1


@pytest.mark.parametrize("remembers", [False, True])
def test_what_was_not_pinned_and_collected_is_sent_again(job: Job, wanted: dict[str, str], remembers: bool) -> None:
    """Whether the Hub says what it has collected, or remembers that it had it: in the end everything is there."""
    job.cut_off()
    assert job.hub.collect(remembers=remembers)["files"] >= LAST
    again = job.run()
    assert len(again.packed) >= len(wanted)
    assert job.shards() == wanted
    assert {path: hashlib.sha256(data).hexdigest() for path, data in read(job).items()} == wanted
    assert len(job.commits()) == 1


def size_of(job: Job, path: str) -> int:
    [found] = job.api.get_paths_info(job.name, [path], repo_type="dataset")
    assert isinstance(found, RepoFile)
    return found.size


def read(job: Job) -> dict[str, bytes]:
    """Every shard as a reader gets it."""
    import httpx2

    head = {"Authorization": f"Bearer {job.hub.token}"}
    with httpx2.Client(headers=head, follow_redirects=True, trust_env=False) as session:
        where = f"{job.hub.endpoint}/datasets/{job.name}/resolve/main"
        return {path: session.get(f"{where}/{path}").content for path in job.shards()}
