"""`sealift verify`: prove what is published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from sealift.cli.options import access_options, example, memory_option, shared_options
from sealift.cli.output import Output
from sealift.cli.progress import progress
from sealift.cli.spec_source import env_file_option, from_option, read_spec
from sealift.cli.units import size_text
from sealift.errors import IntegrityError, RequestError

if TYPE_CHECKING:
    from sealift.model.problem import Problem
    from sealift.verify import Level

SHOWN = 50
"""So many problems are printed."""


@click.command(
    epilog=example(
        "sealift verify ./out",
        "sealift verify org/name --level tree --json",
        "sealift verify ./out --against sealift.yaml",
    )
)
@click.argument("where", metavar="FOLDER|ORG/NAME")
@click.option(
    "--level",
    type=click.Choice(["tree", "footers", "rows", "full"]),
    default="full",
    show_default=True,
    help="How far to go; each level holds those before it.",
)
@click.option("--revision", metavar="REVISION", help="Look at this branch, tag or commit of a repository.")
@click.option("--against", metavar="SPEC_OR_DIR", help="Compare every row and cell with the source, too.")
@from_option
@env_file_option
@memory_option
@access_options
@shared_options
def command(
    output: Output,
    where: str,
    level: Level,
    revision: str | None,
    against: str | None,
    from_: str | None,
    env_file: Path | None,
    memory: int | None,
    endpoint: str | None,
    token: str | None,
) -> None:
    """Prove that what is published is what its manifest says, down to every byte of every media file.

    FOLDER or ORG/NAME is a published dataset. Exit code 0 means proven; 7 that something is wrong: each problem is
    named with a code, a place and a remedy (docs/verify.md).
    """
    if against is None and (from_ or env_file or memory):
        raise RequestError("--from, --env-file and --memory go with --against", hint="add --against sealift.yaml")
    spec = read_spec(against, output, env_file, from_) if against else None
    from sealift.build import verify_published
    from sealift.build.places import Access

    with progress(output) as on_event, TemporaryDirectory(prefix="sealift-") as work:
        verified = verify_published(
            where,
            Path(work),
            level,
            spec,
            revision=revision,
            access=Access(endpoint, token),
            memory=memory,
            on_event=on_event,
        )
    looked = {"level": level, "against": against, "checked": verified.checked, "bytes_read": verified.bytes_read}
    looked["revision"] = verified.revision
    if not verified.proven:
        raise _not_proven(where, verified.problems, looked)
    counts = ", ".join(f"{count:,} {what}" for what, count in verified.checked.items())
    output.say(f"proven ({level}): {counts}; {size_text(verified.bytes_read)} read")
    plan = verified.manifest.plan if verified.manifest else None
    output.result({"path": where, **looked, "plan": plan, "problems": []})


def _not_proven(where: str, problems: Sequence[Problem], looked: Mapping[str, Any]) -> IntegrityError:
    lines = [f"  {problem}" for problem in problems[:SHOWN]]
    if len(problems) > SHOWN:
        lines.append(f"  … and {len(problems) - SHOWN} more; --json has them all")
    count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
    return IntegrityError(
        "\n".join([f"{where} is not proven: {count}", *lines]),
        hint="docs/verify.md says what each code means",
        path=where,
        **looked,
        problems=[problem.as_json() for problem in problems],
    )
