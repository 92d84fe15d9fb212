"""Files and folders that `upload_file` and `upload_folder` bring to a Hub."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.hub.client import Client
from tests.hub.files import contents, upload, upload_folder

ODD = (
    "a b/c d.txt",
    "plus+and&=equals.txt",
    "percent%20and%.txt",
    "hash#and?question.txt",
    "ünïcödé/日本語/файл.txt",
    "e\u0301 is not \u00e9.txt",
    "[brackets]/{braces}.txt",
    "@at/~tilde/:colon;semicolon,comma.txt",
    "'quote'/!bang/$dollar.txt",
    ".hidden/.file",
    "UPPER/upper.TXT",
    "upper/UPPER.txt",
    "a" * 200 + ".txt",
    "deep/" * 20 + "x.bin",
)
"""Paths that git takes, and that a URL, a form or JSON could break."""


def test_content_comes_from_bytes_and_from_a_path(client: Client, repo: str, tmp_path: Path) -> None:
    """Both arrive byte for byte, as text or binary, and so does a file object."""
    text, binary = b"one line\n", bytes(range(256)) * 100
    (tmp_path / "x").write_bytes(binary)
    upload(client, repo, "text.txt", text)
    upload(client, repo, "binary.bin", tmp_path / "x")
    client.call(upload_opened, repo, "opened.bin", tmp_path / "x")
    assert contents(client, repo) == {"text.txt": text, "binary.bin": binary, "opened.bin": binary}


@pytest.mark.parametrize("path", ["empty.txt", "empty.bin"])
def test_an_empty_file_is_a_file(path: str, client: Client, repo: str) -> None:
    """It is listed with size 0 and read as nothing, whatever its extension says about LFS."""
    upload(client, repo, path, b"")
    [listed] = client.api.get_paths_info(repo, [path], repo_type="dataset")
    assert (listed.size, listed.lfs) == (0, None)
    assert contents(client, repo) == {path: b""}


def test_paths_may_hold_any_character(client: Client, repo: str) -> None:
    """Spaces, percent signs, other scripts: each file lies where it was put, and is found by every way to ask."""
    client.call(commit_each, repo, ODD)
    assert contents(client, repo) == {path: path.encode() for path in ODD}
    listed = client.api.list_repo_files(repo, repo_type="dataset")
    assert sorted(listed) == sorted([".gitattributes", *ODD])
    assert {one.path for one in client.api.get_paths_info(repo, list(ODD), repo_type="dataset")} == set(ODD)
    for path in ODD:
        assert Path(client.api.hf_hub_download(repo, path, repo_type="dataset")).read_bytes() == path.encode()
        folder = path.rpartition("/")[0]
        if folder:
            inside = client.api.list_repo_tree(repo, folder, repo_type="dataset")
            assert path in [one.path for one in inside]


def test_a_commit_says_what_it_is(client: Client, repo: str) -> None:
    """The answer holds the id of the commit, which is the new head, and its URL names the repository."""
    said = upload(client, repo, "a.txt", b"1", commit_message="Title", commit_description="More about it")
    head, first = client.api.list_repo_commits(repo, repo_type="dataset")
    assert said.oid == head.commit_id == client.api.repo_info(repo, repo_type="dataset").sha
    assert said.repo_url.repo_id == repo
    assert said.commit_url.endswith(f"/datasets/{repo}/commit/{said.oid}")
    assert (head.title, head.message) == ("Title", "More about it")
    assert first.commit_id != head.commit_id


@pytest.mark.parametrize("path", ["same.txt", "same.bin"])
def test_the_same_content_makes_no_commit(path: str, client: Client, repo: str) -> None:
    """Uploading what is already there leaves the branch where it is, for inline content as for LFS."""
    first = upload(client, repo, path, b"unchanged")
    again = upload(client, repo, path, b"unchanged")
    assert again.oid == first.oid
    assert upload(client, repo, path, b"changed").oid != first.oid
    assert contents(client, repo) == {path: b"changed"}


def test_what_goes_to_lfs_is_the_hubs_to_say(client: Client, repo: str, tmp_path: Path) -> None:
    """Media, Parquet, other binary content and all that is above 10 MB is LFS; a smaller text comes inline."""
    big, inline = tmp_path / "big.txt", tmp_path / "inline.csv"
    big.write_bytes(b"0123456789abcdef" * 700_000)
    inline.write_bytes(b"0123456,89abcde\n" * 560_000)
    for path in ("a.wav", "a.parquet", "a.bin", "a.tar"):
        upload(client, repo, path, b"RIFF")
    upload(client, repo, "big.txt", big)
    upload(client, repo, "unknown.dat", b"\0\1\2\3" * 50)
    upload(client, repo, "a.csv", inline)
    listed = client.api.list_repo_tree(repo, repo_type="dataset")
    kept = {file.path: file.lfs and (file.lfs.sha256, file.lfs.size) for file in listed}
    assert kept["a.csv"] is None
    assert client.files.cat_file(f"datasets/{repo}/a.csv") == inline.read_bytes()
    assert kept["a.wav"] == (hashlib.sha256(b"RIFF").hexdigest(), 4)
    assert kept["big.txt"] == (hashlib.sha256(big.read_bytes()).hexdigest(), big.stat().st_size)
    assert None not in [kept[path] for path in ("a.parquet", "a.bin", "a.tar", "unknown.dat")]
    if client.xet:
        assert None not in [file.xet_hash for file in listed if file.lfs]


@pytest.mark.long
def test_a_folder_of_three_thousand_files(client: Client, repo: str, tmp_path: Path) -> None:
    """Every file arrives, of any size, in any folder; a second run finds nothing to do and makes no commit."""
    files = many_files(tmp_path)
    upload_folder(client, repo, tmp_path)
    listed = client.api.list_repo_tree(repo, recursive=True, repo_type="dataset")
    sizes = {one.path: one.size for one in listed if hasattr(one, "size")}
    sizes.pop(".gitattributes")
    assert sizes == {path: len(data) for path, data in files.items()}
    place = Path(client.api.snapshot_download(repo, repo_type="dataset", allow_patterns=["*77.txt", "*77.bin"]))
    some = {path: data for path, data in files.items() if path.endswith(("77.txt", "77.bin"))}
    assert {path: (place / path).read_bytes() for path in some} == some

    before = client.api.list_repo_commits(repo, repo_type="dataset")
    again = upload_folder(client, repo, tmp_path)
    assert client.api.list_repo_commits(repo, repo_type="dataset") == before
    assert again.oid == before[0].commit_id


def test_a_folder_may_be_uploaded_in_part(client: Client, repo: str, tmp_path: Path) -> None:
    """Patterns choose what is taken along, what is left out and what is deleted there; the rest stays."""
    for path in ("a/keep.txt", "a/leave.log", "b/keep.txt"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(path)
    for path in ("into/old.txt", "into/old.csv", "elsewhere.txt"):
        upload(client, repo, path, b"old")
    upload_folder(
        client,
        repo,
        tmp_path,
        path_in_repo="into",
        allow_patterns="a/*",
        ignore_patterns="*.log",
        delete_patterns="*.txt",
    )
    assert contents(client, repo) == {
        "into/a/keep.txt": b"a/keep.txt",
        "into/old.csv": b"old",
        "elsewhere.txt": b"old",
    }


def test_a_gitignore_keeps_files_out(client: Client, repo: str, tmp_path: Path) -> None:
    """What the `.gitignore` in the same upload names is not committed."""
    for path, text in {".gitignore": "*.tmp\nbuild/\n", "a.txt": "", "a.tmp": "", "build/x.txt": ""}.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text or path)
    upload_folder(client, repo, tmp_path)
    assert set(contents(client, repo)) == {".gitignore", "a.txt"}


def test_a_folder_may_be_proposed(client: Client, repo: str, tmp_path: Path) -> None:
    """With `create_pr` all files of a folder are on one pull request, and none is on the branch."""
    for path in ("a.txt", "b.bin"):
        (tmp_path / path).write_bytes(path.encode() * 99)
    said = upload_folder(client, repo, tmp_path, create_pr=True)
    assert (said.pr_num, said.pr_revision) == (1, "refs/pr/1")
    assert contents(client, repo) == {}
    expected = {path: path.encode() * 99 for path in ("a.txt", "b.bin")}
    assert contents(client, repo, revision="refs/pr/1") == expected


def test_content_may_come_long_before_its_commit(client: Client, repo: str) -> None:
    """What `preupload_lfs_files` brought is seen by nobody, until one commit names all of it."""
    head = client.api.repo_info(repo, repo_type="dataset").sha
    seen = client.call(preupload_then_commit, repo, {f"{number}.bin": b"%d" % number * 9999 for number in range(3)})
    assert seen == [head]
    assert contents(client, repo) == {f"{number}.bin": b"%d" % number * 9999 for number in range(3)}
    assert len(client.api.list_repo_commits(repo, repo_type="dataset")) == 2


@pytest.mark.parametrize("kind", ["model", "space"])
def test_other_types_hold_files_too(kind: str, client: Client, name: Callable[[], str]) -> None:
    """Models and Spaces take and give files, under addresses of their own."""
    repo, root = name(), "" if kind == "model" else "spaces/"
    client.api.create_repo(repo, repo_type=kind, space_sdk="static" if kind == "space" else None)
    for path in ("a.txt", "b/c.bin"):
        client.api.upload_file(path_or_fileobj=path.encode() * 9, path_in_repo=path, repo_id=repo, repo_type=kind)
        assert Path(client.api.hf_hub_download(repo, path, repo_type=kind)).read_bytes() == path.encode() * 9
        assert client.files.cat_file(f"{root}{repo}/{path}") == path.encode() * 9
    assert {"a.txt", "b/c.bin"} <= set(client.api.list_repo_files(repo, repo_type=kind))
    client.api.delete_repo(repo, repo_type=kind)


def upload_opened(repo: str, path: str, file: Path) -> None:
    import huggingface_hub

    with file.open("rb") as opened:
        huggingface_hub.upload_file(path_or_fileobj=opened, path_in_repo=path, repo_id=repo, repo_type="dataset")


def preupload_then_commit(repo: str, files: dict[str, bytes]) -> list[str]:
    """The ids of the commits that there were while content came, each once."""
    import huggingface_hub

    adds = [huggingface_hub.CommitOperationAdd(path, data) for path, data in files.items()]
    seen = []
    for addition in adds:
        huggingface_hub.preupload_lfs_files(repo, [addition], repo_type="dataset")
        seen.append(str(huggingface_hub.repo_info(repo, repo_type="dataset").sha))
    huggingface_hub.create_commit(repo, adds, commit_message="All", repo_type="dataset")
    return sorted(set(seen))


def commit_each(repo: str, paths: tuple[str, ...]) -> None:
    """One commit with a file at each path; the path is its content."""
    import huggingface_hub

    adds = [huggingface_hub.CommitOperationAdd(path, path.encode()) for path in paths]
    huggingface_hub.create_commit(repo, adds, commit_message="Odd", repo_type="dataset")


def many_files(folder: Path) -> dict[str, bytes]:
    """3,000 files in 30 folders, some of them empty, most of them small, a few of some hundred kB, a tenth binary."""
    chance = random.Random(3)
    files = {}
    for number in range(3000):
        kind = "bin" if number % 10 == 7 else "txt"
        size = chance.choice((0, 10, 100, 1000)) if number % 500 else 300_000
        files[f"folder-{number % 30:02}/sub/{number:05}.{kind}"] = (
            chance.randbytes(size) if kind == "bin" else b"x" * size
        )
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return files
