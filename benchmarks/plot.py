"""The results as an SVG: for each corpus a line for each contender, wall times as points on a logarithmic scale."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import log10

from benchmarks.figures import Line, lines
from benchmarks.one_run import Run

WIDTH, LEFT, RIGHT, ROW, TOP, GAP = 860, 130, 60, 22, 64, 66
TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500)
COLOURS = {"ours": "#0b6fa4", "peer": "#5c5c5c", "limit": "#b0762b"}
FONT = "font-family='system-ui, sans-serif'"


def plot(runs: Sequence[Run]) -> str:
    """One panel below the other, all on the same scale. It needs no fonts and no script."""
    panels = [(corpus, lines(runs, corpus)) for corpus in sorted({run.corpus for run in runs})]
    sound = [line.wall for _, panel in panels for line in panel if line.wall]
    least, most = min(wall.least for wall in sound), max(wall.most for wall in sound)
    scale = _Scale(least * 0.8, most * 1.25)
    drawn, top = [], TOP
    for corpus, panel in panels:
        names = _names(panel)
        drawn.append(_panel(corpus, panel, names, top, scale))
        top += len(names) * ROW + GAP
    title = "Seconds to pack a corpus, whole process (logarithmic; bars from the fastest run to the slowest)"
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {top}' width='{WIDTH}' height='{top}' {FONT}"
        f" font-size='12' role='img' aria-label='{escape(title)}'>\n<rect width='100%' height='100%' fill='#ffffff'/>\n"
        f"<text x='16' y='22' font-size='14' fill='#1c1c1c'>{escape(title)}</text>\n{_legend()}\n"
        + "\n".join(drawn)
        + "\n</svg>\n"
    )


class _Scale:
    """Seconds to pixels."""

    def __init__(self, least: float, most: float) -> None:
        self.least, self.most = least, most

    def x(self, seconds: float) -> float:
        part = log10(seconds / self.least) / log10(self.most / self.least)
        return round(LEFT + part * (WIDTH - LEFT - RIGHT), 1)

    def ticks(self) -> list[float]:
        return [tick for tick in TICKS if self.least <= tick <= self.most]


def _names(panel: Sequence[Line]) -> list[str]:
    """The contenders from the fastest to the slowest, by one worker where there is that."""
    walls: dict[str, float] = {}
    for line in panel:
        if line.wall:
            walls.setdefault(line.contender.name, line.wall.middle)
    return sorted(walls, key=walls.__getitem__)


def _legend() -> str:
    marks = (
        f"<circle cx='22' cy='40' r='5' fill='{COLOURS['peer']}'/><text x='32' y='44'>1 worker</text>"
        f"<circle cx='112' cy='40' r='4.5' fill='#ffffff' stroke='{COLOURS['peer']}' stroke-width='1.5'/>"
        "<text x='122' y='44'>2 workers</text>"
    )
    names = {"ours": "Sealift", "peer": "others", "limit": "limits: no shards, or none to load"}
    words = "".join(
        f"<text x='{210 + 70 * place}' y='44' fill='{COLOURS[kind]}'>{name}</text>"
        for place, (kind, name) in enumerate(names.items())
    )
    return f"<g fill='#1c1c1c'>{marks}{words}</g>"


def _panel(corpus: str, panel: Sequence[Line], names: Sequence[str], top: float, scale: _Scale) -> str:
    bottom = top + 14 + len(names) * ROW
    grid = [
        f"<line x1='{scale.x(tick)}' x2='{scale.x(tick)}' y1='{top + 8}' y2='{bottom}' stroke='#e2e2e2'/>"
        f"<text x='{scale.x(tick)}' y='{bottom + 14}' text-anchor='middle' fill='#5c5c5c'>{tick:g}</text>"
        for tick in scale.ticks()
    ]
    title = f"<text x='16' y='{top}' font-weight='600' fill='#1c1c1c'>Corpus {escape(corpus)}</text>"
    ends = {name: max(line.wall.most for line in panel if line.wall and line.contender.name == name) for name in names}
    sound = [line for line in panel if line.wall]
    rows = [
        _row(line, top + 22 + names.index(line.contender.name) * ROW, scale, ends[line.contender.name])
        for line in sound
    ]
    labels = [_label(panel, name, top + 26 + place * ROW) for place, name in enumerate(names)]
    return "\n".join([title, *grid, *labels, *rows])


def _label(panel: Sequence[Line], name: str, y: float) -> str:
    kind = next(line.contender.kind for line in panel if line.contender.name == name)
    weight = " font-weight='600'" if kind == "ours" else ""
    return f"<text x='{LEFT - 12}' y='{y}' text-anchor='end' fill='{COLOURS[kind]}'{weight}>{escape(name)}</text>"


def _row(line: Line, y: float, scale: _Scale, end: float) -> str:
    """A bar from the least to the greatest, a point at the median, and for one worker its figure at the end."""
    assert line.wall is not None
    colour, first = COLOURS[line.contender.kind], line.workers == 1
    x = scale.x(line.wall.middle)
    bar = (
        f"<line x1='{scale.x(line.wall.least)}' x2='{scale.x(line.wall.most)}' y1='{y}' y2='{y}' stroke='{colour}'"
        " stroke-width='2' stroke-opacity='0.45'/>"
    )
    fill = colour if first else "#ffffff"
    point = f"<circle cx='{x}' cy='{y}' r='4.5' fill='{fill}' stroke='{colour}' stroke-width='1.5'/>"
    figure = f"<text x='{scale.x(end) + 9}' y='{y + 4}' fill='{colour}'>{line.wall.middle:.1f}</text>" if first else ""
    return bar + figure + point
