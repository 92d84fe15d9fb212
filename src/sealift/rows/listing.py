"""The listing as a table: taken from one that the user has, and looked up by path."""

# ruff: noqa: S608 — names and literals in this SQL are quoted by rows.engine
from __future__ import annotations

import posixpath
from collections.abc import Iterable
from pathlib import Path

import duckdb

from sealift.errors import TableError
from sealift.model.entry import COMPRESSED, Entry
from sealift.rows import engine, tables
from sealift.rows.joins import BARE_PATH

_WANTED = {"path": "VARCHAR", "size": "BIGINT"}


def from_table(file: str, out: Path, work: Path, memory: int = engine.ENOUGH) -> None:
    """Write the user's listing (a table with `path`, `size`, and `mtime`, `etag` or `version` if it has them) as ours.

    Streams; the order is the table's.

    Raises:
        TableError: it cannot be read, or has no `path` and `size`.
    """
    with engine.connect(work, memory) as con:
        source = tables.relation(con, tables.table_file(file))
        kinds = dict(tables.columns(con, source))
        for name in _WANTED:
            if name not in kinds:
                raise TableError(
                    f"{file}: a listing has a column `{name}`; this one has {', '.join(kinds)}",
                    hint="name the columns path, size and, if known, mtime, etag or version",
                    path=file,
                )
        # A table's mtime is rounded as its writer liked: no store would find its own version in it again.
        version = next((name for name in ("version", "etag") if name in kinds), None)
        mtime = (
            "CAST(mtime AS TIMESTAMP WITH TIME ZONE)" if "TIMESTAMP" in kinds.get("mtime", "") else "NULL::TIMESTAMPTZ"
        )
        sql = f"""
            SELECT {BARE_PATH} AS path, CAST(size AS BIGINT) AS size,
                   {mtime} AS mtime, {f"CAST({version} AS VARCHAR)" if version else "NULL::VARCHAR"} AS version,
                   true AS readable, {_extension("path")} AS extension
            FROM (SELECT * REPLACE (CAST(path AS VARCHAR) AS path) FROM {source})"""
        try:
            con.execute(f"COPY ({sql}) TO {engine.text(str(out))} (FORMAT parquet, COMPRESSION zstd)")
        except duckdb.Error as error:
            raise TableError(f"{file}: {engine.said(error)}", hint="mend the listing", path=file) from error


def _extension(column: str) -> str:
    """SQL for `model.entry.extension`."""
    packed = "|".join(ending[1:] for ending in COMPRESSED)
    return f"regexp_extract(lower({column}), '[^/]((?:\\.(?:nii|tar)\\.(?:{packed}))|\\.[^./]+)$', 1)"


def entries(listing: Path, paths: Iterable[str], work: Path, memory: int = engine.ENOUGH) -> dict[str, Entry]:
    """The entries at these paths, by path without `./`; those that are not listed, or not readable, are not in it."""
    wanted = sorted({posixpath.normpath(path) for path in paths})
    if not wanted:
        return {}
    with engine.connect(work, memory) as con:
        rows = engine.run(
            con,
            f"SELECT path, size, version FROM {engine.parquet(listing)} "
            f"WHERE readable AND list_contains({engine.texts(wanted)}, path)",
        )
    return {
        str(path): Entry(str(path), int(str(size)), None if version is None else str(version))
        for path, size, version in rows
    }
