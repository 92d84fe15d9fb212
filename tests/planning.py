"""Plans of small corpora, for the suites of the plan: files in a folder, and rows that name them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sealift.model.plan import Plan
from sealift.model.problem import Problem
from sealift.plan import plan
from sealift.plan.estimate import Memory
from sealift.spec import Spec
from sealift.stores.local import LocalFolder

ENOUGH = 512_000_000
_number = itertools.count()


def put(root: Path, files: Mapping[str, bytes | int]) -> Path:
    """Write files below the root; a number makes a file of that many bytes that takes no room."""
    root.mkdir(parents=True, exist_ok=True)
    for path, content in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            target.write_bytes(content)
        else:
            with open(target, "wb") as file:
                file.truncate(content)
    return root


def plan_of(
    root: Path,
    rows: Any,
    *,
    memory: int = ENOUGH,
    workers: int = 1,
    chosen: Sequence[str] | None = None,
    work: Path | None = None,
    **keys: Any,
) -> Plan:
    """The plan of rows (SQL, a table, or dicts) over the files below `root`, with these keys of a spec."""
    if isinstance(rows, list):
        rows = pa.Table.from_pylist(rows)
    return plan_for(Spec(rows=rows, **keys), root, memory=memory, workers=workers, chosen=chosen, work=work)


def plan_for(
    spec: Spec,
    root: Path,
    *,
    memory: int = ENOUGH,
    workers: int = 1,
    chosen: Sequence[str] | None = None,
    work: Path | None = None,
) -> Plan:
    """The plan of a spec; its work lies beside the root."""
    work = work or root.parent / f"work-{next(_number)}"
    return plan(spec, LocalFolder(root), work, Memory(memory, workers), chosen)


def rows_of(made: Plan, split: str = "train") -> list[dict[str, Any]]:
    """The planned rows of a split."""
    return list(pq.read_table(made.rows_file(split)).to_pylist())


def rejects_of(made: Plan) -> list[dict[str, Any]]:
    """What was left out."""
    return list(pq.read_table(made.rejects_file).to_pylist())


def codes(made: Plan) -> list[str]:
    """The codes of the plan's problems."""
    return [problem.code for problem in made.problems]


def problem(made: Plan, code: str) -> Problem:
    """The one problem of that code."""
    (found,) = [one for one in made.problems if one.code == code]
    return found
