"""What becomes of the query's columns: published as they are, cast, or used for the split alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sealift.errors import RequestError
from sealift.formats.features import class_label, dtype_of, feature_of, media_feature
from sealift.formats.rowfile import KEY, joined_key
from sealift.model.column import MediaColumn
from sealift.plan.notes import Notes
from sealift.plan.paths import check_type, paths_of
from sealift.plan.splits import split_of
from sealift.spec import Feature, Spec

SPLIT = "_split"
UNCASTABLE = (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError)


@dataclass(frozen=True)
class Shape:
    """The published columns, in order, with their features; `schema` has `_key` and `_split` behind them."""

    spec: Spec
    columns: tuple[str, ...]
    features: Mapping[str, Mapping[str, Any]]
    media: Mapping[str, MediaColumn]
    schema: pa.Schema

    @classmethod
    def of(cls, spec: Spec, schema: pa.Schema, media: tuple[MediaColumn, ...]) -> Shape:
        """What the spec makes of rows with this schema.

        Raises:
            SpecError: a column that the spec names is not there, or has a type that it cannot have.
        """
        _check_names(spec, schema)
        by_name = {column.name: column for column in media}
        fields, features = [], {}
        for field in schema:
            if field.name == spec.split.column:
                continue
            dtype, features[field.name] = (
                _media_type(spec, field, by_name[field.name]) if field.name in by_name else _light_type(spec, field)
            )
            fields.append(pa.field(field.name, dtype))
        if not fields:
            raise spec.mistake("the rows have no columns", "rows", hint="select what is to be published")
        fields += [pa.field(KEY, pa.string()), pa.field(SPLIT, pa.string())]
        return cls(spec, tuple(features), features, by_name, pa.schema(fields))

    def apply(self, batch: pa.RecordBatch, first: int, notes: Notes) -> pa.RecordBatch:
        """The batch with its columns as published, its key and its split; `first` is the number of its first row."""
        key = self._key(batch, first, notes)
        made = {KEY: key, SPLIT: split_of(self.spec.split, batch, key, notes)}
        for field in self.schema:
            if field.name in self.media:
                made[field.name] = paths_of(batch.column(field.name), self.media[field.name], key, notes)
            elif field.name not in made:
                made[field.name] = _light(self.spec, batch.column(field.name), field, key)
        return pa.RecordBatch.from_arrays([made[name] for name in self.schema.names], schema=self.schema)

    def _key(self, batch: pa.RecordBatch, first: int, notes: Notes) -> pa.Array:
        if not self.spec.key:
            # Until the row has a number in its split, this is how messages name it.
            return numbered("row ", first, batch.num_rows)
        for name in self.spec.key:
            column = batch.column(name)
            notes.add(
                "null-key",
                f"the key `{name}` is null",
                "filter these rows out in `rows:`, or choose another key",
                column.null_count,
                [f"row {first + row.as_py()}" for row in pc.indices_nonzero(column.is_null())[: Notes.EXAMPLES]],
            )
        return joined_key([batch.column(name) for name in self.spec.key])


def numbered(head: str, first: int, count: int) -> pa.Array:
    """`count` strings: the head, and the numbers from `first` on."""
    numbers = pa.array(np.arange(first, first + count)).cast(pa.string())
    return pc.binary_join_element_wise(head, numbers, "")


def _check_names(spec: Spec, schema: pa.Schema) -> None:
    """Every column that the spec names is there, and can be what it is named for."""
    for keys, wanted in _wanted(spec):
        if wanted not in schema.names:
            hint = f"the columns are {', '.join(schema.names)}"
            raise spec.mistake(f"there is no column `{wanted}` in the rows", *keys, hint=hint)
        if keys[0] in ("key", "split") and not _is_plain(schema.field(wanted).type):
            hint = f"turn it into text in `rows:`: CAST({wanted} AS VARCHAR)"
            message = f"column `{wanted}` is {schema.field(wanted).type}; it cannot be a {keys[0]}"
            raise spec.mistake(message, *keys, hint=hint)
        if keys[0] == "configs" and wanted == spec.split.column:
            hint = "leave it out here: it is not published"
            raise spec.mistake(f"column `{wanted}` names the split", *keys, hint=hint)
    for name in (name for name in (KEY, SPLIT) if name in schema.names):
        raise spec.mistake(f"a column cannot be called `{name}`", "rows", hint="rename it in the query")
    for name in spec.features.keys() & spec.media.keys():
        raise spec.mistake(f"column `{name}` holds media", "features", name, hint="say its type under `media:`")
    for name in spec.expect.media if spec.expect else ():
        if name not in spec.media:
            hint = f"the media columns are {', '.join(spec.media)}"
            raise spec.mistake(f"`{name}` is no media column", "expect", "media", name, hint=hint)
    if spec.split.shares is not None and spec.split.by is None and not spec.key:
        raise spec.mistake("shares need `by` or a `key`", "split", hint="say by which column a row finds its split")


def _wanted(spec: Spec) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every column that the spec names, with the place where it does."""
    for name in spec.media:
        yield ("media", name), name
    for name in spec.features:
        yield ("features", name), name
    for name in spec.key:
        yield ("key",), name
    for word, said in (("column", spec.split.column), ("by", spec.split.by)):
        if said is not None:
            yield ("split", word), said
    for config, selected in spec.configs.items():
        for word, names in (("drop", selected.drop), ("columns", selected.columns or ())):
            for name in names:
                yield ("configs", config, word), name


def _is_plain(kind: pa.DataType) -> bool:
    return not (pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _media_type(spec: Spec, field: pa.Field, column: MediaColumn) -> tuple[pa.DataType, Mapping[str, Any]]:
    check_type(spec, field)
    return pa.list_(pa.string()) if column.many else pa.string(), media_feature(column)


def _light_type(spec: Spec, field: pa.Field) -> tuple[pa.DataType, Mapping[str, Any]]:
    """The type and the feature of a column beside the media."""
    said = spec.features.get(field.name)
    try:
        if said is None:
            return field.type, feature_of(field.type)
        dtype = dtype_of(said.dtype) if said.dtype is not None else pa.int64()
        if not _can_be(field.type, said, dtype):
            what = said.dtype or "a class label"
            raise RequestError(f"{field.type} cannot become {what}", hint="CAST it in `rows:`, or leave the type out")
        return dtype, class_label(said.class_label) if said.class_label is not None else feature_of(dtype)
    except RequestError as error:
        keys = ("features", field.name) if said is not None else ("rows",)
        raise spec.mistake(f"column `{field.name}`: {error.message}", *keys, hint=error.hint) from error


def _can_be(kind: pa.DataType, said: Feature, dtype: pa.DataType) -> bool:
    """Whether there is a way from one type to the other, whatever the values."""
    if said.class_label is not None:
        return bool(pa.types.is_string(kind) or pa.types.is_integer(kind))
    try:
        pa.nulls(0, kind).cast(dtype)
    except UNCASTABLE:
        return False
    return True


def _light(spec: Spec, array: pa.Array, field: pa.Field, key: pa.Array) -> pa.Array:
    said = spec.features.get(field.name)
    if said is not None and said.class_label is not None:
        return _labelled(spec, array, field.name, said.class_label, key)
    try:
        return array if array.type == field.type else array.cast(field.type)
    except UNCASTABLE as error:
        row = _first_uncastable(array, field.type)
        value = str(array[row].as_py())
        raise spec.mistake(
            f"`{value[:100]}` in column `{field.name}` is no {field.type} ({key[row].as_py()})",
            "features",
            field.name,
            hint="mend the values in `rows:`, or leave the type out",
        ) from error


def _first_uncastable(array: pa.Array, dtype: pa.DataType) -> int:
    """The first row whose value the type does not take; there must be one."""
    good, bad = 0, len(array)
    while bad - good > 1:
        middle = (good + bad) // 2
        try:
            array.slice(good, middle - good).cast(dtype)
            good = middle
        except UNCASTABLE:
            bad = middle
    return good


def _labelled(spec: Spec, array: pa.Array, name: str, names: tuple[str, ...], key: pa.Array) -> pa.Array:
    """Class names as class numbers; numbers are taken as they are if there is such a class."""
    if pa.types.is_integer(array.type):
        numbers = array
        valid = pc.and_(pc.greater_equal(numbers, 0), pc.less(numbers, len(names)))
    else:
        numbers = pc.index_in(array, value_set=pa.array(names))
        valid = pc.or_(numbers.is_valid(), array.is_null())
    wrong = pc.indices_nonzero(pc.invert(pc.fill_null(valid, True)))
    if len(wrong):
        row = wrong[0].as_py()
        raise spec.mistake(
            f"`{array[row].as_py()}` in column `{name}` is no class of its class_label ({key[row].as_py()})",
            "features",
            name,
            hint=f"the classes are {', '.join(names[:10])}",
        )
    return numbers.cast(pa.int64())
