"""`sealift finish`: the last commit of a run that ended before it knew what became of it."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sealift.cli.options import access_options, example, shared_options, state_option
from sealift.cli.output import Output
from sealift.cli.progress import progress

if TYPE_CHECKING:
    from sealift.build.finish import Finished


@click.command(epilog=example("sealift finish org/name", "sealift finish org/name --state /mnt/jobs --json"))
@click.argument("to", metavar="FOLDER|ORG/NAME")
@access_options
@state_option
@shared_options
def command(output: Output, to: str, endpoint: str | None, token: str | None, state: Path | None) -> None:
    """Finish a commit from the record of its job alone: neither the spec nor the source is needed.

    If a run ended while it was sending its commit, this looks whether the commit has taken effect, and sends it if not.
    It works on any machine that has the job's state. `sealift status` says where it is needed; where shards are still
    to be packed, `sealift publish` goes on.
    """
    from sealift.build.finish import finish
    from sealift.build.places import Access

    with progress(output) as on_event:
        done = finish(to, access=Access(endpoint, token, state=state), on_event=on_event)
    _tell(output, done, endpoint)


def _tell(output: Output, done: Finished, endpoint: str | None) -> None:
    at = f" (revision {done.revision})" if done.revision else ""
    if done.landed:
        output.say(f"nothing was to be sent: the commit to {done.to} had taken effect{at}")
    else:
        output.say(f"published {len(done.files):,} files to {done.to}{at}")
    if not done.over:
        output.say(f"the job is not over, and {done.left:,} shards are left: go on with `sealift publish`")
    named = f" --endpoint {shlex.quote(endpoint)}" if endpoint and done.revision else ""
    output.say(f"prove it: sealift verify {shlex.quote(done.to)}{named}")
    output.result(
        {
            "to": done.to,
            "revision": done.revision,
            "had_landed": done.landed,
            "files": list(done.files),
            "left": done.left,
        },
    )
