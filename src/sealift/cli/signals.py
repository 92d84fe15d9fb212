"""Turns SIGINT, SIGTERM and SIGHUP into one exception in the main thread, so that `with` and `finally` run.

The first signal stops the run cleanly. Shells and supervisors often send the same thing twice, so
others within a second are ignored; a later one means it, and ends the process where it stands,
which is safe: a run killed at any instant is finished by the same command.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PATIENCE_S = 1.0


class Interrupted(KeyboardInterrupt):
    """A signal asked the run to stop. Not an `Exception`, so that nobody who retries or collects errors keeps it."""


class Signals:
    """Listens for the signals while it is open; `seen` is the first that came, or None.

    A signal that was ignored when the process started (`nohup`) stays ignored. In a thread that is
    not the main one it does nothing: Python delivers signals to the main thread only.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.seen: signal.Signals | None = None
        self._seen_at = 0.0
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            heard = [number for number in STOPS if signal.getsignal(number) is not signal.SIG_IGN]
            self._before = {number: signal.signal(number, self._arrived) for number in heard}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _arrived(self, number: int, frame: FrameType | None) -> None:
        if self.seen is None:
            self.seen, self._seen_at = signal.Signals(number), self.clock()
            raise Interrupted(number)
        if self.clock() - self._seen_at >= PATIENCE_S:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
