"""`sealift publish`: from a spec or a folder to a published dataset."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sealift.cli.names import NamesConfigs
from sealift.cli.options import example, shared_options
from sealift.cli.output import Output
from sealift.cli.progress import progress
from sealift.cli.show import show
from sealift.cli.spec_source import Asked, asked_options
from sealift.cli.units import size_text
from sealift.errors import RequestError
from sealift.model import manifest

if TYPE_CHECKING:
    from sealift.build import Built
    from sealift.spec import Spec

EXPECTED = (".git", ".gitattributes", ".gitignore", manifest.CARD)
"""What may lie in a folder before the first publication."""


@click.command(
    cls=NamesConfigs,
    epilog=example(
        "sealift publish sealift.yaml --to ./out",
        "sealift publish ~/recordings --to ./out --max-shard-size 500MB",
        "sealift publish sealift.yaml --to ./out --configs audio labels_only --dry-run",
    ),
)
@asked_options
@click.option("--dry-run", is_flag=True, help="Show the plan and change nothing.")
@click.option("--private", is_flag=True, help="Make the repository private (on the Hub).")
@click.option("--repair", is_flag=True, help="Read what is published first, and make anew what is damaged.")
@click.option("-y", "--yes", is_flag=True, help="Ask nothing, and replace another dataset that is there.")
@shared_options
def command(output: Output, asked: Asked, dry_run: bool, private: bool, repair: bool, yes: bool) -> None:
    """Pack files and tables into shards and publish them together.

    SPEC_OR_DIR is a spec (sealift.yaml) or a folder in a layout that `sealift init` recognises. Nothing is visible at
    the destination before everything is packed; a run that is stopped leaves what was there. A second run with nothing
    changed writes nothing.
    """
    spec = asked.spec(output).having(private=private or None)
    if dry_run:
        show(output, spec, asked)
        return
    if not yes and not _agreed(Path(asked.to).expanduser() if asked.to else spec.path(spec.to or "")):
        output.say("nothing was published")
        output.result({"to": None, "written": [], "deleted": []})
        return
    _tell(output, _publish(output, spec, asked, repair=repair, replace=yes))


def _publish(output: Output, spec: Spec, asked: Asked, *, repair: bool, replace: bool) -> Built:
    from sealift.build import build
    from sealift.plan import DEFAULT_MEMORY

    with progress(output) as on_event:
        return build(
            spec,
            asked.to,
            configs=asked.configs or None,
            memory=asked.memory or DEFAULT_MEMORY,
            workers=asked.workers,
            strict=asked.strict,
            repair=repair,
            replace=replace,
            on_event=on_event,
        )


def _agreed(folder: Path) -> bool:
    """Ask before publishing into a folder that holds other things; refuse where nobody can answer."""
    if not folder.is_dir() or (folder / manifest.PATH).exists():
        return True
    others = sorted(one.name for one in folder.iterdir() if one.name not in EXPECTED)
    if not others:
        return True
    message = f"{folder} holds other things ({', '.join(others[:5])}{' …' if len(others) > 5 else ''})"
    if not sys.stdin.isatty():
        raise RequestError(message, hint="publish to a folder of its own, or add --yes")
    return click.confirm(f"{message}; verify will find these unexpected. Publish into it all the same?", err=True)


def _tell(output: Output, built: Built) -> None:
    """Say what was done, and what can be done next."""
    publication = built.publication
    if publication.written or publication.deleted:
        deleted = f", {len(publication.deleted)} deleted" if publication.deleted else ""
        size = size_text(publication.bytes_written)
        output.say(f"published {len(publication.written)} files ({size}) to {built.root}{deleted}")
    else:
        output.say(f"{built.root} is up to date: nothing was written")
    if built.plan.rejects:
        output.say(f"{built.plan.rejects} files were left out: {built.root / manifest.REJECTS} lists them")
    output.say(f"prove it: sealift verify {shlex.quote(str(built.root))}")
    output.result(
        {
            "to": str(built.root),
            "written": list(publication.written),
            "deleted": list(publication.deleted),
            "bytes_written": publication.bytes_written,
            "packed": built.packed,
            "plan": publication.manifest.plan,
            "rejects": built.plan.rejects,
            "warnings": [problem.as_json() for problem in (*built.plan.problems, *built.findings)],
        }
    )
