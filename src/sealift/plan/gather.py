"""From the spec to rows on disk: the query or table is streamed once; each row gets its split and its key."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sealift.errors import SpecError
from sealift.formats.features import class_label, dtype_of, feature_of, media_feature
from sealift.formats.rowfile import KEY, RowFile, joined_key
from sealift.model.column import MediaColumn
from sealift.model.problem import Problem
from sealift.spec import Spec, Split

SPLIT = "_split"
USUAL_SPLITS = ("train", "validation", "test")
REFS = pa.schema([("row", pa.int64()), ("element", pa.int32()), ("path", pa.string()), ("split", pa.string())])
EXAMPLES = 5


@dataclass(frozen=True)
class Gathered:
    """The rows on disk, in the query's order, before their media is looked up.

    `file` holds the light columns, the paths of media columns, `_key` and `_split`; `refs` maps each media column
    to its references (row, element, path, split). `columns` are those published, in order, with their features.
    """

    file: Path
    refs: Mapping[str, Path]
    columns: tuple[str, ...]
    features: Mapping[str, Mapping[str, Any]]
    media: tuple[MediaColumn, ...]
    splits: tuple[str, ...]
    rows: int
    problems: tuple[Problem, ...]


def gather(spec: Spec, reader: pa.RecordBatchReader, media: tuple[MediaColumn, ...], work: Path) -> Gathered:
    """Stream the rows to disk once. Memory: a few batches.

    Raises:
        SpecError: a column that the spec names is not there, or has a type that it cannot have.
    """
    shape = _Shape.of(spec, reader.schema, media)
    notes = _Notes()
    splits: dict[str, None] = {}
    refs = {column.name: work / "refs" / f"{number}.parquet" for number, column in enumerate(media)}
    (work / "refs").mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        rows = stack.enter_context(RowFile(work / "gathered.parquet", shape.schema))
        writers = {name: stack.enter_context(pq.ParquetWriter(path, REFS)) for name, path in refs.items()}
        for batch in reader:
            if not batch.num_rows:
                continue
            first = rows.rows
            ready = shape.apply(batch, first, notes)
            for name in pc.unique(ready.column(SPLIT)).drop_null().to_pylist():
                splits[name] = None
            for column in media:
                _write_refs(writers[column.name], ready, column, first, notes)
            rows.write(ready)
        total = rows.rows
    for name in splits:
        _check_split_name(spec, name)
    return Gathered(
        file=work / "gathered.parquet",
        refs=refs,
        columns=shape.columns,
        features=shape.features,
        media=media,
        splits=_in_order(splits, spec.split),
        rows=total,
        problems=tuple(notes.problems()),
    )


class _Notes:
    """Counts of what is wrong with rows, with the first few of each kind."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str, str], tuple[int, list[str]]] = {}

    def add(self, code: str, message: str, remedy: str, places: list[str]) -> None:
        count, examples = self._seen.get((code, message, remedy), (0, []))
        self._seen[(code, message, remedy)] = (count + len(places), (examples + places)[:EXAMPLES])

    def problems(self) -> Iterator[Problem]:
        for (code, message, remedy), (count, examples) in self._seen.items():
            yield Problem(code, message, place=", ".join(examples), remedy=remedy, count=count)


@dataclass(frozen=True)
class _Shape:
    """What becomes of the query's columns: published as they are, cast, or used for the split alone."""

    spec: Spec
    columns: tuple[str, ...]
    features: Mapping[str, Mapping[str, Any]]
    media: tuple[MediaColumn, ...]
    schema: pa.Schema

    @classmethod
    def of(cls, spec: Spec, schema: pa.Schema, media: tuple[MediaColumn, ...]) -> _Shape:
        names = schema.names
        for keys, wanted in _wanted(spec):
            if wanted not in names:
                raise spec.mistake(
                    f"there is no column `{wanted}` in the rows", *keys, hint=f"the columns are {', '.join(names)}"
                )
        for name in names:
            if name.startswith("_") and name in (KEY, SPLIT):
                raise spec.mistake(f"a column cannot be called `{name}`", "rows", hint="rename it in the query")
        by_name = {column.name: column for column in media}
        if spec.split.shares is not None and spec.split.by is None and not spec.key:
            raise spec.mistake("shares need `by` or a `key`", "split", hint="say by which column a row finds its split")
        columns, fields, features = [], [], {}
        for field in schema:
            if field.name == spec.split.column:
                continue
            columns.append(field.name)
            if field.name in by_name:
                features[field.name] = media_feature(by_name[field.name])
                dtype = pa.list_(pa.string()) if by_name[field.name].many else pa.string()
                _check_path_type(spec, field)
            else:
                dtype, features[field.name] = _light_type(spec, field)
            fields.append(pa.field(field.name, dtype))
        fields += [pa.field(KEY, pa.string()), pa.field(SPLIT, pa.string())]
        return cls(spec, tuple(columns), features, media, pa.schema(fields))

    def apply(self, batch: pa.RecordBatch, first: int, notes: _Notes) -> pa.RecordBatch:
        """The batch with its columns as published, its key and its split; `first` is the number of its first row."""
        key = self._key(batch, first, notes)
        split = self._split(batch, key, notes)
        by_name = {column.name: column for column in self.media}
        arrays = []
        for field in self.schema:
            if field.name == KEY:
                arrays.append(key)
            elif field.name == SPLIT:
                arrays.append(split)
            elif field.name in by_name:
                arrays.append(_paths(batch.column(field.name), by_name[field.name], key, notes))
            else:
                arrays.append(self._light(batch.column(field.name), field, key))
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    def _key(self, batch: pa.RecordBatch, first: int, notes: _Notes) -> pa.Array:
        if not self.spec.key:
            # Until the row has a number in its split, this is how messages name it.
            return pa.array([f"row {number}" for number in range(first, first + batch.num_rows)], pa.string())
        for name in self.spec.key:
            column = batch.column(name)
            if column.null_count:
                notes.add(
                    "null-key",
                    f"the key `{name}` is null",
                    "filter these rows out in `rows:`, or choose another key",
                    [f"row {first + int(number)}" for number in np.flatnonzero(_nulls(column))],
                )
        return joined_key([batch.column(name) for name in self.spec.key])

    def _split(self, batch: pa.RecordBatch, key: pa.Array, notes: _Notes) -> pa.Array:
        split = self.spec.split
        if split.all is not None:
            return pa.repeat(pa.scalar(split.all, pa.string()), batch.num_rows)
        if split.column is not None:
            names = pc.cast(batch.column(split.column), pa.string())
            if names.null_count:
                numbers = np.flatnonzero(_nulls(names))
                notes.add(
                    "null-split",
                    f"the split column `{split.column}` is null",
                    "give every row a split in `rows:`, or filter these rows out",
                    [key[int(number)].as_py() for number in numbers],
                )
            return names
        return _shares(split, batch.column(split.by) if split.by else key)

    def _light(self, array: pa.Array, field: pa.Field, key: pa.Array) -> pa.Array:
        said = self.spec.features.get(field.name)
        if said is not None and said.class_label is not None:
            return _labelled(self.spec, array, field.name, said.class_label, key)
        try:
            return array if array.type == field.type else array.cast(field.type)
        except pa.ArrowInvalid as error:
            raise self.spec.mistake(
                f"column `{field.name}` cannot be {field.type}: {error}",
                "features",
                field.name,
                hint="mend the values in `rows:`, or leave the type out",
            ) from error


def _nulls(array: pa.Array) -> npt.NDArray[np.bool_]:
    return np.asarray(array.is_null().to_numpy(zero_copy_only=False), np.bool_)


def _wanted(spec: Spec) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every column that the spec names, with the place where it does."""
    for name in spec.media:
        yield ("media", name), name
    for name in spec.features:
        yield ("features", name), name
    for name in spec.key:
        yield ("key",), name
    for word in (spec.split.column, spec.split.by):
        if word is not None:
            yield ("split",), word
    for config, said in spec.configs.items():
        for word, names in (("drop", said.drop), ("columns", said.columns or ())):
            for name in names:
                yield ("configs", config, word), name


def _check_path_type(spec: Spec, field: pa.Field) -> None:
    dtype = field.type.value_type if pa.types.is_list(field.type) else field.type
    if not (pa.types.is_string(dtype) or pa.types.is_null(dtype)):
        raise spec.mistake(
            f"media column `{field.name}` is {field.type}; it must hold paths",
            "media",
            field.name,
            hint="select the path of the file, or a list of paths, in `rows:`",
        )


def _light_type(spec: Spec, field: pa.Field) -> tuple[pa.DataType, Mapping[str, Any]]:
    said = spec.features.get(field.name)
    try:
        if said is not None and said.class_label is not None:
            return pa.int64(), class_label(said.class_label)
        if said is not None and said.dtype is not None:
            dtype = dtype_of(said.dtype)
            return dtype, feature_of(dtype)
        return field.type, feature_of(field.type)
    except SpecError:
        raise
    except Exception as error:
        keys = ("features", field.name) if said is not None else ("rows",)
        hint = getattr(error, "hint", "")
        raise spec.mistake(f"column `{field.name}`: {getattr(error, 'message', error)}", *keys, hint=hint) from error


def _labelled(spec: Spec, array: pa.Array, name: str, names: tuple[str, ...], key: pa.Array) -> pa.Array:
    """Class names as class numbers; numbers are taken as they are if there is such a class."""
    if pa.types.is_integer(array.type):
        numbers = array.cast(pa.int64())
        valid = pc.and_(pc.greater_equal(numbers, 0), pc.less(numbers, len(names)))
    else:
        numbers = pc.index_in(array.cast(pa.string()), value_set=pa.array(names)).cast(pa.int64())
        valid = pc.or_(numbers.is_valid(), array.is_null())
    wrong = np.flatnonzero(~pc.fill_null(valid, True).to_numpy(zero_copy_only=False))
    if len(wrong):
        first = int(wrong[0])
        raise spec.mistake(
            f"`{array[first].as_py()}` in column `{name}` is no class of its class_label ({key[first].as_py()})",
            "features",
            name,
            hint=f"the classes are {', '.join(names[:10])}",
        )
    return numbers


def _paths(array: pa.Array, column: MediaColumn, key: pa.Array, notes: _Notes) -> pa.Array:
    """Paths as the listing names them (without a leading ./): one string a row, or a list of them."""
    paths = _shaped(array, column, key, notes)
    if not column.many:
        return pc.replace_substring_regex(paths, r"^(\./+)+", "")
    offsets = pa.array(paths.offsets.to_numpy() - paths.offsets[0].as_py())
    flat = pc.replace_substring_regex(paths.flatten(), r"^(\./+)+", "")
    return pa.ListArray.from_arrays(offsets, flat, mask=paths.is_null() if paths.null_count else None)


def _shaped(array: pa.Array, column: MediaColumn, key: pa.Array, notes: _Notes) -> pa.Array:
    """One string a row for a single column, a list of them for a list column."""
    if column.many:
        if not pa.types.is_list(array.type):
            offsets = np.concatenate([[0], np.cumsum(array.is_valid().to_numpy(zero_copy_only=False))])
            mask = array.is_null() if array.null_count else None
            array = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), array.drop_null(), mask=mask)
        return array.cast(pa.list_(pa.string()))
    if not pa.types.is_list(array.type):
        return array.cast(pa.string())
    lengths = pc.fill_null(pc.list_value_length(array), 0).to_numpy(zero_copy_only=False)
    for number in np.flatnonzero(lengths > 1):
        found = array[int(number)].as_py()
        notes.add(
            "several-files",
            f"column `{column.name}` takes one file a row, but rows have several",
            f"choose one in `rows:`, or write `{column.name}: [{column.type}]`",
            [f"{key[int(number)].as_py()} ({', '.join(map(str, found))})"],
        )
    starts = array.offsets.to_numpy()[:-1]
    picks = pa.array(np.where(lengths > 0, starts, 0), mask=lengths == 0)
    return array.values.take(picks).cast(pa.string()) if len(array.values) else pa.nulls(len(array), pa.string())


def _write_refs(writer: pq.ParquetWriter, rows: pa.RecordBatch, column: MediaColumn, first: int, notes: _Notes) -> None:
    array = rows.column(column.name)
    if column.many:
        parents = pc.list_parent_indices(array).to_numpy(zero_copy_only=False)
        flat = array.flatten()
        starts = np.searchsorted(parents, parents, side="left")
        elements = (np.arange(len(parents)) - starts).astype(np.int32)
    else:
        parents, flat = np.arange(len(array)), array
        elements = np.full(len(array), -1, np.int32)
    there = flat.is_valid().to_numpy(zero_copy_only=False)
    outside = pc.fill_null(pc.match_substring_regex(flat, r"^/|(^|/)\.\.(/|$)|\x00"), False).to_numpy(
        zero_copy_only=False
    )
    for number in np.flatnonzero(outside):
        notes.add(
            "path-outside",
            f"column `{column.name}` names paths that lead out of the source",
            "name files below `from:`, relative to it, without `..`",
            [f"{rows.column(KEY)[int(parents[number])].as_py()} ({flat[int(number)].as_py()})"],
        )
    keep = pa.array(there)
    splits = rows.column(SPLIT).take(pa.array(parents))
    table = pa.table(
        [pa.array(parents + first, pa.int64()), pa.array(elements, pa.int32()), flat.cast(pa.string()), splits],
        schema=REFS,
    )
    writer.write_table(table.filter(keep))


def _shares(split: Split, by: pa.Array) -> pa.Array:
    """A split for each row by the hash of its group: the same for the same value and seed, for ever.

    The first 8 bytes of BLAKE2b, keyed by the seed, over the value as text are a number in [0, 1); the shares, in the
    order written, cut that interval. So a group is never in two splits, and new rows do not move old ones.
    """
    assert split.shares is not None
    names = list(split.shares)
    edges = np.cumsum([split.shares[name] for name in names])[:-1]
    encoded = by.cast(pa.string()).dictionary_encode()
    seed = str(split.seed).encode()
    points = [_point(value, seed) for value in encoded.dictionary.to_pylist()]
    codes = np.searchsorted(edges, points, side="right").astype(np.int32)
    # A null group is a group of its own.
    codes = np.append(codes, np.searchsorted(edges, [_point("", seed)], side="right")).astype(np.int32)
    indices = pc.fill_null(encoded.indices, len(points)).to_numpy()
    return pa.array(names, pa.string()).take(pa.array(codes[indices]))


def _point(value: str, seed: bytes) -> float:
    number = int.from_bytes(hashlib.blake2b(value.encode(), digest_size=8, key=seed).digest())
    return number / 2.0**64


def _in_order(found: Mapping[str, None], split: Split) -> tuple[str, ...]:
    if split.shares is not None:
        return tuple(name for name in split.shares if name in found)
    usual = [name for name in USUAL_SPLITS if name in found]
    return (*usual, *(name for name in found if name not in usual))


def _check_split_name(spec: Spec, name: str) -> None:
    try:
        Split(all=name)
    except ValueError as error:
        raise spec.mistake(
            f"`{name}` cannot be the name of a split", "split", hint="letters, digits, underscores and dots only"
        ) from error
