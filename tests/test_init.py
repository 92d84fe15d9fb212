"""`sealift init`, and `publish DIR`: a folder's layout becomes a spec that runs, whatever its names are."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from tests import corpora
from tests.command import answer, run

import sealift
from sealift.errors import RequestError
from sealift.rows.layout import Layout
from sealift.spec import Spec
from sealift.tools import init
from sealift.tools.makers import brain, nifti, picture, png

PICTURE = png(picture("one", 8, 8))


def table_of_paths(folder: Path) -> None:
    """A table whose columns name files, one of them lists."""
    corpora.classes(folder / "files", ("a", "b"), ())
    rows = {
        "id": ["x", "y", "z"],
        "picture": [f"files/a/0{n}.png" for n in range(3)],
        "others": [["files/b/00.png", "files/b/01.png"], [], None],
    }
    pq.write_table(pa.table(rows), folder / "table.parquet")


LAYOUTS: Mapping[str, tuple[str, Callable[[Path], None]]] = {
    "bids": ("bids", lambda folder: corpora.bids(folder, "S", 5, (5, 5, 4))),
    "classes": ("folder", corpora.classes),
    "no-splits": ("folder", lambda folder: corpora.classes(folder, splits=())),
    "csv": ("folder", lambda folder: corpora.described(folder, "csv")),
    "jsonl": ("folder", lambda folder: corpora.described(folder, "jsonl")),
    "paths": ("tables", table_of_paths),
}


def shards(out: Path) -> dict[str, str]:
    """Path and digest of every shard and index file."""
    said = json.loads((out / ".sealift/manifest.json").read_text())
    return {one["path"]: one["sha256"] for one in said["shards"] + said["files"] if one["path"] != "README.md"}


@pytest.mark.parametrize("kind", LAYOUTS)
def test_the_spec_of_a_folder_publishes_what_the_folder_does(kind: str, tmp_path: Path) -> None:
    """`init` writes a spec that `plan` accepts as it is and that publishes the same files as `publish DIR`."""
    layout, make = LAYOUTS[kind]
    make(tmp_path / "in")
    (tmp_path / "in/sealift.yaml").unlink(missing_ok=True)
    spec = tmp_path / "sealift.yaml"
    said = init.recognise(tmp_path / "in")
    assert said.name == layout
    spec.write_text(init.spec_text(said, "in", "./out"))
    text = spec.read_text()
    assert text.startswith("# ")
    assert yaml.safe_load(text)["from"] == "in"
    plan = sealift.plan(spec)
    assert [one for one in plan["problems"] if one["severity"] == "error"] == []
    sealift.publish(spec, str(tmp_path / "by-spec"), workers=1)
    ended = run("publish", tmp_path / "in", "--to", tmp_path / "by-folder", "--workers", "1")
    assert ended.returncode == 0, ended.stderr
    assert f"recognised {tmp_path / 'in'} as a {layout} layout" in ended.stderr
    assert shards(tmp_path / "by-spec") == shards(tmp_path / "by-folder")
    assert sealift.verify(tmp_path / "by-folder", against=spec).proven


ODD = [
    "no",
    "1",
    "null",
    "a: b",
    "it's",
    'say "x"',
    "# x",
    "- x",
    "ñandú",
    "🦉",
    "${HOME}",
    "a\tb",
    "a\nb",
    ".inf",
    " x ",
]


def test_names_survive_as_they_are(tmp_path: Path) -> None:
    """Classes may be called anything: the labels published are the folders' names, in order."""
    corpora.classes(tmp_path / "in", ODD, (), each=2)
    (tmp_path / "sealift.yaml").write_text(init.spec_text(init.recognise(tmp_path / "in"), "in", "./out"))
    spec = Spec.load(tmp_path / "sealift.yaml")
    assert spec.features["label"].class_label == tuple(sorted(ODD))
    sealift.publish(spec, str(tmp_path / "out"), workers=1)
    rows = pq.read_table(sorted((tmp_path / "out").glob("data/*.parquet"))[0]).to_pylist()
    labels = [row["image"]["path"].rsplit("/", 1)[0] for row in rows]
    assert labels == [sorted(ODD)[row["label"]] for row in rows]
    assert set(labels) == set(ODD)


@pytest.mark.parametrize(
    "name", [*ODD, "", ".", "..", "../x", "./x", "~", "1e5", "2021-01-01", "Y", "=", "!x", "a,b", "x #y"]
)
def test_every_text_is_written_as_yaml_reads_it(name: str) -> None:
    """Whatever a path, a table, a column or a note is called, the spec says exactly that."""
    layout = Layout(
        "tables",
        {f"t{name}": name},
        f"SELECT '{name}'",
        {name: "image", "list": ["audio"]},
        {"column": name},
        (name, "b"),
        {"c": {"class_label": [name, "z"]}},
        (f"note {name}",),
    )
    said = yaml.safe_load(init.spec_text(layout, name, name).replace("$${", "${"))
    assert said["from"] == said["to"] == name
    assert said["tables"] == {f"t{name}": name}
    assert said["rows"].rstrip("\n") == f"SELECT '{name}'"
    assert said["media"] == {name: "image", "list": ["audio"]}
    assert said["split"] == {"column": name}
    assert said["key"] == [name, "b"]
    assert said["features"] == {"c": {"class_label": [name, "z"]}}


def test_earlier_output_and_the_spec_do_not_take_part(tmp_path: Path) -> None:
    """A publication inside the folder, the spec in it and a second publication change nothing of what is recognised."""
    table_of_paths(tmp_path / "in")
    first = answer("publish", tmp_path / "in", "--to", tmp_path / "in/out", "--workers", "1")
    before = init.recognise(tmp_path / "in")
    assert before.tables == {"table": "table.parquet"}
    assert not any("out/" in note for note in before.notes)
    again = answer("publish", tmp_path / "in", "--to", tmp_path / "in/out", "--workers", "1")
    assert (again["written"], again["plan"]) == ([], first["plan"])
    other = answer("publish", tmp_path / "in", "--to", tmp_path / "in/other", "--workers", "1")
    assert other["plan"] == first["plan"]
    assert run("init", tmp_path / "in", "-o", tmp_path / "in/sealift.yaml").returncode == 0
    assert init.recognise(tmp_path / "in") == before


def test_a_published_dataset_is_no_source(tmp_path: Path) -> None:
    """A folder that was published to is not taken for raw files."""
    corpora.classes(tmp_path / "in")
    sealift.publish(Spec(from_=str(tmp_path / "in"), layout="folder"), str(tmp_path / "out"), workers=1)
    with pytest.raises(RequestError, match="is a published dataset"):
        init.recognise(tmp_path / "out")


def test_a_class_a_file_is_no_class(tmp_path: Path) -> None:
    """Folders that each hold one file, deep or many, do not become thousands of classes; files stay rows."""
    for number in range(300):
        file = tmp_path / f"in/processed/{'abcde'[number % 5]}x/{number:03}/{number:03}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(PICTURE)
    layout = init.recognise(tmp_path / "in")
    assert layout.name == "folder"
    assert layout.features == {}
    text = init.spec_text(layout, "in", "./out")
    assert len(text) < 2000
    (tmp_path / "sealift.yaml").write_text(text)
    assert sealift.plan(tmp_path / "sealift.yaml")["configs"][0]["splits"][0]["rows"] == 300


def test_a_layout_that_is_not_known_is_explained(tmp_path: Path) -> None:
    """Without a layout the reasons are given, one for each that was tried, and what to do; exit code 2."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in/notes.txt").write_text("?")
    for command in (
        ["init", tmp_path / "in", "-o", tmp_path / "x.yaml"],
        ["publish", tmp_path / "in", "--to", tmp_path / "out"],
    ):
        ended = run(*command)
        assert ended.returncode == 2
        assert "is not known" in ended.stderr
        for layout in ("bids:", "tables:", "folder:"):
            assert layout in ended.stderr
        assert "docs/spec.md" in ended.stderr
    assert not (tmp_path / "x.yaml").exists()
    assert not (tmp_path / "out").exists()


def test_a_spec_that_is_there_is_kept(tmp_path: Path) -> None:
    """`init` never writes over a spec unless it is told to, and a place that cannot be written is no bug."""
    corpora.classes(tmp_path / "in")
    target = tmp_path / "sealift.yaml"
    target.write_text("mine")
    assert run("init", tmp_path / "in", "-o", target).returncode == 2
    assert target.read_text() == "mine"
    said = answer("init", tmp_path / "in", "-o", target, "--force")
    assert said["layout"] == "folder"
    assert yaml.safe_load(target.read_text())["from"] == "in"
    assert run("init", tmp_path / "in", "-o", tmp_path / "none/x.yaml").returncode == 6


def test_scans_without_sessions(tmp_path: Path) -> None:
    """A BIDS tree without sessions is a row a subject; odd columns of participants keep their meaning."""
    for subject in ("01", "02"):
        file = tmp_path / f"in/sub-{subject}/anat/sub-{subject}_T1w.nii.gz"
        file.parent.mkdir(parents=True)
        file.write_bytes(nifti(brain(subject, (4, 4, 4)), (1.0, 1.0, 1.0)))
    (tmp_path / "in/participants.tsv").write_text(
        "participant_id\tage at scan\tgroup\nsub-01\t31\tno\nsub-02\tn/a\tyes\n"
    )
    (tmp_path / "sealift.yaml").write_text(init.spec_text(init.recognise(tmp_path / "in"), "in", "./out"))
    sealift.publish(tmp_path / "sealift.yaml", str(tmp_path / "out"), workers=1)
    rows: list[dict[str, Any]] = pq.read_table(next((tmp_path / "out/data").glob("*.parquet"))).to_pylist()
    assert [(row["subject_id"], row["age_at_scan"], row["group"]) for row in rows] == [
        ("sub-01", 31, "no"),
        ("sub-02", None, "yes"),
    ]
