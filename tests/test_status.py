"""`sealift status` and `sealift finish`: who looks is told the truth and disturbs nobody; what to type next works."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import HfApi
from tests.albums import albums
from tests.command import COMMAND, answer, run
from tests.hubs import Hub
from tests.publishers import Publisher
from tests.test_architecture import libraries_of

import sealift
from sealift.build.places import Access, open_destination, open_journal
from sealift.cli.main import COMMANDS
from sealift.cli.output import Output
from sealift.cli.status import Look, watched
from sealift.errors import RequestError
from sealift.journal import Journal
from sealift.journal.database import NAME
from sealift.journal.places import beside
from sealift.journal.records import Basis
from sealift.model.bandwidth import bytes_a_second
from sealift.model.event import Started
from sealift.model.plan import PlannedShard
from sealift.model.receipt import Made, Receipt
from sealift.plan import DEFAULT_MEMORY
from sealift.plan.estimate import Memory
from sealift.ports import Staged
from sealift.spec import Spec
from sealift.stores.hub.destination import HubDestination
from sealift.stores.local_destination import LocalDestination

HUB = "http://127.0.0.1:9"
BASIS = Basis({}, {}, "", {}, "c0ffee" * 6)
SHARDS = [
    PlannedShard("default", "train", number, f"data/train-{number:05}-of-00003.parquet", 0, (1,), 1, 1_000_000, 9)
    for number in range(3)
]


def receipt(shard: PlannedShard) -> Receipt:
    made = Made("identity", "part")
    said = {"sha256": "5" * 64, "cells": 1, "media_bytes": shard.media_bytes, "digest": "d" * 64, "xet_hash": None}
    said |= {"findings": (), "made": made, "rows": 10, "size": 2000}
    return Receipt(path=shard.path, config="default", split="train", index=shard.index, **said)  # type: ignore[arg-type]


@contextmanager
def job(to: str, state: Path | None = None, endpoint: str = HUB) -> Iterator[Journal]:
    """The journal of a job with three shards to that destination, where a run keeps it, one shard staged."""
    url = None if to.startswith("/") else f"{endpoint}/datasets/{to.partition('@')[0]}"
    with open_journal(Spec(), to, Access(endpoint, state=state)) as journal:
        journal.begin(to, url, BASIS, SHARDS)
        journal.packed(SHARDS[1].path)
        journal.staged(receipt(SHARDS[0]))
        yield journal


def told(*words: object) -> dict[str, str]:
    """What `sealift status` says of the one job, by the word before it."""
    ended = run("status", *words)
    assert ended.returncode == 0, ended.stderr
    return {line[:10].strip(): line[12:] for line in ended.stdout.splitlines()}


# --- one look ---------------------------------------------------------------------------------------------------------


def test_where_there_is_no_job_that_is_said_and_nothing_is_made(tmp_path: Path) -> None:
    """Exit code 0 with a name and without, watching or not; no folder, lock or journal comes into being by looking."""
    state = tmp_path / "state"
    for words in ([], ["org/name"], [tmp_path / "out"], ["--watch"], ["org/name", "--watch"]):
        ended = run("status", *words, "--state", state)
        assert (ended.returncode, ended.stdout) == (0, "")
        assert "no job" in ended.stderr
        found = answer("status", *words, "--state", state)
        assert (found["jobs"], found["planning"]) == ([], [])
    assert [*tmp_path.iterdir()] == []


def test_a_stopped_job_says_what_is_done_and_what_to_type(tmp_path: Path) -> None:
    """Shards by state with rows and bytes of media, the revision that is replaced, the error, and the next command."""
    with pytest.raises(RequestError), job("org/name", tmp_path):
        raise RequestError("the disk is full")
    said = told("org/name", "--state", tmp_path)
    assert said["job"] == f"org/name at {HUB}"
    assert "nobody is at work" in said["now"]
    assert said["planned"] == said["packed"] == said["staged"] == "1 shard, 1 row, 1.0 MB"
    assert (said["committed"], said["replaces"]) == ("none", f"revision {BASIS.base[:12]}")  # type: ignore[index]
    assert said["ended with"] == "the disk is full"
    assert said["next"] == f"sealift publish SPEC --to org/name --endpoint {HUB} --state {tmp_path}"
    [found] = answer("status", "--state", tmp_path)["jobs"]
    assert (found["state"], found["running"], found["error"]) == ("stopped", None, "the disk is full")
    assert found["shards"]["staged"] == {"shards": 1, "rows": 1, "media_bytes": 1_000_000}
    assert found["next"] == said["next"]


def test_a_running_job_says_who_is_at_work(tmp_path: Path) -> None:
    """While a process holds the job its number and machine are named; looking takes nothing from it."""
    with job("org/name", tmp_path) as journal:
        assert (
            f"process {os.getpid()} on {os.uname().nodename} is at work" in told("org/name", "--state", tmp_path)["now"]
        )
        [found] = answer("status", "--state", tmp_path)["jobs"]
        assert (found["state"], found["running"]["pid"]) == ("running", os.getpid())
        assert found["next"] == f"sealift status org/name --watch --state {tmp_path}"
        journal.staged(receipt(SHARDS[2]))
    assert told("--state", tmp_path)["staged"].startswith("2 shards")


def test_who_comes_second_is_told_who_is_at_work(tmp_path: Path) -> None:
    """The same job in a second process ends at once with code 6: the process, its machine, and how to watch it."""
    albums(tmp_path / "source")
    with open_journal(Spec(), str(tmp_path / "out"), Access()):
        ended = run("publish", tmp_path / "source", "--to", tmp_path / "out")
        assert ended.returncode == 6
        assert f"process {os.getpid()} on {os.uname().nodename} is at work on this job" in ended.stderr
        assert "sealift status" in ended.stderr
    assert not (tmp_path / "out").exists()


def test_a_commit_of_which_nobody_knows_is_to_be_finished(tmp_path: Path) -> None:
    """An intended commit without an outcome sends people to `sealift finish`; one that landed, to `sealift verify`; and
    who publishes there once more is not taken for the end of it."""
    with job("org/name", tmp_path) as journal:
        number = journal.intend(BASIS.base, {}, [], "publish", last=True)
    said = told("org/name", "--state", tmp_path)
    assert "not known" in said["commit"]
    assert said["next"] == f"sealift finish org/name --endpoint {HUB} --state {tmp_path}"
    with open_journal(Spec(), "org/name", Access(HUB, state=tmp_path)) as journal:
        journal.landed(number, "f00d" * 10)
        journal.finish("f00d" * 10)
    said = told("org/name", "--state", tmp_path)
    assert said["now"].endswith("revision f00df00df00d")
    assert said["commits"].startswith("1 so far")
    assert said["next"] == f"sealift verify org/name --endpoint {HUB}"
    assert "commit" not in said
    with open_journal(Spec(), "org/name", Access(HUB, state=tmp_path)):
        now = told("org/name", "--state", tmp_path)["now"]
    assert now.startswith(f"process {os.getpid()}")
    assert "it makes a plan; the job before is over" in now


# --- which job --------------------------------------------------------------------------------------------------------


def names(*words: object) -> list[tuple[str, str | None]]:
    """The jobs that are shown, with the Hub of each."""
    found = answer("status", *words)["jobs"]
    return sorted((one["to"], one["url"] and one["url"].partition("/datasets/")[0]) for one in found)


def test_a_job_is_found_by_the_name_it_was_begun_with(tmp_path: Path) -> None:
    """However the destination is written; those of other branches, other repositories and, if one is named, other Hubs
    are left out."""
    other = "http://127.0.0.1:8"
    for to, endpoint in (("org/name", HUB), ("org/name", other), ("org/name@v2", HUB), ("org/name-2", HUB)):
        with job(to, tmp_path, endpoint):
            pass
    at = ("--state", tmp_path)
    assert len(names(*at)) == 4
    assert names("org/name", *at) == [("org/name", other), ("org/name", HUB)]
    assert names("hf://datasets/org/name@v2", *at) == [("org/name@v2", HUB)]
    assert names("org/name", "--endpoint", f"{other}/", *at) == [("org/name", other)]
    assert names("org/nam", *at) == []


def test_the_job_to_a_folder_is_found_beside_it_or_in_its_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a run has put it: beside the folder, by relative path or through a link, too; with --state, there."""
    real, link = tmp_path / "datasets" / "out", tmp_path / "link"
    real.mkdir(parents=True)
    link.symlink_to(real)
    assert beside(link) == LocalDestination(link).beside / "job"
    monkeypatch.chdir(real.parent)
    with job(str(real), tmp_path / "state"):
        assert names("out", "--state", tmp_path / "state") == [(str(real), None)]
        assert names("out") == []
    with job(str(real)):
        for to in ("out", "./out", real, link):
            assert names(to) == [(str(real), None)]


def test_jobs_lie_where_the_environment_says(tmp_path: Path) -> None:
    """Without --state the jobs to Hubs lie where SEALIFT_STATE says, else below XDG_STATE_HOME."""
    with job("org/name", tmp_path / "said"):
        pass
    with job("org/name", tmp_path / "xdg" / "sealift"):
        pass
    assert len(answer("status", SEALIFT_STATE=str(tmp_path / "said"))["jobs"]) == 1
    assert len(answer("status", "org/name", SEALIFT_STATE="", XDG_STATE_HOME=str(tmp_path / "xdg"))["jobs"]) == 1
    assert answer("status", SEALIFT_STATE=str(tmp_path / "none"))["jobs"] == []


def test_a_journal_that_cannot_be_read_hides_no_other(tmp_path: Path) -> None:
    """It is a warning where all jobs are shown, and an error with code 6 where it is the one that is asked for."""
    with job("org/whole", tmp_path), job("org/broken", tmp_path) as journal:
        broken = journal.folder
    (broken / NAME).write_bytes(b"not a database, for longer than the head of one would be" * 10)
    assert names("--state", tmp_path) == [("org/whole", HUB)]
    assert "warning:" in run("status", "--state", tmp_path).stderr
    assert run("status", "org/broken", "--state", tmp_path).returncode == 6
    assert run("status", "org/whole", "--state", tmp_path).returncode == 0


# --- watching ---------------------------------------------------------------------------------------------------------


def watching(look: Look, *steps: Any, as_json: bool = False) -> None:
    """Watch, and take one step after another between two looks."""
    left = iter(steps)
    with Output.open(json=as_json) as output:
        watched(output, look, lambda: next(left)())


def over(state: Path) -> None:
    """Another process ends the job."""
    with open_journal(Spec(), "org/name", Access(HUB, state=state)) as journal:
        journal.finish("f00d" * 10)


def looking(to: str, state: Path) -> Look:
    with Output.open() as output:
        return Look(output, to, None, state)


def test_who_watches_hears_each_change_once_until_it_is_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a pipe one line for each change, none where nothing has changed, and an end by itself with the job's."""
    with ExitStack() as run_:
        journal = run_.enter_context(job("org/name", tmp_path))
        watching(
            looking("org/name", tmp_path),
            lambda: None,
            lambda: journal.staged(receipt(SHARDS[1])),
            lambda: None,
            lambda: journal.staged(receipt(SHARDS[2])),
            lambda: journal.finish("f00d" * 10),
            run_.close,
        )
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(" shards")[0] for line in lines] == [f"org/name: {n} of 3" for n in (1, 2, 3, 3)]
    assert "(2.0 MB of 3.0 MB)" in lines[1]
    assert lines[-1].endswith("revision f00df00df00d")


def test_programs_that_watch_get_an_object_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --json each line is what a single look would have answered."""
    with ExitStack() as run_:
        run_.enter_context(job("org/name", tmp_path))
        watching(looking("org/name", tmp_path), run_.close, lambda: over(tmp_path), as_json=True)
    objects = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["jobs"][0]["state"] for one in objects] == ["running", "stopped", "over"]
    assert all(one["ok"] for one in objects)


def test_a_job_to_a_folder_is_watched_from_its_plan_to_its_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before there is a record a process at work makes the plan; the record goes with the end of the run, and who
    watches is told that, and no error."""
    out = str(tmp_path / "out")
    with ExitStack() as run_:
        journal = run_.enter_context(open_journal(Spec(), out, Access()))
        with Output.open() as output:
            look = Look(output, out)
        watching(
            look,
            lambda: journal.begin(out, None, BASIS, SHARDS) and None,
            lambda: journal.finish(None),
            run_.close,
        )
    said = capsys.readouterr()
    assert said.out.splitlines()[0].endswith("it makes the plan, and nothing is packed yet")
    assert "0 of 3 shards staged" in said.out
    assert "the job is over" in said.err


def test_a_stop_ends_the_watch_and_is_no_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C is the way out of a job at which nobody works; what was shown stays, and the exit code is 0."""

    def stop() -> None:
        raise KeyboardInterrupt

    with job("org/name", tmp_path):
        pass
    watching(looking("org/name", tmp_path), stop)
    assert "nobody is at work" in capsys.readouterr().out


def test_on_a_terminal_the_job_is_drawn(tmp_path: Path) -> None:
    """With --watch on a terminal all that is known of the job stands there, and what a destination's name holds cannot
    drive the terminal."""
    evil = "org/name\x1b]0;title\x07"
    with Journal(tmp_path / "one") as journal:
        journal.begin(evil, f"{HUB}/datasets/org/name", BASIS, SHARDS)
        journal.finish("f00d" * 10)
    ours, theirs = pty.openpty()
    words = [str(COMMAND), "status", "--watch", "--state", str(tmp_path)]
    ended = subprocess.run(words, stdout=theirs, stderr=subprocess.PIPE, text=True, check=False, timeout=60)
    os.close(theirs)
    shown = os.read(ours, 1 << 16).decode()
    os.close(ours)
    assert ended.returncode == 0, ended.stderr
    assert "planned" in shown and "revision f00df00df00d" in shown
    assert "\x1b]0;" not in shown and "\x07" not in shown


def test_looking_loads_nothing_but_the_terminal(tmp_path: Path) -> None:
    """It is asked often, by scripts too: neither the store's client nor the table's library is loaded for it."""
    with job("org/name", tmp_path):
        pass
    code = """
import sys
from sealift.cli.main import sealift
try:
    sealift.main(["status", {to}"--state", {state!r}])
except SystemExit as ended:
    assert ended.code == 0
"""
    for to in ("", "'org/name', "):
        assert libraries_of(code.format(to=to, state=str(tmp_path))) <= {"click"}
    assert "status" in COMMANDS


# --- finishing --------------------------------------------------------------------------------------------------------


def written(data: bytes) -> Any:
    """A function that writes these bytes into a sink."""

    def write(sink: Any) -> None:
        sink.write(data)

    return write


def intended(out: Path, files: Mapping[str, bytes]) -> None:
    """A run to that folder that was killed when it had written down its commit."""
    with (
        open_journal(Spec(), str(out), Access()) as journal,
        LocalDestination(out, keep=True, job=journal.job) as destination,
    ):
        journal.begin(destination.name, None, BASIS, [])
        staged: dict[str, Staged] = {
            path: destination.stager.stage(path, written(data)) for path, data in files.items()
        }
        journal.intend(None, staged, [], "publish", last=True)


def test_what_was_written_down_is_published_without_spec_or_source(tmp_path: Path) -> None:
    """A commit that was never sent is sent from the journal alone, whole; then there is nothing more to finish."""
    out = tmp_path / "out"
    intended(out, {"data/a.bin": b"aaa", "README.md": b"# A"})
    assert not out.exists()
    said = answer("finish", out)
    assert (said["had_landed"], sorted(said["files"])) == (False, ["README.md", "data/a.bin"])
    assert {path: (out / path).read_bytes() for path in said["files"]} == {"data/a.bin": b"aaa", "README.md": b"# A"}
    again = answer("finish", out, exit_code=2)
    assert "no commit" in again["message"]
    assert "sealift publish" in again["hint"]
    assert [*tmp_path.iterdir()] == [out]


def test_a_run_killed_in_its_commit_is_finished_by_anybody(tmp_path: Path) -> None:
    """Killed before the first rename of its commit: status says what to type, and that makes the dataset whole."""
    albums(tmp_path / "source")
    out = tmp_path / "out"
    with Publisher(tmp_path / "home") as publisher:
        assert publisher.run(tmp_path / "source", out, at=["commit"], step=0).was_killed
    assert told(out)["next"] == f"sealift finish {out}"
    [found] = sealift.status(out)
    assert found.uncertain
    done = sealift.finish(out)
    assert done.landed
    assert sealift.status(out) == []
    assert sealift.verify(out).proven


@pytest.mark.parametrize("landed", [False, True])
def test_on_a_hub_the_commit_is_made_once(landed: bool, lfs_hub: Hub, tmp_path: Path) -> None:
    """Whether the run was killed before its commit took effect or after: finishing leaves one commit with its files."""
    to, access = lfs_hub.name("finish"), Access(lfs_hub.endpoint, lfs_hub.token, state=tmp_path)
    with (
        open_journal(Spec(), to, access) as journal,
        open_destination(Spec(), to, access, Memory(DEFAULT_MEMORY), journal) as destination,
    ):
        destination.prepare()
        journal.begin(destination.name, destination.url, BASIS, [])
        files = {"data/a.txt": destination.stager.stage("data/a.txt", written(b"aaa"))}
        journal.intend(destination.revision, files, [], "publish", last=True)
        if landed:
            destination.commit(files, [], "publish")
    reach: dict[str, Any] = {"state": tmp_path, "endpoint": lfs_hub.endpoint}
    [found] = sealift.status(to, **reach)
    assert found.uncertain
    done = sealift.finish(to, token=lfs_hub.token, **reach)
    assert (done.landed, done.files) == (landed, ("data/a.txt",))
    hub = HfApi(lfs_hub.endpoint, lfs_hub.token)
    commits = hub.list_repo_commits(to, repo_type="dataset")
    assert commits[0].commit_id == done.revision
    assert len([one for one in commits if one.title == "publish"]) == 1
    assert hub.file_exists(to, "data/a.txt", repo_type="dataset")
    [found] = sealift.status(to, **reach)
    assert found.over and found.revision == done.revision


def test_a_run_that_was_stopped_goes_on_where_its_state_is(tmp_path: Path) -> None:
    """`state` puts the record elsewhere, for publish and status alike; the same call goes on, and leaves it over."""
    albums(tmp_path / "source")
    given: dict[str, Any] = {"to": tmp_path / "out", "state": tmp_path / "state", "workers": 1}

    def stop(event: object) -> None:
        if isinstance(event, Started) and event.stage == "publish":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sealift.publish(tmp_path / "source", on_event=stop, **given)
    [found] = sealift.status(tmp_path / "out", state=tmp_path / "state")
    assert found.shards["staged"].shards == sum(one.shards for one in found.shards.values()) > 0
    assert sealift.publish(tmp_path / "source", **given).packed == found.shards["staged"].shards
    [found] = sealift.status(state=tmp_path / "state")
    assert found.over
    assert found.shards["committed"].shards > 0


# --- bandwidth --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "bytes_"),
    [
        ("50MB/s", 50_000_000),
        ("50MB", 50_000_000),
        ("1.5 GB/s", 1_500_000_000),
        ("6MiB/s", 6 * 2**20),
        ("50mb/s", 50_000_000),
        ("400Mbit/s", 50_000_000),
        ("1Gbit", 125_000_000),
        (2_000_000, 2_000_000),
    ],
)
def test_a_bandwidth_is_in_bytes_or_in_bits(said: int | str, bytes_: int) -> None:
    """Bytes a second, with or without `/s`; bits where they are called so."""
    assert bytes_a_second(said) == bytes_


@pytest.mark.parametrize("said", ["50Mb/s", "50", "50b", "MB/s", "-1MB/s", "50MB/h", "0MB/s", "50B/s", "1e9B", 5, ""])
def test_what_may_be_meant_otherwise_is_no_bandwidth(said: int | str) -> None:
    """`50Mb` is bits to some and bytes to others, and `50` or `50B/s` is a slip: refused, with what to write."""
    with pytest.raises(RequestError) as refused:
        bytes_a_second(said)
    assert "50MB/s" in refused.value.hint


def test_a_hub_gets_the_limit_and_a_folder_refuses_it() -> None:
    """What would be ignored is an error; a Hub's uploads are limited by what was said."""
    access, memory = Access(HUB, "hf_none", bandwidth=50_000_000), Memory(DEFAULT_MEMORY)
    destination = open_destination(Spec(), "org/name", access, memory)
    assert isinstance(destination, HubDestination)
    assert destination.bandwidth == 50_000_000
    with pytest.raises(RequestError, match="nothing is uploaded to a folder"):
        open_destination(Spec(), "./out", access, memory)
