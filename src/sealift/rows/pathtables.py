"""Tables with paths: a table somewhere in the tree of which a column leads to media files."""

# ruff: noqa: S608 — names and literals in this SQL are quoted by rows.engine
from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass

from sealift.errors import TableError
from sealift.model.entry import LEADING_DOT
from sealift.rows import engine, tables
from sealift.rows.layout import UNUSED, Layout, Tree, slug

MOST_TABLES = 50
SAMPLE = 1000
"""Distinct values of a column that are looked up in the listing; half of them must be there."""

KEY_NAME = re.compile(r"(?i)^(?:.*_)?(?:id|key|uuid|guid)$")
KEY_TYPES = ("VARCHAR", "BIGINT", "INTEGER", "SMALLINT", "TINYINT", "UBIGINT", "UINTEGER", "USMALLINT", "HUGEINT")


@dataclass(frozen=True)
class _Table:
    """A table of the tree: where it lies, as SQL, and its columns with their DuckDB types."""

    path: str
    source: str
    columns: dict[str, str]

    @property
    def name(self) -> str:
        return slug(posixpath.basename(self.path).partition(".")[0])

    @property
    def folders(self) -> list[str]:
        """What a path may count from: the root (''), or the table's folder or one above it, with a slash behind."""
        steps = self.path.split("/")[:-1]
        return ["", *("/".join(steps[:count]) + "/" for count in range(len(steps), 0, -1))]

    def texts(self) -> list[str]:
        """The columns that may hold paths, or lists of paths."""
        return [name for name, kind in self.columns.items() if kind in ("VARCHAR", "VARCHAR[]")]

    def each(self, column: str) -> str:
        """SQL for all values of the column, one a row, as `value`."""
        many = self.columns[column].endswith("[]")
        one = f"unnest({engine.name(column)})" if many else engine.name(column)
        return f"SELECT value FROM (SELECT {one} AS value FROM {self.source}) WHERE value IS NOT NULL"


def layout(tree: Tree) -> Layout | str:
    """The rows of the table with the most columns of paths, as they are; or why not.

    Of several with as many, the one with the most rows. Paths may count from the root, the table's folder or one
    between. A unique `id` or `…_id` is the key, a column `split` the split. Notes name the other tables, and how they
    may be joined. The rest of the tree takes no part.
    """
    found, notes = _tables(tree)
    if not found:
        return UNUSED + "; ".join(notes) if notes else "tables: there is no table"
    paths = _paths(tree, found)
    if not paths:
        named = ", ".join(table.path for table in found[:5])
        return UNUSED + "; ".join(
            [f"no column of {named} holds paths of files in the listing", *notes, *_absolute(tree, found)]
        )
    counts = {table.path: int(tree.ask(f"SELECT count(*) FROM {table.source}")[0][0]) for table in found}
    best = min((t for t in found if t.path in paths), key=lambda t: (-len(paths[t.path]), -counts[t.path], t.path))
    media = _media(tree, best, paths[best.path], notes)
    key = _key(tree, best, paths[best.path])
    split = _split(tree, best, notes)
    notes += _others(tree, found, best, key, paths)
    rows = _rows(best, paths[best.path])
    return Layout("tables", {best.name: best.path}, rows, media, split, key, notes=tuple(notes))


def _tables(tree: Tree) -> tuple[list[_Table], list[str]]:
    extensions = "|".join(extension[1:] for extension in tables.EXTENSIONS)
    rows = tree.ask(
        f"SELECT path FROM files WHERE regexp_matches(lower(path), '[.](?:{extensions})([.]gz)?$')"
        f" ORDER BY length(path) - length(replace(path, '/', '')), path LIMIT {MOST_TABLES + 1}"
    )
    paths = [str(row[0]) for row in rows if tables.is_table(str(row[0]))]
    notes = [f"only the first {MOST_TABLES} tables were looked at"] if len(paths) > MOST_TABLES else []
    made = []
    for path in paths[:MOST_TABLES]:
        try:
            source = tree.table(path)
            made.append(_Table(path, source, dict(tree.columns(source))))
        except TableError as error:
            notes.append(f"not read: {error.message}")
    return made, notes


def _paths(tree: Tree, found: list[_Table]) -> dict[str, dict[str, str]]:
    """For each table with columns of paths, those columns and the folder that their paths count from."""
    engine.run(tree.con, "CREATE OR REPLACE TEMP TABLE tried(tab VARCHAR, col VARCHAR, folder VARCHAR, path VARCHAR)")
    for table in found:
        for column in table.texts():
            _try(tree, table, column)
    rows = tree.ask("""
        SELECT tab, col, folder, count(f.path) AS hits FROM tried LEFT JOIN files f ON f.path = tried.path
        GROUP BY tab, col, folder HAVING hits * 2 >= count(*) AND hits > 0
        ORDER BY tab, col, hits DESC, length(folder), folder""")
    best: dict[str, dict[str, str]] = {}
    for path, column, folder, _ in rows:
        best.setdefault(path, {}).setdefault(column, folder)
    order = {table.path: list(table.columns) for table in found}
    return {path: {name: said[name] for name in order[path] if name in said} for path, said in best.items()}


def _try(tree: Tree, table: _Table, column: str) -> None:
    """Put a sample of the column's values before the listing, counted from each folder, if they look like paths."""
    sample = f"SELECT DISTINCT value FROM ({table.each(column)}) LIMIT {SAMPLE}"
    values = [str(row[0]) for row in tree.ask(sample)]
    if not any("." in value or "/" in value for value in values):
        return
    bare = [re.sub(LEADING_DOT, "", value) for value in values]
    pairs = f"(SELECT unnest({engine.texts(table.folders)}) AS folder), (SELECT unnest({engine.texts(bare)}) AS value)"
    place = f"{engine.text(table.path)}, {engine.text(column)}"
    engine.run(tree.con, f"INSERT INTO tried SELECT {place}, folder, folder || value FROM {pairs}")


def _absolute(tree: Tree, found: list[_Table]) -> Iterator[str]:
    """Columns that would hold paths, if these were written as the listing writes them."""
    for table in found:
        for column in table.texts():
            outside = "regexp_matches(value, '^(/|[A-Za-z]:)[^ ]*[.][A-Za-z0-9.]+$') OR contains(value, chr(92))"
            if tree.ask(f"SELECT 1 FROM ({table.each(column)}) WHERE {outside} LIMIT 1"):
                said = "holds absolute or Windows paths: write them relative to the folder, with /"
                yield f"`{column}` of {table.path} {said}"


def _media(tree: Tree, table: _Table, paths: dict[str, str], notes: list[str]) -> dict[str, str | list[str]]:
    media: dict[str, str | list[str]] = {}
    for column in paths:
        kind = tree.type_of_paths(column, table.each(column), notes)
        media[column] = [kind] if table.columns[column].endswith("[]") else kind
    return media


def _key(tree: Tree, table: _Table, paths: dict[str, str]) -> tuple[str, ...]:
    named = [name for name, kind in table.columns.items() if KEY_NAME.match(name) and kind in KEY_TYPES]
    for name in sorted(named, key=lambda name: name.lower() not in ("id", "key")):
        if name not in paths and _once(tree, table, name):
            return (name,)
    return ()


def _once(tree: Tree, table: _Table, column: str) -> bool:
    """True if every row of the table has a value there, and none has another's."""
    count = tree.ask(f"SELECT count(*), count(DISTINCT {engine.name(column)}) FROM {table.source}")[0]
    return bool(count[0] == count[1])


def _split(tree: Tree, table: _Table, notes: list[str]) -> str | dict[str, str]:
    if table.columns.get("split") != "VARCHAR":
        return "train"
    empty = tree.ask(f"SELECT count(*) FROM {table.source} WHERE split IS NULL")[0][0]
    if not empty:
        return {"column": "split"}
    notes.append(f"{table.path} has a column split, but {empty:,} rows have none: all rows are put into train")
    return "train"


def _others(
    tree: Tree, found: list[_Table], best: _Table, key: tuple[str, ...], paths: dict[str, dict[str, str]]
) -> Iterator[str]:
    for table in found:
        if table is best:
            continue
        if table.path in paths:
            yield f"{table.path} leads to files too, by {', '.join(paths[table.path])}: not used"
        elif key and key[0] in table.columns and _once(tree, table, key[0]):
            yield f"{table.path} has {key[0]} too: add it under tables: and LEFT JOIN it USING ({key[0]})"
        else:
            yield f"{table.path} is not used: add it under tables: to join it, or under also: to publish it"


def _rows(table: _Table, paths: dict[str, str]) -> str:
    replaced = []
    for column, folder in paths.items():
        name, prefix = engine.plain_name(column), engine.text(folder)
        if folder:
            many = table.columns[column].endswith("[]")
            value = f"[{prefix} || file FOR file IN {name}]" if many else f"{prefix} || {name}"
            replaced.append(f"{value} AS {name}")
    star = f"* REPLACE ({', '.join(replaced)})" if replaced else "*"
    return f"SELECT {star}\nFROM {engine.plain_name(table.name)}"
