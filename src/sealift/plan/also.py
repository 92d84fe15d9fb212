"""The files that are published beside the data, as they are."""

from __future__ import annotations

import posixpath
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from sealift.errors import TableError
from sealift.model import manifest
from sealift.model.plan import Also
from sealift.model.problem import Problem
from sealift.ports import Source
from sealift.rows import listing as listing_table
from sealift.rows import tables
from sealift.spec import Spec


def plan_also(spec: Spec, source: Source, work: Path, memory: int) -> tuple[tuple[Also, ...], list[Problem]]:
    """Every file that `also:` names, with its place in the repository, its size and, for a table, rows and columns.

    With them a warning for every table that cannot be read: it is published as it is all the same.

    Raises:
        SpecError: a file is not there, or two would lie in one place.
    """
    wanted = [path for paths in spec.also.values() for path in paths]
    found = listing_table.entries(work / "listing.parquet", wanted, work, memory)
    made: dict[str, Also] = {}
    problems = []
    for folder, paths in spec.also.items():
        for number, path in enumerate(paths):
            entry = found.get(posixpath.normpath(path))
            if entry is None:
                raise spec.mistake(
                    f"{path} is not at the source", "also", folder, number, hint="paths count from `from:`"
                )
            target = posixpath.normpath(posixpath.join(folder, posixpath.basename(path)))
            _check_target(spec, target, folder, number, made)
            try:
                rows, columns = _shape(source, entry.path)
            except TableError as error:
                rows, columns = None, None
                problems.append(_unread(path, error))
            made[target] = Also(entry.path, target, entry.size, entry.version, rows, columns)
    return tuple(made.values()), problems


def _check_target(spec: Spec, target: str, folder: str, number: int, made: dict[str, Also]) -> None:
    inside = not target.startswith(("../", "/")) and target != ".."
    configs = set(spec.configs) or {"data"}
    if not inside or target.split("/")[0] in {manifest.FOLDER, manifest.CARD, ".git", ".gitattributes", *configs}:
        raise spec.mistake(f"{target} is no place for a file of its own", "also", folder, hint="choose another folder")
    if any(target == one or target.startswith(f"{one}/") or one.startswith(f"{target}/") for one in made):
        raise spec.mistake(
            f"{target} would lie where another file does",
            "also",
            folder,
            number,
            hint="put one of them into another folder",
        )


def _shape(source: Source, path: str) -> tuple[int | None, tuple[str, ...] | None]:
    """Rows and columns of a table, as far as they are known without reading it all.

    Raises:
        TableError: it cannot be read.
    """
    if not tables.is_table(path):
        return None, None
    with source.local_file(path) as file:
        if not path.lower().endswith(".parquet"):
            return None, tuple(name for name, _ in tables.describe(file, path))
        try:
            metadata = pq.read_metadata(file)
            return metadata.num_rows, tuple(metadata.schema.to_arrow_schema().names)
        except (pa.ArrowException, OSError) as error:
            raise TableError(str(error).splitlines()[0], path=path) from error


def _unread(path: str, error: TableError) -> Problem:
    return Problem(
        "also-unread",
        error.message,
        place=path,
        remedy="mend the table, if people are to read it as one; it is published as it is",
        severity="warning",
    )
