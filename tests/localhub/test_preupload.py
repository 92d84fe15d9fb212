"""Before an upload: what goes apart, what is ignored, what is there; patterns are those of git."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.localhub.wire import Dataset, large, refused, sha256, small

from sealift.localhub.lfs_patterns import GITATTRIBUTES
from sealift.localhub.paths import Patterns

PATHS = [
    "a.bin", "d/a.bin", "a.parquet.txt", "saved_model/x", "saved_model/a/b", "a/saved_model/x", "x.tar.gz", "a.tar",
    "events.tfevents.1", "log/tfevents", "README.md", "a.wav", "a.WAV", "d/e/f.mp4", "build", "build/x", "d/build/x",
    "keep.log", "d/x.log", "d/keep.log", "doc/a.txt", "doc/b/c.txt", "ünï.log", "a b.txt", "x[1].txt", "x1.txt", "#h",
    "q1", "q12", "a/b/deep/c/d", "a/deep/d", "tmp", "d/tmp", "tmp/in",
]  # fmt: skip
IGNORED = "*.log\n!keep.log\nbuild/\n/doc/*.txt\n\\#h\nq?\n# comment\na/**/d\nx[12].txt\n/tmp\n"


def git(folder: Path, *words: str, paths: list[str]) -> list[str]:
    known = {"HOME": str(folder), "PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1"}
    given = "\0".join(paths) + "\0"
    done = subprocess.run(["git", *words], cwd=folder, input=given, env=known, capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stderr
    return done.stdout.split("\0")[:-1]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    if shutil.which("git") is None:
        pytest.skip("compares with git")
    git(tmp_path, "init", "--quiet", paths=[])
    return tmp_path


OWN = "*.txt filter=lfs\ndoc/*.txt -filter\n*.bin !filter\n[ab]*/x filter=lfs\n**/deep/** filter=lfs -text\n"


@pytest.mark.parametrize("text", [GITATTRIBUTES["dataset"], GITATTRIBUTES["model"], OWN])
def test_attributes_are_those_of_git(repository: Path, text: str) -> None:
    """What git would give to LFS goes to LFS: of what a new repository has, and of what people write."""
    (repository / ".gitattributes").write_text(text)
    said = git(repository, "check-attr", "-z", "--stdin", "filter", paths=PATHS)
    wanted = {path: value == "lfs" for path, value in zip(said[::3], said[2::3], strict=True)}
    assert {path: Patterns(text).is_lfs(path) for path in PATHS} == wanted


def test_ignored_is_what_git_ignores(repository: Path) -> None:
    """Anchored and free patterns, folders, exceptions, and that nothing comes back out of an ignored folder."""
    (repository / ".gitignore").write_text(IGNORED)
    ignored = set(git(repository, "check-ignore", "-z", "--stdin", "--no-index", paths=PATHS))
    assert {path for path in PATHS if Patterns(IGNORED).is_ignored(path)} == ignored


def asked(
    dataset: Dataset, path: str, data: bytes = b"text", size: int | None = None, **more: object
) -> dict[str, Any]:
    sample = base64.b64encode(data[:512]).decode()
    one = {"path": path, "sample": sample, "size": len(data) if size is None else size}
    answer = dataset.wire("POST", f"{dataset.api}/preupload/main", {"files": [one], **more})
    assert answer.status == 200, answer.body
    [found] = answer.json()["files"]
    return dict(found)


def test_large_binary_and_listed_files_go_apart(dataset: Dataset) -> None:
    """By pattern, by size, by their first bytes; a text may be cut in the middle of a character."""
    assert asked(dataset, "a.txt")["uploadMode"] == "regular"
    assert asked(dataset, "a.wav")["uploadMode"] == "lfs"
    assert asked(dataset, "a.txt", size=10 * 1024 * 1024)["uploadMode"] == "regular"
    assert asked(dataset, "a.txt", size=10 * 1024 * 1024 + 1)["uploadMode"] == "lfs"
    assert asked(dataset, "a.unknown", b"MThd\0\0\0\6")["uploadMode"] == "lfs"
    assert asked(dataset, "a.unknown", b"%PDF-1.4\n%\xe2\xe3\xcf\xd3")["uploadMode"] == "lfs"
    assert asked(dataset, "a.unknown", "ü".encode() * 300 + b"x")["uploadMode"] == "regular"
    assert asked(dataset, "a.unknown", b"x" + "ü".encode() * 300)["uploadMode"] == "regular"


def test_patterns_are_those_of_the_revision(dataset: Dataset) -> None:
    """A committed `.gitattributes` or `.gitignore` is in force; the caller's `gitIgnore` replaces the latter."""
    dataset.put({".gitattributes": b"*.txt filter=lfs\n", ".gitignore": b"*.tmp\n"})
    assert asked(dataset, "a.txt")["uploadMode"] == "lfs"
    assert asked(dataset, "a.wav")["uploadMode"] == "regular"
    assert asked(dataset, "a.tmp")["shouldIgnore"] is True
    assert asked(dataset, "a.tmp", gitIgnore="*.other")["shouldIgnore"] is False


def test_what_is_there_is_named(dataset: Dataset) -> None:
    """By its SHA-256 if it is large, by git's id if it is small; a folder is no file."""
    dataset.commit(small("s", b"small"), large("l.bin", dataset.send(b"large")), small("d/e", b"1"))
    assert asked(dataset, "s")["oid"] == "64c3ecd7abb014643a372e0155b41cfca014c01f"
    assert asked(dataset, "l.bin")["oid"] == sha256(b"large")
    assert "oid" not in asked(dataset, "d")
    assert "oid" not in asked(dataset, "none")


@pytest.mark.parametrize(
    "one",
    [{"path": "a"}, {"path": "a", "size": -1}, {"path": "a", "size": 1, "sample": "%"}, {"path": "../a", "size": 1}],
)
def test_what_describes_no_file_is_refused(dataset: Dataset, one: object) -> None:
    """400 with the path."""
    answer = dataset.wire("POST", f"{dataset.api}/preupload/main", {"files": [one]})
    assert answer.status == 400
    assert "a" in answer.error


def test_a_thousand_files_are_answered(dataset: Dataset) -> None:
    """More are refused as too large."""
    files = [{"path": f"{number}", "size": 0, "sample": ""} for number in range(1001)]
    refused(dataset.wire("POST", f"{dataset.api}/preupload/main", {"files": files}), 413, "At most 1000 files")
    answer = dataset.wire("POST", f"{dataset.api}/preupload/main", {"files": files[:1000]})
    assert [one["path"] for one in answer.json()["files"]] == [one["path"] for one in files[:1000]]
