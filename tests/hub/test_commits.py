"""Commits: what one call changes, what it is refused for, and the history that it leaves."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

import pytest
from huggingface_hub import CommitOperationCopy, CommitOperationDelete
from huggingface_hub.errors import HfHubHTTPError
from tests.hub.client import Client
from tests.hub.files import add, commit, contents

MEDIA = bytes(range(256)) * 40


def test_one_commit_adds_deletes_and_copies(client: Client, repo: str) -> None:
    """All operations take effect together: files added and replaced, one and a whole folder deleted, copies made."""
    commit(
        client,
        repo,
        *add({"keep.txt": b"1", "gone.txt": b"2", "old/a/x.txt": b"3", "old/y.bin": MEDIA, "z.bin": MEDIA}),
    )
    done = commit(
        client,
        repo,
        *add({"keep.txt": b"new", "new/file.txt": b"4"}),
        CommitOperationDelete("gone.txt"),
        CommitOperationDelete("old/"),
        CommitOperationCopy("z.bin", "copies/z.bin"),
        CommitOperationCopy("gone.txt", "copies/text.txt"),
    )
    assert done.oid == client.api.repo_info(repo, repo_type="dataset").sha
    assert contents(client, repo) == {
        "keep.txt": b"new",
        "new/file.txt": b"4",
        "z.bin": MEDIA,
        "copies/z.bin": MEDIA,
        "copies/text.txt": b"2",
    }


def test_a_rename_is_a_copy_and_a_deletion(client: Client, repo: str) -> None:
    """The content stays the same object: its SHA-256 and Xet hash go along."""
    commit(client, repo, *add({"before.bin": MEDIA}))
    [before] = client.api.get_paths_info(repo, ["before.bin"], repo_type="dataset")
    commit(client, repo, CommitOperationCopy("before.bin", "after.bin"), CommitOperationDelete("before.bin"))
    [after] = client.api.get_paths_info(repo, ["before.bin", "after.bin"], repo_type="dataset")
    assert (after.path, after.lfs, after.xet_hash) == ("after.bin", before.lfs, before.xet_hash)
    assert contents(client, repo) == {"after.bin": MEDIA}


def test_a_copy_may_come_from_an_older_revision(client: Client, repo: str) -> None:
    """What a commit held can be brought back by its id."""
    first = commit(client, repo, *add({"a.txt": b"old", "b.bin": MEDIA}))
    commit(client, repo, *add({"a.txt": b"new"}), CommitOperationDelete("b.bin"))
    back = [CommitOperationCopy(path, f"back/{path}", src_revision=first.oid) for path in ("a.txt", "b.bin")]
    commit(client, repo, *back)
    assert contents(client, repo) == {"a.txt": b"new", "back/a.txt": b"old", "back/b.bin": MEDIA}


def test_a_folder_is_replaced_in_one_commit(client: Client, repo: str) -> None:
    """Deleting a folder and adding files to it at once leaves the new files alone."""
    commit(client, repo, *add({"data/old-1.txt": b"1", "data/sub/old-2.txt": b"2", "data/same.txt": b"3"}))
    commit(client, repo, CommitOperationDelete("data/"), *add({"data/new.txt": b"4", "data/same.txt": b"3"}))
    assert contents(client, repo) == {"data/new.txt": b"4", "data/same.txt": b"3"}


def test_a_thousand_files_are_one_commit(client: Client, repo: str) -> None:
    """Inline files and LFS files by the hundred are one step of the history."""
    files = {f"f{number % 7}/{number}.{'bin' if number % 20 == 0 else 'txt'}": b"%d" % number for number in range(1000)}
    commit(client, repo, *add(files))
    assert len(client.api.list_repo_commits(repo, repo_type="dataset")) == 2
    listed = client.api.list_repo_tree(repo, recursive=True, repo_type="dataset")
    found = {one.path: one.lfs.sha256 if one.lfs else one.blob_id for one in listed if hasattr(one, "blob_id")}
    del found[".gitattributes"]
    assert found == {path: identity(path, data) for path, data in files.items()}


def test_a_commit_on_a_stale_parent_is_refused(client: Client, repo: str) -> None:
    """If the branch has moved on since `parent_commit`, it is 412 and nothing is changed; else it goes through."""
    parent = client.api.repo_info(repo, repo_type="dataset").sha
    done = commit(client, repo, *add({"a.txt": b"1"}), parent_commit=parent)
    with pytest.raises(HfHubHTTPError) as refused:
        commit(client, repo, *add({"b.txt": b"2"}), CommitOperationDelete("a.txt"), parent_commit=parent)
    assert refused.value.response.status_code == 412
    assert contents(client, repo) == {"a.txt": b"1"}
    commit(client, repo, *add({"b.txt": b"2"}), parent_commit=done.oid)
    assert set(contents(client, repo)) == {"a.txt", "b.txt"}


def test_deleting_what_is_not_there_is_refused(client: Client, repo: str) -> None:
    """The whole commit fails then, with what else it would have done."""
    for missing in (CommitOperationDelete("no.txt"), CommitOperationDelete("no-folder/")):
        with pytest.raises(HfHubHTTPError) as refused:
            commit(client, repo, *add({"a.txt": b"1"}), missing)
        assert 400 <= refused.value.response.status_code < 500
    assert contents(client, repo) == {}


def test_a_commit_needs_a_branch_that_is_there(client: Client, repo: str) -> None:
    """Committing to an unknown branch, to a tag or to a former commit is refused."""
    client.api.create_tag(repo, tag="v1", repo_type="dataset")
    first = client.api.repo_info(repo, repo_type="dataset").sha
    for revision in ("nowhere", "v1", first):
        with pytest.raises(HfHubHTTPError) as refused:
            commit(client, repo, *add({"a.txt": b"1"}), revision=revision)
        assert 400 <= refused.value.response.status_code < 500
    assert client.api.repo_info(repo, repo_type="dataset").sha == first


def test_files_are_deleted_by_name_folder_and_pattern(client: Client, repo: str) -> None:
    """`delete_file`, `delete_folder` and `delete_files` each make one commit that deletes just that."""
    commit(client, repo, *add(dict.fromkeys(("a.txt", "b/c.txt", "b/d/e.txt", "f.csv", "g/h.csv", "stay.txt"), b"1")))
    client.api.delete_file("a.txt", repo, repo_type="dataset")
    client.api.delete_folder("b", repo, repo_type="dataset")
    client.api.delete_files(repo, ["*.csv"], repo_type="dataset")
    assert set(contents(client, repo)) == {"stay.txt"}
    assert len(client.api.list_repo_commits(repo, repo_type="dataset")) == 5


def test_history_lists_commits_from_the_newest(client: Client, repo: str) -> None:
    """Each with title, description, author and time of its own; a former revision shows its own past only."""
    before = datetime.now(UTC) - timedelta(minutes=5)
    done = [commit(client, repo, *add({"n.txt": b"%d" % n}), message=f"Step {n} ☃", more=f"Why {n}") for n in range(3)]
    history = client.api.list_repo_commits(repo, repo_type="dataset")
    assert [one.title for one in history[:-1]] == ["Step 2 ☃", "Step 1 ☃", "Step 0 ☃"]
    assert [one.message for one in history[:-1]] == ["Why 2", "Why 1", "Why 0"]
    assert [one.commit_id for one in history[:-1]] == [one.oid for one in reversed(done)]
    assert all(one.authors == history[0].authors and len(one.authors) == 1 for one in history)
    times = [one.created_at for one in history]
    assert times == sorted(times, reverse=True)
    assert before < times[-1] and times[0] < datetime.now(UTC) + timedelta(minutes=5)
    assert client.api.list_repo_commits(repo, repo_type="dataset", revision=done[0].oid) == history[2:]
    shown = client.api.list_repo_commits(repo, repo_type="dataset", formatted=True)
    assert "Step 2 ☃" in shown[0].formatted_title


def test_a_long_history_comes_in_pages(client: Client, repo: str) -> None:
    """Sixty commits are listed, none twice."""
    client.call(commit_often, repo, 60)
    history = client.api.list_repo_commits(repo, repo_type="dataset")
    assert [one.title for one in history[:-1]] == [f"Commit {number}" for number in reversed(range(60))]
    assert len({one.commit_id for one in history}) == 61


def test_former_revisions_keep_their_files(client: Client, repo: str) -> None:
    """A commit's id shows the tree as it was, after files were replaced and deleted."""
    first = commit(client, repo, *add({"a.txt": b"1", "b.bin": MEDIA}))
    commit(client, repo, *add({"a.txt": b"2"}), CommitOperationDelete("b.bin"))
    assert contents(client, repo, revision=first.oid) == {"a.txt": b"1", "b.bin": MEDIA}
    assert contents(client, repo) == {"a.txt": b"2"}


def test_squashing_leaves_files_and_one_commit(client: Client, repo: str) -> None:
    """`super_squash_history` replaces the branch's past by one commit with its message; other branches keep theirs."""
    for number in range(3):
        commit(client, repo, *add({f"{number}.txt": b"1", "b.bin": MEDIA + b"%d" % number}))
    client.api.create_branch(repo, branch="kept", repo_type="dataset")
    files = contents(client, repo)
    client.api.super_squash_history(repo, repo_type="dataset", commit_message="All of it")
    [only] = client.api.list_repo_commits(repo, repo_type="dataset")
    assert only.title == "All of it"
    assert contents(client, repo) == files
    assert len(client.api.list_repo_commits(repo, repo_type="dataset", revision="kept")) == 4
    commit(client, repo, *add({"after.txt": b"1"}), parent_commit=only.commit_id)
    assert len(client.api.list_repo_commits(repo, repo_type="dataset")) == 2


def commit_often(repo: str, times: int) -> None:
    import huggingface_hub

    for number in range(times):
        adds = [huggingface_hub.CommitOperationAdd("n.txt", b"%d" % number)]
        huggingface_hub.create_commit(repo, adds, commit_message=f"Commit {number}", repo_type="dataset")


def identity(path: str, data: bytes) -> str:
    """What git calls the content of an inline file, or LFS that of a binary one."""
    if path.endswith(".bin"):
        return hashlib.sha256(data).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
