"""Runs a command in its frame: errors become messages and exit codes, signals a clean stop.

A user's mistake never shows a traceback. A bug is one line and exit code 1, with its traceback in the
log file, or on stderr with SEALIFT_TRACEBACK=1.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from typing import Any

import click

from sealift import errors
from sealift.cli.output import coloured, print_json, talk
from sealift.cli.redact import printable
from sealift.cli.signals import Interrupted, Signals
from sealift.errors import DestinationError, RequestError, SealiftError, Stopped
from sealift.redact import Redaction

READER_GONE = 128 + signal.SIGPIPE


class Bug(SealiftError):
    """Something that should never happen did; `kind` is the exception."""


def run(command: click.Command, args: Sequence[str], name: str, **context: Any) -> int:
    """Run a command line to its end and return the exit code. Nothing but SystemExit is raised."""
    _settle_streams()
    with Signals() as signals:
        try:
            return _run(command, list(args), name, signals, context)
        except Interrupted as late:  # It came while another end was being reported.
            return 128 + int(late.args[0])


def exit_codes() -> Iterator[tuple[int, str, str]]:
    """Every class of error with its exit code and meaning, by code, parents before children."""
    for kind in sorted(_kinds(SealiftError), key=lambda kind: kind.exit_code):
        meaning = (kind.__doc__ or "").strip().splitlines()[0]
        yield kind.exit_code, kind.__name__, meaning


def exit_code_table() -> str:
    """The table of `docs/exit-codes.md`, in Markdown."""
    rows = "".join(f"| {code} | `{kind}` | {meaning} |\n" for code, kind, meaning in exit_codes())
    return f"| code | error | what it means |\n|---|---|---|\n{rows}"


def _kinds(kind: type[SealiftError]) -> Iterator[type[SealiftError]]:
    for child in kind.__subclasses__():
        if child.__module__ in (errors.__name__, __name__):
            yield child
            yield from _kinds(child)


def _run(command: click.Command, args: list[str], name: str, signals: Signals, context: dict[str, Any]) -> int:
    as_json = "--json" in args
    try:
        with command.make_context(name, args, **context) as ctx:
            command.invoke(ctx)
        sys.stdout.flush()
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return error.exit_code
    except BrokenPipeError as error:
        return _reader_gone() if _stdout_is_gone() else _failed(error, signals.seen, as_json)
    except (Exception, KeyboardInterrupt) as error:
        return _failed(error, signals.seen, as_json)
    return 0


def _failed(error: BaseException, seen: signal.Signals | None, as_json: bool) -> int:
    """Report the error and return its exit code."""
    redaction = Redaction.from_environment()
    told = _told(error, seen)
    code = 128 + seen if seen else told.exit_code
    if os.environ.get("SEALIFT_TRACEBACK"):
        talk(printable(redaction.text("".join(traceback.format_exception(error)))))
    _explain(told, redaction)
    try:
        if as_json:
            print_json({"ok": False, **told.as_json(), "exit_code": code}, redaction)
        sys.stdout.flush()
    except OSError:
        _reader_gone()
    return code


def _told(error: BaseException, seen: signal.Signals | None) -> SealiftError:
    """The error as it is told to the user. After a signal, whatever came out is its consequence."""
    if seen or isinstance(error, KeyboardInterrupt):
        signal_name = (seen or signal.SIGINT).name
        return Stopped(f"stopped by {signal_name}", hint="run the same command again", signal=signal_name)
    if isinstance(error, SealiftError):
        return error
    if isinstance(error, click.Abort):
        return RequestError("a question got no answer", hint="answer it, or pass --yes where the command has it")
    if isinstance(error, click.ClickException):
        ctx = getattr(error, "ctx", None)
        return RequestError(error.format_message(), hint=f"{ctx.command_path if ctx else 'sealift'} --help")
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DestinationError(f"no room left: {error}", hint="make room, then run the same command again")
    said = str(error).strip().splitlines()
    return Bug(
        f"this is a bug in sealift: {type(error).__name__}{f': {said[0]}' if said else ''}",
        hint="please report it, with the traceback that --log-file FILE keeps and SEALIFT_TRACEBACK=1 shows",
        kind=type(error).__name__,
    )


def _explain(told: SealiftError, redaction: Redaction) -> None:
    """Say what went wrong and what to try, on stderr."""
    message = printable(redaction.text(told.message))
    lines = [message if isinstance(told, Stopped) else f"{coloured('error:', 'red')} {message}"]
    if told.hint:
        lines.append(f"{coloured('try:', 'cyan')} {printable(redaction.text(told.hint))}")
    talk("\n".join(lines))


def _settle_streams() -> None:
    """Put nothing in the place of streams that were closed before the start (`>&-`); let stdout print any name.

    The first file that is opened would get a closed stream's number, and whatever is said there would end up in it.
    """
    for name, flags in (("stdin", os.O_RDONLY), ("stdout", os.O_WRONLY), ("stderr", os.O_WRONLY)):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, flags), "r" if flags == os.O_RDONLY else "w"))
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure:
        reconfigure(errors="backslashreplace")


def _stdout_is_gone() -> bool:
    """Whether nobody reads stdout any more; a pipe to a worker that broke is another matter."""
    try:
        poll = select.poll()
        poll.register(sys.stdout.fileno(), select.POLLOUT)
        return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))
    except (OSError, ValueError):
        return False


def _reader_gone() -> int:
    """End quietly, as programs do whose reader has seen enough (`sealift plan … | head`)."""
    # The interpreter flushes stdout once more at its end, and would complain.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return READER_GONE
