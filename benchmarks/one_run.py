"""One run of one contender: everything made ready, measured, checked, and cleared away."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from benchmarks.corpora import Corpus
from benchmarks.environments import ROOT, VENVS, python_of
from benchmarks.measure import Measured, measured
from benchmarks.roster import Contender, Place, command

PIECE = 1 << 20
SPEC = """\
from: {corpus}
tables: {{r: rows.parquet}}
rows: SELECT * FROM r
media: {{audio: audio}}
shards: {{max_bytes: {target}}}
"""
LEAST_TARGET = 16 << 20
"""Smaller shards are asked of nobody: a small corpus makes fewer."""
READING_MAY_TAKE = 900
"""Seconds."""


@dataclass(frozen=True)
class Bench:
    """A corpus that lies there, and where its shards go meanwhile."""

    corpus: Corpus
    scale: float
    place: Place
    venvs: Path = VENVS
    timeout: float = 900.0

    @property
    def target(self) -> int:
        """The bytes that a shard is to have: fewer where there are fewer files."""
        return max(LEAST_TARGET, int(self.corpus.target * min(1.0, self.scale)))

    @property
    def media(self) -> int:
        """The bytes of all files."""
        return int(self.corpus.sizes(self.scale).sum())


@dataclass(frozen=True)
class Run:
    """What came out. Seconds and bytes; `problem` is empty if all is well.

    `sync` is what writing back what lay in the page cache took afterwards. `checked` is said of a run whose rows and
    bytes were all read back; of the others, the bytes written are compared with such a one.
    """

    corpus: str
    scale: float
    contender: str
    workers: int
    round: int
    wall: float
    user: float
    system: float
    sync: float
    anonymous: int
    shared_once: int | None
    processes: int
    media: int
    target: int
    written: int
    shards: tuple[int, ...]
    checked: bool
    ordered: bool | None
    problem: str

    @property
    def key(self) -> tuple[str, float, str, int, int]:
        """What tells it from other runs."""
        return self.corpus, self.scale, self.contender, self.workers, self.round

    def line(self) -> str:
        """As JSON, in a line."""
        return json.dumps(asdict(self))


def from_line(line: str) -> Run:
    """The run that such a line says."""
    known = json.loads(line)
    return Run(**{**known, "shards": tuple(known["shards"])})


def run(bench: Bench, contender: Contender, workers: int, number: int, check: bool) -> Run:
    """Run a contender once, on one core for one worker; its shards are gone afterwards."""
    _make_ready(bench)
    python = python_of(contender.environment, bench.venvs)
    place = bench.place
    cores = sorted(os.sched_getaffinity(0))[: max(1, workers)]
    write = command(contender, "write", python, place, workers, bench.target)
    folder = place.corpus if contender.command else ROOT
    took = measured(write, cores, place.work / "log", _environment(place), folder, bench.timeout)
    began = time.perf_counter()
    os.sync()
    sync = time.perf_counter() - began
    found = [path.stat().st_size for path in sorted(place.out.rglob("*")) if path.is_file()]
    problem = _ended(took, place.work / "log")
    held: dict[str, Any] = {}
    if check and not problem:
        held = _held(command(contender, "read", python, place, workers, bench.target), place)
        problem = "; ".join(held["wrong"])
    shards = sorted(path.stat().st_size for path in _shards(place.out, contender.shards))
    shutil.rmtree(place.work)
    return Run(
        bench.corpus.name,
        bench.scale,
        contender.name,
        workers,
        number,
        round(took.wall, 3),
        round(took.user, 3),
        round(took.system, 3),
        round(sync, 3),
        took.anonymous,
        took.shared_once,
        took.processes,
        bench.media,
        bench.target,
        sum(found),
        tuple(shards),
        bool(held),
        held.get("ordered"),
        problem,
    )


def _shards(out: Path, pattern: str) -> list[Path]:
    """The files that count as shards."""
    return [path for path in out.glob(pattern) if path.is_file()] if pattern else []


def _make_ready(bench: Bench) -> None:
    """An empty place, everything of before on the disk, and every file of the corpus in the page cache."""
    place = bench.place
    shutil.rmtree(place.work, ignore_errors=True)
    place.out.mkdir(parents=True)
    (place.work / "tmp").mkdir()
    paths = [path for path in pq.read_table(place.corpus / "rows.parquet")["audio"].to_pylist() if path is not None]
    place.names.write_text("\0".join(paths))
    place.spec.write_text(SPEC.format(corpus=place.corpus, target=bench.target))
    os.sync()
    buffer = bytearray(PIECE)
    for path in paths:
        with open(place.corpus / path, "rb", buffering=0) as file:
            while file.readinto(buffer):
                pass


def _environment(place: Place) -> dict[str, str]:
    """Ours, with what tools leave behind kept in the place."""
    kept = str(place.work / "tmp")
    return {**os.environ, "TMPDIR": kept, "HF_HOME": kept, "XDG_CACHE_HOME": kept}


def _ended(took: Measured, log: Path) -> str:
    """What went wrong, or nothing."""
    if took.stopped:
        return "stopped: it took too long"
    if took.status:
        said = log.read_text(errors="replace").strip().splitlines()
        return f"ended with {took.status}: {' / '.join(said[-3:])[-500:] or 'nothing was said'}"
    return ""


def _held(read: list[str], place: Place) -> dict[str, Any]:
    """What is in the shards, held against the corpus by who wrote them."""
    environment = _environment(place)
    try:
        said = subprocess.run(
            read, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=READING_MAY_TAKE, check=False
        )
    except subprocess.TimeoutExpired:
        return {"wrong": ["it could not be read back in time"]}
    if said.returncode:
        last = said.stderr.strip().splitlines() or ["nothing was said"]
        return {"wrong": [f"it could not be read back: {last[-1][:300]}"]}
    held: dict[str, Any] = json.loads(said.stdout.strip().splitlines()[-1])
    return held
