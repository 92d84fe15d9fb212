"""`--memory` bounds the peak anonymous memory of the whole process tree, as another process reads it from /proc."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.command import COMMAND

SPEC = """\
from: .
tables: {rows: rows.parquet}
rows: SELECT * FROM rows ORDER BY id
key: id
media: {file: binary}
shards: {max_bytes: 268MB}
"""
KB, MB = 1000, 1_000_000


def corpus(folder: Path, sizes: list[int], *, random: bool = False) -> Path:
    """Files of these sizes, and a table about them with words and numbers.

    The files take no room on the disk, unless they are `random`: then nothing in them is there twice.
    """
    paths, dice = [], np.random.default_rng(len(sizes))
    for number, size in enumerate(sizes):
        path = f"files/{number // 5000}/{number:06d}.bin"
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        with open(folder / path, "wb") as file:
            if random:
                for start in range(0, size, MB):
                    file.write(dice.bytes(min(MB, size - start)))
            file.truncate(size)
        paths.append(path)
    count = len(sizes)
    table = {"id": [f"row-{number:06d}" for number in range(count)], "file": paths}
    table |= {f"word_{column}": [f"word{number * column % 997}" for number in range(count)] for column in range(4)}
    chance = np.random.default_rng(0)
    numbers = {f"number_{column}": chance.random(count) for column in range(20)}
    pq.write_table(pa.table({**table, **numbers}), folder / "rows.parquet")
    (folder / "sealift.yaml").write_text(SPEC)
    return folder / "sealift.yaml"


def tree(pid: int) -> Iterator[int]:
    """The process and all below it."""
    yield pid
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            for child in Path(f"/proc/{pid}/task/{task}/children").read_text().split():
                yield from tree(int(child))
    except OSError:
        return


def anonymous(pid: int) -> int:
    """Bytes of memory that no file stands behind."""
    try:
        status = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) << 10 for line in status if line.startswith(("RssAnon", "RssShmem")))


def peak(spec: Path, out: Path, memory: int, workers: int) -> int:
    """The most that the tree of `sealift publish` held at any moment."""
    return watched([str(spec), "--to", str(out), "--memory", str(memory), "--workers", str(workers)]).memory


@dataclass
class Seen:
    """What a run took, at most: anonymous memory, bytes written to disks, and the size of its temporary folder."""

    memory: int = 0
    written: int = 0
    temporary: int = 0


def watched(given: list[str], environment: dict[str, str] | None = None, temporary: Path | None = None) -> Seen:
    """Run `sealift publish` with these arguments, which must succeed, and look at its whole tree all the time."""
    seen, written = Seen(), dict[int, int]()
    child = subprocess.Popen([str(COMMAND), "publish", *given, "--quiet"], stdout=subprocess.DEVNULL, env=environment)
    while child.poll() is None:
        pids = [*tree(child.pid)]
        seen.memory = max(seen.memory, sum(map(anonymous, pids)))
        written.update({pid: max(written.get(pid, 0), disk_writes(pid)) for pid in pids})
        if temporary is not None:
            seen.temporary = max(seen.temporary, folder_size(temporary))
        time.sleep(0.005)
    assert child.returncode == 0
    seen.written = sum(written.values())
    return seen


def disk_writes(pid: int) -> int:
    """Bytes that the process has caused to be written to a disk."""
    try:
        lines = Path(f"/proc/{pid}/io").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("write_bytes"))


def folder_size(folder: Path) -> int:
    """Bytes of the files in a folder, at this moment."""
    total = 0
    for where, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += os.stat(os.path.join(where, name)).st_size
    return total


@pytest.fixture
def out(tmp_path: Path) -> Iterator[Path]:
    """Where to publish gigabytes, for as long as the test lasts."""
    yield tmp_path / "out"
    shutil.rmtree(tmp_path / "out", ignore_errors=True)


@pytest.mark.parametrize(("memory", "workers"), [(300 * MB, 1), (500 * MB, 2)])
def test_small_and_large_files_stay_within_the_budget(tmp_path: Path, out: Path, memory: int, workers: int) -> None:
    """Thousands of small files and some that are larger than all the rest of the budget."""
    spec = corpus(tmp_path / "source", [24 * KB] * 6000 + [120 * MB, 3 * MB, 90 * MB, 60 * MB, 30 * MB, 100 * MB])
    assert peak(spec, out, memory, workers) <= memory


@pytest.mark.long
@pytest.mark.parametrize("workers", [1, 2])
def test_sixty_thousand_small_files(tmp_path: Path, out: Path, workers: int) -> None:
    """60,000 files of 24 KB, at 512 MB."""
    spec = corpus(tmp_path / "source", [24 * KB] * 60_000)
    assert peak(spec, out, 512 * MB, workers) <= 512 * MB


@pytest.mark.long
@pytest.mark.parametrize("workers", [1, 2])
def test_ninety_large_files(tmp_path: Path, out: Path, workers: int) -> None:
    """90 files of up to 300 MB, at 512 MB."""
    sizes = np.clip(np.exp(np.random.default_rng(0).normal(17, 1.2, 90)), 2.4 * MB, 300 * MB).astype(int).tolist()
    spec = corpus(tmp_path / "source", [300 * MB, *sizes[1:]])
    assert peak(spec, out, 512 * MB, workers) <= 512 * MB
