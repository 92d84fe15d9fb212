"""Rounds in which the contenders take turns, so that what the machine does meanwhile befalls all of them alike."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.one_run import Bench, Run, from_line, run
from benchmarks.roster import Contender

SLACK = 0.02
"""How far the bytes that a contender writes may be from those of its run that was read back."""
ROOM = 2.5
"""Free bytes on the disk for each byte of media: the shards, and what some contenders keep beside them."""


@dataclass(frozen=True)
class Turn:
    """A contender with so many workers, in a round."""

    contender: Contender
    workers: int
    round: int


def turns(contenders: Sequence[Contender], workers: Sequence[int], rounds: int) -> Iterator[Turn]:
    """Each contender with each number of workers once a round; every round begins with another of them."""
    pairs = [(one, count) for one in contenders for count in workers if count in one.workers]
    for number in range(rounds):
        first = number * len(pairs) // max(1, rounds)
        for one, count in pairs[first:] + pairs[:first]:
            yield Turn(one, count, number)


def held(results: Path) -> list[Run]:
    """The runs that are there already."""
    return [from_line(line) for line in results.read_text().splitlines()] if results.is_file() else []


def rounds(
    bench: Bench, asked: Sequence[Turn], results: Path, say: Callable[[Run], None], check_all: bool = False
) -> list[Run]:
    """Run all that is asked and not yet in the results, where each run adds a line as it ends; all runs of the results.

    Whoever failed in a round is not run in later ones.

    Raises:
        SystemExit: there is too little room on the disk.
    """
    _room(bench)
    done = held(results)
    for turn in asked:
        mine = [it for it in done if _same(it, bench, turn)]
        if any(it.round == turn.round or it.problem for it in mine):
            continue
        sound = next((it for it in mine if it.checked), None)
        one = run(bench, turn.contender, turn.workers, turn.round, check_all or sound is None)
        if sound is not None and not one.problem and abs(one.written - sound.written) > SLACK * sound.written:
            one = replace(one, problem=f"wrote {one.written} bytes, and {sound.written} when it was read back")
        with open(results, "a") as file:
            file.write(one.line() + "\n")
        done.append(one)
        say(one)
    return done


def _same(run: Run, bench: Bench, turn: Turn) -> bool:
    return (run.corpus, run.scale, run.contender, run.workers) == (
        bench.corpus.name,
        bench.scale,
        turn.contender.name,
        turn.workers,
    )


def _room(bench: Bench) -> None:
    folder = bench.place.work.parent
    free, needed = shutil.disk_usage(folder).free, int(bench.media * ROOM)
    if free < needed:
        raise SystemExit(
            f"{folder}: {needed / 1e9:.1f} GB are needed for corpus {bench.corpus.name}, {free / 1e9:.1f} are free"
        )
