"""SQL over tables and listing: one SELECT, in its order, streamed, in published types, with nothing else in reach."""

from __future__ import annotations

import datetime
import os
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sealift.errors import RequestError, SealiftError, TableError
from sealift.ports import LISTING
from sealift.rows import engine, query
from sealift.rows.sql import Session

MEMORY = 64_000_000


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A table of three rows, out of the order of its ids."""
    file = tmp_path / "labels.parquet"
    pq.write_table(pa.table({"id": [3, 1, 2], "word": ["c", "a", "b"]}), file)
    return file


@pytest.fixture
def session(tmp_path: Path, table: Path) -> Iterator[Session]:
    """A session with that table."""
    with Session(tmp_path / "work", MEMORY) as opened:
        opened.add_table("labels", str(table))
        yield opened


def rows(session: Session, sql: str) -> list[dict[str, Any]]:
    """All rows of a query."""
    found: list[dict[str, Any]] = session.query(sql).read_all().to_pylist()
    return found


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT id FROM labels ORDER BY id",
        "FROM labels SELECT id ORDER BY id;",
        "WITH few AS (SELECT id FROM labels) FROM few ORDER BY id -- and that is all",
        "VALUES (1), (2), (3)",
        "(SELECT id FROM labels) ORDER BY 1",
        "SELECT unnest([1, 2, 3])",
        "SELECT i FROM range(1, 4) t(i)",
    ],
)
def test_any_form_of_one_select_is_a_query(session: Session, sql: str) -> None:
    """WITH, FROM first, VALUES, brackets, comments and a semicolon are all one SELECT."""
    assert [next(iter(row.values())) for row in rows(session, sql)] == [1, 2, 3]


@pytest.mark.parametrize(
    "sql",
    [
        "",
        "-- nothing",
        "SELECT 1; SELECT 2",
        "CREATE TABLE made (a INTEGER)",
        "DROP VIEW labels",
        "SET threads = 4",
        "PRAGMA database_size",
        "DESCRIBE labels",
        "SUMMARIZE labels",
        "SHOW TABLES",
        "EXPLAIN SELECT 1",
        "INSERT INTO labels VALUES (4, 'd')",
        "WITH made AS (INSERT INTO labels VALUES (4, 'd') RETURNING *) FROM made",
        "PIVOT labels ON word USING sum(id)",
        "CALL duckdb_settings()",
    ],
)
def test_anything_but_one_select_is_refused(session: Session, sql: str) -> None:
    """What is not exactly one SELECT is the spec's mistake, and the message says what to write."""
    with pytest.raises(RequestError, match="SELECT"):
        session.query(sql)


REACHES = [
    "FROM read_csv('{outside}')",
    "FROM '{outside}'",
    'SELECT * FROM "{outside}"',
    "FROM read_text('{outside}')",
    "FROM read_blob('{outside}')",
    "FROM glob('{folder}/*')",
    "FROM sniff_csv('{outside}')",
    "FROM read_parquet('{table}')",
    "FROM parquet_metadata('{table}')",
    "FROM query('SELECT * FROM read_csv(''{outside}'')')",
    "FROM query_table('{outside}')",
    "SELECT (SELECT content FROM read_text('{outside}'))",
    "SELECT * FROM labels WHERE word IN (SELECT content FROM read_text('{outside}'))",
    "WITH seen AS (FROM read_text('{outside}')) FROM seen",
    "FROM json_execute_serialized_sql(json_serialize_sql('SELECT * FROM read_csv(''{outside}'')'))",
    "FROM read_text('https://example.org/')",
    "FROM 'https://example.org/x.parquet'",
    "FROM 's3://bucket/x.parquet'",
    "FROM read_csv('/dev/stdin')",
    "FROM duckdb_secrets()",
    "FROM which_secret('s3://bucket', 's3')",
    "FROM duckdb_settings()",
    "FROM duckdb_extensions()",
    "FROM enable_logging('QueryLog', storage = 'file', storage_path = '{folder}/log')",
    "FROM enable_profiling()",
    "FROM checkpoint()",
    "FROM read_duckdb('{folder}/x.db')",
    "FROM sqlite_scan('{folder}/x.db', 'x')",
    "FROM arrow_scan(1, 2, 3)",
    "FROM SECRET_FRAME",
    "FROM sqlite_master",
    "FROM information_schema.tables",
    "FROM pg_catalog.pg_views",
    "FROM pg_views",
    "SELECT (SELECT any_value(sql) FROM main.duckdb_views)",
    "SELECT current_setting('temp_directory')",
    "SELECT getenv('HOME')",
    "SELECT set_config('threads', '2')",
    "COPY labels TO '{folder}/made.csv'",
    "COPY (SELECT 1) TO '{table}'",
    "WITH made AS (COPY (SELECT 1 AS id) TO '{folder}/made.csv') FROM made",
    "WITH made AS (COPY (SELECT 99 AS id) TO '{table}' (FORMAT parquet, USE_TMP_FILE false)) FROM made",
    "SELECT * FROM (WITH made AS (COPY (SELECT 9) TO '{table}' (USE_TMP_FILE false)) FROM made)",
    "ATTACH '{folder}/x.db'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "EXPORT DATABASE '{folder}'",
]


@pytest.mark.parametrize("attempt", REACHES)
def test_a_query_reaches_nothing_but_its_tables(session: Session, table: Path, tmp_path: Path, attempt: str) -> None:
    """No file, folder, network address, setting, secret or Python variable is read, and nothing is written."""
    SECRET_FRAME = pa.table({"secret": ["seen"]})  # noqa: F841, N806 — DuckDB would find it by its name
    outside = tmp_path / "outside.csv"
    outside.write_text("secret\nseen\n")
    before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    with pytest.raises(SealiftError) as refused:
        rows(session, attempt.format(outside=outside, folder=tmp_path, table=table))
    assert "seen" not in str(refused.value)
    assert {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before


def test_the_engine_itself_refuses_files_too(table: Path, tmp_path: Path) -> None:
    """Below the check of the query the engine is locked: it reads the named file, no other, and keeps its settings."""
    outside = tmp_path / "outside.csv"
    outside.write_text("secret\nseen\n")
    with engine.connect(tmp_path / "work", MEMORY) as con:
        engine.lock(con, [str(table)])
        assert engine.run(con, f"SELECT count(*) FROM {engine.parquet(table)}") == [(3,)]
        with pytest.raises(duckdb.PermissionException):
            engine.run(con, f"FROM read_text('{outside}')")
        with pytest.raises(duckdb.InvalidInputException):
            engine.run(con, "SET enable_external_access = true")


@settings(max_examples=30, deadline=None)
@given(name=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12))
def test_a_table_may_have_any_name(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    """A name with quotes, dots, spaces or signs is a table like any other."""
    if name.lower() in ("files", "manifest"):
        return
    folder = tmp_path_factory.mktemp("named")
    pq.write_table(pa.table({"a": [1]}), folder / "t.parquet")
    quoted = '"' + name.replace('"', '""') + '"'
    with Session(folder / "work", MEMORY) as session:
        session.add_table(name, str(folder / "t.parquet"))
        assert rows(session, f"SELECT a FROM {quoted}") == [{"a": 1}]


@pytest.mark.parametrize("name", ["files", "FILES", "manifest", "", "Labels"])
def test_reserved_and_taken_names_are_refused(session: Session, table: Path, name: str) -> None:
    """`files` and `manifest` are ours, in any case, and a name is given once."""
    with pytest.raises(RequestError):
        session.add_table(name, str(table))


def test_tables_come_before_the_query(session: Session, table: Path) -> None:
    """Once asked, a session takes no more tables: what a query may read is settled then."""
    session.query("SELECT 1")
    with pytest.raises(RequestError, match="after the first query"):
        session.add_table("late", str(table))


def test_files_in_odd_folders_are_read_and_only_they(tmp_path: Path) -> None:
    """Brackets and stars in a path are letters, not wildcards, within the sandbox too."""
    odd = tmp_path / "d[1] it's *"
    odd.mkdir()
    pq.write_table(pa.table({"a": [1]}), odd / "x[2]?.parquet")
    pq.write_table(pa.table({"a": [5]}), odd / "x2y.parquet")
    with Session(odd / "work", MEMORY) as session:
        session.add_table("t", str(odd / "x[2]?.parquet"))
        assert rows(session, "FROM t") == [{"a": 1}]


def test_files_is_the_listing_as_users_see_it(tmp_path: Path) -> None:
    """`files` has path, size, mtime, version and extension, in the listing's order."""
    listing = tmp_path / "listing.parquet"
    when = datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)
    entries = [("a.flac", 3, when, "v1", True, ".flac"), ("b", 0, None, None, False, "")]
    pq.write_table(pa.Table.from_pylist([dict(zip(LISTING.names, e, strict=True)) for e in entries], LISTING), listing)
    with Session(tmp_path / "work", MEMORY) as session:
        session.add_listing(listing)
        found = session.query("FROM files").read_all()
    assert found.schema.names == ["path", "size", "mtime", "version", "extension"]
    assert found.to_pylist()[0] == {"path": "a.flac", "size": 3, "mtime": when, "version": "v1", "extension": ".flac"}


def test_a_query_keeps_its_order_and_spills_what_does_not_fit(tmp_path: Path) -> None:
    """ORDER BY over more than the memory limit gives every row in order, in batches, and leaves no file behind."""
    count = 600_000
    numbers = pa.array([(i * 7919) % count for i in range(count)])
    pq.write_table(pa.table({"n": numbers, "text": [f"{i:0120d}" for i in range(count)]}), tmp_path / "t.parquet")
    with Session(tmp_path / "work", 48_000_000) as session:
        session.add_table("t", str(tmp_path / "t.parquet"))
        seen, largest, spilled = 0, 0, 0
        for batch in session.query("SELECT n, text FROM t ORDER BY n", batch_rows=4096):
            assert batch.column("n").to_pylist() == list(range(seen, seen + batch.num_rows))
            seen, largest = seen + batch.num_rows, max(largest, batch.num_rows)
            spilled = max(spilled, sum(f.stat().st_size for f in (tmp_path / "work").rglob("*") if f.is_file()))
    assert seen == count
    assert largest <= 4096
    assert spilled > 1_000_000
    assert list((tmp_path / "work").iterdir()) == []


def test_a_new_query_ends_the_one_before(session: Session) -> None:
    """A stream that was left half read does not stand in the way."""
    half = session.query("SELECT i FROM range(1000000) t(i)")
    half.read_next_batch()
    assert rows(session, "SELECT 1 AS one") == [{"one": 1}]


PUBLISHED = [
    ("uuid()::VARCHAR::UUID", pa.string()),
    ("'{\"a\": 1}'::JSON", pa.string()),
    ("'a'::ENUM('a', 'b')", pa.string()),
    ("['a'::ENUM('a', 'b')]", pa.list_(pa.string())),
    ("{'x': uuid()}", pa.struct({"x": pa.string()})),
    ("'x'::BLOB", pa.binary()),
    ("1::HUGEINT", pa.int64()),
    ("[{'n': 1::HUGEINT}]", pa.list_(pa.struct({"n": pa.int64()}))),
    ("TIMESTAMPTZ '2026-01-02 03:04:05+02'", pa.timestamp("us", "UTC")),
    ("TIMESTAMP '2026-01-02 03:04:05'", pa.timestamp("us")),
    ("DATE '2026-01-02'", pa.date32()),
    ("TIME '03:04:05'", pa.time64("us")),
    ("NULL", pa.string()),
    ("[]", pa.list_(pa.string())),
    ("1::UTINYINT", pa.uint8()),
    ("1.5::FLOAT", pa.float32()),
    ("1.5::DECIMAL(10, 2)", pa.decimal128(10, 2)),
    ("true", pa.bool_()),
    ("[1, 2]::INTEGER[2]", pa.list_(pa.int32(), 2)),
]


@pytest.mark.parametrize(("value", "kind"), PUBLISHED)
def test_values_come_out_in_published_types(session: Session, value: str, kind: pa.DataType) -> None:
    """Whatever DuckDB calls it, a column has a type that Parquet readers and `datasets` know; nested ones too."""
    found = session.query(f"SELECT {value} AS x").read_all()
    assert found.schema.field("x").type == kind
    assert found.num_rows == 1


def test_a_sum_of_whole_numbers_is_a_whole_number(session: Session) -> None:
    """DuckDB's sum is 128 bits wide; the dataset gets int64."""
    found = session.query("SELECT sum(id) AS total, sum(id) / 2 AS half FROM labels").read_all()
    assert found.schema.field("total").type == pa.int64()
    assert found.to_pylist() == [{"total": 6, "half": 3.0}]


def test_a_sum_too_large_for_int64_names_its_column(session: Session) -> None:
    """A number that does not fit is an error that names the column and the cast."""
    with pytest.raises(TableError, match="column total") as failed:
        rows(session, "SELECT sum(9223372036854775807) AS total FROM labels")
    assert "CAST(total AS" in failed.value.hint


@pytest.mark.parametrize(
    "value",
    [
        "INTERVAL 1 DAY",
        "MAP {'a': 1}",
        "[MAP {'a': 1}]",
        "{'u': union_value(x := 1)}",
        "'101'::BIT",
        "1::VARIANT",
        "[{'t': '10:00:00+01'::TIMETZ}]",
    ],
)
def test_types_without_a_place_name_the_column_and_the_cast(session: Session, value: str) -> None:
    """Intervals, maps, unions and DuckDB's own types are refused before a row is read, with the remedy."""
    with pytest.raises(RequestError, match="column odd") as refused:
        session.query(f"SELECT {value} AS odd")
    assert "CAST(odd AS VARCHAR)" in refused.value.hint


def test_two_columns_of_one_name_are_refused(session: Session) -> None:
    """A name twice would lose a column: it is refused by name."""
    with pytest.raises(RequestError, match="more than one column is called id"):
        session.query("SELECT a.id, b.id FROM labels a, labels b")


def test_decimals_keep_their_digits(session: Session) -> None:
    """A sum of decimals stays decimal."""
    assert rows(session, "SELECT sum(1.10::DECIMAL(4, 2)) AS x FROM labels") == [{"x": Decimal("3.30")}]


def test_a_wrong_column_names_the_candidates_and_the_tables(session: Session) -> None:
    """The message is DuckDB's, with the likely names; the hint lists tables with their columns."""
    with pytest.raises(RequestError) as refused:
        session.query("SELECT wrod FROM labels")
    assert 'Referenced column "wrod" not found' in refused.value.message
    assert '"word"' in refused.value.message
    assert "labels(id, word)" in refused.value.hint


def test_a_wrong_table_and_wrong_syntax_are_mistakes_of_the_query(session: Session) -> None:
    """A table that is not there names those that are; a syntax error shows its line."""
    with pytest.raises(RequestError, match="labells does not exist") as refused:
        session.query("FROM labells")
    assert "labels(id, word)" in refused.value.hint
    with pytest.raises(RequestError, match="LINE 2: FORM labels"):
        session.query("SELECT id\nFORM labels")


def test_an_open_parameter_is_refused(session: Session) -> None:
    """Nobody fills in `?` or `$1`: the query must hold its values."""
    for sql in ("SELECT ?", "SELECT * FROM labels WHERE id = $1"):
        with pytest.raises(RequestError, match="parameter"):
            session.query(sql)


def test_a_value_that_cannot_be_cast_is_an_error_of_the_table(session: Session) -> None:
    """What fails while rows are read is reported as such, with the value."""
    with pytest.raises(TableError, match="Could not convert string 'c'"):
        rows(session, "SELECT CAST(word AS INTEGER) AS n FROM labels")


def test_times_with_a_zone_are_utc_whatever_the_machine(tmp_path: Path) -> None:
    """A time without a zone becomes one with a zone as UTC, not as the machine's clock has it."""
    sql = "SELECT TIMESTAMP '2026-01-02 03:04:05'::TIMESTAMPTZ AS t"
    code = (
        "from pathlib import Path; from sealift.rows.sql import Session\n"
        f"with Session(Path({str(tmp_path)!r}), {MEMORY}) as session:\n"
        f"    print(session.query({sql!r}).read_all()['t'][0].as_py())"
    )
    env = {**os.environ, "TZ": "Asia/Tokyo"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "2026-01-02 03:04:05+00:00"
    assert done.stderr == ""


FIXED = [
    "SELECT * FROM a",
    "FROM a WHERE x > 1 LIMIT 3",
    "SELECT upper(x), unnest(y) FROM a",
    "SELECT * FROM a, b ORDER BY 1",
    "SELECT x, count(*) FROM a GROUP BY x ORDER BY x",
    "SELECT DISTINCT x FROM a ORDER BY ALL",
    "SELECT * FROM (SELECT * FROM a WHERE x > 1)",
    "WITH c AS (SELECT * FROM a) SELECT * FROM c",
    "SELECT *, row_number() OVER () FROM a",
    "SELECT * FROM a UNION ALL SELECT * FROM b",
    "SELECT * FROM a UNION ALL BY NAME SELECT * FROM b",
    "VALUES (1), (2)",
    "SELECT i FROM range(3) t(i)",
]
LOOSE = [
    "SELECT * FROM a, b",
    "SELECT * FROM a JOIN b USING (x)",
    "SELECT * FROM a, unnest(a.y)",
    "SELECT x, count(*) FROM a GROUP BY x",
    "SELECT x, count(*) FROM a GROUP BY ALL",
    "SELECT DISTINCT x FROM a",
    "SELECT * FROM a UNION SELECT * FROM b",
    "SELECT * FROM a EXCEPT SELECT * FROM b",
    "SELECT * FROM (SELECT * FROM a, b)",
    "SELECT * FROM (SELECT * FROM a, b ORDER BY 1)",
    "WITH c AS (SELECT * FROM a JOIN b USING (x)) SELECT * FROM c",
    "WITH c AS (SELECT DISTINCT x FROM a), d AS (FROM c) FROM d",
    "WITH RECURSIVE r AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM r WHERE i < 3) FROM r",
    "SELECT * FROM a UNION ALL SELECT DISTINCT * FROM b",
    "SELECT * FROM a WHERE x IN (SELECT x FROM b)",
    "SELECT (SELECT max(x) FROM b WHERE b.y = a.y) FROM a",
    "SELECT rank() OVER (PARTITION BY x ORDER BY y) FROM a",
    "SELECT * FROM a QUALIFY row_number() OVER (PARTITION BY x) = 1",
    "SELECT * FROM a USING SAMPLE 3",
    "PIVOT a ON x IN (1, 2) USING sum(y)",
]


def test_queries_that_build_on_one_another_are_judged_once_each() -> None:
    """Forty WITH queries, each of which reads the one before twice, are no 2^40 questions."""
    steps = [f"c{n} AS (FROM c{n - 1} UNION ALL FROM c{n - 1})" for n in range(1, 41)]
    assert not query.unordered(f"WITH c0 AS (FROM a), {', '.join(steps)} FROM c40")
    assert query.unordered(f"WITH c0 AS (SELECT DISTINCT x FROM a), {', '.join(steps)} FROM c40")


def test_a_name_in_with_hides_a_table_of_the_same_name() -> None:
    """Inside its own query it still means the table."""
    assert not query.unordered("WITH a AS (FROM a) FROM a")
    assert query.unordered("WITH a AS (SELECT DISTINCT * FROM a) FROM a")


def test_a_query_that_nests_too_deep_is_a_mistake() -> None:
    """Whatever its depth, the answer is an error with a remedy."""
    with pytest.raises(RequestError, match="too deep"):
        query.parse("SELECT * FROM (" * 400 + "SELECT 1" + ")" * 400)


@pytest.mark.parametrize("sql", FIXED)
def test_scans_and_sorted_queries_fix_their_order(sql: str) -> None:
    """ORDER BY at the top and plain scans, alone or appended, fix the order."""
    assert not query.unordered(sql)


@pytest.mark.parametrize("sql", LOOSE)
def test_joins_groups_and_sets_without_order_by_do_not(sql: str) -> None:
    """Joins, groups, DISTINCT, sets, windows, samples and whatever is built on them leave the order open."""
    assert query.unordered(sql)


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("SELECT a, md5(a) AS digest FROM t ORDER BY hash(a)", []),
        ("SELECT random() AS r, now() FROM t", ["now()", "random()"]),
        ("SELECT a FROM t WHERE d < current_date ORDER BY uuid()", ["current_date", "uuid()"]),
        ("SELECT * FROM (SELECT gen_random_uuid() AS id FROM t)", ["gen_random_uuid()"]),
        ("SELECT a FROM t USING SAMPLE 10%", ["USING SAMPLE"]),
    ],
)
def test_a_query_that_changes_from_run_to_run_is_known_by_what_makes_it_change(sql: str, found: list[str]) -> None:
    """Random numbers, times and samples give other rows each time, wherever they stand; hashes do not."""
    assert query.changing(sql) == found
