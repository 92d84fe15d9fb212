"""What every destination promises, and what a folder promises besides. Another one inherits `DestinationContract`."""

from __future__ import annotations

import hashlib
import os
import pickle
import resource
import shutil
import signal
import subprocess
import sys
import textwrap
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from sealift.errors import ContentMissing, DestinationError, IntegrityError, SourceMissing
from sealift.formats.ranged import whole
from sealift.model.entry import Entry
from sealift.ports import LISTING, Destination, Sink, Staged
from sealift.stores.local_destination import LocalDestination

KILL = "os.kill(os.getpid(), signal.SIGKILL)"
FAIL = "raise PermissionError(errno.EACCES, 'no right to', args[0])"
CHANGE_STEPS = 17
"""So many has the commit of the test that is killed where files become folders, and folders files."""


class Broken(Exception):
    """What goes wrong in a test while a file is staged."""


class DestinationContract(ABC):
    """The rules of `ports.Destination`."""

    @abstractmethod
    def opened(self) -> AbstractContextManager[Destination]:
        """The destination, to be used with `with`; the same one each time."""

    @abstractmethod
    def lose(self, destination: Destination) -> None:
        """Let all that is staged and not committed be gone."""

    def published(self) -> dict[str, bytes]:
        with self.opened() as destination:
            return contents(destination)

    def test_is_empty_at_first(self) -> None:
        """A destination that is not there yet lists nothing."""
        assert self.published() == {}

    def test_lists_by_the_schema(self) -> None:
        """Listings of a destination are those of a source: the schema, and the order of path bytes."""
        with self.opened() as destination:
            put(destination, {"a/b": b"1", "a.b": b"22"})
            batches = list(destination.listing())
        assert all(batch.schema == LISTING for batch in batches)
        assert [path for batch in batches for path in batch.column("path").to_pylist()] == ["a.b", "a/b"]

    def test_nobody_sees_what_is_staged(self) -> None:
        """Staged files are not listed, and are gone when the destination is left without a commit."""
        with self.opened() as destination:
            destination.prepare()
            destination.stager.stage("data/x", writing(b"staged"))
            assert contents(destination) == {}
        assert self.published() == {}

    def test_commits_under_the_final_paths(self) -> None:
        """A commit makes each staged file visible under its final path, with the bytes that were written."""
        with self.opened() as destination:
            destination.prepare()
            pieces = (b"one", bytearray(b"two"), memoryview(b"three"))
            staged = [
                destination.stager.stage(f"staged-{number}", writing(*pieces, str(number).encode()))
                for number in range(3)
            ]
            destination.commit({f"data/{number}": staged[number] for number in range(3)}, [], "three files")
        assert self.published() == {f"data/{number}": b"onetwothree%d" % number for number in range(3)}

    def test_replaces_and_deletes_together(self) -> None:
        """A commit overwrites what has the same path, deletes what it is told to, and leaves the rest."""
        with self.opened() as destination:
            put(destination, {"a/old": b"1", "a/same": b"2", "b/stays": b"3"})
            put(destination, {"a/same": b"new"}, delete=["a/old"])
            assert contents(destination) == {"a/same": b"new", "b/stays": b"3"}
        assert self.published() == {"a/same": b"new", "b/stays": b"3"}

    def test_a_file_becomes_a_folder(self) -> None:
        """A commit may delete a file and bring others into a folder of its name."""
        with self.opened() as destination:
            put(destination, {"data": b"a file", "stays": b"1"})
            put(destination, {"data/x": b"2", "data/deep/y": b"3"}, delete=["data"])
            assert contents(destination) == {"data/x": b"2", "data/deep/y": b"3", "stays": b"1"}
        assert self.published() == {"data/x": b"2", "data/deep/y": b"3", "stays": b"1"}

    def test_a_folder_becomes_a_file(self) -> None:
        """A commit may delete all that is in a folder and bring a file of its name."""
        with self.opened() as destination:
            put(destination, {"data/x": b"1", "data/deep/y": b"2", "stays": b"3"})
            put(destination, {"data": b"a file"}, delete=["data/deep/y", "data/x"])
            assert contents(destination) == {"data": b"a file", "stays": b"3"}
        assert self.published() == {"data": b"a file", "stays": b"3"}

    @pytest.mark.parametrize(("there", "comes"), [("data", "data/x"), ("data/x", "data")])
    def test_what_stays_is_not_pushed_aside(self, there: str, comes: str) -> None:
        """A file where a folder would have to be, or the other way round, that is not to be deleted: DestinationError,
        and nothing is changed."""
        with self.opened() as destination:
            put(destination, {there: b"1", "a": b"old", "gone": b"2"})
            with pytest.raises(DestinationError, match="data"):
                put(destination, {"a": b"new", comes: b"3"}, delete=["gone"])
        assert self.published() == {there: b"1", "a": b"old", "gone": b"2"}

    def test_what_comes_is_not_deleted(self) -> None:
        """A file that is both to come and to be deleted is the new one."""
        with self.opened() as destination:
            put(destination, {"a": b"old", "b": b"old"})
            put(destination, {"a": b"new"}, delete=["a", "b"])
        assert self.published() == {"a": b"new"}

    def test_deleting_what_is_not_there_is_no_mistake(self) -> None:
        """Repeating a commit's deletions changes nothing."""
        with self.opened() as destination:
            put(destination, {"a": b"1"}, delete=["none", "b/none"])
        assert self.published() == {"a": b"1"}

    def test_a_file_that_fails_is_discarded(self) -> None:
        """What `write` raises comes out as it was, and the file is discarded."""

        def breaking(sink: Sink) -> None:
            sink.write(b"half")
            raise Broken

        with self.opened() as destination:
            destination.prepare()
            with pytest.raises(Broken):
                destination.stager.stage("data/x", breaking)
            put(destination, {"y": b"whole"})
            assert contents(destination) == {"y": b"whole"}

    def test_staging_again_replaces(self) -> None:
        """A file that is staged twice is the later one: a shard may be packed again."""
        with self.opened() as destination:
            put(destination, {"x": b"first, and longer"}, commit=False)
            put(destination, {"x": b"second"})
        assert self.published() == {"x": b"second"}

    def test_the_stager_goes_along_to_a_worker(self) -> None:
        """What a worker stages with a copy of the stager, the driver commits."""
        with self.opened() as destination:
            destination.prepare()
            stager = pickle.loads(pickle.dumps(destination.stager))
            staged = pickle.loads(pickle.dumps(stager.stage("x", writing(b"from a worker"))))
            destination.commit({"x": staged}, [], "from a worker")
        assert self.published() == {"x": b"from a worker"}

    @pytest.mark.parametrize("hold", [False, True])
    def test_reads_back_what_is_staged(self, hold: bool) -> None:
        """Any range of a staged file can be read before it is committed; beyond its end is IntegrityError."""
        data = bytes(range(256)) * 400
        with self.opened() as destination:
            destination.prepare()
            staged = destination.stager.stage("data/x", writing(data[:1_000], data[1_000:]), hold=hold)
            assert (staged.path, staged.size) == ("data/x", len(data))
            assert staged.sha256 in (None, hashlib.sha256(data).hexdigest())
            for offset, size in ((0, 4), (999, 2_000), (len(data) - 8, 8)):
                held = bytearray(size)
                destination.stager.read_back(staged, offset, memoryview(held))
                assert held == data[offset : offset + size]
            with pytest.raises(IntegrityError):
                destination.stager.read_back(staged, len(data) - 4, memoryview(bytearray(8)))

    def test_held_files_are_committed_like_others(self) -> None:
        """A file that may stay in memory until the commit arrives as any other, an empty one too."""
        files = {"README.md": b"# words\n", "small.parquet": b"PAR1", "empty.txt": b"", "large.bin": bytes(3 << 20)}
        with self.opened() as destination:
            destination.prepare()
            held = {path: destination.stager.stage(path, writing(data), hold=True) for path, data in files.items()}
            destination.commit(held, [], "held files")
            assert contents(destination) == files
        assert self.published() == files

    def test_says_what_it_is(self) -> None:
        """It has a name, a folder for the run's own files that goes with it, and a revision that a commit moves on."""
        with self.opened() as destination:
            assert destination.name
            destination.work.mkdir(parents=True, exist_ok=True)
            put(destination, {"x": b"1"})
            first = destination.revision
            put(destination, {"x": b"2"})
            second = destination.revision
            assert (first is None) == (second is None)
            assert first is None or first != second
            destination.refresh()
            assert destination.revision == second
        assert not destination.work.exists()

    def test_what_is_gone_is_named_before_anything_changes(self) -> None:
        """A staged file that is not there any more: ContentMissing by the path it was staged under, and nothing is
        changed. Sent again, with no regard to what is remembered of it, it can be committed."""
        with self.opened() as destination:
            put(destination, {"old": b"1"})
            files = stage(destination, {"a": b"new a", "b": b"new b"})
            assert destination.missing(files.values()) == []
            self.lose(destination)
            assert destination.missing(files.values()) in (["a", "b"], [])  # as far as it says
            with pytest.raises(ContentMissing) as caught:
                destination.commit({f"data/{path}": file for path, file in files.items()}, ["old"], "two files")
            assert caught.value.fields["paths"] == ["a", "b"]
            assert contents(destination) == {"old": b"1"}
            destination.mistrust()
            put(destination, {"a": b"new a", "b": b"new b"}, delete=["old"])
        assert self.published() == {"a": b"new a", "b": b"new b"}

    def test_what_is_pinned_is_committed_like_others(self) -> None:
        """Pinning shows nothing to anybody, and can be repeated, as its end can; what it says where content may be
        collected is a place for people."""
        with self.opened() as destination:
            destination.prepare()
            files = stage(destination, {"a": b"1", "b": b"2"})
            where = destination.pin({"a": files["a"]})
            assert destination.pin(files) == where
            if where is not None:
                self.lose(destination)
            assert contents(destination) == {}
            destination.commit(files, [], "two files")
            destination.unpin()
            destination.unpin()
        assert self.published() == {"a": b"1", "b": b"2"}

    def test_finds_the_commit_of_its_job(self) -> None:
        """Where there is a history: what came after the revision that is given."""
        with self.opened() as destination:
            destination.prepare()
            base = destination.revision
            assert destination.landed(base) is None
            put(destination, {"x": b"1"})
            assert destination.landed(base) == destination.revision
            assert destination.landed(destination.revision) is None

    def test_reads_what_is_published(self) -> None:
        """`read_into` reads published files by range; what is not there is SourceMissing."""
        with self.opened() as destination:
            put(destination, {"x": bytes(range(50))})
            held = bytearray(10)
            destination.read_into(Entry("x", 50), 20, memoryview(held))
            assert held == bytes(range(20, 30))
            with pytest.raises(SourceMissing):
                destination.read_into(Entry("y", 50), 20, memoryview(held))


def put(destination: Destination, files: dict[str, bytes], delete: Any = (), *, commit: bool = True) -> None:
    """Stage the files under their own paths and commit them."""
    destination.prepare()
    staged = stage(destination, files)
    if commit:
        destination.commit(staged, delete, f"{len(files)} files")


def stage(destination: Destination, files: dict[str, bytes]) -> dict[str, Staged]:
    """The files, staged under their own paths."""
    return {path: destination.stager.stage(path, writing(data)) for path, data in files.items()}


def writing(*pieces: bytes | bytearray | memoryview) -> Callable[[Sink], None]:
    """What writes these pieces, as often as it is asked to."""

    def write(sink: Sink) -> None:
        for piece in pieces:
            sink.write(piece)

    return write


def contents(destination: Destination) -> dict[str, bytes]:
    """Every published file."""
    found = [row for batch in destination.listing() for row in batch.to_pylist()]
    return {row["path"]: whole(destination, Entry(row["path"], row["size"])) for row in found}


class TestLocalDestination(DestinationContract):
    """A folder: nothing half under a final name, one process at a time, and what a killed one left is no obstacle."""

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.root = tmp_path / "new" / "out"
        self.beside = tmp_path / "new" / ".out.sealift"

    def opened(self) -> LocalDestination:
        return LocalDestination(self.root)

    def kept(self) -> LocalDestination:
        """For those who go on."""
        return LocalDestination(self.root, keep=True)

    def lose(self, destination: Destination) -> None:
        shutil.rmtree(self.beside / "staged")

    def test_leaves_nothing_beside(self) -> None:
        """Once the destination is left, with an error or without, the folder beside it is gone."""
        with self.opened() as destination:
            assert destination.beside == self.beside
            put(destination, {"x": b"1"}, commit=False)
        assert list(self.beside.parent.iterdir()) == []
        with pytest.raises(Broken), self.opened():
            raise Broken
        assert list(self.beside.parent.iterdir()) == []

    def test_a_file_has_its_staged_name_when_it_is_whole(self) -> None:
        """While it is written it has another name, so that half a file is never taken for a whole one."""
        with self.opened() as destination:
            there = []

            def write(sink: Sink) -> None:
                sink.write(b"half")
                there.append((self.beside / "staged" / "data" / "x").exists())

            destination.stager.stage("data/x", write)
            assert there == [False]
            assert (self.beside / "staged" / "data" / "x").read_bytes() == b"half"

    def test_only_one_process_publishes(self) -> None:
        """A second one is refused with the name of the folder, and disturbs nothing."""
        with self.opened() as first:
            put(first, {"x": b"1"}, commit=False)
            with pytest.raises(DestinationError, match=r"another process is publishing to .*out"), self.opened():
                pass
            put(first, {"x": b"1"})
        assert self.published() == {"x": b"1"}

    def test_a_killed_process_leaves_nothing_in_the_way(self) -> None:
        """Its lock is no lock, and what it staged is cleaned away by the next."""
        killed(
            f"""
            destination = LocalDestination(Path({str(self.root)!r}))
            destination.__enter__()

            def write(sink):
                sink.write(b"half")
                os.kill(os.getpid(), signal.SIGKILL)

            destination.stager.stage("data/x", lambda sink: sink.write(b"whole"))
            destination.stager.stage("data/y", write)
            """
        )
        assert (self.beside / "lock").exists()
        assert {file.name for file in (self.beside / "staged" / "data").iterdir()} == {"x", "y.part"}
        with self.opened() as destination:
            assert list(self.beside.iterdir()) == [self.beside / "lock"]
            assert contents(destination) == {}

    def test_what_is_staged_is_kept_for_those_who_go_on(self) -> None:
        """Left by an error or killed, whole files are there for the next one, and half ones are not; what the run kept
        for itself is gone."""
        with pytest.raises(Broken), self.kept() as destination:
            destination.work.mkdir()
            staged = stage(destination, {"data/a": b"whole"})
            raise Broken
        assert {file.name for file in self.beside.iterdir()} == {"staged"}
        killed(
            f"""
            destination = LocalDestination(Path({str(self.root)!r}), keep=True)
            destination.__enter__()

            def write(sink):
                sink.write(b"half")
                os.kill(os.getpid(), signal.SIGKILL)

            destination.stager.stage("other/y", write)
            """
        )
        with self.kept() as destination:
            there = [path.name for path in (self.beside / "staged").rglob("*") if path.is_file()]
            assert (there, destination.missing(staged.values())) == (["a"], [])
            destination.commit({"final": staged["data/a"]}, [], "gone on")
        assert self.published() == {"final": b"whole"}
        assert not self.beside.exists()

    def test_what_no_commit_names_is_not_kept_after_it(self) -> None:
        """A commit ends what was staged for it, also that of an earlier run that is not needed; and nothing is kept
        for those who do not go on."""
        with self.kept() as destination:
            stage(destination, {"leftover": b"1"})
        with self.kept() as destination:
            put(destination, {"x": b"2"})
            assert not (self.beside / "staged").exists()
            stage(destination, {"leftover": b"1"})
        with self.opened() as destination:
            assert not (self.beside / "staged").exists()
        assert not self.beside.exists()

    def test_who_needs_nothing_more_leaves_nothing(self) -> None:
        """A job that ends without a commit, since all is there, says so: what it staged goes."""
        with self.kept() as destination:
            stage(destination, {"leftover": b"1"})
            destination.unpin()
        assert not self.beside.exists()

    @pytest.mark.parametrize("mode", [0o755, 0o777, None])
    def test_what_is_staged_is_private_until_it_is_published(self, mode: int | None) -> None:
        """Nobody else may look beside, whoever made that folder; what is published has the modes that files have."""
        before = os.umask(0o022)
        try:
            if mode is not None:
                self.beside.mkdir(parents=True)
                self.beside.chmod(mode)
            with self.opened() as destination:
                staged = stage(destination, {"data/x": b"1"})
                assert self.beside.stat().st_mode & 0o777 == 0o700
                destination.commit(staged, [], "x")
        finally:
            os.umask(before)
        assert (self.root / "data" / "x").stat().st_mode & 0o777 == 0o644
        assert (self.root / "data").stat().st_mode & 0o777 == 0o755

    @pytest.mark.parametrize("steps", range(6))
    def test_a_commit_that_was_killed_is_finished(self, steps: int) -> None:
        """A commit is decided before its first step, of three renames, one deletion and the end of the decision:
        killed after any of them, the next process does the rest."""
        with self.opened() as destination:
            put(destination, {"a": b"old", "gone/b": b"old", "stays": b"old"})
        interrupted(self.root, KILL, ("os.rename", "os.remove"), steps, ["a", "c/d", "e"], ["gone/b"])
        assert (self.root / "stays").read_bytes() == b"old"
        assert (self.root / "a").read_bytes() == (b"new a" if steps else b"old")
        assert self.published() == {"a": b"new a", "c/d": b"new c/d", "e": b"new e", "stays": b"old"}
        assert not (self.root / "gone").exists()
        assert not self.beside.exists()

    @pytest.mark.parametrize("steps", range(CHANGE_STEPS + 1))
    def test_a_change_between_file_and_folder_that_was_killed_is_finished(self, steps: int) -> None:
        """So it is where a file becomes a folder and a folder a file. Killed before any step, each file is old, new or
        gone, and what nothing waits for goes last."""
        old = ["a", "file", "folder/deep/x", "folder/y", "gone/deep/b", "stays"]
        new = ["a", "file/in/z", "folder", "e"]
        with self.opened() as destination:
            put(destination, {path: b"old " + path.encode() for path in old})
        events = ("os.rename", "os.remove", "os.rmdir")
        interrupted(self.root, KILL, events, steps, new, ["file", "folder/deep/x", "folder/y", "gone/deep/b"])
        assert (self.beside / "commit.json").exists() == (steps < CHANGE_STEPS)
        found = files_below(self.root)
        whole = {path: {b"old " + path.encode()} for path in old} | {path: {b"new " + path.encode()} for path in new}
        whole["a"].add(b"old a")
        assert all(data in whole[path] for path, data in found.items())
        assert found["stays"] == b"old stays"
        assert "gone/deep/b" in found or found.keys() >= {*new}
        assert self.published() == {path: b"new " + path.encode() for path in new} | {"stays": b"old stays"}
        assert sorted(path.name for path in self.root.iterdir()) == ["a", "e", "file", "folder", "stays"]
        assert not self.beside.exists()

    @pytest.mark.parametrize("steps", range(4))
    def test_a_commit_that_failed_is_finished(self, steps: int) -> None:
        """If a rename or a deletion fails, what was staged is kept, and the next run goes on once the cause is
        mended."""
        with self.opened() as destination:
            put(destination, {"a": b"old", "gone/b": b"old"})
        interrupted(self.root, FAIL, ("os.rename", "os.remove"), steps, ["a", "c/d", "e"], ["gone/b"])
        assert (self.beside / "commit.json").exists()
        assert self.published() == {"a": b"new a", "c/d": b"new c/d", "e": b"new e"}
        assert not self.beside.exists()

    @pytest.mark.parametrize(("stranger", "comes"), [("data", "data/x"), ("data/deep/s", "data")])
    def test_what_comes_in_the_way_of_a_decided_commit_is_named(self, stranger: str, comes: str) -> None:
        """If another creates a file in the way of a commit that was decided, the next run comes as far as that, names
        it and leaves it; once it is moved away, the run after goes on."""
        interrupted(self.root, KILL, ("os.rename",), 0, ["a", comes], [])
        (self.root / stranger).parent.mkdir(parents=True, exist_ok=True)
        (self.root / stranger).write_bytes(b"another's")
        for _ in range(2):
            with pytest.raises(DestinationError, match=f"in the way.*: {stranger}\n.*move them away"), self.opened():
                pass
            assert files_below(self.root) == {"a": b"new a", stranger: b"another's"}
        (self.root / stranger).unlink()
        assert self.published() == {"a": b"new a", comes: b"new " + comes.encode()}
        assert not self.beside.exists()

    @pytest.mark.parametrize("data_is_there", [True, False])
    def test_a_decision_has_this_form(self, data_is_there: bool) -> None:
        """What an earlier version decided, and could not end where a file was to become a folder, is ended: whether
        or not that file is still there."""
        with self.opened() as destination:
            put(destination, {"a": b"old", "data": b"old"} if data_is_there else {"a": b"old"})
        (self.beside / "staged" / "data").mkdir(parents=True)
        (self.beside / "staged" / "data" / "x").write_bytes(b"new")
        (self.beside / "commit.json").write_text('{"rename": {"b": "b", "data/x": "data/x"}, "delete": ["data", "a"]}')
        assert self.published() == {"data/x": b"new"}
        assert not self.beside.exists()

    def test_what_is_in_the_way_is_refused_before_the_decision(self) -> None:
        """All that is not to be deleted and stands where a new file or its folder must be is named, a link, too;
        nothing was changed, and there is nothing to finish."""
        with self.opened() as destination:
            put(destination, {"file": b"1", "folder/ours": b"2", "folder/theirs": b"3", "real/x": b"4"})
            (self.root / "folder" / "link").symlink_to("../real")
            (self.root / "nowhere").symlink_to("none")
            before = files_below(self.root)
            new = {"a": b"5", "file/x": b"6", "folder": b"7", "nowhere/x": b"8"}
            with pytest.raises(DestinationError, match=r"in the way") as caught:
                put(destination, new, delete=["folder/ours", "real/x"])
            assert caught.value.fields["paths"] == ["file", "folder/link", "folder/theirs", "nowhere"]
            assert files_below(self.root) == before
        assert not self.beside.exists()

    def test_new_files_that_exclude_each_other_are_refused(self) -> None:
        """A commit cannot bring both a file and others into a folder of its name."""
        with self.opened() as destination:
            put(destination, {"a": b"old"})
            staged = [destination.stager.stage(name, writing(name.encode())) for name in ("0", "1")]
            with pytest.raises(DestinationError, match=r"in the way.*: data\n"):
                destination.commit({"data": staged[0], "data/x": staged[1]}, ["a"], "both")
        assert self.published() == {"a": b"old"}

    def test_folders_without_files_are_not_in_the_way(self) -> None:
        """A file may come where a folder is in which there are only folders: a Hub would not have it at all."""
        (self.root / "data" / "empty").mkdir(parents=True)
        with self.opened() as destination:
            put(destination, {"data": b"1"})
        assert self.published() == {"data": b"1"}

    def test_a_link_to_a_folder_is_replaced_itself(self) -> None:
        """A file that comes where a link to a folder is takes the link's place: what the link leads to stays."""
        with self.opened() as destination:
            put(destination, {"real/x": b"1"})
            (self.root / "data").symlink_to("real")
            assert contents(destination) == {"data/x": b"1", "real/x": b"1"}
            put(destination, {"data": b"2"}, delete=["data/x"])
        assert self.published() == {"data": b"2", "real/x": b"1"}

    def test_folders_that_deletions_leave_empty_go(self) -> None:
        """Deleting the last file of a folder removes the folder; one that holds other things stays."""
        with self.opened() as destination:
            put(destination, {"a/b/c/x": b"", "a/y": b""})
            (self.root / "a" / "b" / "own").mkdir()
            put(destination, {"z": b""}, delete=["a/b/c/x", "a/y"])
        assert sorted(path.relative_to(self.root).as_posix() for path in self.root.rglob("*")) == [
            "a",
            "a/b",
            "a/b/own",
            "z",
        ]

    def test_a_full_disk_is_named_and_leaves_nothing(self) -> None:
        """What does not fit is DestinationError with the file's name and what to do; no half file stays."""
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        heard = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
        try:
            with (
                self.opened() as destination,
                pytest.raises(DestinationError, match=r"data/x.part.*too large") as caught,
            ):
                destination.stager.stage("data/x", writing(bytes(9_000), bytes(9_000)))
            assert "make room" in caught.value.hint
            assert not self.beside.exists()
            assert self.published() == {}
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            signal.signal(signal.SIGXFSZ, heard)

    def test_a_file_is_no_destination(self) -> None:
        """That is said before anything is staged."""
        self.root.parent.mkdir()
        self.root.write_bytes(b"a file")
        with pytest.raises(DestinationError, match="not a folder"), self.opened():
            pass
        assert self.root.read_bytes() == b"a file"
        assert not self.beside.exists()

    def test_publishes_through_a_link(self, tmp_path: Path) -> None:
        """A destination that is a link to a folder elsewhere is staged beside that one: renaming never copies."""
        (tmp_path / "big" / "disk").mkdir(parents=True)
        self.root.parent.mkdir()
        self.root.symlink_to(tmp_path / "big" / "disk")
        with self.opened() as destination:
            assert destination.beside == tmp_path / "big" / ".disk.sealift"
            put(destination, {"x": b"1"})
        assert (tmp_path / "big" / "disk" / "x").read_bytes() == b"1"
        assert self.root.is_symlink()

    def test_a_file_system_of_its_own_is_refused(self) -> None:
        """A mount point cannot take renamed files: that is said before the work, with a place that can."""
        mounts = [Path("/dev/shm"), Path("/proc")]
        mount = next(one for one in mounts if one.stat().st_dev != one.parent.stat().st_dev)
        with pytest.raises(DestinationError, match="file system of its own") as caught, LocalDestination(mount):
            pass
        assert str(mount / "dataset") in caught.value.hint
        assert not LocalDestination(mount).beside.exists()


def files_below(root: Path) -> dict[str, bytes | None]:
    """What is there now, whatever a commit has still to do; a link has no bytes."""
    there = [path for path in root.rglob("*") if path.is_symlink() or not path.is_dir()]
    return {path.relative_to(root).as_posix(): None if path.is_symlink() else path.read_bytes() for path in there}


def interrupted(
    root: Path, act: str, events: tuple[str, ...], steps: int, new: Sequence[str], delete: Sequence[str]
) -> None:
    """Commit new files in a process that is killed at the end, and that acts when so many steps are done."""
    killed(
        f"""
        from sealift.errors import DestinationError
        left = {steps}

        def watch(event, args):
            global left
            if event in {events!r} and not str(args[0]).endswith(".part"):
                left -= 1
                if left == -1:
                    {act}

        with LocalDestination(Path({str(root)!r})) as destination:
            stager = destination.stager
            new = [stager.stage(path, lambda sink: sink.write(b"new " + path.encode())) for path in {new!r}]
            sys.addaudithook(watch)
            try:
                destination.commit(dict(zip({new!r}, new)), {delete!r}, "new")
            except DestinationError as error:
                assert "no right to" in str(error), error
                destination.unpin()  # what the commit needs to be ended stays all the same
            else:
                os.kill(os.getpid(), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)
        """
    )


def killed(program: str) -> None:
    """Run a program that kills itself."""
    head = "import errno, os, signal, sys\nfrom pathlib import Path\n"
    head += "from sealift.stores.local_destination import LocalDestination\n"
    ended = subprocess.run([sys.executable, "-c", head + textwrap.dedent(program)], check=False)
    assert ended.returncode == -signal.SIGKILL


def test_a_race_for_the_lock_has_one_winner(tmp_path: Path) -> None:
    """Processes that open and leave the destination at the same moment are never in it together."""
    program = textwrap.dedent(
        f"""
        import os
        from pathlib import Path
        from sealift.errors import DestinationError
        from sealift.stores.local_destination import LocalDestination
        inside = Path({str(tmp_path)!r}, "inside")
        won = 0
        while won < 100:
            try:
                with LocalDestination(Path({str(tmp_path)!r}, "out")):
                    os.close(os.open(inside, os.O_CREAT | os.O_EXCL))
                    inside.unlink()
                    won += 1
            except DestinationError as error:
                assert "another process" in str(error), error
        """
    )
    racers = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(3)]
    assert [racer.wait() for racer in racers] == [0, 0, 0]


def test_what_another_job_has_staged_is_not_kept(tmp_path: Path) -> None:
    """Two journals, of two state folders, may speak of one folder: neither takes the other's files for its own."""
    with LocalDestination(tmp_path / "out", keep=True, job="one") as destination:
        staged = destination.stager.stage("data/a", lambda sink: sink.write(b"AAAA"))
    with LocalDestination(tmp_path / "out", keep=True, job="one") as destination:
        assert destination.missing([staged]) == []
    with LocalDestination(tmp_path / "out", keep=True, job="two") as destination:
        assert destination.missing([staged]) == ["data/a"]
