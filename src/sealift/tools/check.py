"""Decode some rows of a plan, so that a person can see what would be published."""

from __future__ import annotations

from typing import Any

from sealift import media
from sealift.errors import MissingExtra, SealiftError
from sealift.formats.ranged import whole
from sealift.formats.rowfile import KEY, RowReader
from sealift.model.column import MediaColumn
from sealift.model.entry import Entry
from sealift.model.plan import Plan
from sealift.ports import Reads

SHOWN = 120


def check_rows(plan: Plan, source: Reads, count: int) -> list[tuple[str, dict[str, str]]]:
    """The first rows of each split in turn, `count` in all: (key, column → what it holds), media decoded.

    Memory: one file at a time. What cannot be decoded is said in its place.

    Raises:
        MissingExtra: a decoder is not installed; the error names the extra.
    """
    columns = {column.name: column for column in plan.media}
    readers = [RowReader(plan.rows_file(split)) for split in plan.splits]
    found: list[tuple[str, dict[str, str]]] = []
    for number in range(max((reader.rows for reader in readers), default=0)):
        for reader in readers:
            if number < reader.rows and len(found) < count:
                row = reader.read(number, 1).to_pylist()[0]
                key = row.pop(KEY)
                cells = {name: _shown(source, columns.get(name), value) for name, value in row.items()}
                found.append((key, cells))
        if len(found) >= count:
            break
    return found


def _shown(source: Reads, column: MediaColumn | None, value: Any) -> str:
    if value is None:
        return "null"
    if column is None:
        text = str(value)
        return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"
    cells = value if isinstance(value, list) else [value]
    said = [f"{cell['path']}: {_decoded(source, column, Entry(**cell))}" if cell else "null" for cell in cells]
    return "; ".join(said) or "none"


def _decoded(source: Reads, column: MediaColumn, entry: Entry) -> str:
    try:
        return media.TYPES[column.type].describe(whole(source, entry))
    except MissingExtra:
        raise
    except SealiftError as error:
        return f"CANNOT BE DECODED: {error.message}"
