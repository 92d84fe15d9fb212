"""Content that nobody names is collected: what is named stays, what was forgotten can come again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from tests.hubs import Hub, start_hub
from tests.localhub.cas_bodies import File, Xorb, shard
from tests.localhub.traffic import bearer, by_xet, fresh, published
from tests.localhub.wire import Dataset, large, refused, sha256

from sealift.localhub.cas import hashes


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A Hub of its own, whose content others do not count on."""
    with start_hub(tmp_path_factory.mktemp("collected") / "root") as started:
        yield started
    assert started.log is not None
    assert "Traceback" not in (said := started.log.read_text()), said


@pytest.fixture(autouse=True)
def mended(hub: Hub) -> Iterator[None]:
    hub.collect()
    yield
    hub.faults([])


def sent(dataset: Dataset, data: bytes, *, xet: bool) -> None:
    if xet:
        by_xet(dataset, data)
    else:
        dataset.send(data)


@pytest.mark.parametrize("xet", [False, True])
def test_what_no_commit_names_goes(hub: Hub, dataset: Dataset, xet: bool) -> None:
    """A commit of it is refused with the file's name; sent again, it is taken."""
    data = fresh()
    sent(dataset, data, xet=xet)
    gone = hub.collect()
    assert (gone["contents"], gone["files"], gone["xorbs"]) == ((0, 1, 1) if xet else (1, 0, 0))
    assert gone["bytes"] >= len(data)
    words = "LFS pointer pointed to a file that does not exist: data/a.bin"
    refused(dataset.commit(large("data/a.bin", sha256(data))), 400, words)
    assert "actions" in dataset.batch(data)
    assert published(dataset, "data/a.bin", data, xet=xet).status == 200
    assert dataset.get("data/a.bin").body == data


@pytest.mark.parametrize("xet", [False, True])
def test_what_a_reference_has_in_its_history_stays(hub: Hub, dataset: Dataset, xet: bool) -> None:
    """Of a branch, a tag, a pull request, also in an older commit; what only an abandoned commit named goes."""
    main, branch, pull, squashed = fresh(), fresh(), fresh(), fresh()
    assert published(dataset, "old.bin", main, xet=xet).status == 200
    first = dataset.head
    dataset.put({"old.bin": b"new"})
    wire, api = dataset.wire, dataset.api
    assert wire("POST", f"{api}/branch/side", {}).status == 200
    sent(dataset, branch, xet=xet)
    assert dataset.commit(large("b.bin", sha256(branch)), to="side").status == 200
    number = wire("POST", f"{api}/discussions", {"title": "a pull request", "pullRequest": True}).json()["num"]
    sent(dataset, pull, xet=xet)
    assert dataset.commit(large("p.bin", sha256(pull)), to=f"refs%2Fpr%2F{number}").status == 200
    assert wire("POST", f"{api}/branch/lost", {}).status == 200
    sent(dataset, squashed, xet=xet)
    lost = dataset.commit(large("s.bin", sha256(squashed)), to="lost").json()["commitOid"]
    assert wire("DELETE", f"{api}/branch/lost").status == 200
    gone = hub.collect()
    assert gone["contents"] + gone["files"] == 1
    where = f"/datasets/{dataset.name}/resolve"
    kept = [(first, "old.bin", main), ("side", "b.bin", branch), (f"refs%2Fpr%2F{number}", "p.bin", pull)]
    for revision, path, data in kept:
        assert wire("GET", f"{where}/{revision}/{path}").body == data
    refused(wire("GET", f"{where}/{lost}/s.bin"), 404, "is not here any more")


def test_a_xorb_stays_as_long_as_a_file_needs_it(hub: Hub, dataset: Dataset) -> None:
    """Of two files over one xorb, one goes and the other is whole."""
    parts = [fresh(), fresh()]
    xorb = Xorb(parts)
    allowed, wire = bearer(dataset), dataset.wire
    both, one = File([(xorb, 0, 2)]), File([(xorb, 1, 2)])
    assert wire("POST", xorb.path, body=xorb.body, headers=allowed).status == 200
    assert wire("POST", "/cas/v1/shards", body=shard(both, one), headers=allowed).status == 200
    assert dataset.commit(large("one.bin", sha256(parts[1]))).status == 200
    assert hub.collect() == {"contents": 0, "files": 1, "xorbs": 0, "bytes": 0}
    assert dataset.get("one.bin").body == parts[1]
    refused(dataset.commit(large("both.bin", sha256(b"".join(parts)))), 400, "does not exist")


def test_what_is_gone_may_be_remembered(hub: Hub, dataset: Dataset) -> None:
    """LFS is told that it is here, a question for its chunk is answered, a shard over it is taken; the commit is not.

    Sent again in full by Xet, it is here.
    """
    data = fresh()
    file = by_xet(dataset, data)
    allowed, wire = bearer(dataset), dataset.wire
    assert hub.collect(remembers=True)["xorbs"] == 1
    assert "actions" not in dataset.batch(data)
    chunk = f"/cas/v1/chunks/default-merkledb/{hashes.text(hashes.chunk_hash(data))}"
    known = wire("GET", chunk, headers=allowed)
    assert (known.status, file.runs[0][0].hash in known.body) == (200, True)
    assert wire("POST", "/cas/v1/shards", body=shard(file), headers=allowed).status == 200
    refused(
        dataset.commit(large("a.bin", sha256(data))), 400, "LFS pointer pointed to a file that does not exist: a.bin"
    )
    assert dataset.batch(data, operation="download")["error"]["code"] == 404
    assert published(dataset, "a.bin", data, xet=True).status == 200
    assert dataset.get("a.bin").body == data


def test_a_shard_over_what_is_gone_is_refused(hub: Hub, dataset: Dataset) -> None:
    """As long as it is not remembered; the question for its chunk gets a 404."""
    data = fresh()
    file = by_xet(dataset, data)
    hub.collect()
    allowed, wire = bearer(dataset), dataset.wire
    chunk = f"/cas/v1/chunks/default-merkledb/{hashes.text(hashes.chunk_hash(data))}"
    assert wire("GET", chunk, headers=allowed).status == 404
    assert wire("POST", "/cas/v1/shards", body=shard(file), headers=allowed).status == 400
    assert wire("GET", f"/cas/v1/reconstructions/{file.name}", headers=allowed).status == 404


def test_content_is_collected_after_its_time(hub: Hub, dataset: Dataset) -> None:
    """By itself, beside other requests; what came later, or came again, is not old yet."""
    old = fresh()
    dataset.send(old)
    assert hub.collect(older_than=600)["contents"] == 0
    hub.faults([{"collect_after": 0.4}])
    while "actions" not in dataset.batch(old):
        time.sleep(0.05)
    assert [(one["collect_after"], one["happened"]) for one in hub.happened()] == [(0.4, 1)]
    hub.faults([{"collect_after": 600}])
    dataset.send(old)
    assert "actions" not in dataset.batch(old)


def test_a_commit_and_a_collection_wait_for_each_other(hub: Hub, dataset: Dataset) -> None:
    """Whatever is collected beside uploads and commits: each is refused, or what it names can be read ever after."""

    def publish(number: int) -> tuple[int, bytes, int]:
        data = fresh()
        # A shard is refused if its xorb has gone already; so is the commit then.
        with suppress(AssertionError):
            sent(dataset, data, xet=number % 2 == 1)
        return number, data, dataset.commit(large(f"{number}.bin", sha256(data))).status

    hub.faults([{"collect_after": 0.02}])
    with ThreadPoolExecutor(4) as threads:
        done = list(threads.map(publish, range(24)))
    hub.faults([])
    assert {status for _, _, status in done} <= {200, 400}
    for number, data, status in done:
        answer = dataset.get(f"{number}.bin")
        assert (answer.status, answer.body == data) == ((200, True) if status == 200 else (404, False))
