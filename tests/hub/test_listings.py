"""What a Hub says of the files it holds: trees in pages, paths one by one, the repository as a whole."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

import pytest
from huggingface_hub import RepoFile, RepoFolder
from tests.hub.client import Client

FILES = {f"many/{number:04}.txt": b"%d" % number for number in range(1205)} | {
    "top.txt": b"top",
    "deep/a/b/c.bin": bytes(300),
    "deep/a/d.txt": b"d",
}
"""More than a page of 1,000 in one folder."""


@pytest.fixture(scope="module")
def repo(request: pytest.FixtureRequest) -> str:
    """One repository for this module, as it only reads: every listing of both modes is of the same files."""
    hub, clients = request.getfixturevalue("hub"), request.getfixturevalue("clients")
    created: str = hub.name("tree")
    clients["xet"].api.create_repo(created, repo_type="dataset")
    clients["xet"].call(commit_files, created, FILES)
    request.addfinalizer(lambda: clients["xet"].api.delete_repo(created, repo_type="dataset"))
    return created


def test_a_tree_is_listed_whole(client: Client, repo: str) -> None:
    """Recursively every file and folder comes once, over as many pages as it takes, with size and ids."""
    listed = client.api.list_repo_tree(repo, recursive=True, repo_type="dataset")
    files = {one.path: one for one in listed if isinstance(one, RepoFile)}
    folders = {one.path: one for one in listed if isinstance(one, RepoFolder)}
    assert len(listed) == len(files) + len(folders)
    assert set(files) == {".gitattributes", *FILES}
    assert set(folders) == {"many", "deep", "deep/a", "deep/a/b"}
    assert {path: files[path].size for path in FILES} == {path: len(data) for path, data in FILES.items()}
    text = FILES["deep/a/d.txt"]
    assert files["deep/a/d.txt"].blob_id == hashlib.sha1(b"blob %d\0" % len(text) + text).hexdigest()
    media = files["deep/a/b/c.bin"]
    assert media.lfs is not None
    assert (media.lfs.sha256, media.lfs.size) == (hashlib.sha256(bytes(300)).hexdigest(), 300)
    assert media.xet_hash is not None
    assert all(one.last_commit is None for one in listed)


def test_a_folder_is_listed_by_itself(client: Client, repo: str) -> None:
    """Without `recursive` there are its own files and folders only; with it, all below it."""
    top = client.api.list_repo_tree(repo, repo_type="dataset")
    assert {one.path for one in top} == {".gitattributes", "top.txt", "many", "deep"}
    inside = client.api.list_repo_tree(repo, "deep/a", repo_type="dataset")
    assert {one.path: type(one) for one in inside} == {"deep/a/b": RepoFolder, "deep/a/d.txt": RepoFile}
    below = client.api.list_repo_tree(repo, "deep", recursive=True, repo_type="dataset")
    assert {one.path for one in below} == {"deep/a", "deep/a/b", "deep/a/b/c.bin", "deep/a/d.txt"}


def test_an_expanded_tree_names_the_last_commits(client: Client, repo: str) -> None:
    """With `expand`, every entry says which commit changed it last; the pages are smaller, the entries the same."""
    listed = client.api.list_repo_tree(repo, recursive=True, expand=True, repo_type="dataset")
    assert {one.path for one in listed if isinstance(one, RepoFile)} == {".gitattributes", *FILES}
    head, first = client.api.list_repo_commits(repo, repo_type="dataset")
    changed = {one.path: (one.last_commit.oid, one.last_commit.title) for one in listed}
    assert changed.pop(".gitattributes") == (first.commit_id, first.title)
    assert set(changed.values()) == {(head.commit_id, "Files")}
    assert all(abs(one.last_commit.date - datetime.now(UTC)) < timedelta(hours=1) for one in listed)


def test_all_files_by_name(client: Client, repo: str) -> None:
    """`list_repo_files` lists the paths of all files and of no folder."""
    assert sorted(client.api.list_repo_files(repo, repo_type="dataset")) == sorted([".gitattributes", *FILES])


def test_paths_are_asked_for_one_by_one(client: Client, repo: str) -> None:
    """`get_paths_info` says of each path whether it is a file or a folder, and leaves out what is not there."""
    asked = ["top.txt", "deep/a", "deep/a/b/c.bin", "no.txt", "deep/no", "many/0000"]
    found = {one.path: one for one in client.api.get_paths_info(repo, asked, repo_type="dataset")}
    assert {path: type(one) for path, one in found.items()} == {
        "top.txt": RepoFile,
        "deep/a": RepoFolder,
        "deep/a/b/c.bin": RepoFile,
    }
    assert found["deep/a/b/c.bin"].lfs.size == 300
    assert found["top.txt"].last_commit is None
    [one] = client.api.get_paths_info(repo, "top.txt", expand=True, repo_type="dataset")
    assert one.last_commit.title == "Files"


def test_a_file_is_there_or_not(client: Client, repo: str) -> None:
    """`file_exists` is true of files alone: not of folders, nor of what is missing, nor at a missing revision."""
    there = {path: client.api.file_exists(repo, path, repo_type="dataset") for path in ("top.txt", "no.txt", "deep/a")}
    assert there == {"top.txt": True, "no.txt": False, "deep/a": False}
    assert not client.api.file_exists(repo, "top.txt", repo_type="dataset", revision="nowhere")


def test_the_repository_lists_its_files(client: Client, repo: str) -> None:
    """Its info names every file; with `files_metadata`, sizes and LFS ids as the tree has them."""
    plain = client.api.repo_info(repo, repo_type="dataset")
    assert sorted(file.rfilename for file in plain.siblings) == sorted([".gitattributes", *FILES])
    known = {
        file.rfilename: file for file in client.api.repo_info(repo, repo_type="dataset", files_metadata=True).siblings
    }
    assert {path: known[path].size for path in FILES} == {path: len(data) for path, data in FILES.items()}
    assert known["deep/a/b/c.bin"].lfs.sha256 == hashlib.sha256(bytes(300)).hexdigest()
    assert known["top.txt"].lfs is None


def test_the_repository_is_described_as_far_as_asked(client: Client, repo: str) -> None:
    """`expand` names the properties wanted; times are UTC."""
    info = client.api.dataset_info(repo, expand=["sha", "lastModified", "createdAt", "private"])
    head, _ = client.api.list_repo_commits(repo, repo_type="dataset")
    assert (info.sha, info.private, info.siblings) == (head.commit_id, False, None)
    assert info.created_at <= info.last_modified
    assert abs(info.last_modified - head.created_at) < timedelta(minutes=1)


def commit_files(repo: str, files: dict[str, bytes]) -> None:
    import huggingface_hub

    adds = [huggingface_hub.CommitOperationAdd(path, data) for path, data in files.items()]
    huggingface_hub.create_commit(repo, adds, commit_message="Files", repo_type="dataset")
