"""Uploading to a Hub by Xet and by LFS: what lies on disk and in memory meanwhile, what is sent, and sent again."""

from __future__ import annotations

import io
import json
import random
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

import pytest
from tests.hub_stores import Repository, Written, writing
from tests.hubs import Hub, start_hub

from sealift.errors import DestinationBusy, DestinationError, IntegrityError
from sealift.journal import Journal
from sealift.ports import Sink, Staged
from sealift.publish.stage import Stage
from sealift.stores.hub import xet
from sealift.stores.hub.lfs import MARGIN, good_for
from sealift.stores.hub.stage import HELD, LFS_STAGING, disk_of_one

MIB = 1 << 20
PARTS = ("--lfs-multipart-over", "2MiB", "--lfs-part-size", "1MiB")


pytestmark = pytest.mark.usefixtures("own_xet_cache")


@pytest.fixture(scope="module")
def lfs_parts() -> tuple[str, ...]:
    return PARTS


@pytest.fixture
def repository(either_hub: Hub) -> Repository:
    return Repository(either_hub)


@pytest.fixture
def by_lfs(lfs_hub: Hub) -> Iterator[Repository]:
    yield Repository(lfs_hub)
    lfs_hub.faults([])


def left(folder: Path) -> list[Path]:
    return [file for file in folder.rglob("*") if file.is_file()]


class TestStagingOnDisk:
    """The budget, whatever is staged."""

    @pytest.mark.parametrize("size", [900_000, 5 * MIB])
    @pytest.mark.parametrize(("staging", "workers"), [(0, 1), (2 * MIB, 1), (2 * MIB, 3), (20 * MIB, 2)])
    def test_no_more_than_its_share_lies_on_disk(
        self, repository: Repository, size: int, staging: int, workers: int
    ) -> None:
        """`--staging` bytes for all workers together; a file that takes more goes on without; nothing stays."""
        with repository.prepared(staging=staging, workers=workers) as destination:
            written = Written(size, destination.work)
            staged = destination.stager.stage("data/x", written)
            fits = size <= staging // workers
            assert written.peak <= staging // workers
            assert (written.peak == size) == fits
            assert left(destination.work) == []
            # Only LFS asks for a file again, to send what it could not keep.
            assert written.times == (1 if fits or destination.stager.xet else 2)
            destination.commit({"data/x": staged}, [], "x")
        assert repository.contents() == {"data/x": written.data}

    def test_what_fails_leaves_nothing(self, repository: Repository) -> None:
        """Whether the writer or the Hub breaks off, the file is gone from the disk, and the error is the cause."""

        def breaking(sink: Sink) -> None:
            sink.write(bytes(MIB))
            raise KeyError("the reader of this shard")

        with repository.prepared(staging=20 * MIB) as destination:
            with pytest.raises(KeyError, match="the reader of this shard"):
                destination.stager.stage("data/x", breaking)
            assert left(destination.work) == []
            repository.hub.faults(
                [{"kind": kind, "status": 403, "times": 99} for kind in ("cas-xorb-put", "lfs-batch", "cas-shard")]
            )
            with pytest.raises(DestinationError):
                destination.stager.stage("data/x", Written(3 * MIB, destination.work))
            assert left(destination.work) == []

    def test_a_writer_that_breaks_off_while_it_streams_comes_out(self, repository: Repository) -> None:
        """The same with nothing on disk, at any place, and the next file goes through."""
        with repository.prepared(staging=0) as destination:
            for fatal in (1, 2):
                calls = 0

                def breaking(sink: Sink, fatal: int = fatal) -> None:
                    nonlocal calls
                    calls += 1
                    sink.write(random.Random(5).randbytes(3 * MIB))
                    if calls == fatal or destination.stager.xet:
                        raise KeyError("the reader of this shard")

                with pytest.raises(KeyError, match="the reader of this shard"):
                    destination.stager.stage("data/x", breaking)
            staged = destination.stager.stage("data/x", writing(b"whole" * 1_000))
            destination.commit({"data/x": staged}, [], "x")
        assert repository.contents() == {"data/x": b"whole" * 1_000}

    def test_what_is_used_when_nobody_says(self, tmp_path: Path) -> None:
        """Xet takes no disk; LFS takes some, and never more than half of what is free."""
        assert disk_of_one(None, 1, True, tmp_path) == 0
        assert 0 < disk_of_one(None, 1, False, tmp_path) <= LFS_STAGING
        assert disk_of_one(None, 4, False, tmp_path) <= LFS_STAGING // 4
        assert [disk_of_one(100, workers, xet, tmp_path) for workers, xet in ((1, True), (3, False))] == [100, 33]


class TestSendingAgain:
    """What a Hub that is busy for a moment costs."""

    def test_a_file_on_disk_is_sent_again_by_parts(self, by_lfs: Repository) -> None:
        """A part that fails is sent again, the others are not, and the writer is not asked again."""
        with by_lfs.prepared() as destination:
            before = by_lfs.asked("lfs-part")
            by_lfs.hub.faults([{"kind": "lfs-part", "status": 500, "skip": 2}, {"kind": "lfs-complete", "drop": True}])
            written = Written(5 * MIB, destination.work)
            staged = destination.stager.stage("data/x", written)
            assert (written.times, by_lfs.asked("lfs-part") - before) == (1, 6)
            destination.commit({"data/x": staged}, [], "x")
        assert by_lfs.contents() == {"data/x": written.data}

    @pytest.mark.parametrize("fault", [{"status": 503}, {"drop": True}])
    def test_a_file_that_lies_nowhere_is_written_again(self, by_lfs: Repository, fault: dict[str, Any]) -> None:
        """For the parts that are not there yet; the bytes are those of the first time."""
        with by_lfs.prepared(staging=0) as destination:
            before = by_lfs.asked("lfs-part")
            by_lfs.hub.faults([{"kind": "lfs-part", "skip": 3, **fault}])
            written = Written(5 * MIB, destination.work)
            staged = destination.stager.stage("data/x", written)
            assert (written.times, by_lfs.asked("lfs-part") - before) == (3, 6)
            destination.commit({"data/x": staged}, [], "x")
        assert by_lfs.contents() == {"data/x": written.data}

    def test_a_hub_that_stays_busy_is_given_up(self, by_lfs: Repository) -> None:
        """After some tries, with what to do."""
        with by_lfs.prepared(staging=0) as destination:
            by_lfs.hub.faults([{"kind": "lfs-put", "status": 503, "times": 99}])
            with pytest.raises(DestinationBusy):
                destination.stager.stage("data/x", Written(MIB, destination.work))

    @pytest.mark.parametrize("second", [b"other bytes", b"short", b"longer than before"])
    def test_a_writer_that_gives_other_bytes_is_found_out(self, by_lfs: Repository, second: bytes) -> None:
        """What was hashed must be what is sent, in length and in every byte."""
        given = iter([b"first bytes" * 100_000, second * 100_000])

        with (
            by_lfs.prepared(staging=0) as destination,
            pytest.raises(IntegrityError, match="data/x: other bytes"),
        ):
            destination.stager.stage("data/x", lambda sink: sink.write(next(given)))

    def test_what_the_hub_has_is_not_sent(self, repository: Repository) -> None:
        """The same content under another name costs no bytes."""
        with repository.prepared(staging=0) as destination:
            first = destination.stager.stage("data/x", Written(3 * MIB, destination.work, seed=14))
            before = repository.hub.counts()
            written = Written(3 * MIB, destination.work, seed=14)
            second = destination.stager.stage("data/y", written)
            after = repository.hub.counts()
            assert (first.sha256, first.xet_hash) == (second.sha256, second.xet_hash)
            assert (written.times, after["stored"]["new"]) == (1, before["stored"]["new"])
            assert after["bytes_in"] - before["bytes_in"] < 100_000
            destination.commit({"data/x": first, "data/y": second}, [], "both")
        assert repository.contents() == {"data/x": written.data, "data/y": written.data}

    def test_xet_is_given_a_file_on_disk_again(self, xet_hub: Hub) -> None:
        """What its library gives up is tried again from the disk; a file that lies nowhere has failed."""
        repository = Repository(xet_hub)
        refused = [{"kind": "cas-shard", "status": 400, "times": 2}]
        with repository.prepared(staging=2 * MIB) as destination:
            xet_hub.faults(refused)
            written = Written(MIB, destination.work)
            staged = destination.stager.stage("data/x", written)
            assert written.times == 1
            destination.commit({"data/x": staged}, [], "x")
        with repository.prepared(staging=0) as destination:
            xet_hub.faults(refused)
            with pytest.raises(DestinationBusy) as caught:
                destination.stager.stage("data/y", Written(MIB, destination.work))
            assert "HF_XET_CACHE" in caught.value.hint
        xet_hub.faults([])
        assert repository.contents() == {"data/x": written.data}

    def test_a_cache_that_remembers_what_the_hub_forgot_is_found_out(self, tmp_path: Path) -> None:
        """Another Hub at the same address: Xet's library believes that it has the content, and nothing is published."""
        stage = """
            import sys
            from pathlib import Path
            from tests.hub_stores import Repository, Written
            from tests.hubs import Hub
            import os
            repository = Repository(Hub(os.environ["HF_ENDPOINT"], os.environ["HF_TOKEN"], "local"), name="local/x")
            with repository.prepared(staging=0) as destination:
                staged = destination.stager.stage("x", Written(3 << 20, Path("none"), seed=5))
                destination.stager.read_back(staged, 5, memoryview(bytearray(5)))
        """
        with start_hub(tmp_path / "first") as hub:
            ended = hub.run_python(stage, hub.environment(tmp_path / "home"))
            assert ended.returncode == 0, ended.stderr
        port = hub.endpoint.rpartition(":")[2]
        with start_hub(tmp_path / "second", "--port", port) as hub:
            ended = hub.run_python(stage, hub.environment(tmp_path / "home"))
            assert "clear the uploader's cache" in ended.stderr
            assert hub.counts()["commits"] == 0
            again = hub.run_python(stage, hub.environment(tmp_path / "another home"))
            assert again.returncode == 0, again.stderr


class TestReadingBack:
    """What was sent is looked for before it is published."""

    def test_content_that_is_not_there_is_found_out(self, repository: Repository) -> None:
        """A file that the Hub does not have, or not as long: before anything is published."""
        with repository.prepared() as destination:
            staged = destination.stager.stage("data/x", Written(MIB, destination.work))
            view = memoryview(bytearray(100))
            lost = Staged("data/x", staged.size, "ab" * 32, "ab" * 32 if staged.xet_hash else None)
            with pytest.raises((IntegrityError, DestinationError)):
                destination.stager.read_back(lost, 0, view)
            with pytest.raises(IntegrityError):
                destination.stager.read_back(staged, staged.size - 50, view)

    def test_it_goes_on_when_the_hub_does(self, repository: Repository) -> None:
        """A busy moment is waited for."""
        with repository.prepared() as destination:
            written = Written(MIB, destination.work)
            staged = destination.stager.stage("data/x", written)
            repository.hub.faults([{"kind": "lfs-batch", "status": 503}, {"kind": "cas-reconstruction", "status": 503}])
            view = memoryview(bytearray(100))
            destination.stager.read_back(staged, 500, view)
            assert view == written.data[500:600]

    def test_where_it_lies_is_asked_for_once(self, by_lfs: Repository) -> None:
        """As long as the address is good, however many ranges are read; then once more."""
        with by_lfs.prepared() as destination:
            written = Written(MIB, destination.work)
            staged = destination.stager.stage("data/x", written)
            before = by_lfs.asked("lfs-batch")
            view = memoryview(bytearray(100))
            for offset in range(0, 2_000, 100):
                destination.stager.read_back(staged, offset, view)
                assert view == written.data[offset : offset + 100]
            assert by_lfs.asked("lfs-batch") - before == 1
            by_lfs.hub.faults([{"kind": "lfs-get", "status": 403}])
            destination.stager.read_back(staged, 500, view)
            assert view == written.data[500:600]
            assert by_lfs.asked("lfs-batch") - before == 2

    def test_an_address_is_good_as_long_as_the_hub_says(self) -> None:
        """By its seconds, else by its date, both less a margin; ten minutes if it says neither."""
        in_an_hour = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        assert good_for({"href": "x"}) == 600
        assert good_for({"expires_in": 90, "expires_at": in_an_hour}) == 90 - MARGIN
        assert 3_500 < good_for({"expires_at": in_an_hour}) + MARGIN <= 3_600
        assert good_for({"expires_at": "2020-01-01T00:00:00Z"}) < 0


class Busy:
    """Takes a file after so many refusals, each when it has all of it."""

    digests = False

    def __init__(self, refusals: int, **fields: object) -> None:
        self.left, self.fields, self.asked, self.data = refusals, fields, 0, b""

    def stage(self, path: str, write: Callable[[Sink], object], *, hold: bool = False) -> Staged:
        kept = io.BytesIO()
        write(kept)
        self.asked, self.left, self.data = self.asked + 1, self.left - 1, kept.getvalue()
        if self.left >= 0:
            raise DestinationBusy("not now", hint="later", **self.fields)
        return Staged(path, len(self.data))

    def read_back(self, staged: Staged, offset: int, view: memoryview) -> None:
        view[:] = self.data[offset : offset + len(view)]


class TestBeside:
    """Files that go with the shards have as many chances as these."""

    def test_a_busy_destination_is_asked_again(self) -> None:
        """Twice; the file is written anew each time, and what is said of it is that of the last one."""
        stager = Busy(2)
        stage = Stage(stager, cast(Journal, None))
        done = stage.bytes("notes.txt", "note", b"words")
        assert (stager.asked, done.size, done.sha256) == (3, 5, sha256(b"words").hexdigest())
        assert stage.files["notes.txt"].size == 5

    @pytest.mark.parametrize(("busy", "asked"), [(Busy(3), 3), (Busy(1, retry_after_s=3_000.0), 1)])
    def test_one_that_stays_busy_is_given_up(self, busy: Busy, asked: int) -> None:
        """At once where it asks for longer than is waited for; nothing is staged then."""
        stage = Stage(busy, cast(Journal, None))
        with pytest.raises(DestinationBusy):
            stage.bytes("notes.txt", "note", b"words")
        assert (busy.asked, stage.files) == (asked, {})


def test_an_upload_that_cannot_begin_is_given_back(xet_hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its library makes a commit, but no stream: the commit is not left open."""
    done = []

    class Session:
        def __init__(self, config: object) -> None:
            pass

        def new_upload_commit(self, **options: object) -> Session:
            return self

        def start_upload_stream(self, **options: object) -> None:
            raise RuntimeError("no stream")

        def abort(self) -> None:
            done.append("aborted")

    with Repository(xet_hub).prepared(blocks=5) as destination:
        monkeypatch.setattr("hf_xet.XetSession", Session)
        with pytest.raises(DestinationError, match="no stream"), xet.Upload(destination.stager.client):
            pass
    assert done == ["aborted"]


def test_small_files_go_with_the_commit(repository: Repository) -> None:
    """Held files are asked about together: text travels in the commit, tables are uploaded at once, none by itself."""
    files = {f"sealift/index/{n:03}.parquet": b"PAR1" + bytes([n % 256]) * n for n in range(100)}
    files |= {f"notes/{n:03}.txt": b"note %d" % n for n in range(100)} | {"empty.parquet": b""}
    before = repository.hub.counts()["requests"]
    repository.put(files)
    after = repository.hub.counts()["requests"]
    assert repository.contents() == files

    def asked(kind: str) -> int:
        return int(after.get(kind, 0)) - int(before.get(kind, 0))

    assert asked("preupload") == 1 + 1  # one to see that the token may write
    assert asked("lfs-batch") + asked("cas-shard") <= 2
    assert asked("commit") == 1


STAGED_IN_A_CHILD = """
    import json, os, random, sys, tempfile, threading
    from pathlib import Path

    size, staging, name = int(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3]
    opened = []

    def watch(event, args):
        if event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            opened.append(str(args[0]))

    from sealift.stores.hub import HubDestination, Place

    def anonymous():
        status = Path("/proc/self/status").read_text()
        return int(status.split("RssAnon:")[1].split()[0]) * 1024

    with HubDestination(Place.parse(name), staging=staging) as destination:
        destination.prepare()
        stager = destination.stager
        slices = [random.Random(n).randbytes(1 << 20) for n in range(8)]

        def write(sink):
            for number in range(size >> 20):
                # Every slice is another one, and takes no time to make.
                sink.write(number.to_bytes(8, "big") + slices[number % 8][: (1 << 20) - 8 - number] + bytes(number))

        before, peak, done = anonymous(), 0, threading.Event()

        def sample():
            global peak
            while not done.wait(0.02):
                peak = max(peak, anonymous())

        sampling = threading.Thread(target=sample)
        sampling.start()
        sys.addaudithook(watch)
        staged = [stager.stage(f"data/{n}", write) for n in range(2)]
        done.set()
        sampling.join()
        view = memoryview(bytearray(16))
        stager.read_back(staged[1], 5 << 20, view)
        assert view[:8] == (5).to_bytes(8, "big")
        cache = Path(os.environ["HF_XET_CACHE"])
        kept = sum(file.stat().st_size for file in cache.rglob("*") if file.is_file() and file.suffix != ".log")
        print(json.dumps({"memory": peak - before, "opened": opened, "cache": kept, "xet": stager.xet}))
"""


def in_a_child(hub: Hub, home: Path, size: int, staging: int | None) -> dict[str, Any]:
    """Stage two files of that size in a process of its own, and what that took."""
    code = STAGED_IN_A_CHILD.replace("sys.argv[1]", repr(str(size))).replace("sys.argv[2]", repr(json.dumps(staging)))
    ended = hub.run_python(code.replace("sys.argv[3]", repr(hub.name())), hub.environment(home))
    assert ended.returncode == 0, ended.stderr
    said: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return said


def test_without_staging_no_file_touches_the_disk(repository: Repository, tmp_path: Path) -> None:
    """Nothing is opened for writing, and what Xet's library remembers is a thousandth of what it sent."""
    said = in_a_child(repository.hub, tmp_path, 48 * MIB, 0)
    assert [path for path in said["opened"] if str(tmp_path) not in path and "/dev/" not in path] == []
    assert said["cache"] < 96 * MIB // 200


@pytest.mark.parametrize("staging", [0, 1 << 30])
def test_memory_by_xet_is_bounded(xet_hub: Hub, tmp_path: Path, staging: int) -> None:
    """Two files of 300 MiB, one after another: Xet's blocks of 64 MiB do not pile up beyond `HELD`."""
    said = in_a_child(xet_hub, tmp_path, 300 * MIB, staging)
    assert said["xet"]
    assert said["memory"] < HELD


@pytest.mark.parametrize("staging", [0, 1 << 30])
def test_memory_by_lfs_is_bounded(lfs_hub: Hub, tmp_path: Path, staging: int) -> None:
    """Two files of 100 MiB: some slices of each are in memory."""
    said = in_a_child(lfs_hub, tmp_path, 100 * MIB, staging)
    assert not said["xet"]
    assert said["memory"] < 16_000_000


STOPPED_IN_A_CHILD = """
    import os, signal
    from pathlib import Path
    from sealift.errors import Stopped
    from sealift.stores.hub import HubDestination, Place
    from tests.hub_stores import Written

    def stop(*_):
        raise Stopped("stopped")

    signal.signal(signal.SIGTERM, stop)
    with HubDestination(Place.parse("local/stopped"), staging=0) as destination:
        destination.prepare()
        print("ready", flush=True)
        try:
            destination.stager.stage("x", Written(80 << 20, Path("none")))
        except Stopped:
            print("stopped", flush=True)
"""


def test_a_run_that_is_stopped_does_not_wait_for_the_hub(repository: Repository, tmp_path: Path) -> None:
    """A signal is heard while a block is on its way, however long that takes."""
    kinds = ("cas-xorb-put", "lfs-part")
    repository.hub.faults([{"kind": kind, "status": None, "delay": 8.0, "times": 99} for kind in kinds])
    command = [sys.executable, "-c", textwrap.dedent(STOPPED_IN_A_CHILD)]
    environment = repository.hub.environment(tmp_path)
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        time.sleep(2)
        sent = time.monotonic()
        child.terminate()
        said, _ = child.communicate(timeout=60)
        assert (said, child.returncode) == ("stopped\n", 0)
        assert time.monotonic() - sent < 5
