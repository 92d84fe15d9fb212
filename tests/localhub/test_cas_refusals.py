"""The store of chunks before bodies made by hand: it takes what is right and names what is wrong."""

from __future__ import annotations

import hashlib
import struct
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from tests.localhub.cas_bodies import GROUPED, LZ4, STORED, File, Xorb, chunk, shard
from tests.localhub.cas_client import Client, Sent
from tests.localhub.cas_server import Answer, Store, serving

from sealift.localhub.cas import hashes

SHARDS = "/cas/v1/shards"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with serving(tmp_path_factory.mktemp("cas") / "store") as served:
        yield served


def xorb(name: str, *sizes: int, scheme: int = STORED) -> Xorb:
    """A xorb that no other test has."""
    return Xorb([hashlib.shake_128(f"{name} {at}".encode()).digest(size) for at, size in enumerate(sizes)], scheme)


def put(store: Store, one: Xorb, body: bytes | None = None) -> Answer:
    return store.ask("POST", one.path, one.body if body is None else body, store.write)


def record(store: Store, *files: File) -> Answer:
    return store.ask("POST", SHARDS, shard(*files), store.write)


def reconstructed(store: Store, name: str, span: str | None = None, **headers: str) -> Answer:
    given = {**headers, **({"Range": span} if span else {})}
    return store.ask("GET", f"/cas/v1/reconstructions/{name}", token=store.read, headers=given)


def refused(answer: Answer, *words: str, status: int = 400) -> None:
    assert answer.status == status, answer.body
    assert all(word in answer.said["error"] for word in words), answer.said


@pytest.mark.parametrize("scheme", [STORED, LZ4, GROUPED])
def test_takes_chunks_packed_in_each_way(store: Store, scheme: int) -> None:
    """A xorb and a file of chunks of any packing are taken, and read back unpacked by the released client."""
    contents = [bytes([at % 7]) * size for at, size in enumerate((1, 2, 3, 4, 5, 131_072, 70_001))]
    one = Xorb([*contents, bytes([scheme])], scheme)
    assert put(store, one).said == {"was_inserted": True}
    file = File([(one, 0, 8)])
    assert record(store, file).said == {"result": 1}
    client = Client(store, store.root.with_name(f"cache-{scheme}"))
    content = file.content
    assert client.fetch(Sent(file.name, len(content), None)) == [hashlib.sha256(content).hexdigest()]


def test_a_xorb_is_written_once(store: Store) -> None:
    """What is there already is answered as there, and its file is not touched."""
    one = xorb("once", 100, 200)
    put(store, one)
    before = store.kept()[one.name]
    assert put(store, one).said == {"was_inserted": False}
    assert store.kept()[one.name] == before


def wrong_xorbs() -> Iterator[tuple[str, bytes, str]]:
    one = xorb("wrong", 1000, 2000, 3000)
    packed = chunk(bytes(5000), LZ4)
    yield "another name", xorb("other", 10).body, "as its name says"
    yield "a chunk is missing", chunk(one.contents[0]) + chunk(one.contents[2]), "as its name says"
    yield "ends in a chunk", one.body[:-1], "ends within chunk 2"
    yield "ends in a header", one.body + b"\0\0\0", "ends within chunk 3"
    yield "empty", b"", "ends within chunk 0"
    yield "another version", b"\1" + one.body[1:], "no chunk header"
    yield "an unknown scheme", one.body[:4] + b"\3" + one.body[5:], "no chunk header"
    yield "a footer", one.body + b"XETBLOB" + bytes(100), "no chunk header"
    yield "an empty chunk", one.body + struct.pack("<II", 0, 0), "no chunk header"
    yield "too large a chunk", chunk(bytes(128 * 1024 + 1)), "no chunk header"
    yield "damaged while packed", packed[:20] + b"\xff\xff" + packed[22:], "unpack"
    yield "more than it says", chunk(bytes(5000), LZ4, size=4999), "4,999 bytes"
    yield "less than it says", chunk(bytes(5000), LZ4, size=5001), "5,001 bytes"
    yield "less than it says, stored", chunk(bytes(5000), size=5001), "5,001 bytes"
    yield "too many chunks", chunk(b"x") * 8193, "8,192 chunks"


@pytest.mark.parametrize(("body", "words"), [pytest.param(body, words, id=name) for name, body, words in wrong_xorbs()])
def test_a_xorb_that_is_not_what_its_name_says(store: Store, body: bytes, words: str) -> None:
    """A xorb's chunks are unpacked and hashed anew: what does not give its name is refused, and nothing of it stays."""
    one = xorb("wrong", 1000, 2000, 3000)
    refused(put(store, one, body), words)
    assert one.name not in store.kept()
    assert list((store.root / "incoming").iterdir()) == []


def test_a_xorb_larger_than_64_mib(store: Store) -> None:
    """A xorb above the size of the protocol is refused while it comes in."""
    body = chunk(bytes(131_072)) * 513
    refused(put(store, xorb("large", 1), body), "67,174,400 bytes")


@pytest.mark.parametrize("name", ["0" * 63, "0" * 65, "G" * 64, "A" * 64])
def test_names_are_hashes(store: Store, name: str) -> None:
    """A path with something else than a hash is refused, not looked for."""
    for method, path in (("POST", "xorbs/default"), ("GET", "chunks/default"), ("GET", "reconstructions")):
        refused(store.ask(method, f"/cas/v1/{path}/{name}", b"", store.write), "64 lower-case")


def test_needs_the_right_token(store: Store) -> None:
    """Nothing goes without a token, a right one that has not ended; a read token reads, a write token does both."""
    one = xorb("tokens", 300)
    put(store, one)
    file = File([(one, 0, 1)])
    record(store, file)
    reading = ("GET", f"/cas/v1/reconstructions/{file.name}")
    asking = ("GET", f"/cas/v1/chunks/default-merkledb/{file.name}")
    for way in (reading, asking, ("POST", one.path), ("POST", SHARDS)):
        for token in (None, "x", store.expired, store.write[:-1], store.read.replace("read", "write")):
            refused(store.ask(*way, b"", token), "token", status=401)
    for way in (("POST", one.path), ("POST", SHARDS)):
        refused(store.ask(*way, shard(file), store.read), "write", status=403)
    assert store.ask(*reading, token=store.write).status == 200
    assert store.ask(*asking, token=store.read).status == 404


def test_a_segment_of_a_xorb_that_is_not_here(store: Store) -> None:
    """A file of a xorb that was never sent is refused by the name of that xorb, and so are the files beside it."""
    here, gone = xorb("here", 500), xorb("gone", 500)
    put(store, here)
    good, bad = File([(here, 0, 1)]), File([(here, 0, 1), (gone, 0, 1)])
    refused(record(store, good, bad), gone.name, bad.name, "shard cache")
    assert reconstructed(store, good.name).status == 404
    put(store, gone)
    assert record(store, good, bad).said == {"result": 1}
    assert record(store, good, bad).said == {"result": 0}
    assert reconstructed(store, bad.name).status == 200


def test_a_file_that_is_not_what_its_segments_make_up(store: Store) -> None:
    """Ranges, sizes, proofs, the file's hash and its SHA-256 are each held against the chunks that are here."""
    one = xorb("files", 1000, 2000, 3000)
    put(store, one)
    runs = [(one, 0, 1), (one, 1, 3)]
    refused(record(store, File([(one, 1, 1)])), one.name, "1 to 1")
    refused(record(store, File([(one, 2, 4)])), one.name, "2 to 4")
    refused(record(store, File(runs, sizes=1)), one.name, "1,001")
    refused(record(store, File(runs, {"hash": bytes([1] * 32)})), "its segments make up", File(runs).name)
    refused(record(store, File(runs, {"proof": bytes(32)})), "segment 0 is not the chunks")
    refused(record(store, File(runs, {"sha256": bytes([2] * 32)})), "SHA-256", "02" * 32)
    assert reconstructed(store, File(runs).name).status == 404
    assert record(store, File(runs)).said == {"result": 1}
    refused(record(store, File(runs, {"sha256": bytes([2] * 32)})), "SHA-256", "02" * 32)
    assert "02" * 32 not in store.recorded()
    assert hashlib.sha256(File(runs).content).hexdigest() in store.recorded()


def test_bodies_that_are_no_shards(store: Store) -> None:
    """Another format, another version and a shard that ends too early are refused as such."""
    one = xorb("shards", 10)
    put(store, one)
    whole = shard(File([(one, 0, 1)]))
    refused(store.ask("POST", SHARDS, b"PAR1" + bytes(100), store.write), "not a shard")
    refused(store.ask("POST", SHARDS, shard(version=3), store.write), "version 3")
    for end in (0, 47, 48, 60, 96, 150, 47 + 48 * 5):
        refused(store.ask("POST", SHARDS, whole[:end], store.write), "too early")
    refused(store.ask("POST", SHARDS, whole[:84] + b"\xff\xff\xff\x7f" + whole[88:], store.write), "too early")
    assert store.ask("POST", SHARDS, whole, store.write).said == {"result": 1}


def test_ranges_of_chunks_that_overlap(store: Store) -> None:
    """A file that uses chunks of a xorb several times is told in ranges to fetch that do not overlap, and is read."""
    one = xorb("overlap", *range(100, 110))
    put(store, one)
    file = File([(one, 0, 3), (one, 6, 8), (one, 1, 4), (one, 0, 1), (one, 7, 9)])
    record(store, file)
    said = reconstructed(store, file.name).said
    assert [part["range"] for part in said["fetch_info"][one.name]] == [{"start": 0, "end": 4}, {"start": 6, "end": 9}]
    assert [term["range"] for term in said["terms"]] == [{"start": a, "end": b} for _, a, b in file.runs]
    assert said["offset_into_first_range"] == 0
    client, content = Client(store, store.root.with_name("overlaps")), file.content
    ranges = [(0, len(content)), *((at, min(len(content), at + 150)) for at in range(0, len(content), 97))]
    read = client.fetch(Sent(file.name, len(content), None), *ranges)
    assert read == [hashlib.sha256(content[a:b]).hexdigest() for a, b in ranges]


def test_reconstructions_by_range(store: Store) -> None:
    """A range of a file is told in the fewest chunks, with where it begins in the first; past the end it is refused."""
    one = xorb("ranges", 100, 200, 300)
    put(store, one)
    file = File([(one, 0, 3)])
    record(store, file)
    said = reconstructed(store, file.name, "bytes=150-299").said
    assert (said["offset_into_first_range"], said["terms"][0]["range"]) == (50, {"start": 1, "end": 2})
    assert said["terms"][0]["unpacked_length"] == 200
    for span, first in (("bytes=599-1000", 2), ("bytes=-1", 2), ("bytes=300-", 2), ("bytes=299-", 1)):
        assert reconstructed(store, file.name, span).said["terms"][0]["range"]["start"] == first, span
    for span in ("bytes=600-", "bytes=600-700", "bytes=5-4", "bytes=-0", "bytes=1-2,4-5", "chunks=1-2"):
        answer = reconstructed(store, file.name, span)
        refused(answer, "600", status=416)
        assert answer.headers["content-range"] == "bytes */600"
    refused(reconstructed(store, "ab" * 32), "ab" * 32, status=404)


def test_xorbs_are_fetched_from_signed_addresses(store: Store) -> None:
    """The address of a xorb is on the host that was asked, needs no token, serves ranges, and cannot be made up."""
    one = xorb("fetch", 1000, 2000)
    put(store, one)
    file = File([(one, 0, 2)])
    record(store, file)
    said = reconstructed(store, file.name, Host=f"localhost:{store.port}").said
    [part] = said["fetch_info"][one.name]
    address = urlsplit(part["url"])
    assert (address.scheme, address.netloc) == ("http", f"localhost:{store.port}")
    assert part["url_range"] == {"start": 0, "end": len(one.body) - 1}
    path = f"{address.path}?{address.query}"
    whole = store.ask("GET", path)
    assert (whole.status, whole.body) == (200, one.body)
    some = store.ask("GET", path, headers={"Range": "bytes=5-1009"})
    assert (some.status, some.body) == (206, one.body[5:1010])
    assert some.headers["content-range"] == f"bytes 5-1009/{len(one.body)}"
    refused(store.ask("GET", path, headers={"Range": "bytes=9999-"}), status=416)
    expiry = int(address.query.split("expires=")[1].split("&")[0])
    assert time.time() < expiry <= time.time() + 3600
    for made_up in (address.path, path[:-1], path.replace(str(expiry), str(expiry + 1)), path + "0"):
        refused(store.ask("GET", made_up), "signed", status=403)
    refused(store.ask("GET", path.replace(one.name, xorb("other", 1).name)), "signed", status=403)


def test_known_chunks_are_told(store: Store) -> None:
    """Asked for the first chunk of a file, the store tells the chunks of its xorbs; of others it knows nothing."""
    one, two = xorb("first", 1000, 2000), xorb("second", 3000)
    for each in (one, two):
        put(store, each)
    file = File([(one, 1, 2), (two, 0, 1)])
    record(store, file)

    def ask(content: bytes) -> Answer:
        name = hashes.text(hashes.chunk_hash(content))
        return store.ask("GET", f"/cas/v1/chunks/default/{name}", token=store.read)

    answer = ask(one.contents[1])
    assert answer.status == 200
    for known in (one.hash, two.hash, *map(hashes.chunk_hash, (*one.contents, *two.contents))):
        assert known in answer.body
    assert ask(one.contents[1]).body == answer.body
    refused(ask(two.contents[0]), "no xorb", status=404)
