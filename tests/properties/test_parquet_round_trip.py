"""Whatever the rows and however they are cut: what is written is read back, and is no larger than was promised."""

from __future__ import annotations

import io
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests import shard_cases as cases

from sealift.errors import IntegrityError, NotSupportedYet
from sealift.formats import parquet
from sealift.formats.parquet import levels, skeleton
from sealift.formats.parquet.leaves import leaves
from sealift.model.column import MediaColumn

Rows = list[dict[str, Any]]

TEXT = st.one_of(
    st.text(max_size=8),
    st.builds(lambda seed, size: str(seed) * size, st.integers(0, 9), st.sampled_from([100, 4095, 4096, 4097, 60_000])),
    st.builds(lambda seed, size: cases.content(str(seed), size).hex(), st.integers(0, 99), st.integers(0, 3000)),
)
SCALARS: list[tuple[pa.DataType, st.SearchStrategy[Any]]] = [
    (pa.string(), TEXT),
    (pa.large_string(), st.text(max_size=5)),
    (pa.binary(), st.binary(max_size=300)),
    (pa.binary(5), st.binary(min_size=5, max_size=5)),
    (pa.bool_(), st.booleans()),
    (pa.int8(), st.integers(-128, 127)),
    (pa.uint32(), st.integers(0, 2**32 - 1)),
    (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    (pa.float32(), st.floats(width=32, allow_nan=False)),
    (pa.float64(), st.floats(allow_nan=False)),
    (pa.decimal128(30, 2), st.decimals(-(10**20), 10**20, places=2)),
    (pa.date32(), st.dates()),
    (pa.timestamp("us"), st.datetimes()),
    (pa.list_(pa.float32(), 2), st.lists(st.floats(width=32, allow_nan=False), min_size=2, max_size=2)),
    (pa.map_(pa.string(), pa.int16()), st.lists(st.tuples(st.text(max_size=3), st.integers(0, 9)), max_size=3)),
]


def nested(inner: st.SearchStrategy[tuple[pa.DataType, Any]]) -> st.SearchStrategy[tuple[pa.DataType, Any]]:
    """Lists and structs of what is inside."""
    lists = inner.map(lambda pair: (pa.list_(pair[0]), st.lists(nullable(pair[1]), max_size=4)))
    structs = st.lists(inner, min_size=1, max_size=3).map(
        lambda pairs: (
            pa.struct([(f"f{number}", kind) for number, (kind, _) in enumerate(pairs)]),
            st.fixed_dictionaries({f"f{number}": nullable(values) for number, (_, values) in enumerate(pairs)}),
        )
    )
    return st.one_of(lists, structs)


def nullable(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """These values, or null."""
    return st.one_of(st.none(), values)


TYPES = st.one_of(st.just((pa.null(), st.none())), st.recursive(st.sampled_from(SCALARS), nested, max_leaves=4))
FILES = st.builds(
    lambda name, size: (name, cases.content(str(name), size)),
    nullable(st.text(max_size=20)),
    st.sampled_from([0, 1, 3, 50, 1000, 5000]),
)


@st.composite
def shards(draw: st.DrawFn) -> tuple[list[Rows], pa.Schema, tuple[MediaColumn, ...]]:
    """Row groups, the light schema and the media columns of some shard; often of many tiny row groups."""
    light = draw(st.lists(TYPES, max_size=4))
    kinds = draw(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=3))
    media = tuple(MediaColumn(f"m{n}", "binary", many=many, boxed=boxed) for n, (many, boxed) in enumerate(kinds))
    if not light and not media:
        light = [SCALARS[0]]
    row = st.fixed_dictionaries(
        {f"c{number}": nullable(values) for number, (_, values) in enumerate(light)}
        | {c.name: nullable(st.lists(nullable(FILES), max_size=4) if c.many else FILES) for c in media}
    )
    rows = draw(st.lists(row, max_size=12))
    times = draw(st.sampled_from([1, 1, 1, 40]))
    cuts = sorted({0, len(rows) * times, *draw(st.lists(st.integers(0, len(rows) * times), max_size=12))})
    rows = rows * times
    groups = [rows[start:end] for start, end in pairwise(cuts)]
    return groups, pa.schema([(f"c{number}", kind) for number, (kind, _) in enumerate(light)]), media


def bound(groups: list[Rows], light: pa.Schema, media: tuple[MediaColumn, ...], page_bytes: int) -> int:
    """The size that the planner would promise, `longest` taken over the whole file."""
    batches = [cases.references(rows, light, media) for rows in groups]
    schema = parquet.storage_schema(cases.references([], light, media).schema, media)
    longest: dict[str, int] = {}
    for batch in batches:
        for leaf, length in parquet.longest_values(batch, media).items():
            longest[leaf] = max(length, longest.get(leaf, 0))
    files = sum(len(file) for rows in groups for column in media for file in cases.files_of(rows, column))
    rows_bytes = sum(int(parquet.light_bytes(batch, media, page_bytes=page_bytes).sum()) for batch in batches)
    each = parquet.row_group_bytes(schema, media, longest)
    return parquet.fixed_bytes(schema) + len(groups) * each + rows_bytes + files


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(shards(), st.sampled_from([1, 60, 2000, 1 << 20]), st.sampled_from([1, 100, 4096]))
def test_round_trip_within_the_bound(
    shard: tuple[list[Rows], pa.Schema, tuple[MediaColumn, ...]], page_bytes: int, slice_bytes: int
) -> None:
    """pyarrow reads the rows that were written, the reader finds every cell, and the file keeps to its bound."""
    groups, light, media = shard
    data, said = cases.write(groups, light, media, page_bytes=page_bytes, slice_bytes=slice_bytes)
    rows = [row for group in groups for row in group]
    table = pq.read_table(io.BytesIO(data))
    table.validate(full=True)
    assert table.to_pylist() == cases.expected(rows, media)
    for column in media:
        found = cases.places(data, column.leaf)
        assert [at for *_, at, _ in found] == [at for group in said for at in group[column.name]]
        assert [data[at : at + size] for *_, at, size in found] == cases.files_of(rows, column)
    assert len(data) <= bound(groups, light, media, page_bytes)


@pytest.mark.parametrize("seed", range(3))
def test_bound_holds_for_many_pages(seed: int) -> None:
    """Values that zstd cannot shrink, over several light pages and past the largest dictionary, stay in the bound."""
    random = np.random.default_rng(seed)
    count = 45_000
    lengths = random.integers(0, 12, count)
    columns = {
        "float": random.random(count),
        "int": random.integers(-(2**62), 2**62, count),
        "few": random.integers(0, 3, count, np.int8),
        "bits": random.integers(0, 2, count).astype(bool),
        "text": pa.array([random.bytes(length).hex() for length in lengths]),
        "list": pa.ListArray.from_arrays(np.arange(count + 1, dtype=np.int32) * 2, random.integers(0, 256, 2 * count)),
        "sparse": pa.array(random.random(count), mask=random.random(count) < 0.5),
        "long": pa.array([cases.content(str(n), 4000 if n % 100 == 0 else 10) for n in range(count)]),
    }
    rows = pa.RecordBatch.from_pydict(columns)
    schema = parquet.storage_schema(rows.schema, ())
    sink = io.BytesIO()
    with parquet.ShardWriter(sink, schema, ()) as writer:
        writer.write(rows, cases.Given([], ()))
    each = parquet.row_group_bytes(schema, (), parquet.longest_values(rows, ()))
    size = parquet.fixed_bytes(schema) + each + int(parquet.light_bytes(rows, ()).sum())
    assert pq.ParquetFile(sink).read().equals(pa.Table.from_batches([rows]))
    assert writer.close() <= size


BYTES = pa.schema([("b", pa.binary())])
WIDE = pa.schema([(f"n{c}", pa.int64()) for c in range(40)])
LONGEST = [{"b": cases.content(str(n), 4096)} for n in range(20)]
NUMBERS = [{f"n{c}": 2**62 + n for c in range(40)} for n in range(20)]
EMPTY, TINY = ([{"midi": (None, data)}] * 500 for data in (b"", b"abc"))
RANDOM = [{"b": cases.content(str(n), 999)} for n in range(300)]
NONE = pa.schema([])


@pytest.mark.parametrize(
    ("rows", "light", "media", "step", "page_bytes", "slack"),
    [
        pytest.param(LONGEST, BYTES, (), 1, 1, 1.1, id="statistics"),
        pytest.param(NUMBERS, WIDE, (), 1, 1, 2.5, id="metadata"),
        pytest.param(EMPTY, NONE, (cases.MIDI,), 500, 1, 5.0, id="a page for each cell"),
        pytest.param(TINY, NONE, (cases.MIDI,), 500, 16, 8.0, id="a page for two cells"),
        pytest.param(RANDOM, BYTES, (), 300, 1, 1.1, id="bytes that do not shrink"),
    ],
)
def test_bound_holds_where_overhead_is_all(
    rows: Rows, light: pa.Schema, media: tuple[MediaColumn, ...], step: int, page_bytes: int, slack: float
) -> None:
    """Where a file is little but statistics, metadata or page headers, the bound holds, and is of their order."""
    groups = [rows[start : start + step] for start in range(0, len(rows), step)]
    data, _ = cases.write(groups, light, media, page_bytes=page_bytes)
    assert len(data) <= bound(groups, light, media, page_bytes) <= slack * len(data) + 2000


@pytest.mark.parametrize(
    ("sizes", "page_bytes", "slack"),
    [
        ([24_000] * 3000, 1 << 20, 0.01),
        ([2000] * 5000, 1 << 20, 0.05),
        ([524_289, 10] * 300, 1 << 20, 0.01),
        ([900_000, 300_000] * 200, 1 << 20, 0.01),
        ([0, 7] * 20_000, 512, 10.0),
    ],
)
def test_bound_is_close_where_media_dominates(sizes: list[int], page_bytes: int, slack: float) -> None:
    """With media of some size the bound is hardly above the file, however unhappily rows fill their pages."""
    column = MediaColumn("audio", "audio")

    class Zeros:
        def read_all(self, column: str, first: int, views: list[memoryview]) -> None:
            pass

        def read_into(self, column: str, cell: int, offset: int, view: memoryview) -> None:
            pass

    class Counts:
        def write(self, data: bytes | bytearray | memoryview, /) -> None:
            pass

    count = len(sizes)
    fields = [pa.array([f"audio/{n:08d}.flac" for n in range(count)]), pa.array(sizes), pa.nulls(count, pa.string())]
    reference = pa.StructArray.from_arrays(fields, fields=list(parquet.REFERENCE))
    rows = pa.RecordBatch.from_pydict({"number": np.arange(count), "audio": reference})
    schema = parquet.storage_schema(rows.schema, [column])
    with parquet.ShardWriter(Counts(), schema, [column], page_bytes=page_bytes) as writer:
        for start in range(0, count, -(-count // 4)):
            writer.write(rows.slice(start, -(-count // 4)), Zeros())
    each = parquet.row_group_bytes(schema, [column], parquet.longest_values(rows, [column]))
    light = int(parquet.light_bytes(rows, [column], page_bytes=page_bytes).sum())
    size = parquet.fixed_bytes(schema) + 4 * each + light + sum(sizes)
    assert writer.close() <= size <= writer.close() * (1 + slack) + 20_000


@settings(max_examples=60, deadline=None)
@given(shards())
def test_leaves_are_those_of_parquet(shard: tuple[list[Rows], pa.Schema, tuple[MediaColumn, ...]]) -> None:
    """The bounds know the same leaves under the same paths as the file."""
    groups, light, media = shard
    schema = parquet.storage_schema(cases.references([], light, media).schema, media)
    ours = tuple(leaf.path for field in schema for leaf in leaves(field.name, field.type))
    assert ours == tuple(skeleton.leaves(skeleton.blank(schema)))
    for rows in groups:
        assert set(parquet.longest_values(cases.references(rows, light, media), media)) <= set(ours)


def test_value_bytes_are_what_arrow_holds() -> None:
    """The rows' bytes in memory sum to Arrow's own count where no validity bits are needed."""
    schema = pa.schema([("n", pa.int32()), ("s", pa.string()), ("l", pa.list_(pa.float64()))])
    rows = [
        {"n": n, "s": "x" * n, "l": [0.5] * (n % 3), "audio": ("path", bytes(n)), "scans": [("a", bytes(n))] * (n % 3)}
        for n in range(50)
    ]
    media = (cases.AUDIO, cases.SCANS)
    stored = pa.RecordBatch.from_pylist(
        cases.expected(rows, media),
        schema=parquet.storage_schema(cases.references([], schema, media).schema, media),
    )
    ours = parquet.value_bytes(cases.references(rows, schema, media), media)
    assert int(ours.sum()) == stored.nbytes
    assert (ours[:1].sum(), ours[1:].sum()) == (
        parquet.value_bytes(cases.references(rows[:1], schema, media), media).sum(),
        parquet.value_bytes(cases.references(rows[1:], schema, media), media).sum(),
    )


def test_sliced_rows_cost_the_same() -> None:
    """A row costs what it costs, wherever its batch begins."""
    rows = cases.references([cases.sample(number) for number in range(60)], cases.LIGHT, cases.MEDIA)
    for measure in (parquet.light_bytes, parquet.value_bytes):
        whole = measure(rows, cases.MEDIA)
        assert (
            np.concatenate([measure(rows.slice(at, 7), cases.MEDIA) for at in range(0, 60, 7)]).tolist()
            == whole.tolist()
        )


def test_types_that_no_shard_holds_are_named() -> None:
    """A column type without a place in Parquet is refused when it is planned, not when it is packed."""
    rows = pa.RecordBatch.from_arrays([pa.array(["a"], pa.string_view())], names=["view"])
    with pytest.raises(NotSupportedYet, match="string_view"):
        parquet.light_bytes(rows, ())


LEVELS = st.lists(st.tuples(st.integers(0, 4), st.integers(1, 40)), min_size=1, max_size=40)


@given(LEVELS)
@example([(0, 1), (1, 1)] * 20)
def test_levels_round_trip(runs: list[tuple[int, int]]) -> None:
    """Levels come back from their runs, packed or not, and take no more than the bounds allow for them."""
    wanted = np.concatenate([np.full(length, level, np.uint8) for level, length in runs])
    data = levels.encode(wanted, 4)
    assert levels.decode(data, len(wanted), 4).tolist() == wanted.tolist()
    assert len(data) <= min(levels.max_bytes(len(wanted)), len(wanted) / 2 + 8)


@given(st.binary(max_size=60), st.integers(0, 500), st.integers(1, 5))
def test_no_levels_do_more_than_fail(data: bytes, count: int, maximum: int) -> None:
    """Whatever the bytes, the answer is as many levels as asked for, none above the maximum, or an integrity error."""
    try:
        found = levels.decode(data, count, maximum)
    except IntegrityError:
        return
    assert len(found) == count
    assert not count or found.max() <= maximum
