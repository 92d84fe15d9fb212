"""Discussions and pull requests: talked about, changed, merged or closed."""

from __future__ import annotations

from typing import Any

import pytest
from huggingface_hub.errors import HfHubHTTPError, RevisionNotFoundError
from tests.hub.client import Client
from tests.hub.files import add, commit, contents
from tests.hubs import Hub


def test_a_commit_can_ask_to_be_pulled(client: Client, repo: str, hub: Hub) -> None:
    """With `create_pr` the branch stays as it is, and the commit lies on a ref of its own, on top of the branch."""
    commit(client, repo, *add({"a.txt": b"1"}))
    done = commit(client, repo, *add({"b.bin": b"\0" * 500}), create_pr=True, message="Add b")
    assert (done.pr_num, done.pr_revision) == (1, "refs/pr/1")
    assert done.pr_url == f"{hub.endpoint}/datasets/{repo}/discussions/1"
    assert set(contents(client, repo)) == {"a.txt"}
    assert contents(client, repo, revision="refs/pr/1") == {"a.txt": b"1", "b.bin": b"\0" * 500}
    history = client.api.list_repo_commits(repo, repo_type="dataset", revision="refs/pr/1")
    assert [one.title for one in history[:2]] == ["Add b", "Change"]
    refs = client.api.list_repo_refs(repo, repo_type="dataset", include_pull_requests=True)
    assert [(one.ref, one.target_commit) for one in refs.pull_requests] == [("refs/pr/1", done.oid)]
    assert client.api.list_repo_refs(repo, repo_type="dataset").pull_requests is None
    assert (details(client, repo, 1).title, details(client, repo, 1).status) == ("Add b", "open")


def test_a_pull_request_is_on_a_branch(client: Client, repo: str) -> None:
    """It may start from any branch that is there, and from no commit's id."""
    client.api.create_branch(repo, branch="side", repo_type="dataset")
    commit(client, repo, *add({"a.txt": b"side"}), revision="side")
    made = commit(client, repo, *add({"b.txt": b"1"}), revision="side", create_pr=True)
    assert set(contents(client, repo, revision=made.pr_revision)) == {"a.txt", "b.txt"}
    for revision in ("nowhere", made.oid):
        with pytest.raises(RevisionNotFoundError):
            commit(client, repo, *add({"c.txt": b"1"}), revision=revision, create_pr=True)


def test_a_pull_request_is_merged(client: Client, repo: str) -> None:
    """A draft takes commits, is opened and merged: then the branch has its files, and what both sides added."""
    made = client.api.create_pull_request(repo, "  More files ", description="Why", repo_type="dataset")
    assert (made.num, made.title, made.status, made.is_pull_request) == (1, "More files", "draft", True)
    assert made.git_reference == "refs/pr/1"
    commit(client, repo, *add({"a.txt": b"1", "b.bin": b"\0" * 500}), revision="refs/pr/1", message="First")
    commit(client, repo, *add({"c.txt": b"1"}), revision="refs/pr/1", message="Second")
    commit(client, repo, *add({"meanwhile.txt": b"1"}))
    opened = client.api.change_discussion_status(repo, 1, "open", repo_type="dataset")
    assert opened.new_status == "open"
    assert details(client, repo, 1).conflicting_files in ([], None)
    client.api.merge_pull_request(repo, 1, repo_type="dataset", comment="Thank you")

    merged = details(client, repo, 1)
    head = client.api.list_repo_commits(repo, repo_type="dataset")[0]
    assert (merged.status, merged.merge_commit_oid) == ("merged", head.commit_id)
    assert merged.target_branch == "refs/heads/main"
    assert contents(client, repo) == {"a.txt": b"1", "b.bin": b"\0" * 500, "c.txt": b"1", "meanwhile.txt": b"1"}
    assert [event.summary for event in merged.events if event.type == "commit"][:2] == ["First", "Second"]
    assert [event.new_status for event in merged.events if event.type == "status-change"] == ["open", "merged"]
    assert next(event.content for event in merged.events if event.type == "comment") == "Why"


def test_what_a_pull_request_changes_is_shown(client: Client, repo: str) -> None:
    """Its details have a diff that names each file, and lines of text that come and go."""
    commit(client, repo, *add({"edit.txt": b"same\nold line\n", "gone.txt": b"leaves\n"}))
    client.call(propose, repo)
    diff = details(client, repo, 1).diff
    assert diff is not None
    for shown in ("edit.txt", "gone.txt", "new.txt", "media.bin", "-old line", "+new line", "-leaves", "+comes"):
        assert shown in diff
    assert "-same" not in diff


def test_a_conflict_is_not_merged(client: Client, repo: str) -> None:
    """When both sides changed a file, merging is refused, the file is named, and the branch stays as it is."""
    commit(client, repo, *add({"a.txt": b"1", "b.txt": b"1"}))
    commit(client, repo, *add({"a.txt": b"theirs", "b.txt": b"theirs"}), create_pr=True)
    commit(client, repo, *add({"a.txt": b"ours"}))
    assert details(client, repo, 1).conflicting_files in (["a.txt"], True)
    with pytest.raises(HfHubHTTPError) as refused:
        client.api.merge_pull_request(repo, 1, repo_type="dataset")
    assert 400 <= refused.value.response.status_code < 500
    assert contents(client, repo) == {"a.txt": b"ours", "b.txt": b"1"}
    assert details(client, repo, 1).status == "open"


@pytest.mark.parametrize("end", ["merged", "closed"])
def test_what_has_ended_is_not_merged(end: str, client: Client, repo: str) -> None:
    """A pull request that was merged or closed is not merged again."""
    commit(client, repo, *add({"a.txt": b"1"}), create_pr=True)
    if end == "merged":
        client.api.merge_pull_request(repo, 1, repo_type="dataset")
    else:
        client.api.change_discussion_status(repo, 1, "closed", repo_type="dataset")
    assert details(client, repo, 1).status == end
    with pytest.raises(HfHubHTTPError):
        client.api.merge_pull_request(repo, 1, repo_type="dataset")
    assert set(contents(client, repo)) == ({"a.txt"} if end == "merged" else set())


def test_a_discussion_is_held(client: Client, repo: str) -> None:
    """Comments, a new title, an edit and a change of status each are an event, with what it says and who said it."""
    made = client.api.create_discussion(repo, "Question", description="How?", repo_type="dataset")
    assert (made.num, made.status, made.is_pull_request, made.git_reference) == (1, "open", False, None)
    assert made == details(client, repo, 1)
    said = client.api.comment_discussion(repo, 1, "*So*: ☃", repo_type="dataset")
    client.api.edit_discussion_comment(repo, 1, said.id, "So!", repo_type="dataset")
    titled = client.api.rename_discussion(repo, 1, "Answer", repo_type="dataset")
    assert (titled.old_title, titled.new_title) == ("Question", "Answer")
    closed = client.api.change_discussion_status(repo, 1, "closed", repo_type="dataset")
    told = details(client, repo, 1)
    assert (told.title, told.status, told.author) == ("Answer", "closed", made.author)
    assert {said.id, titled.id, closed.id} <= {event.id for event in told.events}
    comments = [(event.content, event.edited) for event in told.events if event.type == "comment"]
    assert comments == [("How?", False), ("So!", True)]
    assert all(event.author == made.author for event in told.events)


def test_discussions_are_listed(client: Client, repo: str) -> None:
    """All of them from the newest, or those of a type, a status or an author."""
    client.api.create_pull_request(repo, "One", repo_type="dataset")
    client.api.create_discussion(repo, "Two", repo_type="dataset")
    client.api.create_discussion(repo, "Three", repo_type="dataset")
    client.api.change_discussion_status(repo, 3, "closed", repo_type="dataset")

    def numbers(**those: Any) -> list[int]:
        return [one.num for one in client.api.get_repo_discussions(repo, repo_type="dataset", **those)]

    assert numbers() == [3, 2, 1]
    assert numbers(discussion_type="pull_request") == [1]
    assert numbers(discussion_type="discussion") == [3, 2]
    assert numbers(discussion_status="open") == [2, 1]
    assert numbers(discussion_status="closed") == [3]
    assert numbers(author="nobody-of-that-name") == []


def details(client: Client, repo: str, number: int) -> Any:
    return client.api.get_discussion_details(repo, number, repo_type="dataset")


def propose(repo: str) -> None:
    """A pull request that edits, deletes and adds."""
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, create_commit

    operations: list[CommitOperationAdd | CommitOperationDelete] = [
        CommitOperationAdd("edit.txt", b"same\nnew line\n"),
        CommitOperationAdd("new.txt", b"comes\n"),
        CommitOperationAdd("media.bin", bytes(500)),
        CommitOperationDelete("gone.txt"),
    ]
    create_commit(repo, operations, commit_message="Proposal", repo_type="dataset", create_pr=True)
