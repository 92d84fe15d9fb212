"""Worker processes on this machine."""

from __future__ import annotations

import multiprocessing
import pickle
import signal
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, Generic

from sealift.errors import SealiftError
from sealift.model.event import OnEvent
from sealift.ports import Item, Outcome, Result


class WorkerDied(RuntimeError):
    """A worker process ended without an answer: killed for memory, or by a crash in a library."""


@dataclass(frozen=True)
class LocalRunner:
    """Runs in this process with one worker, else in that many processes of their own, each started anew.

    Not a pool of `concurrent.futures`: that has no way back for events, and one killed worker breaks it for all items.
    """

    workers: int = 1

    def map(
        self, function: Callable[[Item, OnEvent], Result], items: Iterable[Item], on_event: OnEvent
    ) -> Generator[Outcome[Item, Result], None, None]:
        """Yield an outcome for every item as it is done; see `ports.Runner`."""
        if self.workers > 1:
            yield from _in_processes(self.workers, function, iter(items), on_event)
        else:
            for item in items:
                yield _attempt(function, item, on_event)


@dataclass
class _Worker(Generic[Item]):
    process: SpawnProcess
    pipe: Connection
    item: Item

    def take(self, on_event: OnEvent) -> Outcome[Item, Any] | None:
        """The outcome, or None after passing on an event. A worker that is gone is an outcome, too."""
        try:
            said = self.pipe.recv()
        except EOFError:
            self.process.join()
            return Outcome(self.item, error=WorkerDied(f"a worker process ended with code {self.process.exitcode}"))
        if isinstance(said, Outcome):
            return Outcome(self.item, said.result, said.error)
        on_event(said)
        return None

    def stop(self) -> None:
        """End the process, in the middle of its work if need be."""
        self.pipe.close()
        self.process.terminate()
        self.process.join()


def _in_processes(
    count: int, function: Callable[[Item, OnEvent], Result], items: Iterator[Item], on_event: OnEvent
) -> Iterator[Outcome[Item, Result]]:
    busy: dict[Any, _Worker[Item]] = {}
    try:
        for item in items:
            _start(busy, function, item)
            if len(busy) == count:
                break
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
        for worker in busy.values():
            worker.stop()


def _start(busy: dict[Any, _Worker[Item]], function: Callable[[Item, OnEvent], Result], item: Item) -> None:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, function), daemon=True)
    process.start()
    theirs.close()
    ours.send(item)
    busy[ours] = _Worker(process, ours, item)


def _go_on(
    busy: dict[Any, _Worker[Item]],
    worker: _Worker[Item],
    function: Callable[[Item, OnEvent], Result],
    items: Iterator[Item],
) -> None:
    following = list(islice(items, 1))
    if following and worker.process.is_alive():
        worker.item = following[0]
        worker.pipe.send(worker.item)
        return
    busy.pop(worker.pipe).stop()
    if following:
        _start(busy, function, following[0])


def _serve(pipe: Connection, function: Callable[[Any, OnEvent], Any]) -> None:
    """A worker's life: an item in, events and an outcome out, until the other end closes."""
    for name in ("SIGINT", "SIGHUP"):
        # The terminal sends these to the whole group; the parent decides, and ends its workers.
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    try:
        while True:
            outcome = _attempt(function, pipe.recv(), pipe.send)
            pipe.send(Outcome(None, outcome.result, outcome.error))
    except (EOFError, BrokenPipeError):
        return


def _attempt(function: Callable[[Item, OnEvent], Result], item: Item, on_event: OnEvent) -> Outcome[Item, Result]:
    try:
        return Outcome(item, result=function(item, on_event))
    except BrokenPipeError:
        raise
    except Exception as error:
        return Outcome(item, error=_portable(error))


def _portable(error: Exception) -> Exception:
    """The error itself if it survives the way to another process, else what can be said of it."""
    if isinstance(error, SealiftError):
        return error
    error.add_note("".join(traceback.format_tb(error.__traceback__)))
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 — our own bytes
    except Exception:
        return RuntimeError("".join(traceback.format_exception(error)))
    return error
