"""Look into some files of a plan before anything is read in earnest. Packing probes every one on its way."""

from __future__ import annotations

from dataclasses import replace

from sealift import media
from sealift.errors import SourceError
from sealift.formats.index import cells_of
from sealift.formats.rowfile import RowReader
from sealift.model.column import MediaColumn
from sealift.model.entry import Entry
from sealift.model.plan import Plan
from sealift.model.problem import Problem
from sealift.ports import Reads

PROBED_FILES = 1000
PROBED_BYTES = 4096
STRIDE = 1024


def probe_sample(plan: Plan, source: Reads, *, strict: bool = False) -> Plan:
    """The plan, with a warning for each kind of file that is not what its column says, among up to 1,000 a column."""
    found: dict[tuple[str, str], tuple[int, str]] = {}
    probed = {column.name: 0 for column in plan.media}
    total = {column.name: 0 for column in plan.media}
    for column in plan.media:
        configs = {config.name for config in plan.configs if column.name in config.columns}
        one = min(configs, default=None)
        total[column.name] = sum(t.present.get(column.name, 0) for t in plan.totals if t.config == one)
        for entry in _entries(plan, column):
            reason = _probe(source, column, entry)
            probed[column.name] += 1
            if reason is not None:
                count, example = found.get((column.name, reason), (0, entry.path))
                found[(column.name, reason)] = (count + 1, example)
    problems = [
        Problem(
            "media-suspect",
            f"column `{name}`: {reason} (of {probed[name]} files looked into)",
            place=example,
            remedy="look at the file; --check 3 decodes some rows",
            severity="error" if strict else "warning",
            count=count,
        )
        for (name, reason), (count, example) in sorted(found.items())
    ]
    return replace(plan, problems=(*plan.problems, *problems))


def _entries(plan: Plan, column: MediaColumn) -> list[Entry]:
    """Entries from the beginning of each block of rows of every split, until there are enough."""
    entries: list[Entry] = []
    for split in plan.splits:
        reader = RowReader(plan.rows_file(split), [column.name])
        for batch in reader.batches():
            entries += cells_of(batch.column(column.name), column).entries()
            if len(entries) >= PROBED_FILES:
                return entries[:PROBED_FILES]
    return entries


def _probe(source: Reads, column: MediaColumn, entry: Entry) -> str | None:
    size = min(entry.size, PROBED_BYTES)
    head, tail = bytearray(size), bytearray(size)
    try:
        source.read_into(entry, 0, memoryview(head))
        source.read_into(entry, entry.size - size, memoryview(tail))
    except SourceError as error:
        return error.message
    return media.TYPES[column.type].probe(bytes(head), bytes(tail), entry.size)
