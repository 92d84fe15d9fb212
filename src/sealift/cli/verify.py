"""`sealift verify`: prove what is published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from sealift.cli.options import example, memory_option, shared_options
from sealift.cli.output import Output
from sealift.cli.progress import progress
from sealift.cli.spec_source import env_file_option, from_option, read_spec
from sealift.cli.units import size_text
from sealift.errors import IntegrityError, RequestError

if TYPE_CHECKING:
    from sealift.model.problem import Problem
    from sealift.spec import Spec
    from sealift.verify import Level, Verified

SHOWN = 50
"""So many problems are printed."""


@click.command(
    epilog=example(
        "sealift verify ./out",
        "sealift verify ./out --level footers --json",
        "sealift verify ./out --against sealift.yaml",
    )
)
@click.argument("folder")
@click.option(
    "--level",
    type=click.Choice(["tree", "footers", "rows", "full"]),
    default="full",
    show_default=True,
    help="How far to go; each level holds those before it.",
)
@click.option("--against", metavar="SPEC_OR_DIR", help="Compare every row and cell with the source, too.")
@from_option
@env_file_option
@memory_option
@shared_options
def command(
    output: Output,
    folder: str,
    level: Level,
    against: str | None,
    from_: str | None,
    env_file: Path | None,
    memory: int | None,
) -> None:
    """Prove that what is published is what its manifest says, down to every byte of every media file.

    FOLDER is a published dataset. Exit code 0 means proven; 7 that something is wrong: each problem is named with a
    code, a place and a remedy (docs/verify.md).
    """
    if not Path(folder).is_dir():
        raise RequestError(f"there is no folder {folder}", hint="give the folder that was published to", path=folder)
    if against is None and (from_ or env_file or memory):
        raise RequestError("--from, --env-file and --memory go with --against", hint="add --against sealift.yaml")
    spec = read_spec(against, output, env_file, from_) if against else None
    verified = _verify(output, Path(folder), level, spec, memory)
    looked = {"level": level, "against": against, "checked": verified.checked, "bytes_read": verified.bytes_read}
    if not verified.proven:
        raise _not_proven(folder, verified.problems, looked)
    counts = ", ".join(f"{count:,} {what}" for what, count in verified.checked.items())
    output.say(f"proven ({level}): {counts}; {size_text(verified.bytes_read)} read")
    plan = verified.manifest.plan if verified.manifest else None
    output.result({"path": folder, **looked, "plan": plan, "problems": []})


def _not_proven(folder: str, problems: Sequence[Problem], looked: Mapping[str, Any]) -> IntegrityError:
    lines = [f"  {problem}" for problem in problems[:SHOWN]]
    if len(problems) > SHOWN:
        lines.append(f"  … and {len(problems) - SHOWN} more; --json has them all")
    count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
    return IntegrityError(
        "\n".join([f"{folder} is not proven: {count}", *lines]),
        hint="docs/verify.md says what each code means",
        path=folder,
        **looked,
        problems=[problem.as_json() for problem in problems],
    )


def _verify(output: Output, folder: Path, level: Level, spec: Spec | None, memory: int | None) -> Verified:
    from sealift.build import verify_folder

    with progress(output) as on_event, TemporaryDirectory(prefix="sealift-") as work:
        return verify_folder(folder, Path(work), level, spec, memory=memory, on_event=on_event)
