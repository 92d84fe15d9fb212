"""Commits: what git would make of them, what is refused, and that one of two at the same time wins."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.localhub.wire import Dataset, Wire, gone, large, refused, sha256, small


def git(folder: Path, *words: str, given: str | None = None) -> str:
    """What git says in that folder, with no configuration of anybody."""
    known = {"HOME": str(folder), "PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(["git", *words], cwd=folder, input=given, env=known, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.skipif(shutil.which("git") is None, reason="compares with git")
def test_ids_are_those_of_git(dataset: Dataset, tmp_path: Path) -> None:
    """Blobs, pointers, trees and commits have the ids that git gives them, also where names sort unusually."""
    content = bytes(range(256)) * 9
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256(content)}\nsize {len(content)}\n"
    files = {"a.txt": b"1", "a/b": b"2", "a-b/c": b"3", "ab": b"", "a/z/ü.txt": b"4", "0": b"5"}
    dataset.send(content)
    parent, attributes = dataset.head, dataset.get(".gitattributes").body
    lines = [*(small(path, data) for path, data in files.items()), large("l/x.bin", sha256(content), len(content))]
    made = dataset.commit(*lines, description="more\nof it").json()["commitOid"]

    git(tmp_path, "init", "--quiet")
    for path, data in {**files, ".gitattributes": attributes, "l/x.bin": pointer.encode()}.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(data)
    git(tmp_path, "-c", "filter.lfs.clean=cat", "add", "--all")
    tree = git(tmp_path, "write-tree")
    listed = dataset.wire("GET", f"{dataset.api}/tree/main?recursive=true").json()
    assert len(listed) == 12
    assert {one["path"]: one["oid"] for one in listed} == {
        one["path"]: git(tmp_path, "rev-parse", f"{tree}:{one['path']}") for one in listed
    }

    newest, first = dataset.wire("GET", f"{dataset.api}/commits/main").json()
    assert (newest["id"], newest["title"], newest["message"]) == (made, "a commit", "more\nof it")
    assert first["id"] == parent
    seconds = int(datetime.strptime(newest["date"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC).timestamp())
    who = f"local <local@localhost> {seconds} +0000"
    text = f"tree {tree}\nparent {parent}\nauthor {who}\ncommitter {who}\n\na commit\n\nmore\nof it"
    assert git(tmp_path, "hash-object", "-t", "commit", "--stdin", "--literally", given=text) == made


def test_operations_follow_each_other(dataset: Dataset) -> None:
    """What a line does, the next one finds: a folder may give way to a file in one commit, and back."""
    dataset.put({"a/b/c": b"1", "a/d": b"2", "e": b"3"})
    assert dataset.commit(gone("a/", folder=True), small("a", b"file"), gone("e"), small("e/f", b"4")).status == 200
    assert dataset.paths() == ["e/f", ".gitattributes", "a"]
    assert dataset.commit(gone("a"), small("a/b", b"5"), gone("e/f")).status == 200
    assert dataset.paths() == ["a/b", ".gitattributes"]


def test_folders_that_become_empty_are_gone(dataset: Dataset) -> None:
    """Git has no empty folders: deleting the last file of one deletes it, up to the root."""
    dataset.put({"a/b/c/d": b"1"})
    assert dataset.commit(gone("a/b/c/d"), gone(".gitattributes")).status == 200
    assert dataset.wire("GET", f"{dataset.api}/tree/main").json() == []
    refused(dataset.wire("GET", f"{dataset.api}/tree/main/a"), 404, "Entry not found: a", "EntryNotFound")


def test_copies_are_of_the_revision_that_is_named(dataset: Dataset) -> None:
    """A copy is of the head, or of the revision that it names; the copied file must be there."""
    old = dataset.put({"a": b"old"})
    dataset.put({"a": b"new"})
    one = {"key": "copyFile", "value": {"path": "b", "srcPath": "a"}}
    other = {"key": "copyFile", "value": {"path": "c", "srcPath": "a", "srcRevision": old}}
    assert dataset.commit(one, other).status == 200
    assert [dataset.get(path).body for path in "abc"] == [b"new", b"new", b"old"]
    missing = {"key": "copyFile", "value": {"path": "d", "srcPath": "nowhere"}}
    refused(dataset.commit(missing), 404, "Entry not found: nowhere", "EntryNotFound")


def test_a_commit_that_changes_nothing_is_made(dataset: Dataset) -> None:
    """As on the Hub: it is the client that looks before. The tree is the same one."""
    dataset.put({"a": b"1"})
    before = dataset.head
    made = dataset.put({"a": b"1"})
    assert made != before
    assert dataset.head == made
    assert dataset.wire("GET", f"{dataset.api}/commits/main").json()[1]["id"] == before


def test_a_stale_parent_is_refused(dataset: Dataset) -> None:
    """The parent must be the head, or the start of its id; nothing changes otherwise."""
    first = dataset.head
    second = dataset.put({"a": b"1"})
    refused(dataset.commit(small("a", b"2"), parentCommit=first), 412, "A commit has happened since")
    refused(dataset.commit(small("a", b"2"), parentCommit=second[:6]), 412, "A commit has happened since")
    assert dataset.head == second
    assert dataset.commit(small("a", b"3"), parentCommit=second[:7]).status == 200


def test_one_of_two_commits_with_one_parent_wins(dataset: Dataset) -> None:
    """Of commits that are sent at the same time with the same parent exactly one is made; the others are refused."""
    for turn in range(10):
        head = dataset.head

        def send(number: int, turn: int = turn, head: str = head) -> int:
            return dataset.commit(small(f"{turn}-{number}", b"x"), parentCommit=head).status

        with ThreadPoolExecutor(4) as pool:
            assert sorted(pool.map(send, range(4))) == [200, 412, 412, 412]
    assert len(dataset.paths()) == 10 + 1


def test_commits_without_a_parent_follow_each_other(dataset: Dataset) -> None:
    """Commits that are sent at the same time and name no parent are all made, one after the other."""
    with ThreadPoolExecutor(8) as pool:
        assert {*pool.map(lambda number: dataset.commit(small(f"{number}", b"x")).status, range(40))} == {200}
    assert len(dataset.paths()) == 40 + 1
    assert len(dataset.wire("GET", f"{dataset.api}/commits/main?limit=100").json()) == 40 + 1


def test_unknown_content_is_refused(dataset: Dataset) -> None:
    """A large file is taken if its content is here; the message names the file and the hash. Nothing is changed."""
    head = dataset.head
    refused(dataset.commit(small("ok", b"1"), large("a/x.bin", "0" * 64, 5)), 400, "0" * 64)
    assert "a/x.bin" in dataset.commit(large("a/x.bin", "0" * 64, 5)).error
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'1' * 64}\nsize 5\n"
    refused(dataset.commit(small("y.bin", pointer.encode())), 400, "1" * 64)
    assert dataset.head == head


def test_a_pointer_is_the_file_that_it_points_to(dataset: Dataset) -> None:
    """A small file that is a pointer stands for its content: git cannot tell them apart."""
    oid = dataset.send(b"content")
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize 7\n"
    dataset.put({"x": pointer.encode()})
    assert dataset.get("x").body == b"content"
    assert dataset.wire("GET", f"/datasets/{dataset.name}/raw/main/x").body == pointer.encode()


def test_a_size_that_disagrees_is_refused(dataset: Dataset) -> None:
    """The size of a large file is that of its content; it may be left out."""
    oid = dataset.send(b"seven b")
    refused(dataset.commit(large("x", oid, 8)), 400, "has 7 bytes, not 8")
    assert dataset.commit(large("x", oid)).status == 200
    assert dataset.get("x").headers["X-Linked-Size"] == "7"


PATHS = [
    "",
    "/a",
    "a/",
    "a//b",
    ".",
    "..",
    "a/../b",
    "../a",
    "a/./b",
    ".git/config",
    "a/.GIT/x",
    "a\0b",
    "a\nb",
    "x" * 256,
]


@pytest.mark.parametrize("path", [*PATHS, "\ud800", None, 5])
def test_paths_that_no_repository_holds_are_refused(dataset: Dataset, path: object) -> None:
    """Empty, absolute, leading out, git's own, with control characters or too long: 400, wherever the path stands."""
    for key, more in (("file", {"content": ""}), ("lfsFile", {"oid": "0" * 64}), ("copyFile", {"srcPath": "a"})):
        answer = dataset.commit({"key": key, "value": {"path": path, **more}})
        assert answer.status == 400, answer.body
        assert "Invalid path" in answer.error


def test_a_name_is_a_file_or_a_folder(dataset: Dataset) -> None:
    """A file cannot lie in a file, and a folder cannot be overwritten by a file."""
    dataset.put({"a": b"1", "b/c": b"2"})
    refused(dataset.commit(small("a/x", b"3")), 400, "cannot be a file and a folder")
    refused(dataset.commit(small("b", b"3")), 400, "cannot be a file and a folder")
    refused(dataset.commit(small("n", b"3"), small("n/m/o", b"4")), 400, "cannot be a file and a folder")


def test_deleting_what_is_not_there_is_refused(dataset: Dataset) -> None:
    """With the words that clients look for; a folder is deleted as a file, too, a file not as a folder."""
    dataset.put({"a/b": b"1", "c": b"2"})
    refused(dataset.commit(gone("x")), 404, "A file with this name doesn't exist", "EntryNotFound")
    refused(dataset.commit(gone("a/b/c")), 404, "A file with this name doesn't exist", "EntryNotFound")
    refused(dataset.commit(gone("x/", folder=True)), 404, "A folder with this name doesn't exist", "EntryNotFound")
    refused(dataset.commit(gone("c", folder=True)), 404, "A folder with this name doesn't exist", "EntryNotFound")
    assert dataset.commit(gone("a")).status == 200
    assert dataset.paths() == [".gitattributes", "c"]


def test_a_folder_has_a_limit(dataset: Dataset) -> None:
    """50 entries here, files and folders: one more is refused in the Hub's words with the folder's name."""
    dataset.put({**{f"a/b/{number}": b"" for number in range(49)}, "a/b/folder/x": b""})
    refused(dataset.commit(small("a/b/more", b"")), 400, "too many files per directory")
    assert "Offending directories: /a/b/" in dataset.commit(small("a/b/more", b"")).error
    assert dataset.commit(small("a/b/folder/y", b""), small("a/c", b"")).status == 200
    assert dataset.commit(gone("a/b/0"), small("a/b/more", b"")).status == 200


def test_a_commit_has_a_limit_of_operations(dataset: Dataset) -> None:
    """200 operations here: more are refused as too large, and nothing is changed."""
    head = dataset.head
    lines = [small(f"{number % 20}/{number}", b"x") for number in range(201)]
    refused(dataset.commit(*lines), 413, "more than 200 operations")
    assert dataset.head == head
    assert dataset.commit(*lines[:200]).status == 200


def test_a_commit_has_a_limit_of_bytes(dataset: Dataset) -> None:
    """20 MB here, and 10 MiB for a file in it; the connection is in order afterwards."""
    head, noise = dataset.head, random.Random(1).randbytes(8_000_000)
    refused(dataset.commit(small("a", noise), small("b", noise)), 413, "more than 20000000 bytes")
    refused(dataset.commit(small("a", bytes(10 * 1024 * 1024 + 1))), 400, "larger than 10485760 bytes")
    refused(dataset.commit(small("a", bytes(11_000_000))), 413, "Line 2")
    assert dataset.head == head
    assert dataset.commit(small("a", noise)).status == 200
    assert dataset.get("a").body == noise


HEADER = b'{"key": "header", "value": {"summary": "x"}}\n'
BODIES = [
    b"",
    b"{}",
    b"[1]",
    b"not json",
    b'{"key": "header", "value": {"summary": ""}}',
    b'{"key": "file", "value": {"path": "a", "content": ""}}',
    HEADER + b'{"key": "what", "value": {}}',
    HEADER + b'{"key": "file", "value": 1}',
    HEADER + b'{"key": "file", "value": {"path": "a"}}',
    HEADER + b'{"key": "file", "value": {"path": "a", "content": "%", "encoding": "base64"}}',
    HEADER + b'{"key": "lfsFile", "value": {"path": "a", "oid": "XYZ"}}',
    HEADER + b'{"key": "lfsFile", "value": {"path": "a", "oid": "XYZ", "size": "5"}}',
]


@pytest.mark.parametrize("body", BODIES)
def test_what_is_no_commit_is_refused(dataset: Dataset, body: bytes) -> None:
    """Lines that cannot be read, or no header with a summary: 400."""
    answer = dataset.wire("POST", f"{dataset.api}/commit/main", body=body)
    assert answer.status == 400, answer.body
    assert answer.error


def test_a_card_that_contradicts_itself_is_refused(dataset: Dataset) -> None:
    """A README.md is checked as `validate-yaml` does; one elsewhere is any file."""
    card = b"---\nlicense: my-own\n---\nText"
    refused(dataset.commit(small("README.md", card)), 400, "Invalid metadata in README.md.")
    assert '"license" must be one of' in dataset.commit(small("README.md", card)).error
    assert dataset.commit(small("docs/README.md", card)).status == 200


def test_commits_go_to_branches_and_open_pull_requests(dataset: Dataset) -> None:
    """A tag, a commit id, and a branch that is not there are no place to commit to."""
    head = dataset.head
    assert dataset.wire("POST", f"{dataset.api}/tag/main", {"tag": "v1"}).status == 200
    for place in ("v1", head, "nowhere", "refs%2Fpr%2F1", "refs%2Ftags%2Fv1"):
        refused(dataset.commit(small("a", b"1"), to=place), 404, "Invalid rev id", "RevisionNotFound")


def test_small_files_are_kept_once(wire: Wire, dataset: Dataset) -> None:
    """Content that is on disk already is counted as received, and not as new."""
    before = wire("GET", "/-/counts").json()["stored"]
    data = random.Random(2).randbytes(1000)
    dataset.put({"a": data})
    wire.create().put({"b": data, "c": data})
    after = wire("GET", "/-/counts").json()["stored"]
    assert after["received"] - before["received"] == 3000
    assert after["new"] - before["new"] == 1000


def test_a_commit_says_where_it_is(dataset: Dataset) -> None:
    """The answer has the address of the commit on the host that was asked, be it localhost or 127.0.0.1."""
    port = dataset.wire.place[1]
    body = "\n".join(map(json.dumps, [{"key": "header", "value": {"summary": "x"}}, small("a", b"1")])).encode()
    for host in (f"localhost:{port}", f"127.0.0.1:{port}"):
        answer = dataset.wire("POST", f"{dataset.api}/commit/main", body=body, headers={"Host": host}).json()
        assert answer["commitUrl"] == f"http://{host}/datasets/{dataset.name}/commit/{answer['commitOid']}"
