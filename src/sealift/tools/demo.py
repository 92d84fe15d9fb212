"""The demo: a small dataset of sounds, scores, pictures and scans goes the whole way, and is loaded back."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from sealift.errors import IntegrityError
from sealift.tools.corpus import make

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Loaded:
    """One config as it came back: rows by split, and what one row of it holds."""

    config: str
    rows: dict[str, int]
    columns: int
    first: dict[str, str]


def prepare(folder: Path, rows: int) -> Path:
    """Make the small dataset in the folder; returns its spec."""
    make(folder, rows)
    return folder / "sealift.yaml"


def load_back(out: Path, source: Path, configs: list[str]) -> Iterator[Loaded]:
    """Load every config with `datasets.load_dataset`, as a map and as a stream, and compare every media byte.

    Raises:
        ImportError: `datasets` is not installed.
        IntegrityError: what came back is not what lies at the source.
    """
    from datasets import disable_progress_bars, load_dataset

    disable_progress_bars()
    for config in configs:
        dataset = load_dataset(str(out), config, cache_dir=str(out.parent / "cache"))
        first: dict[str, str] = {}
        for split in dataset:
            plain = dataset[split].with_format("arrow")
            for row in (row for batch in plain.iter(32) for row in batch.to_pylist()):
                _compare(row, source)
            stream = load_dataset(str(out), config, split=split, streaming=True)
            streamed = sum(batch.num_rows for batch in stream.with_format("arrow").iter(32))
            if streamed != dataset[split].num_rows:
                raise IntegrityError(f"{config}/{split}: {streamed} rows streamed, {dataset[split].num_rows} loaded")
            first = first or {name: str(feature) for name, feature in dataset[split].features.items()}
        yield Loaded(config, {split: dataset[split].num_rows for split in dataset}, len(first), first)


def read_back(out: Path, source: Path, configs: dict[str, dict[str, list[str]]]) -> Iterator[Loaded]:
    """The same with pyarrow alone, for an installation without `datasets`; `configs` gives each split's files."""
    for config, splits in configs.items():
        rows = {}
        first: dict[str, str] = {}
        for split, paths in splits.items():
            count = 0
            for path in paths:
                with pq.ParquetFile(out / path) as file:
                    for batch in file.iter_batches(32):
                        for row in batch.to_pylist():
                            _compare(row, source)
                        count += batch.num_rows
                    first = first or {field.name: str(field.type) for field in file.schema_arrow}
            rows[split] = count
        yield Loaded(config, rows, len(first), first)


def _compare(row: dict[str, Any], source: Path) -> None:
    """Every media cell that names its file must have that file's bytes."""
    for value in row.values():
        for cell in value if isinstance(value, list) else [value]:
            if isinstance(cell, dict) and cell.get("path") and cell.get("bytes") is not None:
                there = hashlib.sha256((source / cell["path"]).read_bytes()).digest()
                if hashlib.sha256(cell["bytes"]).digest() != there:
                    raise IntegrityError(
                        f"{cell['path']} came back changed", hint="please report this", path=cell["path"]
                    )
