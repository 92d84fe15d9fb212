"""Large publications: many files, many rows, much to delete; the progress is right, and the branch moves once."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import CommitOperationAdd, HfApi
from tests.hubs import Hub, start_hub

from sealift.build import Built, build
from sealift.build.places import Access
from sealift.model.event import Advanced, Event, Finished, Started
from sealift.spec import Spec

CONFIGS: dict[str, Any] = {
    "all": {"default": True},
    "one": {"drop": ["second"]},
    "two": {"drop": ["first"]},
    "words": {"columns": ["id", "word", "number"]},
    "numbers": {"columns": ["id", "number"]},
}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with start_hub(tmp_path_factory.mktemp("hub") / "state") as hub:
        yield hub


def corpus(folder: Path, rows: int, **keys: Any) -> Path:
    """Rows with two small files each, in two splits, and their spec."""
    lines = ["id,word,number,first,second,split"]
    for number in range(rows):
        for column in ("first", "second"):
            path = folder / f"{column}/{number // 1000}/{number}.bin"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(f"{column} of {number};".encode() * (1 + number % 5))
        paths = [f"{column}/{number // 1000}/{number}.bin" for column in ("first", "second")]
        lines.append(f"r{number:06},word {number},{number},{','.join(paths)},{'train' if number % 10 else 'test'}")
    (folder / "rows.csv").write_text("\n".join(lines) + "\n")
    said = {
        "from": ".",
        "tables": {"t": "rows.csv"},
        "rows": "SELECT * FROM t ORDER BY id",
        "key": "id",
        "split": {"column": "split"},
        "media": {"first": "binary", "second": "binary"},
        "configs": CONFIGS,
        "card": {"license": "mit"},
    }
    (folder / "sealift.yaml").write_text(yaml.safe_dump({**said, **keys}, sort_keys=False))
    return folder / "sealift.yaml"


def publish(hub: Hub, spec: Path, to: str, events: list[Event], **options: Any) -> Built:
    access = Access(hub.endpoint, hub.token)
    return build(Spec.load(spec), to, workers=2, access=access, on_event=events.append, **options)


@contextmanager
def heads(hub: Hub, repository: str) -> Iterator[list[str]]:
    """Every commit that the branch was seen at, in order, by one who looks all the time."""
    seen: list[str] = []
    over = threading.Event()
    api = HfApi(endpoint=hub.endpoint, token=hub.token)

    def look() -> None:
        while not over.is_set():
            sha = str(api.dataset_info(repository).sha)
            if seen[-1:] != [sha]:
                seen.append(sha)
            time.sleep(0.01)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield seen
    finally:
        time.sleep(0.3)
        over.set()
        watcher.join()


def check_progress(events: list[Event]) -> None:
    """Each stage that promised totals has reached them, exactly."""
    begun = [event for event in events if isinstance(event, Started)]
    assert [one.stage for one in begun] == ["plan", "pack", "publish"]
    assert [one.stage for one in events if isinstance(one, Finished)] == ["plan", "pack", "publish"]
    for stage in begun[1:]:
        moved = [one for one in events if isinstance(one, Advanced) and one.stage == stage.stage]
        assert (stage.bytes, stage.files) == (sum(one.bytes for one in moved), sum(one.files for one in moved))


def check_whole(hub: Hub, built: Built, rows: int) -> None:
    """What the card lists is what the manifest says and the tree holds: configs, splits, rows, shards."""
    api = HfApi(endpoint=hub.endpoint, token=hub.token)
    info = api.dataset_info(built.to, files_metadata=True)
    assert info.sha == built.revision
    sizes = {one.rfilename: one.size for one in info.siblings or []}
    manifest = built.publication.manifest
    assert {path: size for path, (size, _) in manifest.paths().items()}.items() <= sizes.items()
    card: Any = info.card_data
    splits = {one["config_name"]: {s["name"]: s["num_examples"] for s in one["splits"]} for one in card["dataset_info"]}
    assert splits == {config.name: {s.name: s.rows for s in config.splits} for config in manifest.configs}
    assert {sum(split.values()) for split in splits.values()} == {rows}


def run(hub: Hub, folder: Path, rows: int, **keys: Any) -> Built:
    """Publish twice: the second, with every row changed, replaces the first in one step."""
    spec, to = corpus(folder, rows, **keys), hub.name("scale")
    first = publish(hub, spec, to, [])
    text = (folder / "rows.csv").read_text()
    (folder / "rows.csv").write_text(text.replace("word ", "another word "))
    events: list[Event] = []
    with heads(hub, to) as seen:
        built = publish(hub, spec, to, events)
    check_progress(events)
    check_whole(hub, built, rows)
    assert seen == [first.revision, built.revision]
    return built


@pytest.mark.long
def test_thirty_files(hub: Hub, tmp_path: Path) -> None:
    """The short form of `test_thirteen_hundred_files`."""
    built = run(hub, tmp_path, 30, shards={"rows": 1}, configs={"default": {}})
    assert len(built.publication.manifest.shards) == 30


@pytest.mark.long
def test_a_thousand_rows_in_five_configs(hub: Hub, tmp_path: Path) -> None:
    """The short form of `test_thirty_thousand_rows_in_five_configs`."""
    built = run(hub, tmp_path, 1_000, shards={"max_bytes": "20kB", "row_group_rows": 200})
    assert len(built.publication.manifest.shards) > 15


@pytest.mark.long
def test_thirteen_hundred_files(hub: Hub, tmp_path: Path) -> None:
    """A publication of 1,300 shards: one commit, one visible change, every file of it there."""
    built = run(hub, tmp_path, 1_300, shards={"rows": 1}, configs={"default": {}})
    assert len(built.publication.manifest.shards) == 1_300


@pytest.mark.long
def test_thirty_thousand_rows_in_five_configs(hub: Hub, tmp_path: Path) -> None:
    """30,000 rows with 60,000 files, in five configs and two splits."""
    built = run(hub, tmp_path, 30_000, shards={"max_bytes": "400kB", "row_group_rows": 1000})
    assert len(built.publication.manifest.shards) > 15


@pytest.mark.long
def test_twenty_thousand_files_are_purged_in_few_operations(hub: Hub, tmp_path: Path) -> None:
    """20,000 files in folders go with one commit, whose request is small: folders are named, not their files."""
    spec, to = corpus(tmp_path, 30), hub.name("purge")
    api = HfApi(endpoint=hub.endpoint, token=hub.token)
    api.create_repo(to, repo_type="dataset")
    files = [CommitOperationAdd(f"wav/{n % 50}/{n}.txt", b"%d" % (n % 100)) for n in range(20_000)]
    api.create_commit(
        to, [*files, CommitOperationAdd("all/old.txt", b"old")], commit_message="raw", repo_type="dataset"
    )
    built = publish(hub, spec, to, [], purge=True)
    assert len(built.publication.deleted) == 20_001
    check_whole(hub, built, 30)
    assert [one.title for one in api.list_repo_commits(to, repo_type="dataset")][1:] == ["raw", "initial commit"]
    there = {one.rfilename for one in api.dataset_info(to).siblings or []}
    assert there == {*built.publication.manifest.paths(), ".sealift/manifest.json", ".gitattributes"}
