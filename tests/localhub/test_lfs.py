"""Large files over plain HTTP: only what has the hash that it is named by is kept, whole or in parts."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from tests.hubs import Hub
from tests.localhub.wire import Answer, Dataset, Wire, large, refused, sha256

SEED = iter(range(10, 1000))


def noise(size: int) -> bytes:
    """Content that no other test has sent."""
    return random.Random(f"{next(SEED)} {size}").randbytes(size)


def send(wire: Wire, address: str, data: bytes) -> Answer:
    """As clients send content: without a token."""
    return wire("PUT", address, body=data, token=None)


def kept(hub: Hub) -> set[str]:
    """The content that is on disk, and what is being written."""
    assert hub.root
    return {file.name for folder in ("contents", "half") for file in (hub.root / folder).rglob("*") if file.is_file()}


def test_content_is_kept_by_its_hash(hub: Hub, wire: Wire, dataset: Dataset) -> None:
    """Once it came, it is asked for no more: neither here nor for another repository, and it is on disk once."""
    data = noise(50_000)
    actions = dataset.batch(data)["actions"]
    assert send(wire, actions["upload"]["href"], data).status == 200
    assert wire("POST", actions["verify"]["href"], {"oid": sha256(data), "size": len(data)}).status == 200
    assert "actions" not in dataset.batch(data)
    assert "actions" not in wire.create().batch(data)
    before = wire("GET", "/-/counts").json()["stored"]
    assert send(wire, actions["upload"]["href"], data).status == 200
    after = wire("GET", "/-/counts").json()["stored"]
    assert (after["received"] - before["received"], after["new"] - before["new"]) == (50_000, 0)
    assert sha256(data) in kept(hub)


@pytest.mark.parametrize("wrong", [b"", b"short", b"x" * 50_001, b"y" * 50_000])
def test_other_content_is_refused(hub: Hub, wire: Wire, dataset: Dataset, wrong: bytes) -> None:
    """Too short, too long, or of another hash: 400, nothing is kept, and the address is still good."""
    data = noise(50_000)
    actions, before = dataset.batch(data)["actions"], kept(hub)
    assert send(wire, actions["upload"]["href"], wrong).status == 400
    assert kept(hub) == before
    verified = wire("POST", actions["verify"]["href"], {"oid": sha256(data), "size": len(data)})
    refused(verified, 404, "is not here")
    assert send(wire, actions["upload"]["href"], data).status == 200


def test_an_upload_that_breaks_off_leaves_nothing(hub: Hub, wire: Wire, dataset: Dataset) -> None:
    """The connection may end in the middle of the content; the next attempt is as the first."""
    data = noise(90_000)
    address, before = dataset.batch(data)["actions"]["upload"]["href"], kept(hub)
    path = address.removeprefix(hub.endpoint)
    head = f"PUT {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(data)}\r\n\r\n".encode()
    wire.raw(head + data[:70_000])
    deadline = time.monotonic() + 10
    while kept(hub) != before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert kept(hub) == before
    assert send(wire, address, data).status == 200


def test_an_address_is_only_good_as_it_was_given(wire: Wire, dataset: Dataset) -> None:
    """It carries no token, so that nothing in it may be changed: content, size, time, or what it is for."""
    data = noise(10)
    address = dataset.batch(data)["actions"]["upload"]["href"]
    place, said = urlsplit(address).path, dict(parse_qsl(urlsplit(address).query))

    def changed(place: str = place, **more: str) -> str:
        return f"{place}?{urlencode({**said, **more})}"

    for other in (
        changed(size="11"),
        changed(until="99999999999"),
        changed(signature="0" * 64),
        changed(place.replace(sha256(data), "0" * 64)),
        place,
    ):
        refused(send(wire, other, data), 403, "not signed by this Hub")
    refused(wire("GET", changed(place.replace("/put/", "/get/"))), 403, "not signed by this Hub")


def parts(dataset: Dataset, data: bytes) -> tuple[str, list[tuple[str, bytes]]]:
    """Where to complete a large upload; and each part with its address."""
    upload = dataset.batch(data, transfers=["basic", "multipart"])["actions"]["upload"]
    size = int(upload["header"]["chunk_size"])
    assert sorted(upload["header"]) == sorted(["chunk_size", *map(str, range(1, -(-len(data) // size) + 1))])
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    return upload["href"], [(upload["header"][str(number)], piece) for number, piece in enumerate(pieces, 1)]


def completed(wire: Wire, address: str, oid: str, etags: list[Any]) -> Answer:
    said = [{"partNumber": number, "etag": etag} for number, etag in enumerate(etags, 1)]
    return wire("POST", address, {"oid": oid, "parts": said}, token=None)


@pytest.mark.parametrize("size", [100_001, 120_000, 160_001])
def test_large_content_comes_in_parts(hub: Hub, wire: Wire, dataset: Dataset, size: int) -> None:
    """Above the limit there is an address for each part; in any order, some twice, they make the content."""
    data = noise(size)
    address, sent = parts(dataset, data)
    etags = {place: send(wire, place, piece).headers["ETag"] for place, piece in reversed(sent)}
    etags[sent[0][0]] = send(wire, *sent[0]).headers["ETag"]
    assert completed(wire, address, sha256(data), [etags[place] for place, _ in sent]).status == 200
    assert completed(wire, address, sha256(data), [etags[place] for place, _ in sent]).status == 200
    assert dataset.commit(large("x", sha256(data), size)).status == 200
    assert dataset.get("x").body == data
    assert hub.root
    assert list((hub.root / "parts").iterdir()) == []


def test_a_part_that_is_missing_is_named(wire: Wire, dataset: Dataset) -> None:
    """Without all parts, or with an ETag that none has, there is no content; it can still be completed."""
    data = noise(110_000)
    address, sent = parts(dataset, data)
    etags = [send(wire, place, piece).headers["ETag"] for place, piece in sent[:-1]]
    refused(completed(wire, address, sha256(data), etags), 400, "The parts are not 1 to 3")
    refused(completed(wire, address, sha256(data), [*etags, '"x"']), 400, "Part 3 is not here")
    refused(completed(wire, address, sha256(data), [*etags, etags[0]]), 400, "Part 3 is not here")
    etags.append(send(wire, *sent[-1]).headers["ETag"])
    assert completed(wire, address, sha256(data), etags).status == 200


def test_parts_that_make_something_else_are_refused(hub: Hub, wire: Wire, dataset: Dataset) -> None:
    """A part has the size that its address is for, and all together have the hash."""
    data = noise(110_000)
    address, sent = parts(dataset, data)
    refused(send(wire, sent[0][0], data[:39_999]), 400, "has 39999 bytes, not 40000")
    refused(send(wire, sent[0][0], data[:40_001]), 400, "more than the 40000 bytes")
    other = noise(40_000)
    etags = [send(wire, place, piece).headers["ETag"] for place, piece in [(sent[0][0], other), *sent[1:]]]
    refused(completed(wire, address, sha256(data), etags), 400, f"not {sha256(data)}")
    assert sha256(data) not in kept(hub)


def test_small_content_or_an_old_client_has_one_address(dataset: Dataset) -> None:
    """Up to the limit, or if the caller knows no parts, content is sent whole."""
    assert "header" not in dataset.batch(noise(100_000), transfers=["basic", "multipart"])["actions"]["upload"]
    assert "header" not in dataset.batch(noise(100_001), transfers=["basic"])["actions"]["upload"]
    assert "header" not in dataset.batch(noise(100_001))["actions"]["upload"]


def test_a_batch_fetches_too(wire: Wire, dataset: Dataset) -> None:
    """For a download there is an address of content that is here, and an error for content that is not."""
    data = noise(1000)
    dataset.send(data)
    found = dataset.batch(data, operation="download")["actions"]["download"]["href"]
    assert wire("GET", found, token=None, headers={"Range": "bytes=5-9"}).body == data[5:10]
    assert dataset.batch(noise(5), operation="download")["error"]["code"] == 404


@pytest.mark.parametrize(
    "one", [{}, {"oid": "x", "size": 1}, {"oid": "A" * 64, "size": 1}, {"oid": "0" * 64, "size": -1}, 5]
)
def test_what_names_no_content_is_refused(dataset: Dataset, one: object) -> None:
    """An object of a batch is a SHA-256 in lower case, and a size."""
    path = f"/datasets/{dataset.name}.git/info/lfs/objects/batch"
    refused(dataset.wire("POST", path, {"operation": "upload", "objects": [one]}), 400, "a sha256 in lower case")


def test_content_passes_by_memory(hub: Hub, wire: Wire, dataset: Dataset, tmp_path: Path) -> None:
    """300 MB go in whole and come out again; the Hub grows by a few megabytes."""
    data = bytes(1000) + noise(1_000_000)
    data *= 300
    before = memory(hub)
    assert send(wire, dataset.batch(data, transfers=["basic"])["actions"]["upload"]["href"], data).status == 200
    assert dataset.commit(large("big", sha256(data), len(data))).status == 200
    assert dataset.get("big").body == data
    assert memory(hub) - before < 40_000_000


def memory(hub: Hub) -> int:
    """The most that the Hub's process has had in memory so far, in bytes."""
    status = Path(f"/proc/{hub.pid}/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024
