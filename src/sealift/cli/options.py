"""The options that commands share, and the example at the end of their help."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from sealift.cli.output import Output
from sealift.cli.units import Size

Body = Callable[..., Any]


def shared_options(body: Body) -> Body:
    """Add `--json`, `--quiet` and `--log-file`; the body gets them as one keyword, `output: Output`."""

    @functools.wraps(body)
    def spoken(*args: Any, as_json: bool, quiet: bool, log_file: Path | None, **options: Any) -> Any:
        with Output.open(json=as_json, quiet=quiet, log_file=log_file) as output:
            return body(*args, output=output, **options)

    for option in (
        click.option("--log-file", type=click.Path(dir_okay=False, path_type=Path), help="Append a full log to FILE."),
        click.option("-q", "--quiet", is_flag=True, help="Say nothing but warnings and errors."),
        click.option("--json", "as_json", is_flag=True, help="Answer with one JSON object on stdout."),
    ):
        spoken = option(spoken)
    return spoken


memory_option = click.option(
    "--memory",
    type=Size(),
    default=None,
    help="Keep the memory of the whole run below SIZE (512MB, 2GiB).",
)
"""`memory: int | None`, in bytes, over all processes."""

max_shard_size_option = click.option(
    "--max-shard-size",
    type=Size(),
    default=None,
    help="Cut shards so that none is larger than SIZE (1GB), unless a single row is.",
)
"""`max_shard_size: int | None`, in bytes."""

workers_option = click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=None,
    metavar="N",
    help="Pack N shards at a time.  [default: one per core, as memory allows]",
)
"""`workers: int | None`, at least 1."""


def access_options(body: Body) -> Body:
    """Add `--endpoint` and `--token`; the body gets them as they are, None where nothing was said."""
    for option in (
        click.option(
            "--token", metavar="TOKEN", help="Who you are at the Hub, instead of HF_TOKEN or `hf auth login`."
        ),
        click.option("--endpoint", metavar="URL", help="Which Hub, instead of HF_ENDPOINT or huggingface.co."),
    ):
        body = option(body)
    return body


staging_option = click.option(
    "--staging",
    type=Size(least=0),
    default=None,
    help="Let SIZE of packed files wait on this disk to be uploaded; 0: none.  [default: as the Hub needs]",
)
"""`staging: int | None`, in bytes."""


def example(*lines: str) -> str:
    """An epilog that shows the lines as they are, under `Example:`."""
    # \b is click's mark for a paragraph that is not to be wrapped.
    return "\n".join(["\b", "Example:", *(f"  {line}" if line else "" for line in lines)])
