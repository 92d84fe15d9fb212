"""The feature types of `datasets`, as JSON for a Parquet footer and as YAML for a card, without that library.

The shapes are those that `datasets` 5 writes itself: `huggingface` → {"info": {"features": …}} in the footer, and
`dataset_info.features` in the card. tests/test_features.py holds them against the library.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from sealift.errors import RequestError
from sealift.model.column import MediaColumn

FOOTER_KEY = b"huggingface"
BOXED_TYPES = ("Audio", "Image", "Video", "Nifti", "Pdf")
Feature = Mapping[str, Any]

_SIMPLE = {
    pa.null(): "null",
    pa.bool_(): "bool",
    pa.int8(): "int8",
    pa.int16(): "int16",
    pa.int32(): "int32",
    pa.int64(): "int64",
    pa.uint8(): "uint8",
    pa.uint16(): "uint16",
    pa.uint32(): "uint32",
    pa.uint64(): "uint64",
    pa.float16(): "float16",
    pa.float32(): "float32",
    pa.float64(): "float64",
    pa.date32(): "date32",
    pa.date64(): "date64",
    pa.string(): "string",
    pa.large_string(): "large_string",
    pa.binary(): "binary",
    pa.large_binary(): "large_binary",
}
_BY_NAME = {name: dtype for dtype, name in _SIMPLE.items()} | {"double": pa.float64(), "float": pa.float32()}
_UNIT = r"\[(s|ms|us|ns)(?:,\s*tz=(.+?))?\]"


def feature_of(dtype: pa.DataType) -> Feature:
    """The feature of a light column of that type.

    Raises:
        RequestError: `datasets` has no feature for it.
    """
    if pa.types.is_list(dtype) or pa.types.is_large_list(dtype):
        return {"feature": feature_of(dtype.value_type), "_type": "List" if pa.types.is_list(dtype) else "LargeList"}
    if pa.types.is_fixed_size_list(dtype):
        return {"feature": feature_of(dtype.value_type), "length": dtype.list_size, "_type": "List"}
    if pa.types.is_struct(dtype):
        return {field.name: feature_of(field.type) for field in dtype}
    return {"dtype": dtype_name(dtype), "_type": "Value"}


def dtype_name(dtype: pa.DataType) -> str:
    """The name of a plain type as `datasets` says it: `int64`, `timestamp[us, tz=UTC]`, `decimal128(18, 3)`.

    Raises:
        RequestError: it has none.
    """
    if dtype in _SIMPLE:
        return _SIMPLE[dtype]
    if pa.types.is_timestamp(dtype):
        return f"timestamp[{dtype.unit}{f', tz={dtype.tz}' if dtype.tz else ''}]"
    if pa.types.is_time(dtype):
        return f"time{dtype.bit_width}[{dtype.unit}]"
    if pa.types.is_duration(dtype):
        return f"duration[{dtype.unit}]"
    if pa.types.is_decimal128(dtype) or pa.types.is_decimal256(dtype):
        return f"decimal{dtype.bit_width}({dtype.precision}, {dtype.scale})"
    raise RequestError(f"a column of type {dtype} cannot be published", hint="cast it in `rows:`, to VARCHAR for one")


def dtype_of(name: str) -> pa.DataType:
    """The type that `features:` names.

    Raises:
        RequestError: there is no such type.
    """
    if name in _BY_NAME:
        return _BY_NAME[name]
    if found := re.fullmatch(r"timestamp" + _UNIT, name):
        return pa.timestamp(found[1], tz=found[2])
    if found := re.fullmatch(r"duration\[(s|ms|us|ns)\]", name):
        return pa.duration(found[1])
    if found := re.fullmatch(r"time(?:32\[(s|ms)\]|64\[(us|ns)\])", name):
        return pa.time32(found[1]) if found[1] else pa.time64(found[2])
    if found := re.fullmatch(r"decimal(128|256)\((\d+), ?(-?\d+)\)", name):
        made = {"128": pa.decimal128, "256": pa.decimal256}[found[1]]
        try:
            return made(int(found[2]), int(found[3]))
        except ValueError as error:
            raise RequestError(f"there is no type `{name}`: {error}", hint="use fewer digits") from error
    raise RequestError(f"there is no type `{name}`", hint="types are named as in `datasets`: float32, int64, string …")


def class_label(names: tuple[str, ...]) -> Feature:
    """The feature of a column of class numbers (int64)."""
    return {"names": list(names), "_type": "ClassLabel"}


def media_feature(column: MediaColumn) -> Feature:
    """The feature of a media column: that of its cells, in a list if it holds lists."""
    return {"feature": column.feature, "_type": "List"} if column.many else column.feature


def footer_metadata(features: Mapping[str, Feature]) -> dict[str | bytes, str | bytes]:
    """The schema metadata by which `datasets` knows the features."""
    return {FOOTER_KEY: json.dumps({"info": {"features": dict(features)}}, ensure_ascii=False).encode()}


def footer_features(metadata: Mapping[bytes, bytes] | None) -> Mapping[str, Feature] | None:
    """The features that a Parquet footer states; None if it states none."""
    try:
        features = json.loads((metadata or {})[FOOTER_KEY])["info"]["features"]
    except (KeyError, ValueError, TypeError):
        return None
    return features if isinstance(features, dict) else None


def card_features(features: Mapping[str, Feature]) -> list[dict[str, Any]]:
    """The features as `dataset_info` states them in a card's YAML."""
    return [{"name": name, **_card(feature)} for name, feature in features.items()]


def _card(feature: Feature) -> dict[str, Any]:
    kind = feature.get("_type")
    if not isinstance(kind, str):
        return {"struct": card_features(feature)}
    options = {name: value for name, value in feature.items() if name != "_type" and value is not None}
    if kind in ("List", "LargeList"):
        inner = _card(options.pop("feature"))
        word = "list" if kind == "List" else "large_list"
        return {word: inner["dtype"] if list(inner) == ["dtype"] else next(iter(_nested(inner))), **options}
    if kind == "Value":
        return {"dtype": options["dtype"]}
    if kind == "ClassLabel":
        return {
            "dtype": {"class_label": {"names": {str(number): name for number, name in enumerate(options["names"])}}}
        }
    name = kind.lower()
    return {"dtype": {name: options} if options else name}


def _nested(inner: dict[str, Any]) -> list[Any]:
    """What stands below `list:` when it is no plain dtype."""
    return [inner["struct"]] if list(inner) == ["struct"] else [inner]
