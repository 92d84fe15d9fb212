"""Metadata tables in a folder layout: `metadata.csv` and its kin, whose `file_name` columns lead to media files."""

# ruff: noqa: S608 — names and literals in this SQL are quoted by rows.engine
from __future__ import annotations

import posixpath
from dataclasses import dataclass

from sealift.rows import engine
from sealift.rows.layout import (
    SPLITS,
    Layout,
    Tree,
    column_list,
    left_out,
    slug,
    split_case,
    unique,
)

NAMES = ("metadata.parquet", "metadata.jsonl", "metadata.csv")
"""What a metadata table is called; where a folder has several, the first of these counts."""


@dataclass(frozen=True)
class _Metadata:
    """One metadata table: where it lies, its name in SQL, its columns, and which of them name files (or lists)."""

    path: str
    table: str
    source: str
    columns: tuple[str, ...]
    files: tuple[str, ...]

    @property
    def folder(self) -> str:
        """The folder that file names count from: '' or with a slash behind."""
        return posixpath.dirname(self.path) + "/" if "/" in self.path else ""

    def many(self, column: str) -> bool:
        return column.endswith("file_names")

    def paths(self, column: str) -> str:
        """SQL for the column as paths from the source's root."""
        name, folder = engine.plain_name(column), engine.text(self.folder)
        if not self.folder:
            return name
        return f"[{folder} || file FOR file IN {name}]" if self.many(column) else f"{folder} || {name}"

    def each_path(self, column: str) -> str:
        """SQL for all paths of the column, one a row, as `path`."""
        one = f"unnest({self.paths(column)})" if self.many(column) else self.paths(column)
        return f"SELECT path FROM (SELECT {one} AS path FROM {self.source}) WHERE path IS NOT NULL"


def layout(tree: Tree) -> Layout | str:
    """A row a record of the metadata tables, one table after another in the order of their paths; or why not.

    `file_name` becomes a column called after the media type, `x_file_name` a column `x`, and `…_file_names` lists; the
    other columns stay. The split is a column `split` if the tables have one, else the table's or the file's folder.
    """
    tables, notes = _tables(tree)
    if not tables:
        return "folder: no metadata.csv, .jsonl or .parquet with a column file_name or …_file_name"
    media, names = _media(tree, tables, notes)
    splits = {table.path: _split(tree, table) for table in tables}
    rows = [_select(table, names, splits) for table in tables]
    named = " UNION ALL ".join(table.each_path(column) for table in tables for column in table.files)
    listed = "SELECT 1 FROM files f WHERE f.path = named.path"
    absent = tree.ask(f"SELECT count(*) FROM ({named}) named WHERE NOT EXISTS ({listed})")[0][0]
    if absent:
        notes.append(f"{absent:,} files that the metadata names are not there")
    unnamed = f"SELECT 1 FROM ({named}) named WHERE named.path = f.path"
    own = engine.texts([table.path for table in tables])
    notes += left_out(tree, f"NOT EXISTS ({unnamed}) AND NOT list_contains({own}, f.path)")
    given = any("split" in table.columns for table in tables)
    split = {"column": "split"} if given or any(splits.values()) else "train"
    said = {table.table: table.path for table in tables}
    return Layout("folder", said, "\nUNION ALL BY NAME\n".join(rows), media, split, notes=tuple(notes))


def _tables(tree: Tree) -> tuple[list[_Metadata], list[str]]:
    found = tree.ask(
        "SELECT path FROM files WHERE regexp_matches(path, '(^|/)metadata[.](csv|jsonl|parquet)$') ORDER BY 1"
    )
    paths = [str(row[0]) for row in found]
    made: list[_Metadata] = []
    notes: list[str] = []
    for folder in sorted({posixpath.dirname(path) for path in paths}):
        here = sorted(
            (path for path in paths if posixpath.dirname(path) == folder),
            key=lambda p: NAMES.index(p.rpartition("/")[2]),
        )
        notes += [f"left out: {path}, since {here[0]} lies beside it" for path in here[1:]]
        source = tree.table(here[0])
        columns = tuple(name for name, _ in tree.columns(source))
        files = tuple(
            name
            for name in columns
            if name in ("file_name", "file_names") or name.endswith(("_file_name", "_file_names"))
        )
        if not files:
            notes.append(f"left out: {here[0]} has no column file_name or …_file_name")
            continue
        name = unique(slug(f"metadata_{folder}") if folder else "metadata", [table.table for table in made])
        made.append(_Metadata(here[0], name, source, columns, files))
    return made, notes


def _media(tree: Tree, tables: list[_Metadata], notes: list[str]) -> tuple[dict[str, str | list[str]], dict[str, str]]:
    """The media columns with their types, and what each file-name column is published as."""
    media: dict[str, str | list[str]] = {}
    names: dict[str, str] = {}
    others = {name for table in tables for name in table.columns} - {name for table in tables for name in table.files}
    for column in dict.fromkeys(column for table in tables for column in table.files):
        each = " UNION ALL ".join(table.each_path(column) for table in tables if column in table.files)
        kind = tree.type_of_paths(column, each, notes)
        many = column.endswith("file_names")
        stem = column.removesuffix("s").removesuffix("file_name").removesuffix("_")
        wanted = stem or (f"{kind}s" if many else kind)
        names[column] = unique(wanted, [*others, *names.values()])
        media[names[column]] = [kind] if many else kind
    return media, names


def _split(tree: Tree, table: _Metadata) -> str:
    """SQL for the split that folders give to a table's rows; '' where they give none, or the table says it itself."""
    if "split" in table.columns:
        return ""
    for folder in table.folder.split("/"):
        if folder.lower() in SPLITS:
            return engine.text(SPLITS[folder.lower()])
    column = next((name for name in table.files if not table.many(name)), None)
    if column is None:
        return ""
    step = f"split_part({engine.plain_name(column)}, '/', 1)"
    rows = tree.ask(f"SELECT DISTINCT {step} FROM {table.source} WHERE {engine.name(column)} IS NOT NULL LIMIT 100")
    folders = [str(row[0]) for row in rows]
    return split_case(step, folders) if folders and all(name.lower() in SPLITS for name in folders) else ""


def _select(table: _Metadata, names: dict[str, str], splits: dict[str, str]) -> str:
    columns = {names[column]: table.paths(column) for column in table.files}
    columns |= {name: engine.plain_name(name) for name in table.columns if name not in table.files}
    if any(splits.values()) and "split" not in columns:
        columns["split"] = splits[table.path] or "'train'"
    return f"SELECT {column_list(columns)}\nFROM {engine.plain_name(table.table)}"
