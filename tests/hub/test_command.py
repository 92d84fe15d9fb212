"""The `hf` command, run as a user runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.hub.client import Client
from tests.hub.files import add, commit, contents
from tests.hubs import CALL_SECONDS

HF = Path(sys.executable).with_name("hf")


def test_folders_and_files_go_up_and_down(client: Client, name: Callable[[], str], tmp_path: Path) -> None:
    """`hf upload` creates the repository and brings a folder or a file; `hf download` fetches all, some or one."""
    repo, here, there = name(), tmp_path / "here", tmp_path / "there"
    files = {"a.txt": b"text", "data/b.bin": bytes(range(256)) * 99, "data/ü.csv": b"x\n"}
    for path, data in files.items():
        (here / path).parent.mkdir(parents=True, exist_ok=True)
        (here / path).write_bytes(data)
    said = hf(client, "upload", repo, here, "--repo-type", "dataset", "--private", "--commit-message", "By hand")
    assert f"/datasets/{repo}/" in said["url"]
    hf(client, "upload", repo, here / "a.txt", "copy/a.txt", "--repo-type", "dataset")
    assert contents(client, repo) == {**files, "copy/a.txt": b"text"}
    assert client.api.repo_info(repo, repo_type="dataset").private
    assert client.api.list_repo_commits(repo, repo_type="dataset")[1].title.startswith("By hand")

    hf(client, "download", f"hf://datasets/{repo}", "--local-dir", there)
    assert {path: (there / path).read_bytes() for path in files} == files
    [only] = hf(client, "download", repo, "data/b.bin", "--repo-type", "dataset").values()
    assert Path(only).read_bytes() == files["data/b.bin"]
    place = hf(client, "download", repo, "--include", "data/*", "--repo-type", "dataset")["path"]
    assert {path.name for path in Path(place).rglob("*") if path.is_file()} == {"b.bin", "ü.csv"}


def test_repositories_are_managed(default: Client, name: Callable[[], str]) -> None:
    """`hf repos` creates, hides, branches, tags, empties and deletes; what was said first still holds after."""
    repo, kind = name(), ("--repo-type", "dataset")
    assert hf(default, "repos", "create", repo, *kind)["repo_id"] == repo
    assert refused(default, "repos", "create", repo, *kind)
    hf(default, "repos", "create", repo, *kind, "--exist-ok")
    commit(default, repo, *add({"a.txt": b"1", "b/c.csv": b"2", "b/d.csv": b"3"}))
    hf(default, "repos", "settings", repo, *kind, "--private")
    hf(default, "repos", "branch", "create", repo, "side", *kind)
    hf(default, "repos", "tag", "create", repo, "v1", "-m", "First", *kind)
    assert [one["name"] for one in hf(default, "repos", "tag", "list", repo, *kind)] == ["v1"]
    assert "already exists" in refused(default, "repos", "tag", "create", repo, "v1", *kind)
    hf(default, "repos", "delete-files", repo, "b/", *kind)
    assert set(contents(default, repo)) == {"a.txt"}
    assert set(contents(default, repo, revision="side")) == {"a.txt", "b/c.csv", "b/d.csv"}
    assert default.api.repo_info(repo, repo_type="dataset").private
    hf(default, "repos", "branch", "delete", repo, "side", *kind)
    hf(default, "repos", "tag", "delete", repo, "v1", "--yes", *kind)
    assert [one.name for one in default.api.list_repo_refs(repo, repo_type="dataset").branches] == ["main"]
    hf(default, "repos", "delete", repo, "--yes", *kind)
    assert not default.api.repo_exists(repo, repo_type="dataset")


def test_repositories_are_shown(default: Client, repo: str) -> None:
    """`hf auth whoami`, `hf repos list`, `hf datasets info`, `hf datasets list` and `hf datasets card`."""
    card = "---\nlicense: mit\n---\n# Shown\n"
    done = commit(default, repo, *add({"README.md": card.encode(), "data/x.bin": bytes(500)}))
    assert hf(default, "auth", "whoami")["user"] == default.api.whoami()["name"]
    mine = {one["id"]: one for one in hf(default, "repos", "list", "--type", "dataset", "--limit", "0")}
    assert mine[repo]["visibility"] == "public"
    info = hf(default, "datasets", "info", repo)
    assert (info["id"], info["sha"], info["card_data"]["license"]) == (repo, done.oid, "mit")
    listed = hf(default, "datasets", "list", repo, "--recursive")
    assert {"data/x.bin", "README.md"} <= {one["path"] for one in listed}
    assert "# Shown" in ran(default, "datasets", "card", repo).stdout


def test_pull_requests_are_handled(default: Client, repo: str, tmp_path: Path) -> None:
    """`hf upload --create-pr` proposes; `hf discussions` lists, comments, shows the diff and merges."""
    file = tmp_path / "new.txt"
    file.write_text("proposed\n")
    hf(default, "upload", repo, file, "--repo-type", "dataset", "--create-pr")
    kind = ("--repo-type", "dataset")
    [listed] = hf(default, "discussions", "list", repo, *kind)
    assert listed["num"] == 1
    hf(default, "discussions", "comment", repo, "1", "--body", "Good", *kind)
    assert "+proposed" in ran(default, "discussions", "diff", repo, "1", *kind).stdout
    hf(default, "discussions", "merge", repo, "1", "--yes", *kind)
    assert hf(default, "discussions", "info", repo, "1", *kind)["status"] == "merged"
    assert contents(default, repo) == {"new.txt": b"proposed\n"}


def test_files_are_copied_by_their_address(client: Client, repo: str, tmp_path: Path) -> None:
    """`hf cp` takes a file up, down, and from place to place within a repository."""
    file, address = tmp_path / "x.bin", f"hf://datasets/{repo}"
    file.write_bytes(bytes(range(256)) * 20)
    ran(client, "cp", file, f"{address}/up/x.bin")
    ran(client, "cp", f"{address}/up/x.bin", f"{address}/copy.bin")
    ran(client, "cp", f"{address}/copy.bin", tmp_path / "back.bin")
    assert (tmp_path / "back.bin").read_bytes() == file.read_bytes()
    assert contents(client, repo) == {"up/x.bin": file.read_bytes(), "copy.bin": file.read_bytes()}


def test_a_mistake_is_said(default: Client, name: Callable[[], str]) -> None:
    """What is not there is named on stderr, and the exit code is not 0."""
    missing = name()
    assert missing in refused(default, "download", missing, "--repo-type", "dataset")
    assert "not found" in refused(default, "repos", "delete", missing, "--yes", "--repo-type", "dataset").lower()


def hf(client: Client, *words: object) -> Any:
    """What `hf … --json` says, once it has ended well."""
    said = ran(client, *words, "--json").stdout
    return json.loads(said) if said.strip() else None


def ran(client: Client, *words: object) -> subprocess.CompletedProcess[str]:
    ended = run(client, *words)
    assert ended.returncode == 0, f"{ended.stdout}\n{ended.stderr}"
    return ended


def refused(client: Client, *words: object) -> str:
    """What `hf` says on stderr when it fails."""
    ended = run(client, *words)
    assert ended.returncode != 0, ended.stdout
    assert "Traceback" not in ended.stderr
    return ended.stderr


def run(client: Client, *words: object) -> subprocess.CompletedProcess[str]:
    line = [str(HF), *map(str, words)]
    return subprocess.run(
        line, capture_output=True, text=True, check=False, env=client.environment, timeout=CALL_SECONDS
    )
