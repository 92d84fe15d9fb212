"""Layouts: what a tree of files suggests is a query that runs, and nothing is left out in silence."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sealift.model.entry import extension
from sealift.ports import LISTING
from sealift.rows import bids, folder, query
from sealift.rows.layout import Layout, Recognised
from sealift.rows.recognise import recognise
from sealift.rows.sql import Session
from sealift.tools import init

MEMORY = 96_000_000
AUDIO, IMAGE, NIFTI = (
    dict.fromkeys(names, kind)
    for names, kind in [((".flac", ".mp3"), "audio"), ((".png", ".jpg"), "image"), ((".nii", ".nii.gz"), "nifti")]
)
TYPES = {**AUDIO, **IMAGE, **NIFTI, ".mid": "midi"}


@dataclass(frozen=True)
class Tree:
    """A source in a folder: its listing, and how to open its tables."""

    root: Path
    listing: Path

    def open(self, path: str) -> AbstractContextManager[str]:
        """The file at that path."""
        return nullcontext(str(self.root / path))

    def rows(self, layout: Layout) -> list[dict[str, Any]]:
        """What the layout's query gives."""
        with Session(self.root.parent / "work", MEMORY) as session:
            for name, path in layout.tables.items():
                session.add_table(name, str(self.root / path), path)
            session.add_listing(self.listing, bids.COLUMNS if layout.name == "bids" else "*")
            assert not query.unordered(layout.rows)
            found: list[dict[str, Any]] = session.query(layout.rows).read_all().to_pylist()
        return found


Make = Callable[[Mapping[str, str | bytes]], Tree]


@pytest.fixture
def tree(tmp_path: Path) -> Make:
    """Makes a source of these files and their contents."""

    def make(files: Mapping[str, str | bytes]) -> Tree:
        for path, content in files.items():
            file = tmp_path / "source" / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content.encode() if isinstance(content, str) else content)
        listed = [
            {"path": path, "size": len(files[path]), "readable": True, "extension": extension(path)}
            for path in sorted(files, key=str.encode)
        ]
        listing = tmp_path / "listing.parquet"
        pq.write_table(pa.Table.from_pylist(listed, LISTING), listing)
        return Tree(tmp_path / "source", listing)

    return make


def the(found: Recognised) -> Layout:
    """The layout that must have been found."""
    assert found.layout is not None, found.reasons
    return found.layout


def of(made: Tree) -> Layout:
    """The layout that `init` finds."""
    return the(recognise(made.listing, made.open, TYPES))


def blank(*paths: str) -> dict[str, str]:
    """Media files of one byte."""
    return dict.fromkeys(paths, "x")


def entities(made: Tree, path: str) -> dict[str, Any]:
    """The BIDS entities of one listed path that are not null."""
    with Session(made.root.parent / "work", MEMORY) as session:
        session.add_listing(made.listing, bids.COLUMNS)
        rows = session.query(
            f"SELECT * EXCLUDE (path, size, mtime, version) FROM files WHERE path = '{path}'"
        ).read_all()
    return {name: value for name, value in rows.to_pylist()[0].items() if value is not None}


BIDS_NAMES = [
    (
        "sub-01/ses-a2/func/sub-01_ses-a2_task-rest_acq-fast_dir-AP_run-02_echo-1_part-mag_bold.nii.gz",
        {"subject": "01", "session": "a2", "task": "rest", "acquisition": "fast", "direction": "AP", "run": "02"}
        | {"echo": "1", "part": "mag", "suffix": "bold", "datatype": "func", "extension": ".nii.gz"},
    ),
    (
        "sub-01/anat/sub-01_T1w.nii",
        {"subject": "01", "suffix": "T1w", "datatype": "anat", "extension": ".nii"},
    ),
    (
        "derivatives/masks/sub-01/anat/sub-01_space-T2w_desc-lesion_mask.nii.gz",
        {"subject": "01", "space": "T2w", "desc": "lesion", "suffix": "mask", "datatype": "anat"}
        | {"derivative": "masks", "extension": ".nii.gz"},
    ),
    (
        "sub-01/ses-1/meg/sub-01_ses-1_task-x_recording-eye_split-01_physio.tsv",
        {"subject": "01", "session": "1", "task": "x", "recording": "eye", "split": "01", "suffix": "physio"}
        | {"datatype": "meg", "extension": ".tsv"},
    ),
    (
        "derivatives/surfaces/sub-07/ses-3/mri/brain.mgz",
        {"subject": "07", "session": "3", "suffix": "brain", "derivative": "surfaces", "extension": ".mgz"},
    ),
    ("derivatives/loose.nii.gz", {"suffix": "loose", "derivative": "derivatives", "extension": ".nii.gz"}),
    (
        "derivatives/sub-01/anat/sub-01_desc-lesion_mask.nii.gz",
        {"subject": "01", "desc": "lesion", "suffix": "mask", "datatype": "anat"}
        | {"derivative": "derivatives", "extension": ".nii.gz"},
    ),
    ("task-rest_bold.json", {"task": "rest", "suffix": "bold", "extension": ".json"}),
    ("dataset_description.json", {"extension": ".json"}),
    ("anatomy/subset-1.png", {"extension": ".png"}),
]


@pytest.mark.parametrize(("path", "expected"), BIDS_NAMES)
def test_bids_names_become_columns(tree: Make, path: str, expected: dict[str, str]) -> None:
    """Every entity of the name is a column of text without its key; what is not there is null, not ''."""
    assert entities(tree(blank(path)), path) == expected


BRAIN = blank(
    "sub-01/ses-1/anat/sub-01_ses-1_T1w.nii.gz",
    "sub-01/ses-1/func/sub-01_ses-1_task-rest_run-2_bold.nii.gz",
    "sub-01/ses-1/func/sub-01_ses-1_task-rest_run-1_bold.nii.gz",
    "sub-01/ses-2/anat/sub-01_ses-2_T1w.nii.gz",
    "sub-02/ses-1/func/sub-02_ses-1_task-rest_bold.nii.gz",
    "derivatives/masks/sub-02/ses-1/anat/sub-02_ses-1_desc-lesion_mask.nii.gz",
    "sourcedata/sub-01/ses-1/anat/sub-01_ses-1_T1w.nii.gz",
    "sub-01/ses-1/func/sub-01_ses-1_task-rest_run-1_bold.json",
)


def test_a_bids_tree_is_a_row_a_session(tree: Make) -> None:
    """A column per kind of scan, a list where a session has several, null where it has none, participants joined."""
    made = tree({**BRAIN, "participants.tsv": "participant_id\tage\tpath\nsub-01\t35\tx\nsub-02\tn/a\ty\n"})
    layout = of(made)
    assert (layout.name, layout.key, layout.split) == ("bids", ("subject_id", "session_id"), "train")
    assert layout.media == {"t1w": "nifti", "bold": ["nifti"], "lesion_mask": "nifti"}
    first, second, third = made.rows(layout)
    assert first["bold"] == [f"sub-01/ses-1/func/sub-01_ses-1_task-rest_run-{n}_bold.nii.gz" for n in (1, 2)]
    assert first["t1w"] == ["sub-01/ses-1/anat/sub-01_ses-1_T1w.nii.gz"]
    assert (first["subject_id"], first["session_id"], first["age"], first["path"]) == ("sub-01", "ses-1", 35, "x")
    assert (second["session_id"], second["bold"], second["lesion_mask"]) == ("ses-2", None, None)
    assert (third["t1w"], third["age"]) == (None, None)
    assert third["lesion_mask"] == ["derivatives/masks/sub-02/ses-1/anat/sub-02_ses-1_desc-lesion_mask.nii.gz"]
    assert any("1 .json" in note and "1 .nii.gz" in note for note in layout.notes)


def test_scans_without_a_suffix_are_left_out_with_a_note(tree: Make) -> None:
    """A name such as `…_T1w_defaced` has no BIDS suffix: it makes no column, and does not vanish unsaid."""
    made = tree(blank("sub-1/anat/sub-1_T1w.nii.gz", "sub-1/anat/sub-1_T1w_defaced.nii.gz"))
    layout = of(made)
    assert list(layout.media) == ["t1w"]
    assert layout.notes == ("left out: 1 .nii.gz",)


def test_subjects_right_below_derivatives_are_one_kind_of_scan(tree: Make) -> None:
    """`derivatives/sub-01/…` names no pipeline, so the masks of all subjects are one column."""
    masks = [f"derivatives/sub-{n}/anat/sub-{n}_mask.nii.gz" for n in "123"]
    layout = of(made := tree(blank("sub-1/anat/sub-1_T1w.nii.gz", *masks)))
    assert layout.media == {"t1w": "nifti", "derivatives_mask": "nifti"}
    assert [row["derivatives_mask"] for row in made.rows(layout)] == [[mask] for mask in masks]


def test_a_bids_tree_without_sessions_is_a_row_a_subject(tree: Make) -> None:
    """Without sessions the subject is the key, and its two runs are a list."""
    made = tree(blank(*(f"sub-{n}/anat/sub-{n}_run-{run}_T1w.nii.gz" for n in "ab" for run in "12")))
    layout = of(made)
    assert (layout.key, layout.media) == (("subject_id",), {"t1w": ["nifti"]})
    assert [(row["subject_id"], len(row["t1w"])) for row in made.rows(layout)] == [("sub-a", 2), ("sub-b", 2)]


@pytest.mark.parametrize("people", ["participant_id\tage\nsub-01\t1\nsub-01\t2\n", "id\tage\nsub-01\t1\n", "a\tb\n1\n"])
def test_participants_that_would_multiply_rows_are_not_joined(tree: Make, people: str) -> None:
    """A participant named twice, or a table without ids, is left out with a note: no scan is doubled."""
    made = tree({**BRAIN, "participants.tsv": people})
    layout = of(made)
    assert layout.tables == {}
    assert len(made.rows(layout)) == 3
    assert any("not joined" in note for note in layout.notes)


def test_folders_of_splits_and_classes(tree: Make) -> None:
    """Split folders in their usual spellings and class folders become columns; class names are sorted."""
    made = tree(blank("data/train/dog/1.png", "data/train/cat/2.png", "data/Val/cat/3.jpg", "data/eval/dog/4.png"))
    layout = of(made)
    assert (layout.name, layout.media, layout.split) == ("folder", {"image": "image"}, {"column": "split"})
    assert layout.features == {"label": {"class_label": ["cat", "dog"]}}
    assert made.rows(layout) == [
        {"image": "data/Val/cat/3.jpg", "label": "cat", "split": "validation"},
        {"image": "data/eval/dog/4.png", "label": "dog", "split": "test"},
        {"image": "data/train/cat/2.png", "label": "cat", "split": "train"},
        {"image": "data/train/dog/1.png", "label": "dog", "split": "train"},
    ]


def test_one_split_folder_is_a_split(tree: Make) -> None:
    """When all files lie in `train`, that is their split and no class."""
    layout = of(made := tree(blank("train/1.png", "train/2.png")))
    assert made.rows(layout)[0] == {"image": "train/1.png", "split": "train"}
    assert layout.features == {}


def test_flat_files_are_one_split_without_classes(tree: Make) -> None:
    """Files in one folder are rows of `train`."""
    layout = of(made := tree(blank("pictures/1.png", "pictures/2.png")))
    assert layout.split == "train"
    assert made.rows(layout) == [{"image": "pictures/1.png"}, {"image": "pictures/2.png"}]


@pytest.mark.parametrize(
    ("paths", "said"),
    [
        (["cat/1.png", "dog/2.png", "dog/old/3.png", "dog/4.png"], "different depths"),
        (["a1/1.png", "a2/2.png", "a3/3.png"], "a folder of its own"),
    ],
)
def test_folders_that_are_no_classes_are_not_taken_for_such(tree: Make, paths: list[str], said: str) -> None:
    """Folders at several depths, or one a file, give no labels, and a note says so."""
    layout = of(made := tree(blank(*paths)))
    assert layout.features == {}
    assert any(said in note for note in layout.notes)
    assert [row["image"] for row in made.rows(layout)] == sorted(paths)


def test_what_is_left_out_is_counted(tree: Make) -> None:
    """Other media types, other files and files outside of split folders are in the notes, by extension."""
    made = tree(blank("train/1.png", "train/2.png", "test/3.png", "test/a.flac", "extra/4.png", "notes.txt"))
    layout = of(made)
    assert [row["image"] for row in made.rows(layout)] == ["test/3.png", "train/1.png", "train/2.png"]
    assert layout.notes == ("left out: 1 .flac, 1 .png, 1 .txt",)


def test_metadata_at_the_root(tree: Make) -> None:
    """`file_name` becomes the column of its media type, the others stay, split folders in the names are splits."""
    made = tree(
        {
            **blank("train/a.png", "val/b.png", "val/c.png"),
            "metadata.csv": "file_name,text,code\ntrain/a.png,an a,007\nval/b.png,a b,8\n",
        }
    )
    layout = of(made)
    assert (layout.tables, layout.media) == ({"metadata": "metadata.csv"}, {"image": "image"})
    assert made.rows(layout) == [
        {"image": "train/a.png", "text": "an a", "code": "007", "split": "train"},
        {"image": "val/b.png", "text": "a b", "code": "8", "split": "validation"},
    ]
    assert layout.notes == ("left out: 1 .png",)


def test_metadata_in_every_split_folder(tree: Make) -> None:
    """A table a split: paths count from its folder, columns are matched by name, order is table by table."""
    lines = [json.dumps({"file_name": "c.flac", "text": "see", "speaker": 1})]
    made = tree(
        {
            **blank("it's/test/a.flac", "it's/train/b.flac", "it's/train/c.flac"),
            "it's/test/metadata.jsonl": json.dumps({"text": "ay", "file_name": "a.flac"}),
            "it's/train/metadata.jsonl": "\n".join([*lines, json.dumps({"file_name": "b.flac", "text": "bee"})]),
        }
    )
    layout = of(made)
    assert layout.split == {"column": "split"}
    assert made.rows(layout) == [
        {"audio": "it's/test/a.flac", "text": "ay", "split": "test", "speaker": None},
        {"audio": "it's/train/c.flac", "text": "see", "split": "train", "speaker": 1},
        {"audio": "it's/train/b.flac", "text": "bee", "split": "train", "speaker": None},
    ]
    assert layout.notes == ()


def test_metadata_with_several_file_columns_and_lists(tree: Make) -> None:
    """`x_file_name` becomes `x`, `x_file_names` a list, each with its own type; a column of that name is kept."""
    record = {"audio_file_name": "a.flac", "scores_file_names": ["1.mid", "2.mid"], "audio": "loud", "split": "dev"}
    made = tree(
        {**blank("set/a.flac", "set/1.mid", "set/2.mid"), "set/metadata.jsonl": json.dumps(record)},
    )
    layout = of(made)
    assert layout.media == {"audio_2": "audio", "scores": ["midi"]}
    assert layout.split == {"column": "split"}
    assert made.rows(layout) == [
        {"audio_2": "set/a.flac", "scores": ["set/1.mid", "set/2.mid"], "audio": "loud", "split": "dev"}
    ]


def test_metadata_tells_what_does_not_fit(tree: Make) -> None:
    """Absent files, mixed types, second tables and tables without file names are in the notes."""
    made = tree(
        {
            **blank("a.png", "b.png", "c.flac"),
            "metadata.csv": "file_name\na.png\nb.png\nc.flac\ngone.png\n",
            "metadata.jsonl": '{"file_name": "a.png"}',
            "more/metadata.csv": "name\nx\n",
        }
    )
    layout = of(made)
    said = "\n".join(layout.notes)
    assert layout.tables == {"metadata": "metadata.jsonl"}
    assert "left out: metadata.csv, since metadata.jsonl lies beside it" in said
    assert "more/metadata.csv has no column file_name" in said
    (made.root / "metadata.jsonl").unlink()
    again = of(tree({path: (made.root / path).read_bytes() for path in ("a.png", "b.png", "c.flac", "metadata.csv")}))
    assert again.media == {"image": "image"}
    assert any("several types" in note and "audio" in note for note in again.notes)
    assert any(note.startswith("1 files that the metadata names") for note in again.notes)


TAKES = "take_id,audio,score,split\n7,./sound/a.flac,sheets/a.mid,train\n8,./sound/b.flac,,test\n"


def test_a_table_with_paths(tree: Make) -> None:
    """Columns whose values are listed paths are media; a unique id is the key, a full column `split` the split."""
    made = tree({**blank("sound/a.flac", "sound/b.flac", "sheets/a.mid"), "labels/takes.csv": TAKES})
    layout = of(made)
    assert (layout.name, layout.tables) == ("tables", {"takes": "labels/takes.csv"})
    assert (layout.media, layout.key) == ({"audio": "audio", "score": "midi"}, ("take_id",))
    assert layout.split == {"column": "split"}
    assert [row["take_id"] for row in made.rows(layout)] == [7, 8]


def test_paths_may_count_from_the_tables_folder(tree: Make) -> None:
    """Paths relative to the table, single or in lists, are put before the root by the query."""
    records = [{"id": "x", "frames": ["f/1.png", "f/2.png"], "sound": "f/1.flac"}]
    made = tree({**blank("set/f/1.png", "set/f/2.png", "set/f/1.flac"), "set/index.json": json.dumps(records)})
    layout = of(made)
    assert layout.media == {"frames": ["image"], "sound": "audio"}
    assert made.rows(layout) == [{"id": "x", "frames": ["set/f/1.png", "set/f/2.png"], "sound": "set/f/1.flac"}]


def test_other_tables_are_named_in_the_notes(tree: Make) -> None:
    """Tables that share the key are proposed for a join only where that multiplies no row; broken ones are named."""
    made = tree(
        {
            **blank("a.flac", "b.flac"),
            "takes.csv": "take_id,audio,split\n1,a.flac,train\n2,b.flac,\n",
            "scores.csv": "take_id,score\n1,5\n2,6\n",
            "strokes.csv": "take_id,at\n1,5\n1,6\n",
            "broken.csv": "a,b\n1\n",
        }
    )
    layout = of(made)
    said = "\n".join(layout.notes)
    assert (layout.key, layout.split) == (("take_id",), "train")
    assert "scores.csv has take_id too: add it under tables: and LEFT JOIN it USING (take_id)" in said
    assert "strokes.csv is not used" in said
    assert "not read: broken.csv" in said
    assert "1 rows have none" in said


def test_an_unrecognised_tree_says_why(tree: Make) -> None:
    """Without a layout there is a reason for each that was tried."""
    made = tree({"notes.txt": "x", "numbers.csv": "a\n1\n"})
    found = recognise(made.listing, made.open, TYPES)
    assert found.layout is None
    assert len(found.reasons) == 4
    assert any("numbers.csv" in reason for reason in found.reasons)


def test_the_folder_layout_alone(tree: Make) -> None:
    """`layout: folder` takes metadata or folders, whatever other tables lie about; or says why not."""
    made = tree({**blank("sound/a.flac", "sound/b.flac"), "takes.csv": "audio\nsound/a.flac\n"})
    assert the(folder.recognise(made.listing, made.open, TYPES)).rows.startswith("SELECT path AS audio")
    empty = tree({"notes.txt": "x"})
    found = folder.recognise(empty.listing, empty.open, TYPES)
    assert (found.layout, len(found.reasons)) == (None, 2)


def test_a_layout_says_itself_as_a_spec(tree: Make) -> None:
    """The keys are those of the grammar, without what is empty."""
    said = of(tree(BRAIN)).as_spec()
    assert list(said) == ["layout", "rows", "key", "split", "media"]
    assert said["key"] == ["subject_id", "session_id"]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (b"id,scan\n1,/data/scans/a.nii.gz\n", "`scan` of people.csv holds absolute or Windows paths"),
        (b"id,scan\n1,scans\\a.nii.gz\n", "`scan` of people.csv holds absolute or Windows paths"),
        (b"id;scan\n1;scans/a.nii.gz\n", "people.csv"),
        (b"id,age\n1,40\n", "no column of people.csv holds paths"),
    ],
)
def test_a_table_that_cannot_be_used_is_a_note(tmp_path: Path, table: bytes, said: str) -> None:
    """Where a table is there and another layout is taken, a note says why: nothing is passed over silently."""
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans/a.nii.gz").write_bytes(b"x")
    (tmp_path / "people.csv").write_bytes(table)
    found = init.recognise(tmp_path)
    assert found.name == "folder"
    assert any(note.startswith("tables: not used: ") and said in note for note in found.notes)
