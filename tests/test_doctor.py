"""`sealift doctor`: every check says what is good, doubtful or wrong, and what to mend; nothing is written."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.command import answer, process, run
from tests.hubs import Hub, start_hub

from sealift.errors import RequestError
from sealift.stores.hub.examine import Identity
from sealift.tools import machine
from sealift.tools.doctor import Finding, diagnose

REPO = "local/birds"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A Hub on this machine with one public and one private repository."""
    with start_hub(tmp_path_factory.mktemp("doctor") / "root") as started:
        for name, private in ((REPO, False), ("local/secret", True)):
            make(started, name, private=private)
        yield started


def make(hub: Hub, name: str, *, private: bool = False) -> None:
    """Make a repository by the official client, in a process of its own."""
    code = f"from huggingface_hub import create_repo; create_repo({name!r}, repo_type='dataset', private={private})"
    assert hub.root is not None
    done = hub.run_python(code, hub.environment(hub.root.parent / "home"))
    assert done.returncode == 0, done.stderr


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No token and no Hub of whoever runs the tests."""
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "no token"))


def found(hub: Hub, to: str | None = REPO, token: str | None = None) -> dict[str, Finding]:
    """The findings by their names."""
    return {one.name: one for one in diagnose(to, hub.endpoint, token if token is not None else hub.token)}


def test_a_good_machine_token_and_repository_are_all_ok(hub: Hub) -> None:
    """Every check is made, none finds a problem, and what the repository is like is said."""
    said = found(hub)
    assert [one.name for one in said.values() if one.state == "problem"] == []
    names = {"Python", "pyarrow", "duckdb", "huggingface-hub", "hf-xet", "datasets", "memory", "cores", "cache"}
    assert names | {"temporary folder", "variables", "endpoint", "clock", "token"} <= said.keys()
    assert "role write" in said["token"].said
    assert "local/birds is there, public" in said["repository"].said
    assert said["right to write"].state == "ok"
    assert said["upload"].said == "by Xet, whose store answers"
    assert "private" in found(hub, "local/secret")["repository"].said


def test_nothing_is_written(hub: Hub) -> None:
    """The doctor only asks: no repository, no commit and no content comes of it."""
    before = hub.counts()
    found(hub)
    found(hub, "local/not-yet")
    after = hub.counts()
    assert (after["commits"], after["stored"]) == (before["commits"], before["stored"])
    changed = {kind for kind, count in after["requests"].items() if count != before["requests"].get(kind, 0)}
    assert changed <= {"whoami", "repo-info", "preupload", "xet-token", "cas-reconstruction"}


def test_the_command_ends_with_0_and_hides_the_token(hub: Hub) -> None:
    """Exit code 0 when nothing is wrong; --json has every finding; the token is shown nowhere."""
    said = answer("doctor", "--to", REPO, "--endpoint", hub.endpoint, HF_TOKEN=hub.token)
    token = next(one for one in said["findings"] if one["name"] == "token")
    assert token["state"] == "ok" and token["said"].endswith("from HF_TOKEN")
    shown = run("doctor", "--to", REPO, "--endpoint", hub.endpoint, "--token", hub.token)
    assert shown.returncode == 0
    assert "from --token" in shown.stdout
    for text in (json.dumps(said), shown.stdout, shown.stderr):
        assert hub.token not in text


def test_a_token_in_a_file_is_found_and_the_file_named(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`hf auth login` keeps it in a file: its path is said."""
    file = tmp_path / "token"
    file.write_text(hub.token)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(file))
    said = {one.name: one for one in diagnose(REPO, hub.endpoint)}
    assert said["token"].said.endswith(f"from {file}")


def test_a_token_that_may_only_read_is_a_problem(hub: Hub) -> None:
    """Its role says so, and the Hub refuses what only writers may ask; exit code 6."""
    said = found(hub, token=hub.read_token)
    assert said["token"].state == "problem" and "only read" in said["token"].said
    assert said["right to write"].state == "problem"
    ended = run("doctor", "--to", REPO, "--endpoint", hub.endpoint, "--token", hub.read_token)
    assert ended.returncode == 6
    assert "may only read" in ended.stderr


def test_a_wrong_token_is_a_problem_and_ends_the_questions(hub: Hub) -> None:
    """What the token would be needed for is not asked any more."""
    said = found(hub, token="hf_wrongwrongwrong")
    assert said["token"].state == "problem" and "does not take the token" in said["token"].said
    assert "repository" not in said


def test_no_token_is_a_problem(hub: Hub) -> None:
    """Where nothing names one, it is said how to log in."""
    said = {one.name: one for one in diagnose(REPO, hub.endpoint)}
    assert said["token"].state == "problem"
    assert "hf auth login" in said["token"].remedy


def test_a_repository_that_is_not_there_yet_is_no_problem(hub: Hub) -> None:
    """Publishing makes it: in one's own namespace that is good, elsewhere on this machine's Hub doubtful."""
    mine = found(hub, "local/not-yet")
    assert mine["repository"].state == "ok" and "publishing makes it" in mine["repository"].said
    assert "upload" not in mine
    assert found(hub, "somebody/not-yet")["repository"].state == "warning"
    assert found(hub, "local/not-yet", hub.read_token)["repository"].state == "problem"


def test_a_hub_without_xet_is_found_out(tmp_path: Path) -> None:
    """Uploads go by LFS there, which is said and is no problem."""
    with start_hub(tmp_path / "root", "--no-xet") as plain:
        make(plain, REPO)
        said = found(plain)
    assert said["upload"].state == "ok" and "by LFS" in said["upload"].said


def test_a_store_that_does_not_take_the_token_is_a_problem(hub: Hub) -> None:
    """A Xet store that refuses, or does not answer, keeps every upload from working."""
    for status, words in ((401, "does not take the token"), (503, "cannot take the request")):
        hub.faults([{"kind": "cas-reconstruction", "status": status, "times": 9}])
        said = found(hub)
        hub.faults([])
        assert said["upload"].state == "problem" and words in said["upload"].said


def test_a_quota_that_is_used_up_is_told_at_once(hub: Hub) -> None:
    """The doctor does not wait minutes for the answer: that the Hub asks to wait is the answer."""
    told = {"RateLimit": '"api";r=0;t=250'}
    hub.faults([{"kind": "preupload", "status": 429, "times": 9, "headers": told}])
    began = time.monotonic()
    said = found(hub)
    hub.faults([])
    assert time.monotonic() - began < 20
    assert said["right to write"].state == "problem" and "in 251 s" in said["right to write"].remedy


def test_a_closed_port_is_a_problem() -> None:
    """Nothing answers: that is said with what to check, at once, and nothing else is asked."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    began = time.monotonic()
    said = answer("doctor", "--endpoint", f"http://127.0.0.1:{port}", "--token", "hf_x", exit_code=6)
    assert time.monotonic() - began < 10
    assert (said["ok"], said["findings"][-1]["name"]) == (False, "endpoint")
    assert "does not answer" in said["message"]


def test_a_name_that_is_none_is_refused() -> None:
    """A folder cannot be asked about, and a wrong name is known before anybody is asked."""
    with pytest.raises(RequestError, match="names a folder"):
        diagnose("./out")
    with pytest.raises(RequestError, match="does not take the name"):
        diagnose("org/no--good")


@contextmanager
def server(status: int, **headers: str) -> Iterator[str]:
    """Something that answers every request alike; its address."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response_only(status)
            for name, value in {"Content-Length": "0", **headers}.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{httpd.server_port}"
        finally:
            httpd.shutdown()
            thread.join(10)


def test_what_is_no_hub_is_told_apart() -> None:
    """A server that has never heard of `whoami` is no Hub: check the endpoint."""
    with server(404) as endpoint:
        said = {one.name: one for one in diagnose(None, endpoint)}
    assert said["endpoint"].state == "problem" and "answers 404" in said["endpoint"].said


def test_a_connection_that_cannot_be_secured_is_a_problem() -> None:
    """An endpoint that does not speak TLS where it should is told with what the library said of it."""
    with server(401) as endpoint:
        said = {one.name: one for one in diagnose(None, endpoint.replace("http:", "https:"))}
    assert said["endpoint"].state == "problem" and "SSL" in said["endpoint"].said


def test_a_proxy_and_a_bare_connection_are_named() -> None:
    """Which variable names the proxy is said; over http:// to elsewhere the token can be read on the way."""
    with server(401) as proxy:
        said = json.loads(process("doctor", "--endpoint", "http://hub.invalid", "--json", HTTP_PROXY=proxy).stdout)
    found = {one["name"]: one for one in said["findings"]}
    assert found["endpoint"]["state"] == "warning"
    assert "HTTP_PROXY names" in found["endpoint"]["said"] and "without TLS" in found["endpoint"]["said"]


def test_being_offline_is_a_problem(hub: Hub) -> None:
    """With HF_HUB_OFFLINE no Hub may be called: that is said, and not that the network is bad."""
    ended = process("doctor", "--endpoint", hub.endpoint, "--json", HF_HUB_OFFLINE="1")
    assert ended.returncode == 6
    assert "HF_HUB_OFFLINE is set" in json.loads(ended.stdout)["message"]


def test_a_clock_that_is_off_is_a_problem(hub: Hub) -> None:
    """More than a minute between this machine and the Hub breaks tokens."""

    def clock(off: float) -> Callable[[], float]:
        return lambda: time.time() + off

    for off, words in ((300, "ahead of"), (-300, "behind")):
        said = {one.name: one for one in diagnose(None, hub.endpoint, hub.token, now=clock(off))}
        assert said["clock"].state == "problem" and words in said["clock"].said
        assert said["clock"].exit_code == 6
    assert found(hub, None)["clock"].state == "ok"


def test_a_hub_that_says_no_time_is_doubtful() -> None:
    """Without a Date header nothing is known of the clocks."""
    with server(401) as endpoint:
        said = {one.name: one for one in diagnose(None, endpoint)}
    assert said["clock"].state == "warning"


def test_variables_that_change_a_run_are_named(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is set is said with what it does; a proxy's address, which may hold a password, is not."""
    monkeypatch.setenv("HF_XET_HIGH_PERFORMANCE", "1")
    monkeypatch.setenv("HF_HUB_DOWNLOAD_TIMEOUT", "60")
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setenv("https_proxy", "http://me:pass1234@proxy:3128")
    said = found(hub, None)["variables"]
    assert said.state == "warning" and "unset HF_XET_HIGH_PERFORMANCE" in said.remedy
    assert "HF_HUB_DOWNLOAD_TIMEOUT" in said.said and "https_proxy" in said.said
    assert "HF_HUB_OFFLINE" not in said.said and "pass1234" not in said.said


def whoami(role: str, **more: Any) -> Identity:
    """An identity as the Hub describes it."""
    token = {"role": role, **more.pop("token", {})}
    return Identity("ann", role, {"id": "1", "name": "ann", "auth": {"accessToken": token}, **more})


def scoped(kind: str, name: str | None, *permissions: str, **entity: str) -> dict[str, Any]:
    """One part of a fine-grained token."""
    return {"entity": {"type": kind, **({"name": name} if name else {}), **entity}, "permissions": list(permissions)}


ORGS = [{"id": "2", "name": "lab", "roleInOrg": "write"}, {"name": "club", "roleInOrg": "read"}, {"name": "old"}]


@pytest.mark.parametrize(
    ("who", "repo", "may"),
    [
        (whoami("write"), "ann/x", True),
        (whoami("read"), "ann/x", False),
        (whoami("write", orgs=ORGS), "lab/x", True),
        (whoami("write", orgs=ORGS), "club/x", False),
        (whoami("write", orgs=ORGS), "old/x", None),
        (whoami("write", orgs=ORGS), "other/x", False),
        (fine := whoami("fineGrained", token={"fineGrained": {"scoped": [scoped("user", "ann", "repo.write")]}}),
         "ann/x", True),
        (fine, "lab/x", False),
        (whoami("fineGrained", token={"fineGrained": {"scoped": [scoped("user", "ann", "repo.content.read")]}}),
         "ann/x", False),
        (whoami("fineGrained", token={"fineGrained": {"scoped": [scoped("dataset", "lab/x", "repo.write")]}}),
         "lab/x", True),
        (whoami("fineGrained", token={"fineGrained": {"scoped": [scoped("model", "lab/x", "repo.write")]}}),
         "lab/x", False),
        (whoami("fineGrained", orgs=ORGS,
                token={"fineGrained": {"scoped": [scoped("org", None, "repo.write", _id="2")]}}), "lab/x", True),
        (whoami("fineGrained", token={"fineGrained": {"scoped": [], "global": ["repo.write"]}}), "ann/x", True),
        (whoami("fineGrained"), "ann/x", False),
    ],
)  # fmt: skip
def test_what_a_token_says_of_itself_is_understood(who: Identity, repo: str, may: bool | None) -> None:
    """Roles, organizations and the parts of a fine-grained token decide; None where the Hub does not say."""
    assert who.may_write(repo) is may


MEMINFO = "MemTotal:       16000000 kB\nMemFree: 1 kB\nMemAvailable:   12000000 kB\n"


def test_the_limit_of_a_container_counts(tmp_path: Path) -> None:
    """A control group that allows less than the machine has is the limit, of the newer kind or the older."""
    bare = machine.memory(MEMINFO, tmp_path)
    assert (bare.available, bare.limit, bare.limited_by) == (12_288_000_000, 16_384_000_000, "the machine")
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        root = tmp_path / name.replace("/", "-")
        (root / name).parent.mkdir(parents=True)
        (root / "memory.max").write_text("max\n")
        (root / name).write_text("1000000000\n")
        limited = machine.memory(MEMINFO, root)
        assert (limited.available, limited.limit) == (1_000_000_000, 1_000_000_000)
        assert limited.limited_by.endswith(name)


def test_the_share_of_a_container_counts(tmp_path: Path) -> None:
    """A container that gets half a core has half a core."""
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    assert machine.cores(tmp_path) == 0.5


def test_versions_are_compared_by_their_numbers() -> None:
    """10 is newer than 9, a development version counts as its number, and what is not there is not good."""
    assert machine.Library("x", "9.5", "10.0").good
    assert machine.Library("x", "5.2", "5.2.dev0").good
    assert not machine.Library("x", "10", "9.9.9").good
    assert not machine.Library("x", "1", None).good


def test_a_disk_in_memory_is_told(tmp_path: Path) -> None:
    """Free bytes are those of the folder's file system; one that lies in memory is named as that."""
    there = machine.disk(tmp_path / "not" / "there" / "yet")
    assert there.free > 0
    assert machine.disk(Path("/dev/shm")).in_memory or not Path("/dev/shm").is_dir()
