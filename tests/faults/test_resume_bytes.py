"""A job that was killed when nine tenths of it were done reads and sends the last tenth, and little more."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.albums import write_spec, write_tracks
from tests.hubs import start_hub
from tests.jobs import staged
from tests.publishers import Ended, Publisher

SHARDS, STAGED = 20, 18
SHARE = 0.12
"""The most of all bytes that the second run may read, and send."""
SMALL, LARGE = 200_000, 250_000_000
"""Bytes of a shard's only file: 4 MB in all, or 5 GB."""
ROOM = 3.2
"""So many times the size of the source is needed on the disk, with what is staged and what the Hub stores."""
SIZES = [SMALL, pytest.param(LARGE, marks=pytest.mark.long)]


def made(folder: Path, size: int) -> Path:
    """A source whose every row is a shard of that size, of bytes that no store knows."""
    if shutil.disk_usage(folder).free < ROOM * SHARDS * size:
        pytest.skip(f"{ROOM * SHARDS * size / 1e9:.0f} GB of disk are needed in {folder}")
    source, chance = folder / "source", random.Random(size)
    (source / "big").mkdir(parents=True)
    rows = []
    for number in range(SHARDS):
        with open(source / "big" / f"{number}.bin", "wb") as file:
            for start in range(0, size, 10_000_000):
                file.write(chance.randbytes(min(10_000_000, size - start)))
        rows.append({"id": f"{number:02}", "sound": f"big/{number}.bin", "split": "train"})
    write_tracks(source, rows)
    write_spec(source, media={"sound": "binary"}, configs=None, also=None, shards={"rows": 1})
    return source


@pytest.fixture
def publisher(tmp_path: Path) -> Iterator[Publisher]:
    with Publisher(tmp_path / "publisher") as started:
        yield started


def check_read(again: Ended, size: int) -> None:
    """Of the media the files of two shards were read; and in all, whatever else was, little more than that."""
    assert again.code == 0, again.said
    assert len(again.packed) == SHARDS - STAGED
    assert len({path for path in again.read if path.startswith("big/")}) <= SHARE * SHARDS
    if size == LARGE:
        assert again.moved["read"] <= SHARE * SHARDS * size


@pytest.mark.parametrize("size", SIZES)
def test_a_folder(publisher: Publisher, tmp_path: Path, size: int) -> None:
    """What the first run staged is neither read nor written again."""
    source, out = made(tmp_path, size), tmp_path / "out"
    assert publisher.run(source, out, at=[], cut=STAGED).was_killed
    assert len(staged(tmp_path / ".out.sealift" / "job")) == STAGED
    again = publisher.run(source, out, at=[])
    check_read(again, size)
    if size == LARGE:
        assert again.moved["written"] <= SHARE * SHARDS * size


@pytest.mark.parametrize(
    ("size", "options"),
    [
        (SMALL, ()),
        pytest.param(SMALL, ("--no-xet",), marks=pytest.mark.long),
        pytest.param(LARGE, (), marks=pytest.mark.long),
        pytest.param(LARGE, ("--no-xet",), marks=pytest.mark.long),
    ],
)
def test_a_hub(tmp_path: Path, size: int, options: tuple[str, ...]) -> None:
    """The Hub, which counts, receives what was not staged; on a machine that remembers no earlier upload, too."""
    source = made(tmp_path, size)
    with (
        start_hub(tmp_path / "hub", *options) as hub,
        Publisher(tmp_path / "publisher", hub.environment(tmp_path / "home")) as publisher,
    ):
        access = {"endpoint": hub.endpoint, "token": hub.token}
        assert publisher.run(source, f"{hub.namespace}/big", at=[], cut=STAGED, **access).was_killed
        shutil.rmtree(tmp_path / "home", ignore_errors=True)
        before = hub.counts()["stored"]["received"]
        again = publisher.run(source, f"{hub.namespace}/big", at=[], **access)
        check_read(again, size)
        assert hub.counts()["stored"]["received"] - before <= SHARE * SHARDS * size
        assert hub.counts()["commits"] == 1
