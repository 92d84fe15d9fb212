"""Features are those of `datasets`: in the footer, in the card, and by name. The library itself is the judge."""

from __future__ import annotations

import json
from typing import Any

import datasets
import pyarrow as pa
import pytest
import yaml

from sealift import media
from sealift.errors import RequestError
from sealift.formats import features
from sealift.formats.parquet.storage import storage_type

PLAIN = (
    *(pa.null(), pa.bool_(), pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32()),
    *(pa.uint64(), pa.float16(), pa.float32(), pa.float64(), pa.date32(), pa.date64(), pa.string(), pa.large_string()),
    *(pa.binary(), pa.large_binary(), pa.timestamp("s"), pa.timestamp("ms"), pa.timestamp("us"), pa.timestamp("ns")),
    *(pa.timestamp("us", tz="UTC"), pa.timestamp("ns", tz="Europe/Berlin"), pa.time32("s"), pa.time32("ms")),
    *(pa.time64("us"), pa.time64("ns"), pa.duration("s"), pa.duration("ms"), pa.duration("us"), pa.duration("ns")),
    *(pa.decimal128(18, 3), pa.decimal128(38, 0), pa.decimal256(60, 10)),
)
PAIR = pa.struct([("a", pa.int32()), ("b", pa.list_(pa.string()))])
NESTED = (
    pa.list_(pa.int64()),
    pa.large_list(pa.string()),
    pa.list_(pa.float32(), 3),
    pa.list_(pa.list_(pa.float32(), 3)),
    pa.list_(pa.large_list(pa.list_(pa.bool_()))),
    PAIR,
    pa.list_(PAIR),
    pa.large_list(PAIR),
    pa.list_(PAIR, 2),
    pa.struct([("deep", pa.struct([("er", PAIR)])), ("ts", pa.timestamp("us", tz="UTC"))]),
    pa.list_(pa.struct([("one", pa.int8())])),
)
LABEL = features.class_label(("no", "yes", "null", "1: 2", "ü"))
MEDIA = [media.column(name, name, many, {}) for name in sorted(media.TYPES) for many in (False, True)]


def as_read(said: dict[str, features.Feature]) -> Any:
    """The library's features from the footer that we write."""
    return datasets.Features.from_dict(json.loads(features.footer_metadata(said)[b"huggingface"])["info"]["features"])


def from_card(said: dict[str, features.Feature]) -> Any:
    """The library's features from the card that we write, as YAML and back."""
    listed = yaml.safe_load(yaml.safe_dump({"features": features.card_features(said)}, sort_keys=False))["features"]
    return datasets.Features._from_yaml_list(listed)


@pytest.mark.parametrize("dtype", [*PLAIN, *NESTED], ids=str)
def test_a_type_is_the_feature_that_the_library_makes_of_it(dtype: pa.DataType) -> None:
    """What the footer and the card say of a light column is what `datasets` takes from its Arrow type."""
    said = {"x": features.feature_of(dtype)}
    expected = datasets.Features.from_arrow_schema(pa.schema([("x", dtype)]))
    assert as_read(said) == expected
    assert from_card(said) == expected
    assert features.card_features(said) == expected._to_yaml_list()


@pytest.mark.parametrize("dtype", PLAIN, ids=str)
def test_a_type_has_the_name_that_leads_back_to_it(dtype: pa.DataType) -> None:
    """`features:` takes the names that `datasets` uses, and each names its type."""
    assert features.dtype_of(features.dtype_name(dtype)) == dtype


@pytest.mark.parametrize(
    "name", ["", "int", "text", "timestamp", "timestamp[h]", "decimal128(5)", "decimal128(50, 2)", "list"]
)
def test_a_name_that_is_none_is_refused(name: str) -> None:
    """A mistake in a type's name says so."""
    with pytest.raises(RequestError, match="no type"):
        features.dtype_of(name)


@pytest.mark.parametrize(
    "dtype",
    [
        pa.map_(pa.string(), pa.int32()),
        pa.decimal32(5, 2),
        pa.month_day_nano_interval(),
        pa.list_(pa.month_day_nano_interval()),
    ],
    ids=str,
)
def test_a_type_without_a_feature_is_refused(dtype: pa.DataType) -> None:
    """A type that `datasets` has no feature for is refused, with a cast as the remedy."""
    with pytest.raises(RequestError, match="cannot be published") as caught:
        features.feature_of(dtype)
    assert "cast" in caught.value.hint


@pytest.mark.parametrize("column", MEDIA, ids=lambda column: column.name + "s" * column.many)
def test_media_features_fit_their_storage(column: Any) -> None:
    """The library parses the feature of each media type, and stores it as the shards hold it: else it would read
    plain structs."""
    said = {"x": features.media_feature(column)}
    found = as_read(said)
    assert found == from_card(said)
    assert features.card_features(said) == found._to_yaml_list()
    inner = found["x"].feature if column.many else found["x"]
    assert type(inner).__name__ == (column.feature["_type"] if column.boxed else "Value")
    assert found.arrow_schema.field("x").type == storage_type(column)
    schema = pa.schema([("x", storage_type(column))], metadata=features.footer_metadata(said))
    assert datasets.Features.from_arrow_schema(schema) == found


def test_media_options_survive() -> None:
    """A sampling rate said in the spec is in the footer and in the card."""
    said = {"x": features.media_feature(media.column("x", "audio", True, {"sampling_rate": 16000}))}
    for found in (as_read(said), from_card(said)):
        assert found["x"].feature.sampling_rate == 16000
    assert features.card_features(said) == as_read(said)._to_yaml_list()


def test_class_labels_survive() -> None:
    """Names of classes keep their order and spelling, however much they look like other YAML."""
    said = {"x": LABEL, "y": {"feature": LABEL, "_type": "List"}}
    for found in (as_read(said), from_card(said)):
        assert found["x"].names == ["no", "yes", "null", "1: 2", "ü"]
        assert found["y"].feature.names == found["x"].names
    assert features.card_features(said) == as_read(said)._to_yaml_list()


def test_columns_keep_their_order() -> None:
    """Features are in the columns' order, in the footer and in the card."""
    said = {name: features.feature_of(pa.int8()) for name in ("z", "a", "M", "ä", "with space")}
    assert list(as_read(said)) == list(from_card(said)) == list(said)


@pytest.mark.parametrize(
    "metadata", [None, {}, {b"huggingface": b"{"}, {b"huggingface": b"[]"}, {b"huggingface": b'{"info": {}}'}]
)
def test_a_footer_without_features_says_none(metadata: Any) -> None:
    """Whatever stands in a footer, reading its features never fails."""
    assert features.footer_features(metadata) is None


def test_a_footer_is_read_back() -> None:
    """`footer_features` reads what `footer_metadata` writes."""
    said = {"x": LABEL, "y": features.feature_of(PAIR)}
    metadata: Any = features.footer_metadata(said)
    assert features.footer_features(metadata) == said
