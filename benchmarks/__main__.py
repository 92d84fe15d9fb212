"""Pack the corpora with every contender, in rounds that take turns, and write what it took.

    python -m benchmarks [--short] [--root FOLDER] [--out FOLDER] [--rounds 5] [--only sealift,tar] [--resume]

Results: `runs.jsonl` (a line for each run), `machine.json`, `packing.md` (the tables), `packing.svg`. The long form
wants 25 GB free below the root for the corpora and their shards. Stopped half-way, `--resume` goes on.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from benchmarks.corpora import CORPORA, make
from benchmarks.environments import ROOT, VENVS, build
from benchmarks.machine import described
from benchmarks.one_run import Bench, Run
from benchmarks.plot import plot
from benchmarks.roster import CONTENDERS, OURS, WRONG, Contender, Place
from benchmarks.rounds import held, rounds, turns
from benchmarks.table import document

SHORT = 0.1
"""The scale of the short form."""
RESULTS = ROOT / "benchmarks" / "results"


def main() -> None:
    """Measure what is asked, and write it down after every corpus."""
    asked = _asked()
    contenders = _chosen(asked.only, asked.short)
    asked.out.mkdir(parents=True, exist_ok=True)
    results = asked.out / "runs.jsonl"
    if held(results) and not asked.resume:
        if not asked.fresh:
            sys.exit(f"{results} is there already: --resume goes on with it, --fresh begins anew")
        results.unlink()
    environments = {contender.environment for contender in contenders}
    build(environments, asked.venvs)
    (asked.out / "machine.json").write_text(
        json.dumps(described(asked.root, environments, asked.venvs), indent=1) + "\n"
    )
    for name in asked.corpora:
        scale = asked.scale or (SHORT if asked.short else 1.0)
        corpus = make(CORPORA[name], asked.root, scale)
        with tempfile.TemporaryDirectory(dir=asked.root, prefix="packing-") as folder:
            bench = Bench(CORPORA[name], scale, Place(corpus, Path(folder) / "run"), asked.venvs, asked.timeout)
            rounds(bench, list(turns(contenders, asked.workers, asked.rounds)), results, _say, asked.check_all)
        write(asked.out)
    if failed := sorted({run.contender for run in held(results) if run.problem}):
        print(f"not sound: {', '.join(failed)}; the tables say why", file=sys.stderr)
        sys.exit(OURS in failed)


def write(out: Path) -> None:
    """The table and the plot of the results that lie there."""
    runs = held(out / "runs.jsonl")
    if any(not run.problem for run in runs):
        (out / "packing.svg").write_text(plot(runs))
    machine = json.loads((out / "machine.json").read_text())
    (out / "packing.md").write_text(document(runs, machine, "packing.svg"))


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="small corpora and the contenders that are quick: minutes")
    parser.add_argument(
        "--root", type=Path, default=ROOT / "benchmarks" / ".corpora", help="where corpora and shards go"
    )
    parser.add_argument("--out", type=Path, default=RESULTS, help="where the results go")
    parser.add_argument("--venvs", type=Path, default=VENVS, help="where peers' environments go")
    parser.add_argument("--only", type=_names, default=None, help="these contenders, with commas between")
    parser.add_argument("--corpora", type=_names, default=list(CORPORA), help="A,B,C")
    parser.add_argument("--workers", type=_numbers, default=None, help="1,2; the short form has 1 alone")
    parser.add_argument("--rounds", type=int, default=None)
    parser.add_argument("--scale", type=float, default=None, help="of every corpus")
    parser.add_argument("--timeout", type=float, default=900.0, help="seconds that a run may take")
    parser.add_argument("--check-all", action="store_true", help="read back every run, not only the first of each")
    parser.add_argument("--resume", action="store_true", help="skip the runs that are in the results")
    parser.add_argument("--fresh", action="store_true", help="throw away the results that are there")
    asked = parser.parse_args()
    asked.workers = asked.workers or ([1] if asked.short else [1, 2])
    asked.rounds = asked.rounds or (3 if asked.short else 5)
    asked.root, asked.out = asked.root.resolve(), asked.out.resolve()
    asked.root.mkdir(parents=True, exist_ok=True)
    return asked


def _names(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _numbers(text: str) -> list[int]:
    return [int(word) for word in _names(text)]


def _chosen(only: list[str] | None, short: bool) -> list[Contender]:
    """All, those of the short form, or those that are named."""
    if only is None:
        return [contender for contender in CONTENDERS if contender.quick or not short]
    known = {contender.name: contender for contender in (*CONTENDERS, WRONG)}
    if unknown := [name for name in only if name not in known]:
        sys.exit(f"no contender is called {unknown[0]}: there are {', '.join(known)}")
    return [known[name] for name in only]


def _say(run: Run) -> None:
    wall = f"{run.wall:8.2f} s {run.user + run.system:8.2f} s CPU {run.anonymous / 1e6:8.0f} MB"
    print(f"{run.corpus} {run.round} {run.contender:14} {run.workers} {wall}  {run.problem}", flush=True)


if __name__ == "__main__":
    main()
