"""Where a command speaks: data on stdout, talk on stderr, both to the log file when there is one.

Everything goes through `Redaction`, and nothing that is said can stop a run: a terminal that is
gone takes no message, but the clean-up behind the message must still happen.
"""

from __future__ import annotations

import json
import logging
import os
import shlex
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import click

from sealift import __version__
from sealift.cli.redact import printable
from sealift.errors import RequestError
from sealift.redact import Redaction

LOGGER = "sealift"


class Output:
    """What `--json`, `--quiet` and `--log-file` ask for. Made by `open`, closed by `with`.

    `json`: stdout takes one JSON object, and no tables. `quiet`: no talk and no tables; warnings
    and errors are still said. `log` takes what is too much for a terminal.
    """

    def __init__(
        self, *, json: bool = False, quiet: bool = False, redaction: Redaction, handler: logging.Handler
    ) -> None:
        self.json = json
        self.quiet = quiet
        self.redaction = redaction
        self.log = logging.getLogger(LOGGER)
        self._handler = handler

    @classmethod
    def open(cls, *, json: bool = False, quiet: bool = False, log_file: Path | None = None) -> Output:
        """An output as the options ask for it; the log file is appended to.

        Raises:
            RequestError: the log file cannot be written.
        """
        redaction = Redaction.from_environment(os.environ)
        return cls(json=json, quiet=quiet, redaction=redaction, handler=_log_handler(log_file, redaction))

    def __enter__(self) -> Self:
        self.log.setLevel(logging.DEBUG)
        self.log.addHandler(self._handler)
        self.log.info("sealift %s: %s", __version__, shlex.join(sys.argv))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if error is not None and not isinstance(error, click.exceptions.Exit):
            self.log.error("stopped by %s", type(error).__name__, exc_info=error)
        self.log.removeHandler(self._handler)
        self._handler.close()

    def say(self, message: str) -> None:
        """Tell the user something in a line or a few, on stderr."""
        shown = self._shown(message)
        self.log.info("%s", shown)
        if not self.quiet:
            talk(shown)

    def warn(self, message: str) -> None:
        """Tell the user what may be wrong, on stderr, even when quiet."""
        shown = self._shown(message)
        self.log.warning("%s", shown)
        talk(f"{coloured('warning:', 'yellow')} {shown}")

    def table(self, title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Show rows on stdout: drawn on a terminal, aligned text elsewhere, nothing when quiet or with `--json`."""
        if self.quiet or self.json:
            return
        title, *columns = map(self._shown, (title, *columns))
        cells = [list(map(self._shown, row)) for row in rows]
        if sys.stdout.isatty():
            _draw(title, columns, cells)
        else:
            sys.stdout.write(_aligned(title, columns, cells))

    def result(self, answer: Mapping[str, Any]) -> None:
        """Print the one JSON object, with `ok` true unless it says otherwise; nothing without `--json`.

        A command ends with this or with an error, which prints an object of its own; never with both.
        """
        if self.json:
            print_json({"ok": True, **answer}, self.redaction)

    def _shown(self, value: object) -> str:
        return printable(self.redaction.text("" if value is None else str(value)))


def print_json(answer: Mapping[str, Any], redaction: Redaction) -> None:
    """One JSON object on one line of stdout. ASCII, because a path may hold bytes that no encoding takes."""
    sys.stdout.write(json.dumps(redaction.value(answer), ensure_ascii=True, allow_nan=False) + "\n")
    sys.stdout.flush()


def talk(text: str) -> None:
    """Write lines to stderr as they are. A stderr that is gone is no error."""
    with suppress(OSError, ValueError):
        sys.stderr.write(text + "\n")
        sys.stderr.flush()


def coloured(text: str, colour: str) -> str:
    """The text in bold colour if stderr is a terminal that wants colours (`NO_COLOR`, `TERM=dumb`)."""
    wanted = sys.stderr.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return click.style(text, fg=colour, bold=True) if wanted else text


def _log_handler(log_file: Path | None, redaction: Redaction) -> logging.Handler:
    if log_file is None:
        return logging.NullHandler()
    try:
        handler = logging.FileHandler(log_file, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise RequestError(
            f"cannot write the log file {log_file}: {error.strerror}",
            hint="name a file in a folder that exists and that you may write: --log-file ./sealift.log",
            path=str(log_file),
        ) from error
    handler.setFormatter(_LogLines(redaction))
    return handler


class _LogLines(logging.Formatter):
    """`2026-11-20T06:20:11.123Z INFO message`, in UTC, with secrets hidden in tracebacks too."""

    def __init__(self, redaction: Redaction) -> None:
        super().__init__("%(asctime)s.%(msecs)03dZ %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S")
        self.converter = time.gmtime
        self.redaction = redaction

    def format(self, record: logging.LogRecord) -> str:
        return self.redaction.text(super().format(record))


def _is_number(text: str) -> bool:
    return text.lstrip("+-")[:1].isdigit()


def _right(cells: Sequence[Sequence[str]], column: int) -> bool:
    """Whether a column reads best aligned right: what it holds begins with digits."""
    held = [row[column] for row in cells if row[column]]
    return bool(held) and all(map(_is_number, held))


def _aligned(title: str, columns: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    """The table as text: two spaces between columns, nothing cut, whatever its width."""
    lines = [list(columns), *([cell.replace("\n", " ") for cell in row] for row in cells)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    right = [_right(cells, column) for column in range(len(columns))]
    text = "".join(
        "  ".join(
            cell.rjust(width) if at_right else cell.ljust(width)
            for cell, width, at_right in zip(line, widths, right, strict=True)
        ).rstrip()
        + "\n"
        for line in lines
    )
    return f"{title}\n{text}" if title else text


def _draw(title: str, columns: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(title, "bold") if title else None, title_justify="left", box=box.SIMPLE_HEAD)
    for at, name in enumerate(columns):
        table.add_column(Text(name), justify="right" if _right(cells, at) else "left", overflow="fold")
    for row in cells:
        table.add_row(*map(Text, row))
    Console().print(table)
