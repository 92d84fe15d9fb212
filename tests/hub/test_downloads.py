"""Files and whole revisions brought back from a Hub."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub.errors import HfHubHTTPError
from tests.hub.client import Client
from tests.hub.files import add, commit, requested
from tests.hubs import Hub

FILES = {
    "a.txt": b"some text\n",
    "b/c.bin": bytes(range(256)) * 1000,
    "b/d/e.csv": b"x,y\n1,2\n",
    "empty.txt": b"",
    "empty.bin": b"",
}


def test_what_one_client_brought_any_other_reads(clients: Mapping[str, Client], client: Client, repo: str) -> None:
    """Content that came by Xet is downloaded by plain HTTP, and content that came by LFS with Xet."""
    commit(client, repo, *add(FILES))
    for reader in clients.values():
        assert downloaded(reader, repo) == FILES


@pytest.mark.parametrize("kind", ["branch", "tag", "commit", "pull request"])
def test_a_file_of_any_revision(kind: str, client: Client, repo: str) -> None:
    """A branch, a tag, a commit's id and a pull request's ref each give the file as it is there."""
    old = commit(client, repo, *add({"a.txt": b"old", "b.bin": b"old" * 99}))
    if kind == "pull request":
        client.api.create_pull_request(repo, "Kept", repo_type="dataset")
        revision = "refs/pr/1"
    elif kind == "commit":
        revision = old.oid
    else:
        revision = "kept/v1"
        making = client.api.create_branch if kind == "branch" else client.api.create_tag
        making(repo, **{kind: revision}, repo_type="dataset")
    commit(client, repo, *add({"a.txt": b"new", "b.bin": b"new" * 99}))
    assert downloaded(client, repo, revision=revision) == {"a.txt": b"old", "b.bin": b"old" * 99}
    for path, data in (("a.txt", b"old"), ("b.bin", b"old" * 99)):
        place = client.api.hf_hub_download(repo, path, revision=revision, repo_type="dataset")
        assert Path(place).read_bytes() == data


def test_a_snapshot_takes_what_patterns_name(client: Client, repo: str) -> None:
    """`allow_patterns` and `ignore_patterns` choose files; the folder is named by the commit."""
    done = commit(client, repo, *add(FILES))
    place = client.api.snapshot_download(
        repo, repo_type="dataset", allow_patterns=["b/*", "a.txt"], ignore_patterns="*.csv"
    )
    assert Path(place).name == done.oid
    assert tree(Path(place)) == {path: FILES[path] for path in ("a.txt", "b/c.bin")}


def test_a_snapshot_goes_into_a_folder(client: Client, repo: str, tmp_path: Path) -> None:
    """With `local_dir` the files lie there under their own paths, and a second run follows the branch."""
    commit(client, repo, *add(FILES))
    for change in ({}, {"a.txt": b"changed", "b/c.bin": b"changed" * 50}):
        if change:
            commit(client, repo, *add(change))
        client.api.snapshot_download(repo, repo_type="dataset", local_dir=tmp_path)
        found = {path: data for path, data in tree(tmp_path).items() if not path.startswith((".cache", ".git"))}
        assert found == {**FILES, **change}


def test_a_file_that_is_cached_is_not_sent_again(client: Client, repo: str, local_hub: Hub) -> None:
    """A second download asks whether the file has changed, and fetches nothing; once it has, it does."""
    commit(client, repo, *add(FILES))
    place = client.api.hf_hub_download(repo, "b/c.bin", repo_type="dataset")
    before = local_hub.counts()["bytes_out"]
    assert client.api.hf_hub_download(repo, "b/c.bin", repo_type="dataset") == place
    assert local_hub.counts()["bytes_out"] - before < 10_000
    commit(client, repo, *add({"b/c.bin": b"another"}))
    assert Path(client.api.hf_hub_download(repo, "b/c.bin", repo_type="dataset")).read_bytes() == b"another"


def test_metadata_come_without_the_file(client: Client, repo: str) -> None:
    """`get_hf_file_metadata` tells commit, size and the ETag: git's id of an inline file, SHA-256 of an LFS one."""
    done = commit(client, repo, *add(FILES))
    for path, data in FILES.items():
        known = client.call(metadata, repo, path)
        assert (known["commit_hash"], known["size"]) == (done.oid, len(data))
        git = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
        assert known["etag"] == (hashlib.sha256(data).hexdigest() if path == "b/c.bin" else git)


@pytest.mark.parametrize("path", ["a.txt", "b/c.bin"])
def test_ranges_are_parts_of_the_file(path: str, client: Client, repo: str) -> None:
    """From the start, in the middle, to the end and the last bytes: 206 with just those; beyond the end it is 416."""
    data = FILES[path]
    size = len(data)
    commit(client, repo, *add(FILES))
    for header, start, end in (
        ("bytes=0-0", 0, 1),
        ("bytes=3-6", 3, 7),
        ("bytes=5-", 5, size),
        ("bytes=-4", size - 4, size),
        (f"bytes=2-{size + 100}", 2, size),
    ):
        status, headers, body = client.call(requested, repo, path, {"Range": header})
        assert (status, body) == (206, data[start:end]), header
        assert headers["content-range"] == f"bytes {start}-{end - 1}/{size}"
    status, _, body = client.call(requested, repo, path, {})
    assert (status, body) == (200, data)
    with pytest.raises(HfHubHTTPError) as refused:
        client.call(requested, repo, path, {"Range": f"bytes={size}-"})
    assert refused.value.response.status_code == 416


def downloaded(client: Client, repo: str, **revision: Any) -> dict[str, bytes]:
    """Every file of a snapshot but `.gitattributes`."""
    files = tree(Path(client.api.snapshot_download(repo, repo_type="dataset", **revision)))
    del files[".gitattributes"]
    return files


def tree(folder: Path) -> dict[str, bytes]:
    """The files under a folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def metadata(repo: str, path: str) -> dict[str, object]:
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    known = get_hf_file_metadata(hf_hub_url(repo, path, repo_type="dataset"))
    return {"commit_hash": known.commit_hash, "etag": known.etag, "size": known.size}
