"""What every source promises, and what a folder promises besides. Another source inherits `SourceContract`."""

from __future__ import annotations

import os
import pickle
import threading
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from sealift.errors import RequestError, SealiftError, SourceChanged, SourceError, SourceMissing
from sealift.formats.ranged import whole
from sealift.model.entry import Entry, extension
from sealift.ports import LISTING, Source
from sealift.stores.local import LocalFolder

ODD = (
    "with space.bin",
    "it's.bin",
    'say "hi".bin',
    "two\nlines.bin",
    "ünï/ćödé.bin",
    "-rf.bin",
    "back\\slash.bin",
    "%41{x}*?.bin",
    "日本.flac",
)


class SourceContract(ABC):
    """The rules of `ports.Source`."""

    @abstractmethod
    def put(self, path: str, data: bytes) -> None:
        """Store an object, or replace it by a later version."""

    @abstractmethod
    def remove(self, path: str) -> None:
        """Delete an object."""

    @abstractmethod
    def source(self) -> Source:
        """The source that holds what was put."""

    def listed(self) -> list[dict[str, Any]]:
        return [row for batch in self.source().listing() for row in batch.to_pylist()]

    def entry(self, path: str) -> Entry:
        return next(Entry(row["path"], row["size"], row["version"]) for row in self.listed() if row["path"] == path)

    def test_lists_in_the_order_of_path_bytes(self) -> None:
        """The order is that of the whole path's bytes, so `a.b` comes before `a/b`, on every machine."""
        paths = ["a/b", "a.b", "a-b", "a0", "a/b.c/d", "B", "ab", "é", "a/é", "z/z/z", "a b/c"]
        for path in paths:
            self.put(path, b"x")
        assert [row["path"] for row in self.listed()] == sorted(paths, key=str.encode)

    def test_lists_what_the_schema_says(self) -> None:
        """Every batch has the schema LISTING; sizes are bytes; the extension is that of `model.entry`."""
        self.put("scans/A.NII.GZ", b"12345")
        self.put("none", b"")
        assert all(batch.schema == LISTING for batch in self.source().listing())
        assert [(row["path"], row["size"], row["readable"], row["extension"]) for row in self.listed()] == [
            ("none", 0, True, ""),
            ("scans/A.NII.GZ", 5, True, extension("scans/A.NII.GZ")),
        ]

    def test_lists_and_reads_odd_names(self) -> None:
        """A name is any UTF-8: spaces, quotes, line ends, dashes and backslashes are letters like others."""
        for path in ODD:
            self.put(path, path.encode())
        assert [row["path"] for row in self.listed()] == sorted(ODD, key=str.encode)
        for path in ODD:
            assert whole(self.source(), self.entry(path)) == path.encode()

    def test_an_empty_source_lists_nothing(self) -> None:
        """No objects, no records."""
        assert self.listed() == []

    def test_reads_by_range(self) -> None:
        """`read_into` fills the whole view from the offset on, and touches nothing else."""
        self.put("x", bytes(range(100)))
        held = bytearray(30)
        self.source().read_into(self.entry("x"), 42, memoryview(held)[10:25])
        assert held == bytes(10) + bytes(range(42, 57)) + bytes(5)

    @pytest.mark.parametrize("data", [b"longer than it was", b"short", b""])
    def test_another_size_is_a_change(self, data: bytes) -> None:
        """An entry whose size is not what was listed is SourceChanged, and the error names it."""
        self.put("x/y", b"ten bytes.")
        entry = self.entry("x/y")
        self.put("x/y", data)
        with pytest.raises(SourceChanged, match="x/y") as caught:
            self.source().read_into(entry, 0, memoryview(bytearray(4)))
        assert caught.value.fields["path"] == "x/y"
        assert caught.value.hint

    def test_another_version_is_a_change(self) -> None:
        """An entry of the same size but another version is SourceChanged."""
        self.put("x", b"before")
        entry = self.entry("x")
        self.put("x", b"after.")
        with pytest.raises(SourceChanged, match="x"):
            self.source().read_into(entry, 0, memoryview(bytearray(6)))

    def test_no_version_is_no_change(self) -> None:
        """An entry that states no version is held to its size alone."""
        self.put("x", b"before")
        self.put("x", b"after.")
        assert whole(self.source(), Entry("x", 6)) == b"after."

    def test_gone_is_missing(self) -> None:
        """An entry that is not there any more is SourceMissing, and the error names it."""
        self.put("x/y", b"data")
        entry = self.entry("x/y")
        self.remove("x/y")
        with pytest.raises(SourceMissing, match="x/y") as caught:
            self.source().read_into(entry, 0, memoryview(bytearray(4)))
        assert caught.value.fields["path"] == "x/y"

    def test_reads_many_whole(self) -> None:
        """`read_all` fills each view with its whole entry, an empty one, too, and touches nothing else."""
        for path, data in {"a": b"first", "b": b"", "c": b"third."}.items():
            self.put(path, data)
        held = bytearray(16)
        views = [memoryview(held)[start:end] for start, end in ((1, 6), (6, 6), (8, 14))]
        self.source().read_all([self.entry(path) for path in "abc"], views)
        assert held == b"\0first\0\0third.\0\0"

    @pytest.mark.parametrize(
        ("data", "error"),
        [(b"longer", SourceChanged), (b"no", SourceChanged), (b"same.", SourceChanged), (None, SourceMissing)],
    )
    def test_reads_many_or_says_which_changed(self, data: bytes | None, error: type[Exception]) -> None:
        """One entry among many that is longer, shorter, of another version or gone is an error that names it."""
        for path in "abc":
            self.put(path, b"data.")
        entries = [self.entry(path) for path in "abc"]
        if data is None:
            self.remove("b")
        else:
            self.put("b", data)
        with pytest.raises(error, match="b") as caught:
            self.source().read_all(entries, [memoryview(bytearray(5)) for _ in entries])
        assert isinstance(caught.value, SourceError)
        assert caught.value.fields["path"] == "b"

    def test_goes_along_to_a_worker(self) -> None:
        """A source survives pickling: what it becomes reads the same."""
        self.put("x", b"data")
        assert whole(pickle.loads(pickle.dumps(self.source())), self.entry("x")) == b"data"

    def test_gives_a_local_file(self) -> None:
        """`local_file` is a file on this machine with the entry's bytes."""
        self.put("t/table.csv", b"a,b\n")
        with self.source().local_file("t/table.csv") as file:
            assert Path(file).read_bytes() == b"a,b\n"

    @pytest.mark.parametrize("path", ["../x", "t/../../x", "/etc/hosts", "t\0x"])
    def test_gives_no_file_from_outside(self, path: str) -> None:
        """`local_file` never leads out of the source."""
        with pytest.raises(RequestError), self.source().local_file(path):
            pass

    @pytest.mark.parametrize("path", ["none", "t", "t/none"])
    def test_a_local_file_that_is_not_there_is_missing(self, path: str) -> None:
        """`local_file` of nothing, or of a folder, is SourceMissing."""
        self.put("t/table.csv", b"")
        with pytest.raises(SourceMissing), self.source().local_file(path):
            pass


class TestLocalFolder(SourceContract):
    """A folder, by the rules and with what only a file system has: links, rights, folders to pass over."""

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.root = tmp_path / "root"
        self.root.mkdir()
        self._clock = 1_700_000_000_000_000_000

    def put(self, path: str, data: bytes) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        self._clock += 1_000
        os.utime(file, ns=(self._clock, self._clock))

    def remove(self, path: str) -> None:
        (self.root / path).unlink()

    def source(self) -> LocalFolder:
        return LocalFolder(self.root)

    def link(self, path: str, to: str | Path) -> None:
        link = self.root / path
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(to)

    def paths(self, *exclude: Path) -> list[str]:
        return [
            path for batch in LocalFolder(self.root, exclude).listing() for path in batch.column("path").to_pylist()
        ]

    def test_follows_links_inside(self) -> None:
        """A link to a file or folder of the root is that file or folder; its size and version are the target's."""
        self.put("real/a.bin", b"12345")
        self.link("b.bin", "real/a.bin")
        self.link("folder", "real")
        assert [(row["path"], row["size"], row["readable"]) for row in self.listed()] == [
            ("b.bin", 5, True),
            ("folder/a.bin", 5, True),
            ("real/a.bin", 5, True),
        ]
        assert whole(self.source(), self.entry("b.bin")) == b"12345"

    def test_follows_links_into_the_annex(self) -> None:
        """The files of git-annex are links into `.git`, which itself is passed over."""
        self.put(".git/annex/objects/x/key", b"content")
        self.link("scans/a.nii.gz", "../.git/annex/objects/x/key")
        assert self.paths() == ["scans/a.nii.gz"]
        assert whole(self.source(), self.entry("scans/a.nii.gz")) == b"content"

    def test_a_link_out_of_the_root_is_not_readable(self, tmp_path: Path) -> None:
        """Nothing outside is published by a link: a file is listed as not readable, a folder is not looked into."""
        (tmp_path / "outside").mkdir()
        (tmp_path / "outside" / "secret").write_bytes(b"secret")
        self.link("file", tmp_path / "outside" / "secret")
        self.link("folder", tmp_path / "outside")
        assert [(row["path"], row["readable"]) for row in self.listed()] == [("file", False)]
        with pytest.raises(RequestError, match="link"), self.source().local_file("file"):
            pass

    def test_a_sibling_with_a_longer_name_is_outside(self, tmp_path: Path) -> None:
        """`root-2` does not lie in `root`, though its path begins so."""
        (tmp_path / "root-2").mkdir()
        (tmp_path / "root-2" / "file").write_bytes(b"x")
        self.link("file", tmp_path / "root-2" / "file")
        assert [row["readable"] for row in self.listed()] == [False]

    @pytest.mark.parametrize("to", ["nowhere", "loop", "../nowhere/at/all"])
    def test_a_link_to_nothing_is_not_listed(self, to: str) -> None:
        """A dangling link, or one to itself, is as good as no file."""
        self.put("a", b"x")
        self.link("loop", to)
        assert self.paths() == ["a"]

    @pytest.mark.parametrize("excluding", [False, True])
    @pytest.mark.parametrize("through_link", [False, True])
    def test_links_in_circles_end(self, tmp_path: Path, excluding: bool, through_link: bool) -> None:
        """A folder's link to one above it is passed over: every file comes once, however the root is reached."""
        self.put("a/b/file", b"x")
        self.link("a/b/up", "..")
        self.link("a/top", self.root)
        if through_link:
            (tmp_path / "way").symlink_to(self.root)
            self.root = tmp_path / "way"
        assert self.paths(*[tmp_path / "elsewhere"] * excluding) == ["a/b/file"]

    def test_folders_that_link_to_each_other_end(self) -> None:
        """Two folders that hold links to each other show each other's files once."""
        self.put("a/x", b"")
        self.put("b/y", b"")
        self.link("a/to", "../b")
        self.link("b/to", "../a")
        assert self.paths() == ["a/to/y", "a/x", "b/to/x", "b/y"]

    def test_passes_over_what_is_excluded(self) -> None:
        """The destination and the folder beside it do not belong to the source, however they are spelled."""
        for path in ("a", "out/data/x", ".out.sealift/staged/x", "outer/x"):
            self.put(path, b"")
        self.link("also", "out")
        assert self.paths(self.root / "b" / ".." / "out", self.root / ".out.sealift") == ["a", "outer/x"]

    def test_passes_over_pipes(self) -> None:
        """Only files are entries."""
        os.mkfifo(self.root / "pipe")
        self.put("a", b"")
        assert self.paths() == ["a"]

    @pytest.mark.parametrize("name", [b"\xff.bin", b"\xff/x.bin"])
    def test_names_that_are_not_utf8_are_an_error(self, name: bytes) -> None:
        """A name that no table can hold stops the listing, and is named."""
        file = Path(os.fsdecode(os.fsencode(self.root) + b"/" + name))
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(b"")
        with pytest.raises(SourceError, match="xff"):
            self.listed()

    def test_no_folder_is_an_error(self, tmp_path: Path) -> None:
        """A root that is missing, or a file, is named."""
        (tmp_path / "file").write_bytes(b"")
        for root in (tmp_path / "none", tmp_path / "file"):
            with pytest.raises(SourceError, match=root.name):
                list(LocalFolder(root).listing())

    def test_rights_are_respected(self) -> None:
        """Without the right to read, a file is listed as not readable, reading it is SourceMissing, and a folder that
        cannot be listed is an error that names it."""
        with TemporaryDirectory() as folder:  # another user may not look into pytest's own
            self.root = Path(folder)
            self.put("file", b"x")
            self.put("folder/x", b"x")
            os.chmod(self.root / "file", 0)
            said = self.seen_without_rights()
        assert said == "[False] SourceMissing SourceError"

    def seen_without_rights(self) -> str:
        def look() -> str:
            readable = [row["readable"] for row in self.listed() if row["path"] == "file"]
            os.chmod(self.root / "folder", 0)
            return f"{readable} {_refusal(lambda: self.read('file'))} {_refusal(self.listed)}"

        return _without_rights(look, self.root)

    def read(self, path: str) -> bytes:
        return whole(self.source(), Entry(path, 1))

    def test_a_touched_file_is_changed(self) -> None:
        """The modification time in nanoseconds is the version: the same bytes at another time count as changed."""
        self.put("x", b"data")
        entry = self.entry("x")
        os.utime(self.root / "x", ns=(0, int(entry.version or 0) + 1))
        with pytest.raises(SourceChanged, match="modified"):
            whole(self.source(), entry)

    def test_a_change_while_it_is_read_is_noticed(self) -> None:
        """A large file that is written to between two of its slices is SourceChanged at the next."""
        self.put("x", bytes(100))
        entry = self.entry("x")
        view = memoryview(bytearray(100))
        self.source().read_into(entry, 0, view[:50])
        with open(self.root / "x", "r+b") as file:
            file.write(b"changed")
        with pytest.raises(SourceChanged):
            self.source().read_into(entry, 50, view[50:])

    def test_a_change_while_a_slice_is_read_is_noticed(self) -> None:
        """A file that somebody writes to all the time never reads as whole and unchanged."""
        self.put("x", bytes(8 << 20))
        entry = self.entry("x")
        done, begun = threading.Event(), threading.Event()

        def write() -> None:
            with open(self.root / "x", "r+b") as file:
                while not done.is_set():
                    file.seek(0)
                    file.write(bytes(8 << 20))
                    begun.set()

        writer = threading.Thread(target=write)
        writer.start()
        begun.wait()
        try:
            with pytest.raises(SourceChanged):
                self.source().read_into(entry, 0, memoryview(bytearray(entry.size)))
        finally:
            done.set()
            writer.join()

    def test_versions_do_not_depend_on_the_place(self, tmp_path: Path) -> None:
        """The listing is relative to the root: the same files elsewhere, with the same times, list the same."""
        self.put("a/x", b"data")
        there = self.listed()
        self.root = self.root.rename(tmp_path / "moved")
        assert self.listed() == there


def _refusal(call: Callable[[], object]) -> str:
    try:
        call()
    except SealiftError as error:
        return type(error).__name__
    return "nothing refused"


def _without_rights(call: Callable[[], str], owned: Path) -> str:
    """What the call says in a process of a user who is not root; for root no file is unreadable."""
    nobody = 65534
    if os.geteuid() == 0:
        for path in (owned, owned / "folder", owned / "file"):
            os.chown(path, nobody, nobody)
    out, into = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a fork beside threads: the child only looks at files
        child = os.fork()
    if not child:
        try:
            if os.geteuid() == 0:
                os.setresgid(nobody, nobody, nobody)
                os.setresuid(nobody, nobody, nobody)
            os.write(into, call().encode())
        finally:
            os._exit(0)
    os.close(into)
    os.waitpid(child, 0)
    with open(out, "rb") as said:
        return said.read().decode()
