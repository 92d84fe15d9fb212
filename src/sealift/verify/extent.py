"""How far a verification goes: the level, how many cells are drawn by which seed, which part of the media is read."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from heapq import heapify, heapreplace
from typing import Literal, get_args

from sealift.errors import RequestError

Level = Literal["tree", "footers", "sample", "rows", "full"]
LEVELS: tuple[Level, ...] = get_args(Level)
Part = tuple[int, int]
"""Which part, from 1, of how many."""

CELLS = 300
"""So many cells are drawn if nobody says how many: at 1 % of damaged cells, one of them is met 95 times of 100."""
MOST_CELLS = 10_000_000
MOST_PARTS = 10_000


@dataclass(frozen=True, slots=True)
class Extent:
    """What is to be proven. `cells` and `seed` are those of `sample`, `part` is of `full`; None elsewhere."""

    level: Level = "full"
    cells: int | None = None
    seed: int | None = None
    part: Part | None = None

    def __str__(self) -> str:
        """In a few words: `sample of 300, seed 7`, `full, part 3/12`."""
        if self.part is not None:
            return f"{self.level}, part {self.part[0]}/{self.part[1]}"
        return self.level if self.cells is None else f"{self.level} of {self.cells}, seed {self.seed}"


def extent_of(
    level: str | None = None, cells: int | None = None, seed: int | None = None, part: Part | None = None
) -> Extent:
    """The extent that these words ask for; a sample gets a number of cells and a seed if none is said.

    Raises:
        RequestError: they contradict each other, or there is no such level or part.
    """
    found = next((one for one in LEVELS if one == (level or "full")), None)
    if found is None:
        raise RequestError(f"there is no level {level!r}", hint=f"say one of {', '.join(LEVELS)}")
    if found != "sample":
        if cells is not None or seed is not None:
            raise RequestError("a number of cells and a seed are those of a sample", hint="say the level `sample`, too")
        return Extent(found, part=_checked(part, found))
    if part is not None:
        raise RequestError("parts are those of the level `full`", hint="leave out the part, or the level")
    if cells is not None and not 1 <= cells <= MOST_CELLS:
        raise RequestError(f"a sample of {cells} cells", hint=f"say a number from 1 to {MOST_CELLS}")
    return Extent(found, CELLS if cells is None else cells, secrets.randbits(32) if seed is None else seed)


def part_of(text: str) -> Part:
    """The part that a text like `3/12` names.

    Raises:
        RequestError: it names none.
    """
    if (found := re.fullmatch(r"([0-9]{1,5})/([0-9]{1,5})", text)) is None:
        raise RequestError(f"{text!r} is no part", hint="say which of how many, like 3/12")
    number, parts = int(found[1]), int(found[2])
    _checked((number, parts), "full")
    return number, parts


def _checked(part: Part | None, level: Level) -> Part | None:
    if part is None:
        return None
    if level != "full":
        raise RequestError("parts are those of the level `full`", hint="leave out the part, or the level")
    number, parts = part
    if not 1 <= number <= parts <= MOST_PARTS:
        raise RequestError(f"there is no part {number}/{parts}", hint=f"parts go from 1/N to N/N, N up to {MOST_PARTS}")
    return number, parts


def elsewhere(sizes: Mapping[str, int], part: Part | None) -> frozenset[str]:
    """The files that other parts look into, of these with their sizes in bytes; each file is in exactly one part.

    The same sizes are divided in the same way everywhere: the largest file first, each to the part that has the fewest
    bytes. Two parts differ by no more than the largest file.
    """
    if part is None:
        return frozenset()
    number, parts = part
    filled = [(0, one) for one in range(1, parts + 1)]
    heapify(filled)
    others = []
    for path, size in sorted(sizes.items(), key=lambda one: (-one[1], one[0])):
        total, least = filled[0]
        heapreplace(filled, (total + size, least))
        if least != number:
            others.append(path)
    return frozenset(others)
