"""`--configs A B`: an option that takes every word up to the next option."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import click

CONFIGS = "--configs"


class NamesConfigs(click.Command):
    """A command with one argument, whose `--configs A B` stands for `--configs A --configs B`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does, after the option was said again before each of its words."""
        valued = {name for one in self.params if isinstance(one, click.Option) and not one.is_flag for name in one.opts}
        return super().parse_args(ctx, list(spread(args, valued)))


def spread(args: Sequence[str], valued: set[str]) -> Iterator[str]:
    """The words of a command line, with `--configs` said again before each that belongs to it.

    The command's argument may stand behind its words: where no other word can be the argument, the last one is.
    `valued` are the options that take a value.
    """
    listed, others = [], 0
    in_list = value_due = False
    for number, word in enumerate(args):
        if value_due:
            value_due = False
        elif word.startswith("-"):
            in_list, value_due = word == CONFIGS, word in valued
        elif in_list:
            listed.append(number)
        else:
            others += 1
    if listed and not others:
        listed.pop()
    for number, word in enumerate(args):
        if number in listed:
            yield CONFIGS
        yield word


def configs_option(body: Any) -> Any:
    """`configs: tuple[str, ...]`, empty for all; the command must be a `NamesConfigs`."""
    return click.option(CONFIGS, multiple=True, metavar="NAME...", help="These configs only: --configs A B.")(body)
