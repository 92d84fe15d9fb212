"""Plans of any rows: every row is somewhere once, sizes are exact, and how the rows arrived does not matter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.planning import plan_of, put, rejects_of, rows_of

from sealift.model.plan import Plan

SIZES = {f"f{number}.bin": number * 37 for number in range(8)}
"""f0.bin is empty; f8.bin and f9.bin, which rows name too, are not there."""
PATH = st.none() | st.integers(0, 9).map(lambda number: f"f{number}.bin")
ROW = st.fixed_dictionaries(
    {
        "group": st.none() | st.sampled_from("abcdef"),
        "one": PATH,
        "many": st.none() | st.lists(PATH, max_size=4),
        "text": st.none() | st.text(max_size=20),
    }
)
POLICIES = ("fail", "skip", "null")
SCHEMA = pa.schema(
    [
        ("group", pa.string()),
        ("one", pa.string()),
        ("many", pa.list_(pa.string())),
        ("text", pa.string()),
        ("n", pa.int64()),
    ]
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    yield put(tmp_path_factory.mktemp("source") / "corpus", SIZES)


def table(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist([{**row, "n": number} for number, row in enumerate(rows)], schema=SCHEMA)


def made(root: Path, rows: Any, policy: str) -> Plan:
    return plan_of(
        root,
        rows,
        media={"one": "binary", "many": ["binary"]},
        key="n",
        split={"train": 0.5, "test": 0.5, "by": "group"},
        missing=policy,
        configs={"all": {}, "text": {"columns": ["text", "n"]}},
        shards={"max_bytes": 12_000, "row_group_rows": 3},
    )


def named(row: dict[str, Any]) -> list[str]:
    """The paths of a row, as they were given."""
    return [path for path in [row["one"], *(row["many"] or [])] if path is not None]


def usable(path: str) -> bool:
    return SIZES.get(path, 0) > 0


quick = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@quick
@given(st.lists(ROW, min_size=1, max_size=40), st.sampled_from(POLICIES))
def test_every_row_is_somewhere_once(root: Path, rows: list[dict[str, Any]], policy: str) -> None:
    """Rows keep their order within a split; only `skip` leaves some out, those with a file that cannot be used.

    Shards cover each split's rows; their media bytes and cells are those of the files; what is left out is listed.
    """
    plan = made(root, table(rows), policy)
    planned = {split: rows_of(plan, split) for split in plan.splits}
    numbers = sorted(row["n"] for found in planned.values() for row in found)
    kept = [n for n, row in enumerate(rows) if policy != "skip" or all(map(usable, named(row)))]
    assert numbers == kept
    for split, found in planned.items():
        assert [row["n"] for row in found] == sorted(row["n"] for row in found)
        for config in ("all", "text"):
            shards = [one for one in plan.shards if (one.config, one.split) == (config, split)]
            assert sum(one.rows for one in shards) == len(found)
        for shard in (one for one in plan.shards if (one.config, one.split) == ("all", split)):
            held = found[shard.first_row : shard.first_row + shard.rows]
            paths = [path for row in held for path in named(rows[row["n"]]) if usable(path)]
            assert (shard.cells, shard.media_bytes) == (len(paths), sum(SIZES[path] for path in paths))
    wrong = Counter(path for row in rows for path in named(row) if not usable(path))
    assert Counter(one["path"] for one in rejects_of(plan)) == wrong


@quick
@given(st.lists(ROW, min_size=1, max_size=30), st.sampled_from(POLICIES), st.integers(1, 7))
def test_batches_do_not_matter(root: Path, rows: list[dict[str, Any]], policy: str, size: int) -> None:
    """The same rows in batches of another length are the same plan, rejects included."""
    whole = table(rows)
    first, second = made(root, whole, policy), made(root, iter(whole.to_batches(max_chunksize=size)), policy)
    assert (first.ids, first.fingerprint, first.shards) == (second.ids, second.fingerprint, second.shards)
    assert rejects_of(first) == rejects_of(second)
    assert [problem.as_json() for problem in first.problems] == [problem.as_json() for problem in second.problems]


@quick
@given(st.lists(ROW, min_size=2, max_size=30), st.data())
def test_other_rows_are_another_plan(root: Path, rows: list[dict[str, Any]], data: st.DataObject) -> None:
    """Exchanging two rows that differ, within a split, changes the identity."""
    at = data.draw(st.integers(0, len(rows) - 2))
    one, other = rows[at], rows[at + 1]
    if one == other or one["group"] != other["group"]:
        return
    exchanged = [*rows[:at], other, one, *rows[at + 2 :]]
    before, after = made(root, table(rows), "null"), made(root, table(exchanged), "null")
    same_cells = [list(filter(usable, named(row))) for row in (one, other)]
    if one["text"] != other["text"] or same_cells[0] != same_cells[1]:
        assert before.ids != after.ids
