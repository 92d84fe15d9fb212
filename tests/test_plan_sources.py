"""What a plan reads beside rows: the listing, layouts, files published as they are, and a look into the media."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from tests.planning import codes, plan_of, problem, put, rows_of

from sealift.errors import SourceError, SpecError
from sealift.plan.sample import probe_sample
from sealift.stores.local import LocalFolder
from sealift.tools import makers
from sealift.tools.check import check_rows

FILES: dict[str, bytes | int] = {"a.bin": b"a", "b/c.bin": b"bc", "d.bin": b"ddd"}
ROWS = [{"m": "a.bin"}, {"m": "b/c.bin"}, {"m": "d.bin"}]
MEDIA = {"m": "binary"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return put(tmp_path / "corpus", FILES)


# The listing as a table


def listing(**columns: list[Any]) -> pa.Table:
    return pa.table({"path": ["a.bin", "./b/c.bin", "d.bin"], "size": [1, 2, 3], **columns})


WRITERS: dict[str, Callable[[pa.Table, Path], None]] = {
    "parquet": lambda table, file: pq.write_table(table, file),
    "csv": lambda table, file: pyarrow.csv.write_csv(table, file),
}


WHEN = [datetime.datetime(2024, 5, day, tzinfo=datetime.UTC) for day in (1, 2, 3)]


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize(
    ("columns", "version"),
    [({}, None), ({"mtime": WHEN}, None), ({"etag": ["x", "y", "z"]}, "x"), ({"version": ["1a", "2a", "3a"]}, "1a")],
    ids=["nothing more", "mtime", "etag", "version"],
)
def test_the_listing_can_be_a_table(
    tmp_path: Path, root: Path, kind: str, columns: dict[str, list[Any]], version: str | None
) -> None:
    """Paths and sizes come from the table, versions where it has them; the identity is that of the files themselves.

    A time is no version: a table seldom keeps it to the nanosecond, and then no file would be the one that was listed.
    """
    file = tmp_path / f"listing.{kind}"
    WRITERS[kind](listing(**columns), file)
    made = plan_of(root, ROWS, media=MEDIA, listing=str(file))
    assert [row["m"]["size"] for row in rows_of(made)] == [1, 2, 3]
    assert rows_of(made)[0]["m"]["version"] == version
    assert made.ids == plan_of(root, ROWS, media=MEDIA).ids


def test_a_listing_needs_no_files(tmp_path: Path) -> None:
    """With a listing the plan does not look at the source: what is not listed is missing, what is listed is there."""
    pq.write_table(listing(), tmp_path / "listing.parquet")
    made = plan_of(
        put(tmp_path / "empty", {}), [*ROWS, {"m": "e.bin"}], media=MEDIA, listing=str(tmp_path / "listing.parquet")
    )
    assert (codes(made), problem(made, "media-missing").place) == (["media-missing"], "row 3 (e.bin)")


def test_sizes_that_cannot_be_are_empty(tmp_path: Path, root: Path) -> None:
    """A null or negative size in a listing is no file that could be read."""
    pq.write_table(listing().set_column(1, "size", pa.array([1, None, -5])), tmp_path / "listing.parquet")
    made = plan_of(root, ROWS, media=MEDIA, listing=str(tmp_path / "listing.parquet"))
    assert (codes(made), made.rejects) == (["media-empty"], 2)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda file: pq.write_table(pa.table({"path": ["a"]}), file), "size"),
        (lambda file: file.write_bytes(b"no parquet"), "listing"),
        (lambda file: None, "not there"),
    ],
)
def test_a_listing_that_is_none_is_a_mistake(
    tmp_path: Path, root: Path, make: Callable[[Path], None], said: str
) -> None:
    """A table without path and size, a broken one, or none at all, is named at `listing`."""
    make(tmp_path / "listing.parquet")
    with pytest.raises(SpecError, match=said) as caught:
        plan_of(root, ROWS, media=MEDIA, listing=str(tmp_path / "listing.parquet"))
    assert caught.value.fields["key"] == "listing"


def test_a_path_that_is_listed_twice_is_an_error(tmp_path: Path, root: Path) -> None:
    """Two entries of one path would make two rows of one: the listing is refused by the path."""
    pq.write_table(pa.concat_tables([listing(), listing()]), tmp_path / "listing.parquet")
    with pytest.raises(SourceError, match=r"names \S+ more than once"):
        plan_of(root, ROWS, media=MEDIA, listing=str(tmp_path / "listing.parquet"))


# Layouts


def test_a_layout_of_folders(tmp_path: Path) -> None:
    """`layout: folder` finds split and class in the folders; what the spec says itself goes before."""
    files: dict[str, bytes | int] = {
        f"{split}/{kind}/{number}.png": makers.png(makers.picture(number, 4, 4))
        for split in ("train", "test")
        for kind in ("cat", "dog")
        for number in range(3)
    }
    root = put(tmp_path / "pictures", files)
    made = plan_of(root, None, layout="folder")
    assert (made.splits, codes(made)) == (("train", "test"), [])
    assert made.features["label"] == {"names": ["cat", "dog"], "_type": "ClassLabel"}
    assert [(row["image"]["path"], row["label"]) for row in rows_of(made)][:4] == [
        ("train/cat/0.png", 0),
        ("train/cat/1.png", 0),
        ("train/cat/2.png", 0),
        ("train/dog/0.png", 1),
    ]
    assert "SELECT" in str(made.spec["rows"])
    assert plan_of(root, None, layout="folder", split="validation").splits == ("validation",)


def test_a_layout_of_scans(tmp_path: Path) -> None:
    """`layout: bids` gives `files` the entities of the names, and lists and nulls come out as cells."""
    names = ["sub-01/ses-1/anat/sub-01_ses-1_T1w.nii.gz"]
    names += [f"sub-0{s}/ses-1/func/sub-0{s}_ses-1_task-x_run-{r}_bold.nii.gz" for s in (1, 2) for r in (1, 2)]
    root = put(tmp_path / "scans", {name: name.encode() for name in names})
    rows = """SELECT 'sub-' || subject AS subject_id, list(path) FILTER (suffix = 'T1w') AS t1w,
              list(path ORDER BY path) FILTER (suffix = 'bold') AS bold FROM files GROUP BY subject ORDER BY 1"""
    made = plan_of(root, rows, layout="bids", key="subject_id", media={"t1w": "nifti", "bold": ["nifti"]})
    found = rows_of(made)
    assert [row["subject_id"] for row in found] == ["sub-01", "sub-02"]
    assert found[0]["t1w"]["path"] == names[0]
    assert found[1]["t1w"] is None
    assert [cell["path"] for cell in found[1]["bold"]] == names[3:]
    assert codes(made) == []


# Files beside the data


def test_files_beside_the_data(tmp_path: Path, root: Path) -> None:
    """`also:` finds its files, their sizes and their places; of tables also rows and columns."""
    pq.write_table(pa.table({"x": [1, 2], "y": ["a", "b"]}), root / "t.parquet")
    put(root, {"t.csv": b"p,q\n1,2\n"})
    made = plan_of(root, ROWS, media=MEDIA, also={"aux/": ["t.parquet", "./t.csv"], ".": "a.bin"})
    assert [(one.source, one.path, one.size, one.rows, one.columns) for one in made.also] == [
        ("t.parquet", "aux/t.parquet", (root / "t.parquet").stat().st_size, 2, ("x", "y")),
        ("t.csv", "aux/t.csv", 8, None, ("p", "q")),
        ("a.bin", "a.bin", 1, None, None),
    ]


@pytest.mark.parametrize("name", ["t.csv", "t.json", "t.parquet", "t.jsonl"])
def test_a_table_that_cannot_be_read_is_published_all_the_same(root: Path, name: str) -> None:
    """What lies beside the data is published as it is: a broken table is a warning, no more."""
    put(root, {name: b'"no table'})
    made = plan_of(root, ROWS, media=MEDIA, also={"aux": [name]})
    found = problem(made, "also-unread")
    assert (found.severity, found.place, made.also[0].size) == ("warning", name, 9)


@pytest.mark.parametrize(
    ("also", "said", "key"),
    [
        ({"aux": ["nope.csv"]}, "not at the source", "also.aux.0"),
        ({"aux": ["a.bin", "../secret"]}, "not at the source", "also.aux.1"),
        ({"aux": ["a.bin", "x/a.bin"]}, "another file", "also.aux.1"),
        ({"aux": ["a.bin"], "aux/a.bin": ["d.bin"]}, "another file", "also.aux/a.bin.0"),
        ({"../out": ["a.bin"]}, "no place", "also.../out"),
        ({"/out": ["a.bin"]}, "no place", "also./out"),
        ({".sealift": ["a.bin"]}, "no place", "also..sealift"),
        ({"data": ["a.bin"]}, "no place", "also.data"),
        ({".": ["README.md"]}, "no place", "also.."),
    ],
)
def test_a_file_beside_the_data_has_its_own_place(root: Path, also: dict[str, Any], said: str, key: str) -> None:
    """A file that is not there, or whose place is taken, outside, or ours, is a mistake at its place in the spec."""
    put(root, {"x/a.bin": b"x", "README.md": b"x"})
    with pytest.raises(SpecError, match=said) as caught:
        plan_of(root, ROWS, media=MEDIA, also=also)
    assert caught.value.fields["key"] == key


def test_a_link_out_of_the_source_is_not_published(tmp_path: Path, root: Path) -> None:
    """A link that leads out of the source is no file of it, beside the data neither."""
    put(tmp_path / "elsewhere", {"secret": b"s"})
    (root / "link.txt").symlink_to(tmp_path / "elsewhere" / "secret")
    with pytest.raises(SpecError, match="not at the source"):
        plan_of(root, ROWS, media=MEDIA, also={"aux": ["link.txt"]})


# A look into the media


def test_a_sample_is_looked_into(root: Path) -> None:
    """Files that are not what their column says are counted by reason, with one of them; good ones say nothing."""
    put(root, {f"{n}.flac": b"<html>no sound</html>" * 10 for n in range(5)})
    rows = [{"audio": f"{n}.flac"} for n in range(5)]
    made = plan_of(root, rows, media={"audio": "audio"})
    found = problem(probe_sample(made, LocalFolder(root)), "media-suspect")
    assert (found.count, found.place, found.severity) == (5, "0.flac", "warning")
    assert problem(probe_sample(made, LocalFolder(root), strict=True), "media-suspect").severity == "error"
    assert codes(probe_sample(plan_of(root, ROWS, media=MEDIA), LocalFolder(root))) == []


def test_files_that_went_away_are_one_problem(root: Path) -> None:
    """What went away or changed between listing and look is counted by reason, not file by file."""
    put(root, {f"{n}.bin": b"x" for n in range(10)})
    made = plan_of(root, [{"m": f"{n}.bin"} for n in range(10)], media=MEDIA)
    for number in range(6):
        (root / f"{number}.bin").unlink()
    (root / "7.bin").write_bytes(b"longer")
    found = [p for p in probe_sample(made, LocalFolder(root)).problems if p.code == "media-suspect"]
    assert sorted((p.count, p.message) for p in found) == [
        (1, "column `m`: it changed since it was listed (of 10 files looked into)"),
        (6, "column `m`: it cannot be read (of 10 files looked into)"),
    ]


def test_a_sample_lies_evenly_over_the_rows(root: Path) -> None:
    """Of many files about a thousand are looked into, from the first rows to the last ones and in every split."""
    rows = (
        [{"m": "a.bin", "s": "train"}] * 20_000
        + [{"m": "d.bin", "s": "train"}] * 20_000
        + [{"m": "b/c.bin", "s": "test"}]
    )
    made = plan_of(root, rows, media=MEDIA, split={"column": "s"})
    for name in FILES:
        (root / name).unlink()
    found = [p for p in probe_sample(made, LocalFolder(root)).problems if p.code == "media-suspect"]
    assert [p.count for p in found] == [501]


def test_some_rows_are_decoded(tmp_path: Path) -> None:
    """`--check` shows the first rows of each split in turn: plain values, decoded media, null, and what is broken."""
    pytest.importorskip("PIL")
    files = {"good.png": makers.png(makers.picture(1, 6, 8)), "bad.png": b"\x89PNG\r\n\x1a\n" + b"x" * 50}
    root = put(tmp_path / "pictures", files)
    rows = [
        {"id": "a", "image": ["good.png"], "text": "x" * 500, "s": "train"},
        {"id": "b", "image": ["bad.png"], "text": None, "s": "train"},
        {"id": "c", "image": [], "text": "short", "s": "test"},
    ]
    made = plan_of(root, rows, media={"image": "image"}, key="id", split={"column": "s"})
    found = check_rows(made, LocalFolder(root), 5)
    assert [key for key, _ in found] == ["a", "c", "b"]
    assert "8" in found[0][1]["image"]
    assert "6" in found[0][1]["image"]
    assert len(found[0][1]["text"]) == 120
    assert found[1][1]["image"] == "null"
    assert "CANNOT BE DECODED" in found[2][1]["image"]
    assert found[2][1]["text"] == "null"
    assert [key for key, _ in check_rows(made, LocalFolder(root), 2)] == ["a", "c"]
    assert check_rows(made, LocalFolder(root), 0) == []
