"""Calls into a library that knows no time-out, given up when nothing moves any more."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from dataclasses import dataclass
from typing import Any, TypeVar

LOOK = 0.5
"""Seconds between two looks at what has moved."""

Result = TypeVar("Result")


class Stalled(Exception):
    """Nothing moved for `seconds`."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"nothing moved for {seconds:g} s")
        self.seconds = seconds


@dataclass(frozen=True, slots=True)
class Call:
    """A call that is under way."""

    future: Future[Any]

    def result(self, stall: float, moved: Callable[[], object]) -> Any:
        """What the call gives or raises, waited for as long as `moved` says another thing within `stall` seconds.

        Raises:
            Stalled: it has said the same for so long. The call goes on, and nobody waits for it.
        """
        last: object = object()
        since = time.monotonic()
        while True:
            try:
                return self.future.result(timeout=min(LOOK, stall / 4))
            except NotYet:
                if self.future.done():
                    # Done by now; or it was a time-out of the library's own, which is raised again.
                    return self.future.result()
            now, marks = time.monotonic(), moved()
            if marks != last:
                last, since = marks, now
            elif now - since >= stall:
                raise Stalled(stall)


class Line:
    """Makes calls one after another in a thread of its own, which never keeps the process from ending.

    Signals are heard meanwhile: whoever waits, waits for the call and not in it.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._calls: queue.SimpleQueue[tuple[Future[Any], Callable[..., Any], tuple[Any, ...]] | None] = (
            queue.SimpleQueue()
        )
        self._thread: threading.Thread | None = None

    def begin(self, function: Callable[..., Any], *args: Any) -> Call:
        """Have the call made after those before it."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        future: Future[Any] = Future()
        self._calls.put((future, function, args))
        return Call(future)

    def close(self) -> None:
        """No call comes after those that were begun."""
        if self._thread is not None:
            self._calls.put(None)

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            future, function, args = call
            try:
                future.set_result(function(*args))
            except BaseException as error:
                future.set_exception(error)
            # What is waited for next must not keep this one's arguments and result.
            del call, future, function, args
