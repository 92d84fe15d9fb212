"""`sealift init`: a commented spec for a folder."""

from __future__ import annotations

import os
from pathlib import Path

import click

from sealift.cli.options import example, shared_options
from sealift.cli.output import Output
from sealift.errors import DestinationError, RequestError


@click.command(epilog=example("sealift init ~/recordings", "sealift init ~/scans -o scans.yaml"))
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "-o", "--output-file", "target", type=click.Path(dir_okay=False, path_type=Path), default=Path("sealift.yaml"),
    show_default=True, help="Where to write the spec.",
)  # fmt: skip
@click.option("--force", is_flag=True, help="Write over a spec that is there.")
@shared_options
def command(output: Output, folder: Path, target: Path, force: bool) -> None:
    """Recognise the layout of FOLDER and write a spec with comments.

    Known layouts: BIDS; ImageFolder and AudioFolder trees, with or without metadata tables; tables whose columns name
    files.
    """
    from sealift.tools.init import recognise, spec_text

    if target.exists() and not force:
        raise RequestError(f"{target} is there already", hint="name another with -o, or add --force", path=str(target))
    layout = recognise(folder)
    source = os.path.relpath(folder, target.absolute().parent)
    try:
        target.write_text(spec_text(layout, source, f"./{folder.resolve().name}-out"), encoding="utf-8")
    except OSError as error:
        raise DestinationError(f"{target}: {error.strerror}", hint="choose another place with -o") from error
    output.say(f"{folder} has a {layout.name} layout")
    for note in layout.notes:
        output.say(f"  {note}")
    output.say(f"wrote {target}; next: sealift plan {target}")
    output.result({"layout": layout.name, "spec": str(target), "notes": list(layout.notes)})
