"""Rows that come from Python: a table, a frame, a relation, or an iterator of record batches."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa

from sealift.errors import RequestError
from sealift.rows.types import normalise

ACCEPTED = (
    "pass a pyarrow Table or RecordBatchReader, a pandas or polars DataFrame, a DuckDB relation, "
    "or an iterable of pyarrow RecordBatches"
)
INDEX = re.compile(r"__index_level_\d+__")


def reader(rows: Any) -> pa.RecordBatchReader:
    """The rows as a stream of record batches in published types, in their order, read once and as needed.

    Whatever speaks the Arrow PyCapsule interface is taken as it is; no frame library is imported. An unnamed pandas
    index that is not a column of its own is not published.

    Raises:
        RequestError: it is something else, an iterator that was read before, or its types cannot be published.
    """
    if hasattr(rows, "__arrow_c_stream__"):
        return normalise(_without_index(_stream(rows)))
    if isinstance(rows, Iterable) and not isinstance(rows, (str, bytes, dict)):
        return normalise(_from_batches(iter(rows)))
    hint = "call .collect() first" if hasattr(rows, "collect") else ACCEPTED
    raise RequestError(f"rows cannot be read from {_called(rows)}", hint=hint, key="rows")


def _called(value: Any) -> str:
    return f"a {type(value).__module__}.{type(value).__qualname__}".replace("a builtins.", "a ")


def _stream(rows: Any) -> pa.RecordBatchReader:
    if isinstance(rows, pa.RecordBatchReader):
        return _from_batches(rows)
    if isinstance(rows, pa.Table):
        return rows.to_reader(max_chunksize=8192)
    try:
        return pa.RecordBatchReader.from_stream(rows)
    except (pa.ArrowException, TypeError) as error:
        message = f"rows cannot be read from {_called(rows)}: {' — '.join(str(part) for part in error.args)}"
        raise RequestError(message, hint="give every column one type", key="rows") from error


def _without_index(stream: pa.RecordBatchReader) -> pa.RecordBatchReader:
    kept = [name for name in stream.schema.names if not INDEX.fullmatch(name)]
    if len(kept) == len(stream.schema.names):
        return stream
    schema = pa.schema([stream.schema.field(name) for name in kept])
    return pa.RecordBatchReader.from_batches(schema, (batch.select(kept) for batch in stream))


def _from_batches(items: Iterator[Any]) -> pa.RecordBatchReader:
    first = next(items, None)
    if first is None:
        message = "the iterator of rows is empty; what was read once has nothing more to give"
        raise RequestError(message, hint=ACCEPTED, key="rows")
    if not isinstance(first, pa.RecordBatch):
        hint = f"{ACCEPTED} (pyarrow.Table.from_pylist makes a table of dicts)"
        raise RequestError(f"the iterator of rows gives {_called(first)}", hint=hint, key="rows")
    return pa.RecordBatchReader.from_batches(first.schema, _same(itertools.chain([first], items), first.schema))


def _same(items: Iterable[Any], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    for number, item in enumerate(items):
        if not isinstance(item, pa.RecordBatch) or not item.schema.equals(schema):
            found = item.schema if isinstance(item, pa.RecordBatch) else _called(item)
            hint = "give every batch the same schema"
            raise RequestError(f"batch {number} is not like the first one: {found}", hint=hint, key="rows")
        yield item
