"""A plan held against limits and expectations: the Hub's and the viewer's, Parquet's, and the user's own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.planning import codes, plan_of, problem, put

from sealift.errors import SpecError
from sealift.model.plan import Config, PlannedShard
from sealift.plan import limits
from sealift.plan.report import report
from sealift.plan.shards import MOST_SHARDS


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return put(tmp_path / "corpus", {f"{number}.bin": bytes(100 + number) for number in range(10)})


def numbers(count: int) -> pa.Table:
    return pa.table({"n": list(range(count))})


# Shards


@pytest.mark.parametrize(
    ("shards", "rows"), [({"rows": 4}, [4, 4, 2]), ({"count": 3}, [3, 3, 4]), ({"count": 99}, [1] * 10)]
)
def test_shards_by_rows_and_by_count(root: Path, shards: dict[str, int], rows: list[int]) -> None:
    """`rows` fills each shard with that many; `count` makes that many shards, though never an empty one."""
    files = pa.table({"file": [f"{number}.bin" for number in range(10)]})
    made = plan_of(root, files, media={"file": "binary"}, shards=shards)
    assert sorted(shard.rows for shard in made.shards) == sorted(rows)
    assert [shard.path for shard in made.shards] == [
        f"data/train-{number:05d}-of-{len(rows):05d}.parquet" for number in range(len(rows))
    ]
    assert [shard.first_row for shard in made.shards] == [
        sum(s.rows for s in made.shards[:n]) for n in range(len(rows))
    ]


def test_what_shards_come_to(root: Path) -> None:
    """Media bytes and cells are exact, split by split and shard by shard; bounds are above what they bound."""
    rows = [{"file": f"{number}.bin", "part": ["train", "test"][number % 2]} for number in range(10)]
    made = plan_of(root, rows, media={"file": "binary"}, split={"column": "part"}, shards={"rows": 2})
    assert [(shard.split, shard.rows, shard.cells, shard.media_bytes) for shard in made.shards] == [
        ("train", 2, 2, 100 + 102),
        ("train", 2, 2, 104 + 106),
        ("train", 1, 1, 108),
        ("test", 2, 2, 101 + 103),
        ("test", 2, 2, 105 + 107),
        ("test", 1, 1, 109),
    ]
    assert all(shard.bound > shard.media_bytes for shard in made.shards)
    assert [(total.split, total.rows, total.shards, total.media_bytes) for total in made.totals] == [
        ("train", 5, 3, 520),
        ("test", 5, 3, 525),
    ]


def test_a_row_above_the_cap_is_warned_about(root: Path) -> None:
    """A row larger than a shard may be gets one of its own, with a warning; `count` has no cap to be above."""
    put(root, {"large.bin": bytes(50_000)})
    rows = pa.table({"file": ["0.bin", "large.bin", "1.bin"]})
    made = plan_of(root, rows, media={"file": "binary"}, shards={"max_bytes": 20_000})
    assert [shard.rows for shard in made.shards] == [1, 1, 1]
    assert problem(made, "row-above-cap").place == "data/train-00001-of-00003.parquet"
    assert codes(plan_of(root, rows, media={"file": "binary"}, shards={"count": 2, "max_bytes": 20_000})) == []


def test_a_cap_beyond_reason_is_no_cap(root: Path) -> None:
    """A cap that no number of 64 bits holds is taken for none."""
    assert len(plan_of(root, numbers(5), shards={"max_bytes": "100EB"}).shards) == 1


def test_more_row_groups_than_a_file_can_number(root: Path) -> None:
    """Row groups of one row make more shards by themselves; with `count: 1` they cannot, and the plan is refused."""
    made = plan_of(root, numbers(33_000), shards={"row_group_rows": 1})
    assert [len(shard.row_groups) for shard in made.shards] == [32_767, 233]
    made = plan_of(root, numbers(33_000), shards={"row_group_rows": 1, "count": 1})
    assert (problem(made, "row-groups").severity, len(made.shards)) == ("error", 1)


# The Hub


def test_a_folder_takes_less_than_ten_thousand_entries(root: Path) -> None:
    """A shard a row for 10,000 rows is refused by the Hub: the plan says so, with the remedy."""
    made = plan_of(root, numbers(10_000), shards={"rows": 1})
    found = problem(made, "folder-entries")
    assert (found.place, found.severity) == ("data/", "error")
    assert codes(plan_of(root, numbers(9_999), shards={"rows": 1})) == []


def test_shards_without_end_are_refused(root: Path) -> None:
    """More files than a repository takes are a mistake at `shards`, before they fill the memory."""
    with pytest.raises(SpecError, match=f"more than {MOST_SHARDS} files") as caught:
        plan_of(root, numbers(MOST_SHARDS + 1), shards={"rows": 1})
    assert caught.value.fields["key"] == "shards"


def shard(path: str, media_bytes: int = 0) -> PlannedShard:
    return PlannedShard("default", "train", 0, path, 0, (1,), 1, media_bytes, media_bytes)


@pytest.mark.parametrize(
    ("paths", "shards", "columns", "splits", "expected"),
    [
        (["a"] * 5, [], 5, 30, []),
        (["a"] * 5, [], 5, 31, [("many-splits", "warning")]),
        (["a"] * 5, [], 1001, 1, [("many-columns", "warning")]),
        ([f"{n % 99}/{n}" for n in range(25_000)], [], 5, 1, []),
        ([f"{n % 99}/{n}" for n in range(25_001)], [], 5, 1, [("commit-files", "warning")]),
        (
            [f"{n % 99}/{n}" for n in range(100_000)],
            [],
            5,
            1,
            [("repository-files", "warning"), ("commit-files", "warning")],
        ),
        ([f"{n}/a" for n in range(10_000)], [], 5, 1, [("folder-entries", "error")]),
        (["a"], [shard("a", 200 * 10**9)], 5, 1, []),
        (["a"], [shard("a", 201 * 10**9)], 5, 1, [("file-bytes", "warning")]),
        (["a"], [shard("a", 501 * 10**9)], 5, 1, [("file-bytes", "error")]),
    ],
)
def test_the_limits_of_the_hub(
    paths: Sequence[str], shards: Sequence[PlannedShard], columns: int, splits: int, expected: list[tuple[str, str]]
) -> None:
    """Each limit has a code, and is an error where the Hub refuses, a warning where it advises."""
    configs = [Config("default", tuple(f"c{number}" for number in range(columns)))]
    names = [f"s{number}" for number in range(splits)]
    found = [(p.code, p.severity) for p in limits.against_limits(paths, shards, configs, names) if p.remedy]
    assert found == expected


def test_entries_of_a_folder_are_its_files_and_folders() -> None:
    """A folder in a folder counts once in it."""
    assert limits.folder_counts(["README.md", "a/x", "a/b/y", "a/b/z"]) == {"": 2, "a": 2, "a/b": 2}


@pytest.mark.parametrize(
    ("largest", "said", "warned"),
    [(100_000_000, 64_000_000, False), (301_000_000, 64_000_000, True), (1, 128_000_000, True)],
)
def test_row_groups_that_the_viewer_cannot_scan(largest: int, said: int, warned: bool) -> None:
    """Row groups above what the viewer scans, or asked to be above what it advises, are warned about."""
    assert [p.code for p in limits.row_groups(largest, said)] == ["row-group-bytes"] * warned


def test_a_large_row_group_is_found_in_the_plan(root: Path) -> None:
    """The largest row group of the plan is the one that is judged."""
    put(root, {"huge.bin": 301_000_000})
    made = plan_of(root, [{"file": "0.bin"}, {"file": "huge.bin"}], media={"file": "binary"})
    assert codes(made) == ["row-group-bytes"]


# The user's own counts


@pytest.mark.parametrize(
    ("expect", "wrong"),
    [
        ({"rows": 10, "splits": {"train": 5, "test": 5}, "media": {"file": 8}}, []),
        ({"rows": 11}, ["expect.rows"]),
        ({"rows": 11, "tolerance": 0.1}, []),
        ({"rows": 12, "tolerance": 0.1}, ["expect.rows"]),
        ({"splits": {"train": 4, "nope": 1}}, ["expect.splits.train", "expect.splits.nope"]),
        ({"media": {"file": 10}}, ["expect.media.file"]),
        ({"rows": 0}, ["expect.rows"]),
    ],
)
@pytest.mark.parametrize("chosen", [None, ["text"]])
def test_counts_that_are_expected(
    root: Path, expect: dict[str, Any], wrong: list[str], chosen: list[str] | None
) -> None:
    """A plan that finds other counts is refused, within the tolerance; which configs are planned has no part in it."""
    rows = [{"file": f"{n}.bin" if n < 8 else None, "n": n, "s": ["train", "test"][n % 2]} for n in range(10)]
    keys: dict[str, Any] = {"split": {"column": "s"}, "configs": {"all": {}, "text": {"drop": "file"}}}
    made = plan_of(root, rows, media={"file": "binary"}, expect=expect, chosen=chosen, **keys)
    assert [p.place for p in made.problems] == wrong
    assert set(codes(made)) <= {"unexpected-count"}


# The report


def test_the_report_says_everything(root: Path) -> None:
    """`--json`: rows, bytes, shards and present cells by config and split, files by folder, schema, and the work."""
    rows = [{"id": n, "file": f"{n}.bin", "s": ["train", "test"][n % 2]} for n in range(10)]
    made = plan_of(
        root,
        rows,
        media={"file": "binary"},
        key="id",
        split={"column": "s"},
        configs={"all": {"default": True}, "text": {"drop": "file"}},
        also={"more": ["0.bin"]},
        shards={"rows": 2},
    )
    said = report(made)
    assert [(c["config"], c["default"], c["columns"]) for c in said["configs"]] == [
        ("all", True, ["id", "file"]),
        ("text", False, ["id"]),
    ]
    train, test = said["configs"][0]["splits"]
    assert (train["split"], train["rows"], train["shards"], train["present"]) == ("train", 5, 3, {"file": 5})
    assert (test["media_bytes"], test["row_groups"]) == (101 + 103 + 105 + 107 + 109, 3)
    assert train["file_bytes"] >= train["media_bytes"]
    assert said["files"] == {
        "total": 16,
        "folders": {"": 5, ".sealift": 2, ".sealift/index": 1, "all": 6, "more": 1, "text": 6},
    }
    assert [column["column"] for column in said["schema"]] == ["id", "file"]
    assert said["schema"][1]["configs"] == ["all"]
    assert (said["commits"], said["rejects"], said["problems"]) == (1, 0, [])
    assert said["also"] == [{"path": "more/0.bin", "source": "0.bin", "bytes": 100, "rows": None}]
    assert said["estimate"]["memory_bytes"] > 0
