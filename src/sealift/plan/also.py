"""The files that are published beside the data, as they are."""

from __future__ import annotations

import posixpath
from pathlib import Path

import pyarrow.parquet as pq

from sealift.model import manifest
from sealift.model.plan import Also
from sealift.ports import Source
from sealift.rows import listing as listing_table
from sealift.rows import tables
from sealift.spec import Spec


def plan_also(spec: Spec, source: Source, work: Path) -> tuple[Also, ...]:
    """Every file that `also:` names, with its place in the repository, its size and, for a table, rows and columns.

    Raises:
        SpecError: a file is not there, or two would lie in one place.
    """
    found = listing_table.entries(
        work / "listing.parquet", [path for paths in spec.also.values() for path in paths], work
    )
    made: dict[str, Also] = {}
    for folder, paths in spec.also.items():
        for number, path in enumerate(paths):
            entry = found.get(posixpath.normpath(path))
            if entry is None:
                raise spec.mistake(
                    f"{path} is not at the source", "also", folder, number, hint="paths count from `from:`"
                )
            target = posixpath.normpath(posixpath.join(folder, posixpath.basename(path)))
            _check_target(spec, target, folder, number, made)
            rows, columns = _shape(source, entry.path)
            made[target] = Also(entry.path, target, entry.size, entry.version, rows, columns)
    return tuple(made.values())


def _check_target(spec: Spec, target: str, folder: str, number: int, made: dict[str, Also]) -> None:
    inside = not target.startswith(("../", "/")) and target != ".."
    configs = set(spec.configs) or {"data"}
    if not inside or target.split("/")[0] in {manifest.FOLDER, manifest.CARD, ".git", ".gitattributes", *configs}:
        raise spec.mistake(f"{target} is no place for a file of its own", "also", folder, hint="choose another folder")
    if target in made:
        raise spec.mistake(
            f"{target} would be written twice", "also", folder, number, hint="put one of them into another folder"
        )


def _shape(source: Source, path: str) -> tuple[int | None, tuple[str, ...] | None]:
    """Rows and columns of a table, as far as they are known without reading it all."""
    if not tables.is_table(path):
        return None, None
    with source.local_file(path) as file:
        if path.endswith(".parquet"):
            metadata = pq.read_metadata(file)
            return metadata.num_rows, tuple(metadata.schema.to_arrow_schema().names)
        return None, tuple(name for name, _ in tables.describe(file, path))
