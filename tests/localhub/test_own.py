"""Counters, quotas and faults on demand: what rehearsals and tests of others rely on."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.hubs import Hub, start_hub
from tests.localhub.wire import Dataset, Wire, large, refused, sha256, small


def counted(wire: Wire) -> dict[str, Any]:
    return dict(wire("GET", "/-/counts").json())


def since(wire: Wire, before: dict[str, Any]) -> dict[str, int]:
    """What was asked since then."""
    now = counted(wire)["requests"]
    return {
        kind: number - before["requests"].get(kind, 0)
        for kind, number in now.items()
        if number != before["requests"].get(kind, 0)
    }


KINDS = [
    ("GET", "/api/whoami-v2", "whoami"),
    ("POST", "/api/repos/create", "create-repo"),
    ("DELETE", "/api/repos/delete", "delete-repo"),
    ("GET", "{api}", "repo-info"),
    ("GET", "{api}/revision/main", "repo-info"),
    ("GET", "{api}/refs", "refs"),
    ("GET", "{api}/commits/main", "commits"),
    ("GET", "{api}/tree/main", "tree"),
    ("GET", "{api}/tree/main/a%2Fb", "tree"),
    ("POST", "{api}/paths-info/main", "paths-info"),
    ("POST", "{api}/preupload/main", "preupload"),
    ("POST", "{api}/commit/main", "commit"),
    ("GET", "{web}/resolve/main/a/b", "resolve"),
    ("HEAD", "{web}/resolve/main/a%2Fb", "resolve"),
    ("GET", "{web}/raw/main/a", "raw"),
    ("GET", "/local/x/resolve/main/a", "resolve"),
    ("POST", "{web}.git/info/lfs/objects/batch", "lfs-batch"),
    ("PUT", "/lfs/put/x", "lfs-put"),
    ("PUT", "/lfs/part/x", "lfs-part"),
    ("POST", "/lfs/complete/x", "lfs-complete"),
    ("POST", "/lfs/verify/x", "lfs-verify"),
    ("POST", "{api}/branch/x%2Fy", "branch"),
    ("DELETE", "{api}/tag/x", "tag"),
    ("POST", "{api}/super-squash/main", "squash"),
    ("GET", "{api}/discussions/1", "discussion"),
    ("POST", "{api}/discussions/1/comment/2/edit", "discussion"),
    ("POST", "/api/validate-yaml", "validate-yaml"),
    ("GET", "{api}/xet-write-token/refs/pr/1", "xet-token"),
    ("GET", "/cas/v1/chunks/default-merkledb/" + "0" * 64, "cas-chunk"),
    ("POST", "/cas/v1/xorbs/default/" + "0" * 64, "cas-xorb-put"),
    ("POST", "/cas/v1/shards", "cas-shard"),
    ("GET", "/cas/v1/reconstructions/" + "0" * 64, "cas-reconstruction"),
    ("GET", "/api/datasets", "list-repos"),
    ("GET", "/api/agent-harnesses", "other"),
    ("GET", "/api/buckets/local/x", "other"),
    ("GET", "/favicon.ico", "other"),
]


@pytest.mark.parametrize(("method", "path", "kind"), KINDS)
def test_requests_are_counted_by_kind(wire: Wire, dataset: Dataset, method: str, path: str, kind: str) -> None:
    """Each has one kind, whatever the answer; calls of the Hub's own routes have none."""
    before = counted(wire)
    wire(method, path.format(api=dataset.api, web=f"/datasets/{dataset.name}"))
    assert since(wire, before) == {kind: 1}


def test_kinds_have_a_quota(wire: Wire, dataset: Dataset) -> None:
    """Calls of the API count against one quota, downloads against the other, content that is sent against none."""
    dataset.put({"a": b"1"})
    dataset.get("a")
    dataset.send(b"quota")
    known = counted(wire)["quota"]
    assert (known["commit"], known["resolve"], known["lfs-put"]) == ("api", "resolvers", None)


def test_bytes_and_commits_are_counted(wire: Wire, dataset: Dataset) -> None:
    """Bodies in both directions, commits that were made, and what is on disk."""
    data = bytes(range(256)) * 1000
    before = counted(wire)
    dataset.send(data)
    dataset.commit(large("x", sha256(data)))
    dataset.commit(large("x", "0" * 64))
    dataset.get("x")
    after = counted(wire)
    assert after["commits"] - before["commits"] == 1
    assert 256_000 < after["bytes_in"] - before["bytes_in"] < 260_000
    assert 256_000 < after["bytes_out"] - before["bytes_out"] < 260_000
    assert after["stored"]["new"] - before["stored"]["new"] == 256_000
    assert after["stored"]["bytes"] - before["stored"]["bytes"] >= 256_000


@pytest.fixture
def faults(wire: Wire) -> Iterator[Any]:
    """Puts faults in force, for this test."""

    def put(*described: dict[str, object]) -> None:
        assert wire("POST", "/-/faults", list(described)).status == 200

    yield put
    put()


def test_a_fault_is_an_answer_without_effect(faults: Any, dataset: Dataset) -> None:
    """As many times as asked, of that kind alone, with status and headers."""
    head = dataset.head
    faults({"kind": "commit", "times": 2, "status": 503, "headers": {"Retry-After": "7"}})
    for _ in range(2):
        answer = dataset.commit(small("a", b"1"))
        assert (answer.status, answer.headers["Retry-After"], answer.headers["RateLimit"]) == (503, "7", None)
    assert dataset.head == head
    assert dataset.commit(small("a", b"1")).status == 200


def test_a_fault_may_come_after_the_effect(faults: Any, dataset: Dataset) -> None:
    """Then only the answer is lost: the commit is there."""
    head = dataset.head
    faults({"kind": "commit", "after": True, "status": 504})
    assert dataset.commit(small("a", b"1")).status == 504
    assert dataset.head != head
    assert dataset.get("a").body == b"1"


@pytest.mark.parametrize("after", [False, True])
def test_a_fault_may_be_silence(faults: Any, dataset: Dataset, after: bool) -> None:
    """The connection is closed without an answer, before the effect or after it."""
    head = dataset.head
    faults({"kind": "commit", "after": after, "drop": True})
    with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
        dataset.commit(small("a", bytes(200_000)))
    assert (dataset.head != head) is after


def test_a_fault_may_be_slowness(faults: Any, dataset: Dataset) -> None:
    """Without a status the request is only late."""
    faults({"kind": "repo-info", "delay": 0.5, "status": None})
    began = time.monotonic()
    assert dataset.wire("GET", dataset.api).status == 200
    assert 0.5 <= time.monotonic() - began < 5


def test_a_late_answer_may_be_to_something_done(faults: Any, dataset: Dataset) -> None:
    """The effect is there long before the answer: as of a gateway that has lost patience."""
    head = dataset.head
    faults({"kind": "commit", "after": True, "status": 504, "delay": 2.0})
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(dataset.commit, small("a", b"1"))
        deadline = time.monotonic() + 1.5
        while dataset.head == head and time.monotonic() < deadline:
            time.sleep(0.02)
        assert dataset.head != head
        assert not late.done()
        assert late.result().status == 504


def test_faults_wait_for_their_turn(faults: Any, wire: Wire) -> None:
    """`skip` lets the first ones pass; two faults of a kind come one after the other; new ones replace old ones."""
    faults({"kind": "whoami", "status": 500, "skip": 2}, {"kind": "whoami", "status": 502, "skip": 1, "times": 2})
    assert [wire("GET", "/api/whoami-v2").status for _ in range(6)] == [200, 502, 500, 502, 200, 200]
    faults({"kind": "whoami", "status": 500})
    faults()
    assert wire("GET", "/api/whoami-v2").status == 200


WRONG = [{}, [1], [{}], [{"kind": "commit", "what": 1}], [{"kind": "commit", "times": "x"}]]


@pytest.mark.parametrize("described", WRONG)
def test_what_is_no_fault_is_refused(wire: Wire, described: object) -> None:
    """With what it should be; those in force stay."""
    refused(wire("POST", "/-/faults", described), 400, "These are no faults")


@pytest.fixture(scope="module")
def metered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    quotas = ("--quota-api", "8", "--quota-resolvers", "3")
    with start_hub(tmp_path_factory.mktemp("metered") / "root", *quotas) as started:
        yield started


def test_quotas_are_held(metered: Hub) -> None:
    """Each answer says what is left; beyond that it is 429 with the seconds to wait, and without effect."""
    wire = Wire(metered)
    dataset = wire.create()
    for left in (6, 5, 4):
        answer = wire("GET", dataset.api)
        assert answer.headers["RateLimit"].startswith(f'"api";r={left};t=')
        assert answer.headers["RateLimit-Policy"] == '"fixed window";"api";q=8;w=300'
    for status in (200, 200, 200, 429):
        assert dataset.get(".gitattributes").status == status
    assert dataset.put({"a": b"1"})
    for _ in range(3):
        wire("GET", "/api/whoami-v2")
    answer = dataset.commit(small("a", b"2"))
    refused(answer, 429, "Too many requests")
    assert answer.headers["RateLimit"].startswith('"api";r=0;t=')
    assert 0 < int(answer.headers["Retry-After"]) <= 300
    assert counted(wire)["commits"] == 1


def test_without_quotas_nothing_is_refused(wire: Wire) -> None:
    """The headers are there all the same, with plenty left."""
    answer = wire("GET", "/api/whoami-v2")
    left = int(answer.headers["RateLimit"].partition("r=")[2].partition(";")[0])
    assert left > 900_000
