"""`sealift publish`: from a spec or a folder to a published dataset."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from sealift.cli.options import example, max_shard_size_option, memory_option, shared_options, workers_option
from sealift.cli.output import Output
from sealift.cli.progress import progress
from sealift.cli.units import size_text
from sealift.errors import RequestError
from sealift.model import manifest

EXPECTED = (".git", ".gitattributes", ".gitignore", manifest.CARD)
"""What may lie in a folder before the first publication."""


@click.command(
    epilog=example(
        "sealift publish sealift.yaml --to ./out",
        "sealift publish ~/recordings --to ./out --max-shard-size 500MB",
        "sealift publish sealift.yaml --to ./out --configs labels_only --dry-run",
    )
)
@click.argument("spec_or_dir")
@click.option("--to", metavar="FOLDER|ORG/NAME", help="Where to publish; goes before `to:` in the spec.")
@click.option("--from", "from_", metavar="FOLDER", help="Where the files are; goes before `from:` in the spec.")
@click.option("--configs", multiple=True, metavar="NAME", help="Publish this config only (again for more: -c A -c B).")
@click.option("--dry-run", is_flag=True, help="Show the plan and change nothing.")
@click.option("--strict", is_flag=True, help="Take warnings for errors.")
@click.option("--private", is_flag=True, help="Make the repository private (on the Hub).")
@click.option("-y", "--yes", is_flag=True, help="Ask nothing.")
@click.option("--env-file", type=click.Path(dir_okay=False, path_type=Path), help="Fill ${VARIABLES} from FILE, too.")
@max_shard_size_option
@memory_option
@workers_option
@shared_options
def command(
    output: Output,
    spec_or_dir: str,
    to: str | None,
    from_: str | None,
    configs: tuple[str, ...],
    dry_run: bool,
    strict: bool,
    private: bool,
    yes: bool,
    env_file: Path | None,
    max_shard_size: int | None,
    memory: int | None,
    workers: int | None,
) -> None:
    """Pack files and tables into shards and publish them together.

    SPEC_OR_DIR is a spec (sealift.yaml) or a folder in a layout that `sealift init` recognises. Nothing is visible at
    the destination before everything is packed; a run that is stopped leaves what was there. A second run with nothing
    changed writes nothing.
    """
    from sealift.build import build
    from sealift.cli.plan import show
    from sealift.cli.spec_source import read_spec
    from sealift.plan import DEFAULT_MEMORY

    spec = read_spec(spec_or_dir, output, env_file=env_file, from_=from_, max_shard_size=max_shard_size)
    spec = spec.having(private=private or None)
    if not dry_run and not yes:
        _ask(spec.path(spec.to or "") if to is None else Path(to))
    if dry_run:
        show(output, spec, to, configs, memory, workers, strict=strict)
        return
    with progress(output) as on_event:
        built = build(
            spec,
            to,
            configs=configs or None,
            memory=memory or DEFAULT_MEMORY,
            workers=workers,
            strict=strict,
            on_event=on_event,
        )
    publication = built.publication
    if not publication.written:
        output.say(f"{built.root} is up to date: nothing was written")
    else:
        deleted = f", {len(publication.deleted)} deleted" if publication.deleted else ""
        size = size_text(publication.bytes_written)
        output.say(f"published {len(publication.written)} files ({size}) to {built.root}{deleted}")
    if built.plan.rejects:
        output.say(f"{built.plan.rejects} files were left out: see .sealift/rejects.parquet")
    output.say(f"prove it: sealift verify {built.root}")
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


def _ask(folder: Path) -> None:
    """Ask before publishing into a folder that holds other things; refuse where nobody can answer."""
    if not folder.is_dir() or (folder / manifest.PATH).exists():
        return
    others = sorted(one.name for one in folder.iterdir() if one.name not in EXPECTED)
    if not others:
        return
    if not sys.stdin.isatty():
        raise RequestError(
            f"{folder} holds other things ({', '.join(others[:5])})",
            hint="publish to a folder of its own, or add --yes",
        )
    click.confirm(f"{folder} holds other things ({', '.join(others[:5])}). Publish into it all the same?", abort=True)
