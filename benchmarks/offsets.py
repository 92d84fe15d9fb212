"""How fast the cells of a Parquet file that pyarrow wrote are found: row, element, offset and length of each.

    python benchmarks/offsets.py --root FOLDER [--rounds 5] [--scale 0.1]

Two files: 1,000,000 cells of about 100 bytes, and 60,000 of about 24 KB (1.4 GB). Four ways, interleaved:

    mapped      `MappedShard.cells`: a file on this machine
    by range    `cells`, with a pread for each range: what a store far away is asked
    plain loop  a `struct.unpack_from` for each cell over a mapped file, which is told where each page's cells are
    pyarrow     reads the column, bytes and all, and takes the lengths

CPU seconds of the best round.
"""

from __future__ import annotations

import argparse
import mmap
import os
import struct
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sealift.formats import parquet

LEAF = "audio.bytes"
CORPORA = {"small": (1_000_000, 60, 140), "large": (60_000, 8_000, 40_000)}
"""Cells, and from which length to which."""
GROUP_BYTES = 64 << 20
VALUES_IN_BATCH = {"small": 1024, "large": 40}
"""pyarrow looks at the size of a page after so many values: pages come to 1 and 2 MB."""


def make(name: str, root: Path, scale: float) -> Path:
    """The file of that name, made if it is not there."""
    path = root / f"offsets-{name}-{scale:g}.parquet"
    if path.is_file():
        return path
    cells, least, most = CORPORA[name]
    cells, random = round(cells * scale), np.random.default_rng(4)
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    options = {"compression": "none", "use_dictionary": False, "write_statistics": False}
    part = path.with_suffix(".part")
    in_group = GROUP_BYTES * 2 // (least + most)
    with pq.ParquetWriter(
        part, pa.schema([("audio", kind)]), write_batch_size=VALUES_IN_BATCH[name], **options
    ) as writer:
        for start in range(0, cells, in_group):
            sizes = random.integers(least, most, min(in_group, cells - start))
            ends = np.concatenate(([0], np.cumsum(sizes))).astype(np.int32)
            buffers = [None, pa.py_buffer(ends.tobytes()), pa.py_buffer(random.bytes(int(ends[-1])))]
            column = pa.Array.from_buffers(pa.binary(), len(sizes), buffers)
            paths = pa.array([f"{number}.wav" for number in range(start, start + len(sizes))])
            writer.write(pa.table([pa.StructArray.from_arrays([column, paths], fields=[*kind])], ["audio"]))
    part.rename(path)
    return path


def mapped(path: Path) -> int:
    """All lengths together, found by `MappedShard`."""
    with parquet.MappedShard(path) as shard:
        return sum(int(page.length.sum()) for page in shard.cells(LEAF))


def by_range(path: Path) -> int:
    """All lengths together, found by `cells` from reads of a file."""
    file = os.open(path, os.O_RDONLY)
    try:

        def read(offset: int, length: int) -> bytes:
            return os.pread(file, length, offset)

        footer = parquet.read_footer(read, os.fstat(file).st_size)
        return sum(int(page.length.sum()) for page in parquet.cells(read, footer, LEAF))
    finally:
        os.close(file)


def plain_loop(path: Path) -> int:
    """All lengths together, found in the pages that are known beforehand."""
    total, length = 0, struct.Struct("<I").unpack_from
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        for at, end in pages_of(path):
            found = []
            while at < end:
                (size,) = length(data, at)
                found.append((at + 4, size))
                at += 4 + size
            total += int(np.array(found, np.int64)[:, 1].sum())
    return total


@cache
def pages_of(path: Path) -> list[tuple[int, int]]:
    """Where the cells of each page begin and end."""
    with parquet.MappedShard(path) as shard:
        pages = [(page.offset[[0, -1]], page.length[-1]) for page in shard.cells(LEAF)]
    return [(int(first) - 4, int(last + length)) for (first, last), length in pages]


def by_pyarrow(path: Path) -> int:
    """All lengths together, with the bytes of the column read and copied."""
    with pq.ParquetFile(path, memory_map=True) as file:
        groups = range(file.metadata.num_row_groups)
        columns = (file.read_row_group(group, [LEAF], use_threads=False)["audio"] for group in groups)
        return sum(
            int(np.diff(np.frombuffer(part.field("bytes").buffers()[1], np.int32)).sum())
            for column in columns
            for part in column.chunks
        )


WAYS: dict[str, Callable[[Path], int]] = {
    "mapped": mapped,
    "by range": by_range,
    "plain loop": plain_loop,
    "pyarrow": by_pyarrow,
}


def measure(path: Path, rounds: int) -> dict[str, float]:
    """The least CPU seconds of each way."""
    best: dict[str, float] = {}
    totals = set()
    pages_of(path)
    for _ in range(rounds):
        for name, way in WAYS.items():
            started = time.process_time()
            totals.add(way(path))
            seconds = time.process_time() - started
            best[name] = min(best.get(name, seconds), seconds)
    if len(totals) != 1:
        raise SystemExit(f"{path}: the ways found {sorted(totals)} bytes")
    return best


def main() -> None:
    """Make the files, measure, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0)
    asked = parser.parse_args()
    asked.root.mkdir(parents=True, exist_ok=True)
    print("| cells | way | CPU s | cells a second |\n|---|---|---|---|")
    for name in CORPORA:
        path = make(name, asked.root, asked.scale)
        cells = pq.read_metadata(path).num_rows
        for way, seconds in measure(path, asked.rounds).items():
            print(f"| {cells:,} {name} | {way} | {seconds:.3f} | {cells / seconds:,.0f} |")


if __name__ == "__main__":
    main()
