"""The planner's questions to whole columns: what the listing says of each reference, and what occurs twice.

Each runs on a connection of its own, spills under `work`, and streams: memory is bounded whatever the number of rows.
"""

# ruff: noqa: S608 — names and literals in this SQL are quoted by rows.engine
from __future__ import annotations

import tempfile
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from sealift.errors import RequestError, SourceError, TableError
from sealift.model.entry import LEADING_DOT
from sealift.rows import engine

BATCH = 8192
RESOLVED = pa.schema(
    [
        ("row", pa.int64()),
        ("element", pa.int32()),
        ("path", pa.string()),
        ("size", pa.int64()),
        ("version", pa.string()),
        ("readable", pa.bool_()),
        ("found", pa.bool_()),
    ]
)
"""What `resolve` yields; size, version and readable are null where the path was not found."""

BARE_PATH = f"CASE WHEN starts_with(path, './') THEN regexp_replace(path, '{LEADING_DOT}', '') ELSE path END"
"""A reference as the listing writes it: `./audio/a.flac` is `audio/a.flac`."""


def resolve(refs: Path, listing: Path, work: Path, memory: int) -> Generator[pa.RecordBatch, None, None]:
    """What the listing says of each reference: a record each, as `RESOLVED`, in the order of (row, element).

    `refs` is Parquet with row (int64), element (int32, -1 for a single cell) and path (string, never null); other
    columns do not matter. `path` comes back as the listing writes it, without a leading `./`.

    The first record comes when all are joined and sorted, on disk under `work`; from then on the stream holds a batch.
    So several streams read in step, from one thread, keep to `memory` bytes together: they do their work in turn.

    Raises:
        SourceError: the listing names a path twice.
        TableError: refs or listing cannot be read, or `memory` is not enough.
    """
    sql = f"""
        SELECT CAST(r.row AS BIGINT) AS row, CAST(r.element AS INTEGER) AS element, r.path,
               CAST(l.size AS BIGINT) AS size, CAST(l.version AS VARCHAR) AS version, l.readable,
               l.path IS NOT NULL AS found
        FROM (SELECT row, element, {BARE_PATH} AS path FROM {engine.parquet(refs)}) r
        LEFT JOIN {engine.parquet(listing)} l ON l.path = r.path
        ORDER BY 1, 2"""
    work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="resolved-", dir=work) as folder:
        file = Path(folder) / "resolved.arrow"
        with engine.connect(work, memory) as con, _readable():
            _spool(con.sql(sql).to_arrow_reader(BATCH), file)
        with pa.OSFile(str(file)) as source, pa.ipc.open_stream(source) as stream:
            yield from stream


def _spool(stream: pa.RecordBatchReader, file: Path) -> None:
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    earlier = (-1, -1)
    with stream, pa.OSFile(str(file), "wb") as sink, pa.ipc.new_stream(sink, RESOLVED, options=options) as out:
        for batch in stream:
            earlier = _check_once(batch, earlier)
            out.write_batch(batch.cast(RESOLVED))


def _check_once(batch: pa.RecordBatch, earlier: tuple[int, int]) -> tuple[int, int]:
    """The place of the last record, having seen that no place comes twice."""
    rows, elements = (batch.column(name).to_numpy() for name in ("row", "element"))
    before_rows = np.concatenate(([earlier[0]], rows[:-1]))
    before_elements = np.concatenate(([earlier[1]], elements[:-1]))
    twice = np.flatnonzero((rows == before_rows) & (elements == before_elements))
    if len(twice):
        path = batch.column("path")[int(twice[0])].as_py()
        raise SourceError(f"the listing names {path} more than once", hint="list every path once", path=path)
    return (int(rows[-1]), int(elements[-1])) if len(rows) else earlier


def duplicates(
    files: Sequence[Path], column: str, work: Path, memory: int, limit: int = 20
) -> tuple[int, list[tuple[str, int]]]:
    """How many values of the column occur more than once in the Parquet files together; the first few with counts.

    Nulls do not count. Values are compared as they are and returned as text, ordered by their bytes.

    Raises:
        TableError: the files cannot be read, or `memory` bytes are not enough.
    """
    value = engine.name(column)
    sql = f"""
        SELECT CAST({value} AS VARCHAR), count(*) FROM {engine.parquet(*files)}
        WHERE {value} IS NOT NULL GROUP BY {value} HAVING count(*) > 1"""
    count, first = _count_and_first(sql, work, memory, limit, bool(files))
    return count, [(str(value), int(str(times))) for value, times in first]


def shared(files: Sequence[Path], work: Path, memory: int, limit: int = 20) -> tuple[int, list[tuple[str, list[str]]]]:
    """How many media paths occur in more than one split; the first few, by path, with their splits, sorted.

    The files are Parquet with path and split (strings), one record a reference, as `resolve` takes them.

    Raises:
        TableError: the files cannot be read, or `memory` bytes are not enough.
    """
    sql = f"""
        SELECT {BARE_PATH} AS bare, [min(split), max(split)] FROM {engine.parquet(*files)}
        WHERE path IS NOT NULL GROUP BY bare HAVING min(split) <> max(split)"""
    listed = f"""
        SELECT {BARE_PATH} AS bare, list_sort(list(DISTINCT split)) FROM {engine.parquet(*files)}
        WHERE bare IN (SELECT value FROM first) GROUP BY bare ORDER BY bare"""
    count, first = _count_and_first(sql, work, memory, limit, bool(files), listed)
    return count, [(str(path), list(map(str, splits))) for path, splits in first]  # type: ignore[call-overload]


def _count_and_first(
    sql: str, work: Path, memory: int, limit: int, any_files: bool, refined: str = ""
) -> tuple[int, list[tuple[object, ...]]]:
    if not any_files:
        return 0, []
    with engine.connect(work, memory) as con, _readable():
        engine.run(con, f"CREATE TEMP TABLE found(value, more) AS {sql}")
        count = int(str(engine.run(con, "SELECT count(*) FROM found")[0][0]))
        engine.run(con, f"CREATE TEMP TABLE first AS SELECT * FROM found ORDER BY value LIMIT {int(limit)}")
        return count, engine.run(con, refined or "SELECT value, more FROM first ORDER BY value")


@contextmanager
def _readable() -> Iterator[None]:
    """Turns what DuckDB and pyarrow raise into our errors."""
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise RequestError(engine.said(error), hint="raise --memory", key="memory") from error
    except (duckdb.Error, pa.ArrowException, OSError) as error:
        raise TableError(engine.said(error), hint="plan again; raise --memory if it ran out") from error
