"""The journal: what is written down holds, whoever reads it, and one process at a time writes."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sealift.errors import DestinationBusy, DestinationError
from sealift.journal import Journal
from sealift.journal.database import NAME
from sealift.journal.progress import progress
from sealift.journal.records import Basis, Count
from sealift.model.manifest import PublishedFile
from sealift.model.plan import PlannedShard
from sealift.model.receipt import Finding, Made, Receipt
from sealift.ports import Staged

BASIS = Basis({"key": ["id"]}, {"default": "a1"}, "f1", {"sealift": "0", "pyarrow": "1"}, "c0ffee")
HELD = """
import sys, time
from pathlib import Path
from sealift.journal import Journal
with Journal(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def shard(number: int) -> PlannedShard:
    path = f"data/train-{number:05}-of-00003.parquet"
    return PlannedShard("default", "train", number, path, 10 * number, (4, 6), 10, 1000 + number, 9999)


def receipt(number: int, **changes: object) -> Receipt:
    found = (Finding("sound", "is cut short", 2, "a/b.flac"),)
    made = Made(f"identity {number}", f"part {number}")
    path = shard(number).path
    said = {"sha256": "5" * 64, "cells": 10, "media_bytes": 1000, "digest": "d" * 64, "xet_hash": None}
    said |= {"findings": found, "made": made, "rows": 10, "size": 2000, **changes}
    return Receipt(path=path, config="default", split="train", index=number, **said)  # type: ignore[arg-type]


SHARDS = [shard(number) for number in range(3)]


@contextmanager
def begun(folder: Path, basis: Basis = BASIS) -> Iterator[Journal]:
    """A journal with the three shards written down."""
    with Journal(folder) as journal:
        journal.begin("org/name", "http://hub/org/name", basis, SHARDS)
        yield journal


def test_nothing_is_there_before_a_job_is_begun(tmp_path: Path) -> None:
    """Who takes the lock and begins nothing leaves no job behind; in passing, not even a folder."""
    with Journal(tmp_path / "jobs" / "one") as journal:
        assert not journal.under_way
        assert journal.sent == 0
        assert journal.uncertain() is None
    assert progress(tmp_path / "jobs" / "one") is None
    with Journal(tmp_path / "beside" / "job", passing=True):
        pass
    assert not (tmp_path / "beside").exists()


def test_what_was_staged_is_known_to_the_next_process(tmp_path: Path) -> None:
    """Receipts, with findings and what they were made of, come back as they were written; the job keeps its id."""
    with begun(tmp_path) as journal:
        job = journal.job
        journal.packed(SHARDS[0].path)
        journal.packed(SHARDS[1].path)
        journal.staged(receipt(1))
    with Journal(tmp_path) as journal:
        assert journal.under_way
        assert journal.job == job
        [found] = journal.receipts().values()
        assert (found, found.made) == (receipt(1), receipt(1).made)
        assert journal.begin("org/name", None, BASIS, SHARDS) == BASIS
        assert list(journal.receipts()) == [SHARDS[1].path]


def test_a_job_tells_what_it_was_planned_from_and_keeps_what_is_planned_still(tmp_path: Path) -> None:
    """A changed plan is answered with the old one; staged shards that are not planned now may be once more."""
    with begun(tmp_path) as journal:
        for number in range(3):
            journal.staged(receipt(number))
    other = Basis({"key": ["name"]}, {"default": "a2"}, "f2", {"sealift": "0", "pyarrow": "2"}, None)
    with Journal(tmp_path) as journal:
        assert journal.begin("org/name", None, other, SHARDS[1:]) == BASIS
        assert journal.left == 2
    with Journal(tmp_path) as journal:
        assert journal.begin("org/name", None, other, SHARDS) == other
        assert journal.receipts().keys() == {one.path for one in SHARDS}


def test_what_is_packed_again_counts_no_more(tmp_path: Path) -> None:
    """A shard or file that the destination lost has neither receipt nor pin, and is planned."""
    with begun(tmp_path) as journal:
        journal.staged(receipt(0))
        journal.staged(receipt(2))
        journal.pinned([SHARDS[0].path, SHARDS[2].path], "pull request 1")
        journal.keep_beside("v1", PublishedFile("notes.csv", "also", 3, "5" * 64), Staged("notes.csv", 3))
        journal.again([SHARDS[0].path, "notes.csv"])
        assert list(journal.receipts()) == [SHARDS[2].path]
        assert journal.beside("notes.csv", "v1") is None
        journal.staged(receipt(0))
        assert journal.unpinned() == [SHARDS[0].path]


def test_a_file_beside_counts_as_long_as_it_is_made_of_the_same(tmp_path: Path) -> None:
    """It comes back with all that is known of it, its bytes too if they were held."""
    file = PublishedFile("notes.csv", "also", 3, "5" * 64, rows=2, columns=("id", "note"), source="n.csv", version="7")
    staged = Staged("notes.csv", 3, "5" * 64, data=b"a\xff\0")
    with begun(tmp_path) as journal:
        journal.keep_beside("v1", file, staged)
    with Journal(tmp_path) as journal:
        assert journal.beside("notes.csv", "v1") == (file, staged)
        assert journal.beside("notes.csv", "v2") is None


def test_a_commit_is_known_whole_until_its_outcome_is(tmp_path: Path) -> None:
    """Whoever comes next has every line of it, in its order, and the parent; an outcome ends that."""
    files = {"b/x": Staged("x", 9, "1" * 64, "2" * 64), "README.md": Staged("README.md", 2, "3" * 64, data=b"hi")}
    with begun(tmp_path) as journal:
        assert journal.intend("c0ffee", files, ["old"], "Publish\n\nbody", last=True) == 1
    with Journal(tmp_path) as journal:
        sent = journal.uncertain()
        assert sent is not None
        assert (sent.number, sent.parent, sent.gone, sent.message) == (1, "c0ffee", ("old",), "Publish\n\nbody")
        assert list(sent.files.items()) == list(files.items())
        journal.refused(1)
        assert journal.uncertain() is None
        unsent = journal.unsent()
        assert unsent is not None
        assert list(unsent.files) == list(files), "it can be sent again"
        assert journal.intend("c0ffee", {SHARDS[0].path: Staged(SHARDS[0].path, 1)}, [], "again", last=True) == 2
        journal.landed(2, "beef")
        assert journal.unsent() is None
        assert journal.sent == 2


def test_the_last_commit_has_all_that_is_staged(tmp_path: Path) -> None:
    """Also shards that it does not name, since their bytes were there already; one before it has what it names."""
    with begun(tmp_path) as journal:
        for number in range(3):
            journal.staged(receipt(number))
        files = {SHARDS[0].path: Staged(SHARDS[0].path, 1)}
        journal.landed(journal.intend("c0ffee", files, [], "one of two", last=False), "beef")
        assert journal.left == 2
        journal.landed(journal.intend("beef", {}, [], "two of two", last=True), "f00d")
        assert journal.left == 0


def test_a_job_that_is_over_begins_anew(tmp_path: Path) -> None:
    """Nothing of it is counted for the next one, which has an id of its own; its index parts are gone."""
    with begun(tmp_path) as journal:
        job = journal.job
        journal.staged(receipt(0))
        (journal.parts / "default").mkdir(parents=True)
        (journal.parts / "default" / "train-00000.parquet").write_bytes(b"x")
        journal.finish("beef")
        assert not journal.parts.exists()
        assert not journal.under_way
    with begun(tmp_path) as journal:
        assert journal.job != job
        assert journal.receipts() == {}
        assert journal.sent == 0


def test_one_process_at_a_time_works_on_a_job(tmp_path: Path) -> None:
    """The second is refused and told by whom; the lock of one that was killed is not in the way."""
    words = [sys.executable, "-c", HELD, str(tmp_path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as other:
        try:
            assert other.stdout is not None
            assert other.stdout.readline() == "held\n"
            with pytest.raises(DestinationBusy) as refused, Journal(tmp_path):
                pass
            assert refused.value.fields["pid"] == other.pid
        finally:
            os.kill(other.pid, signal.SIGKILL)
    with Journal(tmp_path):
        pass


def test_progress_is_seen_while_a_process_is_at_work(tmp_path: Path) -> None:
    """Counts by state, the process at work, the error that ended the last run."""
    with begun(tmp_path / "jobs" / "one") as journal:
        journal.packed(SHARDS[0].path)
        journal.staged(receipt(1))
        seen = progress(tmp_path / "jobs" / "one")
        assert seen is not None
        assert seen.running is not None
        assert seen.running["pid"] == os.getpid()
    assert {state: count.shards for state, count in seen.shards.items()} == {
        "planned": 1, "packed": 1, "staged": 1, "committed": 0,
    }  # fmt: skip
    assert seen.shards["staged"] == Count(1, 10, 1001)
    with (
        pytest.raises(DestinationError),
        Journal(tmp_path / "jobs" / "one") as journal,
    ):
        journal.intend(None, {}, [], "Publish", last=True)
        raise DestinationError("the disk is full", hint="make room")
    seen = progress(tmp_path / "jobs" / "one")
    assert seen is not None
    assert (seen.error, seen.uncertain, seen.running) == ("the disk is full", True, None)


def test_the_journal_is_private(tmp_path: Path) -> None:
    """Nobody else may read what a job says, whatever the umask."""
    before = os.umask(0)
    try:
        with begun(tmp_path / "job") as journal:
            journal.staged(receipt(0))
            modes = {file.name: file.stat().st_mode & 0o777 for file in (tmp_path / "job").iterdir()}
            assert (tmp_path / "job").stat().st_mode & 0o777 == 0o700
    finally:
        os.umask(before)
    assert set(modes) == {NAME, f"{NAME}-wal", f"{NAME}-shm", "lock"}
    assert set(modes.values()) == {0o600}


def test_a_journal_of_another_version_is_left_alone(tmp_path: Path) -> None:
    """It is refused with what to do, and nothing in it is changed; one that was never completed is none."""
    with begun(tmp_path):
        pass
    with sqlite3.connect(tmp_path / NAME) as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(DestinationError, match="another version"), Journal(tmp_path):
        pass
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / NAME).touch()
    with begun(tmp_path / "new") as journal:
        assert journal.under_way


def test_a_folder_that_cannot_be_used_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    """`--state` is named."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DestinationError) as refused, Journal(tmp_path / "file" / "job"):
        pass
    assert "--state" in refused.value.hint
    (tmp_path / NAME).write_bytes(json.dumps({"no": "database"}).encode() * 100)
    with pytest.raises(DestinationError), Journal(tmp_path):
        pass
