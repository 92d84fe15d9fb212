"""CSV and TSV: comma or tab, a header, double quotes, UTF-8; numbers only where nothing of the text is lost."""

# ruff: noqa: S608 — names and literals in this SQL are quoted by rows.engine
from __future__ import annotations

import csv
import gzip
import io

import duckdb

from sealift.errors import TableError
from sealift.rows import engine

WHOLE = r"-?(0|[1-9][0-9]*)"
REAL = r"-?(0|[1-9][0-9]*)?\.[0-9]*([eE][+-]?[0-9]+)?|-?(0|[1-9][0-9]*)[eE][+-]?[0-9]+"
NOT_FINITE = r"(?i)nan|-?inf|-?infinity"

KINDS = {1: "BOOLEAN", 2: "BIGINT", 4: "DOUBLE", 6: "DOUBLE", 12: "DOUBLE", 10: "DOUBLE", 14: "DOUBLE"}
"""What the kinds of value that a column holds make of it: bits 1 true/false, 2 whole, 4 real, 8 nan or inf, 16 text."""


def relation(con: duckdb.DuckDBPyConnection, file: str, delimiter: str, compression: str) -> str:
    """SQL for the file's rows. A column is BOOLEAN, BIGINT or DOUBLE if all its values are plainly that, else VARCHAR.

    Dates and times stay text; so does a column in which a number starts with 0 or + (`007`), or is too large for
    int64. Empty cells are null, in TSV `n/a` too (as BIDS writes it). Blank lines are skipped.

    Raises:
        TableError: no header, two columns of one name, no UTF-8, a line with more or fewer cells; `line` says where.
    """
    names = _header(file, delimiter, compression)
    source = _reading(file, delimiter, compression, names)
    held = engine.run(con, f"SELECT {', '.join(_kinds_in(name) for name in names)} FROM {source}")[0]
    typed = [_typed(name, int(str(bits or 0))) for name, bits in zip(names, held, strict=True)]
    return f"(SELECT {', '.join(typed)} FROM {source})"


def _typed(name: str, bits: int) -> str:
    kind, value = KINDS.get(bits), engine.name(name)
    return f"CAST({value} AS {kind}) AS {value}" if kind else value


def _kinds_in(name: str) -> str:
    value = engine.name(name)
    return (
        f"bit_or(CASE WHEN {value} IS NULL THEN 0"
        f" WHEN regexp_full_match({value}, '{WHOLE}') THEN"
        f" CASE WHEN TRY_CAST({value} AS BIGINT) IS NULL THEN 16 ELSE 2 END"
        f" WHEN regexp_full_match({value}, '{REAL}') THEN"
        f" CASE WHEN TRY_CAST({value} AS DOUBLE) IS NULL THEN 16 ELSE 4 END"
        f" WHEN lower({value}) IN ('true', 'false') THEN 1"
        f" WHEN regexp_full_match({value}, '{NOT_FINITE}') THEN 8 ELSE 16 END)"
    )


def _reading(file: str, delimiter: str, compression: str, names: list[str]) -> str:
    columns = ", ".join(f"{engine.text(name)}: 'VARCHAR'" for name in names)
    nulls = ["", "n/a"] if delimiter == "\t" else [""]
    return (
        f"read_csv({engine.text(engine.glob_safe(file))}, auto_detect=false, header=true, strict_mode=true, "
        f"delim={engine.text(delimiter)}, quote='\"', escape='\"', nullstr={engine.texts(nulls)}, "
        f"columns={{{columns}}}, compression='{compression}', hive_partitioning=false)"
    )


def _header(file: str, delimiter: str, compression: str) -> list[str]:
    with open(file, "rb") as raw:
        plain = gzip.GzipFile(fileobj=raw) if compression == "gzip" else raw
        lines = io.TextIOWrapper(plain, encoding="utf-8-sig", newline="")
        try:
            names = next(csv.reader(lines, delimiter=delimiter, strict=True), None)
        except (UnicodeDecodeError, csv.Error) as error:
            raise TableError(f"the header cannot be read: {error}", hint="save it as UTF-8 text", line=1) from error
    if not names:
        raise TableError("the file has no header", hint="write the names of the columns into its first line", line=1)
    if len(names) == 1 and (found := next((sign for sign in ";\t|" if sign in names[0]), "")):
        sign = "tabs: name it .tsv" if found == "\t" else f"{found!r}: save it with commas"
        raise TableError(f"the cells seem to be separated by {sign.split(':')[0]}", hint=sign.split(": ")[1], line=1)
    return _distinct([name or f"column{place}" for place, name in enumerate(names)])


def _distinct(names: list[str]) -> list[str]:
    """The names, if no two are the same; SQL does not tell upper from lower case."""
    seen: set[str] = set()
    for name in names:
        if name.lower() in seen:
            raise TableError(f"two columns are called {name}", hint="give each column a name of its own", line=1)
        seen.add(name.lower())
    return names
