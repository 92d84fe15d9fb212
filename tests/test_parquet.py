"""Parquet shards: everybody reads them, every byte is where the writer said, and damage is found."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
import threading
import tracemalloc
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
from tests import shard_cases as cases

from sealift.errors import IntegrityError, RequestError, SampleError
from sealift.formats import parquet, thrift
from sealift.formats.parquet import skeleton
from sealift.model.column import MediaColumn

ROWS = [cases.sample(number) for number in range(120)]
GROUPS = [ROWS[:50], ROWS[50:51], ROWS[51:]]
WANTED = cases.expected(ROWS, cases.MEDIA)
SMALL: dict[str, Any] = {"page_bytes": 700, "slice_bytes": 256}


@pytest.fixture(scope="module")
def shard() -> bytes:
    """Three row groups, several pages in each, cells larger than page and slice."""
    return cases.write(GROUPS, **SMALL)[0]


@pytest.fixture
def shard_path(shard: bytes, tmp_path: Path) -> Path:
    """The shard as a file."""
    path = tmp_path / "shard.parquet"
    path.write_bytes(shard)
    return path


def plain(value: Any) -> Any:
    """The value with times as text, as far as libraries differ in the type they give them."""
    return json.loads(json.dumps(value, default=lambda x: x.hex() if isinstance(x, bytes) else str(x)))


# What other libraries read


def test_pyarrow_reads_every_cell(shard: bytes) -> None:
    """pyarrow reads what was written: null, empty list, null list, null element and empty file are told apart."""
    table = pq.read_table(io.BytesIO(shard))
    table.validate(full=True)
    assert table.to_pylist() == WANTED


def test_pyarrow_reads_parts(shard: bytes) -> None:
    """A column alone, a row group alone and rows found by a light column are what they are in the whole."""
    file = pq.ParquetFile(io.BytesIO(shard))
    for name in file.schema_arrow.names:
        assert file.read([name]).column(name).to_pylist() == [row[name] for row in WANTED]
    for number, (start, end) in enumerate([(0, 50), (50, 51), (51, 120)]):
        assert file.read_row_group(number).to_pylist() == WANTED[start:end]
    found = pq.read_table(io.BytesIO(shard), filters=[("number", ">", 100), ("number", "<", 110)])
    assert found.to_pylist() == [row for row in WANTED if row["number"] and 100 < row["number"] < 110]


def test_pyarrow_streams_by_page(shard_path: Path) -> None:
    """A buffered scan in small batches, which reads page by page, gives the same rows."""
    options = pyarrow.dataset.ParquetFragmentScanOptions(use_buffered_stream=True, buffer_size=512)
    form = pyarrow.dataset.ParquetFileFormat(default_fragment_scan_options=options)
    scan = pyarrow.dataset.dataset(shard_path, format=form).to_batches(batch_size=7)
    assert [row for batch in scan for row in batch.to_pylist()] == WANTED


def test_duckdb_reads_every_cell(shard_path: Path) -> None:
    """DuckDB reads the whole and a selection by a light column."""
    with duckdb.connect() as con:
        table = con.sql("select * from read_parquet(?)", params=[str(shard_path)]).to_arrow_table()
        query = "select audio, scans from read_parquet(?) where key = 'key-000077'"
        one = con.sql(query, params=[str(shard_path)]).to_arrow_table()
    assert plain(table.to_pylist()) == plain(WANTED)
    assert one.to_pylist() == [{name: WANTED[77][name] for name in ("audio", "scans")}]


def test_polars_reads_every_cell(shard_path: Path) -> None:
    """polars reads the whole and a selection by a light column."""
    assert plain(polars.read_parquet(shard_path).to_dicts()) == plain(WANTED)
    frame = polars.scan_parquet(shard_path).filter(polars.col("key") == "key-000077").select("audio", "midi").collect()
    assert frame.to_dicts() == [{name: WANTED[77][name] for name in ("audio", "midi")}]


def test_datasets_reads_media_features(tmp_path: Path) -> None:
    """`datasets` takes the features from the footer and gives each file's bytes and path, lists and nulls too."""
    import datasets

    media = (cases.AUDIO, MediaColumn("picture", "image"), cases.SCANS, cases.MIDI)
    rows = [{**row, "picture": row["audio"] if row["number"] else None} for row in ROWS]
    features = datasets.Features(
        {
            "key": datasets.Value("string"),
            "audio": datasets.Audio(decode=False),
            "picture": datasets.Image(decode=False),
            "scans": datasets.List(datasets.Nifti(decode=False)),
            "midi": datasets.Value("binary"),
        }
    )
    info = json.dumps({"info": {"features": features.to_dict()}})
    light = pa.schema([cases.LIGHT.field("key")])
    data, _ = cases.write([rows[:50], rows[50:]], light, media, {"huggingface": info}, **SMALL)
    (tmp_path / "train.parquet").write_bytes(data)
    files = str(tmp_path / "train.parquet")
    loaded = datasets.load_dataset("parquet", data_files=files, split="train", cache_dir=str(tmp_path / "cache"))
    streamed = datasets.load_dataset("parquet", data_files=files, split="train", streaming=True)
    wanted = [{name: row[name] for name in features} for row in cases.expected(rows, media)]
    assert loaded.features == features
    assert loaded.to_list() == wanted
    assert list(streamed) == wanted


# What lies where


def test_offsets_point_at_the_bytes() -> None:
    """At each offset that `write` returns lie exactly the cell's bytes; the reader finds the same places."""
    data, said = cases.write(GROUPS, **SMALL)
    for column in cases.MEDIA:
        files = [(group, file) for group, rows in enumerate(GROUPS) for file in cases.files_of(rows, column)]
        offsets = [offset for group in said for offset in group[column.name]]
        assert [data[at : at + len(file)] for at, (_, file) in zip(offsets, files, strict=True)] == [
            f for _, f in files
        ]
        found = cases.places(data, column.leaf)
        assert [(group, at, size) for group, _, _, at, size in found] == [
            (group, at, len(file)) for at, (group, file) in zip(offsets, files, strict=True)
        ]


def test_reader_names_row_and_element(shard: bytes) -> None:
    """Each place that the reader gives has its row in the file and its element in the list, -1 for a single cell."""
    for column in cases.MEDIA:
        wanted = []
        for row, sample in enumerate(ROWS):
            cells = (sample[column.name] or []) if column.many else [sample[column.name]]
            wanted += [(row, i if column.many else -1, c[1]) for i, c in enumerate(cells) if c is not None]
        found = cases.places(shard, column.leaf)
        assert [(row, element, shard[at : at + size]) for _, row, element, at, size in found] == wanted


def test_media_is_plain_and_the_rest_compressed(shard: bytes) -> None:
    """Media leaves are plain, uncompressed, without dictionary and statistics; all others zstd, with both, but that
    floats have no dictionary."""
    metadata = pq.ParquetFile(io.BytesIO(shard)).metadata
    leaves = {column.leaf for column in cases.MEDIA}
    for group in range(metadata.num_row_groups):
        for number in range(metadata.num_columns):
            chunk = metadata.row_group(group).column(number)
            assert chunk.has_offset_index
            if chunk.path_in_schema in leaves:
                assert (chunk.compression, set(chunk.encodings)) == ("UNCOMPRESSED", {"PLAIN", "RLE"})
                assert not (chunk.is_stats_set or chunk.has_dictionary_page or chunk.has_column_index)
            else:
                assert chunk.compression == "ZSTD"
                assert chunk.has_column_index
                assert chunk.statistics is not None
                assert chunk.has_dictionary_page == (chunk.physical_type not in ("BOOLEAN", "FLOAT", "DOUBLE"))


def test_footer_counts_are_those_of_the_file(shard: bytes) -> None:
    """Row groups follow each other without a gap, with their ordinals, sizes and rows."""
    start = len(shard) - 8 - int.from_bytes(shard[-8:-4], "little")
    file, _ = thrift.decode(shard, start)
    at = 4
    for number, (group, rows) in enumerate(zip(thrift.get_list(file, 4, thrift.STRUCT), GROUPS, strict=True)):
        chunks = [chunk[3][1] for chunk in thrift.get_list(group, 1, thrift.STRUCT)]
        assert (group[7][1], group[3][1], group[5][1]) == (number, len(rows), at)
        for meta in chunks:
            assert meta.get(11, meta[9])[1] == at
            at += meta[7][1]
        assert group[6][1] == at - group[5][1]
        assert group[2][1] == sum(meta[6][1] for meta in chunks)


def test_page_index_leads_to_pages(shard: bytes) -> None:
    """Each location in the offset index is a data page of that size; the first rows begin at 0 and ascend."""
    start = len(shard) - 8 - int.from_bytes(shard[-8:-4], "little")
    most = 0
    for group in thrift.get_list(thrift.decode(shard, start)[0], 4, thrift.STRUCT):
        for chunk in thrift.get_list(group, 1, thrift.STRUCT):
            values = 0
            locations = thrift.get_list(thrift.decode(shard, chunk[4][1])[0], 1, thrift.STRUCT)
            for location in locations:
                header, end = thrift.decode(shard, location[1][1])
                assert header[1][1] == 0
                assert end + header[3][1] - location[1][1] == location[2][1]
                values += header[5][1][1][1]
            assert values == chunk[3][1][5][1]
            firsts = [location[3][1] for location in locations]
            assert firsts == sorted(set(firsts))
            assert firsts[0] == 0
            assert firsts[-1] < group[3][1]
            most = max(most, len(locations))
    assert most > 3


def test_pages_keep_to_their_size() -> None:
    """A media page holds whole rows and at most `page_bytes`, unless it is of one row."""
    rows = [cases.sample(number) for number in range(300)]
    data, _ = cases.write([rows], page_bytes=2000)
    footer = parquet.read_footer(cases.reader(data), len(data))
    for column in cases.MEDIA:
        for page in parquet.cells(cases.reader(data), footer, column.leaf):
            assert page.length.sum() <= 2000 or len(set(page.row.tolist())) == 1
    counts = [len(page.row) for page in parquet.cells(cases.reader(data), footer, cases.AUDIO.leaf)]
    assert len(counts) < 60, "pages are filled, not one a row"


def test_pages_of_nulls_are_cut_by_rows() -> None:
    """50,000 nulls cost no bytes, but still come in pages of at most 20,000 rows."""
    media = (cases.AUDIO,)
    data, _ = cases.write([[{"audio": None}] * 50_000], pa.schema([]), media)
    footer = parquet.read_footer(cases.reader(data), len(data))
    assert len(list(parquet.cells(cases.reader(data), footer, cases.AUDIO.leaf))) == 3
    assert pq.read_table(io.BytesIO(data)).column("audio").null_count == 50_000


# The writer's manners


def test_without_media_all_is_light() -> None:
    """A config without media columns is a shard like any other."""
    rows = [{name: row[name] for name in cases.LIGHT.names} for row in ROWS]
    data, said = cases.write([rows[:50], rows[50:]], media=())
    assert pq.read_table(io.BytesIO(data)).to_pylist() == rows
    assert said == [{}, {}]


@pytest.mark.parametrize("groups", [[], [[]]])
def test_an_empty_split_is_a_file(groups: list[list[Any]]) -> None:
    """No row group, and one without rows, both give a file of no rows that has the schema and its metadata."""
    data, _ = cases.write(groups, metadata={"huggingface": "{}"})
    table = pq.read_table(io.BytesIO(data))
    assert (table.num_rows, table.schema.metadata[b"huggingface"]) == (0, b"{}")
    assert table.schema.types == pq.read_table(io.BytesIO(cases.write(GROUPS)[0])).schema.types
    assert cases.places(data, cases.AUDIO.leaf) == []


@pytest.mark.parametrize(
    "name",
    [
        "a.b",
        "a b",
        'a"b',
        "a'b",
        "a/b",
        "a\nb",
        "a\\b",
        "日本",
        "list.element",
        "x.list.element.bytes",
        "key_value",
        "%",
    ],
)
def test_a_column_may_have_any_name(name: str, tmp_path: Path) -> None:
    """Dots, quotes and other scripts in a media column's name change nothing for writer, reader and other libraries."""
    for column in (MediaColumn(name, "audio"), MediaColumn(name, "midi", many=True, boxed=False)):
        file = ("p/x.flac", b"0123456789" * 5)
        rows: list[dict[str, Any]] = [
            {"light": number, name: None if number % 3 == 0 else [file, None] if column.many else file}
            for number in range(9)
        ]
        data, _ = cases.write([rows[:5], rows[5:]], pa.schema([("light", pa.int64())]), (column,), **SMALL)
        (tmp_path / "shard.parquet").write_bytes(data)
        wanted = cases.expected(rows, (column,))
        assert pq.read_table(io.BytesIO(data)).to_pylist() == wanted
        assert polars.read_parquet(tmp_path / "shard.parquet").to_dicts() == wanted
        with duckdb.connect() as con:
            found = con.sql("from read_parquet(?)", params=[str(tmp_path / "shard.parquet")]).to_arrow_table()
        assert found.to_pylist() == wanted
        assert [data[at : at + size] for *_, at, size in cases.places(data, column.leaf)] == [file[1]] * 6


@pytest.mark.parametrize(
    ("light", "media"),
    [
        ({"a.bytes": pa.binary()}, MediaColumn("a", "audio")),
        ({"a.path": pa.string()}, MediaColumn("a", "audio")),
        ({"a.list.element.bytes": pa.binary()}, MediaColumn("a", "nifti", many=True)),
        ({"a": pa.struct([("bytes", pa.binary())])}, MediaColumn("a.bytes", "midi", boxed=False)),
        ({"b": pa.struct([("c", pa.int64())]), "b.c": pa.int64()}, cases.AUDIO),
    ],
    ids=["bytes", "path", "list", "struct", "light"],
)
def test_columns_with_one_path_are_refused(light: dict[str, Any], media: MediaColumn) -> None:
    """Columns whose leaves share a path (`a.bytes` beside media in `a`) would be written into one another."""
    schema = pa.schema([*light.items(), (media.name, parquet.reference_type(media))])
    with pytest.raises(RequestError, match="one path in Parquet") as error:
        parquet.storage_schema(schema, (media,))
    assert error.value.fields["column"] in schema.names


def test_a_wide_file_takes_little_memory() -> None:
    """What the writer keeps of each column chunk until the footer is about 1 KB."""
    columns, groups = 60, 25
    light = pa.schema([(f"column_{number}", pa.float64()) for number in range(columns)])
    rows = pa.RecordBatch.from_pylist([dict.fromkeys(light.names, 0.5)] * 3, schema=light)
    with parquet.ShardWriter(io.BytesIO(), light, (), slice_bytes=4096) as writer:
        writer.write(rows, cases.Given([], ()))
        tracemalloc.start()
        try:
            for _ in range(groups):
                writer.write(rows, cases.Given([], ()))
            kept, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert kept < 1200 * columns * groups + 100_000


def test_a_footer_may_hold_millions_of_values(shard: bytes) -> None:
    """2,000 columns in 40 row groups are 2.5 million values: they are read, as they can be written."""
    start = len(shard) - 8 - int.from_bytes(shard[-8:-4], "little")
    file, _ = thrift.decode(shard, start)
    footer = thrift.encode({**file, 99: (thrift.LIST, (thrift.BOOL, [True] * 2_500_000))})
    data = shard[:start] + footer + len(footer).to_bytes(4, "little") + b"PAR1"
    assert parquet.read_footer(cases.reader(data), len(data)).rows == len(ROWS)


def test_overlap_changes_no_byte(shard: bytes) -> None:
    """A sink that a thread of its own writes gets the same bytes, and its thread ends with the writer."""
    before = threading.enumerate()
    assert cases.write(GROUPS, **SMALL, overlap=True)[0] == shard
    assert threading.enumerate() == before


def test_overlap_hides_no_error() -> None:
    """An error of the sink comes out of the writer, though another thread met it."""

    class Full:
        def write(self, data: bytes | bytearray | memoryview, /) -> None:
            raise OSError("no space left")

    rows = cases.references(ROWS, cases.LIGHT, cases.MEDIA)
    schema = parquet.storage_schema(rows.schema, cases.MEDIA)
    before = threading.enumerate()
    with (
        pytest.raises(OSError, match="no space left"),
        parquet.ShardWriter(Full(), schema, cases.MEDIA, overlap=True) as writer,
    ):
        writer.write(rows, cases.Given(ROWS, cases.MEDIA))
    assert threading.enumerate() == before


def test_dictionary_columns_are_stored_as_values() -> None:
    """The order of an Arrow dictionary is an accident of batching, so it leaves no trace in the file."""
    files = []
    for values in (["a", "b"], ["b", "a"]):
        column = pa.DictionaryArray.from_arrays([values.index("a"), values.index("b")], values)
        rows = pa.RecordBatch.from_arrays([column], names=["word"])
        sink = io.BytesIO()
        with parquet.ShardWriter(sink, parquet.storage_schema(rows.schema, ()), ()) as writer:
            writer.write(rows, cases.Given([], ()))
        files.append(sink.getvalue())
    assert files[0] == files[1]
    assert pq.read_table(io.BytesIO(files[0])).to_pydict() == {"word": ["a", "b"]}


def test_an_error_leaves_no_footer() -> None:
    """When a cell fails, the sink is left without a footer: nobody can take it for a shard."""

    class Fails:
        def read_all(self, column: str, first: int, views: list[memoryview]) -> None:
            raise OSError("the disk is gone")

        def read_into(self, column: str, cell: int, offset: int, view: memoryview) -> None:
            raise OSError("the disk is gone")

    sink = io.BytesIO()
    rows = cases.references(ROWS, cases.LIGHT, cases.MEDIA)
    with (
        pytest.raises(OSError, match="the disk is gone"),
        parquet.ShardWriter(sink, parquet.storage_schema(rows.schema, cases.MEDIA), cases.MEDIA) as writer,
    ):
        writer.write(rows, Fails())
    assert not sink.getvalue().endswith(b"PAR1")


@pytest.mark.parametrize(
    ("reference", "why"),
    [({"path": "a", "size": None}, "no size"), ({"path": "a", "size": -1}, "no size"), ({"size": 2**31}, "page takes")],
)
def test_references_that_cannot_be_written(reference: dict[str, Any], why: str) -> None:
    """A reference without a size, and a cell of 2 GiB, are refused before a byte is read, naming the column."""
    media = (cases.AUDIO,)
    schema = pa.schema([("audio", parquet.REFERENCE)])
    with parquet.ShardWriter(io.BytesIO(), parquet.storage_schema(schema, media), media) as writer:
        rows = pa.RecordBatch.from_pylist([{"audio": reference}], schema=schema)
        with pytest.raises(SampleError, match=why) as error:
            writer.write(rows, cases.Given([], ()))
    assert error.value.fields["column"] == "audio"


def test_other_columns_than_the_schema_are_a_mistake() -> None:
    """Rows whose columns are not the schema's, in its order, are refused."""
    rows = cases.references(ROWS, cases.LIGHT, cases.MEDIA)
    schema = parquet.storage_schema(rows.schema, cases.MEDIA)
    with (
        parquet.ShardWriter(io.BytesIO(), schema, cases.MEDIA) as writer,
        pytest.raises(ValueError, match="rows have columns"),
    ):
        writer.write(rows.select(list(reversed(rows.schema.names))), cases.Given(ROWS, cases.MEDIA))


def test_options_that_pyarrow_ignores_are_found() -> None:
    """pyarrow ignores names of leaves that it does not know; the skeleton that comes out is refused."""
    rows = pa.RecordBatch.from_pydict({"light": ["a"], "media": pa.nulls(1, pa.binary())})
    media = frozenset({"media"})
    known = dict.fromkeys(["light", "media"], "BYTE_ARRAY")
    right = skeleton.options(known, media)
    assert skeleton.write(rows, media, right).parts[0].leaf == "light"
    with pytest.raises(RuntimeError, match="light leaf 'light'"):
        skeleton.write(rows, media, skeleton.options(dict.fromkeys(["misspelt", "media"], "BYTE_ARRAY"), media))
    with pytest.raises(RuntimeError, match="media leaf 'media'"):
        skeleton.write(rows, media, skeleton.options(known, frozenset()))
    with pytest.raises(RuntimeError, match="no leaves"):
        skeleton.write(rows, media | {"other"}, right)


FRESH = """
import hashlib, io, sys
import pyarrow as pa
from sealift.formats import parquet
from tests import shard_cases as cases
rows = [cases.sample(number) for number in range(120)]
table = pa.Table.from_batches([cases.references(rows[i:i+13], cases.LIGHT, cases.MEDIA) for i in range(0, 120, 13)])
sink = io.BytesIO()
schema = parquet.storage_schema(table.schema, cases.MEDIA)
with parquet.ShardWriter(sink, schema, cases.MEDIA, page_bytes=700) as writer:
    for start, end in ((0, 50), (50, 51), (51, 120)):
        batch, = table.slice(start, end - start).combine_chunks().to_batches()
        writer.write(batch, cases.Given(rows[start:end], cases.MEDIA))
print(hashlib.sha256(sink.getvalue()).hexdigest())
"""


def python(script: str) -> str:
    """What the script prints in a fresh interpreter."""
    root = Path(__file__).parents[1]
    env = {**os.environ, "PYTHONPATH": str(root), "ARROW_DEFAULT_MEMORY_POOL": "system", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", script], cwd=root, env=env, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_same_rows_same_bytes(shard: bytes) -> None:
    """Another process, memory pool and batching, slices with offsets, another slice size: the same file."""
    assert python(FRESH) == hashlib.sha256(shard).hexdigest()
    rows = cases.references(ROWS, cases.LIGHT, cases.MEDIA)
    sink = io.BytesIO()
    schema = parquet.storage_schema(rows.schema, cases.MEDIA)
    with parquet.ShardWriter(sink, schema, cases.MEDIA, page_bytes=700) as writer:
        for start, end in ((0, 50), (50, 51), (51, 120)):
            writer.write(rows.slice(start, end - start), cases.Given(ROWS[start:end], cases.MEDIA))
    assert sink.getvalue() == shard


LARGE = """
import resource
import pyarrow as pa
from sealift.formats import parquet
from tests import shard_cases as cases
SIZE = 300_000_000
class Zeros:
    def read_all(self, column, first, views):
        for view in views:
            view[:] = bytes(len(view))
    def read_into(self, column, cell, offset, view):
        view[:] = bytes(len(view))
class Counts:
    total = 0
    def write(self, data):
        self.total += len(data)
def write(size):
    schema = pa.schema([("audio", parquet.REFERENCE)])
    rows = pa.RecordBatch.from_pylist([{"audio": {"path": "a", "size": size}}], schema)
    sink = Counts()
    with parquet.ShardWriter(sink, parquet.storage_schema(rows.schema, [cases.AUDIO]), [cases.AUDIO]) as writer:
        offsets = writer.write(rows, Zeros())
    assert sink.total == writer.close() > size, sink.total
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
small = write(10)
print(write(SIZE) - small)
"""


def test_a_large_cell_takes_one_slice_of_memory() -> None:
    """A cell of 300 MB passes through; peak memory grows by little more than the slice of 4 MiB."""
    assert int(python(LARGE)) < 16 * 1024


# The reader


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("checksum", [False, True])
@pytest.mark.parametrize("page_bytes", [1, 500, 1 << 20])
def test_reader_reads_pyarrows_files(version: str, checksum: bool, page_bytes: int) -> None:
    """Files that pyarrow wrote plain and uncompressed, with pages of either version, are read to the same cells."""
    schema = parquet.storage_schema(cases.references([], cases.LIGHT, cases.MEDIA).schema, cases.MEDIA)
    out = io.BytesIO()
    pq.write_table(
        pa.Table.from_pylist(WANTED, schema=schema),
        out,
        compression="none",
        use_dictionary=False,
        data_page_version=version,
        write_page_checksum=checksum,
        data_page_size=page_bytes,
        write_batch_size=3,
        row_group_size=50,
        write_page_index=page_bytes == 500,
    )
    data = out.getvalue()
    ours = cases.write([ROWS[:50], ROWS[50:100], ROWS[100:]])[0]
    for column in cases.MEDIA:
        found = cases.places(data, column.leaf)
        wanted = cases.places(ours, column.leaf)
        assert [(*place[:3], place[4]) for place in found] == [(*place[:3], place[4]) for place in wanted]
        cells = [data[at : at + size] for *_, at, size in found]
        assert cells == cases.files_of(ROWS, column)


def test_reader_reads_little() -> None:
    """Of large cells only headers and lengths are read: less than a thousandth; of small ones hardly a byte twice."""
    for size, cells, share in ((200_000, 30, 0.001), (50, 5000, 1.0)):
        rows = [{"audio": (f"{number}", cases.content(str(number), size))} for number in range(cells)]
        data, _ = cases.write([rows], pa.schema([]), (cases.AUDIO,))
        footer = parquet.read_footer(cases.reader(data), len(data))
        got: list[int] = []

        def read(offset: int, length: int, data: bytes = data, got: list[int] = got) -> bytes:
            got.append(length)
            return data[offset : offset + length]

        found = sum(len(page.row) for page in parquet.cells(read, footer, "audio.bytes"))
        assert found == cells
        assert sum(got) <= share * size * cells * 1.1
        assert len(got) <= cells + 20 * 10 if share < 1 else len(got) < 20


def test_reader_takes_row_groups_by_number(shard: bytes) -> None:
    """Only the row groups asked for are walked, their rows counted from the start of the file."""
    footer = parquet.read_footer(cases.reader(shard), len(shard))
    pages = list(parquet.cells(cases.reader(shard), footer, "audio.bytes", [2]))
    assert {page.row_group for page in pages} == {2}
    assert min(int(page.row.min()) for page in pages if len(page.row)) >= 51


def test_footer_says_what_the_file_is(shard: bytes) -> None:
    """Rows, row groups, leaves with their levels, and the metadata are those that pyarrow sees."""
    footer = parquet.read_footer(cases.reader(shard), len(shard))
    theirs = pq.ParquetFile(io.BytesIO(shard))
    assert footer.rows == 120
    assert [(group.first_row, group.rows) for group in footer.row_groups] == [(0, 50), (50, 1), (51, 69)]
    columns = [theirs.schema.column(number) for number in range(len(theirs.schema))]
    assert [(leaf.path, leaf.max_definition, leaf.max_repetition) for leaf in footer.leaves] == [
        (column.path, column.max_definition_level, column.max_repetition_level) for column in columns
    ]
    assert {leaf.path: leaf.max_definition for leaf in footer.leaves}.items() >= {
        (column.leaf, column.max_definition_level) for column in cases.MEDIA
    }


def test_leaves_that_hold_no_cells_are_refused(shard: bytes) -> None:
    """A leaf that is not there, or no bytes, is a mistake of the caller, not damage."""
    footer = parquet.read_footer(cases.reader(shard), len(shard))
    for leaf in ("audio", "nothing", "number"):
        with pytest.raises(RequestError):
            list(parquet.cells(cases.reader(shard), footer, leaf))


def test_pages_that_are_not_plain_are_refused() -> None:
    """Compressed and dictionary pages have no offsets of cells: the error names row group and column."""
    table = pa.table({"midi": pa.array([b"a", b"b"] * 10, pa.binary())})
    for options in ({"compression": "zstd", "use_dictionary": False}, {"compression": "none"}):
        out = io.BytesIO()
        pq.write_table(table, out, **options)
        with pytest.raises(IntegrityError, match="row group 0, column 'midi'") as error:
            cases.places(out.getvalue(), "midi")
        assert (error.value.fields["row_group"], error.value.fields["column"]) == (0, "midi")


def test_damage_is_found_and_named(shard: bytes) -> None:
    """A changed bit in the length before a cell breaks the chain of its page; the error names row group and column."""
    leaf = cases.AUDIO.leaf
    for group, _, _, at, _ in cases.places(shard, leaf)[::5]:
        for byte in range(at - 4, at):
            damaged = bytearray(shard)
            damaged[byte] ^= 1
            with pytest.raises(IntegrityError, match=f"row group {group}, column '{leaf}'"):
                cases.places(bytes(damaged), leaf)


def test_no_damage_does_more_than_fail() -> None:
    """Whatever byte changes, wherever the file ends: the reader gives cells within the file or an integrity error."""
    shard, _ = cases.write([ROWS[:12], ROWS[12:24]], **SMALL)
    random = np.random.default_rng(1)
    whole = [bytes(shard[:end]) for end in random.integers(0, len(shard), 40)]
    before = [at - int(back) for *_, at, _ in cases.places(shard, cases.SCANS.leaf) for back in (1, 9, 20, 40)]
    footer = range(parquet.read_footer(cases.reader(shard), len(shard)).start, len(shard))
    for at in [*before, *random.choice(footer, 200)]:
        damaged = bytearray(shard)
        damaged[at] = random.integers(0, 256)
        whole.append(bytes(damaged))
    outcomes = set()
    for data in whole:
        for column in (cases.AUDIO, cases.SCANS):
            try:
                found = cases.places(data, column.leaf)
            except (IntegrityError, RequestError) as error:
                outcomes.add(type(error))
                continue
            assert all(0 < at <= at + size <= len(data) for *_, at, size in found)
    assert IntegrityError in outcomes


@pytest.mark.parametrize(
    "data", [b"", b"PAR1", b"PAR1" * 3, b"PAR1" + b"\0" * 50, b"x" * 100, b"PAR1\xff\xff\xff\xffPAR1"]
)
def test_what_is_no_parquet_file_is_refused(data: bytes) -> None:
    """Short files, other files and footers of impossible length are integrity errors."""
    with pytest.raises(IntegrityError):
        parquet.read_footer(cases.reader(data), len(data))


def test_pages_are_cut_by_content() -> None:
    """Behind a row that was inserted the pages are soon the bytes that they were; files of one size fill pages."""

    def pages(sizes: list[int]) -> list[bytes]:
        rows = [{"audio": (None, cases.content(str(size), size))} for size in sizes]
        data, _ = cases.write([rows], pa.schema([]), (cases.AUDIO,), page_bytes=2000)
        footer = parquet.read_footer(cases.reader(data), len(data))
        found = parquet.cells(cases.reader(data), footer, "audio.bytes")
        return [data[int(page.offset[0]) : int(page.offset[-1] + page.length[-1])] for page in found]

    sizes = np.random.default_rng(1).integers(20, 300, 400).tolist()
    before, after = pages(sizes), pages([*sizes[:100], 77, *sizes[100:]])
    assert len(set(after) - set(before)) <= 3
    assert {len(page) for page in pages([96] * 100)[:-1]} == {19 * 100 - 4}


def test_the_footer_says_how_pages_are_cut(shard: bytes) -> None:
    """Where there is media, the footer has the key that `datasets` writes, with the limits that hold."""
    said = json.loads(pq.read_schema(io.BytesIO(shard)).metadata[b"content_defined_chunking"])
    assert (said["min_chunk_size"], said["max_chunk_size"]) == (parquet.PAGE_BYTES // 4, parquet.PAGE_BYTES)
    assert parquet.storage_schema(cases.LIGHT, ()).metadata is None
