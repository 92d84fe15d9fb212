"""Killed at any instant, a publication leaves whole files only, and the same command finishes it."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from tests.albums import ROWS, albums, digests, publish_albums, tracks, write_spec, write_tracks
from tests.command import COMMAND

ROOT = Path(__file__).parents[2]
PUBLISHER = """
import os, signal, sys
from pathlib import Path
import sealift.build
from tests.albums import publish_albums

def kill_at_step(out, left):
    def watch(event, args):
        nonlocal left
        if event in ("os.rename", "os.remove") and any(str(path).startswith(out + "/") for path in args):
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(watch)

for line in sys.stdin:
    source, out, steps = line.rstrip("\\n").split("|")
    child = os.fork()
    if not child:
        if steps:
            kill_at_step(out, int(steps))
        publish_albums(Path(source), Path(out), workers=1)
        os._exit(0)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
"""Publishes in a new process for each line that it reads; it has imported everything before."""
SOME, MANY = 15, 150


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


class Publisher:
    """Starts publications in processes of their own, one at a time. Use it with `with`."""

    def __init__(self) -> None:
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        self._process = subprocess.Popen(
            [sys.executable, "-c", PUBLISHER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env
        )

    def begin(self, source: Path, out: Path, steps: int | None = None) -> int:
        """Start publishing, to be killed before so many steps of a commit are done; the number of the process."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{source}|{out}|{'' if steps is None else steps}\n")
        self._process.stdin.flush()
        return self._answer()

    def end(self) -> int:
        """Wait for the end; the exit code."""
        return self._answer()

    def _answer(self) -> int:
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())

    def __enter__(self) -> Publisher:
        return self

    def __exit__(self, *error: object) -> None:
        self._process.communicate()


@pytest.fixture(scope="module")
def publisher() -> Iterator[Publisher]:
    with Publisher() as made:
        yield made


def seconds(publisher: Publisher, source: Path, before: Path, out: Path) -> float:
    """How long an update takes that nobody interrupts."""
    shutil.copytree(before, out)
    began = time.monotonic()
    publisher.begin(source, out)
    assert publisher.end() == 0
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
        child = publisher.begin(source, out)
        time.sleep(chance.uniform(0, takes))
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        ends.append(publisher.end())
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
    for steps in (0, 1, 4, 9):
        out = tmp_path / str(steps) / "out"
        if not first:
            shutil.copytree(before, out)
        publisher.begin(source, out, steps)
        assert publisher.end() == -signal.SIGKILL
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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP, signal.SIGTERM])
def test_a_signal_stops_cleanly(tmp_path: Path, running: list[subprocess.Popen[str]], number: signal.Signals) -> None:
    """The run ends at once with the signal's exit code, says how to go on, and leaves neither staged files nor
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
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source"]


def test_a_killed_worker_is_told(tmp_path: Path, running: list[subprocess.Popen[str]]) -> None:
    """If the system kills a worker (for memory, mostly), the run says which shard it was at and what to try, and
    leaves nothing behind."""
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
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source"]
