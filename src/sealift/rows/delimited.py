"""CSV and TSV: comma or tab, a header, double quotes, UTF-8; numbers only where whole ones keep every digit."""

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

KINDS = {
    **dict.fromkeys((2, 32, 34), "BIGINT"),
    **dict.fromkeys((4, 6, 10, 12, 14), "DOUBLE"),
    1: "BOOLEAN",
}
"""What the kinds of value that a column holds make of it: bits 1 true/false, 2 whole, 4 real, 8 nan or inf, 16 text,
32 whole but larger than a double holds exactly."""

EXACT = 1 << 53

COLUMNS = 200
"""The columns whose kinds are found at once: more of them need more memory (400 MB for 2,000), not less time."""

BUFFER = 8_000_000
"""The bytes that DuckDB reads at once, and so the longest line. It holds several; its own default is 32 MB."""


def relation(con: duckdb.DuckDBPyConnection, file: str, delimiter: str, compression: str) -> str:
    """SQL for the file's rows. A column is BOOLEAN, BIGINT or DOUBLE if all its values are plainly that, else VARCHAR.

    Dates and times stay text; so does a column in which a number starts with 0 or + (`007`), is too large for its type,
    or is a whole one that would be rounded beside real ones. Empty cells are null, in TSV `n/a` too (as BIDS writes
    it). Blank lines are skipped.

    Raises:
        TableError: no header, two columns of one name, no UTF-8, a line of more than 8 MB, or with more or fewer cells
            than the header; the message says which.
    """
    names = _header(file, delimiter, compression)
    source = _reading(file, delimiter, compression, names)
    held: list[object] = []
    for start in range(0, len(names), COLUMNS):
        kinds = ", ".join(map(_kinds_in, names[start : start + COLUMNS]))
        held += engine.run(con, f"SELECT {kinds} FROM {source}")[0]
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
        f" CASE abs(TRY_CAST({value} AS BIGINT)::HUGEINT) <= {EXACT} WHEN true THEN 2 WHEN false THEN 32 ELSE 16 END"
        f" WHEN regexp_full_match({value}, '{REAL}') THEN"
        f" CASE WHEN isfinite(TRY_CAST({value} AS DOUBLE)) THEN 4 ELSE 16 END"
        f" WHEN lower({value}) IN ('true', 'false') THEN 1"
        f" WHEN regexp_full_match({value}, '{NOT_FINITE}') THEN 8 ELSE 16 END)"
    )


def _reading(file: str, delimiter: str, compression: str, names: list[str]) -> str:
    columns = ", ".join(f"{engine.text(name)}: 'VARCHAR'" for name in names)
    nulls = ["", "n/a"] if delimiter == "\t" else [""]
    return (
        f"read_csv({engine.text(engine.glob_safe(file))}, auto_detect=false, header=true, strict_mode=true, "
        f"delim={engine.text(delimiter)}, quote='\"', escape='\"', nullstr={engine.texts(nulls)}, "
        f"columns={{{columns}}}, compression='{compression}', hive_partitioning=false, "
        f"buffer_size={BUFFER}, max_line_size={BUFFER})"
    )


def _header(file: str, delimiter: str, compression: str) -> list[str]:
    with open(file, "rb") as raw:
        plain = gzip.GzipFile(fileobj=raw) if compression == "gzip" else raw
        # The wrapper decodes ahead of the header; what is no UTF-8 below it, DuckDB finds with its line.
        lines = io.TextIOWrapper(plain, encoding="utf-8-sig", errors="surrogateescape", newline="")
        try:
            names = next(csv.reader(lines, delimiter=delimiter, strict=True), None)
            "".join(names or ()).encode()
        except UnicodeEncodeError as error:
            raise TableError("the header is no UTF-8", hint="save the file as UTF-8 text", line=1) from error
        except csv.Error as error:
            raise TableError(f"the header cannot be read: {error}", hint="mend the first line", line=1) from error
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
