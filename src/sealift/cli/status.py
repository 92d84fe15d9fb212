"""`sealift status`: how far jobs are, and what to type next."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from sealift.cli.job import as_json, facts, line, next_command, process_json, process_text
from sealift.cli.options import endpoint_option, example, shared_options, state_option
from sealift.cli.output import Output
from sealift.cli.redact import printable
from sealift.errors import DestinationError
from sealift.journal.database import holder
from sealift.journal.places import folders, is_to, state_folder
from sealift.journal.progress import progress
from sealift.journal.records import Progress

EVERY_S = 1.0


@click.command(
    epilog=example("sealift status", "sealift status org/name --watch", "sealift status ./out --json"),
)
@click.argument("to", metavar="[FOLDER|ORG/NAME]", required=False)
@click.option("--watch", is_flag=True, help="Go on showing it until the job is over, or Ctrl-C.")
@endpoint_option
@state_option
@shared_options
def command(output: Output, to: str | None, watch: bool, endpoint: str | None, state: Path | None) -> None:
    """Show how far a publication is: its shards, who is at work on it, and what to type next.

    Without a name all jobs of the state folder are shown: those to a Hub, and others that were given `--state`. Reads
    this machine's record of the job alone, and disturbs nobody. Exit code 0 also means that there is no job.
    """
    look = Look(output, to, endpoint, state)
    if watch:
        watched(output, look, lambda: time.sleep(EVERY_S))
    else:
        show(output, look, look())


@dataclass(frozen=True)
class Found:
    """The jobs that are meant, and the processes that are about to begin one: they make its plan."""

    jobs: tuple[Progress, ...] = ()
    planning: tuple[Mapping[str, Any], ...] = ()

    @property
    def waits(self) -> bool:
        """Whether there is more to come."""
        return bool(self.planning) or any(job.running is not None or not job.over for job in self.jobs)


Show = Callable[[Found], None]


@dataclass
class Look:
    """Looks for the jobs that are meant, each time anew."""

    output: Output
    to: str | None = None
    endpoint: str | None = None
    state: Path | None = None
    _told: set[str] = field(default_factory=set, init=False)

    def __call__(self) -> Found:
        """What is there. What cannot be read is told once, and left out.

        Raises:
            DestinationError: a destination is named, and its journal cannot be read.
        """
        found, planning = [], []
        for folder in folders(self.to, self.state):
            job = self._read(folder)
            if job is None:
                planning += [process] if (process := holder(folder)) is not None else []
            elif self.to is None or is_to(job, self.to, self.endpoint):
                found.append(job)
        return Found(tuple(found), tuple(planning))

    def answer(self, found: Found) -> dict[str, Any]:
        """That for programs."""
        return {
            "jobs": [as_json(job, next_command(job, self.state)) for job in found.jobs],
            "planning": [process_json(process) for process in found.planning],
        }

    def words(self, found: Found, *, watched: bool = False) -> list[str]:
        """That in lines, with an empty one between two jobs; who watches need not be told how to."""
        lines: list[str] = []
        for job in found.jobs:
            then = "" if watched and job.running is not None else next_command(job, self.state)
            lines += [*([""] if lines else ()), *(f"{word:<10}  {said}" for word, said in facts(job, then))]
        return lines + _planning(found)

    def lines(self, found: Found) -> list[str]:
        """A line for each job."""
        return [line(job) for job in found.jobs] + _planning(found)

    @property
    def nothing(self) -> str:
        """What is said where there is no job."""
        if self.to is not None:
            return f"no job to {self.to} is under way here"
        return f"no job is known here; {self.state or state_folder()} was looked into"

    def _read(self, folder: Path) -> Progress | None:
        try:
            return progress(folder)
        except DestinationError as error:
            if not folder.is_dir():
                return None  # its run has ended this moment
            if self.to is not None:
                raise
            if error.message not in self._told:
                self._told.add(error.message)
                self.output.warn(error.message)
            return None


def _planning(found: Found) -> list[str]:
    return [f"{process_text(process)}: it makes the plan, and nothing is packed yet" for process in found.planning]


def show(output: Output, look: Look, found: Found) -> None:
    """Show jobs once."""
    if found == Found():
        output.say(look.nothing)
    if output.json:
        output.result(look.answer(found))
    elif not output.quiet:
        _write(output, look.words(found))


def watched(output: Output, look: Look, wait: Callable[[], None]) -> None:
    """Show jobs as they change until all are over, or Ctrl-C; `wait` is called between two looks."""
    before: Found | None = None
    with _display(output, look) as shown, suppress(KeyboardInterrupt):
        while True:
            found = look()
            if found != before:
                shown(found)
            if not found.waits:
                break
            before = found
            wait()
    if found == Found():
        output.say("the job is over" if before else look.nothing)


@contextmanager
def _display(output: Output, look: Look) -> Iterator[Show]:
    """A function that shows jobs the way that stdout takes: as JSON, drawn anew, or as lines."""
    if output.json:
        yield lambda found: output.result(look.answer(found))
    elif not output.quiet and sys.stdout.isatty():
        with _drawn(output, look) as draw:
            yield draw
    else:
        yield Lines(output, look)


@contextmanager
def _drawn(output: Output, look: Look) -> Iterator[Show]:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    def draw(found: Found) -> None:
        live.update(Text("\n".join(_clean(output, look.words(found, watched=True)))), refresh=True)

    with Live(
        console=Console(file=sys.stdout), auto_refresh=False, redirect_stdout=False, redirect_stderr=False
    ) as live:
        yield draw


@dataclass
class Lines:
    """Writes a line for each job that has changed."""

    output: Output
    look: Look
    _before: list[str] = field(default_factory=list, init=False)

    def __call__(self, found: Found) -> None:
        lines = self.look.lines(found)
        if not self.output.quiet:
            _write(self.output, [one for one in lines if one not in self._before])
        self._before = lines


def _write(output: Output, lines: Sequence[str]) -> None:
    sys.stdout.write("".join(f"{one}\n" for one in _clean(output, lines)))
    sys.stdout.flush()


def _clean(output: Output, lines: Sequence[str]) -> list[str]:
    """The lines as they may be shown: without secrets, and unable to drive a terminal."""
    return [printable(output.redaction.text(one.replace("\n", " "))) for one in lines]
