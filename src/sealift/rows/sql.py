"""A session of SQL: the named tables and the listing before one query, and nothing else within its reach."""

# ruff: noqa: S608 — names and literals in this SQL are quoted by rows.engine
from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from duckdb.sqltypes import DuckDBPyType

from sealift.errors import RequestError, SealiftError, TableError
from sealift.rows import engine, query, tables
from sealift.rows.types import normalise, unpublishable

FILES = "files"
RESERVED = (FILES, "manifest")
LISTED = "path, size, mtime, version, extension"
"""What the user's SQL sees of the listing."""

MISTAKES = (
    duckdb.ParserException,
    duckdb.BinderException,
    duckdb.CatalogException,
    duckdb.PermissionException,
    duckdb.NotImplementedException,
)
"""What DuckDB raises for a query that is wrong whatever the tables hold."""

UNPUBLISHABLE = frozenset({"bit", "bignum", "variant", "geometry", "interval", "map", "union", "time with time zone"})
"""DuckDB types without a plain Arrow twin, by their ids; Arrow shows some of them as mere bytes or structs."""


class Session:
    """Tables, then one query at a time over them.

        with Session(work, memory) as session:
            session.add_table("samples", "labels/samples.parquet")
            session.add_listing(listing)
            for batch in session.query("SELECT … FROM samples ORDER BY sample_id"): …

    `memory` bytes bound what the session adds to the process; what does not fit is spilled under `work` and removed on
    leaving. With one thread the same tables give the same rows in the same order on any machine.
    """

    def __init__(self, work: Path, memory: int, threads: int = 1) -> None:
        self._work = work
        self._memory = memory
        self._threads = threads
        self._tables: dict[str, tables.TableFile] = {}
        self._files: list[str] = []
        self._locked = False
        self._open: Any = None

    def __enter__(self) -> Session:
        self._stack = ExitStack()
        self._con = self._stack.enter_context(engine.connect(self._work, self._memory, self._threads))
        return self

    def __exit__(self, *exc: object) -> None:
        self._end_earlier()
        self._stack.close()

    def add_table(self, name: str, file: str, called: str = "") -> None:
        """Put the table file before the query as `name`; `called` is its path at the source, for messages and kind.

        Raises:
            RequestError: the name is empty, reserved or taken, or the session has already been asked.
            TableError: the file cannot be read.
        """
        self._check_name(name)
        try:
            table = tables.table_file(file, called)
            self._view(name, f"SELECT * FROM {tables.relation(self._con, table)}")
        except SealiftError as error:
            message = f"table {name}: {error.message}"
            raise TableError(message, hint=error.hint, **{**error.fields, "table": name}) from error
        self._tables[name] = table
        self._files.append(table.file)

    def add_listing(self, file: Path, columns_sql: str = "*") -> None:
        """Put the listing (Parquet, the columns of `model.entry.LISTING_COLUMNS`) before the query as `files`.

        `columns_sql` selects from path, size, mtime, version and extension; `bids.COLUMNS` adds the BIDS entities.

        Raises:
            RequestError: the session has already been asked.
        """
        if self._locked:
            raise _too_late(FILES)
        self._view(FILES, f"SELECT {columns_sql} FROM (SELECT {LISTED} FROM {engine.parquet(file)})")
        self._files.append(str(file.absolute()))

    def query(self, sql: str, batch_rows: int = 8192) -> pa.RecordBatchReader:
        """The rows of the query, streaming, in its order and in published types; ends an earlier query's stream.

        From the first call on the session reads nothing but its tables, and takes no more of them.

        Raises:
            RequestError: it is not one SELECT over the tables, or a column cannot be published; the hint lists tables.
            TableError: while reading: a value or a file is not as the query needs it.
        """
        query.parse(sql)
        self._end_earlier()
        self._lock()
        try:
            relation = self._con.sql(sql)
            self._check_types(relation)
            self._open = relation.to_arrow_reader(batch_rows)
        except MISTAKES as error:
            raise RequestError(self._said(error), hint=self._tables_hint(), key="rows") from error
        except duckdb.OutOfMemoryException as error:
            raise TableError(self._said(error), hint="raise --memory", key="rows") from error
        except (duckdb.Error, RuntimeError) as error:
            raise TableError(self._said(error), hint=self._tables_hint(), key="rows") from error
        return normalise(self._open, batch_rows)

    def columns(self) -> dict[str, list[tuple[str, str]]]:
        """The columns, (name, DuckDB type), of every table and of `files`, by table."""
        return {name: tables.columns(self._con, engine.name(name)) for name in self._names()}

    def _names(self) -> list[str]:
        views = engine.run(self._con, "SELECT view_name FROM duckdb_views() WHERE NOT internal ORDER BY view_oid")
        return [str(row[0]) for row in views]

    def _check_name(self, name: str) -> None:
        if self._locked:
            raise _too_late(name)
        if not name or name.lower() in RESERVED:
            said = f"a table cannot be called {name!r}: that is the listing's or the manifest's name"
            raise RequestError(said if name else "a table needs a name", hint="choose another name", key="tables")
        if name.lower() in (taken.lower() for taken in self._tables):
            raise RequestError(f"two tables are called {name}", hint="choose another name for one", key="tables")

    def _view(self, name: str, sql: str) -> None:
        engine.run(self._con, f"CREATE VIEW {engine.name(name)} AS {sql}")

    def _lock(self) -> None:
        if not self._locked:
            engine.lock(self._con, self._files)
            self._locked = True

    def _end_earlier(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None

    def _check_types(self, relation: duckdb.DuckDBPyRelation) -> None:
        for name, kind in zip(relation.columns, relation.types, strict=True):
            if found := _unpublishable_in(kind):
                raise unpublishable(name, found)

    def _said(self, error: BaseException) -> str:
        """The message with the tables' files as their owner calls them."""
        said = engine.said(error)
        for name, table in self._tables.items():
            said = said.replace(table.file, f"{table.called} (table {name})")
        return said

    def _tables_hint(self) -> str:
        try:
            known = self.columns()
        except duckdb.Error:  # a table's file is not what it was
            known = {}
        lines = [f"  {engine.plain_name(name)}({_listed(found)})" for name, found in known.items()]
        return "the query can use:\n" + "\n".join(lines) if lines else "name tables under tables:, and use files"


def _listed(columns: list[tuple[str, str]], most: int = 60) -> str:
    names = [engine.plain_name(name) for name, _ in columns]
    return ", ".join(names[:most]) + (f", … {len(names) - most} more" if len(names) > most else "")


def _too_late(name: str) -> RequestError:
    return RequestError(f"{name} comes after the first query", hint="add all tables before querying", key="tables")


def _unpublishable_in(kind: DuckDBPyType) -> str:
    if kind.id in UNPUBLISHABLE:
        return str(kind)
    return next((found for _, child in engine.children(kind) if (found := _unpublishable_in(child))), "")
