"""From the spec to rows on disk: the query or table is streamed once; each row gets its split and its key."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sealift.formats.rowfile import KEY, RowFile
from sealift.model.column import MediaColumn
from sealift.model.problem import Problem
from sealift.plan.notes import Notes
from sealift.plan.paths import REFS, note_outside, references
from sealift.plan.shape import SPLIT, Shape
from sealift.plan.splits import check_count, in_order
from sealift.spec import Spec


@dataclass(frozen=True)
class Gathered:
    """The rows on disk, in the query's order, before their media is looked up.

    `file` holds the light columns, the paths of media columns, `_key` and `_split`; `refs` maps each media column
    to its references (`paths.REFS`). `columns` are those published, in order, with their features; `schema` is that
    of `file`.
    """

    file: Path
    schema: pa.Schema
    refs: Mapping[str, Path]
    columns: tuple[str, ...]
    features: Mapping[str, Mapping[str, Any]]
    media: tuple[MediaColumn, ...]
    splits: tuple[str, ...]
    rows: int
    problems: tuple[Problem, ...]


def gather(spec: Spec, reader: pa.RecordBatchReader, media: tuple[MediaColumn, ...], work: Path) -> Gathered:
    """Stream the rows to disk once. Memory: a few batches.

    Raises:
        SpecError: a column that the spec names is not there, or has a type or a value that it cannot have.
    """
    shape = Shape.of(spec, reader.schema, media)
    notes = Notes()
    splits: dict[str, None] = {}
    refs = {column.name: work / "refs" / f"{number}.parquet" for number, column in enumerate(media)}
    with ExitStack() as stack:
        rows = stack.enter_context(RowFile(work / "gathered.arrow", shape.schema, passing=True))
        writers = {name: stack.enter_context(RowFile(path, REFS)) for name, path in refs.items()}
        for batch in reader:
            ready = shape.apply(batch, rows.rows, notes)
            key, split = ready.column(KEY), ready.column(SPLIT)
            splits.update(dict.fromkeys(pc.unique(split).drop_null().to_pylist()))
            check_count(splits, spec)
            for column in media:
                paths = ready.column(column.name)
                note_outside(paths, column, key, notes)
                writers[column.name].write(references(paths, column, rows.rows, split))
            rows.write(ready)
    return Gathered(
        file=rows.path,
        schema=shape.schema,
        refs=refs,
        columns=shape.columns,
        features=shape.features,
        media=media,
        splits=in_order(splits, spec),
        rows=rows.rows,
        problems=tuple(notes.problems()),
    )
