"""What the Hub, its viewer and the loaders take, held against a plan.

Figures: the Hub's repository recommendations (100,000 files a repository, 10,000 entries a folder refused, 200 GB a
file advised, 500 GB refused; 25,000 large files a commit) and the dataset viewer's (row groups of 100 MB advised,
300 MB scanned at most; 30 splits; 1,000 columns), as documented in 2026.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from sealift.formats.index import index_paths
from sealift.model import manifest
from sealift.model.path import clashes, unfit
from sealift.model.plan import Also, Config, PlannedShard
from sealift.model.problem import Problem
from sealift.plan.resolve import Resolved
from sealift.spec import Spec

FOLDER_ENTRIES = 10_000
REPOSITORY_FILES = 100_000
FILE_BYTES_ADVISED = 200_000_000_000
FILE_BYTES = 500_000_000_000
ROW_GROUP_ADVISED = 100_000_000
ROW_GROUP_SCANNED = 300_000_000
SPLITS = 30
COLUMNS = 1_000
COMMIT_FILES = 25_000


def published_paths(
    shards: Iterable[PlannedShard], also: Iterable[Also], configs: Iterable[Config], rejects: int
) -> list[str]:
    """Every file of the publication: shards, tables beside them, card, manifest, rejects if there are any, index."""
    cells: Counter[str] = Counter()
    paths = []
    for shard in shards:
        cells[shard.config] += shard.cells
        paths.append(shard.path)
    paths += [table.path for table in also]
    paths += [manifest.CARD, manifest.PATH, *([manifest.REJECTS] if rejects else [])]
    return paths + [path for config in configs for path in index_paths(config.name, cells[config.name])]


def folder_counts(paths: Iterable[str]) -> dict[str, int]:
    """How many entries (files and folders) each folder of the repository would have; '' is its root."""
    entries: Counter[str] = Counter()
    seen: set[str] = set()
    for path in paths:
        while path and path not in seen:
            seen.add(path)
            folder = path.rpartition("/")[0]
            entries[folder] += 1
            path = folder
    return dict(sorted(entries.items()))


def against_limits(
    paths: Sequence[str], shards: Sequence[PlannedShard], configs: Sequence[Config], splits: Sequence[str]
) -> Iterator[Problem]:
    """What the Hub would refuse (errors) or serve badly (warnings)."""
    yield from _names(paths)
    for folder, count in folder_counts(paths).items():
        if count >= FOLDER_ENTRIES:
            yield Problem(
                "folder-entries",
                f"{count} entries; the Hub refuses {FOLDER_ENTRIES} and more",
                place=f"{folder or '.'}/",
                remedy="make shards larger: `shards: {max_bytes: …}`",
            )
    if len(paths) >= REPOSITORY_FILES:
        yield _warning(
            "repository-files",
            f"{len(paths)} files; the Hub advises fewer than {REPOSITORY_FILES}",
            "make shards larger",
        )
    if len(paths) > COMMIT_FILES:
        yield _warning(
            "commit-files",
            f"{len(paths)} files in one commit; {COMMIT_FILES} are documented to be taken by the Hub",
            "make shards larger, or publish with `--commits per-config`",
        )
    for shard in shards:
        if shard.media_bytes > FILE_BYTES_ADVISED:
            severe = shard.media_bytes > FILE_BYTES
            yield Problem(
                "file-bytes",
                f"{shard.media_bytes} bytes in one file; the Hub advises 200 GB and refuses 500 GB",
                place=shard.path,
                remedy="lower `shards: {max_bytes: …}`",
                severity="error" if severe else "warning",
            )
    if len(splits) > SPLITS:
        yield _warning(
            "many-splits", f"{len(splits)} splits; the viewer shows {SPLITS}", "use a column instead of splits"
        )
    for config in configs:
        if len(config.columns) > COLUMNS:
            yield _warning(
                "many-columns",
                f"{len(config.columns)} columns in `{config.name}`; the viewer shows {COLUMNS}",
                "use lists or structs",
            )


def _names(paths: Sequence[str]) -> Iterator[Problem]:
    """Names that readers' machines cannot have, or not side by side."""
    for path in paths:
        if wrong := unfit(path):
            yield Problem("path-unfit", f"no file can be published there: {wrong}", place=path, remedy="rename it")
    found = dict.fromkeys(clashes(paths))
    if found:
        ours = {manifest.FOLDER, manifest.CARD, manifest.ATTRIBUTES}
        yield Problem(
            "paths-clash",
            "names that differ only in case or in the form of Unicode: on many machines one takes the other's place",
            place=", ".join(f"{one} and {other}" for one, other in list(found)[:5]),
            remedy="rename one of them",
            severity="error" if any(ours & {*pair} for pair in found) else "warning",
            count=len(found),
        )


def row_groups(largest: int, row_group_bytes: int) -> Iterator[Problem]:
    """Warn of row groups that the viewer cannot scan; `largest` is the bytes of the largest one."""
    if largest > ROW_GROUP_SCANNED:
        yield _warning(
            "row-group-bytes",
            f"the largest row group has {largest} bytes; the viewer scans {ROW_GROUP_SCANNED} at most",
            "lower `shards: {row_group_bytes: …}`, unless a single row is that large",
        )
    elif row_group_bytes > ROW_GROUP_ADVISED:
        yield _warning(
            "row-group-bytes",
            f"row groups of {row_group_bytes} bytes; the viewer advises {ROW_GROUP_ADVISED}",
            "lower `shards: {row_group_bytes: …}`",
        )


def against_expectation(spec: Spec, resolved: Resolved) -> Iterator[Problem]:
    """What `expect:` says, held against all rows, whichever configs are planned."""
    expect = spec.expect
    if expect is None:
        return
    present: Counter[str] = Counter()
    for split in resolved.splits.values():
        present.update(split.present)
    rows = resolved.rows
    wanted = [("rows", expect.rows, sum(rows.values()))] if expect.rows is not None else []
    wanted += [(f"splits.{name}", count, rows.get(name, 0)) for name, count in expect.splits.items()]
    wanted += [(f"media.{name}", count, present[name]) for name, count in expect.media.items()]
    for what, count, found in wanted:
        if abs(found - count) > expect.tolerance * count:
            yield Problem(
                "unexpected-count",
                f"found {found}, expected {count}",
                place=f"expect.{what}",
                remedy="mend the source or the query; or correct `expect:`",
            )


def _warning(code: str, message: str, remedy: str) -> Problem:
    return Problem(code, message, remedy=remedy, severity="warning")
