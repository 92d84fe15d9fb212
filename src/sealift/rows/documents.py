"""JSON and JSON Lines: strings stay strings and numbers numbers, in records and deep inside them."""

# ruff: noqa: S608 — names and literals in this SQL are quoted by rows.engine
from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import duckdb
from duckdb.sqltypes import DuckDBPyType

from sealift.errors import TableError
from sealift.rows import engine

NUMBERS = frozenset({"boolean", "bigint", "ubigint", "hugeint", "uhugeint", "double"})
"""What DuckDB makes of JSON that is no string, by the ids of its types."""

CLOSING = {"[": "]", "{": "}"}

MANY_KEYS, IN_COMMON = 200, 0.1
"""DuckDB takes objects for maps if they have more keys than this together, or a key is in fewer than this share of them
on average; whole records are maps here only if both are true."""

OBJECT = 16 * 1024 * 1024
"""Bytes of one JSON object that DuckDB takes unless told otherwise."""


def relation(con: duckdb.DuckDBPyConnection, file: str, kind: str, compression: str) -> str:
    """SQL for the file's rows: the records of an array, of a line each (`.jsonl`), or the one object.

    DuckDB takes strings that look like dates, times or UUIDs for such; here they stay VARCHAR, nested ones too, and so
    does what has several types. The keys of records are columns; objects inside them are structs, or maps if they have
    more than 200 keys or few in common. A single object of more than 200 keys, and records that have as many and few in
    common, are maps in the column `json`, which values that are no objects make, too.

    Raises:
        TableError: it is empty, cut off or no JSON, or has keys that differ only in case.
    """
    first, last, size = _ends(file, compression)
    if not first:
        raise TableError("the file is empty", hint="leave it out, or write its records")
    form = "array" if first == "[" else "unstructured"
    if kind in (".jsonl", ".ndjson"):
        form = "newline_delimited"
    elif CLOSING.get(first, last) != last:
        raise TableError(f"the file is cut off: it starts with {first} and ends with {last}", hint="copy it again")
    source = engine.text(engine.glob_safe(file))
    settings = f"format='{form}', compression='{compression}', hive_partitioning=false"
    if form == "unstructured" and size > OBJECT:
        settings += f", maximum_object_size={size + 1}"
    try:
        return _settled(con, source, settings)
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        if form == "newline_delimited":
            _name_the_line(file, compression)
        raise TableError(engine.said(error), hint="mend the JSON") from error


def _settled(con: duckdb.DuckDBPyConnection, source: str, settings: str) -> str:
    guessed = f"read_json({source}, {settings}, sample_size=-1)"
    found = con.sql(f"SELECT * FROM {guessed}")
    if _hold_records(con, found, guessed):
        guessed = f"read_json({source}, {settings}, sample_size=-1, map_inference_threshold=-1)"
        found = con.sql(f"SELECT * FROM {guessed}")
    types = {name: settled(kind) for name, kind in zip(found.columns, found.types, strict=True)}
    columns = ", ".join(f"{engine.text(name)}: {engine.text(kind)}" for name, kind in types.items())
    relation = f"read_json({source}, {settings}, columns={{{columns}}})"
    _refuse_cases(con, guessed, relation, list(types))
    if list(types) == ["json"] and not con.sql(f"SELECT 1 FROM {relation} LIMIT 1").fetchall():
        raise TableError("the file holds no record", hint="leave it out, or write its records")
    return relation


def _hold_records(con: duckdb.DuckDBPyConnection, found: duckdb.DuckDBPyRelation, guessed: str) -> bool:
    """Whether what became one column of maps is a table after all: several objects, with few keys or most in common."""
    if found.columns != ["json"] or found.types[0].id != "map":
        return False
    objects = f"SELECT map_keys(json) AS keys FROM {guessed} LIMIT 1000"
    counts = "count(DISTINCT place), count(*), count(DISTINCT key)"
    numbered = f"SELECT row_number() OVER () AS place, unnest(keys) AS key FROM ({objects})"
    rows, cells, keys = (int(str(count)) for count in engine.run(con, f"SELECT {counts} FROM ({numbered})")[0])
    return rows > 1 and (keys <= MANY_KEYS or cells >= keys * rows * IN_COMMON)


def settled(kind: DuckDBPyType) -> str:
    """The DuckDB type as text, with VARCHAR for everything that was guessed from strings, at any depth."""
    inner = [(name, settled(child)) for name, child in engine.children(kind)]
    if kind.id == "struct":
        return f"STRUCT({', '.join(f'{engine.name(name)} {child}' for name, child in inner)})"
    if kind.id == "list":
        return f"{inner[0][1]}[]"
    if kind.id == "map":
        return f"MAP({inner[0][1]}, {inner[1][1]})"
    return str(kind) if kind.id in NUMBERS else "VARCHAR"


def _refuse_cases(con: duckdb.DuckDBPyConnection, guessed: str, relation: str, names: list[str]) -> None:
    """DuckDB renames `A` beside `a` to `A_1`, under which the file has nothing: that must not become a null column."""
    lower = {name.lower() for name in names}
    renamed = [name for name in names if (match := re.fullmatch(r"(.+)_\d+", name)) and match[1].lower() in lower]
    for name in renamed:
        count = f"SELECT count({engine.name(name)}) FROM "
        if engine.run(con, count + guessed) != engine.run(con, count + relation):
            key = name.rpartition("_")[0]
            raise TableError(f"keys differ only in case: {key}", hint="rename one of them in the file")


@contextmanager
def _opened(file: str, compression: str) -> Iterator[IO[bytes]]:
    with open(file, "rb") as raw:
        yield gzip.GzipFile(fileobj=raw) if compression == "gzip" else raw  # type: ignore[misc]


def _ends(file: str, compression: str) -> tuple[str, str, int]:
    """The first and last character that are no space, and the size in bytes once unpacked."""
    first = last = b""
    size = 0
    with _opened(file, compression) as stream:
        while block := stream.read(1 << 20):
            if not size:
                block = block.removeprefix(b"\xef\xbb\xbf")
            size += len(block)
            bare = block.strip()
            first, last = first or bare[:1], bare[-1:] or last
    return first.decode("latin-1"), last.decode("latin-1"), size


def _name_the_line(file: str, compression: str) -> None:
    with _opened(file, compression) as stream:
        for number, line in enumerate(stream, 1):
            try:
                json.loads(line) if line.strip() else None
            except ValueError as error:
                message = f"line {number} is no JSON: {error}"
                raise TableError(message, hint="mend the line, or leave it out", line=number) from error
