"""Folder layouts: pictures, sounds or scans in folders named after split and class, with or without metadata tables."""

# ruff: noqa: S608 — names and literals in this SQL are quoted by rows.engine
from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path

from sealift.rows import engine, metadata
from sealift.rows.layout import (
    SPLITS,
    Layout,
    OpenTable,
    Recognised,
    Tree,
    column_list,
    first_that_fits,
    in_list,
    left_out,
    look,
    split_case,
)

MOST_CLASSES = 10_000


def recognise(
    listing: Path,
    open_table: OpenTable,
    types: Mapping[str, str],
    work: Path | None = None,
    memory: int = engine.ENOUGH,
) -> Recognised:
    """The folder layout of the source whose listing (Parquet) this is; metadata tables go before folder names.

    `types` maps extensions to media types. Bounded by `memory` bytes; metadata tables are read through `open_table`.

    Raises:
        TableError: a metadata table cannot be read.
    """
    with look(listing, "*", open_table, types, work, memory) as tree:
        return first_that_fits(tree, (metadata.layout, layout))


def layout(tree: Tree) -> Layout | str:
    """A row a media file, in the order of paths, with the split and the class that its folders name; or why not.

    Files of the most frequent media type are rows; a note counts the others. The split is the first folder below the
    one that all files share, if it is called as a split is; then files outside of such folders are left out, with a
    note. The class is the innermost folder, if all files lie equally deep and there are several.
    """
    counts = tree.ask(f"SELECT extension, count(*) FROM files WHERE extension IN {in_list([*tree.types])} GROUP BY 1")
    if not counts:
        return "folder: there is no file of a known media type"
    kind, _ = tree.type_of(dict(counts))
    extensions = sorted(extension for extension, _ in counts if tree.types[extension] == kind)
    taken = f"extension IN {in_list(extensions)}"
    place, folders = _splits(tree, taken)
    columns, split = {kind: "path"}, "train"
    if folders:
        step = f"split_part(path, '/', {place})"
        taken += f" AND {step} IN {in_list(folders)}"
    classes, note = _classes(tree, taken, place + bool(folders))
    if classes:
        columns["label"] = "split_part(path, '/', -2)"
    if folders:
        columns["split"] = split_case(step, folders)
    rows = f"SELECT {column_list(columns)}\nFROM files\nWHERE {taken}\nORDER BY path"
    notes = [*note, *left_out(tree, f"NOT ({taken})")]
    features = {"label": {"class_label": classes}} if classes else {}
    return Layout(
        "folder",
        {},
        rows,
        {kind: kind},
        {"column": "split"} if folders else split,
        features=features,
        notes=tuple(notes),
    )


def _splits(tree: Tree, taken: str) -> tuple[int, list[str]]:
    """The place (from 1) of the first folder that tells files apart or names a split, and the split folders there."""
    first, last = tree.ask(f"SELECT min(path), max(path) FROM files WHERE {taken}")[0]
    steps = zip(first.split("/")[:-1], last.split("/")[:-1], strict=False)
    shared = [one for one, other in itertools.takewhile(lambda step: step[0] == step[1], steps)]
    named = (number for number, folder in enumerate(shared) if folder.lower() in SPLITS)
    place = next(named, len(shared)) + 1
    found = tree.ask(f"""
        SELECT DISTINCT split_part(path, '/', {place}) AS folder FROM files
        WHERE {taken} AND lower(folder) IN {in_list([*SPLITS])}
          AND length(path) - length(replace(path, '/', '')) >= {place} ORDER BY 1""")
    return place, [str(row[0]) for row in found]


def _classes(tree: Tree, taken: str, above: int) -> tuple[list[str], list[str]]:
    """The classes, sorted, if folders from number `above` on name them; else none, and a note if they nearly do."""
    depths, least, rows = tree.ask(f"""
        SELECT count(DISTINCT depth), min(depth), count(*) FROM (
            SELECT length(path) - length(replace(path, '/', '')) AS depth FROM files WHERE {taken})""")[0]
    found = tree.ask(f"""
        SELECT DISTINCT split_part(path, '/', -2) FROM files
        WHERE {taken} AND length(path) - length(replace(path, '/', '')) >= {above} LIMIT {MOST_CLASSES + 1}""")
    classes = sorted(str(row[0]) for row in found)
    if len(classes) < 2:
        return [], []
    if depths > 1 or least < above:
        return [], ["the files lie at different depths, so their folders are not taken for classes"]
    if len(classes) > MOST_CLASSES or len(classes) * 2 > rows:
        return [], ["nearly every file has a folder of its own, so folders are not taken for classes"]
    return classes, []
