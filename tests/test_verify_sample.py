"""Verify in pieces: cells drawn at random, and the parts of `full` that a rotation goes through."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.command import answer, run
from tests.far_store import FarFolder

import sealift
from sealift.errors import RequestError, SealiftError, SourceMissing
from sealift.formats.index import INDEX as INDEX_SCHEMA
from sealift.formats.index import write_index
from sealift.model import manifest
from sealift.model.event import Advanced, Event, Started
from sealift.tools.makers import noise
from sealift.verify import Extent, Verified, verify
from sealift.verify.extent import elsewhere, extent_of, part_of
from sealift.verify.opened import TAIL
from sealift.verify.published import Published
from sealift.verify.sample import drawn

ROWS, CELLS = 40, 96
SPEC = """\
from: .
tables: {takes: takes.parquet}
rows: SELECT * FROM takes ORDER BY id
key: id
media: {sound: binary, parts: [binary]}
split: {column: split}
configs: {takes: {default: true}, words: {drop: [sound, parts]}}
shards: {max_bytes: 60kB, row_group_rows: 4}
also: {tables/: [takes.parquet]}
"""
INDEX = ".sealift/index/takes-00000-of-00001.parquet"


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two configs, one with 96 files of up to 5 KB in several shards; the index in row groups of 10 records."""
    folder = tmp_path_factory.mktemp("good")
    (folder / "in/files").mkdir(parents=True)
    rows: list[dict[str, Any]] = []
    for number in range(ROWS):
        paths = [f"files/{number}-{place}" for place in range(1 + number % 4)]
        for place, path in enumerate(paths):
            (folder / "in" / path).write_bytes(noise(path, 1 + (number * 997 + place * 331) % 5_000).tobytes())
        sound = None if number % 10 == 4 else paths[0]
        rows.append({"id": f"take-{number:02}", "sound": sound, "parts": paths[1:], "split": "ab"[number % 2]})
    kinds = [("id", pa.string()), ("sound", pa.string()), ("parts", pa.list_(pa.string())), ("split", pa.string())]
    pq.write_table(pa.Table.from_pylist(rows, pa.schema(kinds)), folder / "in/takes.parquet")
    (folder / "in/sealift.yaml").write_text(SPEC)
    sealift.publish(folder / "in/sealift.yaml", str(folder / "out"), workers=1)
    index = pq.read_table(folder / "out" / INDEX)
    assert index.num_rows == CELLS
    pq.write_table(index, folder / "out" / INDEX, row_group_size=10)
    mend(folder / "out", INDEX)
    return folder / "out"


@pytest.fixture
def out(good: Path, tmp_path: Path) -> Path:
    """A copy to be damaged."""
    return Path(shutil.copytree(good, tmp_path / "out"))


def mend(out: Path, *paths: str) -> None:
    """Make the manifest say the files' sizes and digests as they are now."""
    said = json.loads((out / manifest.PATH).read_text())
    for one in said["shards"] + said["files"]:
        if one["path"] in paths:
            data = (out / one["path"]).read_bytes()
            one |= {"size": len(data), "sha256": sha256(data).hexdigest()}
    (out / manifest.PATH).write_text(json.dumps(said))


def damage(out: Path, number: int) -> str:
    """Change a byte in the middle of the cell of that record, so that only its own digest tells; its shard."""
    cell = pq.read_table(out / INDEX).slice(number, 1).to_pylist()[0]
    file = out / cell["shard"]
    data = bytearray(file.read_bytes())
    data[cell["offset"] + cell["size"] // 2] ^= 1
    file.write_bytes(data)
    mend(out, cell["shard"])
    return str(cell["shard"])


def codes(verified: Verified) -> list[str]:
    """The codes of what was found."""
    return [one.code for one in verified.problems]


def test_drawn_numbers_are_the_documented_ones() -> None:
    """The same seed draws the same numbers for ever, by a rule that anybody can follow; no number comes twice."""
    assert drawn(7, 5, 1000) == [68, 435, 438, 636, 771]
    assert drawn(-1, 3, 10**12) == sorted(drawn(-1, 3, 10**12))
    assert drawn(7, 5, 5) == drawn(8, 9, 5) == [0, 1, 2, 3, 4]
    assert drawn(7, 5, 0) == []


def test_every_number_is_as_likely_as_any_other() -> None:
    """Of many samples, each number is in about as many, and in those where another is as often as by chance."""
    samples = [drawn(seed, 10, 40) for seed in range(2000)]
    assert all(len({*one}) == 10 for one in samples)
    times = Counter(number for one in samples for number in one)
    assert all(430 <= times[number] <= 570 for number in range(40))
    assert 80 <= sum(3 in one and 4 in one for one in samples) <= 150


@pytest.mark.parametrize("number", [0, 41, CELLS - 1])
def test_a_sample_of_all_finds_any_damaged_cell(number: int, out: Path) -> None:
    """A cell with other bytes is found if it is drawn, under the code and at the place that `full` has for it."""
    shard = damage(out, number)
    [sampled] = sealift.verify(out, "sample", cells=CELLS).problems
    [whole] = sealift.verify(out).problems
    assert sampled.code == whole.code == "cell-digest"
    assert whole.place.startswith(sampled.place)
    assert shard in sampled.place


def test_a_sample_finds_what_it_draws(out: Path) -> None:
    """The damaged cell is a problem of exactly those samples that have its number."""
    damage(out, 41)
    for seed in range(12):
        found = sealift.verify(out, "sample", cells=20, seed=seed)
        assert codes(found) == (["cell-digest"] if 41 in drawn(seed, 20, CELLS) else [])
        assert found.checked["cells"] == 20 - len(found.problems)


def test_a_sample_reads_what_it_draws_and_little_else(good: Path, tmp_path: Path) -> None:
    """Of the media, only the cells that are drawn, each with its length, in a read of its own; of the index, only the
    row groups that they are in; the same seed reads the same again, and another one other cells."""
    index = pq.read_table(good / INDEX).to_pylist()
    groups = pq.read_metadata(good / INDEX)
    reads = []
    for seed in (5, 5, 6):
        far = FarFolder(good)
        verified = verify(Published(far), tmp_path, Extent("sample", 4, seed))
        assert verified.proven
        picks = drawn(seed, 4, CELLS)
        cells = {(index[n]["shard"], index[n]["offset"] - 4, index[n]["offset"] + index[n]["size"]) for n in picks}
        assert cells <= {*far.reads}
        reads.append(cells)
        begins = {groups.row_group(n // 10).column(0).dictionary_page_offset for n in picks}
        ends = {groups.row_group(n).column(0).dictionary_page_offset for n in range(groups.num_row_groups)} - begins
        assert verified.checked["cells"] == 4
        assert not {start for path, start, _ in far.reads if path == INDEX} & ends
    assert reads[0] == reads[1] != reads[2]


def test_a_sample_says_its_seed_and_what_it_cost(good: Path) -> None:
    """Without a seed each run draws other cells, and says by which seed; the cost is said as a share, too."""
    first, second = (answer("verify", good, "--level", "sample", "--cells", 9) for _ in range(2))
    assert first["seed"] != second["seed"]
    assert (first["level"], first["cells"], first["checked"]["cells"]) == ("sample", 9, 9)
    assert first["share"] == first["bytes_read"] / first["bytes"]
    again = sealift.verify(good, "sample", cells=9, seed=first["seed"])
    assert (again.bytes_read, again.requests) == (first["bytes_read"], first["requests"])
    said = run("verify", good, "--level", "sample", "--seed", 3).stderr
    assert "proven (sample of 300, seed 3): " in said
    assert f"{CELLS} cells" in said
    assert " % of the dataset) read" in said


def test_the_documented_shares_hold(tmp_path: Path) -> None:
    """With cells of 100 KB and shards of 500 MB, the ends of the shards are less than 0.02 % of the dataset, and less
    than 0.1 % together with the index, keys and paths as people have them."""
    dice, count, size = np.random.default_rng(1), 65_536, 100_000
    place = np.arange(count)
    records = {
        "key": [f"recording-{number:07}" for number in place],
        "config": ["default"] * count,
        "split": ["train"] * count,
        "shard": [f"data/train-{number // 5000:05}-of-00014.parquet" for number in place],
        "row": place % 5000,
        "column": ["audio"] * count,
        "element": pa.nulls(count, pa.int32()),
        "path": [f"audio/{number // 1000:03}/{number:06}.wav" for number in place],
        "size": dice.integers(size - 5000, size + 5000, count),
        "offset": np.cumsum(dice.integers(size - 5000, size + 5000, count)) % 500_000_000,
        "digest": pa.array([dice.bytes(32) for _ in place], pa.binary(32)),
    }
    with open(tmp_path / "index.parquet", "wb") as sink:
        write_index(sink, iter([pa.table(records, schema=INDEX_SCHEMA)]))
    dataset, footers = count * size, count * size / 500e6 * (TAIL + 4)
    assert footers < 0.0002 * dataset
    assert footers + (tmp_path / "index.parquet").stat().st_size < 0.001 * dataset


def test_a_sample_counts_the_records(out: Path) -> None:
    """An index with fewer or more records than the manifest says cells is no ground to draw from."""
    pq.write_table(pq.read_table(out / INDEX).slice(1), out / INDEX)
    mend(out, INDEX)
    found = sealift.verify(out, "sample").problems
    assert [(one.code, one.place) for one in found] == [("index-cells", "takes")]


@pytest.mark.parametrize("error", [SourceMissing("404"), SealiftError("?")])
def test_a_shard_that_is_not_delivered_is_named_once(error: SealiftError, good: Path, tmp_path: Path) -> None:
    """What cannot be had is one problem, however many of its cells are drawn; the others are proven."""
    index = pq.read_table(good / INDEX)["shard"].to_pylist()
    far = FarFolder(good, broken={index[0]: SourceMissing("404")})
    verified = verify(Published(far), tmp_path, extent_of("sample", CELLS))
    assert [(one.code, one.place) for one in verified.problems] == [("file-unreadable", index[0])]
    assert verified.checked["cells"] == CELLS - index.count(index[0])


def test_progress_of_a_sample_counts_cells(good: Path) -> None:
    """The number of cells is promised, and reached."""
    events: list[Event] = []
    sealift.verify(good, "sample", cells=10, on_event=events.append)
    started = [one for one in events if isinstance(one, Started)]
    assert [(one.stage, one.files) for one in started][1:] == [("sample", 10)]
    assert sum(one.files for one in events if isinstance(one, Advanced) and one.stage == "sample") == 10


@pytest.mark.parametrize("parts", [1, 3, 9])
def test_all_parts_together_are_full(parts: int, good: Path, tmp_path: Path) -> None:
    """Every cell is proven in exactly one part, every file of a folder at least in one, and rows in each."""
    cells = 0
    for number in range(1, parts + 1):
        far = FarFolder(good)
        verified = verify(Published(far), tmp_path, Extent(part=(number, parts)))
        assert verified.proven, verified.problems
        assert (verified.checked["rows"], verified.checked["files"]) == (2 * ROWS, len(_files(good)))
        cells += verified.checked["cells"]
    assert cells == CELLS


def _files(out: Path) -> list[Path]:
    return [path for path in out.rglob("*") if path.is_file() and path.name != "manifest.json"]


def test_a_folder_is_hashed_once_over_all_parts(out: Path) -> None:
    """A shard or table with other bytes is found by one part alone; card and index by each."""
    cell = pq.read_table(out / INDEX).slice(41, 1).to_pylist()[0]
    for path, at in ((cell["shard"], cell["offset"]), ("tables/takes.parquet", 30), (manifest.CARD, 30)):
        data = bytearray((out / path).read_bytes())
        data[at] ^= 1
        (out / path).write_bytes(data)
    found = [[one.place for one in sealift.verify(out, part=(number, 3)).problems] for number in (1, 2, 3)]
    times = Counter(place for one in found for place in one)
    assert times == {cell["shard"]: 1, "tables/takes.parquet": 1, manifest.CARD: 3}


def test_a_damaged_cell_is_found_by_its_part(out: Path) -> None:
    """What only the media tell, the part tells that its shard is in."""
    damage(out, 41)
    assert sorted(codes(sealift.verify(out, part=(number, 4))) for number in (1, 2, 3, 4)) == [[]] * 3 + [
        ["cell-digest"]
    ]


def test_parts_are_even_and_the_same_everywhere() -> None:
    """Each file is in one part; two parts differ by no more than the largest file; in whatever order they come."""
    sizes = {f"{number}.parquet": number * 7919 % 1000 for number in range(100)}
    for parts in (1, 2, 3, 12, 99):
        mine = [sizes.keys() - elsewhere(sizes, (number, parts)) for number in range(1, parts + 1)]
        assert sorted(path for one in mine for path in one) == sorted(sizes)
        totals = [sum(sizes[path] for path in one) for one in mine]
        assert max(totals) - min(totals) <= max(sizes.values())
        turned = dict(reversed(sizes.items()))
        assert mine == [turned.keys() - elsewhere(turned, (number, parts)) for number in range(1, parts + 1)]


@pytest.mark.parametrize(
    "said",
    [
        {"level": "deep"},
        {"level": "rows", "cells": 3},
        {"seed": 3},
        {"level": "sample", "cells": 0},
        {"level": "sample", "part": (1, 2)},
        {"level": "tree", "part": (1, 2)},
        {"part": (0, 2)},
        {"part": (3, 2)},
    ],
)
def test_what_contradicts_itself_is_refused(said: dict[str, Any], tmp_path: Path) -> None:
    """A number of cells goes with a sample, a part with full, before anything is read."""
    with pytest.raises(RequestError):
        sealift.verify(tmp_path, **said)


def test_a_part_is_said_in_a_word() -> None:
    """`3/12`, and nothing that only looks like it."""
    assert part_of("3/12") == (3, 12)
    for text in ("3", "0/4", "5/4", "3/", "a/b", "3/12/1", "-1/4", "1/999999"):
        with pytest.raises(RequestError):
            part_of(text)
    assert answer("verify", ".", "--part", "5/4", exit_code=2)["error"] == "RequestError"
