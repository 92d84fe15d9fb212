"""A page in a browser on the same machine: it can send requests here, and gets nothing done, nor to read."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.localhub.wire import Dataset, Wire

SIMPLE = ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
"""What a page of another site may send without asking first."""
CREATE = b'{"name": "by-a-page", "type": "dataset"}'
LEAVES = "Connection: close\r\n\r\n"


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer else 0


@pytest.mark.parametrize("content_type", SIMPLE)
@pytest.mark.parametrize("path", ["/api/repos/create", "/-/faults", "/api/datasets/local/x/commit/main"])
def test_a_page_of_another_site_changes_nothing(wire: Wire, path: str, content_type: str) -> None:
    """Without the token, which no page can know, every change is refused; logins of a browser are none."""
    sent = {"Content-Type": content_type, "Origin": "https://example.org", "Cookie": f"token={wire.hub.token}"}
    answer = wire("POST", path, body=CREATE, token=None, headers=sent)
    assert answer.status in (401, 404)
    assert not [name for name in answer.headers if name.lower().startswith("access-control-")]
    assert wire("GET", "/api/datasets/local/by-a-page").status == 404


def test_a_token_in_the_address_is_none(wire: Wire) -> None:
    """It would lie in histories and logs."""
    token = wire.hub.token
    assert wire("POST", f"/api/repos/create?token={token}&access_token={token}", body=CREATE, token=None).status == 401


def test_a_page_may_not_ask_for_more(wire: Wire, dataset: Dataset) -> None:
    """The question before a request that is not simple gets no permission, and no answer says who may read it."""
    asked = {"Origin": "https://example.org", "Access-Control-Request-Method": "POST"}
    for method, path in (("OPTIONS", "/api/repos/create"), ("GET", dataset.api), ("OPTIONS", "/-/faults")):
        answer = wire(method, path, headers=asked)
        assert not [name for name in answer.headers if name.lower().startswith("access-control-")]


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_request_without_a_host_is_refused(wire: Wire, version: str) -> None:
    """Nobody knows what name led here."""
    assert status(wire.raw(f"GET /api/datasets HTTP/{version}\r\n{LEAVES}".encode())) in (400, 421)


@pytest.mark.parametrize(
    "host",
    [
        "localhost.",
        "127.1",
        "2130706433",
        "0.0.0.0",
        "[::]",
        "[::ffff:127.0.0.1]",
        "localhost@example.org",
        "example.org@localhost",
        "localhost:80:90",
        "localhost,example.org",
        "localhost example.org",
        "localhost\r\nHost: example.org",
    ],
)
def test_a_host_that_is_not_quite_loopback_is_refused(wire: Wire, host: str) -> None:
    """Neither other spellings of the address, which browsers take for others, nor two of them."""
    assert status(wire.raw(f"GET /api/datasets HTTP/1.1\r\nHost: {host}\r\n{LEAVES}".encode())) in (400, 421)


def test_it_does_not_listen_by_another_protocol(wire: Wire) -> None:
    """On no address of IPv6, which the suite of the server does not look at."""
    lines = Path("/proc/net/tcp6").read_text().splitlines()[1:] if Path("/proc/net/tcp6").exists() else []
    ports = [int(words[1].rpartition(":")[2], 16) for words in map(str.split, lines) if words[3] == "0A"]
    assert wire.place[1] not in ports
