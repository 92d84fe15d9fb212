"""`sealift rehearse`: the real run on this machine; all that it says was measured, and nothing of it stays."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pytest
from tests.command import COMMAND, answer, run
from tests.hubs import start_hub
from tests.test_demo import Made, without

import sealift
from sealift.build import planned
from sealift.errors import DestinationError, IntegrityError, RequestError
from sealift.rehearse import check_room, rehearsed_as
from sealift.rehearse.figures import QUOTAS, Rehearsal, Step
from sealift.spec import Spec
from sealift.tools import corpus, demo
from sealift.tools.hubprocess import Counts, apart, local_hub
from sealift.tools.loaded import compare, published_cells
from sealift.tools.loading import Batches, Job

LIMIT_S = 120


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small dataset with its spec, of two configs."""
    folder = tmp_path_factory.mktemp("rehearsed") / "music"
    corpus.make(folder, rows=24)
    return folder


def test_a_rehearsal_goes_the_whole_way(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It publishes, proves, loads every config both ways and finds nothing left to do; then nothing is left of it."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    said = answer("rehearse", source, "--quota", "free", "--bandwidth", "8Mbit")
    assert said["to"] == "listening/in-the-scanner"
    assert [step["step"] for step in said["steps"]] == ["publish", "verify", "load", "publish again"]
    publish, _, _, again = said["steps"]
    assert (said["commits"], publish["commits"], publish["requests"]["commit"]) == (1, 1, 1)
    assert (again["commits"], again["requests"].get("commit"), again["requests"].get("cas-xorb-put")) == (0, None, None)
    assert {(one["config"], one["way"]) for one in said["loaded"]} == {
        (config, way) for config in ("full", "scores") for way in ("map", "stream")
    }
    assert {sum(one["rows"].values()) for one in said["loaded"]} == {24}
    sizes = said["bytes"]
    assert 0 < sizes["new"] <= sizes["content"] and sizes["sent"] >= sizes["new"]
    assert said["seconds"]["8000000"] >= sizes["sent"] / 1e6
    assert said["windows"]["free"] == 1
    assert [*tmp_path.iterdir()] == []


def test_what_follows_is_shown(source: Path) -> None:
    """Requests by kind against the quotas, time over the usual lines, commits, files, bytes, and that all held."""
    ended = run("rehearse", source, "--configs", "scores", "--to", "me/scores")
    assert ended.returncode == 0, ended.stderr
    for words in ("requests of the real run", "enterprise", "100 Mbit/s", "1 Gbit/s", "about 128", "deduplicated"):
        assert words in ended.stdout
    assert "everything held" in ended.stderr


def test_a_hub_without_xet_is_rehearsed_too(source: Path) -> None:
    """With --no-xet everything goes by LFS, and holds as well."""
    said = answer("rehearse", source, "--configs", "scores", "--no-xet")
    assert said["configs"] == ["scores"]
    kinds = said["steps"][0]["requests"]
    assert kinds["lfs-put"] > 0 and not [kind for kind in kinds if kind.startswith("cas-")]


def test_what_is_kept_can_be_looked_at(source: Path, tmp_path: Path) -> None:
    """With --keep the Hub's state stays, to be served again; a second rehearsal does not go there."""
    kept = tmp_path / "kept"
    answer("rehearse", source, "--configs", "scores", "--keep", kept)
    with start_hub(kept / "hub") as hub:
        assert sealift.verify("listening/in-the-scanner", endpoint=hub.endpoint, token=hub.token).proven
    refused = run("rehearse", source, "--keep", kept)
    assert refused.returncode == 2
    assert "is not empty" in refused.stderr


def test_without_datasets_loading_is_left_out_and_said(source: Path) -> None:
    """Where `datasets` is not installed the rest is rehearsed, and what is missing is named."""
    ended = without({"datasets"}, "rehearse", source, "--configs", "scores", "--json")
    assert ended.returncode == 0, ended.stderr
    assert "loading was left out" in ended.stderr and "but nothing was loaded back" in ended.stderr
    said = json.loads(ended.stdout)
    assert said["loaded"] is None
    assert [step["step"] for step in said["steps"]] == ["publish", "verify", "publish again"]


def test_a_plan_with_errors_is_refused_as_the_real_run_would(source: Path, tmp_path: Path) -> None:
    """Exit code 4, before anything is packed; no Hub and no folder is left."""
    spec = tmp_path / "sealift.yaml"
    text = (source / "sealift.yaml").read_text().replace("expect: {rows: 24}", "expect: {rows: 25}")
    spec.write_text(text.replace("readme: README.md", f"readme: {source}/README.md"))
    refused = run("rehearse", spec, "--from", source)
    assert refused.returncode == 4
    assert "unexpected-count" in refused.stderr


@pytest.mark.parametrize(
    ("to", "said", "name"),
    [
        (None, "org/name", "org/name"),
        ("me/other", "org/name", "me/other"),
        (None, "hf://datasets/org/name@next", "org/name@next"),
        (None, "hf://datasets/org/name@refs/pr/3", "org/name"),
        (None, "./out", "rehearsal/out"),
        (None, None, "rehearsal/My-birds-2"),
    ],
)
def test_the_name_is_that_of_the_real_run(to: str | None, said: str | None, name: str, tmp_path: Path) -> None:
    """Without one on the Hub it is the folder's, as far as the Hub takes its characters."""
    assert rehearsed_as(Spec(to=said, from_=str(tmp_path / "My birds--2")), to) == name


def test_a_folder_cannot_be_rehearsed_to() -> None:
    """Rehearsals go to a Hub: a folder is refused with what to write."""
    with pytest.raises(RequestError, match="is a folder") as refused:
        rehearsed_as(Spec(), "./out")
    assert "org/name" in refused.value.hint


def test_a_disk_that_is_too_small_is_refused_with_the_numbers(source: Path, tmp_path: Path) -> None:
    """The Hub's copy, what the run keeps and one loaded config must fit; loading counts only where it is done."""
    with planned(Spec.load(source / "sealift.yaml"), "org/name") as plan:
        published = sum(shard.bound for shard in plan.shards)
        needed = published + sum(table.size for table in plan.also) + plan.estimate.disk
        check_room(plan, needed, tmp_path, load=False)
        for free, load in ((needed - 1, False), (needed, True)):
            with pytest.raises(DestinationError, match=r"rehearsing takes .* at the Hub") as refused:
                check_room(plan, free, tmp_path, load=load)
            assert "--configs" in refused.value.hint


COUNTS = Counts({"commit": 1, "preupload": 2400, "resolve": 900, "cas-shard": 70}, {}, 10**9, 5, 1, 6 * 10**8)


def test_the_arithmetic_of_the_real_run() -> None:
    """Requests fill windows of the quota, bytes a line; what the Hub had already was deduplicated."""
    counts = replace(COUNTS, quota={"commit": "api", "preupload": "api", "resolve": "resolvers", "cas-shard": None})
    steps = (Step("publish", 50.0, counts),)
    one = Rehearsal("org/name", "0" * 40, 12, 9 * 10**8, 5 * 10**8, 25.0, steps, {}, None, ())
    assert (one.windows(QUOTAS["free"]), one.windows(QUOTAS["pro"])) == (3, 1)
    assert (one.seconds(10**8), one.seconds(10**10)) == (80.0, 50.0)
    assert (one.sent, one.deduplicated, one.rate) == (10**9, 3 * 10**8, 2 * 10**7)
    assert counts.since(replace(counts, requests={"preupload": 400}, bytes_in=1)).against("api") == 2001


@pytest.mark.parametrize("text", ["20", "fast", "0Mbit", "10MB", "-1Gbit"])
def test_a_bandwidth_is_bits_a_second(text: str, source: Path) -> None:
    """Anything else is a mistake that says what to write."""
    refused = run("rehearse", source, "--bandwidth", text)
    assert refused.returncode == 2
    assert "100Mbit" in refused.stderr


# --- what is compared -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A small dataset, published to a folder."""
    return Made(tmp_path_factory.mktemp("made"))


def compared(made: Made, came: Batches) -> dict[str, int]:
    """What came of the config `full`, held against the published index."""
    expected = published_cells(made.published, made.found, "full")
    job = Job("org/name", "full", "map", 7)
    return compare(job, made.found, ["audio", "score", "cover", "scans"], expected, came)


def changed(made: Made, change: Any) -> Batches:
    """The rows of `full`, the first batch of them changed."""
    (split, table), *others = demo.with_pyarrow(made.published, made.found, "full")
    return iter([(split, change(table)), *others])


def test_what_is_the_same_is_found_so_in_batches_of_any_size(made: Made) -> None:
    """Every row and cell counts once, however they are cut."""
    whole = list(demo.with_pyarrow(made.published, made.found, "full"))
    rows = compared(made, iter(whole))
    assert sum(rows.values()) == 20
    cut = [(split, table.slice(at, 1)) for split, table in whole for at in range(table.num_rows)]
    assert compared(made, iter(cut)) == rows


def other_byte(table: pa.Table) -> pa.Table:
    """One other byte in the first score."""
    scores = table["score"].to_pylist()
    return table.set_column(6, "score", pa.array([scores[0][:-1] + b"!", *scores[1:]], table.schema.field(6).type))


def no_scans(table: pa.Table) -> pa.Table:
    """Lists of scans that are empty."""
    return table.set_column(8, "scans", pa.array([[]] * table.num_rows, table.schema.field(8).type))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (other_byte, "train, column `score`"),
        (no_scans, "train, column `scans`"),
        (lambda table: table.take(list(reversed(range(table.num_rows)))), "column `audio`; train, column `cover`"),
        (lambda table: table.slice(1), "rows came back"),
        (lambda table: table.drop_columns(["cover"]), "column `cover`"),
    ],
    ids=["a byte", "a list", "the order", "a row", "a column"],
)
def test_any_difference_is_noticed(change: Any, words: str, made: Made) -> None:
    """A byte, a cell, the order of rows, a row or a column that differs is an error that names the place."""
    with pytest.raises(IntegrityError, match=words):
        compared(made, changed(made, change))


# --- the Hub that is started for it -----------------------------------------------------------------------------------


def children(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """The processes below it that are there now."""
    return psutil.Process(process.pid).children(recursive=True)


@contextmanager
def under_way(source: Path, tmp: Path) -> Iterator[tuple[subprocess.Popen[str], list[psutil.Process]]]:
    """A rehearsal whose Hub has been started, and the processes below it; whatever is left is killed."""
    words = [str(COMMAND), "rehearse", str(source)]
    environment = {**os.environ, "TMPDIR": str(tmp)}
    with subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env=environment) as one:
        below: list[psutil.Process] = []
        try:
            assert one.stderr is not None
            for line in one.stderr:
                if line.startswith("1. publish"):
                    break
            below = children(one)
            assert below
            yield one, below
        finally:
            for process in (psutil.Process(one.pid) if one.poll() is None else None, *below):
                if process is not None and process.is_running():
                    process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_rehearsal_that_is_stopped_leaves_nothing(number: signal.Signals, source: Path, tmp_path: Path) -> None:
    """Stopped in the middle, it ends its Hub and deletes its folder."""
    with under_way(source, tmp_path) as (process, below):
        process.send_signal(number)
        assert process.wait(LIMIT_S) == 128 + number
        gone, left = psutil.wait_procs(below, timeout=10)
    assert gone and not left
    assert [*tmp_path.iterdir()] == []


def test_a_hub_does_not_outlive_a_rehearsal_that_was_killed(source: Path, tmp_path: Path) -> None:
    """Even where nobody could clean up, no server stays on the machine."""
    with under_way(source, tmp_path) as (process, below):
        process.kill()
        process.wait(LIMIT_S)
        gone, left = psutil.wait_procs(below, timeout=20)
    assert gone and not left


def test_a_hub_that_dies_is_named(tmp_path: Path) -> None:
    """A failure that comes of it is told as that, with what the Hub said last."""
    with (
        pytest.raises(DestinationError, match="the local Hub ended with code -9"),
        local_hub(tmp_path / "hub") as hub,
    ):
        psutil.Process(hub.pid).kill()
        until = time.monotonic() + LIMIT_S
        while time.monotonic() < until:
            hub.counts()


def test_a_hub_that_cannot_start_says_why(tmp_path: Path) -> None:
    """Its own last words are in the message."""
    with (
        local_hub(tmp_path / "hub"),
        pytest.raises(DestinationError, match=r"ended with code 1: .*served by another"),
        local_hub(tmp_path / "hub"),
    ):
        pass


def test_the_environment_is_as_before_when_it_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within, caches lie apart, no proxy stands before this machine and nobody is offline; afterwards all is back."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("NO_PROXY", "example.org")
    monkeypatch.setenv("HF_HUB_CACHE", "/mine")
    monkeypatch.setenv("OTHER", "stays")
    monkeypatch.delenv("no_proxy", raising=False)
    before = dict(os.environ)
    with apart(tmp_path):
        assert "HF_HUB_OFFLINE" not in os.environ and "HF_HUB_CACHE" not in os.environ
        assert os.environ["OTHER"] == "stays"
        assert os.environ["HF_HOME"] == str(tmp_path / "hf")
        assert os.environ["no_proxy"] == os.environ["NO_PROXY"] == "example.org,127.0.0.1,localhost"
    assert dict(os.environ) == before
