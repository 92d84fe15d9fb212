"""Publishing to a repository of a Hub: what is made, what is refused, and that a commit takes effect exactly once."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from huggingface_hub import CommitOperationAdd, HfApi
from tests.hub_stores import SOON, Repository, writing
from tests.hubs import Hub, start_hub

from sealift.errors import (
    AccessDenied,
    AnswerLost,
    ContentMissing,
    DestinationBusy,
    DestinationChanged,
    DestinationError,
    RequestError,
    SourceChanged,
    SourceMissing,
)
from sealift.model.entry import Entry
from sealift.ports import Staged
from sealift.stores.hub import HubDestination, HubFiles, Place
from sealift.stores.hub.changes import Changes
from sealift.stores.hub.client import HubClient
from sealift.stores.hub.landing import land

pytestmark = pytest.mark.usefixtures("own_xet_cache")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with start_hub(tmp_path_factory.mktemp("hub") / "hub", "--org", "team") as hub:
        yield hub


@pytest.fixture
def hub(running: Hub) -> Iterator[Hub]:
    """Whatever a test made fail is mended after it."""
    yield running
    running.faults([])


@pytest.fixture
def repository(hub: Hub) -> Repository:
    return Repository(hub)


class TestPreparing:
    """What is made at the Hub, and when; what is known before the work."""

    def test_nothing_is_made_before_it_is_prepared(self, repository: Repository) -> None:
        """Looking makes nothing; a repository that is not there is empty, and has no revision."""
        with repository.opened() as destination:
            assert (destination.revision, list(destination.listing())) == (None, [])
            with pytest.raises(SourceMissing):
                destination.read_into(Entry("x", 1), 0, memoryview(bytearray(1)))
        assert not repository.api.repo_exists(repository.name, repo_type="dataset")

    def test_a_new_repository_is_as_private_as_asked(self, repository: Repository) -> None:
        """It is made as asked, and preparing again changes nothing."""
        with repository.opened(private=True) as destination:
            destination.prepare()
            first = destination.revision
            destination.prepare()
            assert destination.revision == first
            assert destination.url == f"{repository.hub.endpoint}/datasets/{repository.name}"
        assert repository.api.repo_info(repository.name, repo_type="dataset").private
        assert repository.titles() == ["initial commit"]

    def test_what_should_be_private_and_is_public_is_refused(self, repository: Repository) -> None:
        """A public repository is never published to in the belief that it is private."""
        repository.put({"x": b"1"})
        with repository.opened(private=True) as destination, pytest.raises(DestinationError, match="public") as caught:
            destination.prepare()
        assert "--private" in caught.value.hint

    def test_a_branch_begins_where_the_default_branch_is(self, repository: Repository) -> None:
        """Before it is there, a branch shows what it will begin with; publishing to it leaves the default branch."""
        first = repository.put({"a": b"1", "b": b"2"})
        branch = repository.at("v2/next")
        with branch.opened() as destination:
            assert destination.name == f"{repository.name}@v2/next"
            assert destination.revision == first
        assert branch.put({"a": b"new"}, ["b"]) != first
        assert branch.contents() == {"a": b"new"}
        assert repository.contents() == {"a": b"1", "b": b"2"}

    def test_a_branch_of_a_new_repository(self, repository: Repository) -> None:
        """Both are made."""
        branch = repository.at("draft")
        branch.put({"x": b"1"})
        assert (branch.contents(), repository.contents()) == ({"x": b"1"}, {})

    def test_a_pull_request_takes_commits(self, repository: Repository) -> None:
        """One that is open can be published to; one that is not there cannot be made by that."""
        repository.put({"x": b"1"})
        request = repository.api.create_pull_request(repository.name, "more", repo_type="dataset")
        assert request.git_reference == "refs/pr/1"
        repository.at("refs/pr/1").put({"y": b"2"})
        assert repository.at("refs/pr/1").contents() == {"x": b"1", "y": b"2"}
        assert repository.contents() == {"x": b"1"}
        with pytest.raises(RequestError, match="no such pull request"):
            repository.at("refs/pr/7").put({"y": b"2"})

    def test_only_a_branch_is_published_to(self, repository: Repository) -> None:
        """A tag or a commit is refused before anything is uploaded."""
        first = repository.put({"x": b"1"})
        repository.api.create_tag(repository.name, tag="v1", repo_type="dataset")
        for revision in ("v1", first):
            with pytest.raises(RequestError, match="commit"):
                repository.at(revision).put({"x": b"2"})
        assert repository.contents() == {"x": b"1"}

    def test_a_token_that_may_only_read_is_known_at_once(self, repository: Repository) -> None:
        """Before a repository is made or a byte is sent; with another token it goes on."""
        with pytest.raises(AccessDenied, match="may only read") as caught:
            repository.put({"x": b"1"}, token=repository.hub.read_token)
        assert str(repository.hub.read_token) not in str(caught.value)
        assert not repository.api.repo_exists(repository.name, repo_type="dataset")

    def test_a_token_that_is_not_valid_is_said(self, repository: Repository) -> None:
        """Already when the destination is opened, and without showing it."""
        repository.put({"x": b"1"})
        with pytest.raises(AccessDenied, match="does not take the token") as caught:
            repository.put({"x": b"1"}, token="hf_wrongwrongwrong")
        assert "hf_wrong" not in str(caught.value)
        assert "hf auth login" in caught.value.hint

    def test_without_a_token_nothing_is_tried(self, repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
        """What to do is said."""
        monkeypatch.setenv("HF_TOKEN", "")
        monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", "/nowhere")
        with pytest.raises(AccessDenied, match="takes a token"):
            repository.put({"x": b"1"}, token=None)

    def test_a_namespace_of_others_is_refused(self, hub: Hub) -> None:
        """The Hub's own words are kept."""
        with pytest.raises(AccessDenied) as caught:
            Repository(hub, name="strangers/data").put({"x": b"1"})
        assert caught.value.fields["repository"] == "strangers/data"

    def test_another_that_was_faster_is_noticed(self, repository: Repository) -> None:
        """A repository with files that was made since this run looked is not published over."""
        with repository.opened() as destination:
            repository.put({"x": b"theirs"})
            with pytest.raises(DestinationChanged):
                destination.prepare()
        assert repository.contents() == {"x": b"theirs"}


class TestCommitting:
    """One commit, guarded by its parent."""

    def test_its_message_says_which_job_it_was(self, repository: Repository) -> None:
        """Title and words are kept; each commit of a run has a number of its own."""
        with repository.opened(job="j0b") as destination:
            destination.prepare()
            for number in (1, 2):
                staged = destination.stager.stage("x", writing(b"%d" % number), hold=True)
                destination.commit({"x": staged}, [], "Publish x\n\nmore words")
        commits = repository.api.list_repo_commits(repository.name, repo_type="dataset")
        assert [one.title for one in commits] == ["Publish x", "Publish x", "initial commit"]
        for commit, number in zip(commits, (2, 1), strict=False):
            assert commit.message.splitlines()[-1] == f"Sealift-Job: j0b/{number}"
            assert "more words" in commit.message

    def test_what_is_there_is_not_sent_again(self, repository: Repository) -> None:
        """Files with the same bytes are left out; a commit that would change nothing is not made."""
        files = {"README.md": b"# words\n", "data/x.parquet": b"PAR1" * 100, "empty": b""}
        first = repository.put(files)
        before = repository.asked("commit")
        assert repository.put(files, ["gone", "data/gone"]) == first
        assert repository.asked("commit") == before

    def test_another_commit_in_between_is_respected(self, repository: Repository) -> None:
        """Nothing is changed then; after looking again it can be published."""
        repository.put({"x": b"1"})
        with repository.opened() as destination:
            destination.prepare()
            staged = destination.stager.stage("x", writing(b"ours"), hold=True)
            theirs = repository.put({"y": b"theirs"})
            with pytest.raises(DestinationChanged) as caught:
                destination.commit({"x": staged}, [], "ours")
            assert caught.value.fields["found"] == theirs
            assert repository.contents() == {"x": b"1", "y": b"theirs"}
            destination.refresh()
            assert destination.revision == theirs
            destination.commit({"x": staged}, [], "ours")
        assert repository.contents() == {"x": b"ours", "y": b"theirs"}

    def test_20_000_files_are_deleted_in_one_small_request(self, repository: Repository) -> None:
        """With what replaces them, in one commit; the request has a line for each folder."""
        old = [f"old/{folder:02}/{file:04}.txt" for folder in range(40) for file in range(500)]
        files = {path: Staged(path, len(path), data=path.encode()) for path in old}
        parent = repository.put({"README.md": b"# words\n"})
        many = Changes(parent, "a lot", "", (), files, frozenset(old))
        land(HubClient(repository.place, repository.hub.token), many, "many")
        before = repository.hub.counts()
        repository.put({"old/00/new.txt": b"new"}, old)
        after = repository.hub.counts()
        assert after["commits"] == before["commits"] + 1
        # Most of it is the 500 files of the one folder that stays.
        assert after["bytes_in"] - before["bytes_in"] < 40_000
        assert repository.contents() == {"README.md": b"# words\n", "old/00/new.txt": b"new"}

    def test_content_that_the_hub_has_lost_is_named(self, repository: Repository) -> None:
        """A commit that names what is not there is refused whole, and the error says which file is to be sent again."""
        with repository.opened() as destination:
            destination.prepare()
            good = destination.stager.stage("a", writing(b"1"), hold=True)
            lost = Staged("b", 5, sha256="ab" * 32)
            with pytest.raises(ContentMissing, match=r"data/b\.parquet") as caught:
                destination.commit({"data/a": good, "data/b.parquet": lost}, [], "one is lost")
        assert caught.value.fields["paths"] == ["b"]
        assert repository.contents() == {}


class TestLostAnswers:
    """Whatever becomes of an answer, a commit takes effect once or not at all, and we know which."""

    @pytest.mark.parametrize("fault", [{"drop": True}, {"status": 504}, {"status": 500}, {"status": 503}])
    @pytest.mark.parametrize("after", [False, True])
    def test_it_is_looked_for_and_sent_again_if_it_is_not_there(
        self, repository: Repository, fault: dict[str, object], after: bool
    ) -> None:
        """Lost before it took effect or after: one commit in the end."""
        repository.put({"x": b"1", "y": b"2"})
        repository.hub.faults([{"kind": "commit", "times": 2, "after": after, **fault}])
        revision = repository.put({"x": b"new"}, ["y"])
        assert repository.titles() == ["initial commit", "put 2 files", "put 1 files"]
        assert HubFiles.at(repository.place, repository.hub.token).revision == revision
        assert repository.contents() == {"x": b"new"}

    def test_a_commit_of_another_after_ours_does_not_hide_it(self, repository: Repository) -> None:
        """Ours took effect, its answer was lost, another one came: ours is found in the history."""
        repository.put({"x": b"1"})
        with repository.opened() as destination:
            destination.prepare()
            staged = destination.stager.stage("x", writing(b"ours"), hold=True)
            slow = {"kind": "commits", "status": None, "delay": 1.5}
            repository.hub.faults([{"kind": "commit", "after": True, "drop": True}, slow])
            with another_after(repository, 0.5):
                revision = destination.commit({"x": staged}, [], "ours")
        assert repository.titles()[-2:] == ["ours", "theirs"]
        history = repository.api.list_repo_commits(repository.name, repo_type="dataset")
        assert history[1].commit_id == revision

    def test_a_hub_that_is_gone_leaves_the_question_open(self, repository: Repository) -> None:
        """Neither success nor failure is claimed: the job is named, and what to look for."""
        repository.put({"x": b"1"})
        gone = [{"kind": "commit", "drop": True, "times": 9}, {"kind": "commits", "drop": True, "times": 99}]
        with repository.opened(job="j0b") as destination:
            destination.prepare()
            staged = destination.stager.stage("x", writing(b"2"), hold=True)
            repository.hub.faults(gone)
            with pytest.raises(AnswerLost, match="may have taken effect") as caught:
                destination.commit({"x": staged}, [], "perhaps")
            assert caught.value.fields["job"] == "j0b/1"
            assert "Sealift-Job: j0b/1" in caught.value.hint
            # Once it answers again, the same commit can be sent: it is not made twice.
            repository.hub.faults([{"kind": "commit", "drop": True, "after": True}])
            destination.commit({"x": staged}, [], "perhaps")
        assert repository.titles()[1:] == ["put 1 files", "perhaps"]

    def test_a_hub_that_takes_no_commit_is_given_up(self, repository: Repository) -> None:
        """After some tries; it is not said that nothing was published, since a commit may come late."""
        repository.put({"x": b"1"})
        repository.hub.faults([{"kind": "commit", "status": 503, "times": 99}])
        with pytest.raises(AnswerLost):
            repository.put({"x": b"2"})
        assert repository.contents() == {"x": b"1"}

    @pytest.mark.parametrize(
        "later",
        [
            {"kind": "commit", "status": 403},
            {"kind": "commit", "status": 404},
            {"kind": "commit", "status": 400},
            {"kind": "commits", "status": 401},
            {"kind": "commits", "status": 404},
        ],
    )
    def test_a_refusal_after_it_answers_no_question(self, repository: Repository, later: dict[str, object]) -> None:
        """Of a second try, or of the look at the history: it says nothing about the first."""
        repository.put({"x": b"1"})
        repository.hub.faults([{"kind": "commit", "status": 504}, {"times": 99, **later}])
        with pytest.raises(AnswerLost) as caught:
            repository.put({"x": b"2"})
        assert caught.value.__cause__ is not None

    def test_content_that_is_gone_is_no_answer_either(self, repository: Repository) -> None:
        """What a second try lacks, the first may have had."""
        with repository.opened() as destination:
            destination.prepare()
            repository.hub.faults([{"kind": "commit", "status": 504}])
            with pytest.raises(AnswerLost) as caught:
                destination.commit({"data/b.parquet": Staged("b", 5, sha256="ab" * 32)}, [], "lost")
        assert isinstance(caught.value.__cause__, ContentMissing)

    def test_a_quota_is_waited_for(self, repository: Repository) -> None:
        """As long as the Hub asks to; then it goes on."""
        repository.put({"x": b"1"})
        kinds = ("commit", "preupload", "tree", "repo-info", "whoami", "xet-token", "commits")
        repository.hub.faults([{"kind": kind, "status": 429, "headers": {"Retry-After": "1"}} for kind in kinds])
        repository.put({"x": b"2"})
        assert repository.contents() == {"x": b"2"}

    def test_a_quota_that_takes_too_long_is_said(self, repository: Repository) -> None:
        """With the seconds to wait; nothing took effect."""
        repository.put({"x": b"1"})
        repository.hub.faults([{"kind": "commit", "status": 429, "headers": {"Retry-After": "3000"}}])
        with pytest.raises(DestinationBusy, match="quota") as caught:
            repository.put({"x": b"2"})
        assert caught.value.fields["retry_after_s"] == 3000
        assert repository.contents() == {"x": b"1"}

    def test_making_the_repository_survives_a_lost_answer(self, repository: Repository) -> None:
        """It is there then, and ours: it is empty."""
        repository.hub.faults([{"kind": "create-repo", "after": True, "drop": True}])
        repository.put({"x": b"1"}, private=True)
        assert repository.contents() == {"x": b"1"}

    def test_a_hub_that_does_not_answer_is_named(self) -> None:
        """With its address and what to check."""
        with (
            pytest.raises(DestinationBusy, match=r"http://127\.0\.0\.1:9 does not answer") as caught,
            HubDestination(Place.parse("org/name", "http://127.0.0.1:9"), "hf_x", waits=()),
        ):
            pass
        assert "HF_ENDPOINT" in caught.value.hint

    def test_a_commit_that_was_never_sent_is_not_called_lost(self) -> None:
        """Where there is no connection, nothing can have taken effect."""
        client = HubClient(Place.parse("org/name", "http://127.0.0.1:9"), "hf_x", waits=(0.0,))
        with pytest.raises(DestinationBusy, match="does not answer"):
            land(client, Changes("p", "words", "", (), {}, frozenset()), "job/1")


@contextmanager
def another_after(repository: Repository, seconds: float) -> Iterator[None]:
    """Another's commit that comes some time after the block was entered."""

    def commit() -> None:
        time.sleep(seconds)
        repository.api.upload_file(
            path_or_fileobj=b"theirs",
            path_in_repo="y",
            repo_id=repository.name,
            repo_type="dataset",
            commit_message="theirs",
        )

    thread = threading.Thread(target=commit)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def test_offline_is_said(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """HF_HUB_OFFLINE forbids every call: it is named."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(DestinationError, match="HF_HUB_OFFLINE"), repository.opened():
        pass


class TestReading:
    """The files of a repository at one commit."""

    def test_a_commit_stays_as_it_is(self, repository: Repository) -> None:
        """What was opened is read, whatever is published later; an older commit can be named."""
        first = repository.put({"x": b"1" * 100})
        files = HubFiles.at(repository.place, repository.hub.token)
        repository.put({"x": b"2" * 100})
        held = bytearray(10)
        files.read_into(Entry("x", 100), 90, memoryview(held))
        assert held == b"1" * 10
        assert repository.at(first).contents() == {"x": b"1" * 100}
        assert repository.contents() == {"x": b"2" * 100}

    def test_what_is_not_there_is_said(self, repository: Repository) -> None:
        """A repository, a revision, a file: each with its name."""
        with pytest.raises(SourceMissing, match=f"no dataset {repository.name}"):
            HubFiles.at(repository.place, repository.hub.token)
        repository.put({"x": b"1"})
        with pytest.raises(SourceMissing, match="no revision v9"):
            HubFiles.at(repository.at("v9").place, repository.hub.token)
        files = HubFiles.at(repository.place, repository.hub.token)
        with pytest.raises(SourceMissing, match=r"nothing\.bin"):
            files.read_into(Entry("nothing.bin", 5), 0, memoryview(bytearray(5)))
        with pytest.raises(SourceMissing, match="empty"):
            files.read_into(Entry("empty", 0), 0, memoryview(bytearray(0)))

    def test_a_private_one_is_not_there_for_others(self, repository: Repository) -> None:
        """Without a token nothing of it is shown."""
        repository.put({"x": b"1"}, private=True)
        assert HubFiles(HubClient(repository.place), None).client.head() is None
        assert HubClient(repository.place).repository() is None
        assert Repository(repository.hub, name=repository.name).contents() == {"x": b"1"}

    def test_a_file_that_is_another_is_said(self, repository: Repository) -> None:
        """Size and version of the entry must be those of the file; a range beyond its end is no range."""
        repository.put({"x": b"0123456789", "data/y.parquet": b"PAR1" * 9})
        files = HubFiles.at(repository.place, repository.hub.token)
        for path, facts in ((path, files.facts[path]) for path in ("x", "data/y.parquet")):
            view = memoryview(bytearray(4))
            files.read_into(Entry(path, facts.size, facts.version), 2, view)
            for wrong in (Entry(path, facts.size + 1), Entry(path, facts.size, "0" * 40)):
                with pytest.raises(SourceChanged):
                    files.read_into(wrong, 2, view)
            with pytest.raises(SourceChanged):
                files.read_into(Entry(path, facts.size), facts.size - 2, view)

    @pytest.mark.parametrize(
        "fault", [{"drop": True}, {"status": 503}, {"status": 429, "headers": {"Retry-After": "1"}}]
    )
    def test_reading_goes_on_when_the_hub_does(self, repository: Repository, fault: dict[str, object]) -> None:
        """A connection that breaks, a Hub that is busy: the range is asked for again."""
        repository.put({"data/y.parquet": b"PAR1" * 1_000})
        repository.hub.faults([{"kind": "resolve", "times": 2, **fault}, {"kind": "tree", **fault}])
        files = HubFiles(HubClient(repository.place, repository.hub.token, SOON), "main")
        assert files.facts["data/y.parquet"].size == 4_000
        held = bytearray(8)
        files.read_into(Entry("data/y.parquet", 4_000), 400, memoryview(held))
        assert held == b"PAR1PAR1"

    def test_a_tree_of_many_pages_is_listed_whole(self, repository: Repository) -> None:
        """3,000 files, three pages of the Hub: each once, in order."""
        api: HfApi = repository.api
        repository.put({"x": b"1"})
        names = [f"many/{number // 1500}/é {number:04}%20.txt" for number in range(3_000)]
        operations = [CommitOperationAdd(name, b"1") for name in names]
        api.create_commit(repository.name, operations, commit_message="many", repo_type="dataset")
        files = HubFiles.at(repository.place, repository.hub.token)
        listed = [path for batch in files.listing() for path in batch.column("path").to_pylist()]
        assert listed == sorted([".gitattributes", "x", *names])
        held = bytearray(1)
        files.read_into(Entry(names[7], 1), 0, memoryview(held))
        assert held == b"1"
