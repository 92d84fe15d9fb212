"""The store of chunks as the Hub uses it: tokens, what it finds, what it reads, what it counts."""

from __future__ import annotations

import hashlib
import stat
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.localhub.cas_bodies import GROUPED, LZ4, STORED, File, Xorb, aggregate, shard

from sealift.localhub.cas import Cas, XetFile, hashes
from sealift.localhub.cas.database import Database
from sealift.localhub.cas.files import Files
from sealift.localhub.cas.refusals import Refused
from sealift.localhub.cas.tokens import Signer, kept_key
from sealift.localhub.cas.xorb import Indexer
from sealift.localhub.cas.xorbs import Xorbs
from sealift.localhub.gate import Gate

SIZES = st.lists(st.integers(1, 5000), min_size=1, max_size=12)


@contextmanager
def filled(root: Path, *xorbs: Xorb) -> Iterator[tuple[Xorbs, Files]]:
    """A store with these xorbs."""
    with closing(Database(root / "cas.sqlite")) as database:
        kept = Xorbs(root, database)
        kept.clean()
        for xorb in xorbs:
            with kept.receive() as incoming:
                incoming.write(xorb.body)
                incoming.finish(xorb.hash)
        yield kept, Files(kept, database, Gate())


def xorb(*sizes: int, scheme: int = 0) -> Xorb:
    return Xorb([hashlib.shake_128(f"{at} {sizes}".encode()).digest(size) for at, size in enumerate(sizes)], scheme)


@settings(max_examples=40, deadline=None)
@given(data=st.data(), sizes=SIZES)
def test_any_range_of_a_file_is_its_bytes(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, sizes: list[int]
) -> None:
    """Whatever chunks make up a file, once or more often, any range of it reads as that slice of its content."""
    xorbs = [xorb(*sizes), xorb(*reversed(sizes), 7, scheme=GROUPED)]
    spans = st.sampled_from(xorbs).flatmap(
        lambda one: st.tuples(st.integers(0, len(one.contents) - 1), st.integers(1, 4)).map(
            lambda at: (one, at[0], min(len(one.contents), at[0] + at[1]))
        )
    )
    file = File(data.draw(st.lists(spans, min_size=1, max_size=6)))
    content = file.content
    start, end = data.draw(st.integers(0, len(content) + 5)), data.draw(st.integers(0, len(content) + 5))
    digest = hashlib.sha256(content).hexdigest()
    with filled(tmp_path_factory.mktemp("store"), *xorbs) as (_, files):
        files.accept(BytesIO(shard(file)))
        assert b"".join(files.read(file.hash, start, end)) == content[start:end]
        assert files.find(digest) == XetFile(file.name, len(content), digest)


@settings(max_examples=60, deadline=None)
@given(sizes=SIZES, cuts=st.lists(st.integers(1, 2000), min_size=1, max_size=8))
def test_a_xorb_is_indexed_however_it_comes(sizes: list[int], cuts: list[int]) -> None:
    """The index of a xorb does not depend on where the pieces of its body end."""
    one = xorb(*sizes, scheme=GROUPED)
    body, indexer, at, turn = one.body, Indexer(), 0, 0
    while at < len(body):
        cut = cuts[turn % len(cuts)]
        indexer.feed(body[at : at + cut])
        at, turn = at + cut, turn + 1
    index = indexer.finish()
    assert (index.hash, index.hashes) == (one.hash, b"".join(map(hashes.chunk_hash, one.contents)))
    assert index.unpacked.tolist() == [sum(map(len, one.contents[:n])) for n in range(len(one.contents) + 1)]
    assert int(index.packed[-1]) == len(body)


def test_known_hashes() -> None:
    """A file of one chunk has the hash that the released client gives it, a xorb that of the chunk, nothing zeros."""
    known = "48a3213a086cad271381aafe47232eb5df291a963cebbfec071972eff45eb422"
    assert hashes.text(aggregate([b"hello"]).file_hash()) == known
    assert aggregate([b"hello"]).root() == hashes.chunk_hash(b"hello")
    assert aggregate([]).root() == aggregate([]).file_hash() == bytes(32)


def test_hashes_as_text() -> None:
    """A hash is written as four little-endian numbers, and read back as it was."""
    raw = bytes(range(32))
    assert hashes.text(raw) == "07060504030201000f0e0d0c0b0a090817161514131211101f1e1d1c1b1a1918"
    assert hashes.parse(hashes.text(raw)) == raw


def test_tokens_end_and_have_a_scope() -> None:
    """A token holds for its scope until its end, and only where it was made."""
    signer = Signer(b"k" * 32)
    write, expiry = signer.token("write", 60)
    assert abs(expiry - time.time() - 60) < 5
    signer.check_token(write, "read")
    signer.check_token(write, "write")
    with pytest.raises(Refused, match="may read"):
        signer.check_token(signer.token("read", 60)[0], "write")
    for token in (signer.token("read", 0)[0], Signer(b"l" * 32).token("read", 60)[0], "", "read..", "read.1e9.00"):
        with pytest.raises(Refused, match="not valid"):
            signer.check_token(token, "read")


def test_the_key_is_kept_for_its_owner(tmp_path: Path) -> None:
    """Tokens hold after a restart, as the key is kept; it is readable by its owner alone."""
    with closing(Cas(tmp_path)) as cas:
        token = cas.token("read", 60)[0]
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    with closing(Cas(tmp_path)):
        Signer(kept_key(tmp_path / "key")).check_token(token, "read")


def test_one_process_has_it_open(tmp_path: Path) -> None:
    """A folder that is served is not opened a second time; one that was closed is."""
    with closing(Cas(tmp_path)), pytest.raises(BlockingIOError, match="another process serves this folder"):
        Cas(tmp_path)
    Cas(tmp_path).close()


def test_nothing_is_found_in_an_empty_store(tmp_path: Path) -> None:
    """An unknown SHA-256 finds nothing, an unknown file is a KeyError, and nothing is stored."""
    with closing(Cas(tmp_path)) as cas:
        assert cas.find("00" * 32) is None
        with pytest.raises(KeyError):
            cas.read("00" * 32, 0, 1)
        assert cas.stored() == (0, 0, 0)


def test_counts_what_came_and_what_was_new(tmp_path: Path) -> None:
    """Bytes on the disk are kept, bytes received and new are those since the store was opened."""
    one, two = xorb(1000, 2000), xorb(500)
    both = len(one.body) + len(two.body)
    with filled(tmp_path, one, two, one) as (kept, _):
        assert kept.stored() == (both, both + len(one.body), both)
    with closing(Cas(tmp_path)) as again:
        assert again.stored() == (both, 0, 0)


def test_a_xorb_that_is_cut_short_is_not_read_as_if_it_were_whole(tmp_path: Path) -> None:
    """A file whose xorb was damaged on the disk raises while it is read; it never ends early."""
    one = xorb(1000, 2000)
    file = File([(one, 0, 2)])
    with filled(tmp_path, one) as (_, files):
        files.accept(BytesIO(shard(file)))
        [path] = (path for path in (tmp_path / "xorbs").rglob("*") if path.is_file())
        path.write_bytes(path.read_bytes()[:-1])
        with pytest.raises(EOFError, match="1 bytes are gone"):
            b"".join(files.read(file.hash, 0, 3000))


def test_the_same_chunks_packed_in_two_ways(tmp_path: Path) -> None:
    """Of two uploads of one xorb at the same time the first is kept, even if the second packs its chunks otherwise."""
    stored, packed = (Xorb([bytes(5000), b"1" * 3000], scheme) for scheme in (STORED, LZ4))
    file = File([(packed, 0, 2)])
    with filled(tmp_path) as (kept, files):
        with kept.receive() as first, kept.receive() as second:
            first.write(stored.body)
            second.write(packed.body)
            assert first.finish(stored.hash)
            assert not second.finish(packed.hash)
        files.accept(BytesIO(shard(file)))
        assert b"".join(files.read(file.hash, 0, 8000)) == file.content
        assert kept.stored() == (len(stored.body), len(stored.body) + len(packed.body), len(stored.body))


def test_leftovers_are_removed_at_the_start(tmp_path: Path) -> None:
    """What a process that died was receiving is gone when the store is opened again."""
    Cas(tmp_path).close()
    (tmp_path / "incoming" / "half").write_bytes(b"not a xorb yet")
    with closing(Cas(tmp_path)):
        assert list((tmp_path / "incoming").iterdir()) == []
