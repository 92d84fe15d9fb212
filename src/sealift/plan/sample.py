"""Look into some files of a plan before anything is read in earnest. Packing probes every one on its way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

from sealift import media
from sealift.errors import SourceChanged, SourceMissing
from sealift.formats.index import cells_of
from sealift.formats.rowfile import RowReader
from sealift.model.column import MediaColumn
from sealift.model.entry import Entry
from sealift.model.plan import Plan
from sealift.model.problem import Problem
from sealift.ports import Reads

PROBED_FILES = 1000
BLOCKS = 10
"""At so many places of each split, evenly apart, rows are looked into."""


def probe_sample(plan: Plan, source: Reads, *, strict: bool = False) -> Plan:
    """The plan, with a warning for each kind of file that is not what its column says, among up to 1,000 a column."""
    problems = [problem for column in plan.media for problem in _suspects(plan, source, column, strict)]
    return replace(plan, problems=(*plan.problems, *problems))


def _suspects(plan: Plan, source: Reads, column: MediaColumn, strict: bool) -> Iterator[Problem]:
    found: dict[str, list[str]] = {}
    entries = _entries(plan, column)
    for entry in entries:
        reason = _probe(source, column, entry)
        if reason is not None:
            found.setdefault(reason, []).append(entry.path)
    for reason, paths in sorted(found.items()):
        yield Problem(
            "media-suspect",
            f"column `{column.name}`: {reason} (of {len(entries)} files looked into)",
            place=paths[0],
            remedy="look at the file; --check 3 decodes some rows",
            severity="error" if strict else "warning",
            count=len(paths),
        )


def _entries(plan: Plan, column: MediaColumn) -> list[Entry]:
    """Up to 1,000 entries, from rows that lie evenly over every split. Memory: one row group's references."""
    entries: list[Entry] = []
    each = PROBED_FILES // max(1, len(plan.splits) * BLOCKS)
    for split in plan.splits:
        reader = RowReader(plan.rows_file(split), [column.name])
        starts = sorted({reader.rows * block // BLOCKS for block in range(BLOCKS + 1)})
        for first, following in pairwise(starts):
            rows = reader.read(first, min(max(1, each), following - first))
            entries += cells_of(rows.column(column.name), column).entries()
    return entries[:PROBED_FILES]


def _probe(source: Reads, column: MediaColumn, entry: Entry) -> str | None:
    size = min(entry.size, media.VIEW)
    head, tail = bytearray(size), bytearray(size)
    try:
        source.read_into(entry, 0, memoryview(head))
        source.read_into(entry, entry.size - size, memoryview(tail))
    except SourceMissing:
        return "it cannot be read"
    except SourceChanged:
        return "it changed since it was listed"
    return media.TYPES[column.type].probe(bytes(head), bytes(tail), entry.size)
