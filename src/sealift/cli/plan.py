"""`sealift plan`: what would be published, and what stands against it."""

from __future__ import annotations

import click

from sealift.cli.names import NamesConfigs
from sealift.cli.options import example, shared_options
from sealift.cli.output import Output
from sealift.cli.show import show
from sealift.cli.spec_source import Asked, asked_options


@click.command(
    cls=NamesConfigs,
    epilog=example(
        "sealift plan sealift.yaml",
        "sealift plan ~/recordings --check 3",
        "sealift plan sealift.yaml --from /data/other --json",
    ),
)
@asked_options
@click.option("--check", type=click.IntRange(min=0), default=0, metavar="N", help="Decode and show N rows.")
@shared_options
def command(output: Output, asked: Asked, check: int) -> None:
    """Show rows, shards, bytes and schema of what would be published, and every problem with it.

    SPEC_OR_DIR is a spec (sealift.yaml) or a folder in a layout that `sealift init` recognises. Reads the tables and
    the listing, and the first and last bytes of some files; writes nothing. Exit code 4 means that it could not be
    published as it is.
    """
    show(output, asked.spec(output), asked, check)
