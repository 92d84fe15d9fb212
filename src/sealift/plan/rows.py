"""The rows that a spec asks for, streaming: of its query, of its layout, or as Python gave them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pyarrow as pa

from sealift import media
from sealift.errors import RequestError, SealiftError
from sealift.model.column import MediaColumn
from sealift.model.problem import Problem
from sealift.ports import Source
from sealift.rows import bids, folder, frames, query
from sealift.rows.sql import Session
from sealift.spec import Spec

BATCH_ROWS = 2048
"""Rows of a batch: as few as DuckDB makes, since a batch of long text is large (2,048 rows of 20 KB: 40 MB)."""


def with_layout(spec: Spec, source: Source, listing: Path) -> Spec:
    """The spec with what its layout stands for written out; what the spec says itself goes before.

    Raises:
        SpecError: the source has no such layout.
    """
    if spec.layout != "folder" or spec.rows is not None:
        return spec
    found = folder.recognise(listing, source.local_file, media.by_extension())
    if found.layout is None:
        raise spec.mistake(
            "the source has no folder layout that is known", "layout", hint="; ".join(found.reasons) or "write `rows:`"
        )
    return spec.completed(**found.layout.as_spec())


def media_columns(spec: Spec) -> tuple[MediaColumn, ...]:
    """The media columns that the spec names, with their features.

    Raises:
        SpecError: a type has no such option.
    """
    columns = []
    for name, said in spec.media.items():
        try:
            columns.append(media.column(name, said.type, said.many, said.options))
        except RequestError as error:
            raise spec.mistake(error.message, "media", name, str(error.fields.get("key")), hint=error.hint) from error
    return tuple(columns)


@contextmanager
def open_rows(
    spec: Spec, source: Source, listing: Path, work: Path, memory: int
) -> Iterator[tuple[pa.RecordBatchReader, list[Problem]]]:
    """The rows as a stream in published types, and what is wrong with their query. `memory` bounds DuckDB, in bytes.

    Raises:
        SpecError: nothing says what the rows are.
        TableError: a table cannot be read.
        RequestError: the query is wrong.
    """
    if spec.rows is None:
        raise spec.mistake("nothing says what the rows are", "rows", hint="write `rows:`, or `layout: folder`")
    if not isinstance(spec.rows, str):
        yield frames.reader(spec.rows), []
        return
    # The query reads the tables while its rows stream, so their files stay open as long.
    with ExitStack() as files, Session(work / "sql", memory) as session:
        for name, path in spec.tables.items():
            with _placed(spec, "tables", name):
                session.add_table(name, files.enter_context(source.local_file(path)), path)
        session.add_listing(listing, bids.COLUMNS if spec.layout == "bids" else "*")
        with _placed(spec, "rows"):
            reader = session.query(spec.rows, BATCH_ROWS)
        yield reader, [*_unordered(spec.rows), *_changing(spec.rows)]


@contextmanager
def _placed(spec: Spec, *keys: str) -> Iterator[None]:
    """Give errors the place of the spec that led to them; their class stays."""
    try:
        yield
    except SealiftError as error:
        placed = spec.mistake(error.message, *keys, hint=error.hint)
        raise type(error)(placed.message, hint=placed.hint, **{**error.fields, **placed.fields}) from error


def _unordered(sql: str) -> Iterator[Problem]:
    if query.unordered(sql):
        yield Problem(
            "unordered-rows",
            "the query joins or groups and has no ORDER BY, so the order of its rows may differ between machines",
            place="rows",
            remedy="end the query with ORDER BY and the key",
            severity="warning",
        )


def _changing(sql: str) -> Iterator[Problem]:
    if found := query.changing(sql):
        yield Problem(
            "changing-rows",
            f"the query gives other rows each time it runs: {', '.join(found)}",
            place="rows",
            remedy="take a hash of the key instead of a random number, and write times as they are",
            severity="warning",
        )
