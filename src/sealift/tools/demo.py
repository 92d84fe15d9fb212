"""The demo: a small dataset of sounds, scores, pictures and scans goes the whole way, and is loaded back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sealift.errors import IntegrityError
from sealift.formats.rowfile import joined_key
from sealift.model import manifest
from sealift.model.manifest import Manifest, read_manifest
from sealift.tools.corpus import make

BATCH_ROWS = 32
Batches = Iterator[tuple[str, pa.Table]]
"""Rows in order, as (split, rows with media as they are stored)."""
Reader = Callable[[Path, str], Batches]
"""From the published folder and a config to the config's rows."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """One config as it came back: rows by split, columns, and how many media files were compared with the source."""

    config: str
    rows: Mapping[str, int]
    columns: int
    cells: int


def prepare(folder: Path, rows: int) -> Path:
    """Make the small dataset in the folder; returns its spec."""
    make(folder, rows)
    return folder / "sealift.yaml"


def load_back(out: Path, source: Path, found: Manifest, config: str, read: Reader) -> Loaded:
    """Read a config and compare every media byte with the file at the source that the published index names.

    Raises:
        IntegrityError: what came back is not what lies at the source.
    """
    files = _files(out, found, config)
    rows: Counter[str] = Counter()
    columns = cells = 0
    for split, table in read(out, config):
        rows[split] += table.num_rows
        columns = table.num_columns
        cells += _compare(table, found.key, files, source)
    published = found.config(config)
    expected = {split.name: split.rows for split in published.splits} if published else {}
    if rows != expected or cells != len(files):
        raise IntegrityError(
            f"{config}: {dict(rows)} rows and {cells} files came back, {expected} and {len(files)} were published",
            hint="please report this",
        )
    return Loaded(config, dict(rows), columns, cells)


def as_map(out: Path, config: str) -> Batches:
    """The rows by `datasets.load_dataset`.

    Raises:
        ImportError: `datasets` is not installed.
    """
    from datasets import disable_progress_bars, load_dataset

    disable_progress_bars()
    for split, dataset in load_dataset(str(out), config, cache_dir=str(out.parent / "cache")).items():
        yield from ((str(split), table) for table in dataset.with_format("arrow").iter(BATCH_ROWS))


def as_stream(out: Path, config: str) -> Batches:
    """The rows by `datasets.load_dataset`, streaming.

    Raises:
        ImportError: `datasets` is not installed.
    """
    from datasets import load_dataset

    for split, dataset in load_dataset(str(out), config, streaming=True).items():
        yield from ((str(split), table) for table in dataset.with_format("arrow").iter(BATCH_ROWS))


def with_pyarrow(out: Path, config: str) -> Batches:
    """The rows by pyarrow alone, for an installation without `datasets`."""
    found = read_manifest((out / manifest.PATH).read_bytes())
    for shard in (one for one in found.shards if one.config == config):
        with pq.ParquetFile(out / shard.path) as file:
            yield from ((shard.split, pa.Table.from_batches([batch])) for batch in file.iter_batches(BATCH_ROWS))


Place = tuple[str, str, int]
"""Key, column and element (0 for a single cell)."""


def _files(out: Path, found: Manifest, config: str) -> dict[Place, str]:
    """The path at the source of each media cell, as the published index names it."""
    paths = [out / one.path for one in found.files if (one.role, one.config) == ("index", config)]
    records = [record for path in paths for record in pq.read_table(path).to_pylist()]
    return {(one["key"], one["column"], one["element"] or 0): one["path"] for one in records}


def _compare(table: pa.Table, key: tuple[str, ...], files: Mapping[Place, str], source: Path) -> int:
    """How many media cells the rows hold; each must have the bytes, and if it says one the path, of its file."""
    keys = joined_key([table[name].combine_chunks() for name in key]).to_pylist()
    media = {column for _, column, _ in files}
    count = 0
    for column in media:
        for row_key, value in zip(keys, table[column].to_pylist(), strict=True):
            for element, cell in enumerate(value if isinstance(value, list) else [value]):
                if cell is not None:
                    _compare_cell(cell, files.get((row_key, column, element)), f"{row_key} `{column}`", source)
                    count += 1
    return count


def _compare_cell(cell: Any, path: str | None, place: str, source: Path) -> None:
    data, said = (cell["bytes"], cell["path"]) if isinstance(cell, dict) else (cell, path)
    if path is None or said != path or data != (source / path).read_bytes():
        raise IntegrityError(f"{place} came back changed", hint="please report this", path=path)
