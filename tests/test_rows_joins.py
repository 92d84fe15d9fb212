"""The planner's joins: a record for every reference, in order, and exact counts of what occurs twice."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sealift.errors import SourceError, TableError
from sealift.ports import LISTING
from sealift.rows import joins

MEMORY = 96_000_000
REFS = pa.schema({"row": pa.int64(), "element": pa.int32(), "path": pa.string(), "split": pa.string()})


def listing(file: Path, sizes: dict[str, int]) -> Path:
    """A listing of these paths and sizes; the version is the size as text."""
    rows = [
        {"path": p, "size": s, "version": str(s), "readable": s != 13, "extension": ".bin"}
        for p, s in sorted(sizes.items())
    ]
    pq.write_table(pa.Table.from_pylist(rows, LISTING), file)
    return file


def references(file: Path, refs: list[tuple[int, int, str, str]]) -> Path:
    """References (row, element, path, split) as the planner writes them."""
    pq.write_table(pa.Table.from_pylist([dict(zip(REFS.names, ref, strict=True)) for ref in refs], REFS), file)
    return file


PATHS = st.sampled_from([f"d/{name}.bin" for name in "abcdefgh"] + ["d/A.bin", "é/ü.bin", "d/a.bin "])


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.dictionaries(PATHS, st.integers(0, 20), max_size=8),
    refs=st.lists(st.tuples(PATHS, st.sampled_from(["", "./", "././"])), max_size=30),
)
def test_resolve_answers_every_reference_in_order(
    tmp_path_factory: pytest.TempPathFactory, sizes: dict[str, int], refs: list[tuple[str, str]]
) -> None:
    """Each reference gets one record, in the order of row and element, with what the listing says or found = false."""
    folder = tmp_path_factory.mktemp("joins")
    made = [(number // 3, number % 3, start + path, "train") for number, (path, start) in enumerate(refs)]
    batches = joins.resolve(
        references(folder / "refs.parquet", made[::-1]),
        listing(folder / "listing.parquet", sizes),
        folder / "w",
        MEMORY,
    )
    found = [record for batch in batches for record in batch.to_pylist()]
    expected = []
    for number, (path, _) in enumerate(refs):
        size = sizes.get(path)
        there = {"size": size, "version": str(size), "readable": size != 13, "found": True}
        absent = {"size": None, "version": None, "readable": None, "found": False}
        row = {"row": number // 3, "element": number % 3, "path": path}
        expected.append({**row, **(absent if size is None else there)})
    assert found == expected


def test_resolve_gives_its_schema_and_leaves_nothing_behind(tmp_path: Path) -> None:
    """Batches have the schema `RESOLVED`; a stream that is dropped half-way takes its files with it."""
    refs = references(tmp_path / "refs.parquet", [(row, -1, "a", "train") for row in range(20_000)])
    stream = joins.resolve(refs, listing(tmp_path / "listing.parquet", {"a": 1}), tmp_path / "work", MEMORY)
    assert next(stream).schema == joins.RESOLVED
    assert list((tmp_path / "work").iterdir())
    stream.close()
    assert list((tmp_path / "work").iterdir()) == []


def test_several_streams_are_read_in_step_within_one_budget(tmp_path: Path) -> None:
    """Streams that are zipped do their work in turn: each may use all of the memory, and none runs out."""
    count = 150_000
    paths = [f"audio/part-{number % 100:03d}/recording-{number:060d}.flac" for number in range(count)]
    listed = listing(tmp_path / "listing.parquet", dict.fromkeys(paths, 5))
    refs = references(tmp_path / "refs.parquet", [(row, -1, paths[-row], "train") for row in range(count)])
    streams = [joins.resolve(refs, listed, tmp_path / "work", 40_000_000) for _ in range(3)]
    seen = 0
    for batches in zip(*streams, strict=True):
        first = batches[0]
        assert all(batch.equals(first) for batch in batches)
        assert first.column("row").to_pylist() == list(range(seen, seen + first.num_rows))
        seen += first.num_rows
    assert seen == count


def test_a_path_that_is_listed_twice_is_an_error(tmp_path: Path) -> None:
    """A second record for one reference would shift all that follow: the listing is refused, by path."""
    rows = [{"path": "a", "size": size, "readable": True, "extension": ""} for size in (1, 2)]
    pq.write_table(pa.Table.from_pylist(rows, LISTING), tmp_path / "listing.parquet")
    refs = references(tmp_path / "refs.parquet", [(0, -1, "a", "train")])
    with pytest.raises(SourceError, match="names a more than once"):
        list(joins.resolve(refs, tmp_path / "listing.parquet", tmp_path / "work", MEMORY))


@settings(max_examples=40, deadline=None)
@given(values=st.lists(st.one_of(st.none(), st.text("abAé/%'\"", max_size=2)), max_size=40), cut=st.integers(0, 40))
def test_duplicates_counts_values_over_all_files(
    tmp_path_factory: pytest.TempPathFactory, values: list[str | None], cut: int
) -> None:
    """The count is exact, the first few are in the order of their bytes, nulls do not count."""
    folder = tmp_path_factory.mktemp("twice")
    files = [folder / "a[1].parquet", folder / "b.parquet"]
    for file, part in zip(files, (values[:cut], values[cut:]), strict=True):
        pq.write_table(pa.table({"a key": pa.array(part, pa.string())}), file)
    twice = sorted((v, n) for v, n in Counter(v for v in values if v is not None).items() if n > 1)
    twice.sort(key=lambda pair: pair[0].encode())
    assert joins.duplicates(files, "a key", folder / "w", MEMORY, limit=3) == (len(twice), twice[:3])


def test_duplicates_of_nothing(tmp_path: Path) -> None:
    """No files, no duplicates; a file or column that is not there is an error."""
    assert joins.duplicates([], "key", tmp_path, MEMORY) == (0, [])
    with pytest.raises(TableError):
        joins.duplicates([tmp_path / "gone.parquet"], "key", tmp_path, MEMORY)


@settings(max_examples=40, deadline=None)
@given(refs=st.lists(st.tuples(PATHS, st.sampled_from(["train", "test", "validation"]), st.booleans()), max_size=30))
def test_shared_finds_media_in_more_than_one_split(
    tmp_path_factory: pytest.TempPathFactory, refs: list[tuple[str, str, bool]]
) -> None:
    """A file in two splits is counted once, with all its splits, whichever column or spelling leads to it."""
    folder = tmp_path_factory.mktemp("shared")
    made = [(row, -1, ("./" if dotted else "") + path, split) for row, (path, split, dotted) in enumerate(refs)]
    files = [references(folder / f"{n}.parquet", made[n::2]) for n in range(2)]
    splits: dict[str, set[str]] = {}
    for path, split, _ in refs:
        splits.setdefault(path, set()).add(split)
    expected: list[Any] = sorted((p, sorted(s)) for p, s in splits.items() if len(s) > 1)
    expected.sort(key=lambda pair: pair[0].encode())
    assert joins.shared(files, folder / "w", MEMORY, limit=2) == (len(expected), expected[:2])
