"""Table files and frames: the same values whoever wrote them; what cannot be read is named, with file and line."""

from __future__ import annotations

import gzip
import json
import uuid
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sealift.errors import RequestError, TableError
from sealift.rows import frames, tables
from sealift.rows.sql import Session

MEMORY = 128_000_000


def read(folder: Path, name: str, content: str | bytes) -> pa.Table:
    """The table that a session makes of a file of this name and content."""
    raw = content.encode() if isinstance(content, str) else content
    file = folder / name
    file.write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
    with Session(folder / "work", MEMORY) as session:
        session.add_table("t", str(file), f"labels/{name}")
        return session.query("FROM t").read_all()


def refusal(folder: Path, name: str, content: str | bytes) -> TableError:
    """The error that a session gives for such a file."""
    with pytest.raises(TableError) as refused:
        read(folder, name, content)
    return refused.value


def types(table: pa.Table) -> dict[str, str]:
    """The types by column, as text."""
    return {field.name: str(field.type) for field in table.schema}


CSV = [
    ("1,2,3", "int64", [1, 2, 3]),
    ("-1,0,9223372036854775807", "int64", [-1, 0, 2**63 - 1]),
    ("007,8,9", "string", ["007", "8", "9"]),
    ("+7,8,9", "string", ["+7", "8", "9"]),
    ("9223372036854775808,1,2", "string", ["9223372036854775808", "1", "2"]),
    ("1.5,2,-0.25", "double", [1.5, 2.0, -0.25]),
    ("1e3,.5,2.", "double", [1000.0, 0.5, 2.0]),
    ("007.5,1,2", "string", ["007.5", "1", "2"]),
    ("1,,3", "int64", [1, None, 3]),
    ("1,inf,2.5", "double", [1.0, float("inf"), 2.5]),
    ("1e400,2,3", "string", ["1e400", "2", "3"]),
    ("9007199254740992,1.5,", "double", [9007199254740992.0, 1.5, None]),
    ("9007199254740993,1.5,", "string", ["9007199254740993", "1.5", None]),
    ("-9223372036854775808,9223372036854775807,", "int64", [-(2**63), 2**63 - 1, None]),
    ("inf,,", "string", ["inf", None, None]),
    ("true,False,TRUE", "bool", [True, False, True]),
    ("true,1,0", "string", ["true", "1", "0"]),
    ("2020-01-02,2020-01-03,", "string", ["2020-01-02", "2020-01-03", None]),
    ("10:00:00,11:00,", "string", ["10:00:00", "11:00", None]),
    ("2020-01-02T10:00:00Z,,", "string", ["2020-01-02T10:00:00Z", None, None]),
    (",,", "string", [None, None, None]),
    (" 1,2,3", "string", [" 1", "2", "3"]),
    ("n/a,1,2", "string", ["n/a", "1", "2"]),
    ("1_000,2,3", "string", ["1_000", "2", "3"]),
]


@pytest.mark.parametrize(("values", "kind", "expected"), CSV)
def test_csv_columns_are_numbers_only_where_no_text_is_lost(
    tmp_path: Path, values: str, kind: str, expected: list[Any]
) -> None:
    """Whole, real and true/false columns are typed; dates, ids with zeros in front and mixtures stay text."""
    found = read(tmp_path, "t.csv", "x,k\n" + "".join(f"{value},k\n" for value in values.split(",")))
    assert types(found)["x"] == kind
    assert found["x"].to_pylist() == expected


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(
        st.one_of(st.none(), st.integers(-(10**20), 10**20).map(str), st.from_regex(r"\A0?[0-9]{1,3}\Z")), min_size=1
    )
)
def test_reading_whole_numbers_and_writing_them_gives_the_text_again(
    tmp_path_factory: pytest.TempPathFactory, values: list[str | None]
) -> None:
    """Whatever digits a column holds, its values as text are those of the file: nothing is rounded or shortened."""
    found = read(tmp_path_factory.mktemp("csv"), "t.csv", "x,k\n" + "".join(f"{value or ''},k\n" for value in values))
    assert [None if value is None else str(value) for value in found["x"].to_pylist()] == values


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "T.CSV"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_csv_quotes_marks_and_line_ends(tmp_path: Path, name: str, end: str) -> None:
    """Quoted commas, quotes and line breaks, a byte order mark, CRLF, no last line end, gzip: all the same."""
    lines = ['\ufeff"a b",c', '"x, ""y""",1', '"two\nlines",2', "é,3"]
    found = read(tmp_path, name, end.join(lines))
    assert found.to_pylist() == [{"a b": 'x, "y"', "c": 1}, {"a b": "two\nlines", "c": 2}, {"a b": "é", "c": 3}]


def test_tsv_reads_not_available_as_null(tmp_path: Path) -> None:
    """`n/a` in TSV is null, as BIDS writes it, and does not turn a column of numbers into text."""
    found = read(
        tmp_path, "participants.tsv", "participant_id\tage\tsex\nsub-01\t35\tF\nsub-02\tn/a\tn/a\nsub-03\t\tM\n"
    )
    assert types(found) == {"participant_id": "string", "age": "int64", "sex": "string"}
    assert found["age"].to_pylist() == [35, None, None]
    assert found["sex"].to_pylist() == ["F", None, "M"]


def test_a_header_alone_is_a_table_without_rows(tmp_path: Path) -> None:
    """Columns are known, so the table is there: text columns, no rows."""
    found = read(tmp_path, "t.csv", "a,b\n")
    assert (types(found), found.num_rows) == ({"a": "string", "b": "string"}, 0)


def test_types_are_settled_by_the_whole_file(tmp_path: Path) -> None:
    """A value at the very end of a long file decides as much as the first."""
    found = read(tmp_path, "t.csv", "x,k\n" + "1,k\n" * 50_000 + "007,k\n")
    assert types(found)["x"] == "string"
    assert found["x"][-1].as_py() == "007"


def test_a_wide_csv_takes_little_memory(tmp_path: Path) -> None:
    """The types of 2,000 columns are settled within the memory of a session, some of them at a time."""
    names = [f"c{number}" for number in range(2000)]
    lines = [",".join(names), *(",".join(f"{row}.{number}" for number in range(2000)) for row in range(9))]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    with Session(tmp_path / "work", 200_000_000) as session:
        session.add_table("t", str(tmp_path / "t.csv"))
        found = session.query("SELECT count(c1999) AS cells, typeof(any_value(c0)) AS kind FROM t").read_all()
    assert found.to_pylist() == [{"cells": 9, "kind": "DOUBLE"}]


def test_a_large_csv_takes_little_memory(tmp_path: Path) -> None:
    """A file larger than the memory of the session streams, in small buffers."""
    line = f"{'x' * 96},1\n"
    (tmp_path / "t.csv").write_text("a,b\n" + line * 700_000)
    with Session(tmp_path / "work", 48_000_000) as session:
        session.add_table("t", str(tmp_path / "t.csv"))
        assert session.query("SELECT sum(b) AS b FROM t").read_all().to_pylist() == [{"b": 700_000}]


def test_a_long_cell_is_read_and_a_longer_one_named(tmp_path: Path) -> None:
    """A line may have 8 MB; the message about a longer one does not quote it whole."""
    found = read(tmp_path, "t.csv", f"a,b\n{'x' * 5_000_000},1\n")
    assert (len(found["a"][0].as_py()), found["b"].to_pylist()) == (5_000_000, [1])
    error = refusal(tmp_path, "t.csv", f"a,b\n{'x' * 9_000_000},1\n")
    assert "Line: 2" in error.message
    assert len(str(error)) < 2000


@pytest.mark.parametrize("name", ["t.csv.gz", "t.json.gz"])
def test_what_is_no_archive_is_to_be_copied_again(tmp_path: Path, name: str) -> None:
    """A name that promises gzip and a file that is none: no matter of quotes and lines."""
    (tmp_path / name).write_text('{"a": 1}')
    with Session(tmp_path / "work", MEMORY) as session, pytest.raises(TableError, match="gzip") as refused:
        session.add_table("t", str(tmp_path / name))
    assert refused.value.hint == "copy it again"


def test_memory_that_is_not_enough_is_no_fault_of_the_file(tmp_path: Path) -> None:
    """The hint is to give more of it."""
    (tmp_path / "t.csv").write_text("a,b\n" + f"{'x' * 96},1\n" * 200_000)
    with Session(tmp_path / "work", 2_000_000) as session, pytest.raises(TableError) as refused:
        session.add_table("t", str(tmp_path / "t.csv"))
    assert refused.value.hint == "raise --memory"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a,b\n1,2\n3\n", "Line: 3"),
        ("a,b\n1,2\n3,4,5\n", "Line: 3"),
        ('a,b\n1,"open\n', "Line: 2"),
        ("a,b\r\n1,2\n3,4\r\n", "invalid state"),
        (b"a,b\n1,\xff\n", "utf-8"),
        (b"\xff\xfe\n1\n", "header"),
        ("", "no header"),
        ("a,A\n1,2\n", "two columns are called A"),
        ("a;b\n1;2\n", "';'"),
        ("a\tb\n1\t2\n", "tabs"),
    ],
)
def test_a_broken_csv_names_table_file_and_line(tmp_path: Path, content: str | bytes, said: str) -> None:
    """The message has the table's name, the file as its owner calls it, and the line where there is one."""
    error = refusal(tmp_path, "t.csv", content)
    assert "table t" in error.message
    assert "labels/t.csv" in error.message
    assert str(tmp_path) not in error.message
    assert said in error.message
    assert "strict_mode" not in str(error)
    assert error.hint


@pytest.mark.parametrize("name", ["t.csv.gz", "t.json.gz", "t.jsonl.gz"])
def test_a_cut_gzip_is_an_error(tmp_path: Path, name: str) -> None:
    """Half of a packed file is not taken for a short table."""
    lines = [{"a": number, "b": number * 7919 % 1000} for number in range(20_000)]
    text = {
        "t.csv.gz": "a,b\n" + "".join(f"{line['a']},{line['b']}\n" for line in lines),
        "t.json.gz": json.dumps(lines),
        "t.jsonl.gz": "".join(json.dumps(line) + "\n" for line in lines),
    }[name]
    packed = gzip.compress(text.encode())
    (tmp_path / name).write_bytes(packed[: len(packed) // 2])
    with Session(tmp_path / "work", MEMORY) as session, pytest.raises(TableError, match=name):
        session.add_table("t", str(tmp_path / name))


LOOKS = {
    "id": str(uuid.UUID(int=7)),
    "day": "2026-01-02",
    "time": "10:00:00",
    "stamp": "2026-01-02T03:04:05Z",
    "number": "007",
    "deep": {"x y": "2026-01-02", "list": ["10:00:00"], "rows": [{"u": str(uuid.UUID(int=9))}]},
}


@pytest.mark.parametrize(
    "form", ["object.json", "array.json", "lines.jsonl", "lines.ndjson", "array.json.gz", "lines.jsonl.gz"]
)
def test_strings_in_json_stay_strings(tmp_path: Path, form: str) -> None:
    """What looks like a UUID, a date or a time is the text that was written, at any depth, in every form of JSON."""
    text = {
        "object": json.dumps(LOOKS, indent=1),
        "array": json.dumps([LOOKS]),
        "lines": json.dumps(LOOKS) + "\n",
    }[form.split(".")[0]]
    assert read(tmp_path, form, text).to_pylist() == [LOOKS]


def test_numbers_in_json_stay_numbers(tmp_path: Path) -> None:
    """Whole numbers are int64, a whole and a real one double, true is true, null is null."""
    records: list[dict[str, Any]] = [
        {"i": 1, "d": 1, "b": True, "n": None},
        {"i": -(2**63), "d": 2.5, "b": False, "n": None},
    ]
    found = read(tmp_path, "t.json", json.dumps(records))
    assert types(found) == {"i": "int64", "d": "double", "b": "bool", "n": "string"}
    assert found.to_pylist() == [{**record, "d": float(str(record["d"]))} for record in records]


def test_json_of_several_types_is_text(tmp_path: Path) -> None:
    """A key that is a number here and a string there is text: the string as written, the rest as JSON."""
    found = read(tmp_path, "t.jsonl", '{"a": 1}\n{"a": "x"}\n{"a": {"b": 2}}\n')
    assert found["a"].to_pylist() == ["1", "x", '{"b": 2}'.replace(" ", "")]


def test_json_keys_may_be_missing_and_lines_blank(tmp_path: Path) -> None:
    """A key that only the last record has is a column; blank lines and a byte order mark are no records."""
    found = read(tmp_path, "t.jsonl", '\ufeff{"a": 1}\n\n{"a": 2, "late": "x"}\n')
    assert found.to_pylist() == [{"a": 1, "late": None}, {"a": 2, "late": "x"}]


@pytest.mark.parametrize("form", ["t.json", "t.jsonl"])
@pytest.mark.parametrize(
    "records",
    [
        [{f"key_{key}": key for key in range(600)} | {"name": f"row {row}"} for row in range(3)],
        [{f"key_{key}": key / 7 for key in range(600)} for _ in range(3)],
        [{f"key_{row % 15}": row} for row in range(300)],
    ],
    ids=["many keys", "many numbers", "few in common"],
)
def test_the_keys_of_records_are_columns(tmp_path: Path, form: str, records: list[dict[str, Any]]) -> None:
    """Hundreds of keys, or keys that only one record in fifteen has, are columns: DuckDB would make one map of them."""
    text = json.dumps(records) if form == "t.json" else "".join(json.dumps(record) + "\n" for record in records)
    found = read(tmp_path, form, text)
    assert found.schema.names == list(dict.fromkeys(key for record in records for key in record))
    rows = [{key: value for key, value in row.items() if value is not None} for row in found.to_pylist()]
    assert rows == records


@pytest.mark.parametrize(
    ("text", "count"),
    [
        (json.dumps({f"song {number}": "train" for number in range(300)}), 300),
        ("\n".join(json.dumps({f"song {number}": "train"}) for number in range(300)), 1),
    ],
    ids=["one object", "an object a line"],
)
def test_a_lookup_is_a_map(tmp_path: Path, text: str, count: int) -> None:
    """An object with a key for each thing that it knows is no record of a table: SQL looks into it as a map."""
    path = tmp_path / ("t.jsonl" if count == 1 else "t.json")
    path.write_text(text)
    with Session(tmp_path / "work", MEMORY) as session:
        session.add_table("t", str(path))
        found = session.query("SELECT unnest(map_entries(json)) AS entry FROM t").read_all().to_pylist()
    assert [row["entry"] for row in found] == [{"key": f"song {number}", "value": "train"} for number in range(300)]


def test_an_array_of_plain_values_is_one_column(tmp_path: Path) -> None:
    """Values that are no objects make the column `json`."""
    assert read(tmp_path, "t.json", '["2026-01-02", "b"]').to_pylist() == [{"json": "2026-01-02"}, {"json": "b"}]


def test_one_large_object_is_read(tmp_path: Path) -> None:
    """An object beyond DuckDB's usual 16 MiB, such as lists of ids by split, is read whole."""
    ids = [f"{number:0100d}" for number in range(180_000)]
    found = read(tmp_path, "t.json", json.dumps({"train": ids, "test": ["x"]}))
    assert found["train"][0].as_py() == ids


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("t.json", "", "empty"),
        ("t.json", "  \n", "empty"),
        ("t.json", "[]", "no record"),
        ("t.jsonl", "\n", "empty"),
        ("t.json", '[{"a": 1},', "cut off"),
        ("t.json", '[{"a": 1}', "cut off"),
        ("t.json", '{"a": [1]', "cut off"),
        ("t.json", '[{"a": 1}, {"a": 2', "cut off"),
        ("t.json", '[{"a": 1} {"a": 2}]', "Malformed JSON"),
        ("t.jsonl", '{"a": 1}\n{"a": \n{"a": 3}\n', "line 2"),
        ("t.jsonl", '{"a": 1}\n{"a": 2}\n{"a": ', "line 3"),
        ("t.json", '[{"a": 1, "A": 2}]', "differ only in case"),
        ("t.xlsx", "", "no table"),
    ],
)
def test_broken_json_names_table_file_and_line(tmp_path: Path, name: str, content: str, said: str) -> None:
    """Cut, empty and malformed files are errors when the table is added, never short tables."""
    error = refusal(tmp_path, name, content)
    assert f"labels/{name}" in error.message
    assert said in error.message
    assert str(tmp_path) not in error.message


def test_columns_that_only_look_renamed_are_kept(tmp_path: Path) -> None:
    """`run` beside `run_1` is no clash of cases."""
    assert read(tmp_path, "t.json", '[{"run": 1, "run_1": 2}]').to_pylist() == [{"run": 1, "run_1": 2}]


def test_parquet_is_read_as_it_is(tmp_path: Path) -> None:
    """Types stay, and folder names such as `lang=en` bring no columns."""
    folder = tmp_path / "lang=en"
    folder.mkdir()
    table = pa.table({"a": pa.array([1], pa.int16()), "b": pa.array([b"x"], pa.binary())})
    pq.write_table(table, folder / "t.parquet")
    with Session(tmp_path / "work", MEMORY) as session:
        session.add_table("t", str(folder / "t.parquet"))
        assert session.query("FROM t").read_all() == table


def test_a_broken_parquet_and_an_absent_file_are_named(tmp_path: Path) -> None:
    """A file that is no Parquet, and one that is not there, are errors of the table."""
    assert "labels/t.parquet" in refusal(tmp_path, "t.parquet", "no parquet").message
    with pytest.raises(TableError, match=r"gone\.csv is not there"):
        tables.describe(str(tmp_path / "gone.csv"), "gone.csv")


def test_describe_tells_columns_and_types(tmp_path: Path) -> None:
    """A table's columns come with DuckDB's types, in the file's order."""
    (tmp_path / "t.csv").write_text("b,a\n1,x\n")
    assert tables.describe(str(tmp_path / "t.csv")) == [("b", "BIGINT"), ("a", "VARCHAR")]


def test_the_name_at_the_source_says_what_a_file_is(tmp_path: Path) -> None:
    """A local copy may have any name: kind and packing follow the path at the source."""
    (tmp_path / "copy-1").write_bytes(gzip.compress(b"a\n1\n"))
    assert tables.describe(str(tmp_path / "copy-1"), "labels/t.csv.gz") == [("a", "BIGINT")]


RECORDS = [{"id": 1, "word": "a", "list": ["x", "y"]}, {"id": 2, "word": None, "list": []}]
SCHEMA = pa.schema({"id": pa.int64(), "word": pa.string(), "list": pa.list_(pa.string())})


def batches() -> Iterator[pa.RecordBatch]:
    """The records, one a batch."""
    for record in RECORDS:
        yield pa.RecordBatch.from_pylist([record], SCHEMA)


FRAMES: dict[str, Any] = {
    "table": lambda: pa.Table.from_pylist(RECORDS, SCHEMA),
    "reader": lambda: pa.Table.from_pylist(RECORDS, SCHEMA).to_reader(),
    "batch": lambda: pa.RecordBatch.from_pylist(RECORDS, SCHEMA),
    "batches": lambda: list(batches()),
    "generator": batches,
    "pandas": lambda: pd.DataFrame(RECORDS),
    "polars": lambda: pl.DataFrame(RECORDS),
    "duckdb": lambda: duckdb.from_arrow(pa.Table.from_pylist(RECORDS, SCHEMA)),
}


@pytest.mark.parametrize("kind", FRAMES)
def test_every_kind_of_frame_gives_the_same_rows(kind: str) -> None:
    """Arrow, pandas, polars, DuckDB and iterators of batches become one schema and the same rows."""
    found = frames.reader(FRAMES[kind]()).read_all()
    assert found.schema == SCHEMA
    assert found.to_pylist() == RECORDS


def test_frames_come_out_in_published_types() -> None:
    """Views, dictionaries, large and run-end layouts, UUIDs, JSON and 38-digit numbers become plain types."""
    seven = uuid.UUID(int=7)
    odd = pa.table(
        {
            "category": pa.array(["a", None, "a"]).dictionary_encode(),
            "view": pa.array(["a", None, "b"], pa.string_view()),
            "bytes": pa.array([b"a", None, b"b"], pa.large_binary()),
            "fixed": pa.array([b"aa", None, b"bb"], pa.binary(2)),
            "lists": pa.array([["a"], None, ["b", "c"]], pa.large_list(pa.large_string())),
            "views": pa.array([[1, 2], None, [3]], pa.list_view(pa.int32())),
            "runs": pa.RunEndEncodedArray.from_arrays([2, 3], ["a", "b"]),
            "uuid": pa.array([seven.bytes, None, seven.bytes], pa.uuid()),
            "json": pa.array(["{}", None, "1"], pa.json_()),
            "whole": pa.array([1, None, 2], pa.decimal128(38, 0)),
            "nothing": pa.nulls(3),
            "zone": pa.array([0, None, 1], pa.timestamp("ms", "Europe/Berlin")),
        }
    )
    found = frames.reader(odd).read_all()
    assert types(found) == {
        "category": "string",
        "view": "string",
        "bytes": "binary",
        "fixed": "binary",
        "lists": "list<item: string>",
        "views": "list<item: int32>",
        "runs": "string",
        "uuid": "string",
        "json": "string",
        "whole": "int64",
        "nothing": "string",
        "zone": "timestamp[ms, tz=UTC]",
    }
    for name in ("category", "view", "bytes", "fixed", "lists", "views", "runs", "json", "whole", "nothing"):
        assert found[name].to_pylist() == odd[name].to_pylist(), name
    assert found["uuid"].to_pylist() == [str(seven), None, str(seven)]
    assert found["zone"].cast(pa.int64()).to_pylist() == [0, None, 1]


def _in_lists(array: pa.Array) -> pa.Array:
    halves = pa.array([0, 1, 1, len(array)], pa.int32())
    return pa.ListArray.from_arrays(halves, array, mask=pa.array([False, True, False]))


def _in_views(array: pa.Array) -> pa.Array:
    starts, sizes = pa.array([1, 0, 0], pa.int32()), pa.array([2, 0, 1], pa.int32())
    return pa.ListViewArray.from_arrays(starts, sizes, array, mask=pa.array([False, True, False]))


def _in_pairs(array: pa.Array) -> pa.Array:
    pairs = pa.concat_arrays([array, array])
    return pa.FixedSizeListArray.from_arrays(pairs, 2, mask=pa.array([False, True, *[False] * (len(array) - 2)]))


def _in_structs(array: pa.Array) -> pa.Array:
    return pa.StructArray.from_arrays([array], ["field"], mask=pa.array([False, True, *[False] * (len(array) - 2)]))


NESTINGS = {"lists": _in_lists, "views": _in_views, "pairs": _in_pairs, "structs": _in_structs}


@pytest.mark.parametrize("outer", [None, *NESTINGS])
@pytest.mark.parametrize("inner", NESTINGS)
@pytest.mark.parametrize(
    "values",
    [
        pa.array([uuid.UUID(int=number).bytes for number in range(5)], pa.uuid()),
        pa.array(["a", None, "b", "a", "c"], pa.string_view()),
        pa.array(["a", None, "b", "a", "c"], pa.string_view()).dictionary_encode(),
        pa.array([Decimal(number) for number in range(5)], pa.decimal64(12, 2)),
    ],
    ids=["uuid", "view", "category", "decimal"],
)
def test_nested_types_are_converted_at_any_depth(values: pa.Array, inner: str, outer: str | None) -> None:
    """In lists, views, fixed lists and structs, sliced or with nulls over values, every value is still itself."""
    nested = NESTINGS[inner](values)
    array = nested if outer is None else NESTINGS[outer](nested)
    text = json.loads(json.dumps(array.to_pylist(), default=str))
    for start in range(len(array)):
        found = frames.reader(pa.table({"a": array.slice(start)})).read_all()
        found.validate(full=True)
        assert json.loads(json.dumps(found["a"].to_pylist(), default=str)) == text[start:]


def test_categories_of_polars_are_text() -> None:
    """polars hands categories on as dictionaries of string views."""
    frame = pl.DataFrame({"a": pl.Series(["x", None, "y"], dtype=pl.Categorical)})
    assert frames.reader(frame).read_all().to_pylist() == [{"a": "x"}, {"a": None}, {"a": "y"}]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (pa.table({}), "no columns"),
        (pa.table({"": [1]}), "no name"),
        (pa.table({"a": pa.array([{}], pa.struct([]))}), "struct<>"),
        (pa.table({"a": pa.array([[]], pa.list_(pa.int32(), 0))}), r"\[0\]"),
        (pa.table({"a": pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64()))}), "map"),
        (pa.table(pd.DataFrame({"a": pd.Series(pd.period_range("2020", "2021", freq="Y"))})), "period"),
    ],
    ids=["no columns", "no name", "empty struct", "empty list", "map", "period"],
)
def test_what_no_shard_can_hold_is_refused(table: pa.Table, said: str) -> None:
    """Types that Parquet or `datasets` cannot hold are refused when the rows are opened, not when they are written."""
    with pytest.raises(RequestError, match=said):
        frames.reader(table)


def test_an_unnamed_pandas_index_is_not_published() -> None:
    """Filtering leaves pandas with an index of numbers: it is no column of the dataset."""
    frame = pd.DataFrame({"a": [1, 2, 3]})
    assert frames.reader(frame[frame.a > 1]).read_all().to_pylist() == [{"a": 2}, {"a": 3}]


def test_a_huge_batch_is_handed_on_in_slices() -> None:
    """However large the batches that come in, those that go out are small."""
    sizes = [batch.num_rows for batch in frames.reader(pa.RecordBatch.from_pydict({"a": list(range(200_000))}))]
    assert sum(sizes) == 200_000
    assert max(sizes) <= 65_536


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"a": 1}], "gives a dict"),
        ([], "empty"),
        ({"a": [1]}, "a dict"),
        ("rows.parquet", "a str"),
        (7, "a int"),
        (pl.LazyFrame({"a": [1]}), "LazyFrame"),
        (pd.DataFrame({"a": [1, "x"]}), "column a"),
    ],
)
def test_what_is_no_frame_is_refused_with_what_to_pass(rows: Any, said: str) -> None:
    """The message names what was given; the hint what is taken."""
    with pytest.raises(RequestError, match=said) as refused:
        frames.reader(rows)
    assert refused.value.hint


def test_batches_must_share_a_schema() -> None:
    """A batch that differs from the first is named by its number."""
    made = [pa.RecordBatch.from_pydict({"a": [1]}), pa.RecordBatch.from_pydict({"a": ["x"]})]
    with pytest.raises(RequestError, match="batch 1"):
        frames.reader(made).read_all()
