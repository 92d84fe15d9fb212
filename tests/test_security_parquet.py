"""Parquet of others: whatever the bytes say, reading is right or an integrity error, in bounded memory and time."""

from __future__ import annotations

import io
import random
import tracemalloc
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests import shard_cases as cases

from sealift.errors import IntegrityError, RequestError
from sealift.formats import parquet, thrift
from sealift.formats.parquet.chains import Memory
from sealift.formats.parquet.heads import read_head
from sealift.formats.parquet.metadata import Chunk, Element, File, Group, Meta
from sealift.formats.parquet.reader import MAX_EMPTY_PAGES, cells
from sealift.formats.parquet.unpacked import check_unpacked
from sealift.formats.ranged import whole
from sealift.model.entry import Entry

STRUCT, LIST, I32, I64, BINARY = thrift.STRUCT, thrift.LIST, thrift.I32, thrift.I64, thrift.BINARY
ROOM = 16 << 20


@cache
def small() -> bytes:
    rows = [cases.sample(number) for number in range(24)]
    return cases.write([rows[:12], rows[12:]])[0]


def footer_of(data: bytes) -> thrift.Struct:
    """The footer as it stands, every field of it."""
    return thrift.decode(data, len(data) - 8 - int.from_bytes(data[-8:-4], "little"))[0]


def with_footer(footer: thrift.Struct, before: bytes) -> bytes:
    encoded = thrift.encode(footer)
    return before + encoded + len(encoded).to_bytes(4, "little") + b"PAR1"


def groups_of(footer: thrift.Struct) -> list[thrift.Struct]:
    return thrift.get_list(footer, File.GROUPS, STRUCT)


def metas_of(footer: thrift.Struct) -> list[thrift.Struct]:
    return [
        thrift.get(chunk, Chunk.META, STRUCT)
        for group in groups_of(footer)
        for chunk in thrift.get_list(group, Group.CHUNKS, STRUCT)
    ]


def read_all(data: bytes) -> None:
    """Everything that is done with a shard of another: its footer, every cell, and what its light columns come to."""
    read = cases.reader(data)
    footer = parquet.read_footer(read, len(data))
    for column in cases.MEDIA:
        for page in cells(read, footer, column.leaf):
            places = zip(page.offset.tolist(), page.length.tolist(), strict=True)
            assert all(0 < at <= at + size <= len(data) for at, size in places)
    for group in range(len(footer.row_groups)):
        check_unpacked(read, footer, group, cases.LIGHT.names, ROOM)


def test_our_own_shard_is_within_every_limit() -> None:
    """What is written here is read here."""
    read_all(small())


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    kinds=st.lists(st.sampled_from(["byte", "bit", "ones", "copy", "cut"]), min_size=1, max_size=4),
)
def test_a_damaged_shard_reads_or_is_an_integrity_error(seed: int, kinds: list[str]) -> None:
    """Bytes changed, set, repeated or cut out, in the footer or before: never another error, never out of the file."""
    luck, data = random.Random(seed), bytearray(small())
    start = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    for kind in kinds:
        at, length = luck.randrange(start if luck.random() < 0.6 else 0, len(data)), luck.randint(1, 30)
        if kind == "byte":
            data[at] = luck.randrange(256)
        elif kind == "bit":
            data[at] ^= 1 << luck.randrange(8)
        elif kind == "ones":
            data[at : at + length] = b"\xff" * length
        elif kind == "copy":
            data[at:at] = data[at // 2 : at // 2 + length]
        else:
            del data[at : at + length]
    try:
        read_all(bytes(data))
    except (IntegrityError, RequestError):
        return


class Untouched:
    """A store of which nothing may be read."""

    def read_into(self, entry: Entry, offset: int, view: memoryview) -> None:
        raise AssertionError(f"{entry} was read")

    def read_all(self, entries: Sequence[Entry], views: Sequence[memoryview]) -> None:
        raise AssertionError(f"{entries} were read")


def test_a_file_that_is_read_at_once_has_a_limit() -> None:
    """A manifest or card of a terabyte, which takes no room on a disk, takes none in memory either."""
    with pytest.raises(IntegrityError, match=r"README\.md has 1099511627776 bytes"):
        whole(Untouched(), Entry("README.md", 1 << 40))


# Footers that lie


def rows_beyond_number(footer: thrift.Struct) -> None:
    for group in groups_of(footer):
        group[Group.ROWS] = (I64, 2**62 - 1)
    footer[File.ROWS] = (I64, 2**63 - 2)


def more_rows_than_values(footer: thrift.Struct) -> None:
    group = groups_of(footer)[-1]
    group[Group.ROWS] = (I64, 10_000_000)
    footer[File.ROWS] = (I64, 10_000_012)


def columns_on_the_same_bytes(footer: thrift.Struct) -> None:
    first, second = metas_of(footer)[:2]
    for field in (Meta.DATA, Meta.STORED):
        second[field] = first[field]
    second.pop(Meta.DICTIONARY, None)


def columns_that_overlap(footer: thrift.Struct) -> None:
    meta = metas_of(footer)[0]
    meta[Meta.STORED] = (I64, meta[Meta.STORED][1] + 1)


def a_column_out_of_the_file(footer: thrift.Struct) -> None:
    metas_of(footer)[-1][Meta.STORED] = (I64, 2**62)


def a_column_before_the_file(footer: thrift.Struct) -> None:
    metas_of(footer)[0][Meta.DATA] = (I64, -5)


def a_name_without_end(footer: thrift.Struct) -> None:
    thrift.get_list(footer, File.SCHEMA, STRUCT)[1][Element.NAME] = (BINARY, b"n" * 1_000_000)


def a_long_name_before_many(footer: thrift.Struct) -> None:
    root: thrift.Struct = {Element.NAME: (BINARY, b"r"), Element.CHILDREN: (I32, 1)}
    branch = {Element.REPETITION: (I32, 0), Element.NAME: (BINARY, b"n" * 16_000), Element.CHILDREN: (I32, 10_000)}
    leaf = {Element.REPETITION: (I32, 0), Element.NAME: (BINARY, b"x")}
    footer[File.SCHEMA] = (LIST, (STRUCT, [root, branch, *[leaf] * 10_000]))


def a_schema_deeper_than_any(footer: thrift.Struct) -> None:
    branch = {Element.REPETITION: (I32, 0), Element.NAME: (BINARY, b"x"), Element.CHILDREN: (I32, 1)}
    footer[File.SCHEMA] = (LIST, (STRUCT, [branch] * 5000))


def row_groups_without_anything(footer: thrift.Struct) -> None:
    footer[File.GROUPS] = (LIST, (STRUCT, [{}] * 2_600_000))


@pytest.mark.parametrize(
    "lie",
    [
        rows_beyond_number,
        more_rows_than_values,
        columns_on_the_same_bytes,
        columns_that_overlap,
        a_column_out_of_the_file,
        a_column_before_the_file,
        a_name_without_end,
        a_long_name_before_many,
        a_schema_deeper_than_any,
        row_groups_without_anything,
    ],
)
def test_a_footer_that_lies_is_an_integrity_error(lie: Callable[[thrift.Struct], None]) -> None:
    """Counts, places and names that cannot be, each by itself."""
    footer = footer_of(small())
    lie(footer)
    data = with_footer(footer, small()[: -8 - int.from_bytes(small()[-8:-4], "little")])
    with pytest.raises(IntegrityError):
        parquet.read_footer(cases.reader(data), len(data))


def test_a_footer_is_read_in_bounded_memory() -> None:
    """What nobody looks at is passed over: empty structs of a byte each, kept, would take a hundred times as much."""
    data = with_footer(footer_of(small()) | {99: (LIST, (STRUCT, [{}] * 200_000))}, small())
    tracemalloc.start()
    try:
        parquet.read_footer(cases.reader(data), len(data))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 * len(data)


# Pages that lie


def test_a_number_without_end_is_refused_at_once() -> None:
    """A header whose number goes on for megabytes is no header; nobody adds its digits up."""
    data = b"\x15" + b"\xff" * (17 << 20)
    with pytest.raises(IntegrityError, match="more than 10 bytes"):
        read_head(Memory(memoryview(data)), 0, len(data))


def test_a_header_may_be_long() -> None:
    """Statistics of some KB in it are read over, as ever."""
    table = pa.table({"midi": pa.array([b"x" * 5000, b"y" * 5000])})
    out = io.BytesIO()
    pq.write_table(table, out, compression="none", use_dictionary=False, data_page_version="2.0")
    assert len(cases.places(out.getvalue(), "midi")) == 2


def test_pages_without_values_end() -> None:
    """A column of pages that hold nothing, as many as one likes, is damaged, not a long wait."""
    said = {1: (I32, 0), 2: (I32, 0), 3: (I32, 3), 4: (I32, 3)}
    page = thrift.encode({1: (I32, 0), 2: (I32, 4), 3: (I32, 4), 5: (STRUCT, said)}) + bytes(4)
    data = small() + page * (MAX_EMPTY_PAGES + 1)
    whole = parquet.read_footer(cases.reader(small()), len(small()))
    number = [leaf.path for leaf in whole.leaves].index("midi")
    leaf = whole.leaves[number]
    chunk = parquet.footer.LeafChunk(leaf, len(small()), len(data), 0, 0, False)
    group = parquet.footer.RowGroup(0, 0, (chunk,))
    footer = parquet.Footer(len(data), len(data), 0, (leaf,), (group,), {})
    with pytest.raises(IntegrityError, match="hold none"):
        list(cells(cases.reader(data), footer, "midi"))


# Pages that grow


def stored(table: pa.Table, **options: Any) -> tuple[bytes, parquet.Footer]:
    out = io.BytesIO()
    pq.write_table(table, out, **options)
    data = out.getvalue()
    return data, parquet.read_footer(cases.reader(data), len(data))


@pytest.mark.parametrize("codec", ["none", "zstd", "snappy", "gzip", "brotli", "lz4"])
@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_columns_that_fit_are_let_through(codec: str, version: str) -> None:
    """Of any codec, type and nesting, with a dictionary and without; keys that differ all the way, too."""
    count = 20_000
    table = pa.table(
        {
            "key": [f"key-{number}" for number in range(count)],
            "few": ["a", "b" * 400] * (count // 2),
            "digest": pa.array([b"d" * 32] * count, pa.binary(32)),
            "list": [[1, 2], None] * (count // 2),
            "nested": [{"x": "y", "z": 1.5}] * count,
            "null": pa.nulls(count, pa.string()),
        }
    )
    for dictionary in (True, False):
        data, footer = stored(table, compression=codec, use_dictionary=dictionary, data_page_version=version)
        check_unpacked(cases.reader(data), footer, 0, table.column_names, ROOM)


@pytest.mark.parametrize(
    ("table", "options"),
    [
        (pa.table({"key": ["x" * 1_000_000] * 100}), {"compression": "zstd"}),
        (pa.table({"key": ["x" * 1_000_000] * 100}), {"compression": "zstd", "use_dictionary": False}),
        (pa.table({"key": ["x" * 100_000, "y"] * 500}), {"compression": "none"}),
        (pa.table({"key": pa.nulls(2_000_000, pa.string())}), {"row_group_size": 2_000_000}),
    ],
    ids=["a long value again and again", "compressed", "not compressed", "nulls"],
)
def test_columns_that_would_fill_the_memory_are_refused(table: pa.Table, options: dict[str, Any]) -> None:
    """A few KB that would become more than there is room for are an integrity error; row group and column are named."""
    data, footer = stored(table, **options)
    with pytest.raises(IntegrityError, match="row group 0, column 'key'") as error:
        check_unpacked(cases.reader(data), footer, 0, ["key"], ROOM)
    assert (error.value.fields["row_group"], error.value.fields["column"]) == (0, "key")
    check_unpacked(cases.reader(data), footer, 0, ["another"], ROOM)


def test_what_nobody_can_tell_is_refused() -> None:
    """An encoding that repeats beginnings of values has no size that its pages tell."""
    options = {"use_dictionary": False, "column_encoding": {"key": "DELTA_BYTE_ARRAY"}}
    data, footer = stored(pa.table({"key": ["a"] * 10}), **options)
    with pytest.raises(IntegrityError, match="nobody can tell"):
        check_unpacked(cases.reader(data), footer, 0, ["key"], ROOM)
