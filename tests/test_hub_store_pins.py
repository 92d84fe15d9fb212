"""Uploaded content of a long job is kept from being collected, and the commit says what is gone all the same."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from tests.hub_stores import Repository, writing
from tests.hubs import Hub

from sealift.errors import ContentMissing, DestinationError
from sealift.model.event import Event, Warned
from sealift.ports import Staged
from sealift.stores.hub import HubDestination
from sealift.stores.hub.bandwidth import bandwidth_of

pytestmark = pytest.mark.usefixtures("own_xet_cache")

MAKING = {"kind": "discussion", "method": "POST", "path": "*/discussions"}


@pytest.fixture(params=["xet", "lfs"])
def repository(request: pytest.FixtureRequest) -> Iterator[Repository]:
    """One with a file; whatever a test made fail is mended after it."""
    yield from mended(Repository(request.getfixturevalue(f"{request.param}_hub")))


@pytest.fixture
def by_lfs(lfs_hub: Hub) -> Iterator[Repository]:
    """Where it does not matter how content came there."""
    yield from mended(Repository(lfs_hub))


def mended(repository: Repository) -> Iterator[Repository]:
    repository.put({"old": b"1"})
    yield repository
    repository.hub.faults([])


def staged(destination: HubDestination, *names: str) -> dict[str, Staged]:
    """Files that are uploaded, each of other content in each repository."""
    data = {name: f"{name} of {destination.name}".encode() for name in names}
    return {name: destination.stager.stage(name, writing(data[name])) for name in names}


def pulls(repository: Repository) -> list[tuple[str, int]]:
    """Status and number of commits of each pull request, the newest first."""
    found = repository.api.get_repo_discussions(repository.name, repo_type="dataset")
    refs = [(one.status, f"refs/pr/{one.num}") for one in found if one.is_pull_request]
    base = len(repository.titles())
    return [(status, len(repository.at(ref).titles()) - base) for status, ref in refs]


class TestPinning:
    """A draft pull request of the job names what is uploaded."""

    def test_what_is_pinned_is_not_collected(self, repository: Repository) -> None:
        """A Hub that collects all that no commit names leaves it, and the branch shows nothing of it before the commit;
        it is closed when it is not needed any more."""
        with repository.prepared(job="j0b") as destination:
            files = staged(destination, "a.parquet", "data/b.parquet")
            page = destination.pin(files)
            assert page == f"{repository.hub.endpoint}/datasets/{repository.name}/discussions/1"
            repository.hub.collect()
            for file in files.values():
                destination.stager.read_back(file, 0, memoryview(bytearray(file.size)))
            assert repository.contents() == {"old": b"1"}
            destination.commit(files, ["old"], "new")
            destination.unpin()
            destination.unpin()
        assert [status for status, _ in pulls(repository)] == ["closed"]
        assert sorted(repository.contents()) == ["a.parquet", "data/b.parquet"]

    def test_its_text_says_why_it_is_there(self, by_lfs: Repository) -> None:
        """To people who find it, and to another process of the job by its mark; as a draft it cannot be merged."""
        with by_lfs.prepared(job="j0b") as destination:
            destination.pin(staged(destination, "a"))
        found = by_lfs.api.get_discussion_details(by_lfs.name, 1, repo_type="dataset")
        assert (found.status, "not to be merged" in found.title) == ("draft", True)
        text = found.events[0].content  # type: ignore[attr-defined]
        assert "closed when the dataset is published" in text
        assert text.splitlines()[-1] == "Sealift-Job: j0b"

    def test_repeating_costs_one_request_and_no_commit(self, by_lfs: Repository) -> None:
        """A thousand files are one commit; what is there is not named again, in this process or in the next one."""
        with by_lfs.prepared(job="j0b") as destination:
            files = staged(destination, "a", "b", "c")
            before = by_lfs.hub.counts()
            destination.pin(files)
            assert asked(by_lfs, before) <= 7
            before = by_lfs.hub.counts()
            destination.pin(files)
            assert asked(by_lfs, before) == 1
        with by_lfs.prepared(job="j0b") as destination:
            before = by_lfs.hub.counts()
            destination.pin(files)
            assert asked(by_lfs, before) <= 6
            assert pulls(by_lfs) == [("draft", 1)]
            destination.pin(staged(destination, "d"))
        assert pulls(by_lfs) == [("draft", 2)]

    def test_nothing_is_pinned_that_is_held_here(self, by_lfs: Repository) -> None:
        """What travels with the commit cannot be collected, and what is empty is not there."""
        with by_lfs.prepared() as destination:
            held = destination.stager.stage("x", writing(b"small"), hold=True)
            empty = destination.stager.stage("y", writing(b""))
            assert destination.pin({"x": held, "y": empty}) is None
        assert pulls(by_lfs) == []

    def test_jobs_do_not_share_it(self, by_lfs: Repository) -> None:
        """Each has its own, and ends only that."""
        with by_lfs.prepared(job="one") as one, by_lfs.prepared(job="other") as other:
            assert one.pin(staged(one, "a")) != other.pin(staged(other, "b"))
            one.unpin()
        assert [status for status, _ in pulls(by_lfs)] == ["draft", "closed"]

    def test_one_that_was_closed_is_made_anew(self, by_lfs: Repository) -> None:
        """With all that it held, so that nothing of it is collected."""
        with by_lfs.prepared() as destination:
            files = staged(destination, "a", "b")
            destination.pin(files)
            by_lfs.api.change_discussion_status(by_lfs.name, 1, "closed", repo_type="dataset")
            more = staged(destination, "c")
            assert str(destination.pin(more)).endswith("/discussions/2")
            kept = set(by_lfs.at("refs/pr/2").contents().values())
        assert kept == {b"1", *(f"{name} of {by_lfs.name}".encode() for name in "abc")}

    def test_a_commit_of_another_on_it_is_no_obstacle(self, by_lfs: Repository) -> None:
        """Its head is looked for anew."""
        with by_lfs.prepared() as destination:
            destination.pin(staged(destination, "a"))
            by_lfs.at("refs/pr/1").put({"theirs": b"2"})
            destination.pin(staged(destination, "b"))
        assert pulls(by_lfs) == [("draft", 3)]

    @pytest.mark.parametrize("kind", [MAKING, {"kind": "commit"}])
    @pytest.mark.parametrize("fault", [{"drop": True}, {"status": 504}])
    @pytest.mark.parametrize("after", [False, True])
    def test_a_lost_answer_has_one_effect(
        self, by_lfs: Repository, kind: dict[str, object], fault: dict[str, object], after: bool
    ) -> None:
        """There is one pull request, with one commit."""
        with by_lfs.prepared() as destination:
            files = staged(destination, "a")
            by_lfs.hub.faults([{**kind, **fault, "after": after}])
            destination.pin(files)
        assert pulls(by_lfs) == [("draft", 1)]

    @pytest.mark.parametrize("fault", [{"status": 403}, {"status": 503}, {"drop": True}])
    def test_a_hub_that_does_not_take_it_ends_no_job(self, by_lfs: Repository, fault: dict[str, object]) -> None:
        """It is a precaution, and so is its end: the user is told, and the commit is made."""
        heard: list[Event] = []
        with by_lfs.prepared(on_event=heard.append) as destination:
            files = staged(destination, "a")
            by_lfs.hub.faults([{"kind": "discussion", "times": 99, **fault}])
            assert destination.pin(files) is None
            destination.commit(files, ["old"], "new")
            destination.unpin()
        assert [type(event) for event in heard] == [Warned, Warned]
        assert sorted(by_lfs.contents()) == ["a"]

    def test_what_is_gone_already_is_said(self, by_lfs: Repository) -> None:
        """By the paths it was staged under; it is not asked for again, and the rest can be pinned."""
        with by_lfs.prepared() as destination:
            lost = staged(destination, "lost")
            by_lfs.hub.collect()
            there = staged(destination, "there")
            with pytest.raises(ContentMissing) as caught:
                destination.pin({**lost, **there})
            assert caught.value.fields["paths"] == ["lost"]
            destination.pin({})
            by_lfs.hub.collect()
            assert destination.missing([*there.values(), *lost.values()]) == ["lost"]

    def test_the_token_goes_to_no_other_hub(self, by_lfs: Repository) -> None:
        """A listing whose next page is said to be elsewhere is not followed there: nobody is called."""
        with by_lfs.prepared(job="j0b") as destination:
            files = staged(destination, "a")
            destination.pin(files)
        heard: list[Event] = []
        with (
            by_lfs.prepared(job="j0b", on_event=heard.append) as destination,
            socket.create_server(("127.0.0.1", 0)) as other,
        ):
            other.setblocking(False)
            link = f'<http://127.0.0.1:{other.getsockname()[1]}/next>; rel="next"'
            by_lfs.hub.faults([{"kind": "tree", "status": 200, "body": [], "headers": {"Link": link}}])
            assert destination.pin(files) is None
            with pytest.raises(BlockingIOError):
                other.accept()
        assert [type(event) for event in heard] == [Warned]

    def test_who_the_token_belongs_to_is_asked_once(self, by_lfs: Repository) -> None:
        """However often the job's pull requests are looked for: a Hub answers few such questions."""
        with by_lfs.prepared() as destination:
            destination.unpin()
            before = by_lfs.asked("whoami")
            destination.pin(staged(destination, "a"))
            destination.unpin()
            assert by_lfs.asked("whoami") == before
            destination.stager.client.whoami()
            assert by_lfs.asked("whoami") == before + 1


class TestMissing:
    """Content that was uploaded and is not there."""

    def test_it_is_named_and_nothing_is_changed(self, repository: Repository) -> None:
        """Under the paths it was staged under. After `mistrust` it is sent again, whatever is remembered of it."""
        with repository.prepared() as destination:
            files = staged(destination, "a", "b")
            held = destination.stager.stage("README.md", writing(b"# words\n"), hold=True)
            repository.hub.collect()
            with pytest.raises(ContentMissing, match="new/a") as caught:
                destination.commit({"new/a": files["a"], "new/b": files["b"], "README.md": held}, ["old"], "new")
            assert caught.value.fields["paths"] == ["a", "b"]
            assert repository.contents() == {"old": b"1"}
            destination.mistrust()
            files = staged(destination, "a", "b")
            destination.commit({"new/a": files["a"], "new/b": files["b"], "README.md": held}, ["old"], "new")
        assert sorted(repository.contents()) == ["README.md", "new/a", "new/b"]

    def test_a_hub_that_claims_to_have_it_is_not_believed(self, repository: Repository) -> None:
        """Refused though all is said to be there: it is read, and what cannot be read is missing.

        By Xet it can be sent again. Where LFS alone takes content, a Hub that wants nothing gets nothing."""
        with repository.prepared() as destination:
            files = staged(destination, "a", "b")
            repository.hub.collect(remembers=True)
            with pytest.raises(ContentMissing) as caught:
                destination.commit(files, [], "new")
            assert caught.value.fields["paths"] == ["a", "b"]
            destination.mistrust()
            if destination.stager.xet:
                destination.commit(staged(destination, "a", "b"), [], "new")
                assert sorted(repository.contents()) == ["a", "b", "old"]

    def test_what_a_stager_is_told(self, by_lfs: Repository) -> None:
        """Each worker may send its share of the bandwidth; mistrust counts for stagers made before it and after."""
        with by_lfs.prepared(bandwidth=4e9, workers=4) as destination:
            assert (destination.stager.bandwidth, destination.stager.afresh) == (1e9, False)
            destination.mistrust()
            assert destination.stager.afresh
            destination.prepare()
            assert destination.stager.afresh

    def test_a_commit_has_the_whole_bandwidth(self, repository: Repository) -> None:
        """And what is sent just before it: the workers have nothing to send then, so it is not paced at a share."""
        rate = 4e9 + 7
        with repository.prepared(bandwidth=rate, workers=4) as destination:
            held = {
                name: destination.stager.stage(name, writing(b"PAR1"), hold=True) for name in ("a.txt", "b.parquet")
            }
            destination.commit(held, [], "new")
        assert sorted(repository.contents()) == ["a.txt", "b.parquet", "old"]
        nothing = float("-inf")
        assert bandwidth_of(rate)._free > nothing
        assert bandwidth_of(rate / 4)._free == nothing

    def test_another_refusal_is_not_blamed_on_content(self, by_lfs: Repository) -> None:
        """A card that the Hub does not take is said as it is."""
        with by_lfs.prepared() as destination:
            files = staged(destination, "a")
            card = destination.stager.stage("README.md", writing(b"---\ntags: [\n---\n"), hold=True)
            with pytest.raises(DestinationError) as caught:
                destination.commit({**files, "README.md": card}, [], "new")
        assert not isinstance(caught.value, ContentMissing)


class TestLanded:
    """A commit of the job is found in the history by its mark."""

    def test_the_newest_of_the_job_is_found(self, by_lfs: Repository) -> None:
        """After the revision that is given, whatever others committed since; not that of another job."""
        with by_lfs.prepared(job="j0b") as destination:
            base = destination.revision
            assert destination.landed(base) is None
            first = destination.commit({"x": destination.stager.stage("x", writing(b"1"), hold=True)}, [], "one")
            second = destination.commit({"x": destination.stager.stage("x", writing(b"2"), hold=True)}, [], "two")
            by_lfs.put({"y": b"theirs"})
            assert destination.landed(base) == destination.landed(first) == second
            assert destination.landed(second) is None
            assert destination.landed(None) == second
        with by_lfs.opened(job="j0") as other:
            assert other.landed(base) is None

    def test_where_there_is_no_repository_nothing_has_landed(self, lfs_hub: Hub) -> None:
        """Nor is anything made by asking."""
        with Repository(lfs_hub).opened() as destination:
            assert destination.landed(None) is None

    def test_a_run_that_goes_on_makes_no_second_commit(self, by_lfs: Repository) -> None:
        """The commit of the run before came late, after this one had looked: it is taken for what it is."""
        with by_lfs.prepared(job="j0b") as before, by_lfs.prepared(job="j0b", commits=1) as now:
            files = staged(now, "a")
            late = before.commit(files, ["old"], "late")
            assert now.commit(files, ["old"], "again") == late
            assert now.revision == late
        assert by_lfs.titles()[-1] == "late"


def asked(repository: Repository, before: dict[str, object]) -> int:
    """How many requests the Hub has had since, but those about itself."""
    counted, then = repository.hub.counts()["requests"], before["requests"]
    assert isinstance(then, dict)
    return sum(count - then.get(kind, 0) for kind, count in counted.items() if kind != "own")
