"""The commands as people and scripts use them: options, answers, questions, exit codes, and how they stop."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from tests import corpora
from tests.command import COMMAND, answer, process, run

from sealift.cli.main import COMMANDS
from sealift.cli.names import spread

TOKEN = "hf_" + "Zq3" * 12
ONE = ("--workers", "1")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus with its spec, not to be changed."""
    folder = tmp_path_factory.mktemp("source")
    corpora.music(folder, players=3, takes=2)
    return folder


@pytest.fixture
def spec(source: Path, tmp_path: Path) -> Path:
    """The spec of a copy that may be changed."""
    return Path(shutil.copytree(source, tmp_path / "in")) / "sealift.yaml"


def say(spec: Path, text: str) -> Path:
    """Add a line to the spec."""
    spec.write_text(spec.read_text() + text + "\n")
    return spec


# --- help and wrong calls ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_shows_an_example_that_it_takes(name: str) -> None:
    """--help has an example; each of its lines has only options that the command knows."""
    ended = run(name, "--help")
    assert ended.returncode == 0
    _, _, examples = ended.stdout.partition("Example:\n")
    lines = examples.strip().splitlines()
    assert lines
    for line in lines:
        words = line.split()
        assert words[:2] == ["sealift", name]
        assert all(word in ended.stdout for word in words if word.startswith("-"))
    for option in ("--json", "--quiet", "--log-file"):
        assert option in ended.stdout


WRONG: list[tuple[list[str], str]] = [
    (["publish"], "Missing argument 'SPEC_OR_DIR'"),
    (["publish", "nowhere.yaml", "--to", "out"], "there is no nowhere.yaml"),
    (["publish", "SPEC", "--tu", "out"], "--to"),
    (["publish", "SPEC", "--to", "OUT", "--max-shard-size", "1XB"], "1XB"),
    (["publish", "SPEC", "--to", "OUT", "--memory", "0"], "above 0"),
    (["publish", "SPEC", "--to", "OUT", "--workers", "0"], "--workers"),
    (["publish", "SPEC", "--to", "OUT", "--bandwidth", "50Mb"], "50MB/s, in bytes, or 400Mbit/s"),
    (["publish", "SPEC", "--to", "OUT", "--bandwidth", "50MB/s"], "nothing is uploaded to a folder"),
    (["publish", "SPEC", "--to", "OUT", "--state", "SPEC"], "--state"),
    (["publish", "SPEC", "--to", "OUT", "--configs", "audio", "nope"], "there is no config `nope`"),
    (["publish", "SPEC", "more", "--to", "OUT"], "unexpected extra argument (more)"),
    (["publish", "SPEC", "--to", "org/na me"], "does not take the name"),
    (["plan", "SPEC", "--check", "-1"], "--check"),
    (["verify", "nowhere"], "there is no folder nowhere"),
    (["verify", ".", "--level", "deep"], "'tree', 'footers', 'sample', 'rows', 'full'"),
    (["verify", ".", "--from", "x"], "go with --against"),
    (["finish"], "Missing argument"),
    (["finish", "OUT"], "no commit to"),
    (["status", "OUT", "more"], "unexpected extra argument (more)"),
    (["init", "nowhere"], "nowhere"),
    (["demo", "--rows", "3"], "--rows"),
    (["pubish"], "No such command 'pubish'"),
]


@pytest.mark.parametrize(("words", "message"), WRONG, ids=[" ".join(words) for words, _ in WRONG])
def test_a_wrong_call_says_what_is_wrong(words: list[str], message: str, source: Path, tmp_path: Path) -> None:
    """Exit code 2, the word that is wrong, the next thing to try, no traceback, and nothing written."""
    places = {"SPEC": str(source / "sealift.yaml"), "OUT": str(tmp_path / "out")}
    ended = run(*[places.get(word, word) for word in words])
    assert ended.returncode == 2
    assert message in ended.stderr
    assert "try:" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""
    assert [*tmp_path.iterdir()] == []


def test_a_mistake_in_the_spec_names_the_line_and_the_key(spec: Path) -> None:
    """`fil:6:1: unknown key …` with the nearest valid key, and the same as fields of the JSON object."""
    text = spec.read_text().replace("media:\n", "medai:\n")
    spec.write_text(text)
    line = text.splitlines().index("medai:") + 1
    ended = run("plan", spec)
    assert ended.returncode == 2
    assert f"{spec}:{line}:" in ended.stderr
    assert "media" in ended.stderr.partition("try:")[2]
    said = answer("plan", spec, exit_code=2)
    assert (said["ok"], said["error"], said["line"], said["key"]) == (False, "SpecError", line, "medai")


# --- --configs A B ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("s --configs A B -y", "s --configs A --configs B -y"),
        ("s --configs A B --to x", "s --configs A --configs B --to x"),
        ("s --configs A --configs B C", "s --configs A --configs B --configs C"),
        ("s --to x --configs A", "s --to x --configs A"),
        ("--to x s --configs A B", "--to x s --configs A --configs B"),
        ("--configs A B s", "--configs A --configs B s"),
        ("--configs A s", "--configs A s"),
        ("--configs A s --to x", "--configs A s --to x"),
        ("--configs A --to x s", "--configs A --to x s"),
        ("--configs=A s", "--configs=A s"),
        ("s --configs A -- B", "s --configs A -- B"),
        ("s --configs", "s --configs"),
        ("s", "s"),
        ("", ""),
    ],
)
def test_configs_takes_every_word_up_to_the_next_option(line: str, meant: str) -> None:
    """`--configs A B` is both; the spec may stand before or behind, and --configs may be said again."""
    assert " ".join(spread(line.split(), {"--configs", "--to"})) == meant


@pytest.mark.parametrize(
    "order", [["SPEC", "--configs", "audio", "labels_only"], ["--configs", "audio", "labels_only", "SPEC"]]
)
def test_only_the_configs_that_are_named_are_published(order: list[str], source: Path, tmp_path: Path) -> None:
    """Those and no others; a second run with another config adds it and leaves the first ones as they are."""
    words = [str(source / "sealift.yaml") if word == "SPEC" else word for word in order]
    plan = answer("plan", *words)
    assert [config["config"] for config in plan["configs"]] == ["audio", "labels_only"]
    said = answer("publish", "--to", tmp_path / "out", *ONE, *words)
    assert {path.split("/")[0] for path in said["written"]} == {
        *("audio", "labels_only", "auxiliary", ".sealift", "README.md")
    }
    more = answer("publish", source / "sealift.yaml", "--to", tmp_path / "out", *ONE, "--configs", "midi_only")
    assert not any(path.startswith(("audio/", "labels_only/", "auxiliary/")) for path in more["written"])
    assert answer("verify", tmp_path / "out")["checked"]["rows"] == 18


# --- answers ----------------------------------------------------------------------------------------------------------


def test_json_is_one_object_and_talk_goes_elsewhere(source: Path, tmp_path: Path) -> None:
    """Every command prints one object with --json, and nothing on stdout but that; talk is on stderr."""
    spec = source / "sealift.yaml"
    calls: list[list[object]] = [
        ["plan", spec],
        ["publish", spec, "--to", tmp_path / "out", "--dry-run"],
        ["publish", spec, "--to", tmp_path / "out", *ONE],
        ["status", tmp_path / "out"],
        ["finish", tmp_path / "out"],
        ["verify", tmp_path / "out"],
        ["init", source, "-o", tmp_path / "x.yaml"],
        ["verify", tmp_path],
        ["plan", tmp_path / "none"],
    ]
    for call in calls:
        ended = run(*call, "--json")
        lines = ended.stdout.splitlines()
        assert len(lines) == 1, call
        assert json.loads(lines[0])["ok"] is (ended.returncode == 0), call
        assert ended.stderr, call


def test_quiet_says_nothing_and_the_log_has_it(source: Path, tmp_path: Path) -> None:
    """With --quiet a run that goes well says nothing at all; the log file has what would have been said."""
    ended = run(
        "publish", source / "sealift.yaml", "--to", tmp_path / "out", *ONE, "--quiet", "--log-file", tmp_path / "log"
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert "prove it: sealift verify" in (tmp_path / "log").read_text()


def test_a_dry_run_is_the_plan_and_changes_nothing(source: Path, tmp_path: Path) -> None:
    """`publish --dry-run` says what `plan` says, and leaves no folder, lock or file."""
    given = (source / "sealift.yaml", "--to", tmp_path / "out")
    before = sorted(source.rglob("*"))
    assert answer("publish", *given, "--dry-run") == answer("plan", *given)
    assert [*tmp_path.iterdir()] == []
    assert sorted(source.rglob("*")) == before


def test_a_second_run_writes_nothing(source: Path, tmp_path: Path) -> None:
    """With nothing changed the second run says so, and no file is touched."""
    given = ("publish", source / "sealift.yaml", "--to", tmp_path / "out", *ONE)
    first = answer(*given)
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    again = answer(*given)
    assert (again["written"], again["deleted"], again["packed"], again["bytes_written"]) == ([], [], 0, 0)
    assert again["plan"] == first["plan"]
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")} == times
    assert "up to date" in run(*given).stderr


def test_check_decodes_and_shows_rows(source: Path) -> None:
    """--check N shows N rows, one of each split in turn, with what the decoders say of their files."""
    rows = answer("plan", source / "sealift.yaml", "--check", 4)["rows"]
    assert [row["key"][:6] for row in rows] == ["one000", "one002", "one004", "one001"]
    assert re.search(r"\.flac: .*8000 Hz", rows[0]["cells"]["audio"])
    assert re.search(r"\.mid: .*\d notes", rows[0]["cells"]["midi"])
    shown = run("plan", source / "sealift.yaml", "--check", 1).stdout
    assert rows[0]["cells"]["audio"] in shown


# --- problems, warnings and --strict ----------------------------------------------------------------------------------


def test_a_plan_that_cannot_be_published_names_every_problem(spec: Path, tmp_path: Path) -> None:
    """A missing file is a problem of the plan: exit code 4, its code, key, path and remedy; nothing is written."""
    gone = min(spec.parent.rglob("*.flac"))
    gone.unlink()
    for call in (["plan", spec], ["publish", spec, "--to", tmp_path / "out"]):
        said = answer(*call, exit_code=4)
        (problem,) = said["problems"]
        assert (problem["code"], problem["severity"], problem["count"]) == ("media-missing", "error", 1)
        assert gone.name in problem["place"]
        assert "missing: skip" in problem["remedy"]
        ended = run(*call)
        assert ended.stderr.count("media-missing") == 1
    assert not (tmp_path / "out").exists()


def test_strict_takes_warnings_for_errors(spec: Path, tmp_path: Path) -> None:
    """A FLAC that is HTML is a warning with a count, and is published as it is; with --strict nothing is."""
    for file in sorted(spec.parent.rglob("*.flac"))[:2]:
        file.write_bytes(b"<!doctype html><p>not found</p>")
    (warning,) = [one for one in answer("plan", spec)["problems"] if one["code"] == "media-suspect"]
    assert (warning["severity"], warning["count"]) == ("warning", 2)
    assert answer("plan", spec, "--strict", exit_code=4)["error"] == "PlanRefused"
    answer("publish", spec, "--to", tmp_path / "out", *ONE, "--strict", exit_code=4)
    assert not (tmp_path / "out").exists()
    said = answer("publish", spec, "--to", tmp_path / "out", *ONE)
    assert [(one["code"], one["count"]) for one in said["warnings"]] == [("media-suspect", 2)]
    assert answer("verify", tmp_path / "out")["ok"]


def test_exit_codes_by_class(spec: Path, tmp_path: Path) -> None:
    """The main classes of failure end with their own code, as the shell sees it, and never with a traceback."""
    lost = "tables: {t: none.csv}\nrows: SELECT * FROM t\n"
    (tmp_path / "lost.yaml").write_text(lost)
    (tmp_path / "file").write_text("a file stands where a folder should")
    (tmp_path / "empty").mkdir()
    calls: list[tuple[int, list[object]]] = [
        (2, ["publish", tmp_path / "none.yaml", "--to", tmp_path / "out"]),
        (3, ["plan", tmp_path / "lost.yaml"]),
        (4, ["plan", say(spec, "expect: {rows: 7}")]),
        (6, ["publish", spec.with_name("plain.yaml"), "--to", tmp_path / "file/out", *ONE]),
        (7, ["verify", tmp_path / "empty"]),
    ]
    spec.with_name("plain.yaml").write_text(corpora.MUSIC_SPEC)
    for code, call in calls:
        ended = process(*call)
        assert ended.returncode == code, (call, ended.stderr)
        assert ended.stderr.startswith(("error:", "warning:", "plan:")), ended.stderr
        assert "try:" in ended.stderr
        assert "Traceback" not in ended.stderr


# --- secrets ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [["plan"], ["plan", "--json"], ["publish", "--to", "OUT"], ["plan", "--check", "1"]])
@pytest.mark.parametrize("key", ["from: ${HF_TOKEN}", "tables: {t: '${HF_TOKEN}.csv'}\nrows: SELECT * FROM t"])
def test_a_token_is_never_printed(words: list[str], key: str, tmp_path: Path) -> None:
    """Wherever a spec puts a token, neither output, nor log, nor JSON, nor a published file shows it."""
    (tmp_path / "sealift.yaml").write_text(f"{key}\ncard: {{pretty_name: '${{HF_TOKEN}}'}}\n")
    words = [str(tmp_path / "out") if word == "OUT" else word for word in words]
    ended = run(words[0], tmp_path / "sealift.yaml", *words[1:], "--log-file", tmp_path / "log", HF_TOKEN=TOKEN)
    assert ended.returncode != 0
    assert TOKEN not in ended.stdout + ended.stderr + (tmp_path / "log").read_text()


def test_an_environment_file_fills_the_spec(spec: Path, tmp_path: Path) -> None:
    """--env-file gives variables that the environment does not have; what they say is not shown in the manifest."""
    spec.write_text(spec.read_text().replace("pretty_name: Takes", "pretty_name: '${SECRET_NAME}'"))
    (tmp_path / "env").write_text("SECRET_NAME=somebody\n")
    assert "SECRET_NAME" in run("plan", spec).stderr
    answer("publish", spec, "--to", tmp_path / "out", *ONE, "--env-file", tmp_path / "env")
    assert "somebody" not in (tmp_path / "out/.sealift/manifest.json").read_text()


# --- questions --------------------------------------------------------------------------------------------------------


def test_a_folder_with_other_things_is_not_published_into_unasked(source: Path, tmp_path: Path) -> None:
    """Where nobody can answer it is refused with the names; --yes does it; what is there stays, and a card is kept."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out/diary.txt").write_text("mine")
    given = ("publish", source / "sealift.yaml", "--to", tmp_path / "out", *ONE)
    said = answer(*given, exit_code=2)
    assert "diary.txt" in said["message"]
    assert "--yes" in said["hint"]
    assert [one.name for one in (tmp_path / "out").iterdir()] == ["diary.txt"]
    answer(*given, "--yes")
    assert (tmp_path / "out/diary.txt").read_text() == "mine"
    assert answer(*given)["written"] == []


def test_a_card_and_what_git_keeps_are_no_other_things(source: Path, tmp_path: Path) -> None:
    """A fresh clone with a card is published into without a question, and the card's text stays."""
    (tmp_path / "out/.git").mkdir(parents=True)
    (tmp_path / "out/.gitattributes").write_text("*.parquet filter=lfs\n")
    (tmp_path / "out/README.md").write_text("# Mine\n\nWritten by hand.\n")
    answer("publish", source / "sealift.yaml", "--to", tmp_path / "out", *ONE)
    assert "Written by hand." in (tmp_path / "out/README.md").read_text()
    assert answer("verify", tmp_path / "out")["ok"]


@pytest.mark.parametrize(("reply", "published"), [(b"n\n", False), (b"y\n", True)])
def test_a_question_is_asked_on_a_terminal(reply: bytes, published: bool, source: Path, tmp_path: Path) -> None:
    """On a terminal the question waits, on stderr, so that stdout stays one JSON object. No is no error."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out/diary.txt").write_text("mine")
    ours, theirs = pty.openpty()
    given = ("publish", source / "sealift.yaml", "--to", tmp_path / "out", *ONE, "--json")
    words = [str(word) for word in (COMMAND, *given)]
    os.write(ours, reply)
    ended = subprocess.run(words, stdin=theirs, capture_output=True, text=True, check=False)
    os.close(ours)
    os.close(theirs)
    assert ended.returncode == 0, ended.stderr
    assert "Publish into it all the same?" in ended.stderr
    assert bool(json.loads(ended.stdout)["written"]) is published
    assert (tmp_path / "out/README.md").exists() is published


# --- stopping ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP, signal.SIGTERM])
def test_a_run_that_is_stopped_leaves_what_was_there(number: signal.Signals, source: Path, tmp_path: Path) -> None:
    """Stopped while it works, it ends with 128 and the signal, and says how to go on; nothing is half done at the
    destination, what is beside it is for going on, and goes when the same command has done so."""
    words = [str(word) for word in ("publish", source / "sealift.yaml", "--to", tmp_path / "out", "--workers", 2)]
    running = subprocess.Popen([COMMAND, *words], stderr=subprocess.PIPE, text=True, start_new_session=True)
    staged = tmp_path / ".out.sealift"
    until = time.monotonic() + 30
    while not staged.exists() and time.monotonic() < until:
        time.sleep(0.01)
    running.send_signal(number)
    _, said = running.communicate(timeout=30)
    assert running.returncode == 128 + number, said
    assert "run the same command again" in said
    assert "Traceback" not in said
    assert {one.name for one in tmp_path.iterdir()} <= {staged.name}
    answer(*words)
    assert [*tmp_path.iterdir()] == [tmp_path / "out"]


def test_private_is_no_obstacle_to_a_folder(source: Path, tmp_path: Path) -> None:
    """--private is for the Hub; a folder is published as ever, and the manifest's spec says it."""
    answer("publish", source / "sealift.yaml", "--to", tmp_path / "out", *ONE, "--private")
    said: dict[str, Any] = json.loads((tmp_path / "out/.sealift/manifest.json").read_text())
    assert said["spec"]["private"] is True


def test_a_dry_run_says_where_it_would_go_and_what_would_be_left_out(source: Path, tmp_path: Path) -> None:
    """Who looks before publishing learns the destination, and that nothing was written."""
    ended = run("publish", source / "sealift.yaml", "--to", tmp_path / "out", "--dry-run")
    assert f"this would go to {tmp_path / 'out'}; nothing was written" in ended.stderr
    assert not (tmp_path / "out").exists()
