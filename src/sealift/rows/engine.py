"""The engine: one DuckDB connection with a memory limit, a place to spill, and nothing from the user's own set-up."""

from __future__ import annotations

import functools
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import duckdb
from duckdb.sqltypes import DuckDBPyType

ENOUGH = 256 * 1024 * 1024
"""Bytes of memory for looking at a table or a listing, where the caller has no budget to divide."""


@contextmanager
def connect(work: Path | None, memory: int, threads: int = 1) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection that adds `memory` bytes to the process at most and spills under `work`; all is gone on leaving.

    DuckDB's buffers get three quarters of it: batches on their way out and what it allocates beside them take the rest.
    Order is kept (`preserve_insertion_order`), times are UTC, no extension or secret of the user is looked for, and
    names in SQL never mean Python variables. Without `work` it spills to the system's temporary folder.
    """
    if work is not None:
        work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="sql-", dir=work) as spill:
        con = duckdb.connect(":memory:")
        try:
            for setting in _settings(spill, memory, threads):
                run(con, f"SET {setting}")
            with suppress(
                duckdb.InvalidInputException
            ):  # in a notebook without ipywidgets there is no bar to switch off
                run(con, "SET enable_progress_bar=false")
            yield con
        finally:
            con.close()


def _settings(spill: str, memory: int, threads: int) -> Iterator[str]:
    yield f"temp_directory={text(spill)}"
    yield f"memory_limit='{memory * 3 // 4}B'"
    yield f"threads={threads}"
    yield "preserve_insertion_order=true"
    yield "TimeZone='UTC'"
    yield "allow_persistent_secrets=false"
    yield "autoinstall_known_extensions=false"
    yield "autoload_known_extensions=false"
    yield "python_enable_replacements=false"


def run(con: duckdb.DuckDBPyConnection, sql: str) -> list[tuple[object, ...]]:
    """All rows of a small statement; the connection is free again afterwards."""
    rows: list[tuple[object, ...]] = con.execute(sql).fetchall()
    return rows


def lock(con: duckdb.DuckDBPyConnection, files: Sequence[str]) -> None:
    """From here on the connection reads these files and nothing else, and no setting can be changed."""
    allowed = sorted({spelling for file in files for spelling in (file, glob_safe(file))})
    run(con, f"SET allowed_paths={texts(allowed)}")
    run(con, "SET enable_external_access=false")
    run(con, "SET lock_configuration=true")


def text(value: str) -> str:
    """The value as an SQL string literal."""
    return "'" + value.replace("'", "''") + "'"


def texts(values: Sequence[str]) -> str:
    """The values as an SQL list of string literals."""
    return "[" + ", ".join(text(value) for value in values) + "]"


def name(value: str) -> str:
    """The value as a quoted SQL identifier."""
    return '"' + value.replace('"', '""') + '"'


def plain_name(value: str) -> str:
    """The value as an identifier that people read: quoted only where it must be."""
    plain = re.fullmatch(r"[a-z_][a-z0-9_]*", value) and value not in _keywords()
    return value if plain else name(value)


@functools.cache
def _keywords() -> frozenset[str]:
    with duckdb.connect(":memory:") as con:
        found = run(con, "SELECT keyword_name FROM duckdb_keywords() WHERE keyword_category <> 'unreserved'")
    return frozenset(str(row[0]) for row in found)


def glob_safe(file: str) -> str:
    """The path as a pattern that matches this file only: DuckDB reads `[`, `*` and `?` as wildcards."""
    return re.sub(r"([\[*?])", r"[\1]", file)


def parquet(*files: Path | str) -> str:
    """SQL for the rows of these Parquet files, one after another, as they are: no columns from folder names."""
    paths = texts([glob_safe(str(Path(file).absolute())) for file in files])
    return f"read_parquet({paths}, hive_partitioning=false, binary_as_string=false)"


def children(kind: DuckDBPyType) -> list[tuple[str, DuckDBPyType]]:
    """The types inside a struct, list, array or map, with their names; none for other types."""
    if kind.id not in ("struct", "list", "array", "map"):
        return []
    return [(label, child) for label, child in kind.children if isinstance(child, DuckDBPyType)]


def said(error: BaseException) -> str:
    """DuckDB's message without its class, its advice on options that our users do not see, and empty lines; lines that
    quote a file's are cut."""
    body = re.split(r"\n(?:This can happen|Possible (?:fixes|[Ss]olution)|\s+file = |Try )", str(error).strip())[0]
    body = re.sub(r"^(?:[A-Za-z]+ )+(?:Error|Exception): ", "", body)
    body = re.sub(r'\nDid you mean "(?:pg|duckdb|sqlite)_\w+"\?', "", body)
    body = re.sub(r", try ignore_errors=true$", "", body)
    return "\n".join(_short(line.rstrip()) for line in body.splitlines() if line.strip())


def _short(line: str, most: int = 300) -> str:
    return line if len(line) <= most else f"{line[:most]} …"
