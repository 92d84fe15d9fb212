"""The store of a Hub where no Hub is asked: names of places, what a commit says, what is kept while it is staged."""

from __future__ import annotations

import base64
import hashlib
import json
import pickle
from pathlib import Path
from typing import Any

import httpx2
import pytest

from sealift.errors import RequestError
from sealift.ports import LISTING, Staged
from sealift.stores.hub import HubDestination, HubFiles, HubStage, Place
from sealift.stores.hub.answers import retry_after
from sealift.stores.hub.changes import BLOCK, Changes, deletions, is_there
from sealift.stores.hub.client import HubClient
from sealift.stores.hub.facts import FileFacts, TreeFacts
from sealift.stores.hub.spool import Spool

HUB = "http://127.0.0.1:1"


@pytest.mark.parametrize(
    ("text", "repo", "revision"),
    [
        ("org/name", "org/name", None),
        ("org/name@v1.0", "org/name", "v1.0"),
        ("org/name@refs/pr/3", "org/name", "refs/pr/3"),
        ("hf://datasets/Org_1/na.me-2", "Org_1/na.me-2", None),
        ("hf://datasets/org/name@refs%2Fpr%2F3", "org/name", "refs/pr/3"),
        ("hf://datasets/org/name@refs/pr/3", "org/name", "refs/pr/3"),
    ],
)
def test_a_place_is_read_as_people_write_it(text: str, repo: str, revision: str | None) -> None:
    """Both ways of writing a dataset's place give repository and revision, and its name can be given again."""
    place = Place.parse(text, HUB)
    assert (place.repo, place.revision, place.endpoint) == (repo, revision, HUB)
    assert Place.parse(place.name, HUB) == place
    assert place.branch == (revision or "main")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name", "org/name"),
        ("datasets/org/name", "write org/name"),
        ("org/name/data", "org/name"),
        ("https://huggingface.co/datasets/org/name", "perhaps org/name"),
        ("hf://org/name", "hf://datasets"),
        ("s3://bucket/name", "org/name"),
        ("org/na me", "A-Z"),
        ("org/.name", "no - or . at the ends"),
        ("org/na--me", "`--`"),
        ("org/" + "n" * 97, "96"),
        ("org/name.git", "org/name"),
        ("org/näme", "A-Z"),
        ("org/name@", "org/name@branch"),
        ("org/name@a..b", "org/name@branch"),
        ("org/name@a b", "org/name@branch"),
    ],
)
def test_a_name_that_the_hub_refuses_is_refused_before_the_work(text: str, told: str) -> None:
    """The error names what was written, and says what to write."""
    with pytest.raises(RequestError) as caught:
        Place.parse(text, HUB)
    assert text in caught.value.message
    assert told in caught.value.hint


@pytest.mark.parametrize(
    "endpoint", ["huggingface.co", "ftp://hub", "http://", "http://hub:x", "https://me:secret@hub"]
)
def test_an_endpoint_that_is_none_is_refused(endpoint: str) -> None:
    """What is no address of a Hub is said, without repeating what may hold a password."""
    with pytest.raises(RequestError, match="endpoint") as caught:
        Place.parse("org/name", endpoint)
    assert "secret" not in str(caught.value)


def test_the_endpoint_is_the_given_one_else_that_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The option counts before HF_ENDPOINT, and HF_ENDPOINT as it is now."""
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:2/")
    assert Place.parse("org/name").endpoint == "http://127.0.0.1:2"
    assert Place.parse("org/name", "http://127.0.0.1:3/").endpoint == "http://127.0.0.1:3"


def test_a_token_is_never_shown() -> None:
    """Neither the client nor what holds it shows the token, and both go to a worker with it."""
    place = Place.parse("org/name", HUB)
    client = HubClient(place, "hf_secret")
    stage = HubStage(client, xet=True, disk=0, folder=Path("x"))
    for one in (client, stage, HubFiles(client, None), HubDestination(place, "hf_secret")):
        assert "hf_secret" not in repr(one)
    assert pickle.loads(pickle.dumps(stage)) == stage
    assert pickle.loads(pickle.dumps(stage)).client.token == "hf_secret"


def test_folders_that_empty_are_deleted_whole() -> None:
    """20,000 files in folders go in as many operations as there are folders; where a file stays or comes, by file."""
    present = [f"data/{folder:02}/{file:05}.wav" for folder in range(20) for file in range(1_000)]
    present += ["README.md", "own/notes.txt", "own/old.csv"]
    old = present[:20_000]
    assert deletions(present, old, []) == ("data/",)
    assert deletions(present, old, ["data/train.parquet"]) == tuple(f"data/{folder:02}/" for folder in range(20))
    assert deletions(present, [*old[:-1], "own/old.csv"], ["README.md"]) == (
        *(f"data/{folder:02}/" for folder in range(19)),
        *old[19_000:-1],
        "own/old.csv",
    )


def test_what_is_not_there_or_comes_again_is_not_deleted() -> None:
    """The Hub refuses to delete what it does not have; what is replaced is not deleted."""
    present = ["a/b", "a/c", "d"]
    assert deletions(present, ["none", "a/none", "a/b"], []) == ("a/b",)
    assert deletions(present, ["a/b", "a/c"], ["a/b"]) == ("a/c",)
    assert deletions(present, ["a/b", "a/c"], ["a/x/y"]) == ("a/b", "a/c")
    # A file can take a folder's place, and a folder a file's.
    assert deletions(present, ["a/b", "a/c", "d"], ["a", "d/e"]) == ("a/", "d")


def test_a_commit_is_one_line_for_each_change() -> None:
    """The request is what the official client sends: a header with the parent, deletions, then the files."""
    files = {
        "README.md": Staged("README.md", 3, data="ä\n".encode()),
        "data/é.parquet": Staged("x", 9, sha256="0" * 64),
    }
    changes = Changes("p" * 40, "Publish", "words\n\nSealift-Job: j/1", ("old/", "b"), files, frozenset({"README.md"}))
    lines = [json.loads(line) for line in b"".join(changes.blocks()).splitlines()]
    assert lines == [
        {
            "key": "header",
            "value": {
                "summary": "Publish",
                "description": "words\n\nSealift-Job: j/1",
                "parentCommit": "p" * 40,
            },
        },
        {"key": "deletedFolder", "value": {"path": "old/"}},
        {"key": "deletedFile", "value": {"path": "b"}},
        {
            "key": "file",
            "value": {
                "path": "README.md",
                "content": base64.b64encode("ä\n".encode()).decode(),
                "encoding": "base64",
            },
        },
        {"key": "lfsFile", "value": {"path": "data/é.parquet", "algo": "sha256", "oid": "0" * 64, "size": 9}},
    ]


def test_a_large_commit_is_never_whole_in_memory() -> None:
    """30,000 files are a few megabytes that come in blocks, the same each time."""
    files = {
        f"data/{n:05}.parquet": Staged("x", n, sha256=hashlib.sha256(b"%d" % n).hexdigest()) for n in range(30_000)
    }
    changes = Changes("p" * 40, "Publish", "", (), files, frozenset())
    sizes = [len(block) for block in changes.blocks()]
    assert sum(sizes) < 6_000_000
    assert max(sizes) < BLOCK + 1_000
    assert hashlib.sha256(b"".join(changes.blocks())).digest() == hashlib.sha256(b"".join(changes.blocks())).digest()


def test_a_file_that_is_there_is_known_by_its_digest() -> None:
    """Large files are compared by SHA-256, small ones by git's id of their bytes; the size alone is not enough."""
    blob = "257cc5642cb1a054f08cc83f2d943e56fd3ebe99"  # git hash-object of "foo\n"
    foo = Staged("x", 4, hashlib.sha256(b"foo\n").hexdigest(), data=b"foo\n")
    assert is_there(foo, FileFacts(4, blob))
    assert not is_there(Staged("x", 4, "0" * 64, data=b"bar\n"), FileFacts(4, blob))
    assert not is_there(Staged("x", 4, foo.sha256), FileFacts(4, blob))
    assert is_there(foo, FileFacts(4, "0" * 40, sha256=foo.sha256))
    assert not is_there(foo, FileFacts(5, "0" * 40, sha256=foo.sha256))
    assert not is_there(foo, None)


def test_the_facts_of_a_tree_are_a_listing() -> None:
    """Folders are left out, files come in the order of their paths' bytes, with the digest as the version."""
    entries: list[dict[str, Any]] = [
        {"type": "file", "path": "é", "size": 1, "oid": "11" * 20},
        {"type": "directory", "path": "a", "size": 0, "oid": "22" * 20},
        {
            "type": "file",
            "path": "a/b.nii.gz",
            "size": 1 << 40,
            "oid": "33" * 20,
            "lfs": {"oid": "44" * 32},
            "xetHash": "55" * 32,
        },
        {"type": "file", "path": "a.b", "size": 3, "oid": "66" * 20, "lfs": {"oid": "77" * 32}},
    ]
    facts = TreeFacts(entries)
    assert list(facts) == ["a.b", "a/b.nii.gz", "é"]
    assert facts["é"] == FileFacts(1, "11" * 20)
    assert facts["a/b.nii.gz"] == FileFacts(1 << 40, "33" * 20, "44" * 32, "55" * 32)
    [batch] = facts.batches()
    assert batch.schema == LISTING
    assert batch.column("version").to_pylist() == ["77" * 32, "44" * 32, "11" * 20]
    assert batch.column("extension").to_pylist() == [".b", ".nii.gz", ""]


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [
        (429, {"RateLimit": '"api";r=0;t=54', "RateLimit-Policy": '"fixed window";"api";q=1000;w=300'}, 55),
        (429, {"RateLimit": '"api";r=12;t=54', "Retry-After": "7"}, 7),
        (429, {"RateLimit": '"api";r=12;t=54'}, None),
        (503, {"Retry-After": "0"}, 1),
        (503, {"Retry-After": "Fri, 21 Oct 2016 07:28:00 GMT"}, 1),
    ],
)
def test_the_hub_says_how_long_to_wait(status: int, headers: dict[str, str], seconds: float | None) -> None:
    """By its quota when that is used up, else by Retry-After; never no time at all."""
    assert retry_after(httpx2.Response(status, headers=headers)) == seconds


@pytest.mark.parametrize("pieces", [[b"abc", b"de", b"fghij"], [b"abcdefghij"], [b"", b"a", bytearray(b"bcdefghij")]])
@pytest.mark.parametrize(
    ("memory", "disk", "place"),
    [(10, 0, "memory"), (9, 10, "disk"), (0, 10, "disk"), (9, 9, "beyond"), (0, 0, "beyond"), (0, 4, "beyond")],
)
def test_what_is_staged_is_where_it_fits(
    tmp_path: Path, pieces: list[bytes], memory: int, disk: int, place: str
) -> None:
    """Ten bytes stay in memory if they fit there, else on disk if they fit there, else all of them go on."""
    gone: list[bytes] = []

    class Beyond:
        def write(self, data: bytes | bytearray | memoryview) -> None:
            gone.append(bytes(data))

    with Spool(tmp_path / "new", memory, disk, Beyond, hashed=True) as spool:
        for piece in pieces:
            spool.write(piece)
            kept = sum(file.stat().st_size for file in tmp_path.rglob("*") if file.is_file())
            assert kept <= disk
        assert (spool.held is not None, spool.file is not None) == (place == "memory", place == "disk")
        assert b"".join(gone) == (b"abcdefghij" if place == "beyond" else b"")
        for _ in range(2):
            assert b"".join(spool.pieces()) == (b"" if place == "beyond" else b"abcdefghij")
        assert (spool.size, spool.sha256) == (10, hashlib.sha256(b"abcdefghij").hexdigest())
        if place == "disk":
            assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []
