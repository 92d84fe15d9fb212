"""A process and all that it starts: its wall time, its CPU time, and the memory that cannot be taken back from it."""

from __future__ import annotations

import ctypes
import os
import resource
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

TICK = 0.02
"""Seconds between two looks at the memory."""
TICKS_OF_FAMILY = 5
"""Looks at the memory between two looks for new processes."""
TICKS_OF_SHARES = 20
"""Looks at the memory between two looks at what forked processes share: the kernel walks all pages for that."""
ORPHANS_MAY_TAKE = 10.0
"""Seconds that what a process left running may go on before it is killed."""
ADOPT = 36
"""`PR_SET_CHILD_SUBREAPER`: what a process leaves running becomes our child, so that its time is counted, too."""


@dataclass(frozen=True)
class Measured:
    """What a process and all its descendants took. Seconds and bytes.

    `anonymous` is the peak of the sum of RssAnon and RssShmem over all processes: pages that forked processes share are
    counted in each. `shared_once` is the same with Pss_Anon and Pss_Shmem, where each page counts once; it is looked at
    less often, and None where there was but one process. Files that are mapped count in neither.
    """

    wall: float
    user: float
    system: float
    anonymous: int
    shared_once: int | None
    processes: int
    status: int
    stopped: bool = False


@dataclass
class _Family:
    """The process that was started and what came of it, as far as it was seen."""

    first: int
    strangers: frozenset[int]
    """Children of this process that were there before, and are none of the family."""
    members: dict[int, int] = field(default_factory=dict)
    """File descriptor of `/proc/PID/status` by process."""
    seen: int = 0
    peak: int = 0
    shared: int | None = None

    def look(self, tick: int) -> None:
        if tick % TICKS_OF_FAMILY == 0:
            self._find()
        self.peak = max(self.peak, sum(map(self._anonymous, list(self.members))))
        if tick % TICKS_OF_SHARES == 0 and len(self.members) > 1:
            self.shared = max(self.shared or 0, sum(map(_shares, self.members)))

    def _find(self) -> None:
        """Take in who is new: children of all threads, and orphans that became ours."""
        waiting = self.ours()
        found = {self.first, *waiting}
        while waiting:
            new = set(_children(waiting.pop())) - found
            found |= new
            waiting += new
        for pid in found - self.members.keys():
            with suppress(OSError):
                self.members[pid] = os.open(f"/proc/{pid}/status", os.O_RDONLY)
                self.seen += 1

    def ours(self) -> list[int]:
        """The process and what it left running, as far as they are not waited for."""
        return [pid for pid in _children(os.getpid()) if pid not in self.strangers]

    def _anonymous(self, pid: int) -> int:
        try:
            status = os.pread(self.members[pid], 8192, 0)
        except OSError:
            os.close(self.members.pop(pid))
            return 0
        return _kilobytes(status, b"RssAnon:") + _kilobytes(status, b"RssShmem:")

    def close(self) -> None:
        for descriptor in self.members.values():
            os.close(descriptor)
        self.members.clear()


def measured(
    command: Sequence[str],
    cores: Sequence[int],
    log: Path,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    timeout: float = 900.0,
) -> Measured:
    """Run a command on these cores, with everything it starts, to its end; what it says goes to the log.

    After the timeout it is killed. The look-out for memory stays away from the command's cores where there are others.
    """
    _adopt()
    strangers = frozenset(_children(os.getpid()))
    with open(log, "wb") as said, _on(cores):
        began = time.perf_counter()
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=said, stderr=subprocess.STDOUT)
    family = _Family(process.pid, strangers)
    try:
        with _on(sorted(_ALL - set(cores)) or sorted(_ALL)):
            stopped = _watch(family, began + timeout)
            wall = time.perf_counter() - began
            status, usages = _bury(family)
            process.returncode = status
    except BaseException:
        _kill(family)
        raise
    finally:
        family.close()
    user, system = sum(usage.ru_utime for usage in usages), sum(usage.ru_stime for usage in usages)
    return Measured(wall, user, system, family.peak, family.shared, family.seen, status, stopped)


def _watch(family: _Family, until: float) -> bool:
    """Look at the memory until the first process has ended; whether it had to be killed."""
    stopped = False
    ended = os.pidfd_open(family.first)
    try:
        poll = select.poll()
        poll.register(ended, select.POLLIN)
        for tick in count():
            family.look(tick)
            if poll.poll(TICK * 1000):
                return stopped
            if time.perf_counter() > until and not stopped:
                stopped = True
                _kill(family)
    finally:
        os.close(ended)
    raise AssertionError("the look-out ends with the process")


def _bury(family: _Family) -> tuple[int, list[resource.struct_rusage]]:
    """Wait for the process and for what it left running, which is killed if it goes on; its status, and all usages."""
    _, status, usage = os.wait4(family.first, 0)
    usages = [usage]
    until = time.perf_counter() + ORPHANS_MAY_TAKE
    while orphans := family.ours():
        for pid in orphans:
            gone, _, usage = os.wait4(pid, os.WNOHANG)
            if gone:
                usages.append(usage)
            elif time.perf_counter() > until:
                os.kill(pid, signal.SIGKILL)
        time.sleep(TICK)
    return os.waitstatus_to_exitcode(status), usages


def _kill(family: _Family) -> None:
    for pid in [family.first, *family.members]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _children(pid: int) -> Iterator[int]:
    with suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with suppress(OSError), open(f"/proc/{pid}/task/{thread}/children", "rb") as file:
                yield from map(int, file.read().split())


def _shares(pid: int) -> int:
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_bytes()
    except OSError:
        return 0
    return _kilobytes(rollup, b"Pss_Anon:") + _kilobytes(rollup, b"Pss_Shmem:")


def _kilobytes(text: bytes, name: bytes) -> int:
    """The figure behind the name, in bytes; 0 without it."""
    _, found, rest = text.partition(name)
    return int(rest.split(None, 1)[0]) * 1024 if found else 0


def _adopt() -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(ADOPT, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "processes that are left running could not be adopted")


_ALL = frozenset(os.sched_getaffinity(0)) if sys.platform == "linux" else frozenset({0})


@contextmanager
def _on(cores: Sequence[int]) -> Iterator[None]:
    """On these cores, and what is started meanwhile stays there."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
