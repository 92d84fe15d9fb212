"""Small files that wait in memory for the commit: never more than there is room for, and the card always."""

from __future__ import annotations

import pickle
import random
from collections.abc import Mapping

import pytest
from tests.hub_stores import Repository, writing

from sealift.errors import RequestError
from sealift.ports import Staged
from sealift.stores.hub import HubDestination
from sealift.stores.hub.stage import CARD_BYTES, HOLD_BYTES, ROOM, Room

CARD = "README.md"


pytestmark = pytest.mark.usefixtures("own_xet_cache")


@pytest.fixture(params=["xet", "lfs"])
def repository(request: pytest.FixtureRequest) -> Repository:
    return Repository(request.getfixturevalue(f"{request.param}_hub"))


def text(size: int, seed: int) -> bytes:
    """So many bytes of text, other ones for each seed."""
    return random.Random(seed).randbytes(size // 2 + 1).hex().encode()[:size]


def tables(count: int, seed: int) -> dict[str, bytes]:
    """Tables of a mebibyte less a little, some of which a Hub takes for text."""
    kinds = ("parquet", "csv")
    return {f"data/{n:03}.{kinds[n % 2]}": text(HOLD_BYTES - 9, seed + n) for n in range(count)}


def held(destination: HubDestination, files: Mapping[str, bytes]) -> dict[str, Staged]:
    return {path: destination.stager.stage(path, writing(data), hold=True) for path, data in files.items()}


def in_memory(files: Mapping[str, Staged]) -> int:
    return sum(len(file.data or b"") for file in files.values())


def test_what_is_held_is_bounded_in_all(repository: Repository) -> None:
    """40 tables of 1 MiB: sixteen wait in memory, the others are there already; all of them arrive."""
    files = tables(40, 100)
    with repository.prepared() as destination:
        staged = held(destination, files)
        assert ROOM - HOLD_BYTES < in_memory(staged) <= ROOM
        assert all(file.sha256 for file in staged.values())
        for path in ("data/000.parquet", "data/039.csv"):
            view = memoryview(bytearray(50))
            destination.stager.read_back(staged[path], 7, view)
            assert view == files[path][7:57]
        before = repository.hub.counts()["bytes_in"]
        destination.commit(staged, [], "tables")
        # Those that are text come in base64, the other half of what was held by upload.
        assert repository.hub.counts()["bytes_in"] - before < ROOM * 7 // 6 + 1_000_000
    assert repository.contents() == files


def test_a_commit_makes_room(repository: Repository) -> None:
    """What it took is held no more, and what was staged twice is held once."""
    published: dict[str, bytes] = {}
    with repository.prepared() as destination:
        for turn in range(2):
            files = {f"{turn}/{path}": data for path, data in tables(16, 200 + 50 * turn).items()}
            for _ in range(2):
                staged = held(destination, files)
                assert in_memory(staged) == sum(map(len, files.values()))
            destination.commit(staged, [], "tables")
            published |= files
    assert repository.contents() == published


def test_the_card_stays_a_file_that_the_hub_reads(repository: Repository) -> None:
    """However much is held already, it travels in the commit; one that the Hub would not read is refused."""
    card = b"---\nlicense: mit\n---\n" + text(CARD_BYTES - 30, 1)
    with repository.prepared() as destination:
        staged = held(destination, {**tables(17, 300), CARD: card})
        assert staged[CARD].data == card
        destination.commit(staged, [], "with a card")
        with pytest.raises(RequestError, match=f"{CARD_BYTES + 1} bytes") as caught:
            held(destination, {CARD: bytes(CARD_BYTES + 1)})
        assert caught.value.fields["path"] == CARD
    assert repository.contents()[CARD] == card
    assert "license:mit" in (repository.api.dataset_info(repository.name).tags or [])


def test_what_travels_in_a_commit_is_bounded(repository: Repository) -> None:
    """Files that were staged under one path, and so not counted: what is too much is uploaded; the card is not."""
    files = {f"notes/{n:02}.txt": text(HOLD_BYTES - 9, 400 + n) for n in range(20)} | {CARD: text(CARD_BYTES, 9)}
    with repository.prepared() as destination:
        staged = {
            path: destination.stager.stage(CARD if path == CARD else "x", writing(data), hold=True)
            for path, data in files.items()
        }
        assert in_memory(staged) > ROOM
        destination.commit(staged, [], "notes")
        facts = {
            entry.path: entry for entry in repository.api.list_repo_tree(repository.name, "notes", repo_type="dataset")
        }
        inline = [path for path, entry in facts.items() if getattr(entry, "lfs", None) is None]
        assert len(inline) == (ROOM - CARD_BYTES) // (HOLD_BYTES - 9)
    assert repository.contents() == files


def test_a_worker_holds_nothing(repository: Repository) -> None:
    """The memory for held files is the driver's; an empty file and the card come back with the answer."""
    with repository.prepared() as destination:
        stager = pickle.loads(pickle.dumps(destination.stager))
        assert stager.room is None
        assert stager.stage("x.txt", writing(b"text"), hold=True).data is None
        assert stager.stage("empty.txt", writing(), hold=True).data == b""
        assert stager.stage(CARD, writing(b"# x"), hold=True).data == b"# x"


def test_the_last_one_under_a_path_counts() -> None:
    """Room is that of what is held now."""
    room = Room(10)
    room.count(Staged("a", 4, data=b"aaaa"))
    room.count(Staged("b", 5, data=b"bbbbb"))
    assert (room.left("a"), room.left("b"), room.left("c")) == (5, 6, 1)
    room.count(Staged("b", 50))
    assert room.left("c") == 6
    room.count(Staged("c", 20, data=bytes(20)))
    assert (room.left("b"), room.left("c")) == (0, 6)
    room.free([Staged("c", 20), Staged("a", 4), Staged("a", 4)])
    assert room.left("b") == 10
