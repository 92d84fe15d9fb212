"""The packing loop, bare: which system calls, digests, sizes and threads it is to be made of, and what C would lift.

    python -m benchmarks.loop [--corpora A,B] [--scale 0.2] [--groups slices,source] [--rounds 5] [--root FOLDER]

Each group of ways asks one question. Its ways take turns, each in a process of its own on one core (or two, where the
name says so), over a corpus in the page cache; what they write is removed at once. Times are those of the loop alone,
without start-up. Results: a line for each run in `loop.jsonl`, and the tables in `loop.md`; runs that are there count,
so that groups can be measured one at a time (`--fresh` begins anew). All ways that hash a shard must find the same
digests, and the sizes of what was written must be right; otherwise it stops.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.corpora import CORPORA, FILES_IN_FOLDER, make
from benchmarks.environments import ROOT
from benchmarks.loop_shard import HUGE, Way
from benchmarks.measure import measured

HERE = Path(__file__).resolve().parent
KB = 1 << 10
SHARDS = 16
"""Enough for one in each lane of a vector."""
FLAGS = ["-O3", "-msha", "-mssse3", "-msse4.1"]


@dataclass(frozen=True)
class Native:
    """The loop in C. `steps` are of r (read), h (hash), w (write); `streams` shards at once: 1, 2, 8 or 16."""

    steps: str
    streams: int = 1
    slice_bytes: int = 256 * KB


@dataclass(frozen=True)
class Run:
    """One way over one corpus, once. Seconds; `bytes` are the media's."""

    corpus: str
    group: str
    way: str
    wall: float
    user: float
    system: float
    files: int
    bytes: int


def _source(**options: object) -> Way:
    """Read and hashed, not written: what differs is where the bytes come from."""
    return Way(**{"write": "", **options})  # type: ignore[arg-type]


GROUPS: Mapping[str, Mapping[str, Way | Native]] = {
    "stages": {
        "SHA-256 alone, from the cache": Way(read="never", cells="", write=""),
        "BLAKE3 alone, from the cache": Way(read="never", shard="", write=""),
        "write alone": Way(read="never", cells="", shard=""),
        "open, fstat, close": Way(read="nothing", cells="", shard="", write=""),
        "read": Way(cells="", shard="", write=""),
        "read, BLAKE3": Way(shard="", write=""),
        "read, BLAKE3, SHA-256": Way(write=""),
        "read, write": Way(cells="", shard=""),
        "all": Way(),
    },
    "slices": {f"{size} KiB": Way(slice_bytes=size * KB) for size in (64, 128, 256, 512, 1024, 2048, 4096, 8192)},
    "reads": {
        f"{size} KiB": Way(slice_bytes=size * KB, cells="", shard="", write="") for size in (64, 256, 2048, 8192)
    },
    "writes": {
        f"{size} KiB": Way(slice_bytes=size * KB, cells="", shard="", read="never")
        for size in (64, 256, 2048, 4096, 8192)
    },
    "cells": {
        "none": Way(cells=""),
        "BLAKE3": Way(),
        "SHA-256": Way(cells="sha256"),
        "XXH3, 128 bits": Way(cells="xxh3"),
    },
    "source": {
        "readv": _source(),
        "large files opened once": _source(reopen=False),
        "buffers always full": _source(whole=False, reopen=False),
        "file objects": _source(read="object"),
        "no fstat": _source(stat=False),
        "openat in the folder": _source(beside=True),
        "O_NOATIME": _source(flags=os.O_NOATIME),
        "fadvise SEQUENTIAL": _source(advise="SEQUENTIAL"),
        "fadvise WILLNEED": _source(advise="WILLNEED"),
        "mmap": _source(read="mapped"),
        "mmap, MAP_POPULATE": _source(read="populated"),
    },
    "output": {
        "write": Way(),
        "mmap, write from it": Way(read="mapped"),
        "mmap, copy_file_range": Way(read="mapped", write="copy_file_range"),
        "mmap, sendfile": Way(read="mapped", write="sendfile"),
        "mmap, splice": Way(read="mapped", write="splice"),
        "posix_fallocate": Way(write="allocated"),
        "read into the mapped shard": Way(write="mapped"),
        "fadvise DONTNEED": Way(write="dropped"),
        "O_DIRECT": Way(write="direct", buffer="pages", whole=False, slice_bytes=HUGE),
    },
    "buffer": {
        "heap, 256 KiB": Way(),
        "whole pages, 256 KiB": Way(buffer="pages"),
        "whole pages, always full, 256 KiB": Way(buffer="pages", whole=False),
        "huge page, 256 KiB": Way(buffer="huge"),
        "heap, 4 MiB": Way(slice_bytes=2 * HUGE),
        "huge pages, 4 MiB": Way(buffer="huge", slice_bytes=2 * HUGE),
    },
    "threads": {
        f"{name}, {cores} core{'s' * (cores > 1)}": way
        for cores in (1, 2)
        for name, way in {
            "one thread": Way(),
            "SHA-256 and write in a thread": Way(overlap=True),
            "the same, 1 MiB": Way(overlap=True, slice_bytes=1024 * KB),
            "1 thread reads ahead": Way(readers=1),
            "2 threads read ahead": Way(readers=2),
            "4 threads read ahead": Way(readers=4),
            "2 threads read ahead, 1 MiB": Way(readers=2, slice_bytes=1024 * KB),
        }.items()
    },
    "native": {
        "Python: SHA-256 alone": Way(read="never", cells="", write=""),
        "C: SHA-256 alone": Native("h"),
        "C: SHA-256 alone, 2 shards": Native("h", streams=2),
        "C: SHA-256 alone, 8 shards in lanes": Native("h", streams=8, slice_bytes=128 * KB),
        "C: SHA-256 alone, 16 shards in lanes": Native("h", streams=16, slice_bytes=64 * KB),
        "Python: read, write": Way(cells="", shard=""),
        "C: read, write": Native("rw"),
        "Python: read, SHA-256, write": Way(cells=""),
        "C: read, SHA-256, write": Native("rhw"),
        "C: read, SHA-256, write, 2 shards": Native("rhw", streams=2),
        "C: read, SHA-256, write, 16 shards in lanes": Native("rhw", streams=16, slice_bytes=64 * KB),
    },
}
"""Questions, and the ways that answer them."""


@dataclass(frozen=True)
class Bench:
    """A corpus, planned, and where things go."""

    corpus: str
    plan: Path
    sizes: tuple[int, ...]
    files: int
    work: Path
    native: Path | None

    def run(self, group: str, name: str) -> tuple[Run, list[str]]:
        """Run one way to its end; what it took, and the digests of the shards, if it made them."""
        way, out, log = GROUPS[group][name], self.work / "out", self.work / "log"
        out.mkdir()
        os.sync()
        cores = sorted(os.sched_getaffinity(0))[: 2 if "2 cores" in name else 1]
        try:
            status = measured(self._command(way, out), cores, log, folder=ROOT).status
            if status:
                raise SystemExit(f"{group}, {name}: exit code {status}\n{log.read_text()[-2000:]}")
            written = tuple((out / str(number)).stat().st_size for number in range(len(list(out.iterdir()))))
        finally:
            shutil.rmtree(out)
        if written not in ((), self.sizes):
            raise SystemExit(f"{group}, {name}: wrote {written}, not {self.sizes}")
        found = json.loads(log.read_text())
        digests = found.pop("digests")
        return Run(self.corpus, group, name, **found, files=self.files, bytes=sum(self.sizes)), digests

    def _command(self, way: Way | Native, out: Path) -> list[str]:
        if isinstance(way, Native):
            return [str(self.native), str(self.plan), str(out), str(way.slice_bytes), str(way.streams), way.steps]
        return [sys.executable, "-m", "benchmarks.loop_ways", json.dumps(asdict(way)), str(self.plan), str(out)]

    def can(self, way: Way | Native) -> bool:
        """Whether what the way needs is there."""
        if isinstance(way, Native):
            return self.native is not None
        return way.cells != "xxh3" or find_spec("xxhash") is not None


def bench(name: str, root: Path, scale: float, work: Path) -> Bench:
    """The corpus, cut into shards, and read once."""
    folder, sizes = make(CORPORA[name], root, scale), CORPORA[name].sizes(scale)
    shards: list[list[tuple[int, str]]] = [[] for _ in range(SHARDS)]
    ends = np.cumsum(sizes)
    for number, (size, end) in enumerate(zip(sizes.tolist(), ends.tolist(), strict=True)):
        path = f"{folder}/audio/{number // FILES_IN_FOLDER:03d}/{number:06d}.wav"
        shards[(end - size) * SHARDS // int(ends[-1])].append((size, path))
    shards = [shard for shard in shards if shard]
    for _, path in (file for shard in shards for file in shard):
        Path(path).read_bytes()
    plan = work / f"{name}.plan"
    plan.write_text("".join("".join(f"{size} {path}\n" for size, path in shard) + "\n" for shard in shards))
    written = tuple(sum(size for size, _ in shard) for shard in shards)
    return Bench(name, plan, written, sum(map(len, shards)), work, native(work))


def native(work: Path) -> Path | None:
    """The loop in C, compiled; None where there is no compiler, or the processor has not what it takes."""
    program, compiler = work / "loop", shutil.which("cc")
    flags = set(Path("/proc/cpuinfo").read_text().split()) if platform.machine() == "x86_64" else set()
    if not compiler or not {"sha_ni", "avx512bw", "avx512vl"} <= flags:
        print("no loop in C: it takes `cc`, and a processor with SHA instructions and AVX-512", file=sys.stderr)
        return None
    subprocess.run([compiler, *FLAGS, "-o", str(program), str(HERE / "native" / "loop.c")], check=True)
    return program


def rounds(bench: Bench, group: str, count: int) -> Iterator[Run]:
    """All ways of a group in turn, so many times."""
    known: list[str] = []
    ways = [name for name, way in GROUPS[group].items() if bench.can(way)]
    for number in range(count):
        for name in ways[number % len(ways) :] + ways[: number % len(ways)]:
            run, digests = bench.run(group, name)
            # What is not read has other bytes, and other digests.
            if digests and "alone" not in name:
                known = known or digests
                if digests != known:
                    raise SystemExit(f"{group}, {name}: other digests than those before")
            yield run


def document(runs: Sequence[Run]) -> str:
    """The tables: the least of each figure, since all that disturbs adds to it, and the median in brackets."""
    head = "| way | wall, s | CPU, s | user | system | CPU, ns a byte | GB a second | CPU, µs a file |"
    parts = ["# The packing loop, bare"]
    for corpus in sorted({run.corpus for run in runs}):
        for group in (group for group in GROUPS if any((run.corpus, run.group) == (corpus, group) for run in runs)):
            these = [run for run in runs if (run.corpus, run.group) == (corpus, group)]
            title = f"## {corpus}, {group}: {these[0].files:,} files, {these[0].bytes / 1e6:,.0f} MB"
            names = [name for name in GROUPS[group] if any(run.way == name for run in these)]
            rows = [_row(name, [run for run in these if run.way == name]) for name in names]
            parts.append("\n".join([title, "", head, "|---|" + "--:|" * 7, *rows]))
    return "\n\n".join(parts) + "\n"


def _row(name: str, runs: Sequence[Run]) -> str:
    times = [[run.wall, run.user + run.system, run.user, run.system] for run in runs]
    cells = [f"{min(found):.2f} ({median(found):.2f})" for found in zip(*times, strict=True)]
    cpu, size, files = min(found[1] for found in times), runs[0].bytes, runs[0].files
    cells += [f"{cpu / size * 1e9:.2f}", f"{size / cpu / 1e9:.2f}", f"{cpu / files * 1e6:.1f}"]
    return f"| {name} | {' | '.join(cells)} |"


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpora", type=lambda text: text.split(","), default=["A", "B"], help="A,B,C")
    parser.add_argument("--groups", type=lambda text: text.split(","), default=list(GROUPS), help=", ".join(GROUPS))
    parser.add_argument("--scale", type=float, default=0.2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--root", type=Path, default=HERE / ".corpora", help="where corpora and shards go")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results", help="where the results go")
    parser.add_argument("--fresh", action="store_true", help="throw away the results that are there")
    asked = parser.parse_args()
    if unknown := {*asked.groups} - {*GROUPS} or {*asked.corpora} - {*CORPORA}:
        parser.error(f"there is no {', '.join(sorted(unknown))}")
    for folder in (asked.root, asked.out):
        folder.mkdir(parents=True, exist_ok=True)
    return asked


def main() -> None:
    """Measure the groups that are asked for, and write all results down after each."""
    asked = _asked()
    results = asked.out / "loop.jsonl"
    if asked.fresh:
        results.unlink(missing_ok=True)
    for corpus in asked.corpora:
        with tempfile.TemporaryDirectory(dir=asked.root, prefix="loop-") as work:
            made = bench(corpus, asked.root.resolve(), asked.scale, Path(work).resolve())
            for group in asked.groups:
                with results.open("a", buffering=1) as lines:
                    lines.writelines(json.dumps(asdict(run)) + "\n" for run in rounds(made, group, asked.rounds))
                runs = [Run(**json.loads(line)) for line in results.read_text().splitlines()]
                (asked.out / "loop.md").write_text(document(runs))
    print((asked.out / "loop.md").read_text())


if __name__ == "__main__":
    main()
