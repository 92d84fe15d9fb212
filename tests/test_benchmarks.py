"""The harness of the benchmarks, on corpora of a few files. What it measures is not judged here."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from benchmarks.corpora import CORPORA, make
from benchmarks.figures import lines, spread
from benchmarks.one_run import from_line
from benchmarks.roster import CONTENDERS
from benchmarks.rounds import turns

ROOT = Path(__file__).resolve().parent.parent
SCALE = "0.002"
MEASURE = """\
import json, sys
from dataclasses import asdict
from pathlib import Path
from benchmarks.measure import measured
print(json.dumps(asdict(measured([sys.executable, "-c", sys.argv[1]], [int(sys.argv[2])], Path(sys.argv[3])))))
"""
CHILD = """\
import os, time
held = b"x" * 50_000_000
time.sleep(0.4)
until = time.process_time() + 0.1
while time.process_time() < until:
    pass
print(len(os.sched_getaffinity(0)))
"""
PARENT = f"""\
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", {CHILD!r}])
time.sleep(0.3)
"""
"""It ends before its child does, which it does not wait for."""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A round of four contenders on a small corpus; one of them is wrong."""
    folder = tmp_path_factory.mktemp("packing")
    _bench(folder, "--only", "cat,GNU tar,wrong,sealift", "--rounds", "1")
    return folder / "out"


def _bench(folder: Path, *options: str) -> str:
    command = [sys.executable, "-m", "benchmarks", "--root", str(folder), "--out", str(folder / "out"), *options]
    short = ["--corpora", "A", "--scale", SCALE, "--workers", "1"]
    return subprocess.run([*command, *short], cwd=ROOT, check=True, capture_output=True, text=True).stdout


def test_a_corpus_is_the_same_everywhere(tmp_path: Path) -> None:
    """The same numbers make the same files and the same rows: the digest of a small corpus is known."""
    folder = make(CORPORA["A"], tmp_path, 0.0002)
    files = sorted(folder.glob("audio/*/*"))
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()
    assert (len(files), digest) == (12, "e7375e629b43de29b035902e0ca020e5159bdcbfa8c564e70208b4b3d32f92b6")


def test_every_turn_is_measured_and_recorded(results: Path) -> None:
    """Each contender has a run, with its time and memory, whose rows and bytes were compared with the corpus."""
    runs = [from_line(line) for line in (results / "runs.jsonl").read_text().splitlines()]
    assert [run.contender for run in runs] == ["cat", "GNU tar", "wrong", "sealift"]
    assert all(run.checked and run.ordered for run in runs)
    ours = next(run for run in runs if run.contender == "sealift")
    assert ours.wall > 0 and ours.user > 0 and ours.anonymous > 10_000_000
    assert len(ours.shards) == 1 and ours.shards[0] > ours.media


def test_who_packs_other_bytes_is_reported(results: Path) -> None:
    """A contender whose output differs by one byte has failed, in the record and in the table."""
    runs = [from_line(line) for line in (results / "runs.jsonl").read_text().splitlines()]
    assert [run.problem for run in runs if run.contender == "wrong"] == [
        "row A0000119: other bytes than audio/000/000119.wav"
    ]
    assert "| *wrong* | 1 | 1 | failed: row A0000119" in (results / "packing.md").read_text()
    assert all(not run.problem for run in runs if run.contender != "wrong")


def test_the_table_and_the_plot_are_well_formed(results: Path) -> None:
    """Every row of the table has as many cells as its head; the plot is XML with a point for each sound contender."""
    table = (results / "packing.md").read_text()
    rows = [line for line in table.splitlines() if line.startswith("| ")]
    assert len(rows) == 5 and {line.replace("\\|", "").count("|") for line in rows} == {12}
    assert "What was aimed at" not in table  # only whole corpora are held against aims
    svg = ElementTree.fromstring((results / "packing.svg").read_text())
    points = [it for it in svg.iter("{http://www.w3.org/2000/svg}circle") if float(it.get("cy", 0)) > 64]
    assert len(points) == 3


def test_resuming_runs_only_what_is_not_there(results: Path) -> None:
    """Results that are there are kept and not measured again; who has failed is not tried in later rounds."""
    before = (results / "runs.jsonl").read_text().splitlines()
    said = _bench(results.parent, "--only", "cat,wrong", "--rounds", "2", "--resume").splitlines()
    *after, last = (results / "runs.jsonl").read_text().splitlines()
    assert after == before and len(said) == 1
    new = from_line(last)
    assert (new.contender, new.round, new.checked, new.problem) == ("cat", 1, False, "")


def test_memory_and_time_are_those_of_the_whole_tree(tmp_path: Path) -> None:
    """What a process leaves running counts as well, and has the one core that the process had."""
    command = [sys.executable, "-c", MEASURE, PARENT, "0", str(tmp_path / "log")]
    said = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    found: dict[str, Any] = json.loads(said)
    assert found["status"] == 0
    assert found["processes"] == 2
    assert found["anonymous"] > 50_000_000
    assert found["user"] + found["system"] > 0.1
    assert (tmp_path / "log").read_text() == "1\n"


def test_turns_rotate() -> None:
    """Every round has every contender once, and begins with another one."""
    some = CONTENDERS[:4]
    asked = list(turns(some, [1], 2))
    assert [turn.contender for turn in asked[:4]] == list(some)
    assert [turn.contender for turn in asked[4:]] == [*some[2:], *some[:2]]


def test_ratios_are_taken_within_a_round(results: Path) -> None:
    """A slow round is slow for all: the ratio is that of two runs of one round."""
    known = from_line((results / "runs.jsonl").read_text().splitlines()[0])
    runs = [
        replace(known, contender=name, round=number, wall=wall * slow, problem="")
        for number, slow in enumerate((1, 10))
        for name, wall in (("sealift", 1.0), ("cat", 0.5))
    ]
    cat = next(line for line in lines(runs, "A") if line.contender.name == "cat")
    assert cat.ratio == spread([0.5, 0.5])
