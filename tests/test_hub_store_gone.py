"""A repository that is renamed, deleted or busy while a run is at work: what is said, and that nothing is published."""

from __future__ import annotations

import pickle
from collections.abc import Iterator

import pytest
from tests.hub_stores import Repository, writing
from tests.hubs import Hub

from sealift.errors import (
    AnswerLost,
    DestinationBusy,
    DestinationChanged,
    DestinationError,
    RequestError,
)

pytestmark = pytest.mark.usefixtures("own_xet_cache")


@pytest.fixture(params=["xet", "lfs"])
def repository(request: pytest.FixtureRequest) -> Iterator[Repository]:
    """One with a file; whatever a test made fail is mended after it."""
    found = Repository(request.getfixturevalue(f"{request.param}_hub"))
    found.put({"x": b"1"})
    yield found
    found.hub.faults([])


def rename(repository: Repository) -> Repository:
    """Give it another name; the Hub sends those on who ask for the old one, as the public one does."""
    new = Repository(repository.hub)
    repository.api.move_repo(repository.name, new.name, repo_type="dataset")
    calls = {"repo-info": "", "preupload": "/preupload/main", "commit": "/commit/main", "tree": "/tree/main"}
    repository.hub.faults(
        [
            {"kind": kind, "status": 307, "headers": {"Location": f"{new.place.api}{call}"}}
            for kind, call in calls.items()
        ]
    )
    return new


class TestRenamed:
    """The old name leads to the repository, but takes no commit."""

    def test_it_is_refused_before_the_work(self, repository: Repository) -> None:
        """The new name is said, with the branch that was named."""
        with repository.at("next").opened() as destination:
            new = rename(repository)
            with pytest.raises(RequestError, match=f"is called {new.name}") as caught:
                destination.prepare()
        assert f"{new.name}@next" in caught.value.hint
        assert new.contents() == {"x": b"1"}
        assert not repository.api.repo_exists(repository.name, repo_type="dataset")

    def test_a_commit_is_not_sent_on(self, repository: Repository) -> None:
        """Renamed during the run: its body cannot be sent twice, so the new name is said."""
        with repository.prepared() as destination:
            staged = destination.stager.stage("x", writing(b"2" * 900_000), hold=True)
            new = rename(repository)
            with pytest.raises(RequestError, match="nothing was published") as caught:
                destination.commit({"x": staged}, [], "to the old name")
        assert new.name in caught.value.hint
        assert new.contents() == {"x": b"1"}

    def test_a_hub_that_leads_nowhere_is_said(self, repository: Repository) -> None:
        """It sends the commit on, and knows the repository by that very name: no success, and not tried again."""
        with repository.prepared() as destination:
            staged = destination.stager.stage("x", writing(b"2"), hold=True)
            elsewhere = {"Location": f"{repository.place.api}/commit/main"}
            repository.hub.faults([{"kind": "commit", "status": 308, "headers": elsewhere, "times": 9}])
            with pytest.raises(DestinationError, match="308"):
                destination.commit({"x": staged}, [], "x")
        assert repository.contents() == {"x": b"1"}


class TestDeleted:
    """It was there when the run looked: neither the name nor the token is wrong."""

    def test_it_is_not_made_anew_behind_the_users_back(self, repository: Repository) -> None:
        """Deleted before anything was sent."""
        with repository.opened() as destination:
            repository.api.delete_repo(repository.name, repo_type="dataset")
            with pytest.raises(DestinationChanged, match="gone"):
                destination.prepare()
        assert not repository.api.repo_exists(repository.name, repo_type="dataset")

    def test_a_commit_says_that_it_is_gone(self, repository: Repository) -> None:
        """By whichever call it is met; looking again says the same."""
        with repository.prepared() as destination:
            held = destination.stager.stage("x", writing(b"2"), hold=True)
            sent = destination.stager.stage("y", writing(b"3"))
            assert destination.commit({}, ["none"], "nothing") == destination.revision
            repository.api.delete_repo(repository.name, repo_type="dataset")
            for files in ({"x": held}, {"y": sent}):
                with pytest.raises(DestinationChanged, match="gone") as caught:
                    destination.commit(files, [], "too late")
                assert caught.value.fields["repository"] == repository.name
            with pytest.raises(DestinationChanged, match="gone"):
                destination.refresh()

    def test_staging_says_that_it_is_gone(self, lfs_hub: Hub) -> None:
        """A worker's copy of the stager knows it, too. (Xet takes content as long as its token is good.)"""
        repository = Repository(lfs_hub)
        with repository.prepared(staging=0) as destination:
            stager = pickle.loads(pickle.dumps(destination.stager))
            repository.api.delete_repo(repository.name, repo_type="dataset")
            with pytest.raises(DestinationChanged, match="gone"):
                stager.stage("y", writing(b"3"))

    def test_a_branch_that_is_gone_is_said(self, repository: Repository) -> None:
        """With its name."""
        branch = repository.at("next")
        with branch.prepared() as destination:
            staged = destination.stager.stage("x", writing(b"2"), hold=True)
            repository.api.delete_branch(repository.name, branch="next", repo_type="dataset")
            with pytest.raises(DestinationChanged, match=r"next in .* is gone"):
                destination.commit({"x": staged}, [], "too late")
        assert repository.contents() == {"x": b"1"}


class TestTurnedAway:
    """Answers that came are never called lost."""

    @pytest.mark.parametrize("status", [409, 412])
    def test_a_commit_that_is_never_taken(self, repository: Repository, status: int) -> None:
        """Each try is turned away though nothing has changed: the Hub's words are kept, and it is not called lost."""
        words = {"X-Error-Message": "Another commit is under way"}
        with repository.prepared() as destination:
            staged = destination.stager.stage("x", writing(b"2"), hold=True)
            repository.hub.faults([{"kind": "commit", "status": status, "times": 99, "headers": words}])
            with pytest.raises(DestinationBusy, match=rf"\({status}\): Another commit is under way") as caught:
                destination.commit({"x": staged}, [], "x")
            assert caught.value.fields["status"] == status
            repository.hub.faults([{"kind": "commit", "status": status, "times": 2, "headers": words}])
            destination.commit({"x": staged}, [], "x")
        assert repository.contents() == {"x": b"2"}

    @pytest.mark.parametrize("last", [{"status": 409}, {"status": 429, "headers": {"Retry-After": "3000"}}])
    def test_one_lost_answer_leaves_the_question_open(self, repository: Repository, last: dict[str, object]) -> None:
        """Whatever the later answers are: the first try may take effect yet."""
        repository.hub.faults(
            [{"kind": "commit", "status": 504}, {"kind": "commit", "times": 99, **last}],
        )
        with pytest.raises(AnswerLost):
            repository.put({"x": b"2"})
        assert repository.contents() == {"x": b"1"}


def test_what_should_be_private_is_refused_before_anything_is_made(repository: Repository) -> None:
    """A branch of a public repository would be public: neither it nor content is sent, whether it is there or not."""
    repository.at("there").put({"x": b"1"})
    before = repository.hub.counts()
    for name in (None, "there", "new"):
        branch = Repository(repository.hub, name, repository.name)
        with branch.opened(private=True) as destination, pytest.raises(DestinationError, match="is there already"):
            destination.prepare()
    after = repository.hub.counts()
    assert (after["stored"], after["commits"]) == (before["stored"], before["commits"])
    branches = repository.api.list_repo_refs(repository.name, repo_type="dataset").branches
    assert {one.name for one in branches} == {"main", "there"}
