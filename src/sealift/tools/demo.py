"""The demo: a small dataset of sounds, scores, pictures and scans goes the whole way, and is loaded back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sealift.errors import IntegrityError
from sealift.formats.ranged import whole
from sealift.formats.rowfile import joined_key
from sealift.model.manifest import Manifest
from sealift.tools.corpus import make
from sealift.tools.loading import WAYS, Batches, Job, loader
from sealift.verify.published import Published, shards_of

REPOSITORY = "demo/sealift-demo"
BATCH_ROWS = 32


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


def load_back(published: Published, found: Manifest, source: Path, config: str, came: Batches) -> Loaded:
    """Compare every media byte of a config's rows with the file at the source that the published index names.

    Raises:
        IntegrityError: what came back is not what lies at the source.
    """
    files = _files(published, found, config)
    rows: Counter[str] = Counter()
    columns = cells = 0
    for split, table in came:
        rows[split] += table.num_rows
        columns = table.num_columns
        cells += _compare(table, found.key, files, source)
    expected = {split.name: split.rows for one in found.configs if one.name == config for split in one.splits}
    if rows != expected or cells != len(files):
        raise IntegrityError(
            f"{config}: {dict(rows)} rows and {cells} files came back, {expected} and {len(files)} were published",
            hint="please report this",
        )
    return Loaded(config, dict(rows), columns, cells)


def by_datasets(
    published: Published, found: Manifest, source: Path, environment: Mapping[str, str], home: Path
) -> list[Loaded]:
    """Every config by `datasets.load_dataset`, map-style and as a stream; see `load_back`."""
    loaded = {}
    with loader(environment, home) as process:
        for config, way in product((config.name for config in found.configs), WAYS):
            rows = process.rows(Job(REPOSITORY, config, way, BATCH_ROWS))
            loaded[config] = load_back(published, found, source, config, rows)
    return [*loaded.values()]


def by_pyarrow(published: Published, found: Manifest, source: Path) -> list[Loaded]:
    """Every config by pyarrow alone; see `load_back`."""
    names = [config.name for config in found.configs]
    return [load_back(published, found, source, name, with_pyarrow(published, found, name)) for name in names]


def with_pyarrow(published: Published, found: Manifest, config: str) -> Batches:
    """The rows by pyarrow alone, for an installation without `datasets`. Memory: a shard."""
    for shard in shards_of(found, config):
        with pq.ParquetFile(pa.BufferReader(whole(published, published.entry(shard.path)))) as file:
            yield from ((shard.split, pa.Table.from_batches([batch])) for batch in file.iter_batches(BATCH_ROWS))


Place = tuple[str, str, int]
"""Key, column and element (0 for a single cell)."""


def _files(published: Published, found: Manifest, config: str) -> dict[Place, str]:
    """The path at the source of each media cell, as the published index names it."""
    paths = [one.path for one in found.files if (one.role, one.config) == ("index", config)]
    tables = (pq.read_table(pa.BufferReader(whole(published, published.entry(path)))) for path in paths)
    records = [record for table in tables for record in table.to_pylist()]
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
