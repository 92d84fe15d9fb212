"""Uploading keeps to the budgets of memory and of disk, as another process reads them from /proc.

The files are random, so that every byte has to be sent.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.hubs import Hub, start_hub
from tests.test_memory import KB, MB, Seen, corpus, watched

PLAN = 30 * MB
"""What a run keeps on disk beside packed files: listing, rows, index, the uploader's notes."""


LONG = pytest.mark.long
EACH = pytest.mark.parametrize("hub", ["xet", pytest.param("lfs", marks=LONG)], indirect=True)


@pytest.fixture
def hub(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Hub]:
    """A Hub with Xet, and one without."""
    with start_hub(tmp_path / "hub", *(["--no-xet"] if request.param == "lfs" else [])) as hub:
        yield hub


def published(hub: Hub, spec: Path, memory: int, workers: int, *options: str) -> Seen:
    """What publishing took; the repository is proven afterwards, as far as its tree says."""
    home = spec.parent.parent / "home"
    (home / "tmp").mkdir(parents=True, exist_ok=True)
    environment = {**hub.environment(home), "TMPDIR": str(home / "tmp")}
    given = [str(spec), "--to", "me/heavy", "--memory", str(memory), "--workers", str(workers), *options]
    return watched(given, environment, home / "tmp")


@EACH
@pytest.mark.parametrize(("memory", "workers"), [(512 * MB, 1), pytest.param(800 * MB, 2, marks=LONG)])
def test_memory_while_uploading(tmp_path: Path, hub: Hub, memory: int, workers: int) -> None:
    """Small and large files, more than the budget together, streamed to the Hub."""
    spec = corpus(tmp_path / "source", [24 * KB] * 500 + [120 * MB, 3 * MB, 90 * MB, 60 * MB], random=True)
    assert published(hub, spec, memory, workers).memory <= memory


@pytest.mark.parametrize("hub", ["xet", pytest.param("lfs", marks=LONG)], indirect=True)
def test_nothing_of_a_shard_touches_the_disk(tmp_path: Path, hub: Hub) -> None:
    """With `--staging 0` the run writes its plan and its notes, and no more, whichever way the Hub takes files."""
    spec = corpus(tmp_path / "source", [24 * KB] * 100 + [90 * MB, 60 * MB, 50 * MB, 40 * MB], random=True)
    seen = published(hub, spec, 800 * MB, 2, "--staging", "0", "--max-shard-size", "70MB")
    assert seen.written <= PLAN
    assert seen.temporary <= PLAN


@pytest.mark.parametrize("hub", ["lfs", pytest.param("xet", marks=LONG)], indirect=True)
def test_staging_stays_within_its_budget(tmp_path: Path, hub: Hub) -> None:
    """Packed files that wait for their upload take no more of the disk than was said, all workers together."""
    spec = corpus(tmp_path / "source", [20 * MB] * 6 + [90 * MB], random=True)
    budget = 100 * MB
    seen = published(hub, spec, 800 * MB, 2, "--staging", str(budget), "--max-shard-size", "45MB")
    assert 40 * MB < seen.temporary <= budget + PLAN


@pytest.mark.long
@pytest.mark.parametrize("hub", ["xet", "lfs"], indirect=True)
@pytest.mark.parametrize("workers", [1, 2])
def test_five_gigabytes(tmp_path: Path, hub: Hub, workers: int) -> None:
    """5 GB in files of 24 KB to 300 MB, at 512 MB for one worker and 800 MB for two."""
    sizes = [24 * KB] * 20_000 + [300 * MB] * 5 + [30 * MB] * 100
    spec = corpus(tmp_path / "source", sizes, random=True)
    memory = {1: 512 * MB, 2: 800 * MB}[workers]
    seen = published(hub, spec, memory, workers, "--staging", "0")
    assert seen.memory <= memory
    assert seen.written <= 3 * PLAN
