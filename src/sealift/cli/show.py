"""A plan on the terminal: its tables, its warnings and, if asked, some of its rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from sealift.cli.output import Output
from sealift.cli.progress import progress
from sealift.cli.spec_source import Asked
from sealift.cli.units import duration_text, size_text

if TYPE_CHECKING:
    from sealift.model.plan import Plan
    from sealift.spec import Spec


def show(output: Output, spec: Spec, asked: Asked, check: int = 0, *, commit_per_config: bool = False) -> None:
    """Plan, show the plan and `check` decoded rows; nothing is written.

    Raises:
        PlanRefused: it could not be published as it is.
    """
    from sealift.build import planned
    from sealift.build.places import open_source
    from sealift.model.problem import warnings
    from sealift.plan import DEFAULT_MEMORY, accept
    from sealift.plan.report import report
    from sealift.plan.sample import probe_sample
    from sealift.tools.check import check_rows

    source, memory = open_source(spec), asked.memory or DEFAULT_MEMORY
    with (
        progress(output) as on_event,
        planned(
            spec,
            asked.to,
            configs=asked.configs or None,
            memory=memory,
            workers=asked.workers,
            access=asked.access,
            on_event=on_event,
        ) as bare,
    ):
        plan = probe_sample(bare, source, strict=asked.strict)
        rows = check_rows(plan, source, check)
        said = report(plan, commit_per_config=commit_per_config)
        show_plan(output, plan, said)
        for key, cells in rows:
            output.table(f"row {key}", ["column", "value"], cells.items())
        for problem in () if asked.strict else warnings(plan.problems):
            output.warn(str(problem))
        accept(plan, strict=asked.strict)
        if plan.rejects:
            output.say(f"{plan.rejects:,} files would be left out (missing: {spec.missing})")
        if to := asked.to or spec.to:
            output.say(f"this would go to {to}; nothing was written")
        output.result({**said, "rows": [{"key": key, "cells": cells} for key, cells in rows]})


def show_plan(output: Output, plan: Plan, said: Mapping[str, Any] | None = None) -> None:
    """The plan as tables; `said` is its report, if it is there already."""
    from sealift.plan.report import report

    said = said or report(plan)
    output.table("configs", ["config", "split", "rows", "bytes", "shards", "files"], _configs(said["configs"]))
    schema = [(one["column"], _type(one["feature"]), ", ".join(one["configs"])) for one in said["schema"]]
    output.table("schema", ["column", "type", "configs"], schema)
    if said["also"]:
        also = [(one["path"], one["rows"] or "", size_text(one["bytes"])) for one in said["also"]]
        output.table("also", ["file", "rows", "bytes"], also)
    folders = said["files"]["folders"]
    output.table("files", ["folder", "entries"], [(folder or ".", count) for folder, count in folders.items()])
    output.table("the work", ["files", "commits", "memory", "disk", "time", "workers"], [_work(said)])


def _configs(configs: list[dict[str, Any]]) -> Iterator[tuple[str, ...]]:
    for config in configs:
        name = config["config"] + (" (default)" if config["default"] else "")
        for split in config["splits"]:
            files = ", ".join(f"{count:,} {column}" for column, count in split["present"].items())
            rows, shards = f"{split['rows']:,}", f"{split['shards']:,}"
            yield name, split["split"], rows, size_text(split["bytes"]), shards, files
            name = ""


def _work(said: Mapping[str, Any]) -> tuple[object, ...]:
    estimate = said["estimate"]
    memory, disk = size_text(estimate["memory_bytes"]), size_text(estimate["disk_bytes"])
    time = duration_text(estimate["seconds"])
    return said["files"]["total"], said["commits"], f"≤ {memory}", f"≤ {disk}", f"~ {time}", estimate["workers"]


def _type(feature: Mapping[str, Any]) -> str:
    from sealift.formats.card_section import type_name

    return type_name(feature)
