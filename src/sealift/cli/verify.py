"""`sealift verify`: prove what is published."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import click

from sealift.cli.options import example, memory_option, shared_options
from sealift.cli.output import Output
from sealift.cli.progress import progress
from sealift.cli.units import size_text
from sealift.errors import IntegrityError, RequestError

if TYPE_CHECKING:
    from sealift.verify import Level


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
@click.option("--against", metavar="SPEC", help="Compare every row and cell with the source, too.")
@click.option("--from", "from_", metavar="FOLDER", help="With --against: where the files are.")
@click.option("--env-file", type=click.Path(dir_okay=False, path_type=Path), help="Fill ${VARIABLES} from FILE, too.")
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
    from sealift.build import verify_folder
    from sealift.cli.spec_source import read_spec

    if not Path(folder).is_dir():
        raise RequestError(f"there is no folder {folder}", hint="give the folder that was published to", path=folder)
    spec = read_spec(against, output, env_file=env_file, from_=from_) if against else None
    with progress(output) as on_event, TemporaryDirectory(prefix="sealift-") as work:
        verified = verify_folder(Path(folder), Path(work), level, spec, memory=memory, on_event=on_event)
    for problem in verified.problems:
        output.warn(str(problem))
    looked = ", ".join(f"{count:,} {what}" for what, count in verified.checked.items())
    if not verified.proven:
        raise IntegrityError(
            f"{folder} is not proven: {len(verified.problems)} problems",
            hint="docs/verify.md says what each code means",
            path=folder,
            problems=[problem.as_json() for problem in verified.problems],
        )
    output.say(f"proven ({level}): {looked}; {size_text(verified.bytes_read)} read")
    output.result(
        {
            "path": folder,
            "level": level,
            "against": against,
            "checked": verified.checked,
            "bytes_read": verified.bytes_read,
            "plan": verified.manifest.plan if verified.manifest else None,
            "problems": [],
        }
    )
