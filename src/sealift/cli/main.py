"""`sealift`: names the commands, and imports one only when it is used.

`sealift --help` is read more often than any command is run, so it loads click and nothing else.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import click

from sealift import __version__
from sealift.cli.exit import run
from sealift.cli.options import example
from sealift.errors import NotSupportedYet
from sealift.runners.alone import without_pandas

COMMANDS: Mapping[str, tuple[str, str]] = {
    "publish": ("sealift.cli.publish", "Pack a folder or a spec into shards and publish them as one."),
    "status": ("sealift.cli.status", "Show how far a publication is, and what to type next."),
    "finish": ("sealift.cli.finish", "Finish a commit that a run was about to send when it ended."),
    "plan": ("sealift.cli.plan", "Show what would be published, and what stands against it."),
    "verify": ("sealift.cli.verify", "Prove a published dataset, file by file or cell by cell."),
    "init": ("sealift.cli.init", "Recognise a folder's layout and write a commented spec for it."),
    "demo": ("sealift.cli.demo", "Make a small dataset, publish it, verify it and load it back."),
    "rehearse": ("sealift.cli.rehearse", "Publish to a Hub on this machine, and say what the real run will do."),
    "doctor": ("sealift.cli.doctor", "Check this machine, the token and the Hub, and say what to mend."),
    "hub": ("sealift.cli.hub", "Run a Hub on this machine."),
}
"""Each command's module, which holds it as `command`, and its line in the listing; in the order they are listed."""

_COMPLETION = "_SEALIFT_COMPLETE"


class LazyGroup(click.Group):
    """A group whose commands are modules, imported when they are used; run in the frame of `exit.run`."""

    def __init__(self, *args: Any, table: Mapping[str, tuple[str, str]], **extra: Any) -> None:
        super().__init__(*args, **extra)
        self.table = table

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names in the table, in its order."""
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, imported now; None for a name that is not in the table.

        Raises:
            NotSupportedYet: the table names a module that this version does not have.
        """
        if cmd_name not in self.table:
            return None
        module, _ = self.table[cmd_name]
        try:
            command: click.Command = importlib.import_module(module).command
        except ModuleNotFoundError as error:
            if error.name != module:
                raise
            raise NotSupportedYet(
                f"this version has no command {cmd_name!r}", hint="sealift --help", key=cmd_name
            ) from error
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The listing, from the table: no command is imported for it."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in self.table.items()])

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> NoReturn:
        """Run the arguments (default: the process's own) in the frame and exit with its code."""
        name = prog_name or self.name or "sealift"
        _complete(self, name, complete_var or _COMPLETION)
        sys.exit(run(self, sys.argv[1:] if args is None else args, name, **extra))


def _complete(group: click.Group, name: str, variable: str) -> None:
    """Answer a shell that asks for completions, and exit; nothing otherwise."""
    asked = os.environ.get(variable)
    if asked:
        from click.shell_completion import shell_complete

        sys.exit(shell_complete(group, {}, name, variable, asked))


@click.group(
    "sealift",
    cls=LazyGroup,
    table=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=example("sealift demo", "sealift init ./files", "sealift publish sealift.yaml --to ./out"),
    invoke_without_command=True,
)
@click.version_option(__version__, prog_name="sealift", message="%(prog)s %(version)s")
@click.pass_context
def sealift(ctx: click.Context) -> None:
    """Pack media datasets into shards, publish them as one safe operation, and prove what arrived."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def main() -> NoReturn:
    """The entry point of the `sealift` script, in a process of its own: no command finds pandas there."""
    without_pandas()
    sealift.main()
