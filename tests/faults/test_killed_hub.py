"""Killed at any instant, a publication to a Hub goes on with the same command: one commit, the same tree."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import HfApi
from huggingface_hub.hf_api import RepoFile
from tests.albums import albums, publish_albums
from tests.hubs import Hub, start_hub
from tests.jobs import check_done_once, shards_of, staged
from tests.publishers import Ended, Publisher, killed

SLACK = 8_000
"""Bytes of the files beside the shards, of which one may be sent twice, and of what wraps a shard's."""


@dataclass(frozen=True)
class Place:
    """A repository that is made and deleted again and again, and what an uninterrupted run makes of it."""

    hub: Hub
    name: str
    publisher: Publisher
    source: Path
    home: Path
    shard_of: dict[str, str]

    @property
    def api(self) -> HfApi:
        return HfApi(endpoint=self.hub.endpoint, token=self.hub.token)

    @property
    def access(self) -> dict[str, Any]:
        return {"endpoint": self.hub.endpoint, "token": self.hub.token}

    def run(self, **options: Any) -> Ended:
        return self.publisher.run(self.source, self.name, **self.access, **options)

    def tree(self) -> dict[str, Any]:
        """Every file with its oids, size and hash of Xet."""
        found = self.api.list_repo_tree(self.name, repo_type="dataset", recursive=True)
        return {
            one.path: (one.blob_id, one.size, one.lfs and one.lfs.sha256, one.xet_hash)
            for one in found
            if isinstance(one, RepoFile)
        }

    def commits(self) -> int:
        """How many there are beside the one that made the repository."""
        return len(self.api.list_repo_commits(self.name, repo_type="dataset")) - 1

    def received(self) -> int:
        """The bytes of content that the Hub has taken since its start."""
        return int(self.hub.counts()["stored"]["received"])

    def forget(self) -> None:
        """Nothing of it is at the Hub any more, nor what Xet's library remembers on this machine."""
        self.api.delete_repo(self.name, repo_type="dataset", missing_ok=True)
        self.hub.collect()
        shutil.rmtree(self.home / "xet", ignore_errors=True)

    def proven(self) -> set[str]:
        """The shards whose receipts the journal has."""
        [*jobs] = (self.home / "publisher" / "state" / "sealift").glob("*kill-*")
        return set().union(*map(staged, jobs))


@pytest.fixture(scope="module", params=["xet", pytest.param("lfs", marks=pytest.mark.long)])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("hub")
    source = albums(folder / "source", configs=None, also={"extra/": ["notes.csv"]})
    publish_albums(source, folder / "out", workers=1)
    options = ["--no-xet"] if request.param == "lfs" else []
    with start_hub(folder / request.param, *options) as hub:
        environment = hub.environment(folder / "home")
        with Publisher(folder / "home" / "publisher", environment) as publisher:
            yield Place(hub, f"{hub.namespace}/kill", publisher, source, folder / "home", shards_of(folder / "out"))


@dataclass(frozen=True)
class Whole:
    """A run that nobody interrupted: the tree, the bytes that the Hub took, how long, how many boundaries."""

    tree: dict[str, Any]
    received: int
    seconds: float
    steps: int


def whole(place: Place, workers: int) -> Whole:
    before, began = place.received(), time.monotonic()
    ended = place.run(at=["journal"], workers=workers)
    assert ended.code == 0, ended.said
    seconds = time.monotonic() - began
    made = Whole(place.tree(), place.received() - before, seconds, ended.steps)
    place.forget()
    return made


def gone_on(place: Place, wanted: Whole, workers: int, kill: Callable[[], Ended]) -> bool:
    """Kill a run, run the same again, and hold what there is then against an uninterrupted one; whether it was killed.

    At most the shards in flight are packed, and their bytes received, twice.
    """
    before = place.received()
    first = kill()
    proven = place.proven()
    second = place.run(at=[], workers=workers)
    assert second.code == 0, second.said
    assert place.tree() == wanted.tree
    assert place.commits() == 1
    largest = max(size for _, size, *_ in wanted.tree.values())
    assert place.received() - before <= wanted.received + workers * largest + SLACK
    check_done_once([first, second], [proven], place.shard_of, workers)
    assert not place.proven()
    place.forget()
    return first.was_killed


@pytest.mark.parametrize(
    ("workers", "every"),
    [
        (1, 25),
        pytest.param(1, 1, marks=pytest.mark.long),
        pytest.param(2, 1, marks=pytest.mark.long),
    ],
)
def test_killed_at_the_boundaries_of_the_journal(place: Place, workers: int, every: int) -> None:
    """Whatever the journal says when the run is killed, the next one comes to the same tree by one commit."""
    wanted = whole(place, workers)
    killed = [
        gone_on(place, wanted, workers, partial(place.run, at=["journal"], step=step, workers=workers))
        for step in range(2, wanted.steps, every)
    ]
    assert all(killed[:-1])


@pytest.mark.parametrize(
    ("workers", "times"),
    [(2, 2), pytest.param(1, 400, marks=pytest.mark.long), pytest.param(2, 200, marks=pytest.mark.long)],
)
def test_killed_at_any_instant(place: Place, workers: int, times: int) -> None:
    """The whole group of processes is killed at once, at random instants: in the middle of a request, too."""
    wanted = whole(place, workers)
    chance, seconds, count = random.Random(10 * times + workers), wanted.seconds, 0

    def kill() -> Ended:
        leader = place.publisher.begin(place.source, place.name, at=[], workers=workers, **place.access)
        time.sleep(chance.uniform(0.2, 1) * seconds)
        killed(leader)
        return place.publisher.end()

    for _ in range(times):
        if gone_on(place, wanted, workers, kill):
            count += 1
        else:  # too late: the machine has less to do than when the time was taken
            seconds *= 0.9
    assert count >= times // 3


@pytest.mark.long
@pytest.mark.parametrize("every", [1])
def test_killed_before_and_after_each_request(place: Place, every: int) -> None:
    """The commit may have been sent, taken, answered or none of it: there is one in the end."""
    wanted = whole(place, 1)
    steps = place.run(at=["wire"]).steps
    place.forget()
    for step in range(0, steps, every):
        gone_on(place, wanted, 1, partial(place.run, at=["wire"], step=step))
