"""Verify: prove that what is published is what its manifest says, level by level.

    tree      every file is there, with its size and SHA-256, and no other
    footers   row counts and schemas agree in shards, card and manifest; the features are what loaders will see
    sample    some cells, drawn at random, lie where the index says, with the bytes that were hashed at the source
    rows      every key once; the index names the rows that are there
    full      as `rows`; and every media cell lies where the index says, with those bytes

Each level holds `tree` and `footers`, and `full` holds all. `sample` and `rows` stand side by side: the one looks into
some media, the other into every key and record. `codes.py` has the code of every problem, `docs/verify.md` the same for
people.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from sealift.errors import IntegrityError
from sealift.model import manifest
from sealift.model.event import Finished, OnEvent, Started, ignore
from sealift.model.manifest import Manifest
from sealift.model.problem import Problem
from sealift.verify.codes import problem
from sealift.verify.extent import LEVELS, Extent, Level, elsewhere, extent_of
from sealift.verify.footers import check_footers
from sealift.verify.published import Published
from sealift.verify.rows import check_rows
from sealift.verify.sample import check_sample
from sealift.verify.statement import examine
from sealift.verify.tree import check_tree, to_read

__all__ = ["LEVELS", "STAGE", "Extent", "Level", "Verified", "verify"]

STAGE = "verify"


@dataclass(frozen=True)
class Verified:
    """What was found: no problems means proven, as far as `extent` goes. `checked` counts what was looked at.

    `bytes_read` is what that took, in `requests` reads of files (the listing is not counted); `size` are the bytes of
    all files that the manifest names. `revision` is the commit that was looked at; None for a folder.
    `manifest_sha256` is of the manifest's bytes as they were read.
    """

    extent: Extent
    problems: tuple[Problem, ...]
    checked: dict[str, int]
    bytes_read: int
    manifest: Manifest | None
    revision: str | None = None
    requests: int = 0
    manifest_sha256: str | None = None

    def __repr__(self) -> str:
        """In a few words: a notebook shows it."""
        said = "proven" if self.proven else f"not proven, {len(self.problems)} problems"
        return f"<{said} ({self.extent})>"

    @property
    def level(self) -> Level:
        """How far was looked."""
        return self.extent.level

    @property
    def proven(self) -> bool:
        """Whether the publication is proven at this level."""
        return not self.problems

    @property
    def size(self) -> int:
        """The bytes of all files that the manifest names."""
        return sum(size for size, _ in self.manifest.paths().values()) if self.manifest else 0

    @property
    def share(self) -> float | None:
        """The bytes that were read as a share of the dataset's; None where it has none."""
        return self.bytes_read / self.size if self.size else None


def verify(published: Published, work: Path, extent: Extent | Level = "full", on_event: OnEvent = ignore) -> Verified:
    """Prove a publication so far.

    A level that finds problems does not keep the next from looking, but a file that is known to be damaged is not read
    again: one damage is one problem, as far as that can be told. Memory: the pieces of a shard that are read ahead
    (8 MB of a folder, 40 MB of a Hub), and the keys and index records of a row group.

    Raises:
        SourceError, DestinationError: the place cannot be listed, or its manifest not be read.
    """
    wanted = extent if isinstance(extent, Extent) else extent_of(extent)
    digest, found, problems = _manifest(published)
    if found is not None:
        problems += _levels(published, found, work, wanted, on_event)
    return Verified(
        wanted,
        tuple(problems),
        dict(published.checked),
        published.bytes_read,
        found,
        requests=published.requests,
        manifest_sha256=digest,
    )


def _levels(published: Published, found: Manifest, work: Path, wanted: Extent, on_event: OnEvent) -> list[Problem]:
    published.elsewhere = elsewhere(_divided(found), wanted.part)
    on_event(Started(STAGE, _work(published, found, wanted), _files(published, found)))
    problems = [*check_tree(published, found, on_event)]
    if wanted.level != "tree":
        problems += check_footers(published, found)
    if wanted.level in ("rows", "full"):
        problems += check_rows(published, found, work, on_event, cells=wanted.level == "full")
    on_event(Finished(STAGE))
    if wanted.level == "sample":
        problems += check_sample(published, found, wanted, on_event)
    return problems


def _manifest(published: Published) -> tuple[str | None, Manifest | None, list[Problem]]:
    """The SHA-256 of the manifest, what it states, and what is wrong with it."""
    try:
        data = published.manifest_bytes()
    except IntegrityError as error:
        return None, None, [problem("manifest-damaged", error.message, manifest.PATH)]
    if data is None:
        missing = problem("manifest-missing", "there is no manifest, so nothing can be proven", manifest.PATH)
        return None, None, [missing]
    return hashlib.sha256(data).hexdigest(), *examine(data)


def _divided(found: Manifest) -> dict[str, int]:
    """The files that parts divide among them: shards and tables. Card and index, each part needs."""
    tables = {file.path: file.size for file in found.files if file.role in ("also", "rejects")}
    return {shard.path: shard.size for shard in found.shards} | tables


def _files(published: Published, found: Manifest) -> int:
    """The files whose digests are looked at."""
    return sum(path not in published.elsewhere or published.told(path) is not None for path in found.paths())


def _work(published: Published, found: Manifest, wanted: Extent) -> int:
    """The bytes that will be hashed: of the files that must be read for the tree, and all media for `full`."""
    shards = found.shards if wanted.level == "full" else ()
    media = sum(shard.media_bytes for shard in shards if shard.path not in published.elsewhere)
    return to_read(published, found) + media
