"""Rows with media small enough to say what a shard must hold: used by the suites of the Parquet format."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from sealift.formats import parquet
from sealift.model.column import MediaColumn

AUDIO = MediaColumn("audio", "audio")
SCANS = MediaColumn("scans", "nifti", many=True)
MIDI = MediaColumn("midi", "midi", boxed=False)
TRACKS = MediaColumn("tracks", "binary", many=True, boxed=False)
MEDIA = (AUDIO, SCANS, MIDI, TRACKS)
LIGHT = pa.schema(
    [
        ("key", pa.string()),
        ("number", pa.int64()),
        ("tags", pa.list_(pa.string())),
        ("who", pa.struct([("name", pa.string()), ("age", pa.float64())])),
        ("marks", pa.list_(pa.struct([("at", pa.timestamp("us")), ("ok", pa.bool_())]))),
    ]
)
File = tuple[str | None, bytes]


def content(name: str, size: int) -> bytes:
    """Bytes that differ from file to file and repeat nowhere."""
    return hashlib.shake_128(name.encode()).digest(size)


def sample(number: int, scale: int = 100) -> dict[str, Any]:
    """A row; over six of them every mixture of null, empty and there occurs in every column."""

    def file(name: str, factor: int) -> File:
        return f"{name}/{number}.bin", content(f"{name}{number}", factor * scale + number % 7)

    audio = None if number % 4 == 1 else file("audio", number % 5)
    lists = [None, [], [None], [file("a", 0), None, file("b", 3)], [file("c", 1)] * 3, [None, file("d", 9)]]
    return {
        "key": f"key-{number:06d}",
        "number": None if number % 9 == 0 else number,
        "tags": lists[number % 3] and [None, "x" * (number % 11)],
        "who": None if number % 5 == 0 else {"name": f"n{number % 3}", "age": number / 7},
        "marks": [{"at": None, "ok": True}] * (number % 4) if number % 6 else None,
        "audio": audio,
        "scans": lists[number % 6],
        "midi": [None, (None, b""), file("midi", 1)][number % 3],
        "tracks": lists[(number + 2) % 6],
    }


class Given:
    """The cells of a row group, from memory; holds the writer to its promise to ask for each byte once and in order."""

    def __init__(self, rows: Sequence[dict[str, Any]], media: Sequence[MediaColumn]) -> None:
        self.files = {column.name: files_of(rows, column) for column in media}
        self._at: tuple[str, int, int] | None = None
        self.asked: list[tuple[str, int]] = []

    def read_all(self, column: str, first: int, views: list[memoryview]) -> None:
        for cell, view in enumerate(views, first):
            data = self.files[column][cell]
            self.asked.append((column, cell))
            assert len(view) == len(data)
            view[:] = data

    def read_into(self, column: str, cell: int, offset: int, view: memoryview) -> None:
        data = self.files[column][cell]
        if offset == 0:
            self.asked.append((column, cell))
        else:
            assert self._at == (column, cell, offset)
        self._at = (column, cell, offset + len(view))
        assert 0 < len(view) <= len(data) - offset
        view[:] = data[offset : offset + len(view)]


def files_of(rows: Sequence[dict[str, Any]], column: MediaColumn) -> list[bytes]:
    """The bytes of the column's present cells, in order."""
    cells = [row[column.name] for row in rows]
    flat = [cell for cells in cells for cell in cells or ()] if column.many else cells
    return [cell[1] for cell in flat if cell is not None]


def _map(column: MediaColumn, value: Any, function: Any) -> Any:
    def one(cell: File | None) -> Any:
        return None if cell is None else function(cell)

    if not column.many:
        return one(value)
    return None if value is None else [one(cell) for cell in value]


def references(rows: Sequence[dict[str, Any]], light: pa.Schema, media: Sequence[MediaColumn]) -> pa.RecordBatch:
    """The rows as the writer takes them."""
    said = [
        {**row, **{c.name: _map(c, row[c.name], lambda f: {"path": f[0], "size": len(f[1])}) for c in media}}
        for row in rows
    ]
    fields = [*light, *(pa.field(column.name, parquet.reference_type(column)) for column in media)]
    return pa.RecordBatch.from_pylist(said, schema=pa.schema(fields))


def expected(rows: Sequence[dict[str, Any]], media: Sequence[MediaColumn]) -> list[dict[str, Any]]:
    """The rows as a reader must find them."""

    def stored(column: MediaColumn) -> Any:
        return (lambda file: {"bytes": file[1], "path": file[0]}) if column.boxed else (lambda file: file[1])

    return [{**row, **{c.name: _map(c, row[c.name], stored(c)) for c in media}} for row in rows]


def write(
    groups: Sequence[Sequence[dict[str, Any]]],
    light: pa.Schema = LIGHT,
    media: Sequence[MediaColumn] = MEDIA,
    metadata: dict[str | bytes, str | bytes] | None = None,
    **options: Any,
) -> tuple[bytes, list[dict[str, list[int]]]]:
    """A shard of these row groups, and what the writer said of each one's cells."""
    sink = io.BytesIO()
    schema = parquet.storage_schema(references([], light, media).schema, media, metadata)
    said = []
    with parquet.ShardWriter(sink, schema, media, **options) as writer:
        for rows in groups:
            cells = Given(rows, media)
            offsets = writer.write(references(rows, light, media), cells)
            assert cells.asked == [(c, i) for c in dict(cells.asked) for i in range(len(cells.files[c]))]
            said.append({name: array.tolist() for name, array in offsets.items()})
    data = sink.getvalue()
    assert writer.close() == len(data)
    return data, said


def reader(data: bytes) -> parquet.Read:
    """Reads from memory; past the end it comes up short, as a file does."""
    return lambda offset, length: data[offset : offset + length]


def places(data: bytes, leaf: str) -> list[tuple[int, int, int, int, int]]:
    """(row group, row, element, offset, length) of every cell that the reader finds."""
    footer = parquet.read_footer(reader(data), len(data))
    return [
        (page.row_group, int(row), int(element), int(offset), int(length))
        for page in parquet.cells(reader(data), footer, leaf)
        for row, element, offset, length in zip(page.row, page.element, page.offset, page.length, strict=True)
    ]
