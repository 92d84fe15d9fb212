"""The options that commands share, and the example at the end of their help."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from sealift.cli.output import Output
from sealift.cli.units import Size
from sealift.errors import RequestError
from sealift.model.bandwidth import bytes_a_second

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


endpoint_option = click.option("--endpoint", metavar="URL", help="Which Hub, instead of HF_ENDPOINT or huggingface.co.")


def access_options(body: Body) -> Body:
    """Add `--endpoint` and `--token`; the body gets them as they are, None where nothing was said."""
    token = click.option(
        "--token", metavar="TOKEN", help="Who you are at the Hub, instead of HF_TOKEN or `hf auth login`."
    )
    return endpoint_option(token(body))


class Bandwidth(click.ParamType):  # type: ignore[type-arg, unused-ignore]  # generic in newer clicks only
    """Bytes a second: `50MB/s`, or in bits `400Mbit/s`. Yields an int."""

    name = "bandwidth"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The bytes a second that the text stands for; fails as a usage error that says what to write instead."""
        try:
            return bytes_a_second(value)
        except RequestError as error:
            self.fail(f"{error.message}; {error.hint}.", param, ctx)

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        """What the help shows in the place of the value."""
        return "RATE"


bandwidth_option = click.option(
    "--bandwidth", type=Bandwidth(), default=None, help="Upload at most so much a second (50MB/s, 400Mbit/s)."
)
"""`bandwidth: int | None`, in bytes a second, of all processes of the run together."""

state_option = click.option(
    "--state",
    type=click.Path(file_okay=False, path_type=Path),
    default=None,
    metavar="DIR",
    help="The job's record lies in DIR, not beside the folder or in SEALIFT_STATE.",
)
"""`state: Path | None`."""

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
