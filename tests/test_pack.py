"""Packing: the same plan gives the same bytes, each media byte is proven, and what changed meanwhile is named."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import blake3
import pyarrow.parquet as pq
import pytest
from tests.albums import ROWS, albums, digests, files, manifest_of, publish_albums, tracks, write_spec, write_tracks

from sealift.build import Built
from sealift.build.packing import starting
from sealift.errors import DestinationError, PlanRefused, SourceChanged, SourceMissing
from sealift.model import manifest
from sealift.model.event import Advanced, Event, Finished, Started
from sealift.plan.estimate import Memory
from sealift.runners.local import Spares


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return albums(tmp_path_factory.mktemp("albums"))


@pytest.fixture(scope="module")
def out(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published") / "out"
    publish_albums(source, folder, workers=1)
    return folder


def test_the_corpus_is_cut(out: Path) -> None:
    """What these tests say of shards and row groups is said of several."""
    shards = [shard for shard in manifest_of(out).shards if shard.config == "full"]
    groups = [pq.read_metadata(out / shard.path).num_row_groups for shard in shards]
    assert len([shard for shard in shards if shard.split == "train"]) >= 3
    assert max(groups) >= 2


def test_two_workers_give_the_same_bytes(source: Path, out: Path, tmp_path: Path) -> None:
    """Every published file, the manifest included, is equal to the byte whatever the number of workers."""
    publish_albums(source, tmp_path / "out", workers=2)
    assert digests(tmp_path / "out") == digests(out)


def test_another_place_and_time_give_the_same_bytes(source: Path, out: Path, tmp_path: Path) -> None:
    """A copy of the source elsewhere with other modification times gives the same files; in the manifest only the
    versions at the source differ, and their fingerprint."""
    copy = tmp_path / "deep" / "er" / "copy"
    shutil.copytree(source, copy)
    for number, file in enumerate(sorted(copy.rglob("*"))):
        os.utime(file, ns=(0, 10**18 + number))
    publish_albums(copy, tmp_path / "out", workers=1)
    ours, theirs = digests(tmp_path / "out"), digests(out)
    assert ours.pop(manifest.PATH) != theirs.pop(manifest.PATH)
    assert ours == theirs
    first, second = manifest_of(tmp_path / "out"), manifest_of(out)
    assert [config.fingerprint for config in first.configs] != [config.fingerprint for config in second.configs]
    assert _without_versions(first) == _without_versions(second)


def _without_versions(made: Any) -> Any:
    configs = tuple(dataclasses.replace(config, fingerprint="") for config in made.configs)
    files = tuple(dataclasses.replace(file, version=None) for file in made.files)
    return dataclasses.replace(made, configs=configs, files=files)


def test_the_memory_budget_does_not_change_a_byte(source: Path, out: Path, tmp_path: Path) -> None:
    """How much memory there is decides what runs at once, never what comes out."""
    publish_albums(source, tmp_path / "out", workers=2, memory=300_000_000)
    assert digests(tmp_path / "out") == digests(out)


def test_receipts_prove_what_lies_there(out: Path) -> None:
    """Rows, size and SHA-256 of every receipt are those of the file, and no shard is larger than was promised."""
    for shard in manifest_of(out).shards:
        data = (out / shard.path).read_bytes()
        assert (shard.size, shard.sha256) == (len(data), hashlib.sha256(data).hexdigest())
        assert shard.rows == pq.read_metadata(out / shard.path).num_rows
        assert shard.size <= 20_000


def test_receipts_prove_the_media(source: Path, out: Path) -> None:
    """A receipt counts its cells and their bytes, and its digest is that of their digests in the index's order."""
    for shard in manifest_of(out).shards:
        if shard.config == "words":
            assert (shard.cells, shard.media_bytes, shard.digest) == (0, 0, blake3.blake3().hexdigest())
            continue
        index = pq.read_table(out / f".sealift/index/{shard.config}-00000-of-00001.parquet").to_pylist()
        cells = [cell for cell in index if cell["shard"] == shard.path]
        assert (shard.cells, shard.media_bytes) == (len(cells), sum(cell["size"] for cell in cells))
        together = b"".join(blake3.blake3((source / cell["path"]).read_bytes()).digest() for cell in cells)
        assert shard.digest == blake3.blake3(together).hexdigest()


def test_progress_adds_up(source: Path, tmp_path: Path) -> None:
    """Events of packing come to exactly the bytes and files that were announced."""
    heard: list[Event] = []
    publish_albums(source, tmp_path / "out", workers=2, on_event=heard.append)
    packing = [event for event in heard if getattr(event, "stage", "") == "pack"]
    assert isinstance(packing[0], Started)
    assert isinstance(packing[-1], Finished)
    steps = [event for event in packing if isinstance(event, Advanced)]
    assert packing[0].bytes == sum(step.bytes for step in steps) > 0
    assert packing[0].files == sum(step.files for step in steps) > 0


def _touch(file: Path) -> None:
    os.utime(file, ns=(0, 1))


def _grow(file: Path) -> None:
    file.write_bytes(file.read_bytes() + b"more")


def _empty(file: Path) -> None:
    file.write_bytes(b"")


@pytest.mark.parametrize(
    ("change", "error", "workers"),
    [
        (_touch, SourceChanged, 1),
        (_grow, SourceChanged, 2),
        (_empty, SourceChanged, 1),
        (Path.unlink, SourceMissing, 1),
    ],
)
def test_a_file_that_changed_since_the_plan_is_named(tmp_path: Path, change: Any, error: Any, workers: int) -> None:
    """Changed, cut or gone between plan and packing: the error names file and key, and nothing is published."""
    source = albums(tmp_path / "source", shards={"max_bytes": "12kB"})

    def on_event(event: Event) -> None:
        if isinstance(event, Started) and event.stage == "pack":
            change(source / "scores/09.mid")

    with pytest.raises(error, match=r"scores/09\.mid") as caught:
        publish_albums(source, tmp_path / "out", workers=workers, on_event=on_event)
    assert caught.value.fields == {"path": "scores/09.mid", "key": "track-09"}
    assert not (tmp_path / "out").exists()
    assert {one.name for one in (tmp_path / ".out.sealift").iterdir()} == {"job", "owner", "staged"}


def test_a_row_without_a_key_is_named_by_its_number(tmp_path: Path) -> None:
    """Without `key:` a row is named by config, split and number."""
    source = albums(tmp_path / "source", key=None)

    def on_event(event: Event) -> None:
        if isinstance(event, Started) and event.stage == "pack":
            _grow(source / "scores/09.mid")

    with pytest.raises(SourceChanged) as caught:
        publish_albums(source, tmp_path / "out", workers=1, on_event=on_event)
    assert caught.value.fields["key"] == "scores/train/9"


def _spoil(source: Path) -> None:
    """Two sounds are web pages, one is cut."""
    for number in (0, 4):
        (source / f"sounds/a/{number:02}.flac").write_bytes(b"<!DOCTYPE html><html>not found</html>")
    cut = source / "sounds/a/08.flac"
    cut.write_bytes(cut.read_bytes()[:20])


def test_suspect_media_is_counted_once(tmp_path: Path) -> None:
    """A file that is not what its column says is a warning with a count, whatever the number of configs and shards
    that hold it; it is published all the same."""
    source = albums(tmp_path / "source", configs={"one": {"default": True}, "two": {"drop": ["pages"]}})
    _spoil(source)
    found = publish_albums(source, tmp_path / "out", workers=1).findings
    assert [(one.code, one.severity, one.place, one.count) for one in found] == [
        ("media-suspect", "warning", "sounds/a/00.flac", 2),
        ("media-suspect", "warning", "sounds/a/08.flac", 1),
    ]
    assert "is HTML" in found[0].message
    assert "truncated" in found[1].message
    assert (tmp_path / "out" / manifest.PATH).exists()


def test_strict_publishes_nothing_suspect(tmp_path: Path) -> None:
    """With `strict` the findings are errors, with counts and examples, and nothing is published."""
    source = albums(tmp_path / "source")
    _spoil(source)
    with pytest.raises(PlanRefused, match="HTML") as caught:
        publish_albums(source, tmp_path / "out", workers=1, strict=True)
    problems = caught.value.fields["problems"]
    assert [(one["severity"], one["count"], one["place"]) for one in problems] == [
        ("error", 2, "sounds/a/00.flac"),
        ("error", 1, "sounds/a/08.flac"),
    ]
    assert not (tmp_path / "out").exists()


def test_a_full_disk_leaves_the_destination_as_it_was(tmp_path: Path) -> None:
    """If a shard cannot be written, that is a DestinationError, and what was published before is untouched."""
    source, out = albums(tmp_path / "source"), tmp_path / "out"
    publish_albums(source, out, workers=1)
    before = files(out)
    rows = [{**row, "label": row["label"] + "!"} for row in tracks(source)]
    write_tracks(source, rows)
    program = f"""
import resource, signal
from pathlib import Path
from sealift.errors import DestinationError
from tests.albums import publish_albums
if __name__ == "__main__":
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    def fill(event):
        if getattr(event, "stage", "") == "pack":
            resource.setrlimit(resource.RLIMIT_FSIZE, (8000, resource.RLIM_INFINITY))
    try:
        publish_albums(Path({str(source)!r}), Path({str(out)!r}), workers=1, on_event=fill)
    except DestinationError as error:
        print(error.hint)
"""
    assert "make room" in _run(program, tmp_path)
    assert files(out) == before
    assert not (tmp_path / ".out.sealift").exists()


def _run(program: str, tmp_path: Path) -> str:
    file = tmp_path / "program.py"
    file.write_text(program)
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    return subprocess.run([sys.executable, file], check=True, capture_output=True, text=True, env=env).stdout


def test_rows_without_any_media_are_packed(tmp_path: Path) -> None:
    """A config whose media cells are all null has shards, and an empty or absent index."""
    source = albums(tmp_path / "source", configs={"only": {"columns": ["id", "sound"]}})
    write_tracks(source, [{**row, "sound": None} for row in tracks(source)])
    built: Built = publish_albums(source, tmp_path / "out", workers=1)
    assert not [file for file in built.publication.manifest.files if file.role == "index"]
    rows = pq.read_table(tmp_path / "out" / "only" / "train-00000-of-00001.parquet").to_pylist()
    assert {row["sound"] for row in rows} == {None}
    assert len(rows) == ROWS - 8


def test_a_file_in_two_cells_is_packed_twice(tmp_path: Path) -> None:
    """Cells that name one file each hold its bytes."""
    source = albums(tmp_path / "source")
    page = "pages/01-0.png"
    write_tracks(source, [{**row, "pages": [page, page]} for row in tracks(source)])
    publish_albums(source, tmp_path / "out", workers=1)
    shards = sorted((tmp_path / "out" / "full").glob("*.parquet"))
    pages = [cell for shard in shards for row in pq.read_table(shard).to_pylist() for cell in row["pages"]]
    assert len(pages) == 2 * ROWS
    assert {cell["path"] for cell in pages} == {page}
    assert {cell["bytes"] for cell in pages} == {(source / page).read_bytes()}


def test_nobody_else_publishes_meanwhile(tmp_path: Path) -> None:
    """A second run to the same folder is refused while the first one works, and the first one ends well."""
    source, out = albums(tmp_path / "source"), tmp_path / "out"
    refused: list[str] = []

    def on_event(event: Event) -> None:
        if isinstance(event, Started) and event.stage == "pack":
            with pytest.raises(DestinationError, match="is at work on this job") as caught:
                publish_albums(source, out, workers=1)
            refused.append(str(caught.value))

    publish_albums(source, out, workers=1, on_event=on_event)
    assert len(refused) == 1
    write_spec(source)
    assert publish_albums(source, out, workers=1).publication.written == ()


def test_a_script_needs_no_guard(tmp_path: Path) -> None:
    """Workers do not run the caller's script once more: without a guard it publishes once, with two workers, too."""
    source, out = albums(tmp_path / "source"), tmp_path / "out"
    program = f"""
from pathlib import Path
from tests.albums import publish_albums
print("once")
publish_albums(Path({str(source)!r}), Path({str(out)!r}), workers=2)
"""
    assert _run(program, tmp_path) == "once\n"
    assert (out / "README.md").exists()


@pytest.mark.parametrize(
    ("listed", "budget", "workers", "started"),
    [([10_000], 2_000_000_000, 2, 2), ([9_000, 900], 2_000_000_000, 2, 0), ([10_000], 500_000_000, 2, 0)],
)
def test_workers_start_while_a_large_plan_is_made(listed: list[int], budget: int, workers: int, started: int) -> None:
    """They are ready after it, if many files are listed, and if plan and workers together stay within the memory."""
    heard: list[Event] = []
    with Spares() as spares:
        on_event = starting(spares, Memory(budget, workers), heard.append)
        for files in listed:
            on_event(Advanced("plan", files=files))
        waiting = spares.taken(workers)
        assert len(waiting) == started
        for process in waiting:
            process.stop()
    assert [event.files for event in heard if isinstance(event, Advanced)] == listed
