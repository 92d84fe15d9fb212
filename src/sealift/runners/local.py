"""Worker processes on this machine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from multiprocessing.reduction import ForkingPickler
from typing import Any, Generic, Self

from sealift.errors import SealiftError, Stopped
from sealift.model.event import OnEvent
from sealift.ports import Item, Outcome, Result
from sealift.runners.alone import without_pandas

TERMINAL_SIGNALS = (signal.SIGINT, signal.SIGHUP)
"""The terminal sends these to the whole group; the parent decides, and ends its workers."""
WORKER = """\
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from sealift.runners.local import serve
serve(*map(int, sys.argv[2:]))
"""
"""What a worker process runs. `multiprocessing` would run the caller's script in it once more: a script without a guard
would publish in every worker, and one from a notebook or stdin could not start."""


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0))


class WorkerDied(Stopped):
    """A worker process ended without an answer: killed, often for memory, or by a crash in a library."""


@dataclass(frozen=True)
class LocalRunner:
    """Runs in this process with one worker, else in that many processes of their own, each started anew.

    Not a pool of `concurrent.futures`: that has no way back for events, and one killed worker breaks it for all items.
    """

    workers: int = 1
    spares: Spares | None = None

    def map(
        self, function: Callable[[Item, OnEvent], Result], items: Iterable[Item], on_event: OnEvent
    ) -> Generator[Outcome[Item, Result], None, None]:
        """Yield an outcome for every item as it is done; see `ports.Runner`."""
        several = self.workers > 1
        spares = [] if self.spares is None else self.spares.taken(self.workers if several else 0)
        if several:
            yield from _in_processes(self.workers, spares, function, iter(items), on_event)
        else:
            for item in items:
                yield _attempt(function, item, on_event)


class Spares:
    """Worker processes that start before there is work for them, so that nobody waits for their imports. Use `with`."""

    def __init__(self) -> None:
        self._processes: list[_Process] = []

    def start(self, count: int, function: Callable[[Item, OnEvent], object]) -> None:
        """Have that many at least, for that function; returns at once."""
        while len(self._processes) < count:
            self._processes.append(_Process.started(function))

    def taken(self, count: int) -> list[_Process]:
        """Those that there are, up to that many, for good; all others are ended."""
        taken, rest = self._processes[:count], self._processes[count:]
        self._processes = []
        for process in rest:
            process.stop()
        return taken

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.taken(0)


@dataclass(frozen=True)
class _Process:
    """A process that has the function, and waits for items at the other end of the pipe."""

    process: subprocess.Popen[bytes]
    pipe: Connection
    lifeline: Connection

    @classmethod
    def started(cls, function: Callable[[Item, OnEvent], object]) -> _Process:
        """A new one, on its way to import what the function needs."""
        ours, theirs = Pipe()
        watched, lifeline = Pipe(duplex=False)
        handles = (theirs.fileno(), watched.fileno())
        command = [sys.executable, "-c", WORKER, json.dumps(sys.path), *map(str, handles)]
        with _unheard(), theirs, watched:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=handles)
        made = cls(process, ours, lifeline)
        made.send(function)
        return made

    def send(self, what: object) -> None:
        """Hand it something. That it is gone is seen when its answer is taken."""
        with suppress(BrokenPipeError, ConnectionResetError):
            self.pipe.send(what)

    def stop(self) -> None:
        """End it, in the middle of its work if need be."""
        self.pipe.close()
        self.process.terminate()
        self.process.wait()
        self.lifeline.close()


@dataclass
class _Worker(Generic[Item]):
    """A process with an item to work on."""

    host: _Process
    item: Item

    def give(self, item: Item) -> None:
        """Hand it the next item."""
        self.item = item
        self.host.send(item)

    def take(self, on_event: OnEvent) -> Outcome[Item, Any] | None:
        """The outcome, or None after passing on an event. A worker that is gone is an outcome, too."""
        try:
            said = self.host.pipe.recv()
        except (EOFError, OSError):  # OSError: it died in the middle of a word
            return Outcome(self.item, error=_died(self.host.process.wait()))
        if isinstance(said, Outcome):
            return Outcome(self.item, said.result, said.error)
        on_event(said)
        return None


def _died(code: int) -> WorkerDied:
    if code < 0:
        return WorkerDied(
            f"a worker process was killed by {signal.Signals(-code).name}",
            hint="run the same command again; if the machine is short of memory, with fewer --workers",
        )
    return WorkerDied(f"a worker process ended with code {code}", hint="run the same command again")


def _in_processes(
    count: int,
    spares: list[_Process],
    function: Callable[[Item, OnEvent], Result],
    items: Iterator[Item],
    on_event: OnEvent,
) -> Iterator[Outcome[Item, Result]]:
    busy: dict[Any, _Worker[Item]] = {}
    try:
        for item in islice(items, count):
            _start(busy, spares, function, item)
        while busy:
            for pipe in wait(list(busy)):
                worker = busy[pipe]
                outcome = worker.take(on_event)
                if outcome is None:
                    continue
                # Another item is on its way before the caller sees this outcome, so the worker is never idle.
                _go_on(busy, worker, function, items)
                yield outcome
    finally:
        for process in (*(worker.host for worker in busy.values()), *spares):
            process.stop()


def _start(
    busy: dict[Any, _Worker[Item]], spares: list[_Process], function: Callable[[Item, OnEvent], Result], item: Item
) -> None:
    host = spares.pop() if spares else _Process.started(function)
    busy[host.pipe] = _Worker(host, item)
    busy[host.pipe].give(item)


@contextmanager
def _unheard() -> Iterator[None]:
    """A process started within never hears the terminal's signals, not even while Python starts up in it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, TERMINAL_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _go_on(
    busy: dict[Any, _Worker[Item]],
    worker: _Worker[Item],
    function: Callable[[Item, OnEvent], Result],
    items: Iterator[Item],
) -> None:
    following = list(islice(items, 1))
    if following and worker.host.process.poll() is None:
        worker.give(following[0])
        return
    busy.pop(worker.host.pipe).host.stop()
    if following:
        _start(busy, [], function, following[0])


def serve(pipe_handle: int, lifeline_handle: int) -> None:
    """A worker's life: a function in, then an item in, events and an outcome out, until the other end closes."""
    without_pandas()
    threading.Thread(target=_end_with_parent, args=(Connection(lifeline_handle),), daemon=True).start()
    pipe = Connection(pipe_handle)
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        function = pipe.recv()
        while True:
            outcome = _attempt(function, pipe.recv(), pipe.send)
            pipe.send_bytes(_pickled(Outcome(None, outcome.result, outcome.error)))


def _end_with_parent(lifeline: Connection) -> None:
    """The parent holds the other end, and says nothing: it closes when the parent is gone."""
    wait([lifeline])
    # At once: whoever starts the work anew must not meet a worker of before.
    os._exit(1)


def _pickled(outcome: Outcome[None, Any]) -> Any:
    """The outcome's bytes; if its result cannot be sent, that is the outcome."""
    try:
        return ForkingPickler.dumps(outcome)
    except Exception as error:
        return ForkingPickler.dumps(Outcome(None, error=_portable(error)))


def _attempt(function: Callable[[Item, OnEvent], Result], item: Item, on_event: OnEvent) -> Outcome[Item, Result]:
    try:
        return Outcome(item, result=function(item, on_event))
    except Exception as error:
        return Outcome(item, error=_portable(error))


def _portable(error: Exception) -> Exception:
    """The error itself if it survives the way to another process, else what can be said of it."""
    if isinstance(error, SealiftError):
        return error
    error.add_note("".join(traceback.format_tb(error.__traceback__)))
    try:
        ForkingPickler.loads(ForkingPickler.dumps(error))
    except Exception:
        return RuntimeError("".join(traceback.format_exception(error)))
    return error
