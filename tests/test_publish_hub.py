"""Publishing to a Hub: one commit, guarded, that brings everything and leaves what is not ours.

The Hub is a local one; what it holds is read with the official client.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml
from huggingface_hub import CommitOperationAdd, HfApi
from huggingface_hub.hf_api import RepoFile
from tests.albums import SPEC, albums, digests, publish_albums, tracks, write_spec, write_tracks
from tests.command import run
from tests.hubs import Hub, start_hub

from sealift.build import Built, build, look_at
from sealift.build.places import Access
from sealift.errors import AccessDenied, DestinationChanged, DestinationError, RequestError
from sealift.model import manifest
from sealift.model.event import Event, Started
from sealift.model.manifest import Manifest, read_manifest
from sealift.spec import Spec

BOTH = pytest.mark.parametrize("hub", ["xet", "lfs"], indirect=True)
"""For what the way of uploading touches; `make long` runs everything with both."""


@pytest.fixture(scope="module", params=["xet", pytest.param("lfs", marks=pytest.mark.long)])
def hub(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A Hub with Xet, and one without: what holds for one holds for the other, found out and not configured."""
    options = ["--no-xet"] if request.param == "lfs" else []
    with start_hub(tmp_path_factory.mktemp("hub") / request.param, *options) as hub:
        yield hub


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return albums(tmp_path / "source")


class Repository:
    """A repository, as the official client sees it."""

    def __init__(self, hub: Hub) -> None:
        self.hub, self.id = hub, hub.name()
        self.api = HfApi(endpoint=hub.endpoint, token=hub.token)

    def publish(self, source: Path, to: str = "", **options: Any) -> Built:
        token, staging, state = (options.pop(name, None) for name in ("token", "staging", "state"))
        access = Access(self.hub.endpoint, token or self.hub.token, staging, state)
        options = {"workers": 1, **options}
        return build(Spec.load(source / "sealift.yaml"), to or self.id, access=access, **options)

    def files(self, revision: str | None = None) -> dict[str, RepoFile]:
        found = self.api.list_repo_tree(self.id, repo_type="dataset", recursive=True, revision=revision)
        return {one.path: one for one in found if isinstance(one, RepoFile)}

    def read(self, path: str, revision: str | None = None) -> bytes:
        with _session(self.hub) as session:
            answer = session.get(f"{self.hub.endpoint}/datasets/{self.id}/resolve/{revision or 'main'}/{path}")
        assert answer.status_code == 200, answer.text
        return bytes(answer.content)

    def manifest(self, revision: str | None = None) -> Manifest:
        return read_manifest(self.read(manifest.PATH, revision))

    def card(self, revision: str | None = None) -> dict[str, Any]:
        _, head, _ = self.read("README.md", revision).decode().split("---\n", 2)
        said: dict[str, Any] = yaml.safe_load(head)
        return said

    def commits(self) -> list[str]:
        """The titles, oldest first."""
        return [one.title for one in self.api.list_repo_commits(self.id, repo_type="dataset")][::-1]

    def put(self, path: str, data: bytes) -> None:
        # What is read from an open file goes by LFS, which a Hub without Xet takes, too.
        self.api.upload_file(path_or_fileobj=io.BytesIO(data), path_in_repo=path, repo_id=self.id, repo_type="dataset")


def _session(hub: Hub) -> httpx2.Client:
    return httpx2.Client(headers={"Authorization": f"Bearer {hub.token}"}, follow_redirects=True, trust_env=False)


@pytest.fixture
def repo(hub: Hub) -> Repository:
    return Repository(hub)


@BOTH
def test_one_commit_brings_everything(repo: Repository, source: Path, tmp_path: Path) -> None:
    """The repository has the files of a folder published from the same spec, each shard with the same bytes, after one
    commit; the revision that comes back is the branch's."""
    built = repo.publish(source)
    publish_albums(source, tmp_path / "out", workers=1)
    there, here = repo.files(), digests(tmp_path / "out")
    assert there.keys() - {".gitattributes"} == here.keys()
    for path in here:
        if path.endswith(".parquet"):
            large = there[path].lfs
            said = large.sha256 if large else hashlib.sha256(repo.read(path)).hexdigest()
            assert said == here[path], path
    assert repo.commits() == ["initial commit", "Publish 24 rows (full, scores, words) with sealift"]
    assert built.revision == repo.api.dataset_info(repo.id).sha == built.publication.revision
    assert (built.to, built.publication.commits) == (repo.id, 1)
    assert repo.manifest() == built.publication.manifest


@BOTH
def test_nothing_changed_nothing_sent(repo: Repository, source: Path) -> None:
    """A second run packs nothing, uploads nothing and makes no commit."""
    first = repo.publish(source)
    before = repo.hub.counts()
    again = repo.publish(source)
    after = repo.hub.counts()
    assert (again.revision, again.packed, again.publication.commits) == (first.revision, 0, 0)
    assert (again.publication.written, again.publication.deleted) == ((), ())
    new = {kind: count - before["requests"].get(kind, 0) for kind, count in after["requests"].items()}
    sending = ("commit", "lfs-batch", "lfs-put", "lfs-part", "cas-xorb-put", "cas-shard", "create-repo")
    assert {kind: new.get(kind, 0) for kind in sending} == dict.fromkeys(sending, 0)
    assert after["stored"]["received"] == before["stored"]["received"]


def test_some_configs_alone(repo: Repository, source: Path) -> None:
    """`configs` publishes these and leaves the files and the card entries of the others."""
    repo.publish(source, configs=["words"])
    assert [one["config_name"] for one in repo.card()["configs"]] == ["words"]
    repo.publish(source)
    before = repo.files()
    rows = [{**row, "label": row["label"].upper()} for row in tracks(source)]
    write_tracks(source, rows)
    repo.publish(source, configs=["words"])
    after = repo.files()
    changed = {path for path in after if path not in before or after[path].blob_id != before[path].blob_id}
    assert {path.split("/")[0] for path in changed} == {"words", ".sealift"}
    assert {one["config_name"] for one in repo.card()["configs"]} == {"full", "scores", "words"}


def test_only_what_is_ours_is_deleted(repo: Repository, source: Path) -> None:
    """Shards that are not of the new publication go with the same commit; files of others stay."""
    repo.publish(source)
    repo.put("notes/mine.txt", b"mine")
    old = {shard.path for shard in repo.manifest().shards}
    write_spec(source, shards={"max_bytes": "1MB"})
    built = repo.publish(source)
    new = {shard.path for shard in repo.manifest().shards}
    assert set(built.publication.deleted) == old - new
    assert len(old - new) > 3
    assert repo.files().keys() >= new | {"notes/mine.txt", ".gitattributes"}
    assert not repo.files().keys() & (old - new)
    assert len(repo.commits()) == 4


def test_the_card_keeps_what_people_wrote(repo: Repository, source: Path) -> None:
    """Text and keys of a card that is there survive; a split that is gone leaves it."""
    repo.api.create_repo(repo.id, repo_type="dataset")
    card = "---\nlicense: cc0-1.0\nlanguage: [de]\nmine: kept\n---\n# By hand\n\nWritten by people.\n"
    repo.put("README.md", card.encode())
    repo.publish(source)
    assert "Written by people." in repo.read("README.md").decode()
    assert (repo.card()["mine"], repo.card()["language"]) == ("kept", ["de"])
    repo.put("README.md", repo.read("README.md").replace(b"by people", b"by people, twice"))
    write_tracks(source, [{**row, "split": "train"} for row in tracks(source)])
    repo.publish(source)
    assert "Written by people, twice." in repo.read("README.md").decode()
    splits = {split["name"] for info in repo.card()["dataset_info"] for split in info["splits"]}
    assert splits == {"train"}


def test_private(repo: Repository, source: Path) -> None:
    """A private repository is seen with a token alone; asking for one where a public one is there is refused."""
    spec = Spec.load(source / "sealift.yaml").having(private=True)
    access = Access(repo.hub.endpoint, repo.hub.token)
    build(spec, repo.id, workers=1, access=access)
    assert repo.api.dataset_info(repo.id).private
    public = Repository(repo.hub)
    public.publish(source)
    before = public.commits()
    with pytest.raises(DestinationError, match="public"):
        build(spec, public.id, workers=1, access=access)
    assert public.commits() == before


def test_purge(repo: Repository, source: Path) -> None:
    """Everything but `.gitattributes` goes in the commit that brings the new files; who was asked, was asked about
    what was there."""
    repo.api.create_repo(repo.id, repo_type="dataset")
    adds = [CommitOperationAdd(f"raw/{n % 7}/{n}.txt", b"%d" % n) for n in range(300)]
    adds += [
        CommitOperationAdd("full/old.txt", b"old"),
        CommitOperationAdd("README.md", b"---\nlicense: other\n---\n# Of the old days\n"),
    ]
    repo.api.create_commit(repo.id, adds, commit_message="old", repo_type="dataset")
    spec, access = Spec.load(source / "sealift.yaml"), Access(repo.hub.endpoint, repo.hub.token)
    found = look_at(spec, repo.id, access=access)
    assert found.files == 302
    repo.put("raw/late.txt", b"late")
    with pytest.raises(DestinationChanged, match="since you were asked"):
        repo.publish(source, purge=found)
    built = repo.publish(source, purge=look_at(spec, repo.id, access=access))
    assert repo.files().keys() == {*repo.manifest().paths(), manifest.PATH, ".gitattributes"}
    assert len(built.publication.deleted) == 302
    assert b"old days" not in repo.read("README.md")
    assert repo.commits()[-3:] == ["old", "Upload raw/late.txt with huggingface_hub", repo.commits()[-1]]
    assert repo.publish(source, purge=True).publication.commits == 0


def test_configs_one_by_one(repo: Repository, source: Path) -> None:
    """`commits per-config`: the lightest config first, then the tables, the README last; after each commit the card
    lists what is there, and all of it is there."""
    built = repo.publish(source, commit_per_config=True)
    seen = []
    for commit in repo.api.list_repo_commits(repo.id, repo_type="dataset")[-2::-1]:
        there = repo.files(commit.commit_id)
        listed = [one["config_name"] for one in repo.card(commit.commit_id)["configs"]]
        said = repo.manifest(commit.commit_id)
        assert {*listed} == {config.name for config in said.configs}
        assert there.keys() == {*said.paths(), manifest.PATH, ".gitattributes"}
        seen.append((sorted(listed), "extra/notes.csv" in there))
    everything = sorted(SPEC["configs"])
    assert seen == [
        (["words"], False),
        (["scores", "words"], False),
        (everything, False),
        (everything, True),
        (everything, True),
    ]
    assert built.publication.commits == 5
    assert "notes.csv" in repo.read("README.md").decode()
    assert repo.publish(source).publication.commits == 0


def test_another_commit_in_between(repo: Repository, source: Path) -> None:
    """Who edits the card while shards are packed loses nothing; the publication comes on top."""
    repo.publish(source)
    write_tracks(source, [{**row, "label": "new"} for row in tracks(source)])
    text = repo.read("README.md")

    def edit(event: Event) -> None:
        if isinstance(event, Started) and event.stage == "publish" and len(repo.commits()) == 2:
            repo.put("README.md", text + b"\nAn afterthought.\n")

    repo.publish(source, on_event=edit)
    assert "An afterthought." in repo.read("README.md").decode()
    assert len(repo.commits()) == 4
    assert repo.publish(source).publication.commits == 0


def test_another_publication_in_between(repo: Repository, source: Path) -> None:
    """Who publishes the dataset meanwhile is not overwritten: the later one is told to run again."""
    repo.publish(source)
    write_tracks(source, [{**row, "label": "mine"} for row in tracks(source)])
    other = albums(source.parent / "other", shards={"max_bytes": "1MB"})
    done: list[Built] = []

    def publish_too(event: Event) -> None:
        if isinstance(event, Started) and event.stage == "publish" and not done:
            done.append(repo.publish(other, state=other.parent / "another machine"))

    with pytest.raises(DestinationChanged):
        repo.publish(source, on_event=publish_too)
    assert repo.manifest() == done[0].publication.manifest
    assert len(repo.commits()) == 3


def test_a_file_that_is_deleted_in_between(repo: Repository, source: Path) -> None:
    """What was to stay is gone when the commit comes: the run ends, and the next one mends it."""
    repo.publish(source)
    write_tracks(source, [{**row, "label": "new"} for row in tracks(source)])
    victim = next(shard.path for shard in repo.manifest().shards if shard.config == "full")

    def delete(event: Event) -> None:
        if isinstance(event, Started) and event.stage == "publish" and len(repo.commits()) == 2:
            repo.api.delete_file(victim, repo.id, repo_type="dataset")

    with pytest.raises(DestinationChanged):
        repo.publish(source, configs=["words"], on_event=delete)
    with pytest.raises(DestinationError, match="`full` should stay"):
        repo.publish(source, configs=["words"])
    repo.publish(source)
    assert victim in repo.files()


@pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # of the official client, with an open file
def test_content_that_was_replaced_is_seen(repo: Repository, source: Path) -> None:
    """Other bytes of the same size are known by the digest that the Hub tells: the file is published anew."""
    repo.publish(source)
    shard = next(shard for shard in repo.manifest().shards if shard.config == "full")
    repo.put(shard.path, bytes(shard.size))
    built = repo.publish(source)
    assert shard.path in built.publication.written
    assert hashlib.sha256(repo.read(shard.path)).hexdigest() == shard.sha256


def test_a_purge_of_nothing_is_one_of_what_was_shown(repo: Repository, source: Path) -> None:
    """Where nothing was there to be shown, what came meanwhile is not deleted."""
    found = look_at(Spec.load(source / "sealift.yaml"), repo.id, access=Access(repo.hub.endpoint, repo.hub.token))
    assert found.files == 0
    repo.api.create_repo(repo.id, repo_type="dataset")
    repo.put("precious.txt", b"mine")
    with pytest.raises(DestinationChanged):
        repo.publish(source, purge=found)
    assert "precious.txt" in repo.files()


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "commit", "times": 1, "after": True, "drop": True},
        {"kind": "commit", "times": 1, "after": True, "status": 504},
        {"kind": "commit", "times": 1, "status": 503},
        {"kind": "commit", "times": 1, "status": 429, "headers": {"Retry-After": "1"}},
    ],
)
def test_an_answer_that_does_not_come(repo: Repository, source: Path, fault: dict[str, Any]) -> None:
    """Whether the commit took effect or not, in the end it did, once."""
    repo.hub.faults([fault])
    try:
        built = repo.publish(source)
    finally:
        repo.hub.faults([])
    assert len(repo.commits()) == 2
    assert built.revision == repo.api.dataset_info(repo.id).sha


def test_a_branch(repo: Repository, source: Path) -> None:
    """`org/name@branch` publishes to a branch, which is made from the default one; that stays as it is."""
    repo.api.create_repo(repo.id, repo_type="dataset")
    repo.put("kept.txt", b"kept")
    built = repo.publish(source, f"{repo.id}@next")
    assert repo.files("next").keys() >= {"kept.txt", manifest.PATH}
    assert repo.files().keys() == {"kept.txt", ".gitattributes"}
    assert built.to == f"{repo.id}@next"


def test_a_token_that_may_not_write(repo: Repository, source: Path) -> None:
    """That is said before anything is packed, with what to do; nothing is there afterwards."""
    heard: list[str] = []
    with pytest.raises(AccessDenied):
        repo.publish(
            source, token=repo.hub.read_token, on_event=lambda event: heard.append(getattr(event, "stage", ""))
        )
    assert "pack" not in heard
    assert not repo.api.repo_exists(repo.id, repo_type="dataset")
    with pytest.raises(AccessDenied):
        repo.publish(source, token="hf_notATokenOfAnybody")


def test_a_refused_plan_makes_no_repository(repo: Repository, source: Path) -> None:
    """What is wrong with the plan is said before the Hub is changed."""
    (source / "scores" / "00.mid").unlink()
    with pytest.raises(Exception, match=r"scores/00\.mid"):
        repo.publish(source)
    assert not repo.api.repo_exists(repo.id, repo_type="dataset")


@BOTH
@pytest.mark.parametrize("staging", [0, 30_000, 10_000_000])
def test_staging_changes_nothing_but_the_way(repo: Repository, source: Path, tmp_path: Path, staging: int) -> None:
    """Streamed, sent twice or staged on the disk, in one process or two: the same shards arrive."""
    repo.publish(source, staging=staging, workers=2)
    publish_albums(source, tmp_path / "out", workers=1)
    here = digests(tmp_path / "out")
    for shard in repo.manifest().shards:
        assert here[shard.path] == shard.sha256
        found = repo.files()[shard.path]
        assert found.lfs is not None
        assert (found.lfs.sha256, found.size) == (shard.sha256, shard.size)


@BOTH
def test_the_command(repo: Repository, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Endpoint and token as options or from the environment; the token is never said; `verify` proves what came."""
    given = ("--endpoint", repo.hub.endpoint, "--token", repo.hub.token)
    done = run("publish", source, "--to", repo.id, "--workers", 1, *given)
    assert done.returncode == 0, done.stderr
    assert f"to {repo.id} in 1 commit" in done.stderr
    assert repo.hub.token not in done.stderr + done.stdout
    usual = {"HF_ENDPOINT": repo.hub.endpoint, "HF_TOKEN": repo.hub.token}
    again = run("publish", source, "--to", f"hf://datasets/{repo.id}", "--workers", 1, *given, **usual)
    assert "up to date" in again.stderr
    proven = run("verify", repo.id, *given)
    assert proven.returncode == 0, proven.stderr
    assert "proven (full)" in proven.stderr
    refused = run("publish", source, "--to", repo.id, "--purge", *given)
    assert refused.returncode == RequestError.exit_code
    assert f"{len(repo.files()) - 1} files" in refused.stderr
