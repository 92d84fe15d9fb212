"""What planning and publishing cost as the number of files grows: whole processes, one worker, one core.

    python -m benchmarks.growth --root FOLDER [--short] [--files 10000 100000 1000000] [--rounds 3]
                                [--flat] [--memory 300MB]

Each corpus is so many recordings of 100 to 1,000 bytes in folders of 1,000 (with `--flat`, in one folder), with a table
beside them. It is made, read once, measured, and removed. Each round runs `sealift plan` and `sealift publish` to a
folder on this disk. `growth.jsonl` (every run), `growth.md` (the table) and `growth.svg` (the curves) are written below
the root. The short form takes a thousand and ten thousand files. A million files take 4.3 GB while they are there.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.corpora import FILES_IN_FOLDER, MB, wav
from benchmarks.measure import Measured, measured

SHORT = (1_000, 10_000)
LONG = (10_000, 100_000, 1_000_000)
LEAST, MOST = 100, 1_000
BLOCK = 4096
"""What the smallest file takes of a disk."""
VERBS = ("plan", "publish")
COLOURS = {"plan": "#1f6feb", "publish": "#d1570a"}


@dataclass(frozen=True)
class Run:
    """One whole process over so many files. Seconds; bytes of anonymous memory at the peak."""

    verb: str
    files: int
    round: int
    wall: float
    cpu: float
    peak: int


def make(folder: Path, files: int, *, flat: bool = False) -> Path:
    """So many tiny recordings with their table and their spec; the spec."""
    random = np.random.default_rng([4, files])
    noise, sizes = random.bytes(MOST), random.integers(LEAST, MOST, files) // 2 * 2
    paths = [f"audio/{'' if flat else f'{at // FILES_IN_FOLDER:03d}/'}{at:07d}.wav" for at in range(files)]
    for at, (path, size) in enumerate(zip(paths, sizes.tolist(), strict=True)):
        if at % FILES_IN_FOLDER == 0:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
        head = b"".join(_head(size))
        # The number makes every file another.
        (folder / path).write_bytes((head + at.to_bytes(8, "little") + noise)[:size])
    table = {"id": [f"r{at:07d}" for at in range(files)], "length": sizes / 32_000, "audio": paths}
    pq.write_table(pa.table(table), folder / "rows.parquet")
    spec = folder.with_suffix(".yaml")
    spec.write_text(
        f"from: {folder}\ntables: {{r: rows.parquet}}\nrows: SELECT * FROM r\nmedia: {{audio: audio}}\nkey: id\n"
    )
    return spec


def _head(size: int) -> Iterator[bytes]:
    """What `corpora.wav` begins with: all but the samples."""
    pieces = wav(size, [0])
    yield next(pieces)


def read_once(folder: Path) -> None:
    """Have all files in the page cache, as far as it is large enough."""
    for place, _, names in os.walk(folder):
        for name in names:
            with open(f"{place}/{name}", "rb", buffering=0) as file:
                file.read(MOST)


def run(spec: Path, files: int, rounds: int, root: Path, memory: str = "2GB") -> Iterator[Run]:
    """Plan and publish in turn, so many times; what is published is removed."""
    out = root / "published"
    sealift = Path(sys.executable).parent / "sealift"
    core = [min(os.sched_getaffinity(0))]
    for number in range(rounds):
        for verb in VERBS:
            command = [str(sealift), verb, str(spec), "--to", str(out), "--workers", "1", "--quiet"]
            command += ["--memory", memory]
            os.sync()
            found = measured(command, core, root / "growth.log")
            shutil.rmtree(out, ignore_errors=True)
            yield _run(verb, files, number, found, root / "growth.log")


def _run(verb: str, files: int, number: int, found: Measured, log: Path) -> Run:
    if found.status:
        raise RuntimeError(f"sealift {verb}, {files} files: exit code {found.status}\n{log.read_text()[-2000:]}")
    return Run(verb, files, number, found.wall, found.user + found.system, found.anonymous)


def table(runs: Sequence[Run]) -> str:
    """The runs as Markdown: the least wall and CPU time of each kind, since all that disturbs adds to them.

    `more` is what each file costs beyond those of the row before: start-up falls out of it.
    """
    lines = [
        "| | files | wall s | CPU s | CPU µs a file | more, µs a file | peak MB |",
        "|---|---|---|---|---|---|---|",
    ]
    for verb in VERBS:
        before: tuple[int, float] | None = None
        for files, cpu in _points(runs, verb):
            these = [one for one in runs if (one.verb, one.files) == (verb, files)]
            more = "" if before is None else f"{(cpu - before[1]) / (files - before[0]) * 1e6:.1f}"
            peak = statistics.median(one.peak for one in these) / MB
            wall = min(one.wall for one in these)
            lines.append(
                f"| {verb} | {files:,} | {wall:.2f} | {cpu:.2f} | {cpu / files * 1e6:.1f} | {more} | {peak:.0f} |"
            )
            before = files, cpu
    return "\n".join(lines) + "\n"


def _points(runs: Sequence[Run], verb: str) -> list[tuple[int, float]]:
    """Numbers of files, and the least CPU time of each."""
    counts = sorted({one.files for one in runs if one.verb == verb})
    return [(files, min(one.cpu for one in runs if (one.verb, one.files) == (verb, files))) for files in counts]


def picture(runs: Sequence[Run]) -> str:
    """Two charts as SVG, side by side: CPU time a file, and peak memory, over the number of files."""
    charts = [
        ("CPU time a file, µs", {v: [(n, s / n * 1e6) for n, s in _points(runs, v)] for v in VERBS}),
        ("peak anonymous memory, MB", {v: _peaks(runs, v) for v in VERBS}),
    ]
    body = [line for at, (title, curves) in enumerate(charts) for line in _chart(40 + 400 * at, title, curves)]
    style = "text{font:12px sans-serif;fill:#57606a}"
    head = '<svg xmlns="http://www.w3.org/2000/svg" width="820" height="300" viewBox="0 0 820 300">'
    return "\n".join(
        [head, f"<style>{style}</style>", '<rect width="820" height="300" fill="#fff"/>', *body, "</svg>\n"]
    )


def _peaks(runs: Sequence[Run], verb: str) -> list[tuple[int, float]]:
    counts = [files for files, _ in _points(runs, verb)]
    peaks = {n: [one.peak / MB for one in runs if (one.verb, one.files) == (verb, n)] for n in counts}
    return [(files, statistics.median(found)) for files, found in peaks.items()]


def _chart(left: int, title: str, curves: dict[str, list[tuple[int, float]]]) -> Iterator[str]:
    """A chart 300 wide and 200 high: files on a logarithmic scale, the value from nought."""
    counts = sorted({files for points in curves.values() for files, _ in points})
    most = max((value for points in curves.values() for _, value in points), default=1.0)
    low, high = np.log10(counts[0]), np.log10(counts[-1])
    place = {files: left + 20 + 280 * float((np.log10(files) - low) / (high - low or 1)) for files in counts}
    yield f'<text x="{left}" y="24">{title}</text>'
    yield f'<path d="M{left},40V250H{left + 320}" fill="none" stroke="#8c959f"/>'
    for files, x in place.items():
        yield f'<text x="{x:.0f}" y="268" text-anchor="middle">{files:,}</text>'
    for at, (verb, points) in enumerate(curves.items()):
        dots = [(place[files], 250 - 200 * value / most, value) for files, value in points]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in dots)
        yield f'<polyline points="{line}" fill="none" stroke="{COLOURS[verb]}" stroke-width="2"/>'
        for x, y, value in dots:
            yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{COLOURS[verb]}"/>'
            yield f'<text x="{x:.1f}" y="{y - 8:.1f}" text-anchor="middle">{value:.0f}</text>'
        yield f'<text x="{left + 20 + 90 * at}" y="290" style="fill:{COLOURS[verb]}">{verb}</text>'


def _check_room(root: Path, files: int) -> None:
    free, inodes = shutil.disk_usage(root).free, os.statvfs(root).f_favail
    need = files * BLOCK + files * (MOST + 500)
    if need > free or files > inodes:
        sys.exit(
            f"{files:,} files need {need / MB:,.0f} MB and as many inodes; there are {free / MB:,.0f} and {inodes:,}"
        )


def main() -> None:
    """Make, measure and remove each corpus, the smallest first; write what came of it after each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="where corpora and results lie")
    parser.add_argument("--files", type=int, nargs="+", help="how many files; instead of the long form's")
    parser.add_argument("--short", action="store_true", help="a thousand and ten thousand files")
    parser.add_argument("--flat", action="store_true", help="all files in one folder")
    parser.add_argument("--memory", default="2GB", help="the budget of a run; the joins take a part of it")
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    root = asked.root.resolve()
    root.mkdir(parents=True, exist_ok=True)
    runs: list[Run] = []
    for files in sorted(asked.files or (SHORT if asked.short else LONG)):
        _check_room(root, files)
        folder = root / f"tiny-{files}"
        shutil.rmtree(folder, ignore_errors=True)
        try:
            spec = make(folder, files, flat=asked.flat)
            read_once(folder)
            for one in run(spec, files, asked.rounds, root, asked.memory):
                print(
                    f"{one.verb}, {one.files:,} files: {one.wall:.2f} s, CPU {one.cpu:.2f} s, {one.peak / MB:.0f} MB",
                    flush=True,
                )
                runs.append(one)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            folder.with_suffix(".yaml").unlink(missing_ok=True)
        (root / "growth.jsonl").write_text("".join(json.dumps(asdict(one)) + "\n" for one in runs))
        (root / "growth.md").write_text(table(runs))
        (root / "growth.svg").write_text(picture(runs))
    print(table(runs))


if __name__ == "__main__":
    main()
