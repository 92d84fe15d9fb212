"""`sealift rehearse`: the real run, on this machine, and what it will take."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

import click

from sealift.cli.names import NamesConfigs, configs_option
from sealift.cli.options import (
    example,
    max_shard_size_option,
    memory_option,
    shared_options,
    staging_option,
    workers_option,
)
from sealift.cli.output import Output
from sealift.cli.progress import progress
from sealift.cli.spec_source import env_file_option, from_option, read_spec
from sealift.cli.units import duration_text, size_text
from sealift.errors import RequestError

if TYPE_CHECKING:
    from sealift.rehearse.figures import Rehearsal
    from sealift.spec import Spec

USUAL_LINES = (100_000_000, 1_000_000_000)
"""Bits a second: an office's line, and a data centre's."""
ENOUGH = 100_000_000
"""Below so many bytes of media the start of the workers hides how fast they are."""
_BITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}


class Bandwidth(click.ParamType):  # type: ignore[type-arg, unused-ignore]  # generic in newer clicks only
    """Bits a second: `100Mbit`, `1Gbit`, `2.5Gbit/s`. Yields an int."""

    name = "bandwidth"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The bits a second that the text stands for; fails as a usage error that says what to write instead."""
        found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([kmg]?)bit(?:/s|ps)?", str(value).strip(), re.IGNORECASE)
        bits = int(float(found[1]) * _BITS[found[2].lower()]) if found else 0
        if bits < 1:
            self.fail(f"{value!r} is not a bandwidth; write it like 100Mbit or 1Gbit (bits a second).", param, ctx)
        return bits


@click.command(
    cls=NamesConfigs,
    epilog=example(
        "sealift rehearse sealift.yaml",
        "sealift rehearse sealift.yaml --configs labels_only --bandwidth 50Mbit",
        "sealift rehearse ~/recordings --keep ./rehearsal --json",
    ),
)
@click.argument("spec_or_dir")
@click.option("--to", metavar="ORG/NAME", help="Rehearse under this name, instead of that in `to:`.")
@from_option
@configs_option
@env_file_option
@max_shard_size_option
@memory_option
@workers_option
@staging_option
@click.option(
    "--bandwidth", "lines", type=Bandwidth(), multiple=True, metavar="BITS",
    help="Say how long it takes over such a line (100Mbit); repeatable.  [default: 100Mbit and 1Gbit]",
)  # fmt: skip
@click.option(
    "--quota",
    type=click.Choice(["free", "pro", "team", "enterprise"]),
    help="Hold the requests against the quota of this plan alone.",
)
@click.option("--no-xet", is_flag=True, help="Rehearse with a Hub that has no Xet.")
@click.option(
    "--keep", type=click.Path(file_okay=False, path_type=Path), help="Work in this folder, and leave everything there."
)
@shared_options
def command(
    output: Output,
    spec_or_dir: str,
    to: str | None,
    from_: str | None,
    configs: tuple[str, ...],
    env_file: Path | None,
    max_shard_size: int | None,
    memory: int | None,
    workers: int | None,
    staging: int | None,
    lines: tuple[int, ...],
    quota: str | None,
    no_xet: bool,
    keep: Path | None,
) -> None:
    """Publish to a Hub on this machine, verify it, load it back, publish again, and say what the real run will take.

    SPEC_OR_DIR is a spec (sealift.yaml) or a folder in a layout that `sealift init` recognises. The Hub is started for
    this and ended with it; no account and no network is needed. Exit code 0 means that everything held.
    """
    spec = read_spec(spec_or_dir, output, env_file, from_)
    if max_shard_size is not None:
        spec = spec.having(shards=spec.shards.model_copy(update={"max_bytes": max_shard_size}))
    folder = _folder(keep)
    try:
        rehearsal = _rehearse(
            output,
            spec,
            to,
            folder,
            configs=configs or None,
            memory=memory,
            workers=workers,
            staging=staging,
            use_xet=not no_xet,
        )
    finally:
        if keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    _show(output, rehearsal, lines or USUAL_LINES, quota)
    if keep:
        output.say(f"everything is in {folder}; look at it: sealift hub --root {folder / 'hub'}")
    output.result(_as_json(rehearsal, lines or USUAL_LINES, configs))


def _folder(keep: Path | None) -> Path:
    if keep is None:
        return Path(mkdtemp(prefix="sealift-rehearsal-"))
    if keep.is_dir() and any(keep.iterdir()):
        raise RequestError(
            f"{keep} is not empty: what is there already would not be sent",
            hint="name a folder that is not there yet with --keep",
            path=str(keep),
        )
    return keep.absolute()


def _rehearse(
    output: Output, spec: Spec, to: str | None, folder: Path, *, memory: int | None, **options: Any
) -> Rehearsal:
    from sealift.tools.hubprocess import apart

    # The clients read their environment when they are imported, so only now.
    with apart(folder / "cache"), progress(output) as on_event:
        from sealift.plan import DEFAULT_MEMORY
        from sealift.rehearse import rehearse, rehearsed_as

        name = rehearsed_as(spec, to)
        return rehearse(spec, name, folder, memory=memory or DEFAULT_MEMORY, on_event=on_event, **options)


def _show(output: Output, rehearsal: Rehearsal, lines: tuple[int, ...], quota: str | None) -> None:
    """What was done, and what follows for the real run."""
    from sealift.rehearse.figures import COMMITS_PER_HOUR

    output.table(
        "what was done",
        ["step", "time", "requests", "to the Hub", "from the Hub", "commits"],
        [
            (step.name, duration_text(step.seconds), step.counts.total, size_text(step.counts.bytes_in),
             size_text(step.counts.bytes_out), step.counts.commits)
            for step in rehearsal.steps
        ],
    )  # fmt: skip
    asked = rehearsal.publishing.counts
    kinds = [(kind, count, asked.quota.get(kind) or "") for kind, count in asked.requests.items()]
    output.table("requests of the real run", ["kind", "requests", "counts against"], kinds)
    output.table("quota in 5 minutes", ["plan", "API", "downloads", "publishing"], _quotas(rehearsal, quota))
    output.table("time", ["line", "publishing takes"], [(_line(bits), _time(rehearsal, bits)) for bits in lines])
    figures = [
        ("commits", asked.commits, f"the Hub takes about {COMMITS_PER_HOUR} in an hour"),
        ("files", rehearsal.files, size_text(rehearsal.content)),
        ("sent", size_text(rehearsal.sent), ""),
        ("new to the Hub", size_text(asked.new), f"{size_text(rehearsal.deduplicated)} deduplicated"),
    ]
    if rehearsal.rate:
        little = f", over {size_text(rehearsal.packed)} only" if rehearsal.packed < ENOUGH else ""
        figures.append(("packing", f"{size_text(rehearsal.rate)}/s", f"measured here{little}"))
    output.table("the real run", ["", "", ""], figures)
    held = "everything held" if rehearsal.loaded is not None else "everything held, but nothing was loaded back"
    warned = f"; {len(rehearsal.problems)} warnings, see above" if rehearsal.problems else ""
    output.say(f"{held}{warned}")


def _quotas(rehearsal: Rehearsal, only: str | None) -> Iterator[tuple[str, ...]]:
    from sealift.rehearse.figures import QUOTAS, WINDOW_S

    asked = rehearsal.publishing.counts
    for name, quota in QUOTAS.items():
        if only in (None, name):
            windows = rehearsal.windows(quota)
            fits = "fits" if windows == 1 else f"waits: {duration_text((windows - 1) * WINDOW_S)} at least"
            api, downloads = asked.against("api"), asked.against("resolvers")
            yield name, f"{api:,} of {quota.api:,}", f"{downloads:,} of {quota.resolvers:,}", fits


def _time(rehearsal: Rehearsal, bits: int) -> str:
    return f"{duration_text(rehearsal.seconds(bits))} at least"


def _line(bits: int) -> str:
    unit, name = next((size, name) for size, name in ((10**9, "Gbit"), (10**6, "Mbit"), (1, "bit")) if bits >= size)
    return f"{bits / unit:g} {name}/s"


def _as_json(rehearsal: Rehearsal, lines: tuple[int, ...], configs: tuple[str, ...]) -> dict[str, Any]:
    from sealift.rehearse.figures import QUOTAS

    asked = rehearsal.publishing.counts
    return {
        "to": rehearsal.to,
        "configs": list(configs) or None,
        "revision": rehearsal.revision,
        "files": rehearsal.files,
        "bytes": {
            "content": rehearsal.content,
            "sent": rehearsal.sent,
            "new": asked.new,
            "deduplicated": rehearsal.deduplicated,
        },
        "commits": asked.commits,
        "steps": [
            {
                "step": step.name,
                "seconds": round(step.seconds, 2),
                "requests": dict(step.counts.requests),
                "api": step.counts.against("api"),
                "resolvers": step.counts.against("resolvers"),
                "sent": step.counts.bytes_in,
                "received": step.counts.bytes_out,
                "commits": step.counts.commits,
            }
            for step in rehearsal.steps
        ],
        "windows": {name: rehearsal.windows(quota) for name, quota in QUOTAS.items()},
        "seconds": {str(bits): round(rehearsal.seconds(bits), 1) for bits in lines},
        "packing_rate": rehearsal.rate,
        "checked": dict(rehearsal.verified),
        "loaded": None
        if rehearsal.loaded is None
        else [
            {"config": one.config, "way": one.way, "rows": dict(one.rows), "cells": one.cells}
            for one in rehearsal.loaded
        ],
        "warnings": [problem.as_json() for problem in rehearsal.problems],
    }
