"""What it takes to start: to import Sealift, to ask for help, to start a worker, and to publish a dataset of 20 files.

    python -m benchmarks.startup [--rounds 10] [--slowest 12]

Each round runs every command once, a Python that does nothing among them, as processes of their own on one core.
For each it prints seconds of processor time and of the clock, and names what it imported and what of that took longest.
Modules that were looked for and not found are named, too: `org` by the standard library, `pandas` by pyarrow.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

MAIN = "import sys; from sealift.cli.main import main; sys.argv = ['sealift', *sys.argv[1:]]; main()"
WORKER = "import sealift.runners.local, sealift.pack, sealift.stores.local, sealift.stores.local_stage"
SPEC = """\
from: .
tables: {rows: rows.csv}
rows: SELECT file AS id, file, text FROM rows
key: id
media: {file: binary}
"""
IMPORTED = re.compile(r"import time:\s+(\d+) \|\s+(\d+) \| +(\S+)")


@dataclass(frozen=True, slots=True)
class Took:
    """Seconds of one run: on the processor (user and system), and by the clock."""

    processor: float
    clock: float


def commands(folder: Path) -> Mapping[str, Sequence[str]]:
    """What is measured, as arguments of Python; the dataset is made in the folder."""
    spec = _dataset(folder / "source")
    publish = ["publish", str(spec), "--to", str(folder / "out"), "--workers", "1", "--quiet"]
    return {
        "python": ["-c", "pass"],
        "import sealift": ["-c", "import sealift"],
        "sealift --help": ["-c", MAIN, "--help"],
        "a worker": ["-c", WORKER],
        "sealift publish": ["-c", MAIN, *publish],
    }


def _dataset(folder: Path) -> Path:
    folder.mkdir()
    lines = ["file,text"]
    for number in range(20):
        (folder / f"{number}.bin").write_bytes(bytes([number]) * 1000)
        lines.append(f"{number}.bin,words {number}")
    (folder / "rows.csv").write_text("\n".join(lines) + "\n")
    spec = folder / "sealift.yaml"
    spec.write_text(SPEC)
    return spec


def run(arguments: Sequence[str], out: Path) -> tuple[Took, str]:
    """Run Python with these arguments; what it took, and what it said on stderr. `out` is removed before."""
    shutil.rmtree(out, ignore_errors=True)
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    clock, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return Took(processor, clock), done.stderr.decode()


def imports(said: str) -> list[tuple[str, float, float]]:
    """Every import that `-X importtime` told: the module, its own seconds, and those with what it imported."""
    return [(one[3], int(one[1]) / 1e6, int(one[2]) / 1e6) for one in IMPORTED.finditer(said)]


def by_library(told: Sequence[tuple[str, float, float]]) -> dict[str, float]:
    """Seconds by top-level module, the slowest first."""
    libraries: dict[str, float] = {}
    for module, own, _ in told:
        top = module.partition(".")[0]
        libraries[top] = libraries.get(top, 0.0) + own
    return dict(sorted(libraries.items(), key=lambda one: -one[1]))


def main() -> None:
    """Measure, and print the table and the imports."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10, help="how often each command runs (default 10)")
    parser.add_argument("--slowest", type=int, default=12, help="how many imports are named (default 12)")
    asked = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory(prefix="startup-") as folder:
        todo, out = commands(Path(folder)), Path(folder) / "out"
        took: dict[str, list[Took]] = {name: [] for name in todo}
        for _ in range(asked.rounds + 1):
            for name, arguments in todo.items():
                took[name].append(run(arguments, out)[0])
        print("\n".join(_table(took)))
        for name, arguments in todo.items():
            told = imports(run(["-X", "importtime", *arguments], out)[1])
            print("\n" + "\n".join(_named(name, told, asked.slowest)))


def _table(took: Mapping[str, Sequence[Took]]) -> Iterator[str]:
    """The median of each, with the least and the most; the first round only fills caches."""
    yield f"{'seconds: median (least to most)':34}{'processor':>24}{'clock':>24}"
    for name, runs in took.items():
        columns = ([one.processor for one in runs[1:]], [one.clock for one in runs[1:]])
        told = (f"{median(column):.3f} ({min(column):.3f} to {max(column):.3f})" for column in columns)
        yield f"{name:34}" + "".join(f"{text:>24}" for text in told)


def _named(name: str, told: Sequence[tuple[str, float, float]], most: int) -> Iterator[str]:
    libraries = by_library(told)
    vendors = [one for one in libraries if one not in sys.stdlib_module_names and one != "sealift"]
    ours = sum(module.partition(".")[0] == "sealift" for module, _, _ in told)
    yield f"{name}: {len(told)} modules, {ours} of them our own; of others: {', '.join(sorted(vendors)) or 'none'}"
    yield "  by library: " + ", ".join(f"{one} {1000 * libraries[one]:.0f} ms" for one in list(libraries)[:most])
    slowest = sorted(told, key=lambda one: -one[1])[:most]
    yield "  slowest: " + ", ".join(f"{module} {1000 * own:.0f} ms" for module, own, _ in slowest)
    yield "  all top-level modules: " + " ".join(sorted(libraries))


if __name__ == "__main__":
    main()
