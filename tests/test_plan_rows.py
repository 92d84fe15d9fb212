"""From rows to splits, keys and types: what the plan makes of the query, and what it refuses by name."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.planning import codes, plan_for, plan_of, problem, put, rows_of

from sealift.errors import RequestError, SpecError
from sealift.spec import Spec

FILES = {f"a/{number:02d}.bin": bytes([number + 1]) * (number + 1) for number in range(12)}
PEOPLE: list[dict[str, Any]] = [
    {"id": f"r{n:02d}", "file": f"a/{n:02d}.bin", "who": f"p{n % 4}", "n": n, "x": n / 3} for n in range(12)
]
MEDIA = {"file": "binary"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return put(tmp_path / "corpus", FILES)


def refused(root: Path, rows: Any, **keys: Any) -> SpecError:
    with pytest.raises(SpecError) as caught:
        plan_of(root, rows, **keys)
    assert caught.value.hint
    return caught.value


# Splits


def test_one_split_for_all(root: Path) -> None:
    """`split: test` puts every row there, in the query's order."""
    made = plan_of(root, PEOPLE, media=MEDIA, split="test", key="id")
    assert made.splits == ("test",)
    assert [row["id"] for row in rows_of(made, "test")] == [row["id"] for row in PEOPLE]


def test_a_split_column_is_not_published(root: Path) -> None:
    """Each row goes where its column says; the column goes; the usual splits come first, others as they are met."""
    rows = [{**row, "part": ["odd", "test", "train"][row["n"] % 3]} for row in PEOPLE]
    made = plan_of(root, rows, media=MEDIA, split={"column": "part"}, key="id")
    assert made.splits == ("train", "test", "odd")
    assert "part" not in made.features
    assert [row["n"] for row in rows_of(made, "odd")] == [0, 3, 6, 9]


def test_a_null_split_is_an_error_that_names_the_rows(root: Path) -> None:
    """A row without a split is refused by its key."""
    rows = [{**row, "part": None if row["n"] in (3, 5) else "train"} for row in PEOPLE]
    found = problem(plan_of(root, rows, media=MEDIA, split={"column": "part"}, key="id"), "null-split")
    assert (found.count, found.place, found.severity) == (2, "r03, r05", "error")


@pytest.mark.parametrize("name", ["a b", "", "a/b", "all", "train\n", "a-b"])
def test_a_split_has_a_name_that_datasets_reads(root: Path, name: str) -> None:
    """A value that cannot be a split's name is a mistake, at `split`."""
    rows = [{**row, "part": name} for row in PEOPLE]
    assert refused(root, rows, split={"column": "part"}).fields["key"] == "split"


def test_a_column_of_ids_is_no_split(root: Path) -> None:
    """More than a thousand splits are refused, before they fill the disk with files."""
    rows = pa.table({"n": list(range(5000)), "part": [f"p{n}" for n in range(5000)]})
    assert "more than 1000 splits" in refused(root, rows, split={"column": "part"}).message


def shares(root: Path, rows: list[dict[str, Any]], **split: Any) -> dict[Any, str]:
    made = plan_of(root, rows, split={"shares": {"train": 0.8, "test": 0.2}, **split}, key="id")
    return {row["id"]: name for name in made.splits for row in rows_of(made, name)}


def test_a_group_is_never_in_two_splits(root: Path) -> None:
    """With `by`, all rows of a group share a split; a null group is one of its own."""
    rows = [{"id": n, "who": None if n % 50 == 7 else f"p{n % 50}"} for n in range(1000)]
    found = shares(root, rows, by="who")
    for person in {row["who"] for row in rows}:
        assert len({found[row["id"]] for row in rows if row["who"] == person}) == 1
    assert set(found.values()) == {"train", "test"}


def test_more_rows_do_not_move_the_old_ones(root: Path) -> None:
    """A row's share depends on its group and the seed alone: neither on other rows nor on their order."""
    rows = [{"id": n, "who": f"p{n % 97}"} for n in range(500)]
    few = shares(root, rows[:200], by="who")
    many = shares(root, rows[::-1], by="who")
    assert {number: many[number] for number in few} == few


def test_the_seed_matters_and_shares_are_about_right(root: Path) -> None:
    """Another seed is another selection; both have about the shares that were asked for."""
    rows = [{"id": n} for n in range(4000)]
    first, second = shares(root, rows, seed=1), shares(root, rows, seed=2)
    for found in (first, second):
        assert 0.77 < Counter(found.values())["train"] / 4000 < 0.83
    moved = sum(first[number] != second[number] for number in range(4000)) / 4000
    assert 0.25 < moved < 0.39


def test_shares_without_a_group_or_key_are_refused(root: Path) -> None:
    """What tells rows apart must be said."""
    assert "shares need" in refused(root, PEOPLE, split={"train": 0.5, "test": 0.5}).message


# Keys


def test_duplicate_keys_are_named(root: Path) -> None:
    """A key that occurs twice is an error that names it and how often it occurs, across splits too."""
    rows = [{"id": "a" if n in (1, 4, 6) else f"r{n}", "part": ["train", "test"][n % 2]} for n in range(8)]
    found = problem(plan_of(root, rows, key="id", split={"column": "part"}), "duplicate-key")
    assert (found.place, found.count, found.severity) == ("a (3 times)", 1, "error")


def test_a_null_key_is_named_by_its_row(root: Path) -> None:
    """A row whose key is null is an error that says which row of the query it is."""
    rows = [{"id": None if n in (0, 5) else f"r{n}"} for n in range(8)]
    found = problem(plan_of(root, rows, key="id"), "null-key")
    assert (found.place, found.count) == ("row 0, row 5", 2)


def test_a_composite_key_is_joined_so_that_it_stays_unique(root: Path) -> None:
    """Parts are joined with a slash; slashes and per cents inside them are written otherwise, so nothing collides."""
    rows = [{"a": "x/y", "b": "z"}, {"a": "x", "b": "y/z"}, {"a": "x%2Fy", "b": "z"}]
    made = plan_of(root, rows, key=["a", "b"])
    assert [row["_key"] for row in rows_of(made)] == ["x%2Fy/z", "x/y%2Fz", "x%252Fy/z"]
    assert codes(made) == []


def test_without_a_key_rows_are_numbered_in_their_split(root: Path) -> None:
    """The key of a row is then its split and number, whatever was left out before it."""
    rows = [{"n": n, "part": ["train", "test"][n % 2]} for n in range(6)]
    made = plan_of(root, rows, split={"column": "part"})
    assert [row["_key"] for row in rows_of(made, "test")] == ["test/0", "test/1", "test/2"]


@pytest.mark.parametrize("value", [["a"], {"a": 1}, b"a"])
@pytest.mark.parametrize("keys", [{"key": "id"}, {"split": {"column": "id"}}, {"split": {"train": 1.0, "by": "id"}}])
def test_what_has_no_plain_text_is_no_key(root: Path, value: Any, keys: dict[str, Any]) -> None:
    """Lists, structs and bytes cannot be a key or a split; the remedy is a cast."""
    assert "CAST" in refused(root, [{"id": value, "n": 1}], **keys).hint


@pytest.mark.parametrize(
    "values", [[1, 2], [1.5, 2.5], [True, False], [datetime.date(2024, 1, 1), datetime.date(2024, 1, 2)]]
)
def test_numbers_and_dates_can_be_keys(root: Path, values: list[Any]) -> None:
    """Plain values are keys as text."""
    made = plan_of(root, [{"id": value} for value in values], key="id")
    assert codes(made) == []
    assert len({row["_key"] for row in rows_of(made)}) == 2


# Columns and configs


@pytest.mark.parametrize(
    ("keys", "where"),
    [
        ({"media": {"fil": "binary"}}, "media.fil"),
        ({"features": {"y": "int32"}}, "features.y"),
        ({"key": "i"}, "key"),
        ({"split": {"column": "part"}}, "split.column"),
        ({"split": {"train": 1.0, "by": "part"}}, "split.by"),
        ({"configs": {"a": {"drop": ["y"]}}}, "configs.a.drop"),
        ({"configs": {"a": {"columns": ["y"]}}}, "configs.a.columns"),
        ({"expect": {"media": {"y": 1}}}, "expect.media.y"),
        ({"features": {"file": "string"}, "media": MEDIA}, "features.file"),
        ({"configs": {"a": {"drop": ["id", "file", "who", "n", "x"]}}}, "configs.a"),
        ({"configs": {"a": {"drop": ["who"]}}, "split": {"train": 1.0, "by": "id"}, "key": "id"}, ""),
    ],
)
def test_a_column_that_is_not_there_is_a_mistake_at_its_place(root: Path, keys: dict[str, Any], where: str) -> None:
    """Whatever names a column names one of the query; the hint lists what there is."""
    if where:
        assert refused(root, PEOPLE, **keys).fields["key"] == where
    else:
        assert plan_of(root, PEOPLE, **keys).configs


def test_the_split_column_is_in_no_config(root: Path) -> None:
    """A config cannot name the column of the split, which is not published."""
    keys: dict[str, Any] = {"split": {"column": "part"}, "configs": {"a": {"columns": ["part", "n"]}}}
    assert "names the split" in refused(root, [{"n": 1, "part": "train"}], **keys).message


def test_configs_keep_the_order_of_the_query(root: Path) -> None:
    """`columns` and `drop` select; the order stays the query's; the first config is the default unless one is said."""
    configs = {"all": {}, "few": {"columns": ["x", "id"]}, "less": {"drop": "who", "default": True}}
    made = plan_of(root, PEOPLE, media=MEDIA, key="id", configs=configs)
    assert [config.columns for config in made.configs] == [
        ("id", "file", "who", "n", "x"),
        ("id", "x"),
        ("id", "file", "n", "x"),
    ]
    assert [config.name for config in made.configs if config.default] == ["less"]
    assert [config.name for config in plan_of(root, PEOPLE, configs=configs, chosen=["few"]).configs] == ["few"]
    with pytest.raises(RequestError, match="no config `nope`"):
        plan_of(root, PEOPLE, configs=configs, chosen=["nope"])


def test_rows_without_columns_are_refused(root: Path) -> None:
    """A query of the split alone publishes nothing: that is a mistake."""
    assert "no columns" in refused(root, "SELECT 'train' AS part", split={"column": "part"}).message
    assert "cannot be called" in refused(root, "SELECT 1 AS _key").message


def test_no_rows_are_an_error(root: Path) -> None:
    """A query that finds nothing is refused, with a plan to look at."""
    made = plan_of(root, "SELECT path AS file FROM files WHERE path = 'nope'", media=MEDIA)
    assert codes(made) == ["no-rows"]
    assert (made.splits, made.shards) == ((), ())


# Features


def test_features_cast_and_label(root: Path) -> None:
    """`features:` casts columns and turns class names into numbers; the features say so."""
    features = {"n": "int16", "x": "float32", "who": {"class_label": ["p0", "p1", "p2", "p3"]}}
    made = plan_of(root, PEOPLE, features=features)
    schema = pq.read_schema(made.rows_file("train"))
    assert (schema.field("n").type, schema.field("x").type, schema.field("who").type) == (
        pa.int16(),
        pa.float32(),
        pa.int64(),
    )
    assert [row["who"] for row in rows_of(made)] == [n % 4 for n in range(12)]
    assert made.features["who"] == {"names": ["p0", "p1", "p2", "p3"], "_type": "ClassLabel"}


def test_class_numbers_and_nulls_are_taken_as_they_are(root: Path) -> None:
    """Whole numbers are class numbers if there is such a class; null stays null."""
    made = plan_of(root, [{"c": 1}, {"c": None}, {"c": 0}], features={"c": {"class_label": ["a", "b"]}})
    assert [row["c"] for row in rows_of(made)] == [1, None, 0]


@pytest.mark.parametrize(
    ("values", "feature", "wrong"),
    [
        (["1.5", "2", "x1", "y"], "float32", "`x1`"),
        ([1, 2, 300, 400], "int8", "`300`"),
        ([1.0, 2.0, 2.5, 3.5], "int32", "`2.5`"),
        (["a", "b", "c", "d"], {"class_label": ["a", "b"]}, "`c`"),
        ([0, 1, 2, 3], {"class_label": ["a", "b"]}, "`2`"),
        ([0, 1, -1, 3], {"class_label": ["a", "b"]}, "`-1`"),
    ],
)
def test_a_value_that_does_not_fit_is_named(root: Path, values: list[Any], feature: Any, wrong: str) -> None:
    """A value that cannot be what `features:` says is an error with the value and its row."""
    error = refused(
        root, [{"id": f"r{n}", "v": value} for n, value in enumerate(values)], key="id", features={"v": feature}
    )
    assert wrong in error.message
    assert "(r2)" in error.message
    assert error.fields["key"] == "features.v"


@pytest.mark.parametrize(
    ("value", "feature"),
    [([1], "int32"), ([1], {"class_label": ["a"]}), (1.5, {"class_label": ["a"]}), ("a", "floot32")],
)
def test_a_type_that_cannot_be_is_refused_at_once(root: Path, value: Any, feature: Any) -> None:
    """A type that does not exist, or that no value of the column can have, is a mistake at its place."""
    assert refused(root, [{"v": value}], features={"v": feature}).fields["key"] == "features.v"


@pytest.mark.parametrize(
    ("sql", "named"),
    [("SELECT MAP {'a': 1} AS v", "map"), ("SELECT INTERVAL 1 DAY AS v", "interval"), ("SELECT 1::BIT AS v", "bit")],
)
def test_a_type_that_cannot_be_published_is_named(root: Path, sql: str, named: str) -> None:
    """A column of a type that no dataset holds is refused by name and type; the remedy is a cast."""
    with pytest.raises(RequestError, match=r"column v .*cannot be published") as caught:
        plan_of(root, sql)
    assert named in caught.value.message.lower()
    assert "CAST(v AS VARCHAR)" in caught.value.hint


TYPES = {
    "bool": pa.array([True, None]),
    "int8": pa.array([1, None], pa.int8()),
    "uint64": pa.array([1, None], pa.uint64()),
    "float16": pa.array([1.5, None], pa.float32()).cast(pa.float16()),
    "decimal": pa.array([None, 1], pa.decimal128(12, 2)),
    "date32": pa.array([1, None], pa.date32()),
    "time64": pa.array([1, None], pa.time64("us")),
    "timestamp": pa.array([1, None], pa.timestamp("ms", "UTC")),
    "string": pa.array(["ä", None]),
    "large": pa.array(["ä", None], pa.large_string()),
    "binary": pa.array([b"a", None]),
    "list": pa.array([[1, None], None]),
    "fixed": pa.array([[1, 2], None], pa.list_(pa.int32(), 2)),
    "struct": pa.array([{"a": 1, "b": ["x", None]}, None]),
    "deep": pa.array([[{"a": [1.5]}], [None]]),
    "category": pa.array(["a", "a"]).dictionary_encode(),
    "null": pa.nulls(2),
}


@pytest.mark.parametrize("name", TYPES)
def test_every_type_is_planned_and_its_values_matter(root: Path, name: str) -> None:
    """A column of any published type has an identity that its values decide."""
    table = pa.table({"v": TYPES[name]})
    made = plan_of(root, table)
    assert codes(made) == []
    assert plan_of(root, table).ids == made.ids
    if name not in ("null", "category"):
        assert plan_of(root, table.slice(0, 1)).ids != plan_of(root, table.slice(1, 1)).ids


# Where rows come from

SQL = "SELECT * FROM people ORDER BY id"
SOURCES: dict[str, Callable[[pa.Table], Any]] = {
    "table": lambda table: table,
    "chunked table": lambda table: pa.concat_tables([table.slice(0, 5), table.slice(5, 1), table.slice(6)]),
    "reader": lambda table: table.to_reader(max_chunksize=5),
    "pandas": lambda table: table.to_pandas(),
    "pandas categories": lambda table: pd.DataFrame(table.to_pandas()).astype({"who": "category"}),
    "polars": lambda table: pl.from_arrow(table),
    "relation": lambda table: duckdb.from_arrow(table),
    "iterator": lambda table: iter(table.to_batches(max_chunksize=1)),
    "generator": lambda table: (batch for batch in table.to_batches(max_chunksize=7)),
}


@pytest.mark.parametrize("name", SOURCES)
def test_rows_from_python_are_those_of_sql(root: Path, name: str) -> None:
    """The same rows as a table, a frame, a relation or an iterator plan to the identities that SQL gives."""
    pq.write_table(pa.Table.from_pylist(PEOPLE), root / "people.parquet")
    keys: dict[str, Any] = {"media": MEDIA, "key": "id", "split": {"train": 0.5, "test": 0.5, "by": "who"}}
    expected = plan_of(root, SQL, tables={"people": "people.parquet"}, **keys)
    found = plan_of(root, SOURCES[name](pa.Table.from_pylist(PEOPLE)), **keys)
    assert codes(expected) == codes(found) == []
    assert (found.ids, found.fingerprint) == (expected.ids, expected.fingerprint)


@pytest.mark.parametrize(
    ("sql", "warned"),
    [
        ("SELECT * FROM people", False),
        ("SELECT * FROM people ORDER BY id", False),
        ("SELECT p.* FROM people p JOIN files f ON f.path = p.file", True),
        ("SELECT p.* FROM people p JOIN files f ON f.path = p.file ORDER BY id", False),
        ("SELECT who FROM people GROUP BY who", True),
    ],
)
def test_an_order_that_is_not_fixed_is_warned_about(root: Path, sql: str, warned: bool) -> None:
    """A query whose order the engine may choose brings a warning, with ORDER BY as its remedy."""
    pq.write_table(pa.Table.from_pylist(PEOPLE), root / "people.parquet")
    made = plan_of(root, sql, tables={"people": "people.parquet"})
    assert codes(made) == (["unordered-rows"] if warned else [])
    if warned:
        assert (problem(made, "unordered-rows").severity, "ORDER BY" in made.problems[0].remedy) == ("warning", True)


def test_errors_of_tables_and_query_have_their_place(tmp_path: Path, root: Path) -> None:
    """A table that is not there, one that is broken, and a wrong query point at the line of the spec."""
    (root / "broken.csv").write_bytes(b"a,b\n1\n")
    file = tmp_path / "sealift.yaml"
    for text, key, line in (
        ("rows: SELECT 1\ntables:\n  t: nope.csv", "tables.t", 3),
        ("rows: SELECT 1\ntables:\n  t: broken.csv", "tables.t", 3),
        ("tables: {}\nrows: SELECT a FROM nope", "rows", 2),
    ):
        file.write_text(text)
        with pytest.raises(Exception, match=r"sealift\.yaml:") as caught:
            plan_for(Spec.load(file), root)
        fields = getattr(caught.value, "fields", {})
        assert (fields["key"], fields["line"]) == (key, line)


@pytest.mark.parametrize(("column", "found"), [("hash(id) % 7", []), ("random()", ["changing-rows"])])
def test_a_query_that_gives_other_rows_each_time_is_warned_about(root: Path, column: str, found: list[str]) -> None:
    """A plan that cannot be made again is worth a warning; a hash of the key is not."""
    pq.write_table(pa.Table.from_pylist(PEOPLE), root / "people.parquet")
    made = plan_of(root, f"SELECT id, {column} AS x FROM people ORDER BY id", tables={"people": "people.parquet"})
    assert codes(made) == found


def test_a_share_that_gets_no_row_is_warned_about(root: Path) -> None:
    """With two groups, ten shares cannot all have rows: the plan names those that have none."""
    rows = [{"id": number, "site": number % 2} for number in range(20)]
    shares = {f"s{number}": 0.1 for number in range(10)}
    made = plan_of(root, rows, split={**shares, "by": "site"})
    empty = [one.message.split("`")[1] for one in made.problems if one.code == "empty-split"]
    assert sorted({*empty, *made.splits}) == sorted(shares)
    assert len(made.splits) <= 2


def test_a_split_called_like_a_column_is_warned_about(root: Path) -> None:
    """`split: site` is one split; who has a column of that name probably meant the column."""
    made = plan_of(root, [{"id": 1, "site": "a"}], split="site")
    assert codes(made) == ["split-is-column"]
