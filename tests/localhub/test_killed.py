"""Killed at any moment: what was acknowledged is there, what was not is there whole or not at all."""

from __future__ import annotations

import http.client
import json
import random
import signal
import threading
import time
from pathlib import Path

import pytest
from tests.hubs import start_hub
from tests.localhub.processes import ended_by
from tests.localhub.wire import Answer, Dataset, Wire, large, sha256, small

BROKEN = (ConnectionError, http.client.HTTPException, OSError, json.JSONDecodeError)


def content(turn: int, number: int) -> bytes:
    return random.Random(turn * 1000 + number).randbytes(150_000 + number)


class Uploads(threading.Thread):
    """Uploads and commits one after the other, until the Hub is gone; remembers what was acknowledged."""

    def __init__(self, dataset: Dataset, turn: int) -> None:
        super().__init__()
        self.dataset, self.turn = dataset, turn
        self.done: list[str] = []
        self.surprise: Answer | None = None

    def run(self) -> None:
        try:
            for number in range(10_000):
                data = content(self.turn, number)
                lines = [large(f"{self.turn}/{number}/{copy}.bin", self.dataset.send(data)) for copy in range(3)]
                answer = self.dataset.commit(*lines, small(f"{self.turn}/{number}/x.txt", data[:100]))
                if answer.status != 200:
                    self.surprise = answer
                    return
                self.done.append(answer.json()["commitOid"])
        except BROKEN:
            return


def whole(dataset: Dataset, turn: int) -> list[int]:
    """The numbers of the commits of that turn whose files are all there; holds that there are no others."""
    found = [path for path in dataset.paths() if path.startswith(f"{turn}/")]
    numbers = sorted({int(path.split("/")[1]) for path in found})
    assert len(found) == 4 * len(numbers)
    for number in numbers:
        data = content(turn, number)
        assert dataset.get(f"{turn}/{number}/0.bin").body == data
        assert dataset.get(f"{turn}/{number}/x.txt").body == data[:100]
    return numbers


def test_a_kill_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """The Hub is killed again and again while uploads and commits are under way. All that it said it had is there when
    it is started again, and at most one commit more; what is on disk under a hash has that hash, nothing is half."""
    root, dice, tokens = tmp_path / "root", random.Random(4), set()
    name, uploads = "", None
    for turn in range(8):
        with start_hub(root) as hub:
            tokens.add((hub.token, hub.read_token))
            dataset = Dataset(Wire(hub), name) if uploads else Wire(hub).create()
            name = dataset.name
            if uploads:
                kept_what_was_said(dataset, uploads)
                assert not list((root / "half").iterdir())
            uploads = Uploads(dataset, turn)
            uploads.start()
            while not uploads.done and uploads.is_alive():
                time.sleep(0.005)
            time.sleep(dice.random() * 0.2)
            assert ended_by(hub, signal.SIGKILL)
            uploads.join(30)
            assert not uploads.is_alive()
            assert uploads.surprise is None, uploads.surprise
    assert len(tokens) == 1
    for file in (root / "contents").glob("*/*"):
        assert sha256(file.read_bytes()) == file.name


def kept_what_was_said(dataset: Dataset, uploads: Uploads) -> None:
    """Hold that every commit that was acknowledged is there with its files, and at most one more."""
    numbers = whole(dataset, uploads.turn)
    assert numbers == [*range(len(numbers))]
    assert len(uploads.done) <= len(numbers) <= len(uploads.done) + 1
    said = dataset.wire("GET", f"{dataset.api}/commits/main?limit=1000").json()
    assert set(uploads.done) <= {one["id"] for one in said}


def test_a_large_upload_goes_on_after_a_kill(tmp_path: Path) -> None:
    """Parts that arrived need not be sent again, and addresses stay good."""
    data = random.Random(5).randbytes(250_000)
    options = ("--lfs-multipart-over", "100000", "--lfs-part-size", "100000")
    with start_hub(tmp_path / "root", *options) as hub:
        wire = Wire(hub)
        dataset = wire.create()
        upload = dataset.batch(data, transfers=["multipart"])["actions"]["upload"]
        parts = {number: place for number, place in upload["header"].items() if number.isdigit()}
        etags = {"1": wire("PUT", parts["1"], body=data[:100_000], token=None).headers["ETag"]}
        assert ended_by(hub, signal.SIGKILL)
    with start_hub(tmp_path / "root", *options) as again:
        wire, name = Wire(again), dataset.name
        for number, piece in (("2", data[100_000:200_000]), ("3", data[200_000:])):
            place = parts[number].replace(hub.endpoint, again.endpoint)
            etags[number] = wire("PUT", place, body=piece, token=None).headers["ETag"]
        said = {"oid": sha256(data), "parts": [{"partNumber": int(one), "etag": etag} for one, etag in etags.items()]}
        assert wire("POST", upload["href"].replace(hub.endpoint, again.endpoint), said, token=None).status == 200
        dataset = Dataset(wire, name)
        assert dataset.commit(large("x", sha256(data))).status == 200
        assert dataset.get("x").body == data


@pytest.mark.parametrize("kind", ["secrets.json", "hub.sqlite"])
def test_a_kill_at_the_first_start_is_no_obstacle(tmp_path: Path, kind: str) -> None:
    """What the first start makes it makes whole, or again: here only a half of it was there."""
    root = tmp_path / "root"
    root.mkdir()
    (root / "secrets.part").write_text("{")
    if kind == "hub.sqlite":
        (root / kind).touch()
    with start_hub(root) as hub:
        assert Wire(hub).create().paths() == [".gitattributes"]
