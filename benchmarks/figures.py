"""What the runs come to: a median with its spread, ratios within rounds, and what was aimed at. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.one_run import Run
from benchmarks.roster import CONTENDERS, OURS, WRONG, Contender

MB = 1_000_000


@dataclass(frozen=True)
class Spread:
    """The middle one of some figures, the least and the greatest."""

    middle: float
    least: float
    most: float

    def __format__(self, form: str) -> str:
        if self.least == self.most:
            return format(self.middle, form)
        return f"{self.middle:{form}} ({self.least:{form}} to {self.most:{form}})"


def spread(figures: Iterable[float]) -> Spread | None:
    """None of no figures."""
    all_of = sorted(figures)
    return Spread(median(all_of), all_of[0], all_of[-1]) if all_of else None


@dataclass(frozen=True)
class Line:
    """A contender with so many workers on a corpus, all its runs. `ratio` is its wall time by ours in each round."""

    contender: Contender
    workers: int
    runs: tuple[Run, ...]
    wall: Spread | None
    cpu: Spread | None
    ratio: Spread | None
    anonymous: int
    shared_once: int | None
    problem: str

    @property
    def rate(self) -> float:
        """Bytes of media in a second."""
        return self.runs[0].media / self.wall.middle if self.wall else 0.0

    @property
    def shards(self) -> tuple[int, ...]:
        """The bytes of each shard of the first run."""
        return self.runs[0].shards


def lines(runs: Sequence[Run], corpus: str) -> list[Line]:
    """A line for each contender and number of workers; who failed comes last, the others by their wall time."""
    here = [run for run in runs if run.corpus == corpus]
    ours = walls(here, OURS)
    made = []
    for contender in (*CONTENDERS, WRONG):
        for workers in sorted({run.workers for run in here if run.contender == contender.name}):
            mine = tuple(run for run in here if (run.contender, run.workers) == (contender.name, workers))
            made.append(_line(contender, workers, mine, ours))
    return sorted(made, key=lambda line: (line.workers, line.wall.middle if line.wall else float("inf")))


def _line(contender: Contender, workers: int, mine: tuple[Run, ...], ours: dict[tuple[int, int], float]) -> Line:
    sound = [run for run in mine if not run.problem]
    ratios = [run.wall / ours[key] for run in sound if (key := (run.workers, run.round)) in ours]
    shared = [run.shared_once for run in mine if run.shared_once is not None]
    return Line(
        contender,
        workers,
        mine,
        spread(run.wall for run in sound),
        spread(run.user + run.system for run in sound),
        spread(ratios),
        max(run.anonymous for run in mine),
        max(shared, default=None),
        next((run.problem for run in mine if run.problem), ""),
    )


def walls(runs: Sequence[Run], name: str) -> dict[tuple[int, int], float]:
    """The wall time of a contender's sound runs, by workers and round."""
    return {(run.workers, run.round): run.wall for run in runs if run.contender == name and not run.problem}


@dataclass(frozen=True)
class Aim:
    """What a ratio within rounds is to come to on a corpus: at least, or at most."""

    corpus: str
    what: str
    limit: float
    at_least: bool
    found: Spread | None

    @property
    def reached(self) -> bool | None:
        """By the median; None where nothing was measured."""
        if self.found is None:
            return None
        return self.found.middle >= self.limit if self.at_least else self.found.middle <= self.limit


TAR = {"A": 2.0, "B": 1.5, "C": 1.6}
DATASETS = {"A": 2.0, "B": 1.8, "C": 3.5}
WEBDATASET = {"A": 4.5, "B": 1.8, "C": 1.7}
TWO_WORKERS = {"A": 1.4, "C": 1.4}
MEMORY = 400 * MB


def aims(runs: Sequence[Run], corpus: str) -> list[Aim]:
    """What was aimed at on this corpus, and what came out."""
    here = [run for run in runs if run.corpus == corpus]
    ours = walls(here, OURS)

    def ours_by(name: str) -> Spread | None:
        """Our wall time by the other's."""
        theirs = walls(here, name)
        return spread(ours[key] / theirs[key] for key in ours.keys() & theirs.keys() if key[0] == 1)

    def others_by_ours(name: str, workers: int) -> Spread | None:
        theirs = walls(here, name)
        return spread(theirs[key] / ours[key] for key in ours.keys() & theirs.keys() if key[0] == workers)

    best = {workers: _least([others_by_ours(peer, workers) for peer in _peers()]) for workers in (1, 2)}
    speedup = spread(
        ours[1, number] / ours[2, number] for _, number in ours if {(1, number), (2, number)} <= ours.keys()
    )
    peak = spread(run.anonymous / MB for run in here if run.contender == OURS and run.workers == 1)
    found = [
        Aim(corpus, "our wall time by GNU tar's, 1 worker", TAR[corpus], False, ours_by("GNU tar")),
        Aim(corpus, "`datasets` by ours, 1 worker", DATASETS[corpus], True, others_by_ours("datasets", 1)),
        Aim(corpus, "webdataset by ours, 1 worker", WEBDATASET[corpus], True, others_by_ours("webdataset", 1)),
        Aim(corpus, "the best peer by ours, 1 worker", 1.0, True, best[1]),
        Aim(corpus, "the best peer by ours, 2 workers", 1.0, True, best[2]),
        Aim(corpus, "our peak memory in MB, 1 worker", MEMORY / MB, False, peak),
    ]
    if corpus in TWO_WORKERS:
        found.append(Aim(corpus, "our 1 worker by our 2", TWO_WORKERS[corpus], True, speedup))
    return found


def _peers() -> list[str]:
    return [contender.name for contender in CONTENDERS if contender.kind == "peer"]


def _least(spreads: Sequence[Spread | None]) -> Spread | None:
    return min((one for one in spreads if one is not None), key=lambda one: one.middle, default=None)
