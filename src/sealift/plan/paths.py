"""The paths in a media column: brought into one shape, and written down as references to be looked up."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sealift.model.column import MediaColumn
from sealift.model.entry import LEADING_DOT
from sealift.model.path import OUTSIDE
from sealift.plan.notes import Notes
from sealift.spec import Spec

REFS = pa.schema([("row", pa.int64()), ("element", pa.int32()), ("path", pa.string()), ("split", pa.string())])
"""A reference: the row's number, the cell's place in a list (-1 for a single cell), the path, and the row's split."""

ODD = ("..", "\0", "\\", ":")
"""What every path that leads out has in it, but those that begin with a slash."""

Int64 = npt.NDArray[np.int64]


def check_type(spec: Spec, field: pa.Field) -> None:
    """Promise that the column holds paths or lists of them.

    Raises:
        SpecError: it holds something else.
    """
    held = field.type.value_type if _is_list(field.type) else field.type
    if not pa.types.is_string(held):
        raise spec.mistake(
            f"media column `{field.name}` is {field.type}; it must hold paths",
            "media",
            field.name,
            hint="select the path of the file, or a list of paths, in `rows:`",
        )


def paths_of(array: pa.Array, column: MediaColumn, key: pa.Array, notes: Notes) -> pa.Array:
    """Paths as the listing names them (without a leading ./): one string a row, or a list of them."""
    if not column.many:
        return _bare(_single(array, column, key, notes) if _is_list(array.type) else array)
    if not _is_list(array.type):
        lengths, flat = array.is_valid().to_numpy(zero_copy_only=False).astype(np.int64), array.drop_null()
    else:
        lengths, flat = lengths_of(array), array.flatten()
    return listed(lengths, _bare(flat), array)


def lengths_of(array: pa.Array) -> Int64:
    """How many cells each list holds, a null one none."""
    return np.asarray(pc.fill_null(pc.list_value_length(array), 0).to_numpy(), np.int64)


def listed(lengths: Int64, flat: pa.Array, like: pa.Array) -> pa.Array:
    """Lists of these lengths over the flat cells; null where `like` is."""
    offsets = np.concatenate(([0], np.cumsum(lengths))).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), flat, mask=like.is_null() if like.null_count else None)


def _bare(paths: pa.Array) -> pa.Array:
    paths = paths.cast(pa.string())
    return pc.replace_substring_regex(paths, LEADING_DOT, "") if _any(pc.starts_with(paths, "./")) else paths


def _any(found: pa.Array) -> bool:
    return bool(pc.any(found).as_py())


def _single(array: pa.Array, column: MediaColumn, key: pa.Array, notes: Notes) -> pa.Array:
    """The one element of each list; an empty list is null, and longer ones are noted."""
    lengths = lengths_of(array)
    several = np.flatnonzero(lengths > 1)
    notes.add(
        "several-files",
        f"column `{column.name}` takes one file a row, but rows have several",
        f"choose one in `rows:`, or write `{column.name}: [{column.type}]`",
        len(several),
        [f"{key[row].as_py()} ({', '.join(map(str, array[row].as_py()))})" for row in several.tolist()[:5]],
    )
    starts = np.cumsum(lengths) - lengths
    return array.flatten().take(pa.array(starts, mask=lengths == 0))


def places_of(array: pa.Array, column: MediaColumn) -> tuple[Int64, Int64, pa.Array]:
    """The cells of a column, flat: the row and the element of each, and the cells (null ones too)."""
    if not column.many:
        return np.arange(len(array)), np.full(len(array), -1, np.int64), array
    lengths = lengths_of(array)
    starts = np.cumsum(lengths) - lengths
    rows = np.repeat(np.arange(len(array)), lengths)
    return rows, np.arange(len(rows)) - starts[rows], array.flatten()


def references(array: pa.Array, column: MediaColumn, first: int, splits: pa.Array) -> pa.RecordBatch:
    """The cells that are there, as `REFS`; `first` is the number of the array's first row."""
    rows, elements, flat = places_of(array, column)
    columns = [pa.array(rows + first), pa.array(elements, pa.int32()), flat, splits.take(pa.array(rows))]
    batch = pa.RecordBatch.from_arrays(columns, schema=REFS)
    return batch.filter(flat.is_valid()) if flat.null_count else batch


def note_outside(array: pa.Array, column: MediaColumn, key: pa.Array, notes: Notes) -> None:
    """Note the paths that lead out of the source."""
    rows, _, flat = places_of(array, column)
    # Nearly always there is none, and these are much faster than the expression.
    if not (_any(pc.starts_with(flat, "/")) or any(_any(pc.match_substring(flat, odd)) for odd in ODD)):
        return
    outside = pc.indices_nonzero(pc.fill_null(pc.match_substring_regex(flat, OUTSIDE), False)).to_pylist()
    notes.add(
        "path-outside",
        f"column `{column.name}` names paths that lead out of the source",
        "name files below `from:`, relative to it, without `..`",
        len(outside),
        [f"{key[int(rows[cell])].as_py()} ({flat[cell].as_py()})" for cell in outside[: Notes.EXAMPLES]],
    )


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind))
