"""The results as Markdown: the machine, a table for each corpus, what was aimed at, and a note on each contender."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from benchmarks.corpora import CORPORA
from benchmarks.figures import MB, Line, aims, lines
from benchmarks.one_run import Run
from benchmarks.roster import CONTENDERS, OURS

HEAD = (
    "| contender | workers | runs | wall, s | times ours | CPU, s | MB/s | peak memory, MB | shards"
    " | least / median / most, MB | most, of the target |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
)
LEGEND = """\
Wall time is that of the whole process, start-up and imports included, with the sources in the page cache: the median,
and from the least to the greatest. "Times ours" is its wall time by ours with as many workers, within each round. CPU
is user and system time of all processes that it started. Peak memory is the greatest sum of anonymous and shared memory
(RssAnon, RssShmem) over them, looked at every 20 ms; what forked processes share counts in each, and behind the slash
but once (PSS). Shards are held against their target size. One worker has one core for everything that it starts, two
have two.
Contenders in *italics* are limits, not tools for this."""


def document(runs: Sequence[Run], machine: Mapping[str, Any], plot: str) -> str:
    """The whole page."""
    corpora = sorted({run.corpus for run in runs})
    parts = ["# Packing, side by side", _machine(machine), f"![Wall times]({plot})", LEGEND]
    parts += [_corpus(runs, corpus) for corpus in corpora]
    whole = [corpus for corpus in corpora if all(run.scale == 1 for run in runs if run.corpus == corpus)]
    if whole and any(run.contender == OURS for run in runs):
        parts += ["## What was aimed at", _aims(runs, whole)]
    parts += ["## The contenders", _notes(runs), "## Versions", _versions(machine)]
    return "\n\n".join(parts) + "\n"


def _machine(machine: Mapping[str, Any]) -> str:
    return (
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory'] / (1 << 30):.0f} GiB of memory, Linux "
        f"{machine['kernel']}, {machine['filesystem']}. One core hashes {_speed(machine, 'sha256')} (SHA-256), "
        f"{_speed(machine, 'blake3')} (BLAKE3), and copies {_speed(machine, 'copy')}."
    )


def _speed(machine: Mapping[str, Any], what: str) -> str:
    return f"{machine[f'{what}_bytes_per_second'] / 1e9:.1f} GB/s"


def _corpus(runs: Sequence[Run], name: str) -> str:
    first = next(run for run in runs if run.corpus == name)
    files = len(CORPORA[name].sizes(first.scale))
    scale = "" if first.scale == 1 else f", made at a scale of {first.scale:g}"
    title = f"## Corpus {name}: {files:,} files, {first.media / MB:,.0f} MB{scale}"
    return "\n".join(
        [title, "", f"Shards of {first.target / MB:.0f} MB are asked for.", "", HEAD, *map(_row, lines(runs, name))]
    )


def _row(line: Line) -> str:
    name = {"ours": "**{}**", "limit": "*{}*", "peer": "{}"}[line.contender.kind].format(line.contender.name)
    if line.wall is None or line.cpu is None:
        said = f"failed: {_cell(line.problem)}"
        return f"| {name} | {line.workers} | {len(line.runs)} | {said} | | | | {_memory(line)} | | | |"
    cells = [
        name,
        str(line.workers),
        str(len(line.runs)),
        f"{line.wall:.2f}",
        f"{line.ratio:.2f}" if line.ratio else "",
        f"{line.cpu.middle:.2f}",
        f"{line.rate / MB:,.0f}",
        _memory(line),
        *_shards(line),
    ]
    if line.problem:
        cells[3] += f", then failed: {_cell(line.problem)}"
    return f"| {' | '.join(cells)} |"


def _cell(text: str) -> str:
    return text.replace("|", "/").replace("\n", " ")


def _memory(line: Line) -> str:
    once = f" / {line.shared_once / MB:,.0f}" if line.shared_once else ""
    return f"{line.anonymous / MB:,.0f}{once}"


def _shards(line: Line) -> list[str]:
    sizes, target = line.shards, line.runs[0].target
    if not sizes:
        return ["", "", ""]
    spans = " / ".join(f"{size / MB:,.0f}" for size in (sizes[0], median(sizes), sizes[-1]))
    return [str(len(sizes)), spans, f"{sizes[-1] / target - 1:+.0%}"]


def _aims(runs: Sequence[Run], corpora: Sequence[str]) -> str:
    rows = ["| corpus | what | aim | came out | reached |", "|---|---|--:|--:|---|"]
    for aim in (aim for corpus in corpora for aim in aims(runs, corpus)):
        said = {True: "yes", False: "**no**", None: "not measured"}[aim.reached]
        found = f"{aim.found:.2f}" if aim.found else ""
        rows.append(f"| {aim.corpus} | {aim.what} | {'≥' if aim.at_least else '≤'} {aim.limit:g} | {found} | {said} |")
    return "\n".join(rows)


def _notes(runs: Sequence[Run]) -> str:
    there = {run.contender for run in runs}
    checked = {run.contender for run in runs if run.checked and not run.problem}
    lost = {run.contender for run in runs if run.ordered is False}
    notes = []
    for one in (one for one in CONTENDERS if one.name in there):
        said = [f"**{one.name}**: {one.note}"]
        if one.name in checked:
            said.append("Every row and byte was read back and compared.")
        if one.name in lost:
            said.append("The rows came in another order.")
        notes.append(f"- {' '.join(said)}")
    return "\n".join(notes)


def _versions(machine: Mapping[str, Any]) -> str:
    named: dict[str, set[str]] = {}
    for installed in machine["environments"].values():
        for name, version in installed.items():
            named.setdefault(name, set()).add(version)
    said = [f"{name} {' and '.join(sorted(found))}" for name, found in sorted(named.items())]
    programs = f"Sealift {machine['sealift']}, Python {machine['python']}, {machine['tar']}, {machine['cat']}"
    return f"{programs}, {', '.join(said)}."
