"""`sealift hub`: a Hub until Ctrl-C, which says what to type, and is the same at the next start."""

from __future__ import annotations

import http.client
import json
import os
import re
import select
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from tests.albums import albums
from tests.command import COMMAND, process, run
from tests.hubs import Hub

LIMIT_S = 60


@contextmanager
def running(*words: object, **env: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command until the block is left, and the first line that it says on stdout."""
    command = [str(COMMAND), "hub", *map(str, words)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **env}
    ) as started:
        try:
            assert started.stdout is not None
            readable, _, _ = select.select([started.stdout], [], [], LIMIT_S)
            yield started, started.stdout.readline() if readable else ""
        finally:
            if started.poll() is None:
                started.kill()


def stop(started: subprocess.Popen[str], number: signal.Signals = signal.SIGINT) -> tuple[int, str]:
    """Stop it; its exit code and what it said on stderr."""
    started.send_signal(number)
    _, err = started.communicate(timeout=LIMIT_S)
    return started.returncode, err


def hub_of(line: str, root: Path) -> Hub:
    """The Hub that the `--json` line tells of."""
    said = json.loads(line)
    assert said["ok"] is True and said["root"] == str(root)
    return Hub(said["endpoint"], said["token"], said["user"], said["read_token"], root)


def test_what_it_says_to_type_publishes_and_loads(tmp_path: Path) -> None:
    """The lines on stdout work as they stand: the variables, then publishing, then loading."""
    source = albums(tmp_path / "source")
    with running("--root", tmp_path / "hub") as (started, first):
        assert started.stdout is not None
        publish, load = started.stdout.readline(), started.stdout.readline()
        found = re.fullmatch(r"export HF_ENDPOINT=(http://127\.0\.0\.1:\d+) HF_TOKEN=(hf_\w+)\n", first)
        assert found
        away = {"HF_HOME": str(tmp_path / "home"), "HF_XET_CACHE": str(tmp_path / "xet")}
        known = {"HF_ENDPOINT": found[1], "HF_TOKEN": found[2], **away}
        words = publish.split()
        assert words[:2] == ["sealift", "publish"]
        done = process(*words[1:], cwd=source, **known)
        assert done.returncode == 0, done.stderr
        shell = {**os.environ, **known, "PATH": f"{COMMAND.parent}:{os.environ['PATH']}"}
        loaded = subprocess.run(["sh", "-c", load], capture_output=True, text=True, env=shell, timeout=LIMIT_S)
        code, err = stop(started)
    assert "num_rows: 16" in loaded.stdout, loaded.stderr
    assert code == 0
    assert f"its state is in {tmp_path / 'hub'}" in err and err.endswith("stopped\n")


def test_it_is_the_same_at_the_next_start(tmp_path: Path) -> None:
    """Tokens and repositories are those of the root; SIGTERM ends it as cleanly as Ctrl-C."""
    root = tmp_path / "hub"
    with running("--root", root, "--json") as (started, line):
        before = hub_of(line, root)
        made = create(before, "me/kept", tmp_path)
        assert made.returncode == 0, made.stderr
        assert stop(started, signal.SIGTERM)[0] == 0
    with running("--root", root, "--json") as (started, line):
        after = hub_of(line, root)
        again = create(after, "me/kept", tmp_path)
        assert stop(started)[0] == 0
    assert (before.token, before.read_token) == (after.token, after.read_token)
    assert "409" in again.stderr


def create(hub: Hub, name: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Make a repository there by the official client."""
    code = f"from huggingface_hub import create_repo; create_repo({name!r}, repo_type='dataset')"
    return hub.run_python(code, hub.environment(home / "home"))


def test_its_options_reach_the_hub(tmp_path: Path) -> None:
    """--org closes other namespaces, --no-xet leaves out Xet, --quota-api and --quota-resolvers refuse beyond it."""
    options = ("--org", "lab", "--no-xet", "--quota-api", 9, "--quota-resolvers", 1)
    with running("--root", tmp_path / "hub", "--json", "--quiet", *options) as (started, line):
        hub = hub_of(line, tmp_path / "hub")
        assert "403" in create(hub, "others/x", tmp_path).stderr
        assert create(hub, "lab/x", tmp_path).returncode == 0
        doctor = run("doctor", "--to", "lab/x", "--endpoint", hub.endpoint, "--token", hub.token)
        assert "by LFS" in doctor.stdout
        assert [status(hub, "lab/x", ".gitattributes") for _ in range(2)] == [200, 429]
        busy = run("doctor", "--to", "lab/x", "--endpoint", hub.endpoint, "--token", hub.token)
        code, err = stop(started)
    assert busy.returncode == 6 and "quota of requests is used up" in busy.stderr
    assert (code, err) == (0, "")


def test_it_fails_as_the_file_says(tmp_path: Path) -> None:
    """--faults takes a file; a mistake in it is named with the file and the key, and nothing is started."""
    (tmp_path / "faults.yaml").write_text("- {kind: resolve, status: 418, times: }\n")
    with running("--root", tmp_path / "hub", "--json", "--faults", tmp_path / "faults.yaml") as (started, line):
        assert status(hub_of(line, tmp_path / "hub"), "a/b", "c") == 418
        stop(started)
    (tmp_path / "faults.yaml").write_text("- {kind: resolve, sttus: 418}\n")
    refused = run("hub", "--root", tmp_path / "hub", "--faults", tmp_path / "faults.yaml")
    assert refused.returncode == 2
    assert "faults.yaml: fault 1 has no key 'sttus'; did you mean 'status'?" in refused.stderr
    assert "docs/faults.md" in refused.stderr


def status(hub: Hub, name: str, path: str) -> int:
    """What the Hub answers to who wants a file."""
    connection = http.client.HTTPConnection(hub.endpoint.removeprefix("http://"), timeout=LIMIT_S)
    connection.request("GET", f"/datasets/{name}/resolve/main/{path}")
    with closing(connection):
        return connection.getresponse().status


def test_a_root_that_is_served_is_refused(tmp_path: Path) -> None:
    """Two processes on one state would damage it: the second says so, and what to do."""
    with running("--root", tmp_path / "hub", "--json") as (started, _):
        refused = process("hub", "--root", tmp_path / "hub")
        stop(started)
    assert refused.returncode == 2
    assert "served by another process" in refused.stderr and "--root" in refused.stderr


def test_a_port_that_is_taken_is_refused(tmp_path: Path) -> None:
    """It says which, and to choose another."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = process("hub", "--root", tmp_path / "hub", "--port", port)
    assert refused.returncode == 6
    assert f"port {port}" in refused.stderr and "--port" in refused.stderr


def test_a_root_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    """A file in the way is named."""
    (tmp_path / "hub").write_text("not a folder")
    refused = process("hub", "--root", tmp_path / "hub" / "below")
    assert refused.returncode == 6
    assert str(tmp_path / "hub" / "below") in refused.stderr


@pytest.mark.parametrize("command", ["hub", "rehearse", "doctor", "demo"])
def test_help_shows_an_example(command: str) -> None:
    """Each command around the Hub explains itself."""
    shown = run(command, "--help")
    assert shown.returncode == 0
    assert f"sealift {command}" in shown.stdout.split("Example:")[1]
