"""Shows how far a run has come: bars on a terminal, a plain line every few seconds elsewhere."""

from __future__ import annotations

import sys
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Any, cast

from sealift.cli.output import Output
from sealift.cli.redact import printable
from sealift.cli.units import duration_text, size_text
from sealift.model.event import Advanced, Event, Finished, OnEvent, Said, Started, Warned

if TYPE_CHECKING:
    from rich.progress import Progress, Task, TaskID
    from rich.text import Text

LINE_EVERY_S = 5.0
WINDOW_S = 30.0
KNOWN_SHARE = 0.01
"""How much must be done before the time that is left is said."""
Clock = Callable[[], float]


class Stage:
    """The account of one stage: what it has done, what it has to do, and how fast it went of late."""

    def __init__(self, name: str, *, bytes_total: int | None, files_total: int | None, now: float) -> None:
        self.name = name
        self.bytes_total = bytes_total
        self.files_total = files_total
        self.bytes = 0
        self.files = 0
        self.began = now
        self._marks: deque[tuple[float, int, int]] = deque([(now, 0, 0)])

    def advance(self, event: Advanced, now: float) -> None:
        """Count what the event says was done."""
        self.bytes += event.bytes
        self.files += event.files
        if now - self._marks[-1][0] >= 1:
            self._marks.append((now, self.bytes, self.files))
            while now - self._marks[0][0] > WINDOW_S and len(self._marks) > 2:
                self._marks.popleft()

    def share(self) -> float | None:
        """How much is done, from 0 to 1, by bytes or else by files; None if no total is known."""
        done, total = (self.bytes, self.bytes_total) if self.bytes_total is not None else (self.files, self.files_total)
        if total is None:
            return None
        return min(done / total, 1.0) if total else 1.0

    def figures(self, now: float) -> str:
        """Bytes, files, bytes a second over the last half minute, and the time that is left at that pace."""
        rate, left = self._pace(now)
        return ", ".join(
            text
            for text in (
                _of(self.bytes, self.bytes_total, size_text),
                _of(self.files, self.files_total, _count_text, " files"),
                f"{size_text(rate)}/s" if rate else "",
                f"{duration_text(left)} left" if left is not None else "",
            )
            if text
        )

    def summary(self, now: float) -> str:
        """What the whole stage came to."""
        amounts = (_of(self.bytes, None, size_text), _of(self.files, None, _count_text, " files"))
        done = ", ".join(amount for amount in amounts if amount)
        return f"{done + ' in ' if done else ''}{duration_text(now - self.began)}"

    def _pace(self, now: float) -> tuple[float, float | None]:
        """Bytes a second of late, and the seconds left: by bytes where their total is known, else by files."""
        since, bytes_then, files_then = self._marks[0]
        passed = now - since
        if passed < 1:
            return 0.0, None
        byte_rate, file_rate = (self.bytes - bytes_then) / passed, (self.files - files_then) / passed
        if self.bytes_total is not None:
            rest, rate = self.bytes_total - self.bytes, byte_rate
        else:
            rest, rate = (self.files_total or 0) - self.files, file_rate
        # The first files are the smallest ones: their pace says nothing of the rest.
        known = rest > 0 and rate > 0 and (self.share() or 0) >= KNOWN_SHARE
        return byte_rate, rest / rate if known else None


class Listener(ABC):
    """Takes events: what is said goes to the output, what stages do to those who show it."""

    def __init__(self, output: Output, clock: Clock = time.monotonic) -> None:
        self.output = output
        self.clock = clock

    def __call__(self, event: Event) -> None:
        """Take one event."""
        now = self.clock()
        match event:
            case Said(message):
                self.output.say(message)
            case Warned(message):
                self.output.warn(message)
            case Started():
                self._start(event, now)
            case Advanced():
                self._advance(event, now)
            case Finished(name):
                self._finish(name, now)

    @abstractmethod
    def _start(self, event: Started, now: float) -> object: ...

    @abstractmethod
    def _advance(self, event: Advanced, now: float) -> None: ...

    @abstractmethod
    def _finish(self, name: str, now: float) -> None: ...


class Lines(Listener):
    """Talks in plain lines: one at most every five seconds, and one at the end of each stage."""

    def __init__(self, output: Output, clock: Clock = time.monotonic) -> None:
        super().__init__(output, clock)
        self.stages: dict[str, Stage] = {}
        self._said_at = clock()

    def _start(self, event: Started, now: float) -> Stage:
        self.stages[event.stage] = _opened(event, now)
        return self.stages[event.stage]

    def _advance(self, event: Advanced, now: float) -> None:
        stage = self.stages.get(event.stage) or self._start(Started(event.stage), now)
        stage.advance(event, now)
        if now - self._said_at >= LINE_EVERY_S:
            self._said_at = now
            self.output.say(f"{stage.name}: {stage.figures(now)}")

    def _finish(self, name: str, now: float) -> None:
        stage = self.stages.pop(name, None)
        self.output.say(f"{name}: done, {stage.summary(now)}" if stage else f"{name}: done")


class Bars(Listener):
    """Draws one bar a stage on a terminal, redrawn four times a second by a thread of rich's."""

    def __init__(self, output: Output, drawn: Progress, clock: Clock = time.monotonic) -> None:
        super().__init__(output, clock)
        self.drawn = drawn
        self.tasks: dict[str, tuple[TaskID, Stage]] = {}

    def _start(self, event: Started, now: float) -> tuple[TaskID, Stage]:
        stage = _opened(event, now)
        name = printable(self.output.redaction.text(event.stage))
        # Without a total the bar pulses.
        task = self.drawn.add_task(name, total=None if stage.share() is None else 1.0, stage=stage)
        self.tasks[event.stage] = (task, stage)
        return task, stage

    def _advance(self, event: Advanced, now: float) -> None:
        task, stage = self.tasks.get(event.stage) or self._start(Started(event.stage), now)
        stage.advance(event, now)
        share = stage.share()
        if share is not None:
            self.drawn.update(task, completed=share)

    def _finish(self, name: str, now: float) -> None:
        task, stage = self.tasks.get(name) or self._start(Started(name), now)
        del self.tasks[name]
        self.drawn.update(task, total=1.0, completed=1.0, ended=stage.summary(now))
        self.output.log.info("%s: done, %s", printable(name), stage.summary(now))


@contextmanager
def progress(output: Output) -> Iterator[OnEvent]:
    """A listener that shows what it hears on stderr while the block runs: bars or lines; with `--quiet` warnings alone.

    Call it from one thread. What a run says (`Said`) goes to the log in every case.
    """
    if output.quiet or not sys.stderr.isatty():
        yield Lines(output)
        return
    drawn = _bars()
    with drawn:
        yield Bars(output, drawn)


def _bars() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn
    from rich.text import Text

    class Figures(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(task.fields.get("ended") or task.fields["stage"].figures(time.monotonic()), "dim")

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        Figures(),
        console=Console(file=cast(IO[str], _Steady(sys.stderr))),
        refresh_per_second=4,
        # What is printed on stdout while the bars stand is data, and must not be moved to stderr.
        redirect_stdout=False,
    )


class _Steady:
    """A stream that swallows the errors of a terminal that is gone: drawing must not stop the clean-up."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with suppress(OSError, ValueError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _opened(event: Started, now: float) -> Stage:
    return Stage(event.stage, bytes_total=event.bytes, files_total=event.files, now=now)


def _count_text(count: float) -> str:
    return f"{count:,}"


def _of(done: int, total: int | None, text: Callable[[float], str], unit: str = "") -> str:
    """`12 of 40 files`; without a total `12 files`; empty if there is nothing of the kind."""
    if total is None:
        return f"{text(done)}{unit}" if done else ""
    return f"{text(done)} of {text(total)}{unit}"
