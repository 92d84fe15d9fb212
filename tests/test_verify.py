"""Verify against the source, as a command, and as documented. `tests/faults/test_damage.py` has the damages."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests import corpora
from tests.command import answer, run

import sealift
from sealift.model import manifest
from sealift.model.event import Advanced, Event, Started
from sealift.verify.codes import CODES, code_table

ROOT = Path(__file__).parents[1]
CONFIGS = ["audio", "labels_only"]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a corpus `in`, whose spec has two configs, and its publication `out`."""
    folder = tmp_path_factory.mktemp("good")
    corpora.music(folder / "in")
    spec = folder / "in/sealift.yaml"
    spec.write_text(spec.read_text().replace("  midi_only: {drop: [audio]}\n", ""))
    sealift.publish(spec, str(folder / "out"), workers=1)
    return folder


@pytest.fixture
def both(good: Path, tmp_path: Path) -> Path:
    """A copy of both, to be changed; files keep their times."""
    return Path(shutil.copytree(good, tmp_path / "both"))


def against(both: Path) -> list[tuple[str, str]]:
    """What verify finds beside the source: (code, place)."""
    verified = sealift.verify(both / "out", "tree", against=both / "in/sealift.yaml")
    assert all(CODES[one.code].level == "against" and one.remedy for one in verified.problems)
    return [(one.code, one.place) for one in verified.problems]


def first(both: Path, pattern: str) -> Path:
    """The first file of the source, in the order of rows."""
    return min(both.glob(f"in/{pattern}"), key=lambda path: path.name)


def replace(file: Path, old: str, new: str) -> None:
    """Replace a text in a file."""
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))


def change_table(file: Path, change: Callable[[list[dict[str, object]]], list[dict[str, object]]]) -> None:
    """Change the rows of a Parquet table."""
    table = pq.read_table(file)
    pq.write_table(pa.Table.from_pylist(change(table.to_pylist()), table.schema), file)


@dataclass(frozen=True)
class Change:
    """Something that changed at the source, and what is then reported."""

    name: str
    change: Callable[[Path], object]
    found: tuple[tuple[str, str], ...]


def other_level(both: Path) -> None:
    """Another label in the first row."""
    change_table(both / "in/labels/samples.parquet", lambda rows: [{**rows[0], "level": "other"}, *rows[1:]])


SHARD, LABELS = "audio/train-00000-of-00005.parquet", "labels_only/train-00000-of-00001.parquet"
CHANGES = [
    Change("nothing", lambda both: None, ()),
    Change("touched", lambda both: first(both, "audio/*/*").touch(), ()),
    Change(
        "one-byte",
        lambda both: first(both, "audio/*/*").write_bytes(first(both, "audio/*/*").read_bytes()[:-1] + b"?"),
        (("source-digest", f"{SHARD} `audio` one000_2021-03-04"),),
    ),
    Change(
        "longer",
        lambda both: first(both, "midi/*/*").write_bytes(first(both, "midi/*/*").read_bytes() + b"?"),
        (("source-digest", f"{SHARD} `midi` one000_2021-03-04"),),
    ),
    Change("removed", lambda both: first(both, "audio/*/*").unlink(), (("source-cells", f"{SHARD} `audio`"),)),
    Change("label", other_level, (("source-row", SHARD), ("source-row", LABELS))),
    Change(
        "row-less",
        lambda both: change_table(both / "in/labels/samples.parquet", lambda rows: rows[1:]),
        (("source-rows", "audio/train"), ("source-rows", "labels_only/train")),
    ),
    Change(
        "row-more",
        lambda both: change_table(
            both / "in/labels/samples.parquet", lambda rows: [*rows, {**rows[0], "sample_id": "new"}]
        ),
        (("source-rows", "audio/train"), ("source-rows", "labels_only/train")),
    ),
    Change(
        "table",
        lambda both: change_table(both / "in/labels/strokes.parquet", lambda rows: rows[1:]),
        (("source-also", "auxiliary/strokes.parquet"),),
    ),
    Change(
        "config-less",
        lambda both: replace(both / "in/sealift.yaml", "  labels_only: {drop: [audio, midi]}\n", ""),
        (("source-config", "labels_only"),),
    ),
    Change(
        "config-more",
        lambda both: replace(both / "in/sealift.yaml", "configs:\n", "configs:\n  midi: {drop: [audio]}\n"),
        (("source-config", "midi"),),
    ),
    Change(
        "rate",
        lambda both: replace(both / "in/sealift.yaml", "sampling_rate: 8000", "sampling_rate: 16000"),
        (("source-config", "audio"),),
    ),
]


@pytest.mark.parametrize("one", CHANGES, ids=[one.name for one in CHANGES])
def test_what_changed_at_the_source_is_named(one: Change, both: Path) -> None:
    """A changed, removed or added row, label, file, table or config is one problem in each place where it shows."""
    one.change(both)
    assert against(both) == [*one.found]


def test_a_file_that_cannot_be_read_at_the_source_is_named(both: Path) -> None:
    """A file that vanishes between listing and reading is reported, and the others are compared all the same."""
    gone = first(both, "audio/*/*")

    def vanish(event: Event) -> None:
        if isinstance(event, Started) and event.stage == "against":
            gone.unlink()

    verified = sealift.verify(both / "out", "tree", against=both / "in/sealift.yaml", on_event=vanish)
    assert [(one.code, gone.name.split(".")[0] in one.place) for one in verified.problems] == [("source-file", True)]


def test_rows_without_a_value_are_equal_to_themselves(tmp_path: Path) -> None:
    """Null and NaN, in lists and structs too, are the same on both sides."""
    nan = float("nan")
    rows = pa.table(
        {
            "id": ["a", "b", "c"],
            "x": [nan, None, 1.0],
            "xs": pa.array([[nan, 1.0], [], None]),
            "s": pa.array([{"y": nan}, {"y": None}, None]),
        }
    )
    (tmp_path / "in").mkdir()
    pq.write_table(rows, tmp_path / "in/t.parquet")
    (tmp_path / "in/sealift.yaml").write_text("tables: {t: t.parquet}\nrows: SELECT * FROM t ORDER BY id\nkey: id\n")
    sealift.publish(tmp_path / "in/sealift.yaml", str(tmp_path / "out"), workers=1)
    assert sealift.verify(tmp_path / "out", against=tmp_path / "in/sealift.yaml").problems == ()


def test_the_answer_counts_what_was_looked_at(good: Path) -> None:
    """`checked` has files, footers, rows and cells; the totals that progress was promised are reached exactly."""
    events: list[Event] = []
    verified = sealift.verify(good / "out", against=good / "in/sealift.yaml", on_event=events.append)
    files = [one for one in (good / "out").rglob("*") if one.is_file() and one.name != "manifest.json"]
    assert verified.checked["files"] == len(files)
    assert verified.checked["rows"] == 2 * 30
    assert verified.checked["cells"] == 60
    for begun in (event for event in events if isinstance(event, Started)):
        moved = [event for event in events if isinstance(event, Advanced) and event.stage == begun.stage]
        assert begun.bytes in (None, sum(event.bytes for event in moved)), begun
        assert begun.files in (None, sum(event.files for event in moved)), begun
    assert verified.bytes_read > sum(one.stat().st_size for one in files)


def test_the_command_says_proven_and_ends_with_0(good: Path) -> None:
    """What is whole is proven: exit code 0, the counts on stderr, and one object with no problems on stdout."""
    ended = run("verify", good / "out", "--level", "rows")
    assert ended.returncode == 0
    assert "proven (rows)" in ended.stderr
    assert ended.stdout == ""
    said = answer("verify", good / "out", "--against", good / "in/sealift.yaml")
    assert (said["ok"], said["problems"], said["level"]) == (True, [], "full")


def test_the_command_names_problems_and_ends_with_7(both: Path) -> None:
    """What is damaged ends with 7; each problem has code, place and remedy, on stderr and in the one object."""
    (both / "out" / SHARD).unlink()
    (both / "out/stray.txt").write_text("?")
    said = answer("verify", both / "out", exit_code=7)
    assert said["ok"] is False
    assert [(one["code"], one["place"]) for one in said["problems"]] == [
        ("file-missing", SHARD),
        ("file-unexpected", "stray.txt"),
    ]
    assert all(one["remedy"] for one in said["problems"])
    ended = run("verify", both / "out", "--level", "tree", "--quiet")
    assert ended.returncode == 7
    assert f"file-missing: {SHARD}: " in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_folder_without_a_manifest_is_not_proven(tmp_path: Path) -> None:
    """A folder that nothing was published to ends with 7, one that is not there with 2."""
    said = answer("verify", tmp_path, exit_code=7)
    assert [one["code"] for one in said["problems"]] == ["manifest-missing"]
    assert run("verify", tmp_path / "none").returncode == 2


def test_every_code_is_documented() -> None:
    """The table in docs/verify.md is that of the code, and no other code is written in the sources of verify."""
    assert code_table() in (ROOT / "docs/verify.md").read_text(encoding="utf-8")
    written = set()
    for file in (ROOT / "src/sealift/verify").glob("*.py"):
        text = file.read_text(encoding="utf-8")
        if file.name != "codes.py":
            written |= set(re.findall(r'"([a-z]+-[a-z0-9-]+)"', text))
            assert "Problem(" not in text.replace("problem(", "")
    assert written - {"utf-8"} == CODES.keys()


def test_verify_writes_nothing(good: Path) -> None:
    """The published folder is as it was, to the times of its files."""
    before = {path: path.stat().st_mtime_ns for path in good.rglob("*")}
    sealift.verify(good / "out", against=good / "in/sealift.yaml")
    assert {path: path.stat().st_mtime_ns for path in good.rglob("*")} == before
    assert (good / "out" / manifest.PATH).is_file()
