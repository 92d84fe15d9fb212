"""Whole publications to a Hub on this machine: ours, and those of the official clients, in rounds that take turns.

    python -m benchmarks.publishing --root FOLDER [--corpora FOLDER] [--corpus B] [--scale 0.1] [--rounds 3]

Each run is a whole process with a Hub of its own, which is empty, runs on the same cores and is gone afterwards, and
with empty caches: nothing is known from before. Results lie in the root: `publishing.jsonl` (a line for each run) and
`publishing.md` (the table). 15 GB free are wanted there for the whole of B.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.corpora import CORPORA, MB, Corpus, make
from benchmarks.figures import spread
from benchmarks.measure import measured

REPO = "local/published"
OURS, ONE, FOLDER, UPLOAD = "sealift", "sealift, 1 worker", "sealift, to a folder", "hf upload of that folder"
PUSH, PUSH_2 = "push_to_hub", "push_to_hub, num_proc=2"
PUSHING = """\
import sys
import pyarrow as pa, pyarrow.parquet as pq
from datasets import Audio, Dataset
folder, repo, target, processes = sys.argv[1:]
table = pq.read_table(f"{folder}/rows.parquet")
paths = pa.array([path and f"{folder}/{path}" for path in table["audio"].to_pylist()], pa.string())
rows = Dataset(table.set_column(table.schema.get_field_index("audio"), "audio", paths))
rows.cast_column("audio", Audio()).push_to_hub(repo, max_shard_size=int(target), num_proc=int(processes) or None)
"""


@dataclass(frozen=True)
class Run:
    """One whole process. Seconds and bytes; `hub_cpu` is what the Hub took of the processors meanwhile."""

    name: str
    round: int
    wall: float
    cpu: float
    hub_cpu: float
    peak: int


@dataclass(frozen=True)
class Hub:
    """A Hub that answers, and the environment of a client that knows it alone."""

    pid: int
    environment: dict[str, str]

    @property
    def cpu(self) -> float:
        """Seconds that it has taken so far, all threads together."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def local_hub(root: Path) -> Iterator[Hub]:
    """An empty Hub in a process of its own, and empty caches, below the root; all of it is gone afterwards."""
    with tempfile.TemporaryDirectory(dir=root, prefix="hub-", ignore_cleanup_errors=True) as folder:
        command = [sys.executable, "-m", "sealift.localhub", "--root", f"{folder}/state", "--port", "0"]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            try:
                assert process.stdout is not None
                said = json.loads(process.stdout.readline())
                own = {"HF_ENDPOINT": said["endpoint"], "HF_TOKEN": said["token"], "NO_PROXY": "127.0.0.1"}
                caches = {"HF_HOME": f"{folder}/hf", "HF_XET_CACHE": f"{folder}/xet"}
                yield Hub(process.pid, {**os.environ, **own, **caches, "HF_HUB_DISABLE_PROGRESS_BARS": "1"})
            finally:
                process.terminate()


def commands(corpus: Path, target: int, root: Path) -> dict[str, list[str]]:
    """What each contender runs, in the order of a round: packing alone makes what is then uploaded alone."""
    spec, packed, beside = root / f"{corpus.name}.yaml", root / "packed", Path(sys.executable).parent
    spec.write_text(
        f"from: {corpus}\ntables: {{r: rows.parquet}}\nrows: SELECT * FROM r\nmedia: {{audio: audio}}\n"
        f"shards: {{max_bytes: {target}, row_group_bytes: 64MiB}}\n"
    )
    publish = [str(beside / "sealift"), "publish", str(spec), "-q", "--to"]
    push = [sys.executable, "-c", PUSHING, str(corpus), REPO, str(target)]
    return {
        OURS: [*publish, REPO],
        ONE: [*publish, REPO, "--workers", "1"],
        FOLDER: [*publish, str(packed)],
        UPLOAD: [str(beside / "hf"), "upload", "--repo-type", "dataset", REPO, str(packed)],
        PUSH: [*push, "0"],
        PUSH_2: [*push, "2"],
    }


def rounds(corpus: Path, target: int, root: Path, count: int, only: Sequence[str]) -> Iterator[Run]:
    """Run all of them in turn, so many times; or some, by name.

    Raises:
        RuntimeError: one failed; with what it said last.
    """
    asked = {name: command for name, command in commands(corpus, target, root).items() if not only or name in only}
    try:
        for number in range(count):
            for name, command in asked.items():
                if name == FOLDER:
                    shutil.rmtree(root / "packed", ignore_errors=True)
                os.sync()  # what the one before left to write is not this one's
                with local_hub(root) as hub:
                    yield _run(name, number, command, hub, root / "publishing.log")
    finally:
        shutil.rmtree(root / "packed", ignore_errors=True)


def _run(name: str, number: int, command: Sequence[str], hub: Hub, log: Path) -> Run:
    before = hub.cpu
    took = measured(command, sorted(os.sched_getaffinity(0)), log, hub.environment)
    if took.status:
        raise RuntimeError(f"{name}: exit code {took.status}\n{log.read_text(errors='replace')[-2000:]}")
    return Run(name, number, took.wall, took.user + took.system, hub.cpu - before, took.anonymous)


def table(runs: Sequence[Run], corpus: Corpus, scale: float) -> str:
    """The runs as Markdown: medians, and from the least to the greatest; ratios are taken within each round."""
    size = int(corpus.sizes(scale).sum())
    lines = [
        f"Corpus {corpus.name}, {size / MB:,.0f} MB.",
        "",
        "| | wall, s | times ours | CPU, s | CPU of the Hub, s | MB/s | peak memory, MB |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    walls = _walls(runs)
    for name, found in walls.items():
        mine = [run for run in runs if run.name == name]
        middle = sorted(found.values())[len(found) // 2]
        cells = (
            name,
            f"{spread(found.values()):.1f}",
            _ratio([found[at] / ours for at, ours in walls.get(OURS, {}).items() if at in found]),
            f"{spread(run.cpu for run in mine):.1f}",
            f"{spread(run.hub_cpu for run in mine):.1f}",
            f"{size / MB / middle:.0f}",
            f"{max(run.peak for run in mine) / MB:.0f}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", *_aims(walls)]) + "\n"


def _walls(runs: Sequence[Run]) -> dict[str, dict[int, float]]:
    """Seconds by contender and round."""
    names = dict.fromkeys(run.name for run in runs)
    return {name: {run.round: run.wall for run in runs if run.name == name} for name in names}


def _aims(walls: dict[str, dict[int, float]]) -> Iterator[str]:
    """The two ratios that are aimed at, where all that they take was run."""
    ours = walls.get(OURS, {})
    pushes = [walls[name] for name in (PUSH, PUSH_2) if name in walls]
    beside = [min(push[at] for push in pushes) / ours[at] for at in ours if pushes and all(at in one for one in pushes)]
    if beside:
        yield f"- `push_to_hub`, as it is faster: {_ratio(beside)} times ours; at least 1.5 was aimed at."
    alone = [walls.get(FOLDER, {}), walls.get(UPLOAD, {})]
    parts = [ours[at] / sum(one[at] for one in alone) for at in ours if all(at in one for one in alone)]
    if parts:
        yield f"- Ours, by the sum of packing alone and `hf upload` alone: {_ratio(parts)}; at most 0.8 was aimed at."


def _ratio(ratios: Sequence[float]) -> str:
    return f"{spread(ratios):.2f}" if ratios else ""


def main() -> None:
    """Run the rounds, and write down what came of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="where Hubs and results lie")
    parser.add_argument("--corpora", type=Path, help="where the corpora lie, if not in the root")
    parser.add_argument("--corpus", choices=sorted(CORPORA), default="B")
    parser.add_argument("--scale", type=float, default=1.0, help="0.1 takes a tenth of the files")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", default=[], help="some contenders, by name")
    asked = parser.parse_args()
    asked.root.mkdir(parents=True, exist_ok=True)
    root, corpus = asked.root.resolve(), CORPORA[asked.corpus]
    folder = make(corpus, (asked.corpora or root).resolve(), asked.scale)
    runs: list[Run] = []
    with (root / "publishing.jsonl").open("w") as file:
        for run in rounds(folder, corpus.target, root, asked.rounds, asked.only):
            runs.append(run)
            file.write(json.dumps({"corpus": corpus.name, "scale": asked.scale, **asdict(run)}) + "\n")
            file.flush()
            print(f"{run.name}: {run.wall:.1f} s, CPU {run.cpu:.1f} + {run.hub_cpu:.1f} s", flush=True)
            (root / "publishing.md").write_text(table(runs, corpus, asked.scale))
    print(table(runs, corpus, asked.scale))


if __name__ == "__main__":
    main()
