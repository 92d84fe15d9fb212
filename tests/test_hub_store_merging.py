"""More files than one commit takes: the branch has all of them or none, whatever fails; and two publishers at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.hub_stores import Repository, writing
from tests.hubs import Hub, start_hub

from sealift.errors import (
    AccessDenied,
    AnswerLost,
    ContentMissing,
    DestinationBusy,
    DestinationChanged,
    DestinationError,
    RequestError,
)
from sealift.model.event import Event, Said, Warned
from sealift.ports import Staged
from sealift.stores.hub import HubDestination
from sealift.stores.hub.changes import Changes

pytestmark = pytest.mark.usefixtures("own_xet_cache")

MOST = 3
OLD = {"README.md": b"# old\n", "data/old": b"1", "stays": b"2"}
NAMES = [f"data/{number}" for number in range(7)]
CALL: dict[str, dict[str, Any]] = {
    "making": {"kind": "discussion", "method": "POST", "path": "*/discussions"},
    "commit": {"kind": "commit"},
    "last commit": {"kind": "commit", "skip": 2},
    "opening": {"kind": "discussion", "path": "*/status"},
    "merge": {"kind": "discussion", "path": "*/merge"},
    "looking": {"kind": "discussion", "method": "GET"},
    "head": {"kind": "repo-info", "skip": 1},
}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A Hub that takes no commit of more than a few files."""
    with start_hub(tmp_path_factory.mktemp("hub") / "hub", "--no-xet", "--max-commit-files", str(MOST)) as hub:
        yield hub


@pytest.fixture
def repository(running: Hub) -> Iterator[Repository]:
    """One with a dataset; whatever a test made fail is mended after it."""
    found = Repository(running)
    found.put(OLD)
    yield found
    running.faults([])


class Publisher:
    """Publishes more files than a commit takes, and what they replace; hears what is said to the user."""

    def __init__(self, repository: Repository, words: str = "new", **options: Any) -> None:
        self.repository, self.words = repository, words
        self.heard: list[Event] = []
        self.destination = HubDestination(
            repository.place,
            repository.hub.token,
            waits=(0.0,) * 4,
            commit_files=MOST,
            **{"on_event": self.heard.append, **options},
        )

    @property
    def files(self) -> dict[str, bytes]:
        return {name: f"{self.words} {name}".encode() for name in NAMES} | {"README.md": f"# {self.words}\n".encode()}

    def stage(self) -> dict[str, Staged]:
        stager = self.destination.stager
        return {path: stager.stage(path, writing(data), hold=path == "README.md") for path, data in self.files.items()}

    def publish(self) -> str | None:
        """All of it, from the opening on."""
        with self.destination:
            self.destination.prepare()
            return self.destination.commit(self.stage(), ["data/old"], f"publish {self.words}\n\nmore words")

    @property
    def whole(self) -> dict[str, bytes]:
        """What the branch has when it is published."""
        return self.files | {"stays": b"2"}


def statuses(repository: Repository) -> list[str]:
    """Of the pull requests, the oldest first."""
    return [str(one.status) for one in repository.api.get_repo_discussions(repository.name, repo_type="dataset")][::-1]


class TestWhole:
    """Several commits aside, and one on the branch."""

    def test_the_branch_gets_one_commit(self, repository: Repository) -> None:
        """With all that comes and goes, card included; it is found again as the job's, and the user is told how."""
        publisher = Publisher(repository, job="j0b")
        base = repository.api.repo_info(repository.name, repo_type="dataset").sha
        revision = publisher.publish()
        assert repository.contents() == publisher.whole
        assert repository.titles() == ["initial commit", "put 3 files", "publish new (#1)"]
        assert statuses(repository) == ["merged"]
        with repository.opened(job="j0b") as destination, repository.opened(job="other") as other:
            assert destination.revision == destination.landed(base) == revision
            assert other.landed(base) is None
        [said] = [event.message for event in publisher.heard if isinstance(event, Said)]
        assert "takes no parent" in said
        assert "/discussions/1" in said
        text = repository.api.get_discussion_details(repository.name, 1, repo_type="dataset").events[0]
        assert "more words" in text.content  # type: ignore[attr-defined]
        assert "Sealift-Job: j0b/1" in text.content.splitlines()  # type: ignore[attr-defined]

    def test_readers_see_the_old_or_the_new(self, repository: Repository) -> None:
        """A reader that looks at the branch in a loop never sees anything between."""
        publisher, seen, done = Publisher(repository), [], threading.Event()

        def look() -> None:
            while not done.is_set():
                seen.append(repository.contents())

        with ThreadPoolExecutor(1) as pool:
            reader = pool.submit(look)
            try:
                publisher.publish()
            finally:
                done.set()
            reader.result()
        assert all(one in (OLD, publisher.whole) for one in seen)

    def test_as_many_as_a_commit_takes_are_one_commit(self, repository: Repository) -> None:
        """No pull request is made for them."""
        with repository.prepared(commit_files=MOST) as destination:
            files = {name: destination.stager.stage(name, writing(name.encode())) for name in NAMES[:MOST]}
            destination.commit(files, [], "few")
        assert statuses(repository) == []
        assert repository.titles()[-1] == "few"

    def test_only_the_default_branch_can_have_them(self, repository: Repository) -> None:
        """A Hub makes pull requests for no other: that is said, and nothing is sent."""
        branch = repository.at("next")
        with pytest.raises(RequestError, match="main"):
            Publisher(branch).publish()
        assert branch.contents() == OLD
        assert statuses(repository) == []


class TestFailing:
    """Each step may fail before or after it took effect."""

    @pytest.mark.parametrize("call", CALL)
    @pytest.mark.parametrize(
        "fault",
        [
            {"drop": True, "after": True},
            {"status": 503},
            pytest.param({"drop": True}, marks=pytest.mark.long),
            pytest.param({"status": 504, "after": True}, marks=pytest.mark.long),
        ],
        ids=str,
    )
    def test_a_lost_answer_has_one_effect(self, repository: Repository, call: str, fault: dict[str, object]) -> None:
        """It is looked for, and what is not there is sent again: one commit on the branch, nothing left open.

        A merge alone is not asked for again: what was asked for may take effect late.
        """
        if call == "merge":
            fault = {**fault, "after": True}
        repository.hub.faults([{**CALL[call], **fault}])
        publisher = Publisher(repository)
        publisher.publish()
        assert repository.hub.happened()[0]["happened"] == 1
        assert repository.contents() == publisher.whole
        assert len(repository.titles()) == 3
        assert statuses(repository) == ["merged"]

    @pytest.mark.parametrize(
        ("call", "status", "error"),
        [
            ("making", 403, AccessDenied),
            ("last commit", 422, DestinationError),
            ("opening", 403, AccessDenied),
            ("merge", 403, AccessDenied),
            ("merge", 409, DestinationChanged),
            ("merge", 422, DestinationError),
            ("making", 503, DestinationBusy),
            ("last commit", 504, DestinationBusy),
            ("opening", 502, DestinationBusy),
        ],
    )
    def test_a_refusal_leaves_the_branch(
        self, repository: Repository, call: str, status: int, error: type[DestinationError]
    ) -> None:
        """With the error of its class; nothing is left that somebody could merge by mistake."""
        repository.hub.faults([{**CALL[call], "status": status, "times": 99}])
        with pytest.raises(error):
            Publisher(repository).publish()
        repository.hub.faults([])
        assert repository.contents() == OLD
        if call != "opening":  # what closes it is the very call that fails
            assert set(statuses(repository)) <= {"closed"}
        publisher = Publisher(repository, job="next")
        publisher.publish()
        assert repository.contents() == publisher.whole

    def test_a_merge_that_nobody_answers_leaves_the_question_open(self, repository: Repository) -> None:
        """Neither success nor failure is claimed; the same job begins anew later, with one effect."""
        repository.hub.faults([{**CALL["merge"], "drop": True, "times": 99}])
        with pytest.raises(AnswerLost, match="/discussions/1") as caught:
            Publisher(repository, job="j0b").publish()
        assert caught.value.fields["job"] == "j0b/1"
        assert repository.contents() == OLD
        repository.hub.faults([])
        publisher = Publisher(repository, job="j0b", commits=1)
        publisher.publish()
        assert repository.contents() == publisher.whole
        assert statuses(repository) == ["closed", "merged"]
        assert len(repository.titles()) == 3

    def test_a_refusal_after_a_lost_answer_is_said(self, repository: Repository) -> None:
        """Of a commit to the pull request: no branch is changed, so it is what there is to mend."""
        repository.hub.faults([{"kind": "commit", "status": 504}, {"kind": "commit", "status": 403, "times": 99}])
        with pytest.raises(AccessDenied):
            Publisher(repository).publish()
        assert (repository.contents(), statuses(repository)) == (OLD, ["closed"])

    @pytest.mark.parametrize("fault", [{"drop": True}, {"status": 503}, {"status": 520}, {"status": 200, "body": [1]}])
    def test_a_merge_is_asked_for_once(self, repository: Repository, fault: dict[str, object]) -> None:
        """A second one would be answered as if it were the first: the pull request stays, and may still be merged."""
        repository.hub.faults([{**CALL["merge"], **fault}])
        with pytest.raises(AnswerLost, match="/discussions/1"):
            Publisher(repository, job="j0b").publish()
        assert (repository.contents(), statuses(repository)) == (OLD, ["open"])

    def test_a_branch_that_moved_is_no_answer_to_a_merge(self, repository: Repository) -> None:
        """Neither is what another committed taken for ours, nor is it said that ours was not published."""
        publisher, theirs = Publisher(repository, job="j0b"), {"theirs": b"3"}
        moment = in_the_moment(repository, lambda: repository.put(theirs), status=504)
        with moment, pytest.raises(AnswerLost):
            publisher.publish()
        assert repository.contents() == OLD | theirs
        assert statuses(repository) == ["open"]

    @pytest.mark.parametrize("status", [401, 403, 404])
    def test_a_look_that_is_refused_is_no_answer_to_a_merge(self, repository: Repository, status: int) -> None:
        """The token may have ended since: the merge may have taken effect all the same, and here it has."""
        gone = {**CALL["looking"], "path": "*/discussions/1", "status": status, "skip": 1, "times": 99}
        repository.hub.faults([{**CALL["merge"], "drop": True, "after": True}, gone])
        publisher = Publisher(repository, job="j0b")
        with pytest.raises(AnswerLost):
            publisher.publish()
        assert repository.contents() == publisher.whole

    def test_a_merge_that_never_went_out_is_asked_for_again(self, repository: Repository) -> None:
        """A quota that was used up had no effect."""
        repository.hub.faults([{**CALL["merge"], "status": 429}])
        publisher = Publisher(repository)
        publisher.publish()
        assert repository.contents() == publisher.whole

    def test_a_merge_that_was_made_and_never_answered_is_found_later(self, repository: Repository) -> None:
        """By the mark of its pull request; publishing it again makes no commit."""
        base = repository.api.repo_info(repository.name, repo_type="dataset").sha
        gone = {**CALL["looking"], "drop": True, "skip": 2, "times": 99}
        repository.hub.faults([{**CALL["merge"], "drop": True, "after": True}, gone])
        with pytest.raises(AnswerLost):
            Publisher(repository, job="j0b").publish()
        repository.hub.faults([])
        publisher = Publisher(repository, job="j0b", commits=1)
        with repository.opened(job="j0b") as destination:
            assert destination.landed(base) == destination.revision != base
        publisher.publish()
        assert repository.contents() == publisher.whole
        assert len(repository.titles()) == 3

    def test_content_that_is_gone_is_named(self, repository: Repository) -> None:
        """All of it, not only that of the first commit; and the branch is left as it is."""
        publisher = Publisher(repository, repository.name)
        with publisher.destination as destination:
            destination.prepare()
            files = publisher.stage()
            repository.hub.collect()
            with pytest.raises(ContentMissing) as caught:
                destination.commit(files, ["data/old"], "new")
        assert caught.value.fields["paths"] == NAMES
        assert (repository.contents(), statuses(repository)) == (OLD, ["closed"])


class TestMoving:
    """Others at work on the same branch."""

    def test_a_branch_that_moved_before_is_respected(self, repository: Repository) -> None:
        """Nothing is sent then; after looking again it can be published."""
        publisher = Publisher(repository)
        with publisher.destination as destination:
            destination.prepare()
            files = publisher.stage()
            theirs = repository.put({"theirs": b"3"})
            with pytest.raises(DestinationChanged) as caught:
                destination.commit(files, ["data/old"], "new")
            assert caught.value.fields["found"] == theirs
            assert statuses(repository) == []
            destination.refresh()
            destination.commit(files, ["data/old"], "new")
        assert repository.contents() == publisher.whole | {"theirs": b"3"}

    def test_a_branch_that_moves_while_files_are_sent_is_respected(self, repository: Repository) -> None:
        """The pull request is not merged, though the Hub would."""
        publisher = Publisher(repository, on_event=lambda _: repository.put({"theirs": b"3"}))
        with pytest.raises(DestinationChanged):
            publisher.publish()
        assert repository.contents() == OLD | {"theirs": b"3"}
        assert statuses(repository) == ["closed"]

    def test_what_comes_in_the_moment_of_the_merge_is_told(self, repository: Repository) -> None:
        """A file of another beside ours stays, and the user hears of it: a merge takes no parent."""
        publisher = Publisher(repository)
        with in_the_moment(repository, lambda: repository.put({"theirs": b"3"})):
            publisher.publish()
        assert repository.contents() == publisher.whole | {"theirs": b"3"}
        assert any("commits of others" in event.message for event in publisher.heard if isinstance(event, Warned))

    def test_another_publication_in_the_moment_of_the_merge_is_a_conflict(self, repository: Repository) -> None:
        """Both bring a card: the Hub refuses the second one, and there is no mixture."""
        publisher, theirs = Publisher(repository), {"README.md": b"# theirs\n"}
        with in_the_moment(repository, lambda: repository.put(theirs)), pytest.raises(DestinationChanged):
            publisher.publish()
        assert repository.contents() == OLD | theirs
        assert statuses(repository) == ["closed"]

    @pytest.mark.parametrize("most", [MOST, 25_000])
    def test_two_that_race_are_both_whole_or_told(self, repository: Repository, most: int) -> None:
        """By merges and by single commits: what the branch has in the end is one of the two publications, whole."""
        names = [*(NAMES[:2] if most > MOST else NAMES), "README.md"]
        ready = threading.Barrier(2)

        def files(words: str) -> dict[str, bytes]:
            return {name: f"{words} {name}".encode() for name in names}

        def race(words: str) -> bool:
            with repository.prepared(commit_files=most) as destination:
                stager = destination.stager
                staged = {
                    name: stager.stage(name, writing(data), hold=name == "README.md")
                    for name, data in files(words).items()
                }
                ready.wait(30)
                try:
                    destination.commit(staged, [], words)
                except DestinationChanged:
                    return False
                return True

        with ThreadPoolExecutor(2) as pool:
            won = [words for words, did in zip(("one", "two"), pool.map(race, ("one", "two")), strict=True) if did]
        assert len(won) == 1
        assert repository.contents() == OLD | files(won[0])


class in_the_moment:  # noqa: N801 — reads like a function
    """Acts while the merge is held up at the Hub, after the branch was compared and before it is merged."""

    def __init__(self, repository: Repository, act: Callable[[], object], **fault: object) -> None:
        self._hub, self._act, self._fault = repository.hub, act, fault

    def __enter__(self) -> None:
        self._hub.faults([{**CALL["merge"], "delay": 0.8, **self._fault}])
        self._thread = threading.Thread(target=self._wait)
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._thread.join()

    def _wait(self) -> None:
        deadline = time.monotonic() + 30
        while not self._hub.happened()[0]["happened"] and time.monotonic() < deadline:
            time.sleep(0.02)
        self._act()


def test_changes_are_cut_into_commits() -> None:
    """Deletions come first, no commit has more than asked, and together they are the whole."""
    files = {name: Staged(name, 1, "ab" * 32) for name in NAMES} | {"README.md": Staged("README.md", 1, data=b"x")}
    whole = Changes("p", "words", "more", ("a", "b/"), files, frozenset({"README.md"}))
    parts = whole.parts(4)
    assert [len(part.deletions) + len(part.files) for part in parts] == [4, 4, 2]
    assert parts[0].deletions == ("a", "b/")
    assert {path: file for part in parts for path, file in part.files.items()} == files
    assert [part.inline for part in parts] == [frozenset(), frozenset(), frozenset({"README.md"})]
    assert parts[1].summary == "words (part 2 of 3)"
