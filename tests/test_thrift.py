"""The Thrift codec: what it does not know it keeps, and what is hostile it refuses."""

from __future__ import annotations

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealift.errors import IntegrityError
from sealift.formats import thrift
from sealift.formats.thrift import BINARY, BOOL, BYTE, DOUBLE, I16, I32, I64, LIST, MAP, SET, STRUCT, UUID

EVERYTHING: thrift.Struct = {
    1: (BOOL, True),
    2: (BOOL, False),
    3: (BYTE, b"\xff"),
    4: (I16, -(2**15)),
    5: (I32, 2**31 - 1),
    6: (I64, -(2**63)),
    7: (DOUBLE, bytes(range(8))),
    300: (BINARY, b"long jump"),
    9: (LIST, (I32, list(range(20)))),
    10: (SET, (BINARY, [b"", b"x" * 200])),
    11: (MAP, (BINARY, STRUCT, [(b"a", {1: (I64, 1)}), (b"b", {})])),
    12: (STRUCT, {1: (STRUCT, {}), 2: (LIST, (BOOL, [True, False]))}),
    -5: (UUID, bytes(range(16))),
    14: (LIST, (STRUCT, [])),
    15: (MAP, (0, 0, [])),
}


def test_every_kind_comes_back() -> None:
    """Encoding and decoding gives the same struct, fields in the same order, and consumes all the bytes."""
    data = thrift.encode(EVERYTHING)
    struct, end = thrift.decode(b"before" + data + b"after", 6)
    assert list(struct.items()) == list(EVERYTHING.items())
    assert end == 6 + len(data)


def test_a_struct_may_stand_as_its_bytes() -> None:
    """What is encoded already, as a field or in a list, is taken as it is."""
    inner: thrift.Struct = {1: (I64, 7), 2: (BINARY, b"x")}
    packed = thrift.encode(inner)
    whole = thrift.encode({1: (STRUCT, inner), 2: (LIST, (STRUCT, [inner, inner]))})
    assert thrift.encode({1: (STRUCT, packed), 2: (LIST, (STRUCT, [packed, inner]))}) == whole


def test_another_writers_footer_encodes_to_the_same_bytes() -> None:
    """Of a struct that somebody else wrote, every field survives, known or not: the bytes are the same."""
    out = io.BytesIO()
    table = pa.table({"a": [1, 2], "b": [["x"], None], "c": [{"d": 1.5}, None]})
    pq.write_table(table, out, write_page_index=True, compression="zstd")
    data = out.getvalue()
    start = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    struct, end = thrift.decode(data, start)
    assert end == len(data) - 8
    assert thrift.encode(struct) == data[start:end]


def test_a_cut_struct_is_an_integrity_error() -> None:
    """Bytes that end anywhere before the struct does are refused, not guessed at."""
    data = thrift.encode(EVERYTHING)
    for end in range(len(data)):
        with pytest.raises(IntegrityError):
            thrift.decode(data[:end])


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\x1c" * 1000, "nested too deep"),
        (b"\x19" * 1000, "nested too deep"),
        (b"\x19\xfc\xff\xff\xff\xff\x0f" + b"\0" * 100, "there cannot be so many"),
        (b"\x1b\xff\xff\xff\xff\x0f\x55" + b"\0" * 100, "there cannot be so many"),
        (b"\x18\xff\xff\xff\xff\x0fabc", "end too early"),
        (b"\x16" + b"\xff" * 10 + b"\x01\0", "more than 10 bytes"),
        (b"\x15\xff\xff\xff\xff\xff\x01\0", "more than 32 bits"),
        (b"\x11\x01\x02\0", "twice"),
        (b"\x1f\0", "no kind"),
    ],
)
def test_hostile_bytes_are_named(data: bytes, why: str) -> None:
    """Nesting, counts, lengths and numbers beyond the limits are refused before anything is made of them."""
    with pytest.raises(IntegrityError, match=why):
        thrift.decode(data)


def test_many_small_values_meet_the_limit() -> None:
    """A struct may not grow to more values than the caller allows, though each is only a byte."""
    data = thrift.encode({1: (LIST, (STRUCT, [{}] * 5000))})
    assert thrift.decode(data, max_values=5001)[1] == len(data)
    with pytest.raises(IntegrityError):
        thrift.decode(data, max_values=5000)


@given(st.binary(max_size=200))
def test_no_bytes_do_more_than_fail(data: bytes) -> None:
    """Whatever the bytes, the answer is a struct that encodes again, or an integrity error."""
    try:
        struct, _ = thrift.decode(data)
    except IntegrityError:
        return
    assert thrift.decode(thrift.encode(struct))[0] == struct


def test_fields_are_asked_for_by_kind() -> None:
    """A field of another kind, a missing one without default, and a list of other elements are integrity errors."""
    assert thrift.get(EVERYTHING, 5, I32) == 2**31 - 1
    assert thrift.get(EVERYTHING, 99, I32, 7) == 7
    assert thrift.get_list(EVERYTHING, 99, I32) == []
    for field, kind in ((5, I64), (99, I32)):
        with pytest.raises(IntegrityError):
            thrift.get(EVERYTHING, field, kind)
    with pytest.raises(IntegrityError):
        thrift.get_list(EVERYTHING, 9, I64)
