"""Arrow types as they are published: plain strings, bytes, numbers, times, structs and lists, whoever made the rows."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sealift.errors import RequestError, SealiftError, TableError

SLICE = 65536
"""Rows that are converted at once, so that a table of one huge batch is not held twice."""

MEANINGLESS = ("arrow.opaque", "pandas.period")
"""Extension types whose storage says nothing without them: a period's is a count of an interval that is lost."""


def normalise(reader: Any, batch_rows: int = SLICE) -> pa.RecordBatchReader:
    """The same rows in the same order, in types that every reader of Parquet and `datasets` knows.

    Strings and bytes of any layout, categories, UUIDs and JSON become string or binary; whole numbers of 38 digits
    (DuckDB's sum of integers) int64; decimals of 32 and 64 bits 128 bits wide; times with a zone UTC; a column of
    nothing but null a string. The schema's metadata goes. Batches hold `batch_rows` at most and are converted singly.

    Raises:
        RequestError: there is no column, one has no name, two share theirs, or a type cannot be published (the message
            says what to cast).
        TableError: while reading: the source of the rows failed, or a number does not fit into int64.
    """
    schema = published(reader.schema)
    return pa.RecordBatchReader.from_batches(schema, _batches(reader, schema, batch_rows))


def published(schema: pa.Schema) -> pa.Schema:
    """The schema in published types, without metadata.

    Raises:
        RequestError: as `normalise`.
    """
    if not schema.names or "" in schema.names:
        raise RequestError(
            "a column has no name" if schema.names else "the rows have no columns",
            hint="give every column a name",
            key="rows",
        )
    twice = sorted({name for name in schema.names if schema.names.count(name) > 1})
    if twice:
        raise RequestError(
            f"more than one column is called {', '.join(twice)}",
            hint="give each column a name of its own: SELECT a.id, b.id AS other_id, or * EXCLUDE (id)",
            key="rows",
            column=twice[0],
        )
    return pa.schema([pa.field(field.name, _type(field.type, field.name)) for field in schema])


def _type(kind: pa.DataType, column: str) -> pa.DataType:
    if isinstance(kind, pa.BaseExtensionType):
        return _extension_type(kind, column)
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return _type(kind.value_type, column)
    if pa.types.is_struct(kind) and kind.num_fields:
        return pa.struct([pa.field(field.name, _type(field.type, column)) for field in kind])
    if pa.types.is_fixed_size_list(kind) and kind.list_size:
        return pa.list_(_type(kind.value_type, column), kind.list_size)
    if _is_list(kind):
        return pa.list_(_type(kind.value_type, column))
    return _leaf_type(kind, column)


def _is_list(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(types.is_list(kind) or types.is_large_list(kind) or _is_view(kind))


def _is_view(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list_view(kind) or pa.types.is_large_list_view(kind))


def _leaf_type(kind: pa.DataType, column: str) -> pa.DataType:
    types = pa.types
    if any(test(kind) for test in (types.is_null, types.is_string, types.is_large_string, types.is_string_view)):
        return pa.string()
    if any(test(kind) for test in (types.is_large_binary, types.is_binary_view, types.is_fixed_size_binary)):
        return pa.binary()
    if types.is_decimal128(kind) and (kind.precision, kind.scale) == (38, 0):
        return pa.int64()
    if types.is_decimal32(kind) or types.is_decimal64(kind):
        return pa.decimal128(kind.precision, kind.scale)
    if types.is_timestamp(kind) and kind.tz is not None:
        return pa.timestamp(kind.unit, "UTC")
    if types.is_interval(kind) or types.is_nested(kind):
        raise unpublishable(column, str(kind))
    return kind


def _extension_type(kind: Any, column: str) -> pa.DataType:
    if kind.extension_name in ("arrow.uuid", "arrow.json"):
        return pa.string()
    if kind.extension_name in MEANINGLESS:
        raise unpublishable(column, str(kind))
    return _type(kind.storage_type, column)


def unpublishable(column: str, kind: str) -> RequestError:
    """The error for a column whose type has no place in a published dataset."""
    return RequestError(
        f"column {column} has the type {kind}, which cannot be published",
        hint=f"turn it into text or take the fields that you need: CAST({column} AS VARCHAR) AS {column}",
        key="rows",
        column=column,
    )


def _batches(reader: Any, schema: pa.Schema, batch_rows: int) -> Iterator[pa.RecordBatch]:
    try:
        for batch in reader:
            for start in range(0, batch.num_rows, batch_rows):
                yield _converted(batch.slice(start, batch_rows), schema)
    except SealiftError:
        raise
    except (pa.ArrowException, OSError) as error:
        raise TableError(str(error), hint="mend the value or the query; or raise --memory", key="rows") from error


def _converted(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    arrays = [convert(batch.column(place), field.type, field.name) for place, field in enumerate(schema)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def convert(array: pa.Array, kind: pa.DataType, column: str) -> pa.Array:
    """The array in the given published type.

    Raises:
        TableError: a value does not fit.
    """
    try:
        return _as(array, kind)
    except pa.ArrowInvalid as error:
        raise TableError(
            f"column {column}: a value of type {array.type} does not fit into {kind}: {error}",
            hint=f"say what it should be: CAST({column} AS DOUBLE) or CAST({column} AS VARCHAR)",
            column=column,
        ) from error
    except pa.ArrowNotImplementedError as error:
        raise unpublishable(column, str(array.type)) from error


def _as(array: pa.Array, kind: pa.DataType) -> pa.Array:
    """The same values as that type, by the steps that pyarrow's cast does not take itself."""
    types, own = pa.types, array.type
    if own == kind:
        return array
    if isinstance(own, pa.UuidType):
        found = array.storage.to_pylist()
        return pa.array([None if raw is None else str(uuid.UUID(bytes=raw)) for raw in found], pa.string())
    if isinstance(own, pa.BaseExtensionType):
        return _as(array.storage, kind)
    if types.is_run_end_encoded(own):
        return _as(pc.run_end_decode(array), kind)
    if types.is_dictionary(own):
        return _as(array.dictionary, kind).take(array.indices)
    if types.is_struct(own):
        children = [_as(child, field.type) for child, field in zip(array.flatten(), kind, strict=True)]
        return pa.StructArray.from_arrays(children, fields=list(kind), mask=array.is_null())
    if types.is_fixed_size_list(own):
        flat = array.values.slice(array.offset * own.list_size, len(array) * own.list_size)
        return pa.FixedSizeListArray.from_arrays(_as(flat, kind.value_type), type=kind, mask=array.is_null())
    if _is_list(own):
        lengths = pc.fill_null(pc.list_value_length(array), 0).cast(pa.int32())
        offsets = pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum_checked(lengths)])
        flat = _as(array.flatten(), kind.value_type)
        return pa.ListArray.from_arrays(offsets, flat, type=kind, mask=array.is_null())
    return array.cast(kind)
