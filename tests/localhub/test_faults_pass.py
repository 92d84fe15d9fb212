"""Faults pass: whatever they did to requests, the Hub's own state is whole, and the official clients work again."""

from __future__ import annotations

import hashlib
import http.client
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.hubs import Hub, start_hub
from tests.localhub.traffic import DOWNLOADS, UPLOADS, Download, Upload
from tests.localhub.wire import Answer, Dataset, Wire

from sealift.localhub.cas import Cas

SHARES = st.sampled_from([0, 1, 0.5, 50_000, 10**9])
EFFECTS = st.one_of(
    st.fixed_dictionaries({"status": st.sampled_from([429, 500, 503]), "after": st.booleans()}),
    st.fixed_dictionaries({"drop": st.just(True), "after": st.booleans()}),
    st.fixed_dictionaries({"status": st.just(200), "body": st.just({})}),
    st.just({"expired": True}),
    st.just({"delay": 0.01}),
    *(
        st.fixed_dictionaries({key: SHARES})
        for key in ("cut_request", "cut_answer", "truncate_request", "truncate_answer", "disk_full", "stall_answer")
    ),
    st.fixed_dictionaries({"flip_request": st.integers(1, 9), "seed": st.integers(0, 99)}),
    st.fixed_dictionaries({"flip_answer": st.integers(1, 9), "seed": st.integers(0, 99)}),
    st.fixed_dictionaries({"stall_request": SHARES, "slow_answer": st.just(10_000_000)}),
)
FAULTS = st.lists(
    st.builds(
        lambda kind, skip, effect: {"kind": kind, "skip": skip, "times": 2, **effect},
        st.sampled_from(["*", "lfs-*", "cas-*", "cas-shard", "commit", "resolve", "preupload", "tree"]),
        st.integers(0, 3),
        EFFECTS,
    ),
    min_size=1,
    max_size=3,
)
FORGETS = st.sampled_from([[], [{"collect_after": 0}], [{"collect_after": 0, "remembers": True}]])
PUBLISHES = """
    import os
    from huggingface_hub import HfApi
    api, repo = HfApi(), {"repo_id": NAME, "repo_type": "dataset"}
    api.create_repo(**repo, exist_ok=True)
    data = os.urandom(200_000)
    path = f"{os.environ.get('HF_HUB_DISABLE_XET', 'xet')}.bin"
    api.upload_file(path_or_fileobj=data, path_in_repo=path, **repo)
    assert open(api.hf_hub_download(filename=path, **repo), "rb").read() == data
    """


class Hurried(Wire):
    """A caller that does not wait for what stalls."""

    def __call__(self, *said: Any, **more: Any) -> Answer:
        return super().__call__(*said, **{"seconds": 0.3, **more})


def hurried(hub: Hub, dataset: Dataset) -> Dataset:
    return Dataset(Hurried(hub), dataset.name)


@pytest.mark.parametrize("examples", [15, pytest.param(500, marks=pytest.mark.long)])
def test_faults_leave_the_hub_whole(tmp_path: Path, examples: int) -> None:
    """After any faults on any route: no internal error, nothing half-written, every content is what it is named by, and
    the official clients publish by Xet and by LFS."""
    root = tmp_path / "root"
    with start_hub(root, "--max-commit-files", "200") as hub:
        dataset = Wire(hub).create()

        @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
        @given(st.sampled_from([*UPLOADS.values(), *DOWNLOADS.values()]), FAULTS, FORGETS)
        def meets(make: Any, faults: list[dict[str, Any]], forgets: list[dict[str, Any]]) -> None:
            ready: Upload | Download = make(hurried(hub, dataset))
            hub.faults([*faults, *forgets])
            for _ in range(3):
                with suppress(OSError, http.client.HTTPException):
                    ready.send()
            with suppress(OSError, http.client.HTTPException, AssertionError, KeyError, ValueError):
                make(hurried(hub, dataset))
            hub.faults([])

        meets()
        for xet in (True, False):
            environment = hub.environment(tmp_path / f"home-{xet}", xet=xet)
            done = hub.run_python(PUBLISHES.replace("NAME", repr(dataset.name)), environment)
            assert done.returncode == 0, done.stderr
        assert hub.log is not None
        assert "Traceback" not in (said := hub.log.read_text()), said
    check_whole(root)


def check_whole(root: Path) -> None:
    """Hold that the state is consistent: databases, contents, xorbs and files."""
    for name in ("half", "cas/incoming"):
        assert list((root / name).iterdir()) == []
    for path in (root / "contents").glob("*/*"):
        assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name
    for database in (root / "hub.sqlite", root / "cas/cas.sqlite"):
        with closing(sqlite3.connect(database)) as db:
            assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert db.execute("PRAGMA foreign_key_check").fetchall() == []
    with closing(Cas(root / "cas")) as cas, closing(sqlite3.connect(root / "cas/cas.sqlite")) as db:
        known = [sha256 for (sha256,) in db.execute("SELECT sha256 FROM files")]
        for found in map(cas.find, known):
            assert found
            content = b"".join(cas.read(found.hash, 0, found.size))
            assert hashlib.sha256(content).hexdigest() == found.sha256
        kept = {path.name for path in (root / "cas/xorbs").glob("*/*")}
        gone = db.execute("SELECT count(*) FROM gone").fetchone()[0]
        assert len(kept) == db.execute("SELECT count(*) FROM xorbs").fetchone()[0] - gone


SOON = {"HF_XET_CLIENT_RETRY_BASE_DELAY": "50ms"}
"""The client of Xet would wait for three seconds before it tries again."""
FORGETFUL = """
    import json, os, urllib.request
    from huggingface_hub import CommitOperationAdd, HfApi
    from huggingface_hub.errors import BadRequestError
    api, repo = HfApi(), {"repo_id": NAME, "repo_type": "dataset"}
    adds = [CommitOperationAdd(f"data/{n}.bin", os.urandom(100_000)) for n in range(2)]
    api.preupload_lfs_files(NAME, adds, repo_type="dataset")
    headers = {"Authorization": f"Bearer {os.environ['HF_TOKEN']}"}
    said = json.dumps({"remembers": True}).encode()
    urllib.request.urlopen(urllib.request.Request(f"{os.environ['HF_ENDPOINT']}/-/collect", said, headers)).read()
    try:
        api.create_commit(operations=adds, commit_message="too late", **repo)
    except BadRequestError as refused:
        assert "LFS pointer pointed to a file that does not exist: data/" in str(refused), refused
    else:
        raise AssertionError("a commit of what is gone was taken")
    """


def test_the_official_client_meets_faults(tmp_path: Path) -> None:
    """It tries again what fails for a moment, on the routes of Xet, too; and is told by name what was collected."""
    with start_hub(tmp_path / "root") as hub:
        dataset = Wire(hub).create()
        hub.faults(
            [
                {"kind": "xet-token", "status": 503},
                {"kind": "cas-xorb-put", "status": 500},
                {"kind": "cas-xorb-put", "cut_request": 0.5},
                {"kind": "cas-shard", "drop": True, "after": True},
                {"kind": "cas-reconstruction", "status": 503, "rate_limit": 1},
                {"kind": "cas-xorb-get", "cut_answer": 0.5},
            ]
        )
        environment = hub.environment(tmp_path / "home") | SOON
        done = hub.run_python(PUBLISHES.replace("NAME", repr(dataset.name)), environment)
        assert done.returncode == 0, done.stderr
        assert [one["happened"] for one in hub.happened()] == [1] * 6
        done = hub.run_python(FORGETFUL.replace("NAME", repr(dataset.name)), environment)
        assert done.returncode == 0, done.stderr
