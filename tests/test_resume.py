"""Going on with a job: what is proven counts, what changed is told, and the result is that of a fresh run."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.albums import albums, digests, manifest_of, publish_albums, tracks, write_spec, write_tracks
from tests.jobs import Counted, Pulled

from sealift.build import build
from sealift.build.places import Access
from sealift.errors import DestinationBusy, SourceChanged
from sealift.journal.database import NAME
from sealift.spec import Spec

SHARDS = 5
LAST = 3
"""So many of them are staged when a run is cut off."""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Five shards in two splits, each file in one of them, and a table beside."""
    return albums(tmp_path / "source", configs=None, also={"extra/": ["notes.csv"]})


def cut_off(source: Path, to: str | Path, **options: Any) -> Counted:
    """A run that ends after some shards are staged, however it likes."""
    heard = Counted(after=LAST)
    with pytest.raises(Pulled):
        publish(source, to, heard, **options)
    assert len(heard.packed) == LAST + 1
    return heard


def publish(source: Path, to: str | Path, heard: Counted, **options: Any) -> None:
    build(Spec.load(source / "sealift.yaml"), str(to), workers=1, access=Access(**options), on_event=heard)


def fresh(source: Path) -> dict[str, str]:
    """What a run that nobody cut off publishes now."""
    out = source.parent / "fresh" / "out"
    publish_albums(source, out, workers=1)
    return digests(out)


def nothing(source: Path) -> None:
    """All stays as it was."""


def other_words(source: Path) -> None:
    """In the card, and in the table beside."""
    write_spec(source, configs=None, also={"extra/": ["notes.csv"]}, card={"license": "cc0-1.0"})
    (source / "notes.csv").write_bytes(b"id,note\ntrack-00,other\n")


def another_file(source: Path) -> None:
    """One in the second shard, of the same size."""
    cover = source / "pages" / "11-0.png"
    cover.write_bytes(cover.read_bytes()[:-1] + b"\1")


def another_cut(source: Path) -> None:
    write_spec(source, configs=None, also={"extra/": ["notes.csv"]}, shards={"max_bytes": "30kB", "row_group_rows": 4})


def one_row_less(source: Path) -> None:
    """The last one of the first split."""
    write_tracks(source, [row for row in tracks(source) if row["id"] != "track-15"])


@pytest.mark.parametrize(
    ("change", "told", "counts"),
    [
        (nothing, "3 of 5 shards are there already", 3),
        (other_words, "the spec was changed: 3 of 5 shards still count", 3),
        (another_file, "files of the source were changed: 2 of 5 shards still count", 2),
        (another_cut, "the spec was changed, the rows, or how they are cut, are others: 0 of ", 0),
        (one_row_less, "the rows, or how they are cut, are others: 2 of 5 shards still count", 2),
    ],
)
def test_what_changed_is_told_and_what_counts_is_kept(
    source: Path, tmp_path: Path, change: Callable[[Path], None], told: str, counts: int
) -> None:
    """Whatever changed since a run was cut off, the next one says so with what still counts, packs the rest alone, and
    comes to the bytes of a run that never knew of the first."""
    out, again = tmp_path / "out", Counted()
    cut_off(source, out)
    assert not out.exists()
    change(source)
    publish(source, out, again)
    assert any(told in said and said.startswith("going on with the job begun ") for said in again.heard), again.heard
    assert len(manifest_of(out).shards) - len(again.packed) == counts
    assert digests(out) == fresh(source)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["fresh", "out", "source"]


def test_another_version_of_a_library_counts_no_more(source: Path, tmp_path: Path) -> None:
    """Shards of one manifest are of one version of the writers: those of another are packed again."""
    out = tmp_path / "out"
    cut_off(source, out)
    with sqlite3.connect(tmp_path / ".out.sealift" / "job" / NAME) as database:
        [[said]] = database.execute("SELECT value FROM job WHERE name = 'basis'").fetchall()
        basis = json.loads(said)
        now = basis["versions"]["pyarrow"]
        basis["versions"]["pyarrow"] = "1.2.3"
        database.execute("UPDATE job SET value = ? WHERE name = 'basis'", (json.dumps(basis),))
        for path, text in database.execute("SELECT path, receipt FROM shard WHERE receipt IS NOT NULL").fetchall():
            receipt = json.loads(text)
            receipt["made"]["identity"] = "of another version"
            database.execute("UPDATE shard SET receipt = ? WHERE path = ?", (json.dumps(receipt), path))
    again = Counted()
    publish(source, out, again)
    assert any(f"pyarrow was 1.2.3 and is {now}: 0 of 5 shards still count" in said for said in again.heard)
    assert len(again.packed) == SHARDS
    assert digests(out) == fresh(source)


def test_a_staged_file_that_is_gone_is_packed_again(source: Path, tmp_path: Path) -> None:
    """So is one whose index records are gone, or are not those that belong to it."""
    out, beside = tmp_path / "out", tmp_path / ".out.sealift"
    before = cut_off(source, out)
    (beside / "staged" / before.packed[0]).unlink()
    part = sorted((beside / "job" / "parts").rglob("*.parquet"))[-1]
    part.write_bytes(part.read_bytes()[:-1])
    again = Counted()
    publish(source, out, again)
    assert before.packed[0] in again.packed
    assert len(again.packed) == SHARDS - LAST + 1 + (part.stem not in ("train-00000", "test-00001"))
    assert digests(out) == fresh(source)


def test_some_configs_at_a_time(tmp_path: Path) -> None:
    """A run that commits config by config goes on where it was; what is committed is not packed again."""
    source = albums(tmp_path / "source")
    out, heard = tmp_path / "out", Counted(after=LAST)
    spec = Spec.load(source / "sealift.yaml")
    with pytest.raises(Pulled):
        build(spec, str(out), workers=1, commit_per_config=True, on_event=heard)
    again = Counted()
    build(spec, str(out), workers=1, commit_per_config=True, on_event=again)
    assert not set(heard.packed[:LAST]) & set(again.packed)
    one = Counted()
    build(spec, str(tmp_path / "fresh" / "out"), workers=1, commit_per_config=True, on_event=one)
    assert sorted({*heard.packed, *again.packed}) == sorted(one.packed)
    assert digests(out) == digests(tmp_path / "fresh" / "out")


def test_the_state_can_lie_elsewhere(source: Path, tmp_path: Path) -> None:
    """With `state` the record of a job to a folder lies there; a copy of it counts as well as the first."""
    out, again = tmp_path / "out", Counted()
    before = cut_off(source, out, state=tmp_path / "state")
    shutil.move(tmp_path / "state", tmp_path / "other")
    publish(source, out, again, state=tmp_path / "other")
    assert not set(before.packed[:LAST]) & set(again.packed)
    assert digests(out) == fresh(source)


def test_another_process_is_refused(source: Path, tmp_path: Path) -> None:
    """While one is at work on the job a second one is told by whom, and harms nothing; elsewhere kept state or not."""
    out, state = tmp_path / "out", tmp_path / "state"
    refused: list[DestinationBusy] = []

    class Second(Counted):
        def note(self, path: str) -> None:
            with pytest.raises(DestinationBusy) as caught:
                publish(source, out, Counted(), state=state)
            refused.append(caught.value)

    publish(source, out, Second(), state=state)
    assert [one.fields["pid"] for one in refused] == [os.getpid()] * SHARDS
    assert digests(out) == fresh(source)


def test_a_source_that_changes_while_it_is_packed(source: Path, tmp_path: Path) -> None:
    """The run names the file and publishes nothing; the next one takes it as it is now, and packs the rest alone."""
    out, changed = tmp_path / "out", source / "pages" / "19-0.png"

    class Changing(Counted):
        def note(self, path: str) -> None:
            if len(self.packed) == LAST:
                changed.write_bytes(changed.read_bytes() + b"more")

    first, again = Changing(), Counted()
    with pytest.raises(SourceChanged) as caught:
        publish(source, out, first)
    assert caught.value.fields["path"] == "pages/19-0.png"
    assert not out.exists()
    publish(source, out, again)
    assert not set(first.packed) & set(again.packed)
    assert digests(out) == fresh(source)
