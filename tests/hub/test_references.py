"""Branches, tags and what else names a revision."""

from __future__ import annotations

import pytest
from huggingface_hub.errors import HfHubHTTPError, RevisionNotFoundError
from tests.hub.client import Client
from tests.hub.files import add, commit, contents


def test_a_branch_goes_its_own_way(client: Client, repo: str) -> None:
    """It starts where it was told to, at the head of main by default; commits to it leave main alone."""
    first = commit(client, repo, *add({"a.txt": b"1"}))
    second = commit(client, repo, *add({"a.txt": b"2"}))
    client.api.create_branch(repo, branch="at-head", repo_type="dataset")
    client.api.create_branch(repo, branch="feature/back", revision=first.oid, repo_type="dataset")
    refs = client.api.list_repo_refs(repo, repo_type="dataset")
    assert {one.name: (one.ref, one.target_commit) for one in refs.branches} == {
        "main": ("refs/heads/main", second.oid),
        "at-head": ("refs/heads/at-head", second.oid),
        "feature/back": ("refs/heads/feature/back", first.oid),
    }
    done = commit(client, repo, *add({"b.bin": b"\0" * 99}), revision="feature/back")
    assert contents(client, repo, revision="feature/back") == {"a.txt": b"1", "b.bin": b"\0" * 99}
    assert contents(client, repo) == {"a.txt": b"2"}
    assert client.api.repo_info(repo, repo_type="dataset", revision="feature/back").sha == done.oid


def test_a_branch_is_made_once_and_deleted(client: Client, repo: str) -> None:
    """Making it again is 409 unless it may exist; once deleted, it names nothing."""
    client.api.create_branch(repo, branch="b", repo_type="dataset")
    with pytest.raises(HfHubHTTPError) as refused:
        client.api.create_branch(repo, branch="b", repo_type="dataset")
    assert refused.value.response.status_code == 409
    client.api.create_branch(repo, branch="b", repo_type="dataset", exist_ok=True)
    assert client.api.revision_exists(repo, "b", repo_type="dataset")
    client.api.delete_branch(repo, branch="b", repo_type="dataset")
    assert not client.api.revision_exists(repo, "b", repo_type="dataset")
    assert [one.name for one in client.api.list_repo_refs(repo, repo_type="dataset").branches] == ["main"]
    with pytest.raises(HfHubHTTPError):
        client.api.delete_branch(repo, branch="b", repo_type="dataset")


def test_main_cannot_be_deleted(client: Client, repo: str) -> None:
    """The default branch stays."""
    with pytest.raises(HfHubHTTPError):
        client.api.delete_branch(repo, branch="main", repo_type="dataset")
    assert client.api.revision_exists(repo, "main", repo_type="dataset")


def test_a_branch_needs_a_start(client: Client, repo: str) -> None:
    """A branch or a tag at a revision that is not there is refused by that name."""
    with pytest.raises(RevisionNotFoundError):
        client.api.create_branch(repo, branch="b", revision="nowhere", repo_type="dataset")
    with pytest.raises(RevisionNotFoundError):
        client.api.create_tag(repo, tag="t", revision="nowhere", repo_type="dataset")


def test_a_tag_stays_where_it_was_put(client: Client, repo: str) -> None:
    """It names one commit while the branch goes on; making it again is 409; once deleted, it names nothing."""
    first = commit(client, repo, *add({"a.txt": b"1"}))
    client.api.create_tag(repo, tag="v1.0", tag_message="First release", repo_type="dataset")
    second = commit(client, repo, *add({"a.txt": b"2"}))
    client.api.create_tag(repo, tag="v2.0", revision=second.oid, repo_type="dataset")
    assert contents(client, repo, revision="v1.0") == {"a.txt": b"1"}
    assert client.api.repo_info(repo, repo_type="dataset", revision="v1.0").sha == first.oid
    tags = client.api.list_repo_refs(repo, repo_type="dataset").tags
    assert {one.name: one.ref for one in tags} == {"v1.0": "refs/tags/v1.0", "v2.0": "refs/tags/v2.0"}
    with pytest.raises(HfHubHTTPError) as refused:
        client.api.create_tag(repo, tag="v1.0", repo_type="dataset")
    assert refused.value.response.status_code == 409
    client.api.create_tag(repo, tag="v1.0", repo_type="dataset", exist_ok=True)
    client.api.delete_tag(repo, tag="v1.0", repo_type="dataset")
    assert [one.name for one in client.api.list_repo_refs(repo, repo_type="dataset").tags] == ["v2.0"]
    assert not client.api.revision_exists(repo, "v1.0", repo_type="dataset")
    with pytest.raises(RevisionNotFoundError):
        client.api.delete_tag(repo, tag="v1.0", repo_type="dataset")


def test_every_revision_resolves_to_a_commit(client: Client, repo: str) -> None:
    """No revision, a branch and a commit's id all lead to the whole id."""
    done = commit(client, repo, *add({"a.txt": b"1"}))
    for revision in (None, "main", done.oid):
        assert client.api.repo_info(repo, repo_type="dataset", revision=revision).sha == done.oid


def test_a_short_commit_id_will_do(client: Client, repo: str) -> None:
    """Seven characters name the commit to tag, and the parent of the next one."""
    done = commit(client, repo, *add({"a.txt": b"1"}))
    client.api.create_tag(repo, tag="short", revision=done.oid[:7], repo_type="dataset")
    [tag] = client.api.list_repo_refs(repo, repo_type="dataset").tags
    assert tag.target_commit == done.oid
    commit(client, repo, *add({"a.txt": b"2"}), parent_commit=done.oid[:7])


def test_a_branch_and_a_tag_may_share_a_name(client: Client, repo: str) -> None:
    """They are refs of two kinds; deleting the one leaves the other."""
    client.api.create_tag(repo, tag="same", repo_type="dataset")
    client.api.create_branch(repo, branch="same", repo_type="dataset")
    client.api.delete_branch(repo, branch="same", repo_type="dataset")
    refs = client.api.list_repo_refs(repo, repo_type="dataset")
    assert ([one.name for one in refs.branches], [one.name for one in refs.tags]) == (["main"], ["same"])


@pytest.mark.parametrize("wrong", ["with space", "two..dots", "end.lock", "a//b", "ctrl\x07", "a~1", "a:b", "a^b"])
def test_a_name_that_git_refuses_is_refused(wrong: str, client: Client, repo: str) -> None:
    """Neither a branch nor a tag is made by it."""
    for make in ({"branch": wrong}, {"tag": wrong}):
        with pytest.raises(HfHubHTTPError) as refused:
            getattr(client.api, f"create_{next(iter(make))}")(repo, **make, repo_type="dataset")
        assert 400 <= refused.value.response.status_code < 500
    refs = client.api.list_repo_refs(repo, repo_type="dataset")
    assert (len(refs.branches), len(refs.tags)) == (1, 0)
