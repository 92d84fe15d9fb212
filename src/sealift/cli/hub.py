"""`sealift hub`: a Hub on this machine, to try things against."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping
from errno import EADDRINUSE
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sealift.cli.options import example, shared_options
from sealift.cli.output import Output
from sealift.errors import DestinationError, RequestError

if TYPE_CHECKING:
    from sealift.localhub import Settings
    from sealift.localhub.faults import Fault

ROOT = Path("~/.cache/sealift/hub")
"""Where the state lies if nobody says otherwise."""


@click.command(epilog=example("sealift hub", "sealift hub --root ./hub --port 8000", "sealift hub --no-xet --json"))
@click.option(
    "--root", type=click.Path(file_okay=False, path_type=Path), default=ROOT, show_default=True,
    help="Keep everything in this folder; it is there again at the next start.",
)  # fmt: skip
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, metavar="N", help="Listen there.  [default: a free port]"
)
@click.option("--org", "orgs", multiple=True, metavar="NAME", help="Let only this namespace be written to; repeatable.")
@click.option("--no-xet", is_flag=True, help="Be a Hub without Xet.")
@click.option(
    "--quota-api", type=click.IntRange(min=1), metavar="N", help="Answer 429 after N API requests in 5 minutes."
)
@click.option(
    "--quota-resolvers", type=click.IntRange(min=1), metavar="N", help="Answer 429 after N downloads in 5 minutes."
)
@click.option(
    "--faults", metavar="FILE", help="Go wrong as that file says, or as the profile of that name does (docs/faults.md)."
)
@shared_options
def command(
    output: Output,
    root: Path,
    port: int,
    orgs: tuple[str, ...],
    no_xet: bool,
    quota_api: int | None,
    quota_resolvers: int | None,
    faults: str | None,
) -> None:
    """Run a Hub on this machine until Ctrl-C, for rehearsals and tests.

    It answers on 127.0.0.1 only, to `sealift` and to the official clients alike, and keeps what is published in one
    folder. Its tokens are its own: no account is needed, and none is touched.
    """
    from sealift.localhub import Settings, serve
    from sealift.localhub.server import RootInUse

    settings = Settings(
        root=root.expanduser().absolute(),
        port=port,
        orgs=orgs or None,
        xet=not no_xet,
        quota_api=quota_api,
        quota_resolvers=quota_resolvers,
        faults=() if faults is None else _faults(faults),
    )
    try:
        serve(settings, lambda address: _announce(output, address))
    except RootInUse as error:
        raise RequestError(str(error), hint="stop the other one, or choose another folder with --root") from error
    except OSError as error:
        raise _not_started(settings, error) from error
    output.say("stopped")


def _faults(named: str) -> tuple[Fault, ...]:
    """What is to go wrong.

    Raises:
        RequestError: it cannot be read, or says something else; the message names the file and the key.
    """
    from sealift.localhub.faultfile import WrongFaults, at_start

    try:
        return at_start(named)
    except WrongFaults as error:
        raise RequestError(f"--faults: {error}", hint="see docs/faults.md for what a fault may say") from error


def _announce(output: Output, address: Mapping[str, str]) -> None:
    """Say where it is and what to type; past the redaction, since this token is to be used, and opens only this Hub."""
    if output.json:
        lines = [json.dumps({"ok": True, **address})]
    else:
        name = f"{address['user']}/my-dataset"
        lines = [
            f"export HF_ENDPOINT={address['endpoint']} HF_TOKEN={address['token']}",
            f"sealift publish sealift.yaml --to {name}",
            f"python -c 'from datasets import load_dataset; print(load_dataset(\"{name}\"))'",
        ]
    output.say(f"a Hub answers at {address['endpoint']}; its state is in {shlex.quote(address['root'])}")
    if not output.json:
        output.say("in another terminal, the first line, then publish and load (Ctrl-C here ends the Hub):")
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def _not_started(settings: Settings, error: OSError) -> DestinationError:
    where = f"port {settings.port}" if error.errno == EADDRINUSE else str(settings.root)
    return DestinationError(
        f"the Hub cannot start: {where}: {error.strerror}",
        hint="choose another --port" if error.errno == EADDRINUSE else "choose another --root",
    )
