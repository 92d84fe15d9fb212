"""What holds for every command: errors, exit codes, JSON, secrets, signals, progress."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from sealift import __version__, errors
from sealift.cli.exit import exit_code_table, exit_codes
from sealift.cli.main import COMMANDS, LazyGroup
from sealift.cli.main import sealift as sealift_group
from sealift.cli.options import example, max_shard_size_option, memory_option, shared_options, workers_option
from sealift.cli.output import Output
from sealift.cli.progress import Lines, Stage, progress
from sealift.cli.redact import printable
from sealift.cli.signals import Interrupted, Signals
from sealift.cli.units import duration_text, size_text
from sealift.model.event import Advanced, Finished, Said, Started
from sealift.model.problem import Problem
from sealift.redact import Redaction

ROOT = Path(__file__).parents[1]
TOKEN = "hf_" + "q7" * 17
COLOUR = "\x1b\\[[0-9;]*[39][0-7]m"


class OneCommand(LazyGroup):
    """The real frame around one command, `do`."""

    def __init__(self, do: click.Command) -> None:
        super().__init__("sealift", table={"do": ("", "Do it.")})
        self.do = do

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command."""
        return self.do


def framed(body: Callable[[Output], object]) -> LazyGroup:
    """The real frame around a command that takes every shared option and runs the body."""

    @click.command("do", epilog=example("sealift do --memory 1GB", "", "sealift do    --json"))
    @memory_option
    @max_shard_size_option
    @workers_option
    @shared_options
    def do(output: Output, **asked: int | None) -> None:
        """Do it."""
        output.say(f"asked {asked}")
        body(output)

    return OneCommand(do)


def call(body: Callable[[Output], object], *args: str, env: dict[str, str] | None = None) -> Result:
    """Run `sealift do` with these options."""
    environment = {"SEALIFT_TRACEBACK": None, **(env or {})}
    return CliRunner().invoke(framed(body), ["do", *args], env=environment, prog_name="sealift")


def raising(error: BaseException) -> Callable[[Output], object]:
    """A body that fails with the error."""

    def body(output: Output) -> None:
        raise error

    return body


def nothing(output: Output) -> None:
    """A body that does nothing."""


# --- the listing ---------------------------------------------------------------------------------


def test_help_lists_every_command_and_imports_none() -> None:
    """The listing comes from the table, so it works while a command's module is broken or missing."""
    table = {"gone": ("sealift.cli.no_such_module", "It is not there."), "bad": ("sealift.cli.also_not", "Nor this.")}
    shown = CliRunner().invoke(LazyGroup("sealift", table=table), ["--help"])
    assert shown.exit_code == 0
    assert re.search(r"gone +It is not there\.\n +bad +Nor this\.", shown.output)


def test_a_command_without_its_module_is_not_supported_yet() -> None:
    """A name in the table whose module is missing is a clear answer, not a traceback."""
    table = {"gone": ("sealift.cli.no_such_module", "It is not there.")}
    result = CliRunner().invoke(LazyGroup("sealift", table=table), ["gone"])
    assert result.exit_code == errors.NotSupportedYet.exit_code
    assert "this version has no command 'gone'" in result.stderr


@pytest.mark.parametrize("args", [["--help"], ["-h"], []], ids=repr)
def test_help_goes_to_stdout_and_shows_an_example(args: list[str]) -> None:
    """`sealift`, `sealift -h` and `sealift --help` show the same help, with an example, and succeed."""
    shown = CliRunner().invoke(sealift_group, args)
    assert (shown.exit_code, shown.stderr) == (0, "")
    assert "Example:\n    sealift demo\n" in shown.stdout
    assert all(name in shown.stdout for name in COMMANDS)


def test_version() -> None:
    """`sealift --version` names the program and its version."""
    assert CliRunner().invoke(sealift_group, ["--version"]).output == f"sealift {__version__}\n"


def test_an_example_is_shown_as_it_is_written() -> None:
    """The epilog keeps its lines and spaces."""
    assert "  Example:\n    sealift do --memory 1GB\n\n    sealift do    --json\n" in call(nothing, "--help").output


# --- errors and exit codes -----------------------------------------------------------------------


@pytest.mark.parametrize("kind", [errors.SpecError, errors.SourceChanged, errors.PlanRefused, errors.MissingExtra])
def test_an_error_is_its_message_its_hint_and_its_code(kind: type[errors.SealiftError]) -> None:
    """A user's mistake shows what is wrong and what to try, without a traceback."""
    result = call(raising(kind("a.flac is gone", hint="put it back")), "-q")
    assert result.exit_code == kind.exit_code
    assert result.stderr == "error: a.flac is gone\ntry: put it back\n"
    assert result.stdout == ""


def test_an_error_with_json_is_one_object() -> None:
    """With --json an error is one object on stdout, with its fields; the message is still said on stderr."""
    problem = Problem("row-too-large", "3 GB", place="key a")
    result = call(raising(errors.PlanRefused("refused", hint="mend it", path=Path("x"), problems=[problem])), "--json")
    assert json.loads(result.stdout) == {
        "ok": False,
        "error": "PlanRefused",
        "message": "refused",
        "hint": "mend it",
        "exit_code": 4,
        "path": "x",
        "problems": [problem.as_json()],
    }
    assert "error: refused" in result.stderr


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--memori", "1GB"], "No such option '--memori'"),
        (["--memory", "lots"], "'lots' is not a size; write it like 512MB"),
        (["--memory", "5 parsecs"], "'5 parsecs' has no unit that is known"),
        (["--max-shard-size", "0"], "'0' is not a size above 0"),
        (["--workers", "0"], "0 is not in the range x>=1"),
    ],
    ids=str,
)
def test_a_wrong_call_is_exit_code_2(args: list[str], message: str) -> None:
    """A wrong option names itself and points to the help, with and without --json."""
    result = call(nothing, *args)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.endswith("try: sealift do --help\n")
    answer = json.loads(call(nothing, "--json", *args).stdout)
    assert (answer["ok"], answer["error"], answer["exit_code"]) == (False, "RequestError", 2)


def test_a_question_without_an_answer_is_exit_code_2() -> None:
    """A prompt at the end of stdin fails and names the option that answers it."""
    result = call(lambda output: click.confirm("sure?", abort=True))
    assert result.exit_code == 2
    assert "--yes" in result.stderr


def test_a_bug_is_one_line_and_exit_code_1() -> None:
    """What nobody foresaw is called a bug, without a traceback, and says how to get one."""
    result = call(raising(ValueError("first line\nsecond line")), "-q")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[0] == "error: this is a bug in sealift: ValueError: first line"
    assert "Traceback" not in result.stderr
    assert "--log-file" in result.stderr


def test_a_bug_shows_its_traceback_when_asked() -> None:
    """SEALIFT_TRACEBACK=1 puts the traceback on stderr."""
    result = call(raising(ValueError("odd")), env={"SEALIFT_TRACEBACK": "1"})
    assert "Traceback (most recent call last)" in result.stderr


def test_the_log_file_keeps_talk_and_tracebacks(tmp_path: Path) -> None:
    """--log-file takes everything said, even when quiet, and the traceback of any error, in UTC."""
    log = tmp_path / "run.log"
    call(raising(ValueError("odd")), "-q", "--memory", "1GB", "--log-file", str(log))
    text = log.read_text()
    assert re.search(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO asked .*'memory': 1000000000", text, re.MULTILINE)
    assert "Traceback (most recent call last)" in text
    assert "ValueError: odd" in text


def test_a_log_file_that_cannot_be_written_is_a_wrong_call(tmp_path: Path) -> None:
    """The log file is opened before any work; if that fails, nothing was done."""
    result = call(raising(AssertionError("ran")), "--log-file", str(tmp_path / "no" / "run.log"))
    assert result.exit_code == 2
    assert "cannot write the log file" in result.stderr


def test_exit_codes_are_documented() -> None:
    """The table in docs/exit-codes.md is the one that the classes say; `exit_code_table()` prints it anew."""
    assert exit_code_table() in (ROOT / "docs" / "exit-codes.md").read_text()


def test_every_error_has_a_code_of_its_branch() -> None:
    """The table holds every class of errors.py but its root, and only bugs have code 1."""
    kinds = {name for name, kind in vars(errors).items() if isinstance(kind, type)} - {
        "SealiftError",
        "Any",
        "ClassVar",
    }
    codes = {kind: code for code, kind, _ in exit_codes()}
    assert set(codes) == kinds | {"Bug"}
    assert [kind for kind, code in codes.items() if code == 1] == ["Bug"]


# --- talk and data -------------------------------------------------------------------------------


def speaking(output: Output) -> None:
    """A body that says everything there is to say."""
    output.say("talk")
    output.warn("careful")
    output.table("Splits", ["split", "bytes"], [("train", 1200), ("test", 7)])
    output.result({"rows": 3, "share": float("nan"), "path": Path("a") / "b"})


def test_data_goes_to_stdout_and_talk_to_stderr() -> None:
    """Without --json a table is data: plain, aligned text where stdout is no terminal."""
    result = call(speaking)
    assert result.stdout == "Splits\nsplit  bytes\ntrain   1200\ntest       7\n"
    assert result.stderr.endswith("talk\nwarning: careful\n")


def test_json_is_one_object_and_nothing_else() -> None:
    """With --json stdout holds one valid JSON object on one line."""
    result = call(speaking, "--json")
    assert json.loads(result.stdout) == {"ok": True, "rows": 3, "share": None, "path": "a/b"}
    assert "talk" in result.stderr


def test_quiet_leaves_warnings() -> None:
    """--quiet silences talk and tables, never a warning."""
    result = call(speaking, "--quiet")
    assert (result.stdout, result.stderr) == ("", "warning: careful\n")


def test_names_that_no_encoding_takes_are_spelled_out() -> None:
    """A file name with raw bytes or control characters reaches neither an exception nor the terminal's controls."""
    odd = os.fsdecode(b"caf\xe9\x1b[2J.flac")

    def body(output: Output) -> None:
        output.say(odd)
        output.table("", ["path"], [(odd,)])

    result = call(body)
    assert result.exit_code == 0
    assert r"caf\udce9\x1b[2J.flac" in result.stdout
    assert r"caf\udce9\x1b[2J.flac" in result.stderr
    assert printable("Ärger, 音, tab\t") == "Ärger, 音, tab\t"


# --- secrets -------------------------------------------------------------------------------------


def leaking(output: Output) -> None:
    """A body that names secrets wherever it can, and then fails with one."""
    output.say(f"saw {TOKEN}")
    output.warn(f"saw {TOKEN} and pa$$word.1")
    output.table(f"of {TOKEN}", ["a"], [(f"Bearer {TOKEN}",)])
    output.log.info("headers %s", {"Authorization": f"Bearer {TOKEN}"})
    with progress(output) as on_event:
        on_event(Said(f"event {TOKEN}"))
        on_event(Finished(TOKEN))
    raise errors.SourceError(f"no access with {TOKEN}", hint=f"pa$$word.1 {TOKEN}", headers={TOKEN: ["pa$$word.1"]})


@pytest.mark.parametrize("args", [[], ["--json"], ["--quiet"]], ids=repr)
def test_secrets_reach_neither_terminal_nor_log_nor_json(args: list[str], tmp_path: Path) -> None:
    """Tokens, and values of variables that are named as secrets, are hidden everywhere, tracebacks included."""
    log = tmp_path / "run.log"
    env = {"DB_PASSWORD": "pa$$word.1", "SEALIFT_TRACEBACK": "1"}
    result = call(leaking, *args, "--log-file", str(log), env=env)
    everything = result.stdout + result.stderr + log.read_text()
    assert result.exit_code == errors.SourceError.exit_code
    assert "[hidden]" in result.stderr and "[hidden]" in log.read_text()
    assert TOKEN not in everything
    assert "pa$$word.1" not in everything


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("authorization: Basic dXNlcjpwYXNz end", "authorization: Basic [hidden] end"),
        ('{"Authorization": "s3cr3tvalue"}', '{"Authorization": "[hidden]"}'),
        ("s3://me:pw@host/a", "s3://[hidden]@host/a"),
        ("https://me:p@ss:w@host/a@b", "https://[hidden]@host/a@b"),
        ("https://ghp_12345678@host/a and ssh://git@host/a", "https://[hidden]@host/a and ssh://git@host/a"),
        ("x?a=1&X-Amz-Signature=0af1&b=2", "x?a=1&X-Amz-Signature=[hidden]&b=2"),
        ("key AKIAABCDEFGHIJKLMNOP", "key [hidden]"),
        ("hf_hub and shelf_abcdefgh.flac stay", "hf_hub and shelf_abcdefgh.flac stay"),
    ],
)
def test_what_looks_like_a_secret_is_hidden_and_the_rest_is_not(text: str, shown: str) -> None:
    """Only the secret is replaced."""
    assert Redaction().text(text) == shown


def test_names_of_places_and_short_values_are_not_secrets() -> None:
    """HF_TOKEN_PATH names a file, and a value of a few letters would hide half of a message."""
    found = Redaction.from_environment({"HF_TOKEN_PATH": "/home/me/token", "KEY": "short", "MY_API_KEY": "longenough"})
    assert found.secrets == ("longenough",)


# --- sizes and durations -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "size"),
    [("1GB", 10**9), ("1GiB", 2**30), ("1.5 kB", 1500), ("0.1TB", 10**11), ("512mb", 512 * 10**6), ("4096", 4096)],
)
def test_sizes_are_read_exactly(text: str, size: int) -> None:
    """Decimal units are powers of 1000, binary ones of 1024; a bare number is bytes."""
    assert f"'memory': {size}," in call(nothing, "--memory", text).stderr


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_949, "999.9 kB"), (999_950, "1.0 MB"), (10**12, "1.0 TB")],
)
def test_sizes_are_written_in_the_unit_that_fits(size: int, text: str) -> None:
    """A size is shown with one digit after the point, and never as 1000 of a unit."""
    assert size_text(size) == text


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0:00"), (59.6, "1:00"), (3723, "1:02:03")])
def test_durations_are_written_in_whole_seconds(seconds: float, text: str) -> None:
    """Minutes and seconds; hours when there are any."""
    assert duration_text(seconds) == text


# --- progress ------------------------------------------------------------------------------------


class Time:
    """A clock that goes by when told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def quiet_output() -> Iterator[Output]:
    """An output with talk on, and no log."""
    with Output.open() as output:
        yield output


def test_lines_come_every_five_seconds_and_at_the_end(quiet_output: Output, capsys: pytest.CaptureFixture[str]) -> None:
    """Where there is no terminal, a long stage talks every 5 s with bytes, files, rate and time left."""
    clock = Time()
    lines = Lines(quiet_output, clock)
    lines(Started("pack", bytes=100_000_000, files=100))
    for _ in range(20):
        clock.now += 1
        lines(Advanced("pack", bytes=2_000_000, files=2))
    lines(Finished("pack"))
    assert capsys.readouterr().err.splitlines() == [
        "pack: 10.0 MB of 100.0 MB, 10 of 100 files, 2.0 MB/s, 0:45 left",
        "pack: 20.0 MB of 100.0 MB, 20 of 100 files, 2.0 MB/s, 0:40 left",
        "pack: 30.0 MB of 100.0 MB, 30 of 100 files, 2.0 MB/s, 0:35 left",
        "pack: 40.0 MB of 100.0 MB, 40 of 100 files, 2.0 MB/s, 0:30 left",
        "pack: done, 40.0 MB, 40 files in 0:20",
    ]


def test_the_rate_is_that_of_the_last_half_minute() -> None:
    """A stage that slows down says so: old speed is forgotten."""
    stage = Stage("read", bytes_total=None, files_total=None, now=0)
    for second in range(1, 101):
        stage.advance(Advanced("read", bytes=1_000_000 if second <= 50 else 1_000), second)
    assert stage.figures(100) == "50.0 MB, 1.0 kB/s"


def test_a_stage_without_bytes_counts_files() -> None:
    """Without a total of bytes the time left is by files; an empty stage is done from the start."""
    stage = Stage("list", bytes_total=None, files_total=40, now=0)
    stage.advance(Advanced("list", files=10), 10)
    assert (stage.figures(10), stage.share()) == ("10 of 40 files, 0:30 left", 0.25)
    assert Stage("pack", bytes_total=0, files_total=0, now=0).share() == 1.0


def test_quiet_shows_no_progress() -> None:
    """--quiet means no progress either."""

    def body(output: Output) -> None:
        with progress(output) as on_event:
            on_event(Started("pack", bytes=5))
            on_event(Finished("pack"))

    assert call(body, "--quiet").stderr == ""
    assert "pack: done" in call(body).stderr


# --- in a process of its own ---------------------------------------------------------------------

COMMAND = """
import os, signal, sys, time
from pathlib import Path
import click
from sealift.cli.main import LazyGroup
from sealift.cli.options import shared_options
from sealift.cli.progress import progress
from sealift.errors import RequestError
from sealift.model.event import Advanced, Finished, Said, Started

# Whatever started the tests may ignore it, as shells do for what runs in the background.
signal.signal(signal.SIGINT, signal.default_int_handler)
if os.environ.get("IGNORE_HUP"):
    signal.signal(signal.SIGHUP, signal.SIG_IGN)

@click.command()
@shared_options
@click.argument("what")
@click.argument("folder", type=Path)
def command(output, what, folder):
    if what == "many":
        for number in range(30_000):
            output.table("", ["number"], [(number,)])
    elif what == "fail":
        raise RequestError("asked too much")
    elif what == "ask":
        click.confirm("sure?", abort=True)
    elif what == "bars":
        with progress(output) as on_event:
            on_event(Started("pack", bytes=2_000_000, files=2))
            on_event(Advanced("pack", bytes=1_000_000, files=1))
            on_event(Said("half way"))
            on_event(Advanced("pack", bytes=1_000_000, files=1))
            on_event(Finished("pack"))
    elif what == "wait":
        try:
            with progress(output) as on_event:
                on_event(Started("pack", bytes=10))
                try:
                    (folder / "ready").touch()
                    while not (folder / "go").exists():
                        time.sleep(0.01)
                except Exception:
                    (folder / "swallowed").touch()
        finally:
            (folder / "cleaned").touch()

sys.modules["frame_test_command"] = sys.modules["__main__"]
LazyGroup("sealift", table={"do": ("frame_test_command", "Do it.")}).main()
"""


def started(folder: Path, *args: str, shell: str = "", **env: str) -> subprocess.Popen[str]:
    """`sealift do` in a process of its own, through the same frame; `shell` redirects its streams."""
    script = folder / "command.py"
    script.write_text(COMMAND)
    command = [sys.executable, str(script), "do", *args, str(folder)]
    return subprocess.Popen(
        ["sh", "-c", f"exec {shlex.join(command)} {shell}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **env},
    )


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    """Until the file is there, or the process is not."""
    while not path.exists() and process.poll() is None:
        time.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_signal_stops_cleanly_and_says_how_to_go_on(number: signal.Signals, tmp_path: Path) -> None:
    """SIGINT, SIGTERM and SIGHUP run every `finally`, pass every `except Exception`, and exit with 128 + n."""
    with started(tmp_path, "--json", "wait") as process:
        wait_for(tmp_path / "ready", process)
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 128 + number, stderr
    assert (tmp_path / "cleaned").exists()
    assert not (tmp_path / "swallowed").exists()
    assert stderr.splitlines()[-2:] == [f"stopped by {number.name}", "try: run the same command again"]
    assert json.loads(stdout)["exit_code"] == 128 + number


def test_the_first_signal_stops_and_its_echo_changes_nothing() -> None:
    """A terminal and a supervisor may both send one: the clean-up after the first is not disturbed within a second."""
    clock = Time()
    with Signals(clock) as signals:
        with pytest.raises(Interrupted):
            signal.raise_signal(signal.SIGTERM)
        clock.now += 0.9
        signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGTERM)
        assert signals.seen == signal.SIGTERM


def test_a_second_signal_that_comes_later_means_it() -> None:
    """Who asks again after a second does not wait for the clean-up."""
    code = """
import signal
from sealift.cli.signals import Interrupted, Signals
times = iter([100.0, 101.0])
with Signals(lambda: next(times)):
    try:
        signal.raise_signal(signal.SIGTERM)
    except Interrupted:
        signal.raise_signal(signal.SIGTERM)
        print("still here")
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (-signal.SIGTERM, "", "")


def test_a_signal_that_was_ignored_from_the_start_stays_ignored(tmp_path: Path) -> None:
    """Under nohup a run outlives its terminal."""
    with started(tmp_path, "wait", IGNORE_HUP="1") as process:
        wait_for(tmp_path / "ready", process)
        process.send_signal(signal.SIGHUP)
        (tmp_path / "go").touch()
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr


@pytest.mark.parametrize(
    ("shell", "args", "code", "said"),
    [
        (">&-", "many", 0, ""),
        (">&- 2>&-", "many", 0, ""),
        ("<&- >&- 2>&-", "bars", 0, ""),
        ("<&-", "ask", 2, "a question got no answer"),
        ("</dev/null 2>&-", "ask", 2, ""),
        (">&-", "--json fail", 2, "asked too much"),
        (">/dev/full", "--json fail", 2, "asked too much"),
        (">/dev/full", "many", errors.DestinationError.exit_code, "no room left"),
    ],
)
def test_streams_may_be_closed_or_full(shell: str, args: str, code: int, said: str, tmp_path: Path) -> None:
    """A shell may close any stream, and a disk may be full: no traceback, and the exit code of what happened."""
    with started(tmp_path, *args.split(), shell=shell) as process:
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == code, stderr
    assert said in stderr
    assert "Traceback" not in stderr and "Exception ignored" not in stderr


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path: Path) -> None:
    """`sealift … | head -1` ends quietly."""
    with started(tmp_path, "many") as process:
        assert process.stdout and process.stderr
        process.stdout.readline()
        process.stdout.close()
        stderr = process.stderr.read()
    assert (process.returncode, stderr) == (128 + signal.SIGPIPE, "")


def on_a_terminal(folder: Path, *args: str, **env: str) -> str:
    """What `sealift do` writes to stderr when that is a terminal."""
    ours, theirs = os.openpty()
    script = folder / "command.py"
    script.write_text(COMMAND)
    environment = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR", "CI")}
    process = subprocess.Popen(
        [sys.executable, script, "do", *args, str(folder)],
        stdout=subprocess.DEVNULL,
        stderr=theirs,
        env={**environment, "TERM": "xterm", "COLUMNS": "120", **env},
    )
    os.close(theirs)
    shown = b""
    try:
        while piece := os.read(ours, 65536):
            shown += piece
    except OSError:  # Linux's way to say that the other end is closed.
        pass
    os.close(ours)
    assert process.wait(timeout=60) == 0, shown
    return shown.decode()


def test_a_terminal_gets_bars(tmp_path: Path) -> None:
    """On a terminal progress is drawn: stage, bar, bytes and files; what is said stands above."""
    shown = on_a_terminal(tmp_path, "bars")
    assert "half way" in shown
    assert "━" in shown
    assert "2.0 MB, 2 files in 0:00" in shown
    assert re.search(COLOUR, shown)


def test_no_color_is_respected(tmp_path: Path) -> None:
    """With NO_COLOR bars are drawn without colour."""
    shown = on_a_terminal(tmp_path, "bars", NO_COLOR="1")
    assert "━" in shown
    assert not re.search(COLOUR, shown)


def test_a_terminal_with_quiet_gets_nothing(tmp_path: Path) -> None:
    """--quiet draws nothing on a terminal."""
    assert on_a_terminal(tmp_path, "--quiet", "bars") == ""


@pytest.mark.parametrize(("done", "said"), [(5, False), (500, True)])
def test_the_time_that_is_left_is_said_once_a_hundredth_is_done(done: int, said: bool) -> None:
    """The pace of the first small files says nothing of the large ones."""
    stage = Stage("pack", bytes_total=1000, files_total=None, now=0.0)
    stage.advance(Advanced("pack", bytes=done), now=2.0)
    assert ("left" in stage.figures(now=2.0)) == said
