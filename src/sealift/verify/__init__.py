"""Verify: prove that what is published is what its manifest says, level by level.

    tree      every file is there, with its size and SHA-256, and no other
    footers   row counts and schemas agree in shards, card and manifest; the features are what loaders will see
    rows      every key once; the index names the rows that are there
    full      every media cell lies where the index says, with the bytes that were hashed at the source

Each level holds those above it. `codes.py` has the code of every problem, `docs/verify.md` the same for people.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sealift.errors import IntegrityError
from sealift.model import manifest
from sealift.model.event import Finished, OnEvent, Started, ignore
from sealift.model.manifest import Manifest
from sealift.model.problem import Problem
from sealift.verify.codes import problem
from sealift.verify.footers import check_footers
from sealift.verify.published import Published
from sealift.verify.rows import check_rows
from sealift.verify.tree import check_tree, to_read

Level = Literal["tree", "footers", "rows", "full"]
LEVELS: tuple[Level, ...] = ("tree", "footers", "rows", "full")
STAGE = "verify"


@dataclass(frozen=True)
class Verified:
    """What was found: no problems means proven. `checked` counts what was looked at.

    `bytes_read` is what that took, in `requests` reads of files (the listing is not counted). `revision` is the commit
    that was looked at; None for a folder.
    """

    level: Level
    problems: tuple[Problem, ...]
    checked: dict[str, int]
    bytes_read: int
    manifest: Manifest | None
    revision: str | None = None
    requests: int = 0

    def __repr__(self) -> str:
        """In a few words: a notebook shows it."""
        said = "proven" if self.proven else f"not proven, {len(self.problems)} problems"
        return f"<{said} ({self.level})>"

    @property
    def proven(self) -> bool:
        """Whether the publication is proven at this level."""
        return not self.problems


def verify(published: Published, work: Path, level: Level = "full", on_event: OnEvent = ignore) -> Verified:
    """Prove a publication up to this level.

    A level that finds problems does not keep the next from looking, but a file that is known to be damaged is not read
    again: one damage is one problem, as far as that can be told. Memory: the pieces of a shard that are read ahead
    (8 MB of a folder, 40 MB of a Hub), and the keys and index records of a row group.

    Raises:
        SourceError, DestinationError: the place cannot be listed, or its manifest not be read.
    """
    found, problems = _manifest(published)
    if found is None:
        return _verified(level, problems, published, None)
    on_event(Started(STAGE, _work(published, found, level), len(found.paths())))
    problems += check_tree(published, found, on_event)
    if level != "tree":
        problems += check_footers(published, found)
    if level in ("rows", "full"):
        problems += check_rows(published, found, work, on_event, cells=level == "full")
    on_event(Finished(STAGE))
    return _verified(level, problems, published, found)


def _verified(level: Level, problems: list[Problem], published: Published, found: Manifest | None) -> Verified:
    return Verified(
        level,
        tuple(problems),
        dict(published.checked),
        published.bytes_read,
        found,
        requests=published.requests,
    )


def _manifest(published: Published) -> tuple[Manifest | None, list[Problem]]:
    try:
        found = published.open_manifest()
    except IntegrityError as error:
        return None, [problem("manifest-damaged", error.message, manifest.PATH)]
    if found is None:
        return None, [problem("manifest-missing", "there is no manifest, so nothing can be proven", manifest.PATH)]
    return found, []


def _work(published: Published, found: Manifest, level: Level) -> int:
    """The bytes that will be hashed: of the files that must be read for the tree, and all media for `full`."""
    media = sum(shard.media_bytes for shard in found.shards) if level == "full" else 0
    return to_read(published, found) + media
