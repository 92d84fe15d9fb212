"""Verify: prove that what is published is what its manifest says, level by level.

    tree      every file is there, with its size and SHA-256, and no other
    footers   row counts and schemas agree in shards, card and manifest; the features are what loaders will see
    rows      every key once; the index names the rows that are there
    full      every media cell lies where the index says, with the bytes that were hashed at the source

Each level holds those above it. `codes.py` has the code of every problem, `docs/verify.md` the same for people.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sealift.errors import IntegrityError
from sealift.model import manifest
from sealift.model.event import Finished, OnEvent, Started, ignore
from sealift.model.manifest import Manifest
from sealift.model.problem import Problem
from sealift.verify.cells import check_cells
from sealift.verify.codes import problem
from sealift.verify.footers import check_footers
from sealift.verify.published import Published
from sealift.verify.rows import check_rows
from sealift.verify.tree import check_tree

Level = Literal["tree", "footers", "rows", "full"]
LEVELS: tuple[Level, ...] = ("tree", "footers", "rows", "full")
STAGE = "verify"


@dataclass(frozen=True)
class Verified:
    """What was found: no problems means proven. `checked` counts what was looked at, `bytes_read` what that took."""

    level: Level
    problems: tuple[Problem, ...]
    checked: dict[str, int]
    bytes_read: int
    manifest: Manifest | None

    def __repr__(self) -> str:
        """In a few words: a notebook shows it."""
        said = "proven" if self.proven else f"not proven, {len(self.problems)} problems"
        return f"<{said} ({self.level})>"

    @property
    def proven(self) -> bool:
        """Whether the publication is proven at this level."""
        return not self.problems


def verify(published: Published, work: Path, level: Level = "full", on_event: OnEvent = ignore) -> Verified:
    """Prove a publication up to this level. Memory: a slice of media, and the keys and index records of a row group.

    A level that finds problems does not keep the next from looking, but a file that is known to be damaged is not read
    again: one damage is one problem, as far as that can be told.

    Raises:
        SourceError: the folder cannot be listed.
    """
    found, problems = _manifest(published)
    if found is None:
        return Verified(level, tuple(problems), {}, published.bytes_read, None)
    on_event(Started(STAGE, _work(found, level), len(found.paths())))
    checks: dict[Level, Callable[[], Iterator[Problem]]] = {
        "tree": lambda: check_tree(published, found, on_event),
        "footers": lambda: check_footers(published, found),
        "rows": lambda: check_rows(published, found, work),
        "full": lambda: check_cells(published, found, on_event),
    }
    for one in LEVELS[: LEVELS.index(level) + 1]:
        problems += checks[one]()
    on_event(Finished(STAGE))
    return Verified(level, tuple(problems), dict(published.checked), published.bytes_read, found)


def _manifest(published: Published) -> tuple[Manifest | None, list[Problem]]:
    try:
        found = published.open_manifest()
    except IntegrityError as error:
        return None, [problem("manifest-damaged", error.message, manifest.PATH)]
    if found is None:
        return None, [problem("manifest-missing", "there is no manifest, so nothing can be proven", manifest.PATH)]
    return found, []


def _work(found: Manifest, level: Level) -> int:
    """The bytes that will be read: all for the tree, the media again for `full`."""
    files = sum(size for size, _ in found.paths().values())
    return files + (sum(shard.media_bytes for shard in found.shards) if level == "full" else 0)
