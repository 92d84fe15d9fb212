"""What verify reads, how often and how much at once: every read of a store that is far away is a request."""

from __future__ import annotations

import json
import shutil
from hashlib import sha256
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.far_store import SHORT, FarFolder

import sealift
from sealift.errors import AccessDenied, DestinationBusy, IntegrityError, SealiftError, SourceMissing
from sealift.model import manifest
from sealift.model.entry import Entry
from sealift.model.event import Advanced, Event, Started
from sealift.stores.local import LocalFolder
from sealift.tools.makers import noise
from sealift.verify import LEVELS, Level, verify
from sealift.verify.ahead import FAR, Reach, in_order, pieces, runs
from sealift.verify.bones import Bones
from sealift.verify.bounded import MOST_UNPACKED, check_row_groups, check_stored
from sealift.verify.opened import TAIL, WHOLE, chunks, open_file
from sealift.verify.published import Published

ROWS = 90
SPEC = """\
from: .
tables: {takes: takes.parquet}
rows: SELECT * FROM takes ORDER BY part, id
key: [id, part]
media: {sound: binary, parts: [binary]}
split: train
shards: {max_bytes: 750kB, row_group_rows: 8}
"""


def _corpus(folder: Path) -> Path:
    """Rows with a file of up to 40 KB or none, and with up to four more in a list, or no list; the key comes last."""
    rows = []
    for number in range(ROWS):
        sizes = [1 + number * 997 % 40_000, *(1 + number * 331 * place % 9_000 for place in range(1, 1 + number % 5))]
        for place, size in enumerate(sizes):
            file = folder / f"files/{number}-{place}"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(noise(file.name, size).tobytes())
        parts = [f"files/{number}-{place}" for place in range(1, len(sizes))]
        sound = None if number % 7 == 3 else f"files/{number}-0"
        rows.append(
            {"sound": sound, "parts": None if number % 6 == 2 else parts, "part": number // 20, "id": f"take-{number}"}
        )
    kinds = [("sound", pa.string()), ("parts", pa.list_(pa.string())), ("part", pa.int32()), ("id", pa.string())]
    pq.write_table(pa.Table.from_pylist(rows, pa.schema(kinds)), folder / "takes.parquet")
    (folder / "sealift.yaml").write_text(SPEC)
    return folder / "sealift.yaml"


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A publication of three shards that are larger than what is read of a file's end."""
    folder = tmp_path_factory.mktemp("good")
    (folder / "in").mkdir()
    sealift.publish(_corpus(folder / "in"), str(folder / "out"), workers=1)
    assert [path.stat().st_size > WHOLE + TAIL for path in _shards(folder / "out")] == [True] * 3
    return folder / "out"


def _shards(out: Path) -> list[Path]:
    return sorted(out.glob("data/*.parquet"))


def _size(out: Path) -> int:
    return sum(path.stat().st_size for path in out.rglob("*") if path.is_file())


def test_the_tree_reads_no_file_whose_digest_is_known(good: Path, tmp_path: Path) -> None:
    """Where the store says the SHA-256 of the shards, only the manifest, the card and other small files are read."""
    far = FarFolder(good)
    verified = far.verify(tmp_path, "tree")
    assert verified.proven
    assert {path for path, _, _ in far.reads} == {manifest.PATH, manifest.CARD}
    assert verified.bytes_read < _size(good) / 100
    assert verified.requests == len(far.reads) == 2


def test_footers_take_two_reads_a_shard(good: Path, tmp_path: Path) -> None:
    """The end of a shard with its footer, and its first four bytes."""
    far = FarFolder(good)
    assert far.verify(tmp_path, "footers").proven
    assert sorted(path for path, _, _ in far.reads if path.startswith("data/")) == sorted(
        2 * [path.relative_to(good).as_posix() for path in _shards(good)]
    )


def test_full_reads_every_byte_of_a_shard_at_most_once(good: Path, tmp_path: Path) -> None:
    """Neither cells nor pages nor row groups are asked for one by one, and all levels together read nothing twice."""
    far = FarFolder(good)
    verified = far.verify(tmp_path)
    assert verified.proven
    assert verified.checked["cells"] > ROWS
    assert far.read_twice() == set()
    assert verified.requests <= 6 + 4 * len(_shards(good))
    assert verified.bytes_read <= 1.01 * _size(good)
    assert verified.bytes_read == sum(end - start for _, start, end in far.reads)


def test_keys_that_lie_close_together_are_read_together(good: Path, tmp_path: Path) -> None:
    """`rows` reads over gaps that take less time than a request, and leaves out larger ones."""
    near, wide = FarFolder(good), FarFolder(good)
    assert near.verify(tmp_path / "near", "rows", how=FAR).proven
    assert wide.verify(tmp_path / "wide", "rows", how=Reach(piece=8 << 20, gap=0, at_once=4)).proven
    groups = sum(pq.read_metadata(path).num_row_groups for path in _shards(good))
    assert groups > 2 * len(_shards(good))
    assert len(near.reads) < len(wide.reads) <= 6 + 2 * len(_shards(good)) + groups
    assert sum(end - start for _, start, end in wide.reads) < _size(good)


@pytest.mark.parametrize(
    "how", [SHORT, Reach(1, 0, 1), pytest.param(Reach(65, 64, 3), marks=pytest.mark.long), Reach(10_007, 5_000, 1)]
)
def test_pieces_of_any_length_give_the_same(how: Reach, tmp_path: Path) -> None:
    """Where pieces begin and end, in the middle of cells, lengths or pages, makes no difference to what is found."""
    for name in ("in", "out"):
        (tmp_path / name).mkdir()
    spec = _corpus(tmp_path / "in")
    table = pq.read_table(tmp_path / "in/takes.parquet")
    few = Reach(1, 0, 1) == how
    pq.write_table(table.slice(0, 6 if few else ROWS), tmp_path / "in/takes.parquet")
    for file in (tmp_path / "in/files").iterdir() if few else ():
        file.write_bytes(file.read_bytes()[:60])
    sealift.publish(spec, str(tmp_path / "out"), workers=1)
    far = FarFolder(tmp_path / "out")
    verified = far.verify(tmp_path / "work", how=how)
    assert verified.proven, verified.problems
    assert far.read_twice() == set()


def test_a_far_store_is_asked_for_some_pieces_at_once(good: Path, tmp_path: Path) -> None:
    """Several requests are under way at a time, and no more than were meant, be it for ends or for pieces."""
    far = FarFolder(good, delay_s=0.002)
    assert far.verify(tmp_path, how=Reach(piece=20_000, gap=0, at_once=3)).proven
    # Those for one shard, and those for the ends of the next.
    assert 2 <= far.at_once <= 3 + 3 + 1


def test_progress_counts_what_is_read_and_hashed(good: Path, tmp_path: Path) -> None:
    """The totals of a far store hold small files alone for the tree, and the media once for `full`."""
    for level in LEVELS:
        events: list[Event] = []
        work = tmp_path / level
        work.mkdir()
        assert verify(Published(FarFolder(good)), work, level, events.append).proven
        started = next(event for event in events if isinstance(event, Started))
        moved = [event for event in events if isinstance(event, Advanced) and event.stage == started.stage]
        assert (started.bytes, started.files) == (sum(one.bytes for one in moved), sum(one.files for one in moved))
        assert (started.bytes or 0) < _size(good) / 100 or level == "full"


def test_what_the_store_says_is_held_against_the_manifest(good: Path, tmp_path: Path) -> None:
    """Another SHA-256, or another Xet hash beside the same one, is a problem of the tree, and the shard is left alone.
    A hash that one side does not have is not compared."""
    out = Path(shutil.copytree(good, tmp_path / "out"))
    first, second, third = (path.relative_to(out).as_posix() for path in _shards(out))
    said = json.loads((out / manifest.PATH).read_text())
    for shard in said["shards"]:
        shard["xet_hash"] = {first: "a" * 64, second: "b" * 64}.get(shard["path"])
    (out / manifest.PATH).write_text(json.dumps(said))
    (out / third).write_bytes((out / third).read_bytes()[:-9] + bytes(9))
    far = FarFolder(out, xet={first: "c" * 64, third: "d" * 64})
    verified = far.verify(tmp_path / "work")
    assert [(one.code, one.place) for one in verified.problems] == [("file-xet-hash", first), ("file-sha256", third)]
    assert {path for path, _, _ in far.reads if path.startswith("data/")} == {second}
    assert all("a" * 64 in one.message for one in verified.problems if one.code == "file-xet-hash")


@pytest.mark.parametrize("error", [AccessDenied("no right"), DestinationBusy("busy: 503"), SourceMissing("404")])
@pytest.mark.parametrize(
    ("path", "level"),
    [
        (manifest.CARD, "tree"),
        ("data/train-00001-of-00003.parquet", "footers"),
        (".sealift/index/default-00000-of-00001.parquet", "sample"),
    ],
)
def test_what_the_store_does_not_deliver_is_unreadable(
    path: str, level: Level, error: SealiftError, good: Path, tmp_path: Path
) -> None:
    """A file that cannot be had is one problem, at the level that needs it first and at those behind; it is not called
    damaged, and nothing else is."""
    for one in LEVELS:
        found = FarFolder(good, broken={path: error}).verify(tmp_path / one, one).problems
        late = LEVELS.index(one) >= LEVELS.index(level)
        assert [(each.code, each.place, each.message) for each in found] == (
            [("file-unreadable", path, error.message)] if late else []
        )


def test_a_shard_that_fails_in_the_middle_is_unreadable_once(good: Path, tmp_path: Path) -> None:
    """When the store gives a shard's ends, and then no more, that is one problem, and the other shards are proven."""
    shard = _shards(good)[1].relative_to(good).as_posix()

    class Failing(FarFolder):
        def read_into(self, entry: Entry, offset: int, view: memoryview) -> None:
            if entry.path == shard and len(view) > 300_000:
                raise DestinationBusy("the connection broke")
            super().read_into(entry, offset, view)

    verified = Failing(good).verify(tmp_path)
    assert [(one.code, one.place) for one in verified.problems] == [("file-unreadable", shard)]
    assert verified.checked["cells"] > ROWS / 2


def test_a_folder_counts_its_reads(good: Path) -> None:
    """The reads of a folder are counted, too, with the bytes that they brought."""
    verified = sealift.verify(good, "tree")
    files = [path for path in good.rglob("*") if path.is_file()]
    assert (verified.requests, verified.bytes_read) == (len(files), _size(good))


def test_a_file_is_right_however_it_is_read(good: Path) -> None:
    """Reads that go back, leave out or were not wanted cost reads of their own, and give the file's bytes."""
    shard = _shards(good)[0]
    path, data = shard.relative_to(good).as_posix(), shard.read_bytes()
    published = Published(LocalFolder(good), Reach(piece=1000, gap=50, at_once=2))
    assert published.open_manifest()
    with open_file(published, path, head=True) as opened:
        opened.want([(100, 5_000), (20_000, 30_000), (len(data) - 50, len(data) + 50)])
        for start, end in [
            (4_000, 4_010),
            (200, 2_500),
            (4_500, 21_500),
            (0, 3),
            (len(data) - 300_000, len(data)),
            (29_990, 40_000),
            (7, 7),
        ]:
            assert b"".join(map(bytes, opened.views(start, end))) == data[start:end]
            assert opened.file.range(start, end - start) == data[start:end]


def test_what_is_held_of_a_row_group_has_limits(good: Path) -> None:
    """Its rows, and the bytes of the columns that are kept of it, are held against them before anything is read."""
    metadata = pq.read_metadata(_shards(good)[0])
    places = chunks(metadata, ["id", "part"])[0]
    stored = sum(end - start for start, end in places)
    check_stored(places, stored)
    with pytest.raises(IntegrityError, match=f"columns of {stored} bytes"):
        check_stored(places, stored - 1)
    rows = max(metadata.row_group(number).num_rows for number in range(metadata.num_row_groups))
    check_row_groups(metadata, rows)
    with pytest.raises(IntegrityError, match="row group 0"):
        check_row_groups(metadata, rows - 1)


def _mend(out: Path, path: str) -> None:
    """Make the manifest say the size and digest that the file has now."""
    said = json.loads((out / manifest.PATH).read_text())
    [file] = [one for one in said["files"] + said["shards"] if one["path"] == path]
    file |= {"size": (out / path).stat().st_size, "sha256": sha256((out / path).read_bytes()).hexdigest()}
    (out / manifest.PATH).write_text(json.dumps(said))


INDEX = ".sealift/index/default-00000-of-00001.parquet"


@pytest.mark.parametrize("level", ["sample", "rows"])
def test_an_index_with_huge_row_groups_is_damaged(level: Level, good: Path, tmp_path: Path) -> None:
    """A row group of the index is held in memory, and so has no more records than Sealift writes."""
    out = Path(shutil.copytree(good, tmp_path / "out"))
    table = pq.read_table(out / INDEX).take(np.zeros(65_537, np.int64))
    pq.write_table(table, out / INDEX, row_group_size=65_537)
    _mend(out, INDEX)
    assert [(one.code, one.place) for one in sealift.verify(out, level).problems] == [("index-damaged", INDEX)]


@pytest.mark.parametrize("level", ["sample", "rows"])
def test_a_large_index_is_not_read_from_its_first_byte(level: Level, good: Path, tmp_path: Path) -> None:
    """To know where the records lie takes its end alone: there is no request for the four bytes before them."""
    out = Path(shutil.copytree(good, tmp_path / "out"))
    table = pq.read_table(out / INDEX)
    long = pa.array([path * (1 + WHOLE // len(path) // 50) for path in table["path"].to_pylist()])
    table = table.set_column(table.schema.get_field_index("path"), "path", long)
    pq.write_table(table, out / INDEX, compression="none", use_dictionary=False)
    assert (out / INDEX).stat().st_size > WHOLE
    _mend(out, INDEX)
    far = FarFolder(out)
    assert far.verify(tmp_path / "work", level).proven
    assert [start > 0 for path, start, _ in far.reads if path == INDEX] == [True] * 2


@pytest.mark.parametrize(
    ("level", "path", "name", "code"),
    [
        ("sample", INDEX, "key", "index-damaged"),
        ("rows", INDEX, "shard", "index-damaged"),
        ("rows", "data/train-00001-of-00003.parquet", "id", "rows-damaged"),
    ],
)
def test_a_value_that_is_named_again_and_again_is_damage(
    level: Level, path: str, name: str, code: str, good: Path, tmp_path: Path
) -> None:
    """A few KB of a key column or of the index that say more than there is room for are a problem, found before they
    are unpacked: beside the one value, which is, nothing of it takes memory."""
    out = Path(shutil.copytree(good, tmp_path / "out"))
    table = pq.read_table(out / path)
    long = MOST_UNPACKED // table.num_rows + 1
    values = pa.DictionaryArray.from_arrays(np.zeros(table.num_rows, np.int32), ["x" * long])
    table = table.set_column(table.schema.get_field_index(name), name, values)
    # Without the Arrow schema the column is one of strings, and its file like any other.
    options = {"compression": "zstd", "dictionary_pagesize_limit": 2 * long, "store_schema": False}
    with pq.ParquetWriter(out / path, table.schema, **options) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata(table.schema.metadata or {})
    del table, values
    _mend(out, path)
    pool, counted = pa.default_memory_pool(), pa.proxy_memory_pool(pa.default_memory_pool())
    pa.set_memory_pool(counted)
    try:
        problems = sealift.verify(out, level).problems
    finally:
        pa.set_memory_pool(pool)
    assert [(one.code, one.place) for one in problems] == [(code, path)]
    assert f"column '{name}'" in problems[0].message
    assert counted.max_memory() < 2 * long + (16 << 20)


def test_jobs_come_in_order_and_not_too_many_at_once() -> None:
    """Results come in the order of the items however long each takes; no more than asked for are begun ahead."""
    begun: list[int] = []

    def job(number: int) -> int:
        begun.append(number)
        return number * number

    jobs = in_order(job, range(100), 3)
    assert [next(jobs)[1].result() for _ in range(5)] == [0, 1, 4, 9, 16]
    jobs.close()
    assert len(begun) <= 5 + 3
    assert [item for item, _ in in_order(job, (), 1)] == []


def test_ranges_are_joined_over_gaps_and_cut_into_pieces() -> None:
    """Every byte of the ranges is in exactly one piece; gaps up to the limit are, too, and longer ones are not."""
    ranges = [(50, 60), (10, 20), (25, 40), (100, 90), (15, 18)]
    assert runs(ranges, 5) == [(10, 40), (50, 60)]
    assert runs(ranges, 10) == [(10, 60)]
    assert pieces(ranges, Reach(piece=12, gap=5, at_once=1)) == [(10, 22), (22, 34), (34, 40), (50, 60)]


def test_bones_read_as_zero_where_nothing_was_kept() -> None:
    """What is between cells comes back; cells, and what there was no more room for, are zeros."""
    bones = Bones(np.array([16, 32]), np.array([14, 8]), most=8)
    bones.take(10, [memoryview(b"head"), memoryview(b"er")], cell=True)
    bones.take(30, [memoryview(b"ab")], cell=True)
    bones.take(40, [memoryview(b"lost")])
    assert bones.range(8, 10) == b"\0\0header\0\0"
    assert bones.range(15, 17) == b"r" + bytes(14) + b"ab"
    assert bones.range(38, 8) == bytes(8)


def test_bones_have_the_lengths_that_the_file_has() -> None:
    """Those before the cells that were told of, whatever sizes; none where other cells begin, or one was not kept."""
    for most, found in ((100, [7, 300]), (13, [])):
        bones = Bones(np.array([20, 31, 400]), np.array([7, 301, 1]), most=most)
        for at, data in ((10, b"header\7\0\0\0"), (27, b"\x2c\1\0\0"), (332, b"more\1\0\0\0")):
            bones.take(at, [memoryview(data)[:5], memoryview(data)[5:]], cell=True)
        assert bones.lengths(16, 332, 2).tolist() == found
        assert bones.lengths(16, 332, 3).tolist() == []
        assert bones.lengths(17, 332, 2).tolist() == []


def test_the_digest_that_a_far_store_does_not_know_is_taken(good: Path, tmp_path: Path) -> None:
    """A small file is read and hashed, as in a folder: a changed card is found."""
    out = Path(shutil.copytree(good, tmp_path / "out"))
    card = (out / manifest.CARD).read_bytes()
    (out / manifest.CARD).write_bytes(card.replace(b"e", b"E"))
    assert sha256(card).hexdigest() in (out / manifest.PATH).read_text()
    found = FarFolder(out).verify(tmp_path / "work").problems
    assert [(one.code, one.place) for one in found] == [("file-sha256", manifest.CARD)]
