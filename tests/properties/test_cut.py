"""Cutting: promises that hold for any sizes, caps and counts."""

from __future__ import annotations

from itertools import accumulate
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealift.formats import parquet
from sealift.plan.cut import MAX_ROW_GROUPS, Cut, Int64, Limits, cut
from sealift.plan.tally import WINDOW, Running, Sums

SIZES = st.lists(st.one_of(st.integers(0, 100), st.integers(0, 10_000)), max_size=120)
LIMITS = st.builds(
    Limits,
    max_bytes=st.integers(1, 20_000),
    group_bytes=st.integers(1, 8_000),
    group_rows=st.integers(1, 40),
    shard_rows=st.none() | st.integers(1, 50),
    shard_groups=st.integers(1, 20),
    fixed=st.integers(0, 500),
    per_group=st.integers(0, 200),
)


def sums(sizes: list[int]) -> Int64:
    return np.array([0, *accumulate(sizes)], np.int64)


def size(made: Cut, sizes: list[int], limits: Limits) -> int:
    """What the shard takes, from first principles."""
    return limits.fixed + limits.per_group * len(made.groups) + sum(sizes[made.first : made.first + made.rows])


@given(SIZES, LIMITS, st.none() | st.integers(1, 150))
def test_every_row_is_in_one_place_and_in_order(sizes: list[int], limits: Limits, count: int | None) -> None:
    """Shards follow one another without a gap, hold row groups that are not empty, and end with the last row."""
    at = 0
    for one in cut(sums(sizes), limits, count):
        assert one.first == at
        assert all(rows > 0 for rows in one.groups)
        at += one.rows
    assert at == len(sizes)


@given(SIZES, LIMITS)
def test_no_shard_is_above_a_cap_unless_it_is_one_row(sizes: list[int], limits: Limits) -> None:
    """Bytes, rows and row groups of a shard stay within their caps; a single row may be too large. Bounds are exact."""
    for one in cut(sums(sizes), limits):
        assert one.bound == size(one, sizes, limits)
        assert limits.max_bytes is not None and limits.shard_groups is not None
        assert one.bound <= limits.max_bytes or one.rows <= 1
        assert limits.shard_rows is None or one.rows <= limits.shard_rows
        assert len(one.groups) <= limits.shard_groups


@given(SIZES, LIMITS, st.none() | st.integers(1, 150))
def test_no_row_group_is_above_a_cap_unless_it_is_one_row(sizes: list[int], limits: Limits, count: int | None) -> None:
    """Bytes and rows of a row group stay within their caps; a single row may be too large."""
    for one in cut(sums(sizes), limits, count):
        at = one.first
        for rows in one.groups:
            assert sum(sizes[at : at + rows]) <= limits.group_bytes or rows == 1
            assert rows <= limits.group_rows
            at += rows


@given(SIZES, LIMITS)
def test_shards_and_row_groups_are_as_full_as_allowed(sizes: list[int], limits: Limits) -> None:
    """The row after a row group would have put it, or its shard, above a cap; so would the row after a shard."""
    made = list(cut(sums(sizes), limits))
    for one in made:
        at, bound = one.first, limits.fixed
        for number, rows in enumerate(one.groups):
            held = sum(sizes[at : at + rows])
            bound += limits.per_group + held
            at += rows
            last = number == len(one.groups) - 1
            if at == len(sizes) or (last and limits.shard_rows == one.rows):
                continue
            full = held + sizes[at] > limits.group_bytes or rows == limits.group_rows
            no_room = bound + sizes[at] > (limits.max_bytes or 0)
            assert full or no_room
            if last:
                assert (
                    no_room
                    or bound + limits.per_group + sizes[at] > (limits.max_bytes or 0)
                    or (len(one.groups) == limits.shard_groups)
                )


@given(SIZES, LIMITS, st.integers(1, 150))
def test_a_count_gives_that_many_shards_of_like_bytes(sizes: list[int], limits: Limits, count: int) -> None:
    """There are exactly min(count, rows) shards, none is empty, and none is more than a row away from its share."""
    made = list(cut(sums(sizes), limits, count))
    if not sizes:
        assert made == [Cut(0, (), limits.fixed)]
        return
    assert len(made) == min(count, len(sizes))
    assert all(one.rows for one in made)
    if count <= len(sizes):
        share, largest = sum(sizes) / count, max(sizes)
        for one in made:
            held = sum(sizes[one.first : one.first + one.rows])
            assert held <= share + largest + 1 or one.rows == 1 or not all(sizes)


@given(SIZES, LIMITS, st.none() | st.integers(1, 150))
def test_sums_on_disk_are_cut_like_an_array(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], limits: Limits, count: int | None
) -> None:
    """Whether the sums lie in memory, in a memory map or in a file that is read in windows makes no difference."""
    file = tmp_path_factory.mktemp("sums") / "sums"
    running = Running(file)
    running.add(np.array(sizes[:7], np.int64))
    running.add(np.array(sizes[7:], np.int64))
    expected = list(cut(sums(sizes), limits, count))
    assert list(cut(running.sums(), limits, count)) == expected
    assert list(cut(np.memmap(file, np.int64, "r"), limits, count)) == expected


def test_sums_can_be_looked_at_anywhere(tmp_path: Path) -> None:
    """A number or a slice of the sums is right wherever the window was before."""
    running = Running(tmp_path / "sums")
    running.add(np.ones(3 * WINDOW, np.int64))
    found = Sums(tmp_path / "sums")
    assert len(found) == 3 * WINDOW + 1
    for at in (0, 2 * WINDOW + 5, 7, 3 * WINDOW, WINDOW):
        assert found[at] == at
        assert found[at : at + 3].tolist() == list(range(at, min(at + 3, 3 * WINDOW + 1)))
    assert found[0 : 2 * WINDOW].tolist() == list(range(2 * WINDOW))


def test_a_shard_has_no_more_row_groups_than_a_file_can_number() -> None:
    """40,000 rows in row groups of one row each make two shards, though the bytes would fit into one."""
    limits = Limits(max_bytes=1 << 40, group_bytes=1 << 30, group_rows=1)
    made = list(cut(sums([1] * 40_000), limits))
    assert [one.rows for one in made] == [MAX_ROW_GROUPS, 40_000 - MAX_ROW_GROUPS]
    assert MAX_ROW_GROUPS == parquet.MAX_ROW_GROUPS


def test_sizes_beyond_32_bits_are_cut_exactly() -> None:
    """Rows of terabytes keep their caps: nothing is rounded on the way."""
    row = (1 << 40) + 1
    limits = Limits(max_bytes=3 * row, group_bytes=row, group_rows=10)
    assert [one.groups for one in cut(sums([row] * 7), limits)] == [(1, 1, 1), (1, 1, 1), (1,)]
