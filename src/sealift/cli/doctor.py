"""`sealift doctor`: what would keep a publication from working, and what to mend."""

from __future__ import annotations

import click

from sealift.cli.options import access_options, example, shared_options
from sealift.cli.output import Output
from sealift.errors import DestinationError, MissingExtra, SealiftError


@click.command(epilog=example("sealift doctor", "sealift doctor --to org/name", "sealift doctor --to org/name --json"))
@click.option("--to", metavar="ORG/NAME", help="Check whether this dataset could be published to.")
@access_options
@shared_options
def command(output: Output, to: str | None, endpoint: str | None, token: str | None) -> None:
    """Check libraries, memory, disk, network, token and rights, and say what to mend.

    Nothing is written, neither here nor at the Hub. Exit code 0 means that nothing stands against publishing; 6 that
    the Hub, a right or room is missing; 8 that a library is.
    """
    from sealift.tools.doctor import diagnose

    found = diagnose(to, endpoint, token)
    output.table(
        "", ["check", "", "found", "what to do"], [(one.name, one.state, one.said, one.remedy) for one in found]
    )
    problems = [one for one in found if one.state == "problem"]
    if problems:
        worst = max(problems, key=lambda one: one.exit_code)
        kind: type[SealiftError] = MissingExtra if worst.exit_code == MissingExtra.exit_code else DestinationError
        raise kind(
            "\n".join([_count(len(problems)), *(f"  {one.name}: {one.said}" for one in problems)]),
            hint=worst.remedy,
            findings=[one.as_json() for one in found],
        )
    output.result({"findings": [one.as_json() for one in found]})


def _count(problems: int) -> str:
    return f"publishing would fail: {problems} problem{'s' if problems > 1 else ''}"
