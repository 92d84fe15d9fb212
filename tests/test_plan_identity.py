"""What makes a plan the same: identities and fingerprints, and that nothing else goes into them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.planning import plan_of, put

from sealift.formats.rowdigest import RowDigest
from sealift.formats.rowfile import REFERENCE
from sealift.model.plan import Plan

FILES = {f"a/{number:02d}.bin": bytes([number + 1]) * (200 + number) for number in range(20)}
ROWS = [{"id": f"r{n:02d}", "file": f"a/{n:02d}.bin", "text": "x" * (n % 5), "n": n} for n in range(20)]
KEYS: dict[str, Any] = {
    "key": "id",
    "media": {"file": "binary"},
    "split": {"train": 0.6, "test": 0.4},
    "shards": {"max_bytes": 10_000, "row_group_rows": 2},
}


def made(tmp_path: Path, rows: Any = None, files: dict[str, bytes] | None = None, name: str = "c", **keys: Any) -> Plan:
    root = put(tmp_path / name / "corpus", files or FILES)
    for path in root.rglob("*.bin"):
        os.utime(path, ns=(10**18, keys.get("mtime", 10**18)))
    keys.pop("mtime", None)
    return plan_of(root, rows or ROWS, **{**KEYS, **keys})


def test_the_corpus_is_cut(tmp_path: Path) -> None:
    """The plans compared here have several shards and row groups in each split."""
    for split in ("train", "test"):
        shards = [shard for shard in made(tmp_path).shards if shard.split == split]
        assert len(shards) >= 2
        assert all(len(shard.row_groups) >= 2 for shard in shards[:-1])


@pytest.mark.parametrize(
    "keys",
    [{"memory": 300_000_000}, {"workers": 7}, {"name": "elsewhere"}, {"mtime": 5 * 10**17}],
    ids=["memory", "workers", "place", "mtime"],
)
def test_what_does_not_matter_changes_nothing(tmp_path: Path, keys: dict[str, Any]) -> None:
    """Memory, workers, folders and modification times leave identities, shards and totals as they are."""
    first, second = made(tmp_path), made(tmp_path, **keys)
    assert (second.ids, second.shards, second.totals) == (first.ids, first.shards, first.totals)


def test_the_work_folder_does_not_matter(tmp_path: Path) -> None:
    """Where the plan does its work has no part in what it says."""
    assert made(tmp_path, work=tmp_path / "here").ids == made(tmp_path, work=tmp_path / "there").ids


CHANGED: dict[str, dict[str, Any]] = {
    "a size": {"files": {**FILES, "a/07.bin": b"longer" * 100}},
    "a value": {"rows": [*ROWS[:-1], {**ROWS[-1], "n": 99}]},
    "a null": {"rows": [*ROWS[:-1], {**ROWS[-1], "n": None}]},
    "a path": {"rows": [*ROWS[:-1], {**ROWS[-1], "file": "a/00.bin"}]},
    "the order of rows": {"rows": ROWS[::-1]},
    "the order of columns": {"rows": [{"n": row["n"], **row} for row in ROWS]},
    "a column's name": {"rows": [{**{("m" if k == "n" else k): v for k, v in row.items()}} for row in ROWS]},
    "a row more": {"rows": [*ROWS, {**ROWS[0], "id": "r99"}]},
    "the split": {"split": {"train": 0.5, "test": 0.5}},
    "the seed": {"split": {"shares": {"train": 0.6, "test": 0.4}, "seed": 1}},
    "the split's name": {"split": {"train": 0.6, "validation": 0.4}},
    "the cap": {"shards": {"max_bytes": 8_000, "row_group_rows": 2}},
    "row groups": {"shards": {"max_bytes": 10_000, "row_group_rows": 3}},
    "the count": {"shards": {"count": 2}},
    "the key": {"key": "n"},
    "the media type": {"media": {"file": "image"}},
    "a feature": {"features": {"n": "int32"}},
    "lists": {"media": {"file": ["binary"]}},
}


@pytest.mark.parametrize("what", CHANGED)
def test_what_matters_changes_the_identity(tmp_path: Path, what: str) -> None:
    """A change of anything that shards hold, or of how they are cut, is another identity."""
    assert made(tmp_path, name="other", **CHANGED[what]).ids != made(tmp_path).ids


def test_a_config_is_its_own_columns(tmp_path: Path) -> None:
    """What a config does not hold does not change its identity: labels stay, though the sound is replaced."""
    configs = {"all": {}, "labels": {"drop": "file"}}
    first = made(tmp_path, configs=configs)
    second = made(tmp_path, name="other", files={**FILES, "a/07.bin": b"longer" * 100}, configs=configs)
    assert first.ids["labels"] == second.ids["labels"]
    assert first.ids["all"] != second.ids["all"]
    assert len(set(first.ids.values())) == 2


def test_the_default_config_matters(tmp_path: Path) -> None:
    """Which config is the default is published with it."""
    one = made(tmp_path, configs={"a": {}, "b": {}})
    other = made(tmp_path, configs={"a": {}, "b": {"default": True}})
    assert one.ids["a"] != other.ids["a"]


def test_the_fingerprint_sees_modification_times(tmp_path: Path) -> None:
    """A file that was touched changes the fingerprint, and so do rows; the rest does not."""
    first = made(tmp_path)
    assert made(tmp_path).fingerprint == first.fingerprint
    assert made(tmp_path, mtime=5 * 10**17).fingerprint != first.fingerprint
    assert made(tmp_path, CHANGED["a value"]["rows"]).fingerprint != first.fingerprint


def test_files_beside_are_no_part_of_it(tmp_path: Path) -> None:
    """A file of `also:` has its own version; that it changed does not make the configs others."""
    first = made(tmp_path, also={"more": ["a/19.bin"]}, rows=ROWS[:3])
    os.utime(tmp_path / "c" / "corpus" / "a" / "19.bin", ns=(1, 1))
    second = plan_of(tmp_path / "c" / "corpus", ROWS[:3], **KEYS, also={"more": ["a/19.bin"]})
    assert (second.ids, second.fingerprint) == (first.ids, first.fingerprint)
    assert [one.version for one in second.also] != [one.version for one in first.also]


# The digest of rows


def digest(*batches: pa.RecordBatch) -> dict[str, str]:
    made = RowDigest(batches[0].schema)
    for batch in batches:
        made.add(batch)
    return made.columns()


def test_batches_and_layout_do_not_matter() -> None:
    """The same values have the same digest, however they are cut and whatever lies under a null."""
    values = [None, "ä", "", "xyz", None, "b"]
    lists = [[1, None], None, [], [2], [3, 4, 5], None]
    whole = pa.record_batch({"text": values, "lists": lists, "flag": [True, None, False, True, True, False]})
    assert digest(whole.slice(0, 1), whole.slice(1, 3), whole.slice(4)) == digest(whole)
    hidden = pa.StringArray.from_buffers(
        2, pa.py_buffer(b"\0\0\0\0\3\0\0\0\4\0\0\0"), pa.py_buffer(b"abcd"), pa.py_buffer(b"\2")
    )
    assert hidden.to_pylist() == [None, "d"]
    assert digest(pa.record_batch({"t": hidden})) == digest(pa.record_batch({"t": pa.array([None, "d"])}))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (["ab", "c"], ["a", "bc"]),
        ([None, ""], ["", None]),
        ([[1], [2, 3]], [[1, 2], [3]]),
        ([None, []], [[], None]),
        ([[None], []], [[], [None]]),
        ([{"a": None}, None], [None, {"a": None}]),
        ([1, 2], [2, 1]),
        ([1.0, None], [1, None]),
        ([0.0], [-0.0]),
        ([True], [False]),
    ],
)
def test_different_values_have_different_digests(one: list[Any], other: list[Any]) -> None:
    """What could be mistaken for one another, once it is bytes, is not."""
    assert digest(pa.record_batch({"v": one})) != digest(pa.record_batch({"v": other}))


@pytest.mark.parametrize("many", [False, True])
def test_versions_are_kept_apart(many: bool) -> None:
    """The version of an entry is in no column's digest, but in that of the versions."""

    def made(version: str | None, size: int = 1) -> tuple[dict[str, str], str]:
        cell = {"path": "a", "size": size, "version": version}
        kind = pa.list_(REFERENCE) if many else REFERENCE
        found = RowDigest(pa.schema([("m", kind)]))
        found.add(pa.record_batch({"m": pa.array([[cell] if many else cell, None], kind)}))
        return found.columns(), found.versions()

    assert made("1")[0] == made("2")[0] == made(None)[0]
    assert len({made("1")[1], made("2")[1], made(None)[1]}) == 3
    assert made("1", 2)[0] != made("1")[0]


def test_a_light_column_called_version_counts() -> None:
    """Only versions of entries are left out: a struct of the user's with such a field is a value like any other."""
    one, other = ([{"path": "a", "version": value}] for value in ("1", "2"))
    assert digest(pa.record_batch({"v": one})) != digest(pa.record_batch({"v": other}))
