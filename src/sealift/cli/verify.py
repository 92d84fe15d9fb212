"""`sealift verify`: prove what is published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
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
    from sealift.verify import Level, Verified

_FILE = click.Path(dir_okay=False, path_type=Path)
SHOWN = 50
"""So many problems are printed."""


@click.command(
    epilog=example(
        "sealift verify ./out",
        "sealift verify org/name --level sample --cells 300",
        "sealift verify org/name --level full --part 3/12 --certificate march.json",
        "sealift verify org/name --certified march.json",
        "sealift verify ./out --against sealift.yaml",
    )
)
@click.argument("where", metavar="FOLDER|ORG/NAME")
@click.option(
    "--level",
    type=click.Choice(["tree", "footers", "sample", "rows", "full"]),
    default=None,
    help="How far to go.  [default: full, or as the certificate]",
)
@click.option("--cells", type=int, metavar="N", help="Draw N cells for a sample.  [default: 300]")
@click.option("--seed", type=int, metavar="N", help="Draw the same cells again.  [default: others each time]")
@click.option("--part", metavar="K/N", help="Read the media of the Kth of N equal parts alone: 3/12.")
@click.option("--revision", metavar="REVISION", help="Look at this branch, tag or commit of a repository.")
@click.option("--against", metavar="SPEC_OR_DIR", help="Compare every row and cell with the source, too.")
@click.option("--certificate", type=_FILE, metavar="FILE", help="Write what was proven to FILE.")
@click.option("--certified", type=_FILE, metavar="FILE", help="Is it still what the certificate in FILE says?")
@from_option
@env_file_option
@memory_option
@access_options
@shared_options
def command(
    output: Output,
    where: str,
    level: Level | None,
    cells: int | None,
    seed: int | None,
    part: str | None,
    revision: str | None,
    against: str | None,
    certificate: Path | None,
    certified: Path | None,
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
    from sealift.build import verify_published
    from sealift.build.places import Access
    from sealift.verify.certificate import read_certificate
    from sealift.verify.extent import extent_of, part_of

    earlier = read_certificate(certified) if certified else None
    asked = (level, cells, seed, part_of(part) if part else None)
    wanted = earlier.extent if earlier and asked == (None, None, None, None) else extent_of(*asked)
    spec = read_spec(against, output, env_file, from_) if against else None
    with progress(output) as on_event, TemporaryDirectory(prefix="sealift-") as work:
        verified = verify_published(
            where,
            Path(work),
            wanted,
            spec,
            revision=revision,
            access=Access(endpoint, token),
            memory=memory,
            certificate=certificate,
            certified=earlier,
            on_event=on_event,
        )
    looked = _looked(verified, against, certified)
    if not verified.proven:
        raise _not_proven(where, verified.problems, looked)
    output.say(_proven(verified))
    if certificate:
        output.say(f"certificate: {certificate}")
    plan = verified.manifest.plan if verified.manifest else None
    output.result({"path": where, **looked, "certificate": certificate, "plan": plan, "problems": []})


def _looked(verified: Verified, against: str | None, certified: Path | None) -> dict[str, Any]:
    """How far was looked, and what that took."""
    return {
        **asdict(verified.extent),
        "against": against,
        "certified": certified,
        "checked": verified.checked,
        "bytes_read": verified.bytes_read,
        "requests": verified.requests,
        "bytes": verified.size,
        "share": verified.share,
        "revision": verified.revision,
        "manifest_sha256": verified.manifest_sha256,
    }


def _proven(verified: Verified) -> str:
    counts = ", ".join(f"{count:,} {what}" for what, count in verified.checked.items())
    share = "" if verified.share is None else f" ({100 * verified.share:.2g} % of the dataset)"
    reads = f"{verified.requests:,} reads, {size_text(verified.bytes_read)}{share} read"
    return f"proven ({verified.extent}): {counts}; {reads}"


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
