"""What every runner promises, and what worker processes promise besides. Another runner inherits `RunnerContract`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from sealift.errors import SourceChanged
from sealift.model.event import Event, OnEvent, Said, ignore
from sealift.ports import Outcome, Runner
from sealift.runners.local import LocalRunner, Spares, WorkerDied

WORKERS = "sealift.runners.local"
"""What the command of a worker process holds."""


class Unpicklable(Exception):
    """An error that cannot be sent."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.lock = threading.Lock()


class Unreadable(Exception):
    """An error that is sent, and cannot be received: its arguments are not those of its class."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(f"{one} {two}")


def square(item: int, on_event: OnEvent) -> int:
    return item * item


def fail_on_odd(item: int, on_event: OnEvent) -> int:
    if item % 2:
        raise SourceChanged(f"item {item}", hint="again", path=f"p{item}", key=item)
    return item


def fail_oddly(item: int, on_event: OnEvent) -> Any:
    if item == 0:
        raise Unpicklable("cannot be sent")
    if item == 1:
        raise Unreadable("cannot be", "received")
    if item == 2:
        return threading.Lock()
    if item == 3:
        raise BrokenPipeError("of its own")
    return item


def talk(item: int, on_event: OnEvent) -> int:
    for word in range(3):
        on_event(Said(f"{item} {word}"))
    return item


def overlap(item: tuple[str, int], on_event: OnEvent) -> tuple[float, float]:
    start = time.monotonic()
    time.sleep(0.15)
    return start, time.monotonic()


def pid(item: int, on_event: OnEvent) -> int:
    time.sleep(0.05)
    return os.getpid()


def killed_at_three(item: int, on_event: OnEvent) -> int:
    on_event(Said("begun"))
    if item == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    if item == 4:
        os._exit(7)
    return item


def sleep_long(item: Any, on_event: OnEvent) -> int:
    on_event(Said(str(os.getpid())))
    time.sleep(600)
    return 0


def run(runner: Runner, function: Callable[[Any, OnEvent], Any], items: Any, on_event: OnEvent = ignore) -> list[Any]:
    """The outcomes, in the order of their items."""
    outcomes = list(runner.map(function, items, on_event))
    return sorted(outcomes, key=lambda outcome: outcome.item)


def workers() -> set[int]:
    """The worker processes of this process."""
    return {child.pid for child in psutil.Process().children() if WORKERS in " ".join(child.cmdline())}


class RunnerContract(ABC):
    """The rules of `ports.Runner`."""

    at_once: int

    @abstractmethod
    def runner(self) -> Runner:
        """A runner of `at_once` workers."""

    def test_yields_an_outcome_for_every_item(self) -> None:
        """Each item comes back once, with its result."""
        assert run(self.runner(), square, range(7)) == [Outcome(item, item * item) for item in range(7)]

    def test_no_items_no_outcomes(self) -> None:
        """Nothing to do is no mistake."""
        assert run(self.runner(), square, []) == []

    def test_an_exception_is_a_value(self) -> None:
        """What a function raises is its item's outcome, with message, hint and fields; the other items get done."""
        outcomes = run(self.runner(), fail_on_odd, range(5))
        assert [outcome.result for outcome in outcomes] == [0, None, 2, None, 4]
        error = outcomes[3].error
        assert isinstance(error, SourceChanged)
        assert (error.message, error.hint, error.fields) == ("item 3", "again", {"path": "p3", "key": 3})

    def test_what_cannot_be_sent_is_told(self) -> None:
        """An error that survives no pickling arrives as what can be said of it; a broken pipe of the function's own
        is an error like others."""
        outcomes = run(self.runner(), fail_oddly, [0, 1, 3, 4])
        assert [outcome.result for outcome in outcomes] == [None, None, None, 4]
        said = [str(outcome.error) for outcome in outcomes[:3]]
        assert ["cannot be sent" in said[0], "cannot be received" in said[1], "of its own" in said[2]] == [True] * 3

    def test_events_arrive_in_order_in_the_calling_thread(self) -> None:
        """Events of one item come in order, before its outcome, in the thread that iterates."""
        heard: list[tuple[str, int]] = []

        def on_event(event: Event) -> None:
            assert isinstance(event, Said)
            heard.append((event.message, threading.get_ident()))

        for outcome in self.runner().map(talk, range(4), on_event):
            words = [message for message, _ in heard if message.startswith(f"{outcome.item} ")]
            assert words == [f"{outcome.item} {word}" for word in range(3)]
        assert len(heard) == 12
        assert {thread for _, thread in heard} == {threading.get_ident()}

    def test_at_most_so_many_run_at_once(self) -> None:
        """There is never more than one item a worker under way, and all workers are used."""
        outcomes = run(self.runner(), overlap, [("item", number) for number in range(6)])
        spans = [outcome.result for outcome in outcomes]
        most = max(sum(start <= at < end for start, end in spans) for at, _ in spans)
        assert most == self.at_once

    def test_takes_items_as_they_are_needed(self) -> None:
        """Items are taken in order, and no further ahead than there are workers: a list of them may be long."""
        taken: list[int] = []

        def items() -> Iterator[int]:
            for number in range(20):
                taken.append(number)
                yield number

        outcomes = self.runner().map(square, items(), ignore)
        for count, _ in enumerate(outcomes, 1):
            assert taken == list(range(len(taken)))
            assert len(taken) <= count + self.at_once
        assert len(taken) == 20


class TestOneWorker(RunnerContract):
    """One worker is this process."""

    at_once = 1

    def runner(self) -> LocalRunner:
        return LocalRunner(1)

    def test_runs_here_and_in_order(self) -> None:
        """No process is started, and items are done in the order they are given."""
        outcomes = list(self.runner().map(pid, range(3), ignore))
        assert [(outcome.item, outcome.result) for outcome in outcomes] == [(item, os.getpid()) for item in range(3)]

    def test_an_interrupt_is_no_value(self) -> None:
        """Ctrl-C stops the work: it is not an item's outcome."""
        with pytest.raises(KeyboardInterrupt):
            list(self.runner().map(interrupted, [1], ignore))


def interrupted(item: int, on_event: OnEvent) -> int:
    raise KeyboardInterrupt


class TestTwoWorkers(RunnerContract):
    """Two workers are two processes."""

    at_once = 2

    def runner(self) -> LocalRunner:
        return LocalRunner(2)

    def test_processes_are_used_again(self) -> None:
        """A worker takes one item after another: starting it is paid once."""
        pids = {outcome.result for outcome in self.runner().map(pid, range(8), ignore)}
        assert len(pids) == 2
        assert os.getpid() not in pids
        assert not [found for found in pids if found and psutil.pid_exists(found)]

    def test_spares_do_the_work(self) -> None:
        """Processes that were started before take the items, as many as work at once; those left over are ended."""
        with Spares() as spares:
            spares.start(3, pid)
            waiting = workers()
            assert len(waiting) == 3
            outcomes = LocalRunner(2, spares).map(pid, range(4), ignore)
            assert {outcome.result for outcome in outcomes} < waiting
            assert workers() == set()
            spares.start(1, pid)
        assert workers() == set()

    def test_a_result_that_cannot_be_sent_is_an_error(self) -> None:
        """It is the item's outcome, and the worker goes on."""
        outcomes = run(self.runner(), fail_oddly, [2, 4, 5])
        assert [outcome.result for outcome in outcomes] == [None, 4, 5]
        assert "pickle" in str(outcomes[0].error)

    def test_a_worker_that_dies_is_an_outcome(self) -> None:
        """A process killed from outside, or ended by a crash, is the outcome of its item alone, and says how it ended;
        another takes its place."""
        outcomes = run(self.runner(), killed_at_three, range(8))
        assert [outcome.result for outcome in outcomes] == [0, 1, 2, None, None, 5, 6, 7]
        assert [type(outcome.error) for outcome in outcomes[3:5]] == [WorkerDied, WorkerDied]
        assert "SIGKILL" in str(outcomes[3].error)
        assert "code 7" in str(outcomes[4].error)

    def test_a_worker_killed_in_the_middle_of_a_word_is_an_outcome(self) -> None:
        """What it had not said to the end is not heard."""
        outcomes = run(self.runner(), killed_while_talking, range(3))
        assert [type(outcome.error) for outcome in outcomes] == [type(None), WorkerDied, type(None)]

    def test_closing_ends_the_workers(self) -> None:
        """Closing the iterator ends every process at once, in the middle of its work, and leaves none."""
        pids: list[int] = []

        def on_event(event: Event) -> None:
            assert isinstance(event, Said)
            pids.append(int(event.message))

        outcomes = self.runner().map(sleep_after_first, range(5), on_event)
        assert next(outcomes).item == 0
        began = time.monotonic()
        outcomes.close()
        assert time.monotonic() - began < 5
        assert not any(map(psutil.pid_exists, pids))
        assert workers() == set()

    def test_an_error_among_the_items_ends_the_workers(self) -> None:
        """If the items fail, that error comes out, and no process stays."""

        def items() -> Iterator[int]:
            yield 1
            raise LookupError("no more")

        with pytest.raises(LookupError):
            list(self.runner().map(sleep_long, items(), ignore))
        assert workers() == set()

    def test_workers_end_with_their_parent(self, tmp_path: Path) -> None:
        """A parent that is killed takes its workers along, even if they say nothing for long."""
        with self.parent(tmp_path) as parent:
            pids = self.begun(parent)
            parent.kill()
        assert self.gone(pids)

    @pytest.mark.parametrize("begun", [False, True])
    def test_the_terminals_signals_are_the_parents(self, tmp_path: Path, begun: bool) -> None:
        """Ctrl-C and a closed terminal reach the whole group: workers ignore them, even while they start, and say
        nothing on stderr."""
        with self.parent(tmp_path) as parent:
            pids = self.begun(parent) if begun else self.starting(parent)
            for child in pids:
                os.kill(child, signal.SIGINT)
                os.kill(child, signal.SIGHUP)
            assert begun or self.begun(parent)
            assert all(map(psutil.pid_exists, pids))
            parent.terminate()
            assert parent.stderr is not None
            assert parent.stderr.read() == ""
        assert self.gone(pids)

    @staticmethod
    def parent(tmp_path: Path) -> subprocess.Popen[str]:
        """A process of its own that has two workers sleep."""
        program = tmp_path / "parent.py"
        program.write_text(
            textwrap.dedent(
                """
                import sys
                from sealift.runners.local import LocalRunner
                from tests.contracts.test_runner import sleep_long
                if __name__ == "__main__":
                    list(LocalRunner(2).map(sleep_long, range(9), lambda event: print(event.message, flush=True)))
                """
            )
        )
        root = Path(__file__).parents[2]
        env = {**os.environ, "PYTHONPATH": str(root)}
        return subprocess.Popen(
            [sys.executable, program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env
        )

    @staticmethod
    def begun(parent: subprocess.Popen[str]) -> list[int]:
        assert parent.stdout is not None
        return [int(parent.stdout.readline()) for _ in range(2)]

    @staticmethod
    def starting(parent: subprocess.Popen[str]) -> list[int]:
        """The first worker, before it has run a line of ours."""
        while True:
            children = psutil.Process(parent.pid).children()
            if pids := [child.pid for child in children if WORKERS in " ".join(child.cmdline())]:
                return pids
            time.sleep(0.001)

    @staticmethod
    def gone(pids: list[int]) -> bool:
        until = time.monotonic() + 5
        while any(map(psutil.pid_exists, pids)) and time.monotonic() < until:
            time.sleep(0.02)
        return not any(map(psutil.pid_exists, pids))


def sleep_after_first(item: int, on_event: OnEvent) -> int:
    on_event(Said(str(os.getpid())))
    time.sleep(600 if item else 0.5)
    return item


def killed_while_talking(item: int, on_event: OnEvent) -> int:
    if item == 1:
        # More than a pipe holds: the parent has read the length and waits for the rest.
        threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGKILL)).start()
        os.write(_pipe(), (1 << 20).to_bytes(4, "big") + json.dumps("half a word").encode())
        time.sleep(600)
    return item


def _pipe() -> int:
    """The file number of the worker's pipe to its parent: its one socket."""
    return next(number for number in range(3, 64) if _is_socket(number))


def _is_socket(number: int) -> bool:
    try:
        return os.readlink(f"/proc/self/fd/{number}").startswith("socket:")
    except OSError:
        return False
