"""`sealift plan`: what would be published, and what stands against it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sealift.cli.options import example, max_shard_size_option, memory_option, shared_options, workers_option
from sealift.cli.output import Output
from sealift.cli.progress import progress
from sealift.cli.units import duration_text, size_text

if TYPE_CHECKING:
    from sealift.model.plan import Plan
    from sealift.spec import Spec


@click.command(
    epilog=example(
        "sealift plan sealift.yaml",
        "sealift plan ~/recordings --check 3",
        "sealift plan sealift.yaml --from /data/other --json",
    )
)
@click.argument("spec_or_dir")
@click.option("--to", metavar="FOLDER|ORG/NAME", help="Where it would be published.")
@click.option("--from", "from_", metavar="FOLDER", help="Where the files are; goes before `from:` in the spec.")
@click.option("--configs", multiple=True, metavar="NAME", help="Plan this config only (again for more).")
@click.option("--check", type=click.IntRange(min=0), default=0, metavar="N", help="Decode and show N rows.")
@click.option("--strict", is_flag=True, help="Take warnings for errors.")
@click.option("--env-file", type=click.Path(dir_okay=False, path_type=Path), help="Fill ${VARIABLES} from FILE, too.")
@max_shard_size_option
@memory_option
@workers_option
@shared_options
def command(
    output: Output,
    spec_or_dir: str,
    to: str | None,
    from_: str | None,
    configs: tuple[str, ...],
    check: int,
    strict: bool,
    env_file: Path | None,
    max_shard_size: int | None,
    memory: int | None,
    workers: int | None,
) -> None:
    """Show rows, shards, bytes and schema of what would be published, and every problem with it.

    Reads the tables and the listing, and the first and last bytes of some files; writes nothing. Exit code 4 means that
    it could not be published as it is.
    """
    from sealift.cli.spec_source import read_spec

    spec = read_spec(spec_or_dir, output, env_file=env_file, from_=from_, max_shard_size=max_shard_size)
    show(output, spec, to, configs, memory, workers, check=check, strict=strict)


def show(
    output: Output,
    spec: Spec,
    to: str | None,
    configs: Sequence[str],
    memory: int | None,
    workers: int | None,
    *,
    check: int = 0,
    strict: bool = False,
) -> None:
    """Plan, and show the plan; end with an error if it could not be published."""
    from sealift.build import open_source, planned
    from sealift.plan import DEFAULT_MEMORY, accept
    from sealift.plan.report import report
    from sealift.plan.sample import probe_sample
    from sealift.tools.check import check_rows

    with (
        progress(output) as on_event,
        planned(
            spec, to, configs=configs or None, memory=memory or DEFAULT_MEMORY, workers=workers, on_event=on_event
        ) as bare,
    ):
        plan = probe_sample(bare, open_source(spec), strict=strict)
        rows = check_rows(plan, open_source(spec), check) if check else []
        show_plan(output, plan)
        for key, cells in rows:
            output.table(f"row {key}", ["column", "value"], cells.items())
        for problem in plan.problems:
            output.warn(str(problem))
        accept(plan, strict=strict)
        output.result({**report(plan), "rows": [{"key": key, "cells": cells} for key, cells in rows]})


def show_plan(output: Output, plan: Plan) -> None:
    """The plan as tables."""
    from sealift.plan.report import report

    said = report(plan)
    lines = []
    for config in said["configs"]:
        name = config["config"] + (" (default)" if config["default"] else "")
        for split in config["splits"]:
            files = ", ".join(f"{count:,} {column}" for column, count in split["present"].items())
            lines.append(
                (name, split["split"], f"{split['rows']:,}", size_text(split["bytes"]), f"{split['shards']:,}", files)
            )
            name = ""
    output.table("configs", ["config", "split", "rows", "bytes", "shards", "files"], lines)
    schema = [(one["column"], _type(one["feature"]), ", ".join(one["configs"])) for one in said["schema"]]
    output.table("schema", ["column", "type", "configs"], schema)
    if said["also"]:
        also = [(one["path"], one["rows"] or "", size_text(one["bytes"])) for one in said["also"]]
        output.table("also", ["file", "rows", "bytes"], also)
    folders = said["files"]["folders"]
    output.table("files", ["folder", "entries"], [(folder or ".", count) for folder, count in folders.items()])
    estimate = said["estimate"]
    output.table(
        "the work",
        ["files", "commits", "memory", "disk", "time", "workers"],
        [
            (
                said["files"]["total"],
                said["commits"],
                f"≤ {size_text(estimate['memory_bytes'])}",
                f"≤ {size_text(estimate['disk_bytes'])}",
                f"~ {duration_text(estimate['seconds'])}",
                estimate["workers"],
            )
        ],
    )


def _type(feature: Mapping[str, Any]) -> str:
    from sealift.formats.card import type_name

    return type_name(feature)
