"""The SQL of a spec: whatever DuckDB knows, a query sees its tables, writes nothing and keeps to its share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sealift.errors import RequestError, SealiftError, TableError
from sealift.rows import engine
from sealift.rows.query import ROW_FUNCTIONS, TELLING, parse
from sealift.rows.sql import Session

MEMORY = 64_000_000


@contextmanager
def opened(folder: Path) -> Iterator[Session]:
    """A session with a table whose place on this machine is nobody's business."""
    (folder / "private").mkdir()
    pq.write_table(pa.table({"id": [1, 2], "word": ["a", "/etc/hostname"]}), folder / "private/t.parquet")
    with Session(folder / "work", MEMORY) as session:
        session.add_table("t", str(folder / "private/t.parquet"), "t.parquet")
        yield session


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """One for the module: what is tried leaves nothing behind."""
    with opened(tmp_path_factory.mktemp("machine")) as one:
        yield one


def known(kinds: str, where: str = "true") -> list[str]:
    """The names of DuckDB's own functions of these kinds."""
    sql = f"SELECT DISTINCT function_name FROM duckdb_functions() WHERE function_type IN ({kinds}) AND {where}"
    with duckdb.connect(":memory:") as con:
        return sorted(str(row[0]) for row in engine.run(con, sql))


@pytest.mark.parametrize("step", [12, pytest.param(1, marks=pytest.mark.long)])
def test_no_function_in_from_is_let_through_but_those_that_are_known_to_be_harmless(step: int) -> None:
    """Each that this version of DuckDB has is refused by name, wherever it stands: what a new version brings, too."""
    names = [name for name in known("'table', 'table_macro'") if name not in ROW_FUNCTIONS]
    assert "read_text" in names
    for number, name in enumerate(names[::step]):
        forms = (f"FROM {name}('x')", f"SELECT (SELECT 1 FROM main.{name}())", f"FROM t, LATERAL {name}(word)")
        with pytest.raises(RequestError, match=r"is not allowed"):
            parse(forms[number % 3])


def test_no_macro_looks_into_the_catalogue() -> None:
    """What DuckDB's macros read of it shows the files of tables: each such macro is refused by name."""
    reading = known("'macro'", r"regexp_matches(macro_definition, '\bFROM\b', 'i')")
    assert set(reading) <= TELLING
    for name in TELLING:
        with pytest.raises(RequestError, match=r"is not allowed"):
            parse(f"SELECT list_transform([1], x -> main.{name}(x))")


@pytest.mark.parametrize(
    "attempt",
    [
        "SELECT filename FROM t",
        "SELECT t.file_row_number FROM t",
        "SELECT rowid FROM t",
        "SELECT json_serialize_plan('FROM t')",
        "SELECT pg_get_viewdef(i) FROM range(3000) r(i)",
        "SELECT 'temp_directory'.current_setting()",
        "SELECT list_transform(['temp_directory'], x -> current_setting(x))",
        "SELECT system.main.current_setting('temp_directory')",
        "FROM system.main.read_text('/etc/hostname')",
        "FROM t, LATERAL (FROM read_text(word))",
        "FROM t ORDER BY (SELECT content FROM read_text('/etc/hostname'))",
        "FROM t QUALIFY (SELECT count(*) FROM glob('/*')) > 0",
        "FROM 'file:///etc/hostname'",
        "FROM 'hf://datasets/x/y/z.parquet'",
        "FROM t AT (VERSION => 1)",
        "FROM (COPY t TO '/dev/null')",
        "FROM query_table(['t'])",
        "FROM test_all_types()",
        "SELECT nextval('x')",
        "PREPARE p AS SELECT 1",
        "EXECUTE p",
        "SET VARIABLE x = 1",
        "CREATE MACRO m() AS 1",
        "CREATE SECRET (TYPE s3)",
        "ATTACH ':memory:' AS x",
        "USE memory",
        "FORCE INSTALL httpfs FROM 'https://example.org'",
        "VACUUM",
        "COMMENT ON VIEW t IS 'x'",
        "BEGIN",
    ],
)
def test_what_else_was_tried_is_refused(session: Session, attempt: str) -> None:
    """No text of a file, of a setting or of the machine's folders comes out, neither as rows nor in the message."""
    with pytest.raises(SealiftError) as refused:
        session.query(attempt).read_all()
    assert "private" not in str(refused.value)


def test_an_error_of_the_engine_does_not_say_where_a_table_lies(tmp_path: Path) -> None:
    """The table is called as its owner calls it, though its file was changed in the meantime."""
    with opened(tmp_path) as session:
        (tmp_path / "private/t.parquet").write_bytes(b"PAR1 and no more")
        with pytest.raises(TableError) as refused:
            session.query("FROM t").read_all()
    assert str(tmp_path) not in str(refused.value)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT list(i) AS a FROM range(50_000_000) t(i)",
        "SELECT string_agg(i::VARCHAR) AS a FROM range(50_000_000) t(i)",
    ],
)
def test_what_needs_more_than_its_share_is_an_error(session: Session, sql: str) -> None:
    """It does not take the machine's memory instead."""
    with pytest.raises(TableError):
        session.query(sql).read_all()


def test_the_engine_keeps_to_its_settings(tmp_path: Path) -> None:
    """Its memory, threads and folder are those it was given; nothing is loaded, and none of it can be undone."""
    with engine.connect(tmp_path / "work", MEMORY) as con:
        engine.lock(con, [])

        def setting(name: str) -> str:
            return str(engine.run(con, f"SELECT current_setting('{name}')::VARCHAR")[0][0])

        assert setting("threads") == "1"
        assert setting("memory_limit") == "45.7 MiB"
        assert setting("temp_directory").startswith(str(tmp_path / "work"))
        for name in ("enable_external_access", "autoload_known_extensions", "autoinstall_known_extensions"):
            assert setting(name) == "false"
        for statement in ("SET threads = 8", "RESET memory_limit", "SET memory_limit = '1TB'", "LOAD httpfs"):
            with pytest.raises(duckdb.Error):
                engine.run(con, statement)
    assert not list((tmp_path / "work").iterdir())
