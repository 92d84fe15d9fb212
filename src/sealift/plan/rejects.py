"""What is left out, and why: every media cell that cannot be used, by the user's policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sealift.formats.rowfile import KEY, RowFile, RowReader
from sealift.model.problem import Severity
from sealift.plan.cells import REASONS, Cells
from sealift.plan.notes import Notes
from sealift.plan.shape import SPLIT

Policy = Literal["fail", "skip", "null"]

REJECTS = pa.schema(
    [
        ("key", pa.string()),
        ("split", pa.string()),
        ("column", pa.string()),
        ("element", pa.int32()),
        ("path", pa.string()),
        ("reason", pa.string()),
        ("action", pa.string()),
    ]
)
ACTIONS: Mapping[Policy, str] = {"fail": "refused", "skip": "row left out", "null": "cell made null"}
REMEDIES: Mapping[Policy, str] = {
    "fail": "put the files there, or say `missing: skip` or `missing: null`",
    "skip": "these rows are left out and listed",
    "null": "these cells are null, and listed",
}


class Rejects:
    """The rejects of all columns, in one file: column by column, in the order of the rows. Use it with `with`."""

    def __init__(self, path: Path, columns: Sequence[str], policy: Policy) -> None:
        self.policy = policy
        self._path = path
        self._files = {name: RowFile(path.with_suffix(f".{n}"), REJECTS) for n, name in enumerate(columns)}

    def __enter__(self) -> Rejects:
        with ExitStack() as stack:
            for file in self._files.values():
                stack.enter_context(file)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()
        with pq.ParquetWriter(self._path, REJECTS, compression="zstd") as whole:
            for file in self._files.values():
                for batch in RowReader(file.path).batches():
                    whole.write_batch(batch)
                file.path.unlink()

    @property
    def count(self) -> int:
        """How many cells are in it."""
        return sum(file.rows for file in self._files.values())

    def add(self, cells: Cells, batch: pa.RecordBatch, notes: Notes) -> None:
        """Take the cells that cannot be used; `batch` holds the keys and splits of their rows."""
        refused = cells.refused
        if not len(refused):
            return
        rows, reasons = pa.array(cells.rows[refused]), pa.array(cells.reason[refused])
        elements = cells.elements[refused]
        made = {
            "key": batch.column(KEY).take(rows),
            "split": batch.column(SPLIT).take(rows),
            "column": pa.repeat(cells.column.name, len(refused)),
            "element": pa.array(elements, pa.int32(), mask=elements < 0),
            "path": cells.paths.take(pa.array(refused)),
            "reason": pa.array(REASONS).take(reasons),
            "action": pa.repeat(ACTIONS[self.policy], len(refused)),
        }
        self._files[cells.column.name].write(
            pa.RecordBatch.from_arrays([made[n] for n in REJECTS.names], schema=REJECTS)
        )
        self._note(cells, made, notes)

    def _note(self, cells: Cells, made: Mapping[str, pa.Array], notes: Notes) -> None:
        severity: Severity = "error" if self.policy == "fail" else "warning"
        for code, reason in enumerate(REASONS):
            found = np.flatnonzero(cells.reason[cells.refused] == code)
            notes.add(
                f"media-{reason}",
                f"files of column `{cells.column.name}` are {reason}",
                REMEDIES[self.policy],
                len(found),
                [
                    f"{made['key'][row].as_py()} ({made['path'][row].as_py()})"
                    for row in found[: Notes.EXAMPLES].tolist()
                ],
                severity,
            )
