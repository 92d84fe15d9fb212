"""Killed at any boundary of its journal, a job goes on with the same command, and does no proven work twice.

A boundary is the moment just before a transaction, and the one just after it.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from tests.albums import albums, digests, publish_albums
from tests.jobs import check_done_once, shards_of, staged
from tests.publishers import Ended, Publisher

from sealift.errors import DestinationError

JOB = Path(".out.sealift") / "job"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five shards in two splits, each file in one of them, and a table beside."""
    return albums(tmp_path_factory.mktemp("journal") / "source", configs=None, also={"extra/": ["notes.csv"]})


@pytest.fixture(scope="module")
def wanted(source: Path) -> Path:
    """What a run that nobody interrupts publishes."""
    out = source.parent / "wanted" / "out"
    publish_albums(source, out, workers=1)
    return out


@pytest.fixture(scope="module")
def publisher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Publisher]:
    with Publisher(tmp_path_factory.mktemp("publisher")) as made:
        yield made


def boundaries(publisher: Publisher, source: Path, out: Path, at: Sequence[str], workers: int) -> int:
    """How many there are in a run that nobody interrupts."""
    ended = publisher.run(source, out, at=at, workers=workers)
    assert ended.code == 0, ended.said
    shutil.rmtree(out)
    return ended.steps


@pytest.mark.parametrize(
    ("workers", "at", "every"),
    [
        (1, ["journal"], 16),
        pytest.param(1, ["journal"], 1, marks=pytest.mark.long),
        pytest.param(2, ["journal"], 1, marks=pytest.mark.long),
        pytest.param(1, ["journal", "files"], 1, marks=pytest.mark.long),
    ],
)
def test_killed_at_the_boundaries_of_the_journal(
    publisher: Publisher, source: Path, wanted: Path, tmp_path: Path, workers: int, at: list[str], every: int
) -> None:
    """Before the commit nothing is published; then the same command ends with the bytes of a run that nobody
    interrupted, leaves nothing beside, and packs no shard whose receipt was written down."""
    out, complete, shard_of = tmp_path / "out", digests(wanted), shards_of(wanted)
    count = boundaries(publisher, source, out, at, workers)
    assert count > 5 * len(set(shard_of.values()))
    for step in range(0, count, every):
        first = publisher.run(source, out, at=at, step=step, workers=workers)
        if not first.was_killed:  # two workers have their own order, and some files are made in some runs alone
            assert step > count - 20
        proven = staged(tmp_path / JOB)
        assert set(digests(out).items()) <= set(complete.items()) if out.exists() else True
        second = publisher.run(source, out, at=[], workers=workers)
        assert second.code == 0, (step, second.said)
        assert digests(out) == complete, step
        assert not (tmp_path / ".out.sealift").exists(), step
        check_done_once([first, second], [proven], shard_of, workers)
        assert bool(second.heard) == bool(proven) or digests(out) == complete
        shutil.rmtree(out)


@pytest.mark.parametrize(
    ("workers", "step"), [(1, 13), *(pytest.param(2, step, marks=pytest.mark.long) for step in range(3, 15))]
)
def test_killed_again_and_again(
    publisher: Publisher, source: Path, wanted: Path, tmp_path: Path, workers: int, step: int
) -> None:
    """A job whose every run is killed soon after it began gets done all the same, each shard once but for those in
    flight: what one run has proven, the next ones take over."""
    out, runs, proven = tmp_path / "out", list[Ended](), list[set[str]]()
    while not runs or runs[-1].was_killed:
        assert len(runs) < 60
        runs.append(publisher.run(source, out, at=["journal"], step=step + 4 * (len(runs) // 10), workers=workers))
        if runs[-1].was_killed:
            proven.append(staged(tmp_path / JOB))
    assert runs[-1].code == 0, runs[-1].said
    assert len(runs) > 2
    assert digests(out) == digests(wanted)
    assert not (tmp_path / ".out.sealift").exists()
    check_done_once(runs, proven, shards_of(wanted), workers)


@pytest.mark.parametrize("full", [0, 3])
def test_a_disk_that_fills(publisher: Publisher, source: Path, wanted: Path, tmp_path: Path, full: int) -> None:
    """The run ends with what to do, nothing is published, and the next one goes on when there is room again."""
    out = tmp_path / "out"
    first = publisher.run(source, out, at=[], full=full)
    assert first.code == DestinationError.exit_code
    assert "make room" in first.said["hint"]
    assert not out.exists()
    proven = staged(tmp_path / JOB)
    assert len(proven) in (full, full + 1)  # the last one was handed over, and its receipt had no room
    second = publisher.run(source, out, at=[])
    assert (second.code, digests(out)) == (0, digests(wanted))
    check_done_once([first, second], [proven], shards_of(wanted), 1)
