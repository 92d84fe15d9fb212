"""The index: one record a media cell, whose range in the shard is the file, exactly."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import blake3
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.albums import albums, manifest_of, publish_albums, tracks
from tests.far_store import FarFolder

import sealift
from sealift.formats.index import (
    FILE_GROUPS,
    GROUP_ROWS,
    INDEX,
    cells_of,
    index_chunks,
    index_paths,
    write_index,
)
from sealift.formats.measured import Measured
from sealift.formats.rowfile import REFERENCE
from sealift.model import manifest
from sealift.model.column import MediaColumn
from sealift.model.entry import Entry
from sealift.model.receipt import INDEX_COLUMNS


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return albums(tmp_path_factory.mktemp("albums"))


@pytest.fixture(scope="module")
def out(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published") / "out"
    publish_albums(source, folder, workers=1)
    return folder


@pytest.fixture(scope="module")
def records(out: Path) -> dict[str, list[dict[str, object]]]:
    """The records of each config that has media."""
    return {
        name: pq.read_table(out / f".sealift/index/{name}-00000-of-00001.parquet").to_pylist()
        for name in ("full", "scores")
    }


def test_the_schema_is_fixed(out: Path) -> None:
    """Names, order and types of the columns are those that are documented: readers rely on them."""
    kinds = ["string", "string", "string", "string", "int64", "string", "int32", "string", "int64", "int64"]
    expected = [*zip(INDEX_COLUMNS, [*kinds, "fixed_size_binary[32]"], strict=True)]
    assert [(field.name, str(field.type)) for field in INDEX] == expected
    for file in (out / ".sealift" / "index").iterdir():
        assert pq.read_schema(file).remove_metadata() == INDEX


def test_every_range_is_the_file(source: Path, out: Path, records: dict[str, list[dict[str, object]]]) -> None:
    """`shard[offset : offset + size]` is the file at `path`, and `digest` its BLAKE3: single cells, lists, and beyond
    the first row group."""
    shards = {shard.path: (out / shard.path).read_bytes() for shard in manifest_of(out).shards}
    for cells in records.values():
        for cell in cells:
            offset, size = int(str(cell["offset"])), int(str(cell["size"]))
            data = (source / str(cell["path"])).read_bytes()
            assert shards[str(cell["shard"])][offset : offset + size] == data
            assert cell["digest"] == blake3.blake3(data).digest()


def test_a_cell_takes_one_read(source: Path, out: Path, records: dict[str, list[dict[str, object]]]) -> None:
    """Who has the record of a cell reads it with one range of the shard, and needs neither footer nor pages."""
    far = FarFolder(out)
    sizes = {shard.path: shard.size for shard in manifest_of(out).shards}
    for cell in records["full"]:
        held = bytearray(int(str(cell["size"])))
        entry = Entry(str(cell["shard"]), sizes[str(cell["shard"])])
        far.read_into(entry, int(str(cell["offset"])), memoryview(held))
        assert held == (source / str(cell["path"])).read_bytes()
    assert len(far.reads) == len(records["full"])


@pytest.mark.parametrize("name", ["row", "element", "offset", "size"])
def test_no_number_of_a_record_changes_unseen(name: str, out: Path, tmp_path: Path) -> None:
    """Whichever record says another row, element, offset or size than the pages of its shard, `verify` finds it."""
    folder = Path(shutil.copytree(out, tmp_path / "out"))
    index = ".sealift/index/full-00000-of-00001.parquet"
    records = pq.read_table(folder / index)
    values = records[name].to_pylist()
    for at in (0, len(values) // 2, len(values) - 1):
        changed = [*values[:at], (values[at] or 0) + 1, *values[at + 1 :]]
        array = pa.array(changed, INDEX.field(name).type)
        pq.write_table(records.set_column(INDEX.get_field_index(name), INDEX.field(name), array), folder / index)
        mend(folder, index)
        problems = sealift.verify(folder).problems
        assert {one.code for one in problems} <= {"cell-place", "index-key", "index-row", "index-cells", "index-bytes"}
        assert {one.place.split()[0] for one in problems} == {records["shard"][at].as_py()}


def mend(folder: Path, path: str) -> None:
    """Make the manifest say a file's size and digest as they are now."""
    said = json.loads((folder / manifest.PATH).read_text())
    data = (folder / path).read_bytes()
    for one in said["files"]:
        if one["path"] == path:
            one |= {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    (folder / manifest.PATH).write_text(json.dumps(said))


def test_every_cell_has_its_record(source: Path, out: Path, records: dict[str, list[dict[str, object]]]) -> None:
    """Key, split, column, element and path of the records are those of the rows; a null and an empty list have none."""
    expected = set()
    for row in tracks(source):
        single = {(row["id"], row["split"], name, None, row[name]) for name in ("sound", "score") if row[name]}
        pages = {(row["id"], row["split"], "pages", number, page) for number, page in enumerate(row["pages"] or ())}
        expected |= single | pages
    for config, wanted in (("full", expected), ("scores", {cell for cell in expected if cell[2] == "score"})):
        found = [
            tuple(cell[name] for name in ("key", "split", "column", "element", "path")) for cell in records[config]
        ]
        assert len(found) == len(set(found))
        assert set(found) == wanted
        assert {cell["config"] for cell in records[config]} == {config}


def test_rows_are_numbered_within_the_shard(out: Path, records: dict[str, list[dict[str, object]]]) -> None:
    """`row` of the shard is the row with that key."""
    keys = {shard.path: pq.read_table(out / shard.path)["id"].to_pylist() for shard in manifest_of(out).shards}
    for cells in records.values():
        for cell in cells:
            assert keys[str(cell["shard"])][int(str(cell["row"]))] == cell["key"]


def test_records_are_ordered_as_the_cells_lie(out: Path, records: dict[str, list[dict[str, object]]]) -> None:
    """Shard after shard as in the manifest, and within a shard by offset: a reader merges ranges without sorting."""
    order = {shard.path: number for number, shard in enumerate(manifest_of(out).shards)}
    for cells in records.values():
        places = [(order[str(cell["shard"])], int(str(cell["offset"]))) for cell in cells]
        assert places == sorted(places)


def test_the_order_of_columns_is_the_query_s(tmp_path: Path) -> None:
    """However `media:` lists them, cells are indexed as the columns lie in the shard."""
    media = {"score": "midi", "pages": ["image"], "sound": "audio"}
    publish_albums(albums(tmp_path / "source", media=media), tmp_path / "out", workers=1)
    cells = pq.read_table(tmp_path / "out/.sealift/index/full-00000-of-00001.parquet").to_pylist()
    first = cells[0]["shard"]
    offsets = [cell["offset"] for cell in cells if cell["shard"] == first]
    assert offsets == sorted(offsets)


def test_a_row_without_a_key_has_its_number(tmp_path: Path) -> None:
    """Without `key:` the key is config, split and number, unique in the whole index."""
    publish_albums(albums(tmp_path / "source", key=None), tmp_path / "out", workers=1)
    cells = pq.read_table(tmp_path / "out/.sealift/index/scores-00000-of-00001.parquet").to_pylist()
    assert (cells[0]["key"], cells[-1]["key"].rpartition("/")[0]) == ("scores/train/0", "scores/test")
    assert len({cell["key"] for cell in cells}) == len(cells)


def test_cells_of_bytes_nobody_has_do_not_break_it() -> None:
    """References of no bytes, which a plan rejects, are cells like others: they keep their place and number."""
    column = MediaColumn("x", "binary", many=True, boxed=False)
    file, empty = {"path": "a", "size": 3, "version": None}, {"path": "b", "size": 0, "version": None}
    array = pa.array([[file, None, empty], None, [], [empty]], pa.list_(REFERENCE))
    cells = cells_of(array, column)
    assert len(cells) == 3
    assert cells.rows.tolist() == [0, 0, 3]
    assert cells.elements is not None
    assert cells.elements.tolist() == [0, 2, 0]
    assert [(entry.path, entry.size) for entry in cells.entries()] == [("a", 3), ("b", 0), ("b", 0)]


@pytest.mark.parametrize(
    ("count", "files"), [(0, 0), (1, 1), (FILE_GROUPS * GROUP_ROWS, 1), (FILE_GROUPS * GROUP_ROWS + 1, 2)]
)
def test_index_files_hold_so_many_records(count: int, files: int) -> None:
    """A config without media has no index; with millions of cells it has several files, numbered like shards."""
    names = [f".sealift/index/x-{number:05d}-of-{files:05d}.parquet" for number in range(files)]
    assert index_paths("x", count) == names


def test_parts_are_cut_anew(tmp_path: Path) -> None:
    """However the records were divided over shards, chunks hold the same number, and each file of the index the same
    number of chunks: so the same records give the same bytes."""
    counts = [1, GROUP_ROWS - 1, 7, 2 * GROUP_ROWS + 5, 0, 30]
    together = made_up(sum(counts))
    parts, start = [], 0
    for number, count in enumerate(counts):
        parts.append(tmp_path / f"{number}.parquet")
        pq.write_table(together.slice(start, count), parts[-1], row_group_size=10_000)
        start += count
    whole = tmp_path / "whole.parquet"
    pq.write_table(together, whole)
    chunks = list(index_chunks(parts))
    assert [chunk.num_rows for chunk in chunks] == [GROUP_ROWS] * 3 + [sum(counts) - 3 * GROUP_ROWS]
    assert pa.concat_tables(chunks).equals(together)
    assert written(iter(chunks)) == written(index_chunks([whole]))


def test_a_file_takes_no_more_than_its_share() -> None:
    """`write_index` takes so many chunks and leaves the rest for the next file."""
    chunks = iter([made_up(1)] * (FILE_GROUPS + 2))
    assert pq.read_metadata(io.BytesIO(written(chunks))).num_rows == FILE_GROUPS
    assert pq.read_metadata(io.BytesIO(written(chunks))).num_rows == 2


def test_it_is_small_beside_the_data() -> None:
    """With paths and keys as people have them a record takes less than 100 bytes: a thousandth of 100 KB."""
    assert len(written(iter([made_up(20_000)]))) < 100 * 20_000


def written(chunks: Iterator[pa.Table]) -> bytes:
    held = io.BytesIO()
    write_index(Measured(held), chunks)
    return held.getvalue()


def made_up(count: int) -> pa.Table:
    """Records as a dataset of recordings has them."""
    rng = np.random.default_rng(7)
    number = np.arange(count)
    sizes = rng.integers(20_000, 200_000, count)
    key = [f"{n // 50:05x}-{n % 50:02d}-{n * 2654435761 % 2**32:08x}" for n in range(count)]
    path = [f"recordings/session-{n // 500:04d}/speaker-{n // 50:05x}/{one}.flac" for n, one in enumerate(key)]
    columns = {
        "key": key,
        "config": ["default"] * count,
        "split": ["train"] * count,
        "shard": [f"data/train-{n // 5000:05d}-of-00123.parquet" for n in range(count)],
        "row": number % 5000,
        "column": ["audio"] * count,
        "element": pa.nulls(count, pa.int32()),
        "path": path,
        "size": sizes,
        "offset": np.cumsum(sizes),
        "digest": pa.array([rng.bytes(32) for _ in range(count)], pa.binary(32)),
    }
    return pa.table({name: pa.array(values, INDEX.field(name).type) for name, values in columns.items()}, schema=INDEX)
