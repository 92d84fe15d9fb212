"""Faults on demand: each kind of trouble, on a call of the API, one of LFS and one of the store of chunks."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable, Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest
from tests.hubs import Hub, start_hub
from tests.localhub.test_own import WRONG
from tests.localhub.traffic import DOWNLOADS, UPLOADS, Download, Upload, bearer, by_xet, fresh
from tests.localhub.wire import Answer, Dataset, Wire, large, refused, sha256, small

BROKEN = (ConnectionError, http.client.RemoteDisconnected)
Faults = Callable[..., None]


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A Hub of its own, which must not have an internal error whatever happens to it."""
    with start_hub(tmp_path_factory.mktemp("faults") / "root") as started:
        yield started
    assert started.log is not None
    assert "Traceback" not in (said := started.log.read_text()), said


@pytest.fixture
def faults(hub: Hub) -> Iterator[Faults]:
    """Puts faults in force, for this test."""
    yield lambda *described: hub.faults(described)
    hub.faults([])


@pytest.fixture(params=UPLOADS)
def upload(request: pytest.FixtureRequest, dataset: Dataset) -> Upload:
    return UPLOADS[request.param](dataset)


@pytest.fixture(params=DOWNLOADS)
def download(request: pytest.FixtureRequest, dataset: Dataset) -> Download:
    return DOWNLOADS[request.param](dataset)


def turned(one: bytes, other: bytes) -> int:
    """Bits that differ."""
    assert len(one) == len(other)
    return sum((a ^ b).bit_count() for a, b in zip(one, other, strict=True))


def left_over(hub: Hub) -> list[Path]:
    """Files that are half-written."""
    assert hub.root
    return [path for name in ("half", "cas/incoming") for path in (hub.root / name).iterdir()]


# --- answers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "after"), [(429, False), (500, False), (504, True)])
def test_a_status_comes_before_or_after_the_effect(faults: Faults, upload: Upload, status: int, after: bool) -> None:
    """`status` is the answer to one request, which takes effect only with `after`; the next one is served."""
    faults({"kind": upload.kind, "status": status, "after": after})
    assert upload.send().status == status
    assert upload.took_effect() is after
    assert upload.send().status == 200
    assert upload.took_effect()


@pytest.mark.parametrize("after", [False, True])
def test_a_connection_is_dropped_before_or_after_the_effect(faults: Faults, upload: Upload, after: bool) -> None:
    """`drop` is no answer at all."""
    faults({"kind": upload.kind, "drop": True, "after": after})
    with pytest.raises(BROKEN):
        upload.send()
    assert upload.took_effect() is after


def test_a_wait_is_told_in_each_form(faults: Faults, wire: Wire) -> None:
    """Seconds, a date in the future, or the Hub's own header; 429 is the status if none is given."""
    faults(
        {"kind": "whoami", "retry_after": 2.5},
        {"kind": "whoami", "retry_date": 30, "status": 503},
        {"kind": "whoami", "rate_limit": 7},
    )
    seconds, date, quota = (wire("GET", "/api/whoami-v2") for _ in range(3))
    assert (seconds.status, seconds.headers["Retry-After"]) == (429, "3")
    assert date.status == 503
    assert 25 < parsedate_to_datetime(date.headers["Retry-After"]).timestamp() - time.time() < 35
    assert date.headers["Retry-After"].endswith(" GMT")
    assert (quota.status, quota.headers["RateLimit"]) == (429, '"api";r=0;t=7')
    assert quota.headers["RateLimit-Policy"] == '"fixed window";"api";q=1000;w=300'


def test_an_answer_may_be_a_lie(faults: Faults, dataset: Dataset) -> None:
    """`body` with a good status: the Hub says that it stored what it threw away."""
    faults({"kind": "lfs-put", "status": 200, "body": {}}, {"kind": "cas-xorb-put", "body": {"was_inserted": True}})
    for name in ("lfs", "cas"):
        upload = UPLOADS[name](dataset)
        assert upload.send().status == 200
        assert not upload.took_effect()


def test_tokens_and_addresses_expire(faults: Faults, dataset: Dataset) -> None:
    """`expired` is what an old token gets: 401 from the API and the store, 403 where the address is signed."""
    faults({"kind": "*", "expired": True, "times": None})
    assert (answer := dataset.wire("GET", dataset.api)).status == 401
    assert "Invalid credentials" in answer.error
    assert dataset.wire("POST", "/cas/v1/shards", body=b"").status == 401
    faults()
    upload = UPLOADS["lfs"](dataset)
    faults({"kind": "lfs-put", "expired": True})
    assert upload.send().status == 403


def test_a_token_of_xet_may_end_soon(faults: Faults, dataset: Dataset) -> None:
    """`token_seconds` makes the store itself refuse it from then on; the next token is good."""
    faults({"kind": "xet-token", "token_seconds": -1})
    old, new = bearer(dataset), bearer(dataset)
    path = f"/cas/v1/chunks/default-merkledb/{'0' * 64}"
    assert [dataset.wire("GET", path, headers=one).status for one in (old, new)] == [401, 404]


# --- connections ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", [1000, 0.5])
def test_a_connection_is_cut_within_the_request(faults: Faults, upload: Upload, hub: Hub, where: float) -> None:
    """After so many bytes, or that part, of the body: nothing took effect, nothing half-written is left."""
    faults({"kind": upload.kind, "cut_request": where})
    with pytest.raises(BROKEN):
        upload.send()
    assert (upload.took_effect(), left_over(hub)) == (False, [])


@pytest.mark.parametrize(("where", "came"), [(0, 0), (1000, 1000), (0.5, 0.5), (10**9, -1)])
def test_a_connection_is_cut_within_the_answer(faults: Faults, download: Download, where: float, came: float) -> None:
    """The head says the whole length, and so many bytes come: at most all but the last."""
    faults({"kind": download.kind, "cut_answer": where})
    with pytest.raises(http.client.IncompleteRead) as cut:
        download.send()
    whole = download.content
    count = int(came * len(whole)) if isinstance(came, float) else came if came >= 0 else len(whole) - 1
    assert cut.value.partial == whole[:count]
    assert download.send().body == whole


def test_an_answer_is_truncated_and_says_so(faults: Faults, download: Download) -> None:
    """With the right length for what comes: only who knows the content notices."""
    faults({"kind": download.kind, "truncate_answer": 0.25})
    answer = download.send()
    quarter = len(download.content) // 4
    assert (answer.status in (200, 206), answer.body) == (True, download.content[:quarter])
    assert answer.headers["Content-Length"] == str(quarter)


@pytest.mark.parametrize("name", ["lfs", "cas"])
def test_a_truncated_request_is_refused(faults: Faults, dataset: Dataset, name: str) -> None:
    """The server gets a shorter body, and its own checks notice."""
    upload = UPLOADS[name](dataset)
    faults({"kind": upload.kind, "truncate_request": 0.5})
    assert upload.send().status == 400
    assert not upload.took_effect()


@pytest.mark.parametrize("way", ["stall_request", "stall_answer"])
def test_a_body_stalls_until_the_client_leaves(faults: Faults, dataset: Dataset, hub: Hub, way: str) -> None:
    """Nothing moves any more, in neither direction; other requests are served meanwhile."""
    impatient = Dataset(Impatient(hub), dataset.name)
    traffic = DOWNLOADS if way == "stall_answer" else UPLOADS
    ready: list[Upload | Download] = [make(impatient) for make in traffic.values()]
    faults(*({"kind": one.kind, way: 0.5} for one in ready))
    for one in ready:
        with pytest.raises(TimeoutError):
            one.send()
        if isinstance(one, Upload):
            assert not one.took_effect()
    assert [one["happened"] for one in hub.happened()] == [1, 1, 1]


class Impatient(Wire):
    """A caller that does not wait long."""

    def __call__(self, *said: Any, **more: Any) -> Answer:
        return super().__call__(*said, **{"seconds": 0.25, **more})


def test_a_stalled_request_does_not_keep_the_server(tmp_path: Path) -> None:
    """It ends with the server, which ends as cleanly as ever."""
    with start_hub(tmp_path / "root") as hub:
        dataset = Wire(hub).create()
        hub.faults([{"kind": "tree", "stall_answer": 0}, {"kind": "repo-info", "delay": 600.0}])
        open_ones = []
        for path in (f"{dataset.api}/tree/main", dataset.api):
            open_ones.append(http.client.HTTPConnection(*dataset.wire.place, timeout=30))
            open_ones[-1].request("GET", path)
        while sum(one["happened"] for one in hub.happened()) < 2:
            time.sleep(0.02)
    assert hub.log
    assert hub.log.read_text() == ""
    for one in open_ones:
        one.close()


# --- time and bytes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["slow_request", "slow_answer"])
def test_a_body_is_slow_and_whole(faults: Faults, dataset: Dataset, way: str) -> None:
    """Not faster than so many bytes per second, in whichever direction; what comes is right."""
    for make in (DOWNLOADS if way == "slow_answer" else UPLOADS).values():
        one = make(dataset)
        faults({"kind": one.kind, way: 300_000})
        began = time.monotonic()
        answer = one.send()
        assert time.monotonic() - began > 0.19
        assert one.took_effect() if isinstance(one, Upload) else answer.body == one.content


def test_bits_of_an_answer_turn(faults: Faults, download: Download) -> None:
    """As many as asked, the same ones each time for the same seed, others for another."""
    came = []
    for seed in (1, 1, 2):
        faults({"kind": download.kind, "flip_answer": 3, "seed": seed})
        came.append(download.send().body)
    assert [turned(one, download.content) for one in came] == [3, 3, 3]
    assert came[0] == came[1] != came[2]


@pytest.mark.parametrize("name", ["lfs", "cas"])
def test_bits_of_a_request_turn(faults: Faults, dataset: Dataset, hub: Hub, name: str) -> None:
    """What is checked by its digest is refused."""
    upload = UPLOADS[name](dataset)
    faults({"kind": upload.kind, "flip_request": 1})
    assert upload.send().status == 400
    assert (upload.took_effect(), left_over(hub)) == (False, [])


def test_bits_of_a_small_file_turn(faults: Faults, dataset: Dataset) -> None:
    """Nothing checks a file that lies in the commit itself: it is stored as it came, if it came as text at all."""
    data = fresh()
    faults({"kind": "commit", "flip_request": 1})
    answer = dataset.commit(small("a.bin", data))
    assert answer.status == 400 or dataset.get("a.bin").body != data or dataset.paths() != [".gitattributes", "a.bin"]


@pytest.mark.parametrize("xet", [False, True])
def test_bits_turn_after_they_were_checked(faults: Faults, dataset: Dataset, xet: bool) -> None:
    """The upload is taken, the commit made, and what is read ever after is wrong by so many bits."""
    data = fresh()
    faults({"kind": "cas-shard" if xet else "lfs-put", "flip_stored": 2})
    if xet:
        by_xet(dataset, data)
    else:
        dataset.send(data)
    assert dataset.commit(large("a.bin", sha256(data))).status == 200
    assert [turned(dataset.get("a.bin").body, data) for _ in range(2)] == [2, 2]


@pytest.mark.parametrize("status", [507, 500])
def test_a_disk_is_full(faults: Faults, upload: Upload, hub: Hub, status: int) -> None:
    """There is room for so much of the body: 507, or what is asked for, and nothing of it stays. Then there is room."""
    faults({"kind": upload.kind, "disk_full": 0.5, **({} if status == 507 else {"status": status})})
    answer = upload.send()
    refused(answer, status, "No space left")
    assert (upload.took_effect(), left_over(hub)) == (False, [])
    assert upload.send().status == 200


# --- which requests ---------------------------------------------------------------------------------------------------


def test_a_fault_names_kind_method_and_path(faults: Faults, dataset: Dataset) -> None:
    """Kinds by pattern, the method, and a pattern of the request's path or of the file that it is about."""
    dataset.put({"data/a.bin": b"1", "data/b.bin": b"2"})
    faults(
        {"kind": "re*", "path": "data/b.*", "method": "GET", "status": 500, "times": None},
        {"kind": "tree", "path": f"*/{dataset.name}/tree/ma*", "status": 502, "times": None},
    )
    api = f"/datasets/{dataset.name}/resolve/main"
    asked = [("GET", f"{api}/data/a.bin"), ("GET", f"{api}/data/b.bin"), ("GET", f"{api}/data%2Fb.bin")]
    asked += [("HEAD", f"{api}/data/b.bin"), ("GET", f"{dataset.api}/tree/main"), ("GET", dataset.api)]
    assert [dataset.wire(*one).status for one in asked] == [200, 500, 500, 200, 502, 200]


def test_every_route_can_fail(faults: Faults, dataset: Dataset) -> None:
    """`*` is all of them, also what is not served, and never the Hub's own routes."""
    faults({"kind": "*", "status": 503, "times": None})
    paths = [dataset.api, "/cas/v1/reconstructions/0", "/lfs/get/0", "/cas/v1/chunks/a/b", "/favicon.ico"]
    assert [dataset.wire("GET", path).status for path in paths] == [503] * 5
    assert dataset.wire("GET", "/-/counts").status == 200


def test_what_is_in_force_is_told(faults: Faults, wire: Wire) -> None:
    """As it was described, with the requests that it was about and those that it happened to."""
    described = {"kind": "whoami", "status": 500, "times": 2, "skip": 1}
    faults(described)
    assert [wire("GET", "/api/whoami-v2").status for _ in range(4)] == [200, 500, 500, 200]
    assert wire.hub.happened() == [{**described, "seen": 3, "happened": 2}]
    refused(wire("GET", "/-/faults", token=wire.hub.read_token), 403, "may only read")


@pytest.mark.parametrize("described", WRONG)
def test_a_mistake_leaves_those_in_force(faults: Faults, wire: Wire, described: object) -> None:
    """Nothing is put in force by halves."""
    faults({"kind": "whoami", "status": 500})
    assert wire("POST", "/-/faults", described).status == 400
    assert wire("GET", "/api/whoami-v2").status == 500


def test_a_profile_is_put_in_force_by_name(hub: Hub, faults: Faults, wire: Wire) -> None:
    """By a string over the control route, as by `--faults` at the start."""
    assert wire("POST", "/-/faults", "slow").status == 200
    assert [one["kind"] for one in hub.happened()] == ["*"]
