"""Does content-defined chunking of Parquet pages pay for media? New bytes in a Xet store after an edit, and CPU time.

    python benchmarks/chunking.py [--megabytes 200] [--work FOLDER]

Two tables, with files of 8-40 KB and of 0.2-1.5 MB (noise, which does not compress), and 24 light columns each,
are written as shards of 128 MiB with row groups of 32 MiB in several ways; then 1 % of the rows are edited, and the
shards written anew. Both states go into a Xet store of their own on this machine, one after the other. What the store
grows by the second time is what an edit costs to upload and to keep.

    sealift        our shards: whole rows in pages of up to 1 MiB
    pyarrow        pyarrow's writer, pages of about 1 MiB as well
    pyarrow cdc    the same, with `use_content_defined_chunking`: pages of 256 KiB to 1 MiB cut by content
    light columns  the columns without media alone, in the same row groups, with pyarrow
    light cdc      the same, with content-defined chunking
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import hf_xet  # type: ignore[import-untyped]
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sealift.formats import parquet
from sealift.model.column import MediaColumn

MB = 1_000_000
CORPORA = {"small": (8_000, 40_000), "large": (200_000, 1_500_000)}
"""From which size to which the files are."""
GROUP_BYTES, SHARD_BYTES, PAGE_BYTES = 32 << 20, 128 << 20, 1 << 20
AUDIO = MediaColumn("audio", "audio")
WORDS = ["violin", "piano", "drums", "voice", "flute", "organ", "harp", "bass"]


@dataclass(frozen=True, slots=True)
class Row:
    """A row is its number; one that was edited has another `state`, and with it another file."""

    number: int
    state: int = 0

    def file(self, least: int, most: int) -> bytes:
        """Noise of some size."""
        random = np.random.default_rng([self.number, self.state])
        return random.bytes(int(random.integers(least, most)))

    def light(self) -> dict[str, object]:
        """The columns without media: 4 of text, 20 of floats."""
        random = np.random.default_rng([self.number, 1 << 20])
        text = {"id": f"row-{self.number:07}", "instrument": WORDS[self.number % 8], "licence": "cc-by-4.0"}
        title = " ".join(WORDS[at] for at in random.integers(0, 8, 6))
        return {**text, "title": title, **{f"f{n:02}": float(x) for n, x in enumerate(random.standard_normal(20))}}


Rows = list[Row]
Group = tuple[Rows, list[bytes]]


def inserted(rows: Rows, count: int) -> Rows:
    """New rows in one place, a third of the way."""
    at = len(rows) // 3
    return [*rows[:at], *(Row(10**7 + number) for number in range(count)), *rows[at:]]


def deleted(rows: Rows, count: int) -> Rows:
    """Rows of one place left out."""
    at = len(rows) // 3
    return [*rows[:at], *rows[at + count :]]


def replaced(rows: Rows, count: int) -> Rows:
    """Rows of one place with other files, of other sizes."""
    at = len(rows) // 3
    return [*rows[:at], *(Row(row.number, 1) for row in rows[at : at + count]), *rows[at + count :]]


def scattered(rows: Rows, count: int) -> Rows:
    """Half of the edits are new rows, a quarter are rows less, a quarter other files, all over the table."""
    places = np.sort(np.random.default_rng(5).choice(len(rows), count, replace=False)).tolist()
    kinds = dict(zip(places, "idir" * count, strict=False))
    edited: Rows = []
    for at, row in enumerate(rows):
        kind = kinds.get(at)
        edited += [Row(10**7 + at)] if kind == "i" else []
        edited += [] if kind == "d" else [Row(row.number, 1)] if kind == "r" else [row]
    return edited


EDITS: dict[str, Callable[[Rows, int], Rows]] = {
    "insert": inserted,
    "delete": deleted,
    "replace": replaced,
    "scattered": scattered,
}


def shards(rows: Rows, least: int, most: int) -> Iterator[Iterator[Group]]:
    """The rows cut into shards and row groups, as full as they may be: each shard gives its row groups."""
    left = iter(rows)
    following = next(left, None)

    def groups() -> Iterator[Group]:
        nonlocal following
        written = 0
        while following is not None and written < SHARD_BYTES:
            group, files, held = [], [], 0
            while following is not None and held < GROUP_BYTES:
                group.append(following)
                files.append(following.file(least, most))
                held += len(files[-1])
                following = next(left, None)
            written += held
            yield group, files

    while following is not None:
        yield groups()


def light_table(rows: Rows) -> pa.Table:
    """The columns without media."""
    return pa.Table.from_pylist([row.light() for row in rows])


@dataclass
class Held:
    """A row group's files, as our writer asks for them."""

    files: list[bytes]

    def read_all(self, column: str, first: int, views: list[memoryview]) -> None:
        """Fill each view with a whole file."""
        for cell, view in enumerate(views, first):
            view[:] = self.files[cell]

    def read_into(self, column: str, cell: int, offset: int, view: memoryview) -> None:
        """Fill the view with a part of a file."""
        view[:] = self.files[cell][offset : offset + len(view)]


Seconds = float


def by_sealift(path: Path, groups: Iterator[Group], _mean: int) -> Seconds:
    """Write a shard with our writer."""
    spent = 0.0
    schema = parquet.storage_schema(_references([], []).schema, [AUDIO])
    with path.open("wb") as sink, parquet.ShardWriter(sink, schema, [AUDIO]) as writer:
        for rows, files in groups:
            batch = _references(rows, files)
            started = time.process_time()
            writer.write(batch, Held(files))
            spent += time.process_time() - started
    return spent


def _references(rows: Rows, files: Sequence[bytes]) -> pa.RecordBatch:
    light = light_table(rows or [Row(0)]).slice(0, len(rows))
    said = [{"path": row.light()["id"], "size": len(file)} for row, file in zip(rows, files, strict=True)]
    table = light.append_column("audio", pa.array(said, parquet.reference_type(AUDIO)))
    return pa.RecordBatch.from_arrays([column.combine_chunks() for column in table.columns], schema=table.schema)


def by_pyarrow(path: Path, groups: Iterator[Group], mean: int, *, media: bool = True, cdc: bool = False) -> Seconds:
    """Write a shard with pyarrow's writer; media plain and without statistics, as `datasets` and we have it."""
    spent, writer = 0.0, None
    try:
        for rows, files in groups:
            table = light_table(rows)
            light = table.column_names
            if media:
                names = pa.array(table["id"].to_pylist())
                cells = pa.StructArray.from_arrays([pa.array(files, pa.binary()), names], ["bytes", "path"])
                table = table.append_column("audio", cells)
                light.append("audio.path")
            started = time.process_time()
            writer = writer or pq.ParquetWriter(
                path,
                table.schema,
                compression=dict.fromkeys(light, "zstd") | ({"audio.bytes": "none"} if media else {}),
                use_dictionary=light,
                write_statistics=light,
                write_page_index=True,
                data_page_size=PAGE_BYTES,
                write_batch_size=max(1, PAGE_BYTES // mean) if media else 1024,
                use_content_defined_chunking=cdc,
            )
            writer.write_table(table, row_group_size=len(rows))
            spent += time.process_time() - started
    finally:
        if writer:
            writer.close()
    return spent


def pyarrow_cdc(path: Path, groups: Iterator[Group], mean: int) -> Seconds:
    """With content-defined chunking, as `datasets` has it by default."""
    return by_pyarrow(path, groups, mean, cdc=True)


def light_columns(path: Path, groups: Iterator[Group], mean: int) -> Seconds:
    """Without media."""
    return by_pyarrow(path, groups, mean, media=False)


def light_cdc(path: Path, groups: Iterator[Group], mean: int) -> Seconds:
    """Without media, with content-defined chunking."""
    return by_pyarrow(path, groups, mean, media=False, cdc=True)


WAYS: dict[str, Callable[[Path, Iterator[Group], int], Seconds]] = {
    "sealift": by_sealift,
    "pyarrow": by_pyarrow,
    "pyarrow cdc": pyarrow_cdc,
    "light columns": light_columns,
    "light cdc": light_cdc,
}


def stored(way: str, rows: Rows, corpus: str, work: Path) -> tuple[int, int, Seconds]:
    """Write the rows and put the shards into the store: bytes written, bytes that the store grew by, CPU seconds."""
    least, most = CORPORA[corpus]
    before, written, spent = _held(work / "store"), 0, 0.0
    session = hf_xet.XetSession()
    for groups in shards(rows, least, most):
        shard = work / "shard.parquet"
        spent += WAYS[way](shard, groups, (least + most) // 2)
        written += shard.stat().st_size
        with session.new_upload_commit(endpoint=f"local://{work / 'store'}") as commit:
            commit.start_upload_file(str(shard), sha256=hf_xet.SKIP_SHA256)
        shard.unlink()
    return written, _held(work / "store") - before, spent


def _held(store: Path) -> int:
    """The bytes of the blocks of chunks, without the store's own tables."""
    return sum(file.stat().st_size for file in (store / "xet" / "xorbs" / "xorbs").rglob("*") if file.is_file())


def one(way: str, corpus: str, edit: str, megabytes: int, work: Path) -> dict[str, float]:
    """What one way of writing makes of one edit; in a process of its own, since hf_xet remembers what it has sent."""
    least, most = CORPORA[corpus]
    rows = [Row(number) for number in range(megabytes * MB * 2 // (least + most))]
    written, first, seconds = stored(way, rows, corpus, work)
    edited = EDITS[edit](rows, max(2, len(rows) // 100))
    new_files = set(edited) - set(rows)
    _, new, again = stored(way, edited, corpus, work)
    least_new = sum(len(row.file(least, most)) for row in new_files)
    return {"written": written, "first": first, "edit": least_new, "new": new, "seconds": min(seconds, again)}


def apart(*words: str) -> dict[str, float]:
    """The same in a child process, with a cache of Xet's own."""
    with tempfile.TemporaryDirectory(dir=words[-1] or None) as work:
        env = os.environ | {"HF_XET_CACHE": f"{work}/cache", "HF_XET_TELEMETRY_ENABLED": "0"}
        command = [sys.executable, "-m", "benchmarks.chunking", "--one", *words[:-1], work]
        done = subprocess.run(command, env=env, check=True, capture_output=True, text=True)
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def main() -> None:
    """Measure each way with each edit, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--work", type=Path)
    parser.add_argument("--one", nargs=5, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        way, corpus, edit, megabytes, work = asked.one
        print(json.dumps(one(way, corpus, edit, int(megabytes), Path(work))))
        return
    print("| files | way | edit | written MB | new files MB | the store grows by MB | CPU s to write |")
    print("|---|---|---|---|---|---|---|")
    for corpus in CORPORA:
        for edit in EDITS:
            for way in WAYS:
                found = apart(way, corpus, edit, str(asked.megabytes), str(asked.work or ""))
                sizes = " | ".join(f"{found[name] / MB:.2f}" for name in ("written", "edit", "new"))
                print(f"| {corpus} | {way} | {edit} | {sizes} | {found['seconds']:.2f} |", flush=True)


if __name__ == "__main__":
    main()
