"""A layout: the tables, the query and the media columns that a tree of files suggests, for `init` and `layout:`."""

# ruff: noqa: S608 — names and literals in this SQL are quoted by rows.engine
from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import duckdb

from sealift.rows import engine, sql, tables

OpenTable = Callable[[str], AbstractContextManager[str]]
"""From a path at the source to a file on this machine that holds the same: `Source.local_file`."""

UNUSED = "tables: not used: "
"""How the reason begins why tables that are there say nothing of the files."""

SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
    **dict.fromkeys(("test", "testing", "eval", "evaluation"), "test"),
}
"""What folders are called that hold a split (in any case), as `datasets` reads them, and the split's name."""


@dataclass(frozen=True)
class Layout:
    """What a spec would say for a tree: `name` is bids, folder or tables; `notes` tell what was chosen and left out.

    `tables` maps names to paths at the source; `media`, `split`, `key` and `features` are as the spec writes them.
    """

    name: str
    tables: Mapping[str, str]
    rows: str
    media: Mapping[str, str | list[str]]
    split: str | Mapping[str, str]
    key: tuple[str, ...] = ()
    features: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def as_spec(self) -> dict[str, Any]:
        """The keys of a spec that say this, in the order of the grammar; what is empty is left out."""
        said = {
            "layout": "bids" if self.name == "bids" else None,
            "tables": dict(self.tables),
            "rows": self.rows,
            "key": list(self.key),
            "split": self.split if isinstance(self.split, str) else dict(self.split),
            "media": dict(self.media),
            "features": {name: dict(feature) for name, feature in self.features.items()},
        }
        return {name: value for name, value in said.items() if value}


@dataclass(frozen=True, slots=True)
class Recognised:
    """The layout that fits; or None, and `reasons`, one for each layout that was tried."""

    layout: Layout | None
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Tree:
    """A listing to be looked at with SQL, as the table `files`; `types` maps extensions to media types."""

    con: duckdb.DuckDBPyConnection
    types: Mapping[str, str]
    open_table: OpenTable
    opened: ExitStack

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        """All rows of a query with a small answer."""
        return engine.run(self.con, query)

    def table(self, path: str) -> str:
        """SQL that stands in FROM for the table at that path of the source.

        Raises:
            TableError: it cannot be read.
        """
        file = self.opened.enter_context(self.open_table(path))
        return tables.relation(self.con, tables.table_file(file, path))

    def columns(self, source: str) -> list[tuple[str, str]]:
        """The columns of something that stands in FROM: (name, DuckDB type)."""
        return tables.columns(self.con, source)

    def type_of_paths(self, column: str, paths: str, notes: list[str]) -> str:
        """The media type of most files that the query `paths` names; a note if the column names others, too."""
        extension = extension_of("path")
        counts = self.ask(f"SELECT {extension}, count(*) FROM ({paths}) AS named(path) GROUP BY 1")
        kind, rest = self.type_of(dict(counts))
        if rest:
            notes.append(f"{column} names files of several types: taken as {kind}, though some are {', '.join(rest)}")
        return kind

    def type_of(self, extensions: Mapping[str, int]) -> tuple[str, list[str]]:
        """The media type that most of these extensions' files have (`binary` for unknown ones), and the other types."""
        counts: dict[str, int] = {}
        for extension, count in extensions.items():
            kind = self.types.get(extension, "binary")
            counts[kind] = counts.get(kind, 0) + count
        ranked = sorted(counts, key=lambda kind: (-counts[kind], kind))
        return (ranked[0], ranked[1:]) if ranked else ("binary", [])


@contextmanager
def look(
    listing: Path, columns_sql: str, open_table: OpenTable, types: Mapping[str, str], work: Path | None, memory: int
) -> Iterator[Tree]:
    """The tree that the listing (Parquet) shows, within `memory` bytes; `columns_sql` as in `Session.add_listing`."""
    with engine.connect(work, memory) as con, ExitStack() as opened:
        listed = f"SELECT {sql.LISTED} FROM {engine.parquet(listing)}"
        engine.run(con, f"CREATE VIEW {sql.FILES} AS SELECT {columns_sql} FROM ({listed})")
        yield Tree(con, types, open_table, opened)


LayoutOf = Callable[[Tree], Layout | str]
"""Looks at a tree: the layout that it has, or why it has not this one."""


def first_that_fits(tree: Tree, layouts: Sequence[LayoutOf]) -> Recognised:
    """What the first of the layouts that the tree has would say; without one, why each was refused.

    That tables are there and cannot be used is a note of the layout that is taken instead.
    """
    reasons: list[str] = []
    for layout in layouts:
        found = layout(tree)
        if isinstance(found, Layout):
            unused = tuple(reason for reason in reasons if reason.startswith(UNUSED))
            return Recognised(replace(found, notes=(*unused, *found.notes)))
        reasons.append(found)
    return Recognised(None, tuple(reasons))


def column_list(columns: Mapping[str, str]) -> str:
    """SQL for a select list, a column a line: what it is, and its name where that differs."""
    said = []
    for name, value in columns.items():
        plain = engine.plain_name(name)
        said.append(value if value == plain else f"{value} AS {plain}")
    return ",\n       ".join(said)


def extension_of(path_sql: str) -> str:
    """SQL for the extension of a path: lower case, with its dot; `.nii.gz` whole."""
    return (
        f"CASE WHEN lower({path_sql}) LIKE '%.nii.gz' THEN '.nii.gz' "
        f"ELSE lower(regexp_extract({path_sql}, '[^/](\\.[^./]+)$', 1)) END"
    )


def split_case(value_sql: str, folders: Sequence[str]) -> str:
    """SQL that turns the name of a split's folder, in the spellings that occur, into the split's name."""
    cases = " ".join(f"WHEN {engine.text(name)} THEN {engine.text(SPLITS[name.lower()])}" for name in sorted(folders))
    return f"CASE {value_sql} {cases} END"


def in_list(values: Sequence[str]) -> str:
    """SQL for IN: the values in brackets."""
    return "(" + ", ".join(engine.text(value) for value in values) + ")"


def slug(text: str) -> str:
    """The text as a plain name: lower case, digits and underscores; never empty, never with a digit first."""
    plain = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_") or "x"
    return f"x{plain}" if plain[0].isdigit() else plain


def unique(name: str, taken: Sequence[str]) -> str:
    """The name, or with the first number behind it that is not taken (case does not count)."""
    lower = {other.lower() for other in taken}
    names = (f"{name}{f'_{number}' if number > 1 else ''}" for number in range(1, len(lower) + 2))
    return next(candidate for candidate in names if candidate.lower() not in lower)


def left_out(tree: Tree, condition_sql: str) -> list[str]:
    """A note that counts, by extension, the files `f` for which the condition holds; none if there are none."""
    found = tree.ask(f"SELECT extension, count(*) FROM files f WHERE {condition_sql} GROUP BY 1 ORDER BY 2 DESC, 1")
    if not found:
        return []
    said = [f"{count:,} {extension or 'without extension'}" for extension, count in found[:8]]
    more = f" and {len(found) - 8} more kinds" if len(found) > 8 else ""
    return [f"left out: {', '.join(said)}{more}"]
