"""Paths, wherever they come from: tables, listings, manifests, links. None leads out of its root."""

from __future__ import annotations

import json
import ntpath
import os
import posixpath
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.planning import plan_of, problem, put

from sealift.errors import IntegrityError, SealiftError, SourceChanged, SourceError, SourceMissing
from sealift.model.entry import Entry
from sealift.model.manifest import Manifest, PublishedFile, read_manifest
from sealift.model.path import clashes, leads_out, unfit
from sealift.stores.local import LocalFolder
from sealift.stores.local_opened import HERE, Opener

HOSTILE = [
    "/etc/passwd",
    "../x",
    "a/../../x",
    "..",
    "..\\x",
    "a\\..\\..\\x",
    "\\\\host\\share",
    "C:\\x",
    "C:x",
    "a\0b",
    "a\nb",
    "a\x1b[2Jb",
    "\udcff",
    "",
    "a//b",
    "a/./b",
    "./a",
    "a/",
    ".git/config",
    "a/.GIT/hooks/post-checkout",
    "a/.git. ",
    "git~1/config",
    ".g\u200cit/config",
    "x" * 256,
    "x/" * 2100 + "x",
]
LETTERS = st.text(st.sampled_from("../\\:~ aAé\0\n"), max_size=12)


# What a path may be


@pytest.mark.parametrize("path", HOSTILE)
def test_hostile_paths_are_unfit(path: str) -> None:
    """What leads out, is git's, holds no plain names, or is too long for a disk can be no published file."""
    assert unfit(path)


@pytest.mark.parametrize("path", ["README.md", "data/a-00000-of-00001.parquet", "b c/é.csv", ".sealift/x", "a..b/c"])
def test_usual_paths_are_fit(path: str) -> None:
    """Spaces, letters of any language, dots within a name are no harm."""
    assert not unfit(path)


@given(LETTERS)
def test_a_fit_path_lies_below_any_root(path: str) -> None:
    """Joined to a folder and resolved by the rules of either kind of machine, it is below that folder."""
    if not unfit(path):
        assert posixpath.normpath(f"/root/{path}").startswith("/root/")
        assert ntpath.normpath(ntpath.join("D:\\root", path)).startswith("D:\\root\\")


@given(LETTERS)
def test_what_does_not_lead_out_lies_below_the_root(path: str) -> None:
    """At a source a path may hold what it likes; resolved, it is the root or below it."""
    if not leads_out(path):
        assert (posixpath.normpath(f"/root/{path}") + "/").startswith("/root/")


def test_names_that_are_one_elsewhere_clash() -> None:
    """Letters in another case, and é in one character or in two, are one name on many machines, for folders as well."""
    paths = ["data/a", "Data/b", "e/é", "e/e\u0301", "straße", "STRASSE", "x", "x", "x/y"]
    assert set(clashes(paths)) == {("data", "Data"), ("e/é", "e/e\u0301"), ("straße", "STRASSE")}


# What others' manifests say


def manifest_of(path: str, role: str = "also") -> bytes:
    return Manifest("p", {}, ("k",), {}, (), (), (PublishedFile(path, role, 1, "0" * 64),)).as_bytes()


@pytest.mark.parametrize("path", [one for one in HOSTILE if one.isprintable() or one.isascii()])
@pytest.mark.parametrize("kind", ["files", "shards"])
def test_a_manifest_with_a_hostile_path_is_damaged(path: str, kind: str) -> None:
    """Before any file is opened, deleted or taken over by its name."""
    shard = {"path": path, "config": "c", "split": "s"}
    said = json.loads(manifest_of("a/b")) | {"shards": [shard] if kind == "shards" else []}
    said["files"] = [said["files"][0] | {"path": path}] if kind == "files" else []
    with pytest.raises(IntegrityError, match="damaged"):
        read_manifest(json.dumps(said).encode())


@pytest.mark.parametrize(
    ("path", "role"),
    [
        ("README.md", "also"),
        (".gitattributes", "also"),
        (".gitattributes", "card"),
        (".sealift/manifest.json", "also"),
        (".sealift/manifest.json", "index"),
        (".sealift/x", "rejects"),
        ("data/x", "index"),
        ("data/x", "card"),
        ("README.md", "made-up"),
    ],
)
def test_a_manifest_takes_no_name_that_is_not_of_the_files_role(path: str, role: str) -> None:
    """Else an update would delete, say, `.gitattributes` as a table of an earlier publication."""
    with pytest.raises(IntegrityError, match="role"):
        read_manifest(manifest_of(path, role))


@pytest.mark.parametrize(
    ("path", "role"), [("README.md", "card"), (".sealift/rejects.parquet", "rejects"), ("a/b", "also")]
)
def test_a_manifest_with_its_own_names_is_read(path: str, role: str) -> None:
    """Each role has its place."""
    assert list(read_manifest(manifest_of(path, role)).paths()) == [path]


@pytest.mark.parametrize("data", [b"[" * 100_000, b'{"format": ' + b"9" * 5000 + b"}", b"\xff", b"null", b'{"a": 1}'])
def test_a_manifest_that_is_none_is_damaged(data: bytes) -> None:
    """Nesting, numbers and bytes that JSON's reader stumbles over are an integrity error, too."""
    with pytest.raises(IntegrityError):
        read_manifest(data)


# What tables and specs say


@pytest.mark.parametrize("path", ["..\\x.bin", "C:\\x.bin", "\\\\host\\x.bin", "a/../../x.bin", "/x.bin"])
def test_a_table_names_nothing_outside(tmp_path: Path, path: str) -> None:
    """A path in a media column that leads out, here or where readers are, is an error of the plan."""
    root = put(tmp_path / "corpus", {"a.bin": b"x"})
    made = plan_of(root, [{"id": 1, "file": "a.bin"}, {"id": 2, "file": path}], media={"file": "binary"})
    assert problem(made, "path-outside").count == 1


def test_a_file_beside_the_data_has_a_name_for_everybody(tmp_path: Path) -> None:
    """A name with control characters is refused before anything is published."""
    root = put(tmp_path / "corpus", {"two\nlines.txt": b"x"})
    made = plan_of(root, [{"id": 1}], also={"tables/": "two\nlines.txt"})
    assert problem(made, "path-unfit").severity == "error"


@pytest.mark.parametrize(
    ("also", "severity"),
    [
        ({"Tables/": "a.txt", "tables/": "b.txt"}, "warning"),
        ({".": "readme.md"}, "error"),
        ({".Sealift": "a.txt"}, "error"),
    ],
)
def test_names_that_differ_in_case_are_told(tmp_path: Path, also: dict[str, str], severity: str) -> None:
    """Side by side they are a warning; in the place of Sealift's own files, an error."""
    root = put(tmp_path / "corpus", {"a.txt": b"x", "b.txt": b"x", "readme.md": b"x"})
    assert problem(plan_of(root, [{"id": 1}], also=also), "paths-clash").severity == severity


def test_a_listing_names_nothing_outside(tmp_path: Path) -> None:
    """A listing that the user has may say what it likes: the source reads below its root alone."""
    put(tmp_path, {"secret": b"x"})
    root = put(tmp_path / "corpus", {"a.bin": b"x"})
    for path in ("../secret", f"{tmp_path}/secret", "a\0.bin", "b/../../secret"):
        with pytest.raises(SourceMissing):
            LocalFolder(root).read_into(Entry(path, 1), 0, memoryview(bytearray(1)))
        with pytest.raises(SourceMissing):
            LocalFolder(root).read_all([Entry(path, 1)], [memoryview(bytearray(1))])


# Links that are put there while it runs


def _as_it_was(path: Path, like: os.stat_result) -> None:
    os.utime(path, ns=(like.st_atime_ns, like.st_mtime_ns))


def _file_by_link(root: Path, outside: Path) -> None:
    (root / "f/1").unlink()
    (root / "f/1").symlink_to(outside / "1")


def _folder_by_link(root: Path, outside: Path) -> None:
    (root / "f").rename(root / "was")
    (root / "f").symlink_to(outside)


@pytest.mark.parametrize("swap", [_file_by_link, _folder_by_link])
@pytest.mark.parametrize("before", [0, 1, 2])
def test_a_link_that_takes_a_files_place_is_not_followed_out(
    tmp_path: Path, swap: Callable[[Path, Path], None], before: int
) -> None:
    """Though what it leads to has the size and time that were listed; wherever the file stands in a batch."""
    root = put(tmp_path / "root", {f"f/{number}": b"public" for number in range(3)} | {"g": b"public"})
    outside = put(tmp_path / "outside", {f"{number}": b"secret" for number in range(3)})
    listed = {path: (root / path).stat() for path in ("f/0", "f/1", "f/2", "g")}
    for number in range(3):
        _as_it_was(outside / str(number), listed[f"f/{number}"])
    names = [["f/1"], ["g", "f/1"], ["f/0", "f/2", "f/1"]][before]
    entries = [Entry(path, 6, str(listed[path].st_mtime_ns)) for path in names]
    swap(root, outside)
    held = bytearray(6 * len(entries))
    views = [memoryview(held)[at : at + 6] for at in range(0, len(held), 6)]
    with pytest.raises(SourceError):
        LocalFolder(root).read_all(entries, views)
    with pytest.raises(SourceError):
        LocalFolder(root).read_into(entries[-1], 0, views[-1])
    assert b"secret" not in held


@pytest.mark.parametrize("here", [HERE, "/nowhere"])
def test_it_is_known_where_an_open_file_lies(tmp_path: Path, here: str) -> None:
    """By what the system shows of it, or else by holding it against what its path leads to, below the root."""
    root = put(tmp_path / "root", {"f/0": b"0", "f/1": b"1"})
    put(tmp_path / "outside", {"2": b"2"})
    (root / "f/2").symlink_to(tmp_path / "outside/2")
    (root / "f/3").symlink_to("0")
    (root / "g").symlink_to(tmp_path / "outside")
    with Opener(str(root), here) as opener:
        for path in ("f/0", "f/1", "f/0", "f/3"):
            os.close(opener.open(path))
        for path in ("f/2", "g/2", "f/2", "g/2", "g/2", "../outside/2", "f/../../outside/2"):
            with pytest.raises(OSError, match="leads out"):
                opener.open(path)
        os.close(opener.open("f/1"))


def test_links_within_the_source_are_read(tmp_path: Path) -> None:
    """A link to a file or folder of the source is what it leads to, in any place of a batch; so is a root by a link."""
    root = put(tmp_path / "root", {"f/0": b"00", "f/1": b"11", ".git/annex/2": b"22"})
    (root / "f/2").symlink_to("../.git/annex/2")
    (root / "f/3").symlink_to(root / "f/1")
    (root / "g").symlink_to("f")
    (tmp_path / "way").symlink_to(root)
    names = ["f/2", "f/0", "f/2", "f/1", "f/3", "g/0", "g/2", "g/3"]
    held = bytearray(2 * len(names))
    views = [memoryview(held)[at : at + 2] for at in range(0, len(held), 2)]
    LocalFolder(tmp_path / "way").read_all([Entry(name, 2) for name in names], views)
    assert held == b"2200221111002211"


def test_a_pipe_that_takes_a_files_place_is_not_waited_for(tmp_path: Path) -> None:
    """Nothing would ever come out of it."""
    root = put(tmp_path / "root", {"a": b"x"})
    version = str((root / "a").stat().st_mtime_ns)
    (root / "a").unlink()
    os.mkfifo(root / "a")
    with pytest.raises((SourceMissing, SourceChanged)):
        LocalFolder(root).read_all([Entry("a", 1, version)], [memoryview(bytearray(1))])


def test_a_table_that_is_a_link_out_of_the_source_is_not_read(tmp_path: Path) -> None:
    """Nor one by a folder that is."""
    put(tmp_path / "outside", {"t.csv": b"a\n1\n"})
    root = put(tmp_path / "root", {"a": b"x"})
    (root / "t.csv").symlink_to(tmp_path / "outside/t.csv")
    (root / "f").symlink_to(tmp_path / "outside")
    for path in ("t.csv", "f/t.csv"):
        with pytest.raises(SealiftError), LocalFolder(root).local_file(path):
            pass


def _listing(tmp_path: Path, rows: list[dict[str, Any]]) -> Path:
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "listing.parquet")
    return tmp_path / "listing.parquet"


def test_a_file_beside_the_data_comes_from_the_source(tmp_path: Path) -> None:
    """Whatever a listing of the user's says: what lies elsewhere is not published."""
    put(tmp_path, {"secret.txt": b"x"})
    root = put(tmp_path / "corpus", {"a.bin": b"x"})
    listing = _listing(tmp_path, [{"path": "../secret.txt", "size": 1}])
    made = plan_of(root, [{"id": 1}], also={"t/": "../secret.txt"}, listing=str(listing))
    entry = Entry(made.also[0].source, made.also[0].size, made.also[0].version)
    with pytest.raises(SourceMissing):
        LocalFolder(root).read_into(entry, 0, memoryview(bytearray(1)))
