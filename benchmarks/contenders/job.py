"""What every contender is asked to do, and how it is checked."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

MEDIA = "audio"
"""The column of paths in the table."""
BYTES = "bytes"
"""The column of media bytes, in formats that know no struct of both."""
Light = dict[str, Any]
Sample = tuple[Light, bytes | None]
"""A row that was read back: its text, floats and path, and the bytes of its file."""


@dataclass(frozen=True)
class Job:
    """A corpus, the folder for its shards, how many workers may work, and how many bytes a shard is to have."""

    corpus: Path
    out: Path
    workers: int
    target: int

    @cached_property
    def table(self) -> pa.Table:
        """The corpus's table, in its order."""
        return pq.read_table(self.corpus / "rows.parquet", use_threads=False)

    @cached_property
    def paths(self) -> list[str | None]:
        """Where each row's file lies, below the corpus."""
        paths: list[str | None] = self.table[MEDIA].to_pylist()
        return paths

    @cached_property
    def sizes(self) -> list[int]:
        """The bytes of each row's file; 0 where there is none."""
        return [0 if path is None else os.stat(f"{self.corpus}/{path}").st_size for path in self.paths]

    def media(self, row: int) -> bytes | None:
        """The bytes of a row's file."""
        path = self.paths[row]
        if path is None:
            return None
        with open(f"{self.corpus}/{path}", "rb", buffering=0) as file:
            return file.read()

    def batches(self, most: int, rows: range | None = None) -> Iterator[range]:
        """Rows in their order, as many together as have that many bytes of media, at least one."""
        asked = range(len(self.paths)) if rows is None else rows
        start, held = asked.start, 0
        for row in asked:
            if held and held + self.sizes[row] > most:
                yield range(start, row)
                start, held = row, 0
            held += self.sizes[row]
        if start < asked.stop:
            yield range(start, asked.stop)

    def parts(self) -> list[range]:
        """The rows in as many runs as there are workers, of about the same bytes."""
        total, edges, held = sum(self.sizes), [0], 0
        for row, size in enumerate(self.sizes):
            if len(edges) < self.workers and held >= total * len(edges) / self.workers:
                edges.append(row)
            held += size
        return [range(start, stop) for start, stop in pairwise([*edges, len(self.sizes)])]

    def each_part(self, work: Callable[[int, range], Any]) -> list[Any]:
        """Do the work on each run of rows: here for one worker, else in forked processes. For tools without workers."""
        parts = list(enumerate(self.parts()))
        if len(parts) == 1:
            return [work(*parts[0])]
        global _WORK
        _WORK = work
        with multiprocessing.get_context("fork").Pool(len(parts)) as pool:
            return pool.starmap(_work, parts, chunksize=1)


_WORK: Callable[[int, range], Any] | None = None


def _work(number: int, rows: range) -> Any:
    assert _WORK is not None
    return _WORK(number, rows)


def main(write: Callable[[Job], None] | None, read: Callable[[Job], Iterator[Sample]]) -> None:
    """Write the shards, or read them and print as JSON what they hold. Who is a command of its own has no `write`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("verb", choices=["write", "read"])
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--workers", type=int, required=True)
    parser.add_argument("--target", type=int, required=True)
    asked = parser.parse_args()
    job = Job(asked.corpus, asked.out, asked.workers, asked.target)
    if asked.verb == "read":
        print(json.dumps(held_against(job, read(job))))
    elif write is None:
        parser.error("this contender is a command of its own")
    else:
        write(job)


def held_against(job: Job, samples: Iterator[Sample]) -> dict[str, Any]:
    """Compare every row and byte with the corpus: how many there are, whether in order, and the first mistakes."""
    expected = {light["id"]: (row, light) for row, light in enumerate(job.table.to_pylist())}
    wrong: list[str] = []
    before, ordered, count, nbytes = -1, True, 0, 0
    for light, media in samples:
        count += 1
        nbytes += len(media or b"")
        row, should = expected.pop(light["id"], (-1, {}))
        if light != should:
            wrong.append(f"row {light['id']}: {_difference(light, should)}")
        elif media != job.media(row):
            wrong.append(f"row {light['id']}: other bytes than {should[MEDIA]}")
        ordered &= row > before
        before = row
    if expected:
        wrong.append(f"{len(expected)} rows are not there, the first {next(iter(expected))}")
    return {"rows": count, "bytes": nbytes, "ordered": ordered, "wrong": wrong[:3]}


def _difference(light: Light, should: Light) -> str:
    if not should:
        return "unknown, or there twice"
    names = [name for name in {**should, **light} if light.get(name) != should.get(name)]
    return f"{names[0]} is {light.get(names[0])!r}, not {should.get(names[0])!r}"


def parquet_samples(files: Sequence[Path]) -> Iterator[Sample]:
    """The rows of Parquet files: media as a struct of bytes and path, or bytes and path in columns of their own."""
    for file in sorted(files):
        for batch in pq.ParquetFile(file).iter_batches(batch_size=16, use_threads=False):
            for row in batch.to_pylist():
                if BYTES in row:
                    media = row.pop(BYTES)
                else:
                    cell = row[MEDIA] or {"path": None, "bytes": None}
                    row[MEDIA], media = cell["path"], cell["bytes"]
                yield row, media
