"""A shard on this machine as memory: it hands out the file itself, and finds the cells of whoever wrote it."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Sequence
from pathlib import Path

import datasets
import duckdb
import numpy as np
import polars
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests import shard_cases as cases

from sealift.errors import IntegrityError, SourceMissing
from sealift.formats import parquet

ROWS = [cases.sample(number) for number in range(40)]
ONE = [None if number % 5 == 2 else cases.content(str(number), number * 40) for number in range(60)]
MANY = [[None, [], [None, one], [one, b"", None], [one or b"x"] * 3][number % 5] for number, one in enumerate(ONE)]
TABLE = pa.table(
    {
        "one": pa.array(ONE, pa.binary()),
        "many": pa.array(MANY, pa.list_(pa.binary())),
        "all": pa.array([one or b"?" for one in ONE], pa.binary()),
    },
    schema=pa.schema(
        [
            ("one", pa.binary()),
            ("many", pa.list_(pa.binary())),
            pa.field("all", pa.binary(), nullable=False),
        ]
    ),
)


def by_pyarrow(path: Path) -> None:
    """Pages of the second version, some 2 KB each, with statistics and checksums."""
    options = {"data_page_version": "2.0", "data_page_size": 2000, "write_batch_size": 7, "write_page_checksum": True}
    pq.write_table(TABLE, path, compression="none", use_dictionary=False, row_group_size=25, **options)


def by_duckdb(path: Path) -> None:
    """Without dictionaries, which it makes of few values."""
    with duckdb.connect() as database:
        database.register("t", TABLE)
        options = "FORMAT parquet, COMPRESSION uncompressed, DICTIONARY_SIZE_LIMIT 0"
        database.execute(f"COPY t TO '{path}' ({options})")


def by_polars(path: Path) -> None:
    """With its own writer, pages of about 1 KB; single cells go into dictionaries."""
    frame = polars.from_arrow(TABLE)
    assert isinstance(frame, polars.DataFrame)
    frame.write_parquet(path, compression="uncompressed", data_page_size=1000, row_group_size=30)


LEAVES = ("one", "many.list.element", "all")


@pytest.mark.parametrize(
    ("write", "leaves"), [(by_pyarrow, LEAVES), (by_duckdb, LEAVES), (by_polars, ["many.list.element"])]
)
def test_cells_are_found_in_other_writers_files(
    write: Callable[[Path], None], leaves: Sequence[str], tmp_path: Path
) -> None:
    """Row, element and bytes of every cell: nulls and empty lists left out, lists told apart, required leaves too; the
    same from memory and by range."""
    write(path := tmp_path / "x.parquet")
    wanted = {
        "one": [(row, -1, one) for row, one in enumerate(ONE) if one is not None],
        "many.list.element": [
            (row, at, one) for row, many in enumerate(MANY) for at, one in enumerate(many or ()) if one is not None
        ],
        "all": [(row, -1, one or b"?") for row, one in enumerate(ONE)],
    }
    with parquet.MappedShard(path) as shard:
        for leaf in leaves:
            pages = list(shard.cells(leaf))
            places = [[*zip(page.row, page.element, page.offset, page.length, strict=True)] for page in pages]
            flat = [tuple(map(int, place)) for page in places for place in page]
            assert [(row, element, bytes(shard.cell(at, size))) for row, element, at, size in flat] == wanted[leaf]
            assert [place[1:] for place in cases.places(path.read_bytes(), leaf)] == flat
        for leaf in set(LEAVES) - set(leaves):
            with pytest.raises(IntegrityError, match=f"row group 0, column '{leaf}': its pages have a dictionary"):
                list(shard.cells(leaf))


def test_cells_are_found_in_a_file_of_datasets(tmp_path: Path) -> None:
    """A media feature that `datasets` wrote is plain, and every file in it is one range."""
    files = [None if one is None else {"bytes": one, "path": None} for one in ONE]
    features = datasets.Features({"scan": datasets.Nifti(decode=False)})
    datasets.Dataset.from_dict({"scan": files}, features=features).to_parquet(tmp_path / "x.parquet")
    with parquet.MappedShard(tmp_path / "x.parquet") as shard:
        pages = list(shard.cells("scan.bytes"))
        found = [
            bytes(shard.cell(at, size)) for page in pages for at, size in zip(page.offset, page.length, strict=True)
        ]
    assert found == [one for one in ONE if one is not None]


def test_from_memory_is_as_by_range(tmp_path: Path) -> None:
    """Our own shard gives the same cells, row group by row group, whichever way its pages are walked."""
    data, _ = cases.write([ROWS[:25], ROWS[25:]], page_bytes=700)
    (tmp_path / "x").write_bytes(data)
    with parquet.MappedShard(tmp_path / "x") as shard:
        for column in cases.MEDIA:
            pages = [page for group in (0, 1) for page in shard.cells(column.leaf, [group])]
            found = [
                (page.row_group, *map(int, place))
                for page in pages
                for place in zip(page.row, page.element, page.offset, page.length, strict=True)
            ]
            assert found == cases.places(data, column.leaf)


def test_a_damaged_length_is_found_in_memory(tmp_path: Path) -> None:
    """Whichever byte of a length changes, the chain of the page does not end where it should, be it beyond the file."""
    data, said = cases.write([ROWS], page_bytes=700)
    for at in said[0]["audio"][::7]:
        for byte in range(at - 4, at):
            (tmp_path / "x").write_bytes(data[:byte] + bytes([data[byte] ^ 0x81]) + data[byte + 1 :])
            with parquet.MappedShard(tmp_path / "x") as shard, pytest.raises(IntegrityError, match="row group 0"):
                list(shard.cells("audio.bytes"))


def address(view: memoryview) -> int:
    """Where the bytes lie in this process."""
    return int(np.frombuffer(view, np.uint8).ctypes.data)


def test_a_cell_is_the_map_itself(tmp_path: Path) -> None:
    """Nothing is copied: every view is of the one map, as far from the others as in the file, and cannot be written."""
    (tmp_path / "x").write_bytes(cases.write([ROWS])[0])
    with parquet.MappedShard(tmp_path / "x") as shard:
        start = address(shard.range(0, shard.size))
        for page in shard.cells("audio.bytes"):
            for offset, size in zip(page.offset.tolist(), page.length.tolist(), strict=True):
                cell = shard.cell(offset, size)
                assert isinstance(cell.obj, mmap.mmap)
                assert cell.readonly
                assert size == 0 or address(cell) == start + offset
        assert bytes(shard.range(0, 4)) == b"PAR1"


def test_a_cell_outlives_shard_and_file(tmp_path: Path) -> None:
    """What was handed out can be read when the shard is closed and the file deleted or replaced; then nothing new is
    handed out."""
    data, said = cases.write([ROWS])
    (tmp_path / "x").write_bytes(data)
    with parquet.MappedShard(tmp_path / "x") as shard:
        cell = shard.cell(said[0]["midi"][-1], 100)
    (tmp_path / "y").write_bytes(bytes(len(data)))
    (tmp_path / "y").rename(tmp_path / "x")
    assert cell == data[said[0]["midi"][-1] :][:100]
    with pytest.raises(ValueError, match="not open"):
        shard.cell(0, 4)


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    """A missing file, ranges beyond the end, and files that are no Parquet, empty ones too."""
    with pytest.raises(SourceMissing, match="cannot be read"), parquet.MappedShard(tmp_path / "nothing"):
        pass
    for content in (b"", b"PAR1"):
        (tmp_path / "x").write_bytes(content)
        with parquet.MappedShard(tmp_path / "x") as shard:
            for offset, size in ((0, 5), (-1, 2), (3, -1)):
                with pytest.raises(IntegrityError):
                    shard.cell(offset, size)
            with pytest.raises(IntegrityError):
                _ = shard.footer
