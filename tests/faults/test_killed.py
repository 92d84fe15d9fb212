"""Killed at any instant, a publication leaves whole files only, and the same command finishes it."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from tests.albums import ROWS, albums, digests, publish_albums, tracks, write_spec, write_tracks
from tests.command import COMMAND
from tests.jobs import staged
from tests.publishers import Publisher, killed

SOME, MANY = 8, 400


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return albums(tmp_path_factory.mktemp("killed") / "source")


@pytest.fixture(scope="module")
def before(source: Path) -> Path:
    """A publication of the source as it was."""
    out = source.parent / "before" / "out"
    publish_albums(source, out, workers=1)
    return out


@pytest.fixture(scope="module")
def after(source: Path, before: Path) -> Path:
    """The same, updated without interruption once labels, media, the cut and the configs had changed."""
    rows = [{**row, "label": row["label"] * (1 + number % 3)} for number, row in enumerate(tracks(source))]
    write_tracks(source, rows)
    (source / "notes.csv").write_bytes(b"id,note\n")
    cover = source / "pages" / "01-0.png"
    cover.write_bytes(cover.read_bytes() + b"\0")
    write_spec(
        source, shards={"max_bytes": "30kB", "row_group_rows": 4}, configs={"full": {}, "words": {"drop": ["pages"]}}
    )
    out = source.parent / "after" / "out"
    shutil.copytree(before, out)
    publish_albums(source, out, workers=1)
    return out


@pytest.fixture
def running(tmp_path: Path) -> Iterator[list[subprocess.Popen[str]]]:
    """Programs that a test started; what still runs at its end is killed."""
    started: list[subprocess.Popen[str]] = []
    yield started
    for one in started:
        one.kill()
        one.communicate()


@pytest.fixture(scope="module")
def publisher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Publisher]:
    with Publisher(tmp_path_factory.mktemp("publisher")) as made:
        yield made


def seconds(publisher: Publisher, source: Path, before: Path, out: Path) -> float:
    """How long an update takes that nobody interrupts."""
    shutil.copytree(before, out)
    began = time.monotonic()
    assert publisher.run(source, out, at=[]).code == 0
    return time.monotonic() - began


@pytest.mark.parametrize("times", [SOME, pytest.param(MANY, marks=pytest.mark.long)])
def test_killed_at_any_instant(
    publisher: Publisher, source: Path, before: Path, after: Path, tmp_path: Path, times: int
) -> None:
    """After each of many kills at random instants, every file of the destination is whole, that of before or that of
    afterwards; and then the same command gives the same bytes as a run that nobody interrupted."""
    takes = seconds(publisher, source, before, tmp_path / "timed" / "out")
    out = tmp_path / "out"
    whole = {(path, digest) for folder in (before, after) for path, digest in digests(folder).items()}
    chance = random.Random(times)
    ends = []
    for _ in range(times):
        if not out.exists() or digests(out) == digests(after):
            shutil.rmtree(out, ignore_errors=True)
            shutil.copytree(before, out)
        child = publisher.begin(source, out, at=[])
        time.sleep(chance.uniform(0, takes))
        killed(child)
        ends.append(publisher.end().code)
        if ends[-1] == 0:  # too late: the machine has less to do than when the time was taken
            takes *= 0.9
        assert set(digests(out).items()) <= whole
    assert ends.count(-signal.SIGKILL) >= times // 3
    publish_albums(source, out, workers=1)
    assert digests(out) == digests(after)
    assert not (tmp_path / ".out.sealift").exists()


@pytest.mark.parametrize("first", [True, False])
def test_killed_at_each_step_of_the_commit(
    publisher: Publisher, source: Path, before: Path, after: Path, tmp_path: Path, first: bool
) -> None:
    """Killed after any number of renames and deletions, of a first publication and of an update, the next run of the
    same command finishes the job: nothing it finds there stands in its way."""
    wanted = digests(after)
    if first:
        publish_albums(source, tmp_path / "fresh" / "out", workers=1)
        wanted = digests(tmp_path / "fresh" / "out")
    for steps in (0, 1, 9):
        out = tmp_path / str(steps) / "out"
        if not first:
            shutil.copytree(before, out)
        assert publisher.run(source, out, at=["commit"], step=steps).was_killed
        assert not out.exists() or digests(out) != wanted
        assert publish_albums(source, out, workers=1).publication.written == ()
        assert digests(out) == wanted


def big(folder: Path) -> Path:
    """A source whose packing takes a while: files that are large, and take no room."""
    albums(folder, media={"sound": "binary"}, configs=None, also=None, shards={"rows": 1})
    write_tracks(folder, [{**row, "sound": f"big/{number}.bin"} for number, row in enumerate(tracks(folder))])
    (folder / "big").mkdir()
    for number in range(ROWS):
        with open(folder / "big" / f"{number}.bin", "wb") as file:
            file.truncate(150_000_000)
    return folder


def packing(child: subprocess.Popen[str], out: Path) -> list[int]:
    """Wait until both workers write; the processes below the child."""
    staged = out.parent / f".{out.name}.sealift" / "staged"
    while len([half for half in staged.rglob("*.part") if half.exists() and half.stat().st_size]) < 2:
        assert child.poll() is None
        time.sleep(0.005)
    return [one.pid for one in psutil.Process(child.pid).children(recursive=True)]


def gone(pids: list[int]) -> bool:
    until = time.monotonic() + 5
    while any(map(psutil.pid_exists, pids)) and time.monotonic() < until:
        time.sleep(0.02)
    return not any(map(psutil.pid_exists, pids))


def check_left(folder: Path) -> None:
    """Nothing is published, and nothing half done is left: at most shards that are staged, and the job that knows."""
    beside = folder / ".out.sealift"
    assert {path.name for path in folder.iterdir()} <= {"source", beside.name}
    if beside.exists():
        assert not [*beside.rglob("*.part")]
        assert {*digests(beside / "staged")} == staged(beside / "job") != set()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP, signal.SIGTERM])
def test_a_signal_stops_cleanly(tmp_path: Path, running: list[subprocess.Popen[str]], number: signal.Signals) -> None:
    """The run ends at once with the signal's exit code, says how to go on, and leaves neither halves of files nor
    processes; the destination is as it was."""
    source, out = big(tmp_path / "source"), tmp_path / "out"
    child = subprocess.Popen(
        [COMMAND, "publish", source / "sealift.yaml", "--to", out, "--workers", "2"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    running.append(child)
    workers = packing(child, out)
    assert len(workers) >= 2
    os.killpg(child.pid, number) if number != signal.SIGTERM else child.terminate()
    _, stderr = child.communicate(timeout=20)
    assert child.returncode == 128 + number
    assert f"stopped by {number.name}" in stderr
    assert "run the same command again" in stderr
    assert "Traceback" not in stderr
    assert gone(workers)
    check_left(tmp_path)


def test_a_killed_worker_is_told(tmp_path: Path, running: list[subprocess.Popen[str]]) -> None:
    """If the system kills a worker (for memory, mostly), the run says which shard it was at and what to try, and
    leaves no half behind."""
    source, out = big(tmp_path / "source"), tmp_path / "out"
    child = subprocess.Popen(
        [COMMAND, "publish", source / "sealift.yaml", "--to", out, "--workers", "2"], stderr=subprocess.PIPE, text=True
    )
    running.append(child)
    packing(child, out)
    workers = [
        one for one in psutil.Process(child.pid).children() if "sealift.runners.local" in " ".join(one.cmdline())
    ]
    workers[0].kill()
    _, stderr = child.communicate(timeout=20)
    assert child.returncode == 130
    assert "killed by SIGKILL" in stderr
    assert "data/train-" in stderr
    assert "--workers" in stderr
    assert "bug" not in stderr
    assert gone([worker.pid for worker in workers])
    check_left(tmp_path)
