"""The process: one line when it is ready, loopback only, a clean end, and one process for each root."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.hubs import Hub, start_hub
from tests.localhub.processes import ended_by
from tests.localhub.wire import Dataset, Wire, large, sha256

from sealift.localhub.settings import parse_size

SECONDS = 20


@contextmanager
def process(root: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    words = [sys.executable, "-m", "sealift.localhub", "--root", str(root), *options]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as started:
        try:
            yield started
        finally:
            started.kill()


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_it_says_when_it_is_ready_and_ends_cleanly(tmp_path: Path, stop: signal.Signals) -> None:
    """One line of JSON on standard output; after the signal exit code 0, and nothing on standard error."""
    with process(tmp_path / "root") as started:
        assert started.stdout
        said = json.loads(started.stdout.readline())
        assert set(said) == {"endpoint", "user", "token", "read_token", "root"}
        assert said["endpoint"].startswith("http://127.0.0.1:")
        assert said["token"].startswith("hf_")
        assert said["token"] != said["read_token"]
        assert Path(f"/proc/{started.pid}").exists()
        started.send_signal(stop)
        out, err = started.communicate(timeout=SECONDS)
    assert (started.returncode, out, err) == (0, "", "")


def test_it_ends_while_a_client_holds_a_connection(tmp_path: Path) -> None:
    """A request that never ends does not keep it from ending, in seconds."""
    with start_hub(tmp_path / "root") as hub:
        place = Wire(hub).place
        with socket.create_connection(place) as idle, socket.create_connection(place) as half:
            half.sendall(b"POST /api/repos/create HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
            idle.sendall(b"GET / HTTP/1.1\r\n")
            time.sleep(0.2)
            assert ended_by(hub, signal.SIGTERM, 12)


def test_it_is_not_to_be_reached_from_elsewhere(hub: Hub) -> None:
    """It listens on loopback alone."""
    port = Wire(hub).place[1]
    table = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    listening = [words[1] for words in table if words[3] == "0A" and int(words[1].split(":")[1], 16) == port]
    assert listening == [f"0100007F:{port:04X}"]


def test_a_root_has_one_process(hub: Hub) -> None:
    """A second one is refused with the name of the root; the first one goes on."""
    assert hub.root
    with process(hub.root) as second:
        _, err = second.communicate(timeout=SECONDS)
    assert second.returncode == 1
    assert f"{hub.root} is served by another process" in err
    assert Wire(hub)("GET", "/api/whoami-v2").status == 200


def test_a_port_that_is_taken_is_said(hub: Hub, tmp_path: Path) -> None:
    """Exit code 1, and the reason on one line."""
    with process(tmp_path / "root", "--port", str(Wire(hub).place[1])) as second:
        _, err = second.communicate(timeout=SECONDS)
    assert second.returncode == 1
    assert "Address already in use" in err
    assert len(err.splitlines()) == 1


def test_a_root_of_another_version_is_refused(tmp_path: Path) -> None:
    """Instead of guessing what is in it."""
    root = tmp_path / "root"
    root.mkdir()
    with sqlite3.connect(root / "hub.sqlite") as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with process(root) as started:
        _, err = started.communicate(timeout=SECONDS)
    assert (started.returncode, "is of another version (99)" in err) == (1, True)


def test_a_small_request_is_answered_at_once(hub: Hub, dataset: Dataset) -> None:
    """An answer of several packets does not wait for acknowledgements, which come 40 ms later; with one connection."""
    host, port = Wire(hub).place
    connection = http.client.HTTPConnection(host, port, timeout=SECONDS)
    durations = []
    for _ in range(20):
        began = time.monotonic()
        connection.request("GET", f"{dataset.api}/tree/main", headers={"Authorization": f"Bearer {hub.token}"})
        connection.getresponse().read()
        durations.append(time.monotonic() - began)
    connection.close()
    assert sorted(durations)[10] < 0.03


def test_a_refused_body_does_not_spoil_the_connection(hub: Hub, dataset: Dataset) -> None:
    """A request that is refused before its body was read is answered, and the next one on the same connection, too."""
    host, port = Wire(hub).place
    connection = http.client.HTTPConnection(host, port, timeout=SECONDS)
    for _ in range(3):
        sent = {"Authorization": f"Bearer {hub.read_token}"}
        connection.request("POST", f"{dataset.api}/commit/main", bytes(3_000_000), sent)
        answer = connection.getresponse()
        assert (answer.status, b"may only read" in answer.read()) == (403, True)
        connection.request("GET", dataset.api)
        answer = connection.getresponse()
        assert (answer.status, json.loads(answer.read())["id"]) == (200, dataset.name)
    connection.close()


def test_without_xet_it_is_a_hub_of_before(tmp_path: Path) -> None:
    """No tokens, no routes and no hashes of Xet; what came by it when there was Xet is still there to be read."""
    upload = """
        from huggingface_hub import HfApi
        api, repo = HfApi(), {"repo_id": "local/x", "repo_type": "dataset"}
        api.create_repo(**repo)
        api.upload_file(path_or_fileobj=b"xet" * 50_000, path_in_repo="x.bin", **repo)
        """
    with start_hub(tmp_path / "root") as hub:
        done = hub.run_python(upload, hub.environment(tmp_path / "home"))
        assert done.returncode == 0, done.stderr
        assert Dataset(Wire(hub), "local/x").get("x.bin").headers["X-Xet-Hash"]
    with start_hub(tmp_path / "root", "--no-xet") as hub:
        wire = Wire(hub)
        dataset = Dataset(wire, "local/x")
        for path in (f"{dataset.api}/xet-read-token/main", f"{dataset.api}/xet-write-token/main", "/cas/v1/shards"):
            assert wire("GET", path).status == 404
        assert dataset.commit(large("y.bin", dataset.send(b"content"))).status == 200
        for path, data in (("x.bin", b"xet" * 50_000), ("y.bin", b"content")):
            answer = dataset.get(path)
            assert answer.body == data
            assert not [name for name in answer.headers if name.lower().startswith("x-xet")]
        assert not [one for one in wire("GET", f"{dataset.api}/tree/main").json() if "xetHash" in one]
        assert "actions" not in dataset.batch(b"xet" * 50_000)


def test_tokens_of_xet_lead_to_the_store(wire: Wire, dataset: Dataset) -> None:
    """In the body and in the headers, with the address on the host that was asked; a branch may hold a slash."""
    for path in ("xet-read-token/main", "xet-write-token/refs/pr/1", "xet-write-token/refs%2Fpr%2F1"):
        answer = wire("GET", f"{dataset.api}/{path}")
        said = answer.json()
        assert said["casUrl"] == answer.headers["X-Xet-Cas-Url"] == f"{wire.hub.endpoint}/cas"
        assert said["accessToken"] == answer.headers["X-Xet-Access-Token"]
        assert str(said["exp"]) == answer.headers["X-Xet-Token-Expiration"]
        assert time.time() + 600 < said["exp"] < time.time() + 7200


@pytest.mark.parametrize(
    ("text", "size"), [("5000000", 5_000_000), ("64MB", 64_000_000), ("1 GiB", 2**30), ("7k", 7000)]
)
def test_sizes_are_read_as_people_write_them(text: str, size: int) -> None:
    """With a unit of ten or of two, or plain."""
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "GB", "1.5GB", "-1", "1XB"])
def test_what_is_no_size_is_said(tmp_path: Path, text: str) -> None:
    """By the option's name, with what a size looks like."""
    with pytest.raises(ValueError, match="is not a size; write it like"):
        parse_size(text)
    with process(tmp_path / "root", f"--lfs-part-size={text}") as started:
        _, err = started.communicate(timeout=SECONDS)
    assert started.returncode == 2
    assert "--lfs-part-size" in err


def test_content_is_there_after_a_restart(tmp_path: Path) -> None:
    """Repositories, files, tokens: everything but the counters."""
    with start_hub(tmp_path / "root") as hub:
        dataset = Wire(hub).create(visibility="private")
        dataset.commit(large("x", dataset.send(b"content")))
        head = dataset.head
    with start_hub(tmp_path / "root") as again:
        assert (again.token, again.read_token) == (hub.token, hub.read_token)
        same = Dataset(Wire(again), dataset.name)
        assert (same.head, same.get("x").body) == (head, b"content")
        assert same.wire("GET", same.api).json()["private"] is True
        assert same.wire("GET", "/-/counts").json()["commits"] == 0
        assert "actions" not in same.batch(b"content")
        assert same.wire("GET", f"{same.api}/tree/main").json()[1]["lfs"]["oid"] == sha256(b"content")
