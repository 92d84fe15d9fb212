"""`sealift publish`: from a spec or a folder to a published dataset."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING

import click

from sealift.cli.names import NamesConfigs
from sealift.cli.options import bandwidth_option, example, shared_options, state_option
from sealift.cli.output import Output
from sealift.cli.progress import progress
from sealift.cli.show import show
from sealift.cli.spec_source import Asked, asked_options
from sealift.cli.units import size_text
from sealift.errors import RequestError
from sealift.model import manifest

if TYPE_CHECKING:
    from sealift.build import Built, Found
    from sealift.spec import Spec

EXPECTED = (".git", ".gitattributes", ".gitignore", manifest.CARD)
"""What may lie in a folder before the first publication."""


@click.command(
    cls=NamesConfigs,
    epilog=example(
        "sealift publish sealift.yaml --to ./out",
        "sealift publish ~/recordings --to org/name --private --bandwidth 50MB/s",
        "sealift publish sealift.yaml --to ./out --configs audio labels_only --dry-run",
    ),
)
@asked_options
@click.option("--dry-run", is_flag=True, help="Show the plan and change nothing.")
@click.option("--private", is_flag=True, help="Make the repository private (on the Hub).")
@click.option(
    "--commits",
    type=click.Choice(["one", "per-config"]),
    default="one",
    show_default=True,
    help="Commit all at once, or config by config, smallest first, the card last.",
)
@click.option("--purge", is_flag=True, help="Delete everything else that is there, in the same commit; asks first.")
@click.option("--repair", is_flag=True, help="Read what is published first, and make anew what is damaged.")
@click.option("-y", "--yes", is_flag=True, help="Ask nothing, and replace another dataset that is there.")
@bandwidth_option
@state_option
@shared_options
def command(
    output: Output,
    asked: Asked,
    dry_run: bool,
    private: bool,
    commits: str,
    purge: bool,
    repair: bool,
    yes: bool,
) -> None:
    """Pack files and tables into shards and publish them together.

    SPEC_OR_DIR is a spec (sealift.yaml) or a folder in a layout that `sealift init` recognises. Nothing is visible at
    the destination, a folder or a repository on the Hub, before everything is packed; a run that is stopped leaves what
    was there, and the same command goes on with it. A second run with nothing changed writes nothing.
    """
    spec = asked.spec(output).having(private=private or None)
    if dry_run:
        show(output, spec, asked, commit_per_config=commits == "per-config")
        return
    from sealift.build import build
    from sealift.plan import DEFAULT_MEMORY

    gone: Found | None = None
    if purge and not asked.configs:
        found = gone = _to_purge(spec, asked)
        agreed = yes or not found.files or _agreed_to_purge(asked.to or spec.to or "", found)
    else:
        agreed = yes or _agreed(spec, asked)
    if not agreed:
        output.say("nothing was published")
        output.result({"to": None, "written": [], "deleted": []})
        return
    with progress(output) as on_event:
        built = build(
            spec,
            asked.to,
            configs=asked.configs or None,
            memory=asked.memory or DEFAULT_MEMORY,
            workers=asked.workers,
            strict=asked.strict,
            repair=repair,
            replace=yes,
            purge=gone or purge,
            commit_per_config=commits == "per-config",
            access=asked.access,
            on_event=on_event,
        )
    _tell(output, built, asked)


def _to_purge(spec: Spec, asked: Asked) -> Found:
    """What a purge would delete, at most."""
    from sealift.build import look_at

    return look_at(spec, asked.to, access=asked.access)


def _agreed_to_purge(to: str, gone: Found) -> bool:
    """Ask before everything goes; refuse where nobody can answer."""
    there = f"{gone.files:,} files, {size_text(gone.bytes)}"
    message = f"--purge deletes all that is in {to} and not published again: {there} are there"
    if not sys.stdin.isatty():
        raise RequestError(message, hint="add --yes if that is meant; .gitattributes and the new files stay")
    return click.confirm(f"{message}. Go on?", err=True)


def _agreed(spec: Spec, asked: Asked) -> bool:
    """Ask before publishing into a folder that holds other things; refuse where nobody can answer."""
    from sealift.build.places import folders_here

    folder = next(iter(folders_here(spec, asked.to)), None)
    if folder is None or not folder.is_dir() or (folder / manifest.PATH).exists():
        return True
    others = sorted(one.name for one in folder.iterdir() if one.name not in EXPECTED)
    if not others:
        return True
    message = f"{folder} holds other things ({', '.join(others[:5])}{' …' if len(others) > 5 else ''})"
    if not sys.stdin.isatty():
        raise RequestError(message, hint="publish to a folder of its own, or add --yes")
    return click.confirm(f"{message}; verify will find these unexpected. Publish into it all the same?", err=True)


def _tell(output: Output, built: Built, asked: Asked) -> None:
    """Say what was done, and what can be done next."""
    publication = built.publication
    if publication.written or publication.deleted:
        deleted = f", {len(publication.deleted):,} deleted" if publication.deleted else ""
        size = size_text(publication.bytes_written)
        at = f" in {publication.commits} commit{'s' if publication.commits > 1 else ''}" if built.revision else ""
        output.say(f"published {len(publication.written):,} files ({size}) to {built.to}{deleted}{at}")
    else:
        output.say(f"{built.to} is up to date: nothing was written")
    if built.url:
        output.say(f"look at it: {built.url} (revision {built.revision})")
    if built.plan.rejects:
        output.say(f"{built.plan.rejects} files were left out: {built.to}/{manifest.REJECTS} lists them")
    endpoint = f" --endpoint {shlex.quote(asked.endpoint)}" if asked.endpoint and built.url else ""
    output.say(f"prove it: sealift verify {shlex.quote(built.to)}{endpoint}")
    output.result(
        {
            "to": built.to,
            "url": built.url,
            "revision": built.revision,
            "commits": publication.commits,
            "written": list(publication.written),
            "deleted": list(publication.deleted),
            "bytes_written": publication.bytes_written,
            "packed": built.packed,
            "plan": publication.manifest.plan,
            "rejects": built.plan.rejects,
            "warnings": [problem.as_json() for problem in (*built.plan.problems, *built.findings)],
        }
    )
