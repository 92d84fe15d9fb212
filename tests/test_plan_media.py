"""Media in a plan: shapes of a cell, paths, the policy for files that cannot be used, rows too large to keep."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.planning import codes, plan_of, problem, put, rejects_of, rows_of

from sealift.errors import PlanRefused, SpecError
from sealift.plan import accept

GIB = 1 << 30
FILES: dict[str, bytes | int] = {"a.bin": b"a", "b/c.bin": b"bc", "empty.bin": b"", "d.bin": b"ddd"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A source with files, one of which is empty, and a link that leads out of it."""
    root = put(tmp_path / "corpus", FILES)
    put(tmp_path / "elsewhere", {"secret.bin": b"secret"})
    (root / "link.bin").symlink_to(tmp_path / "elsewhere" / "secret.bin")
    return root


def table(cells: list[Any], kind: pa.DataType | None = None) -> pa.Table:
    keys = [f"r{number}" for number in range(len(cells))]
    return pa.table({"id": keys, "m": pa.array(cells, kind)})


def paths(cell: Any) -> Any:
    """The paths of a planned cell."""
    if isinstance(cell, list):
        return [paths(one) for one in cell]
    return cell and cell["path"]


def planned(root: Path, cells: list[Any], *, many: bool = False, **keys: Any) -> Any:
    return plan_of(root, table(cells), key="id", media={"m": ["binary"] if many else "binary"}, **keys)


LISTS = pa.list_(pa.string())


# The shapes of a cell


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), LISTS, pa.large_list(pa.string()), pa.list_(pa.string(), 1)]
)
def test_one_file_a_row(root: Path, kind: pa.DataType) -> None:
    """A single cell is a path, or a list of one; null and the empty list are null."""
    listed = not (pa.types.is_string(kind) or pa.types.is_large_string(kind))
    cells = [["a.bin"], None, ["b/c.bin"]] if listed else ["a.bin", None, "b/c.bin"]
    made = plan_of(root, table(cells, kind), key="id", media={"m": "binary"})
    assert [row["m"] for row in rows_of(made)] == [
        {"path": "a.bin", "size": 1, "version": str((root / "a.bin").stat().st_mtime_ns)},
        None,
        {"path": "b/c.bin", "size": 2, "version": str((root / "b/c.bin").stat().st_mtime_ns)},
    ]
    assert codes(made) == []


def test_an_empty_list_is_null_in_a_single_column(root: Path) -> None:
    """`list(path) FILTER …` that finds nothing is no file."""
    made = planned(root, [[], ["a.bin"], None, [None]])
    assert [paths(row["m"]) for row in rows_of(made)] == [None, "a.bin", None, None]
    assert made.totals[0].present == {"m": 1}


def test_several_files_in_a_single_column_are_named(root: Path) -> None:
    """A list of more than one in a single column is an error that names the row and the files."""
    found = problem(planned(root, [["a.bin"], ["a.bin", "b/c.bin"]]), "several-files")
    assert (found.place, found.severity) == ("r1 (a.bin, b/c.bin)", "error")
    assert "m: [binary]" in found.remedy


def test_lists_keep_null_empty_and_null_elements(root: Path) -> None:
    """A list column tells a null list, an empty one and a null in a list apart; a path alone is a list of one."""
    made = planned(root, [None, [], ["a.bin", None, "b/c.bin"], [None]], many=True)
    assert [paths(row["m"]) for row in rows_of(made)] == [None, [], ["a.bin", None, "b/c.bin"], [None]]
    assert (made.totals[0].present, made.shards[0].cells, made.shards[0].media_bytes) == ({"m": 1}, 2, 3)
    made = planned(root, ["a.bin", None, "d.bin"], many=True)
    assert [paths(row["m"]) for row in rows_of(made)] == [["a.bin"], None, ["d.bin"]]


def test_a_column_of_nothing_is_planned(root: Path) -> None:
    """A media column whose cells are all null has rows and no files."""
    for many in (False, True):
        made = planned(root, [None, None], many=many)
        assert (codes(made), made.shards[0].cells) == ([], 0)


def test_slices_and_hidden_cells_do_not_leak(root: Path) -> None:
    """A slice of a table, and what lies under a null list, play no part."""
    values = pa.array(["a.bin", "nope.bin", "b/c.bin", "d.bin"])
    offsets = pa.array([0, 1, 2, 4], pa.int32())
    cells = pa.ListArray.from_arrays(offsets, values, mask=pa.array([False, True, False]))
    whole = pa.table({"id": ["r0", "r1", "r2"], "m": cells})
    made = plan_of(root, whole.slice(1), key="id", media={"m": ["binary"]})
    assert [paths(row["m"]) for row in rows_of(made)] == [None, ["b/c.bin", "d.bin"]]
    assert codes(made) == []


@pytest.mark.parametrize("values", [[1], [{"path": "a.bin"}], [b"a.bin"], [[1]], [True]])
def test_what_holds_no_paths_is_no_media_column(root: Path, values: list[Any]) -> None:
    """Numbers, structs and bytes are a mistake that says what the column must hold."""
    with pytest.raises(SpecError, match="must hold paths") as caught:
        plan_of(root, pa.table({"m": values}), media={"m": "binary"})
    assert caught.value.fields["key"] == "media.m"


# Paths


def test_a_leading_dot_is_taken_off(root: Path) -> None:
    """`./a.bin` and `././/a.bin` are the `a.bin` of the listing, alone and in lists."""
    assert paths(rows_of(planned(root, ["./a.bin", "././/b/c.bin", "d.bin"]))[1]["m"]) == "b/c.bin"
    assert paths(rows_of(planned(root, [["./a.bin", "d.bin"]], many=True))[0]["m"]) == ["a.bin", "d.bin"]


@pytest.mark.parametrize("path", ["/etc/passwd", "../corpus/a.bin", "b/../a.bin", "..", "b/..", "a\0.bin"])
@pytest.mark.parametrize("policy", ["fail", "skip", "null"])
def test_a_path_out_of_the_source_is_refused(root: Path, path: str, policy: str) -> None:
    """Absolute paths, `..` and NUL are errors that name the row, whatever the policy for missing files."""
    made = planned(root, ["a.bin", path], missing=policy)
    found = problem(made, "path-outside")
    assert (found.severity, found.place) == ("error", f"r1 ({path})")
    with pytest.raises(PlanRefused):
        accept(made)


@pytest.mark.parametrize("name", ["..a.bin", "a..bin", "b/...", "ü .bin", "a[1].bin", "%41.bin"])
def test_odd_names_are_no_way_out(root: Path, name: str) -> None:
    """Dots, wildcards and per cents in a file's name mean themselves."""
    put(root, {name: b"odd"})
    assert codes(planned(root, [name])) == []


# The policy


CELLS = ["a.bin", "nope.bin", "empty.bin", "link.bin", None, "d.bin"]
REJECTED = [("r1", "nope.bin", "missing"), ("r2", "empty.bin", "empty"), ("r3", "link.bin", "unreadable")]


@pytest.mark.parametrize(
    ("policy", "severity", "action", "kept"),
    [
        ("fail", "error", "refused", ["a.bin", None, None, None, None, "d.bin"]),
        ("skip", "warning", "row left out", ["a.bin", None, "d.bin"]),
        ("null", "warning", "cell made null", ["a.bin", None, None, None, None, "d.bin"]),
    ],
)
def test_the_policy_decides(root: Path, policy: str, severity: str, action: str, kept: list[str | None]) -> None:
    """Missing, empty and unreadable files refuse the plan, leave the row out, or make the cell null; all are listed."""
    made = planned(root, CELLS, missing=policy)
    assert [paths(row["m"]) for row in rows_of(made)] == kept
    assert [(p.code, p.severity, p.count) for p in made.problems] == [
        (f"media-{reason}", severity, 1) for reason in ("missing", "unreadable", "empty")
    ]
    assert problem(made, "media-missing").place == "r1 (nope.bin)"
    assert rejects_of(made) == [
        {"key": key, "split": "train", "column": "m", "element": None, "path": path, "reason": reason, "action": action}
        for key, path, reason in REJECTED
    ]
    assert made.rejects == 3
    assert made.totals[0].present == {"m": 2}


def test_a_skipped_row_is_in_no_config(root: Path) -> None:
    """With `skip` a row goes from every config, also from those without the column, so that their rows agree."""
    made = planned(root, CELLS, missing="skip", configs={"all": {}, "text": {"drop": "m"}})
    assert [(total.config, total.rows) for total in made.totals] == [("all", 3), ("text", 3)]


def test_cells_of_a_list_are_rejected_one_by_one(root: Path) -> None:
    """In a list the element is named; with `null` the others stay, with `skip` the row goes."""
    cells = [["a.bin", "nope.bin", None, "empty.bin"], ["d.bin"]]
    made = planned(root, cells, many=True, missing="null")
    assert [paths(row["m"]) for row in rows_of(made)] == [["a.bin", None, None, None], ["d.bin"]]
    assert [(one["element"], one["reason"]) for one in rejects_of(made)] == [(1, "missing"), (3, "empty")]
    assert len(rows_of(planned(root, cells, many=True, missing="skip"))) == 1


def test_rejects_come_column_by_column(root: Path) -> None:
    """The list of rejects is ordered by column and row, whatever the batches were; keys are those of messages."""
    rows = pa.table({"x": ["nope", "a.bin"] * 20_000, "y": ["a.bin", "nope"] * 20_000})
    made = plan_of(root, rows, media={"x": "binary", "y": "binary"}, missing="null")
    found = rejects_of(made)
    assert [one["column"] for one in found] == ["x"] * 20_000 + ["y"] * 20_000
    assert [one["key"] for one in found[:2]] == ["row 0", "row 2"]
    assert made.rejects == 40_000
    assert [p.count for p in made.problems] == [20_000, 20_000]


def test_a_file_in_two_splits_is_warned_about(root: Path) -> None:
    """Media that occurs in more than one split may leak: a warning names the file and the splits."""
    rows = [{"m": "a.bin", "s": "train"}, {"m": "./a.bin", "s": "test"}, {"m": "d.bin", "s": "test"}]
    found = problem(plan_of(root, rows, media={"m": "binary"}, split={"column": "s"}), "shared-media")
    assert (found.severity, found.place) == ("warning", "a.bin (test, train)")


# What cannot be kept


def test_a_file_of_two_gib_is_refused_by_key(root: Path) -> None:
    """A cell that reaches 2 GiB does not fit into Parquet as readers take it: its row is named, with a remedy."""
    put(root, {"large.bin": 2 * GIB, "fits.bin": 2 * GIB - 4096})
    made = planned(root, ["a.bin", "large.bin", "fits.bin"])
    found = problem(made, "row-too-large")
    assert (found.place, found.severity, found.count) == (f"r1 ({2 * GIB} bytes)", "error", 1)
    assert "also:" in found.remedy


def test_a_list_that_reaches_two_gib_together_is_refused(root: Path) -> None:
    """The cells of a list count together; in two columns, or in two rows, they do not."""
    put(root, {"x.bin": GIB, "y.bin": GIB})
    assert problem(planned(root, [["x.bin", "y.bin"], ["x.bin"]], many=True), "row-too-large").place.startswith("r0 ")
    made = plan_of(root, [{"m": "x.bin", "n": "y.bin"}] * 2, media={"m": "binary", "n": "binary"})
    assert "row-too-large" not in codes(made)
    assert all(rows == 1 for shard in made.shards for rows in shard.row_groups)


def test_a_heavy_row_is_refused_by_key(root: Path) -> None:
    """A row whose text alone is above the budget is named, with a remedy; a larger budget takes it."""
    rows = [{"id": "small", "text": "x"}, {"id": "heavy", "text": "x" * 20_000_000}]
    made = plan_of(root, rows, key="id", memory=300_000_000)
    assert problem(made, "row-over-memory").place.startswith("heavy (20000")
    assert "row-over-memory" not in codes(plan_of(root, rows, key="id", memory=1_000_000_000))


def test_a_budget_that_is_too_small_is_refused(root: Path) -> None:
    """Memory that no run could keep to is an error that says how much it takes; fewer workers than asked, a warning."""
    made = planned(root, ["a.bin"], memory=200_000_000)
    assert problem(made, "memory-budget").severity == "error"
    made = planned(root, ["a.bin"], memory=500_000_000, workers=64)
    assert problem(made, "fewer-workers").severity == "warning"
    assert 1 <= made.estimate.workers < 64


def test_many_wrong_rows_are_one_problem(root: Path) -> None:
    """A hundred thousand missing files are counted, five are named, and the message stays short."""
    rows = pa.table({"m": [f"nope/{number}.bin" for number in range(100_000)]})
    made = plan_of(root, rows, media={"m": "binary"})
    found = problem(made, "media-missing")
    assert found.count == made.rejects == 100_000
    assert found.place.count("nope/") == 5
    with pytest.raises(PlanRefused) as caught:
        accept(made)
    assert len(str(caught.value)) < 1000


def test_strict_takes_warnings_for_errors(root: Path) -> None:
    """With `strict` a warning refuses the plan, too."""
    made = planned(root, CELLS, missing="skip")
    assert accept(made) is made
    with pytest.raises(PlanRefused, match="3 problems"):
        accept(made, strict=True)
