"""Table files as SQL: Parquet, CSV, TSV, JSON and JSON Lines, each read the same way on every machine."""

# ruff: noqa: S608 — names and literals in this SQL are quoted by rows.engine
from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path

import duckdb

from sealift.errors import SealiftError, TableError
from sealift.rows import delimited, documents, engine

EXTENSIONS = (".parquet", ".csv", ".tsv", ".json", ".jsonl", ".ndjson")
"""What a table's name may end with; all but .parquet also with .gz behind."""

DELIMITERS = {".csv": ",", ".tsv": "\t"}


@dataclass(frozen=True, slots=True)
class TableFile:
    """A table's file: where it lies on this machine, what its owner calls it, and its kind (`.csv`), from that name."""

    file: str
    called: str
    kind: str
    packed: bool

    @property
    def compression(self) -> str:
        """DuckDB's word for it, so that the local file's name does not matter."""
        return "gzip" if self.packed else "uncompressed"


def is_table(path: str) -> bool:
    """True if the path's name is that of a table that can be read."""
    return path.lower().removesuffix(".gz").endswith(EXTENSIONS) and not path.lower().endswith(".parquet.gz")


def table_file(file: str, called: str = "") -> TableFile:
    """The table in this local file; `called` is its path at the source, whose extension says what it is.

    Raises:
        TableError: the extension is none of those that can be read, or the file is not there.
    """
    called = called or file
    lower = called.lower()
    if not is_table(called):
        hint = f"a table ends with {', '.join(EXTENSIONS)} (or .gz)"
        raise TableError(f"{called} is no table that can be read", hint=hint, path=called)
    if not Path(file).is_file():
        raise TableError(f"{called} is not there", hint="mend its path under tables:", path=called)
    kind = Path(lower.removesuffix(".gz")).suffix
    return TableFile(str(Path(file).absolute()), called, kind, lower.endswith(".gz"))


def relation(con: duckdb.DuckDBPyConnection, table: TableFile) -> str:
    """SQL text that stands for the table's rows in FROM: streaming, in the file's order, with settled types.

    Text files are read once from end to end to settle the types, so a broken line is found here.

    Raises:
        TableError: the file cannot be read; it names the file, and the line where that is known.
    """
    try:
        if table.kind == ".parquet":
            return _parquet(con, table)
        if table.kind in DELIMITERS:
            return delimited.relation(con, table.file, DELIMITERS[table.kind], table.compression)
        return documents.relation(con, table.file, table.kind, table.compression)
    except SealiftError as error:
        raise _named(error.message, error.hint, table, error) from error
    except duckdb.OutOfMemoryException as error:
        raise _named(engine.said(error), "raise --memory", table, error) from error
    except duckdb.Error as error:
        hint = "close its quotes, fill its lines, end them all alike" if table.kind in DELIMITERS else "mend the file"
        raise _named(engine.said(error), hint, table, error) from error
    except (OSError, EOFError, zlib.error) as error:
        raise _named(str(error), "copy it again", table, error) from error


def _named(message: str, hint: str, table: TableFile, error: BaseException) -> TableError:
    shown = message.replace(f' in file "{table.file}"', "").replace(table.file, table.called)
    line = error.fields.get("line") if isinstance(error, SealiftError) else None
    said = shown if shown.startswith(table.called) else f"{table.called}: {shown}"
    return TableError(said, hint=hint, path=table.called, line=line)


def _parquet(con: duckdb.DuckDBPyConnection, table: TableFile) -> str:
    found = engine.parquet(table.file)
    engine.run(con, f"DESCRIBE SELECT * FROM {found}")
    return found


def describe(file: str, called: str = "") -> list[tuple[str, str]]:
    """The table's columns, in order: (name, DuckDB type).

    Raises:
        TableError: the file cannot be read.
    """
    table = table_file(file, called)
    with engine.connect(None, engine.ENOUGH) as con:
        return columns(con, relation(con, table))


def columns(con: duckdb.DuckDBPyConnection, source: str) -> list[tuple[str, str]]:
    """The columns of something that may stand in FROM, in order: (name, DuckDB type)."""
    return [(str(row[0]), str(row[1])) for row in engine.run(con, f"DESCRIBE SELECT * FROM {source}")]
