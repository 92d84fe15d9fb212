"""What is wrong with the rows as a whole: none at all, keys that come twice, media in more than one split."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sealift.formats.rowfile import KEY
from sealift.model.problem import Problem
from sealift.plan.gather import Gathered
from sealift.plan.resolve import Resolved
from sealift.rows import joins
from sealift.spec import Spec


def row_problems(spec: Spec, gathered: Gathered, resolved: Resolved, work: Path, memory: int) -> Iterator[Problem]:
    """Everything that only all rows together can show. `memory` bounds DuckDB, in bytes."""
    if not sum(resolved.rows.values()):
        yield Problem("no-rows", "there are no rows", place="rows", remedy="check the query and the source")
    yield from _splits(spec, gathered, resolved)
    files = [split.file.path for split in resolved.splits.values()]
    if spec.key and files:
        yield from _duplicates(spec, files, work, memory)
    if len(gathered.splits) > 1 and gathered.refs:
        yield from _shared(list(gathered.refs.values()), work, memory)


def _splits(spec: Spec, gathered: Gathered, resolved: Resolved) -> Iterator[Problem]:
    rows = resolved.rows
    for name, share in (spec.split.shares or {}).items():
        if not rows.get(name):
            yield Problem(
                "empty-split",
                f"split `{name}` asks for {share:.0%} of the rows and gets none: its groups are few, or large",
                place="split",
                remedy="try another `seed`, or split `by` a column with more values",
                severity="warning",
            )
    if spec.split.all in gathered.columns:
        yield Problem(
            "split-is-column",
            f"all rows go into one split called `{spec.split.all}`, and there is a column of that name",
            place="split",
            remedy=f"if the column says the split: {{column: {spec.split.all}}}",
            severity="warning",
        )


def _duplicates(spec: Spec, files: list[Path], work: Path, memory: int) -> Iterator[Problem]:
    count, first = joins.duplicates(files, KEY, work, memory)
    if count:
        yield Problem(
            "duplicate-key",
            f"keys occur more than once in `{'/'.join(spec.key)}`",
            place=", ".join(f"{key} ({times} times)" for key, times in first),
            remedy="choose a key that is unique, or drop the repeated rows in `rows:`",
            count=count,
        )


def _shared(refs: list[Path], work: Path, memory: int) -> Iterator[Problem]:
    count, shared = joins.shared(refs, work, memory)
    if count:
        yield Problem(
            "shared-media",
            "media files occur in more than one split",
            place=", ".join(f"{path} ({', '.join(splits)})" for path, splits in shared),
            remedy="split by a column that keeps their rows together, if this leaks",
            severity="warning",
            count=count,
        )
