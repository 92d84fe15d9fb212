"""A plan's memory: bounded whatever the number of rows, read from /proc by another process."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.planning import plan_of, put

import sealift

ROWS = 200_000
SPEC = """
from: .
listing: listing.parquet
tables: {rows: rows.parquet}
rows: SELECT * FROM rows ORDER BY id
key: id
split: {train: 0.9, test: 0.1, by: speaker}
media: {audio: audio, midi: midi, image: image}
"""
PROGRAM = """
import json, sys
import sealift
if __name__ == "__main__":
    said = sealift.plan(sys.argv[1], memory=int(sys.argv[2]), workers=1)
    print(json.dumps({"rows": sum(s["rows"] for s in said["configs"][0]["splits"]), "problems": said["problems"]}))
"""


def resident(process: int) -> dict[str, int]:
    """What the process and its children hold, in bytes: anonymous and shared memory, and all that is resident."""
    found = {"anonymous": 0, "resident": 0}
    for task in [process, *children(process)]:
        try:
            lines = Path(f"/proc/{task}/status").read_text().splitlines()
        except OSError:
            continue
        sizes = {
            name: int(rest.split()[0]) * 1024
            for name, _, rest in (line.partition(":") for line in lines)
            if "kB" in rest
        }
        found["anonymous"] += sizes.get("RssAnon", 0) + sizes.get("RssShmem", 0)
        found["resident"] += sizes.get("VmRSS", 0)
    return found


def children(process: int) -> list[int]:
    try:
        direct = [int(one) for one in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    except OSError:
        return []
    return [inner for child in direct for inner in (child, *children(child))]


def peak(command: list[str]) -> tuple[dict[str, int], str]:
    """Run a program; the most that it and its children held at once, and what it printed."""
    most = {"anonymous": 0, "resident": 0}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        done = threading.Event()

        def watch() -> None:
            while not done.wait(0.005):
                for name, size in resident(process.pid).items():
                    most[name] = max(most[name], size)

        watcher = threading.Thread(target=watch)
        watcher.start()
        out, err = process.communicate()
        done.set()
        watcher.join()
        assert process.returncode == 0, err
    return most, out


def corpus(folder: Path, rows: int) -> Path:
    """A listing and a table of rows with three media columns each; there is no file behind them."""
    put(folder, {"sealift.yaml": SPEC.encode()})
    paths = {kind: f"printf('{kind}/%04d/%08d.bin', i // 1000, i)" for kind in ("audio", "midi", "image")}
    with duckdb.connect() as con:
        con.execute(
            f"COPY (SELECT printf('%08d', i) AS id, {', '.join(f'{sql} AS {kind}' for kind, sql in paths.items())}, "
            f"hash(i) % 2000 AS speaker, 'text ' || i AS text FROM range({rows}) t(i)) TO '{folder}/rows.parquet'"
        )
        listed = " UNION ALL ".join(
            f"SELECT {sql} AS path, 1000 + i % 999 AS size FROM range({rows}) t(i)" for sql in paths.values()
        )
        con.execute(f"COPY ({listed}) TO '{folder}/listing.parquet'")
    return folder / "sealift.yaml"


def test_a_plan_of_many_rows_keeps_to_its_memory(tmp_path: Path) -> None:
    """200,000 rows with three media columns, 600,000 entries: the peak stays within `--memory`, a process apart."""
    spec = corpus(tmp_path / "corpus", ROWS)
    most, out = peak([sys.executable, "-c", PROGRAM, str(spec), "400000000"])
    assert json.loads(out) == {"rows": ROWS, "problems": []}
    assert 50_000_000 < most["anonymous"] < 400_000_000
    assert most["resident"] < 700_000_000


@pytest.mark.long
def test_long_text_keeps_to_its_memory(tmp_path: Path) -> None:
    """20,000 rows of 20 KB of text each, 400 MB in all: rows are handled by bytes, not by number.

    Without ORDER BY: DuckDB 2.0 sorts long text in memory alone.
    """
    folder = put(tmp_path / "corpus", {"sealift.yaml": b"tables: {t: t.parquet}\nrows: SELECT * FROM t\nkey: id"})
    with pq.ParquetWriter(folder / "t.parquet", pa.schema([("id", pa.int64()), ("text", pa.string())])) as writer:
        for first in range(0, 20_000, 500):
            numbers = range(first, first + 500)
            writer.write_table(pa.table({"id": list(numbers), "text": [f"{number:06d}" * 3400 for number in numbers]}))
    most, out = peak([sys.executable, "-c", PROGRAM, str(folder / "sealift.yaml"), "500000000"])
    assert json.loads(out)["rows"] == 20_000
    assert most["anonymous"] < 500_000_000


PUBLISH = """
import json, sys
import sealift
if __name__ == "__main__":
    rows, source, out, memory, workers = sys.argv[1:]
    import pyarrow.parquet as pq
    keys = dict(from_=source, media={"m": "binary"}, key="id", shards={"max_bytes": 2_000_000})
    said = sealift.plan(pq.read_table(rows), memory=int(memory), workers=int(workers), **keys)
    print(json.dumps(said["estimate"]))
    sealift.publish(pq.read_table(rows), out, memory=int(memory), workers=int(workers), **keys)
"""


def test_estimates_are_upper_bounds(tmp_path: Path) -> None:
    """What the plan says of memory and disk is not exceeded by a run with two workers."""
    root = put(tmp_path / "corpus", {f"{n}.bin": bytes([n % 251 + 1]) * (20_000 + n) for n in range(300)})
    rows = tmp_path / "rows.parquet"
    pq.write_table(
        pa.table({"id": list(range(300)), "m": [f"{n}.bin" for n in range(300)], "t": ["x" * n for n in range(300)]}),
        rows,
    )
    command = [sys.executable, "-c", PUBLISH, str(rows), str(root), str(tmp_path / "out"), "1000000000", "2"]
    most, said = peak(command)
    estimate = json.loads(said.splitlines()[0])
    assert estimate["workers"] == 2
    assert most["anonymous"] <= estimate["memory_bytes"]
    published = [file for file in (tmp_path / "out").rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in published) <= estimate["disk_bytes"]
    assert sealift.verify(tmp_path / "out").proven


def test_a_footer_that_grows_counts(tmp_path: Path) -> None:
    """A shard of many small row groups of many columns keeps their metadata until it is closed."""
    table = pa.table({"id": pa.array(range(4000)), **{f"x{n}": pa.array(range(4000)) for n in range(200)}})
    many = plan_of(put(tmp_path / "source", {}), table, shards={"row_group_rows": 2, "max_bytes": "10GB"})
    assert many.estimate.memory > 2000 * 201 * 950
