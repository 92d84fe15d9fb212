"""The store of chunks killed at any instant: what is there afterwards is whole, and the same upload ends well."""

from __future__ import annotations

import hashlib
import random
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from tests.localhub.cas_client import Client
from tests.localhub.cas_server import serving

from sealift.localhub.cas import Cas, hashes
from sealift.localhub.cas.xorb import Indexer


def whole(root: Path) -> int:
    """The number of files that are recorded, each of them read and found to be what it is recorded as."""
    for path in (root / "xorbs").glob("*/*"):
        indexer = Indexer()
        indexer.feed(path.read_bytes())
        assert hashes.text(indexer.finish().hash) == path.name
    with closing(sqlite3.connect(root / "cas.sqlite")) as db:
        recorded = db.execute("SELECT hash, size, sha256 FROM files").fetchall()
    with closing(Cas(root)) as cas:
        for name, size, sha256 in recorded:
            digest = hashlib.sha256()
            for piece in cas.read(hashes.text(name), 0, size):
                digest.update(piece)
            assert digest.hexdigest() == sha256
    return len(recorded)


@pytest.mark.parametrize("kills", [pytest.param(2, id="short"), pytest.param(40, id="long", marks=pytest.mark.long)])
def test_killed_while_it_takes_files(tmp_path: Path, kills: int) -> None:
    """SIGKILL at any time of an upload leaves whole xorbs and readable files; the next upload completes the rest."""
    chance = random.Random(1)
    files = []
    for number in range(6):
        files.append(tmp_path / f"file-{number}")
        files[-1].write_bytes(np.random.default_rng(number).bytes(15_000_000 + number))
    root, port = tmp_path / "store", 0
    for turn in range(kills):
        with serving(root, port) as store:
            port = store.port
            upload = Client(store, tmp_path / f"cache-{turn}").begin(*files)
            try:
                time.sleep(chance.uniform(0.2, 2.0))
            finally:
                store.process.kill()
                upload.kill()
                upload.communicate()
        assert whole(root) in (0, len(files))
    with serving(root, port) as store:
        client = Client(store, tmp_path / "cache-last")
        for sent, file in zip(client.send(*files), files, strict=True):
            assert client.fetch(sent) == [hashlib.sha256(file.read_bytes()).hexdigest()]
    assert whole(root) == len(files)
    assert list((root / "incoming").iterdir()) == []
