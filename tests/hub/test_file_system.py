"""The Hub as a file system, as pandas, DuckDB and the rest of fsspec's users see it."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from tests.hub.client import Client
from tests.hub.files import add, commit, contents

MEDIA = random.Random(1).randbytes(300_000)
FILES = {"a.txt": b"text", "data/b.bin": MEDIA, "data/c.txt": b"cc", "data/deep/d.bin": MEDIA[:999]}


@pytest.fixture
def root(client: Client, repo: str) -> str:
    """The path of a repository that holds the files."""
    commit(client, repo, *add(FILES))
    return f"datasets/{repo}"


def test_folders_are_listed(client: Client, root: str) -> None:
    """`ls` has files and folders with type and size, `find` all files below, `walk` and `du` agree."""
    listed = {one["name"]: (one["type"], one["size"]) for one in client.files.ls(f"{root}/data", detail=True)}
    assert listed == {
        f"{root}/data/b.bin": ("file", len(MEDIA)),
        f"{root}/data/c.txt": ("file", 2),
        f"{root}/data/deep": ("directory", 0),
    }
    found = client.files.find(root)
    assert sorted(found) == sorted(f"{root}/{path}" for path in (".gitattributes", *FILES))
    assert client.files.du(f"{root}/data") == len(MEDIA) + 2 + 999
    assert [folder for folder, _, _ in client.files.walk(root)] == [root, f"{root}/data", f"{root}/data/deep"]


def test_patterns_find_paths(client: Client, root: str) -> None:
    """`glob` matches within a folder and, with two stars, below it."""
    assert client.files.glob(f"{root}/data/*.bin") == [f"{root}/data/b.bin"]
    assert sorted(client.files.glob(f"{root}/**/*.bin")) == [f"{root}/data/b.bin", f"{root}/data/deep/d.bin"]
    assert client.files.glob(f"{root}/no*") == []


def test_paths_are_told_apart(client: Client, root: str) -> None:
    """What is a file, a folder and nothing."""
    for path, file, folder in (("a.txt", True, False), ("data", False, True), ("no", False, False)):
        assert client.files.isfile(f"{root}/{path}") is file
        assert client.files.isdir(f"{root}/{path}") is folder
        assert client.files.exists(f"{root}/{path}") is (file or folder)
    with pytest.raises(FileNotFoundError):
        client.files.info(f"{root}/no")
    assert not client.files.exists("datasets/nobody/nothing")


def test_info_names_what_the_content_is(client: Client, root: str, repo: str) -> None:
    """A file's info has the size, its ids, and the commit that changed it last."""
    info = client.files.info(f"{root}/data/b.bin", expand_info=True)
    [listed] = client.api.get_paths_info(repo, ["data/b.bin"], repo_type="dataset")
    assert (info["size"], info["lfs"]["sha256"]) == (len(MEDIA), listed.lfs.sha256)
    assert info["last_commit"].oid == client.api.repo_info(repo, repo_type="dataset").sha


@pytest.mark.parametrize("block_size", [None, 50_000, 0])
def test_a_file_is_read_in_parts(block_size: int | None, client: Client, root: str) -> None:
    """Seeking about gives the bytes of each place, with read-ahead of any size; a stream gives them in order."""
    spans = [(0, 10), (299_990, 20), (150_000, 60_000), (150_000, 1), (5, 0)]
    if block_size == 0:
        spans = [(0, 10), (10, 150_000), (150_010, 200_000)]
    read = client.call(read_spans, f"{root}/data/b.bin", spans, block_size)
    assert read == [MEDIA[start : start + length] for start, length in spans]
    assert client.files.cat_file(f"{root}/data/b.bin", start=1000, end=2000) == MEDIA[1000:2000]


def test_files_are_written_copied_and_removed(client: Client, root: str, repo: str) -> None:
    """Each is a commit: a written file, a copy of an LFS and of an inline file, a removed file and folder."""
    client.call(write, f"{root}/new/w.bin", MEDIA[:5000])
    client.call(write, f"{root}/new/w.txt", b"written")
    client.files.cp_file(f"{root}/data/b.bin", f"{root}/copies/b.bin")
    client.files.cp_file(f"{root}/a.txt", f"{root}/copies/a.txt")
    client.files.rm(f"{root}/data/c.txt")
    client.files.rm(f"{root}/data/deep", recursive=True)
    assert contents(client, repo) == {
        "a.txt": b"text",
        "data/b.bin": MEDIA,
        "copies/a.txt": b"text",
        "copies/b.bin": MEDIA,
        "new/w.bin": MEDIA[:5000],
        "new/w.txt": b"written",
    }
    assert len(client.api.list_repo_commits(repo, repo_type="dataset")) == 8


def test_a_revision_is_part_of_the_path(client: Client, root: str, repo: str) -> None:
    """`@` names a branch, a commit or a pull request's ref, to read and to write."""
    old = client.api.repo_info(repo, repo_type="dataset").sha
    client.api.create_branch(repo, branch="side/way", repo_type="dataset")
    client.api.create_pull_request(repo, "Proposal", repo_type="dataset")
    for revision in ("side%2Fway", "refs%2Fpr%2F1", "refs/pr/1"):
        client.call(write, f"{root}@{revision}/a.txt", revision.encode())
        assert client.files.cat_file(f"{root}@{revision}/a.txt") == revision.encode()
    assert client.files.cat_file(f"{root}@{old}/a.txt") == b"text"
    assert client.files.cat_file(f"{root}/a.txt") == b"text"


def test_files_are_fetched_to_disk(client: Client, root: str, tmp_path: Path) -> None:
    """`get` brings a folder here."""
    client.files.get(f"{root}/data", str(tmp_path / "here"), recursive=True)
    assert (tmp_path / "here" / "b.bin").read_bytes() == MEDIA
    assert (tmp_path / "here" / "deep" / "d.bin").read_bytes() == MEDIA[:999]


def read_spans(path: str, spans: list[tuple[int, int]], block_size: int | None) -> list[bytes]:
    from huggingface_hub import hffs

    more: dict[str, Any] = {} if block_size is None else {"block_size": block_size}
    with hffs.open(path, "rb", **more) as file:
        read = []
        for start, length in spans:
            if block_size != 0:
                file.seek(start)
            read.append(file.read(length))
        return read


def write(path: str, data: bytes) -> None:
    from huggingface_hub import hffs

    with hffs.open(path, "wb") as file:
        file.write(data)
