"""The store of chunks before the released Xet client: whatever it sends comes back, once on the disk, proven."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from tests.localhub.cas_client import Client, ClientFailed, Sent, released
from tests.localhub.cas_server import Store, serving

from sealift.localhub.cas import XetFile

XORB = 64 * 1024 * 1024


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with serving(tmp_path / "store") as served:
        yield served


@pytest.fixture
def client(store: Store, tmp_path: Path) -> Client:
    return Client(store, tmp_path / "cache")


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def noise(seed: int, size: int) -> bytes:
    """Bytes that nothing packs smaller."""
    return np.random.default_rng(seed).bytes(size)


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_what_is_sent_comes_back(client: Client, tmp_path: Path) -> None:
    """Files of any kind of bytes are stored and read back, by either side, under the SHA-256 of their content."""
    waves = np.cumsum(np.random.default_rng(1).standard_normal(500_000)).astype("<f4").tobytes()
    contents = {"empty": b"", "one": b"x", "text": b"to and fro " * 20_000, "floats": waves, "noise": noise(2, 300_000)}
    files = [written(tmp_path / name, content) for name, content in contents.items()]
    sent = dict(zip(contents, client.send(*files), strict=True))
    for name, content in contents.items():
        assert client.fetch(sent[name]) == [digest(content)], name
    with client.store.stopped() as cas:
        for name, content in contents.items():
            assert cas.find(digest(content)) == XetFile(sent[name].hash, len(content), digest(content)), name
            assert b"".join(cas.read(sent[name].hash, 0, len(content))) == content, name


@pytest.mark.parametrize("how", ["bytes", "stream"])
def test_every_way_in(client: Client, tmp_path: Path, how: str) -> None:
    """A file that the client sends as bytes or as a stream is the same file."""
    files = [written(tmp_path / str(seed), noise(seed, size)) for seed, size in enumerate((10, 200_000, 3_000_000))]
    for sent, file in zip(client.send(*files, how=how), files, strict=True):
        assert client.fetch(sent) == [digest(file.read_bytes())]


def test_a_file_of_several_xorbs_is_read_by_range(client: Client, tmp_path: Path) -> None:
    """Ranges of a file larger than two xorbs are the right bytes, across the borders too, to either reader."""
    content = noise(3, 2 * XORB + 1_000_000)
    [sent] = client.send(written(tmp_path / "large", content))
    chance = random.Random(4)
    starts = [0, XORB - 70_000, 2 * XORB - 1, *(chance.randrange(len(content)) for _ in range(12))]
    ranges = [(at, min(len(content), at + chance.choice([1, 65_536, 3_000_000]))) for at in starts]
    assert client.fetch(sent, *ranges, (0, len(content))) == [
        digest(content[a:b]) for a, b in [*ranges, (0, len(content))]
    ]
    with client.store.stopped() as cas:
        for start, end in ranges:
            assert b"".join(cas.read(sent.hash, start, end)) == content[start:end]
        assert all(len(piece) <= 4 * 1024 * 1024 for piece in cas.read(sent.hash, 0, len(content)))
    assert len(client.store.kept()) == 3


@pytest.mark.parametrize("processes", [2, 4])
def test_processes_send_at_once(store: Store, tmp_path: Path, processes: int) -> None:
    """Several processes send shared and own content at once, each with its own cache; all of it arrives."""
    shared = noise(5, 10_000_000)
    files = [written(tmp_path / f"own-{n}", shared + noise(100 + n, 2_000_000)) for n in range(processes)]
    clients = [Client(store, tmp_path / f"cache-{n}") for n in range(processes)]
    with ThreadPoolExecutor(processes) as pool:
        sent = list(pool.map(lambda client, file: client.send(file)[0], clients, files))
    for client, one, file in zip(reversed(clients), sent, files, strict=True):
        assert client.fetch(one) == [digest(file.read_bytes())]


def test_the_same_content_is_stored_once(store: Store, tmp_path: Path) -> None:
    """What is here already is not stored again, nor sent again by a machine that never sent it."""
    file = written(tmp_path / "file", noise(6, 2 * XORB))
    first = Client(store, tmp_path / "one").send(file)
    kept = store.kept()
    assert Client(store, tmp_path / "another").send(file) == first
    assert store.kept() == kept


def test_a_file_that_nearly_is_here_costs_little(store: Store, tmp_path: Path) -> None:
    """Of a file with one byte changed, another machine's client adds the chunks around it and no more."""
    content = bytearray(noise(7, 30_000_000))
    before = Client(store, tmp_path / "one").send(written(tmp_path / "before", bytes(content)))
    stored = sum(size for size, _ in store.kept().values())
    content[12_345_678] ^= 1
    client = Client(store, tmp_path / "another")
    [after] = client.send(written(tmp_path / "after", bytes(content)))
    assert sum(size for size, _ in store.kept().values()) - stored < 500_000
    assert client.fetch(after) == [digest(bytes(content))]
    assert client.fetch(before[0]) == [digest((tmp_path / "before").read_bytes())]


def test_many_small_files_in_one_commit(client: Client, tmp_path: Path) -> None:
    """Thousands of files of a few bytes go in at once, and each is found by its own SHA-256."""
    contents = [f"file {number} ".encode() * (1 + number % 9) for number in range(1500)]
    sent = client.send(*(written(tmp_path / f"small-{n}", content) for n, content in enumerate(contents)))
    assert len(client.store.kept()) == 1
    assert client.fetch(sent[1234]) == [digest(contents[1234])]
    with client.store.stopped() as cas:
        for content, one in zip(contents, sent, strict=True):
            assert cas.find(digest(content)) == XetFile(one.hash, len(content), digest(content))
            assert b"".join(cas.read(one.hash, 0, len(content))) == content


def test_a_client_that_remembers_more_than_the_store_is_refused(store: Store, client: Client, tmp_path: Path) -> None:
    """A client whose cache knows xorbs that are gone is told which one; with an empty cache it sends them."""
    file = written(tmp_path / "file", noise(8, 1_000_000))
    sent = client.send(file)
    [xorb] = store.kept()
    store.process.kill()
    store.process.wait()
    with serving(tmp_path / "emptied", store.port) as emptied:
        with pytest.raises(ClientFailed, match="400"):
            Client(emptied, client.cache).send(file)
        answer = emptied.ask("GET", f"/cas/v1/reconstructions/{sent[0].hash}", token=emptied.read)
        assert (answer.status, emptied.kept()) == (404, {})
        assert Client(emptied, tmp_path / "fresh").send(file) == sent
        assert list(emptied.kept()) == [xorb]


def test_a_sha256_is_not_believed(client: Client, tmp_path: Path) -> None:
    """A file that the client gives another SHA-256 is refused; one without is found by that of its content."""
    file = written(tmp_path / "file", noise(9, 200_000))
    with pytest.raises(ClientFailed, match="400"):
        client.send(file, sha256="12" * 32)
    [sent] = client.send(file, sha256="skip")
    with client.store.stopped() as cas:
        assert cas.find("12" * 32) is None
        assert cas.find(digest(file.read_bytes())) == XetFile(sent.hash, 200_000, digest(file.read_bytes()))


def test_hashes_are_those_of_the_client(client: Client, tmp_path: Path) -> None:
    """The name of a file is the one that the client computes without a server."""
    files = [written(tmp_path / str(size), noise(size, size)) for size in (1, 70_000, 5_000_000)]
    known = [info.hash for info in released().hash_files([str(file) for file in files])]
    sent: list[Sent] = client.send(*files)
    assert [one.hash for one in sent] == known
