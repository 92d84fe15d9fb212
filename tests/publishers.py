"""Publications in processes of their own, killed where a test likes: everything is imported once, then forked."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
KEPT = ("PATH", "LANG", "LC_ALL", "SSL_CERT_FILE", "SSL_CERT_DIR")
FULL = 6_000
"""Bytes of a file after which a disk is said to be full."""
PROGRAM = "from tests.publishers import serve; serve()"


@dataclass(frozen=True)
class Ended:
    """How a publication ended: its exit code (-9 if it was killed), what it said last, and what it did.

    `steps` are the boundaries that it crossed, `packed` the shards whose bytes were handed over, `read` the files of
    the source that this process opened (not those that its workers did), `heard` what was told to the user. `moved` are
    the bytes of all that it read and wrote, whatever that was, if it came to its end.
    """

    code: int
    said: Mapping[str, Any] = field(default_factory=dict)
    steps: int = 0
    packed: Sequence[str] = ()
    read: Sequence[str] = ()
    heard: Sequence[str] = ()
    moved: Mapping[str, int] = field(default_factory=dict)

    @property
    def was_killed(self) -> bool:
        return self.code == -signal.SIGKILL


class Publisher:
    """Starts publications one at a time, each in a process group of its own. Use it with `with`.

    What they leave behind when they are killed lies below `home`, the state of their jobs, too.
    """

    def __init__(self, home: Path, environment: Mapping[str, str] | None = None) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self._log = home / "log.jsonl"
        known = environment or {name: os.environ[name] for name in KEPT if name in os.environ} | {"HOME": str(home)}
        env = {**known, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "TMPDIR": str(home)}
        env["XDG_STATE_HOME"] = str(home / "state")
        words = [sys.executable, "-c", PROGRAM]
        self._process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env, cwd=ROOT
        )

    def __enter__(self) -> Publisher:
        return self

    def __exit__(self, *error: object) -> None:
        self._process.communicate()

    def begin(self, source: Path, to: str | Path, **options: Any) -> int:
        """Start publishing what the source's spec says; the number of the process, which leads a group.

        `step` is the boundary at which it is killed, if any, from 0 on, of those of `at`: "journal" (just before and
        just after each transaction), "commit" (before each rename and deletion in the folder), "files" (before each
        change of a folder there, beside it or in the state), "wire" (before and after bytes are sent or received).
        `cut` is how many shards are staged when it is killed while the next one is in flight (with one worker); `full`
        how many, when the disk takes no more. The other options are those of `build` and `Access`.
        """
        self._log.unlink(missing_ok=True)
        asked = {"source": str(source), "to": str(to), "log": str(self._log), **options}
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asked, default=str) + "\n")
        self._process.stdin.flush()
        return int(self._line())

    def end(self) -> Ended:
        """Wait for the end."""
        code = int(self._line())
        said: dict[str, list[Any]] = {}
        for line in self._log.read_text().splitlines() if self._log.exists() else ():
            with suppress(ValueError):  # it was killed while it wrote the line
                for name, value in json.loads(line).items():
                    said.setdefault(name, []).append(value)
        return Ended(
            code,
            next(iter(said.get("ended", [])), {}),
            len(said.get("step", [])),
            said.get("packed", []),
            said.get("read", []),
            said.get("heard", []),
            next(iter(said.get("moved", [])), {}),
        )

    def run(self, source: Path, to: str | Path, **options: Any) -> Ended:
        """The same to its end."""
        self.begin(source, to, **options)
        return self.end()

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the publisher is gone"
        return line


def killed(leader: int) -> None:
    """Kill that process and its group, if they are there still."""
    with suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


def serve() -> None:
    """Publish in a new process for each line that is read."""
    for module in ("hf_xet", "sealift.build", "sealift.stores.hub", "sealift.media", "sealift.verify.published"):
        import_module(module)
    for line in sys.stdin:
        child = os.fork()
        if not child:
            os.setpgid(0, 0)
            code = 1
            try:
                code = _publish(json.loads(line))
            finally:
                os._exit(code)
        with suppress(OSError):
            os.setpgid(child, child)
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def _publish(asked: dict[str, Any]) -> int:
    from sealift.build import build
    from sealift.build.places import Access
    from sealift.errors import SealiftError
    from sealift.model.event import HandedOver, Said, Warned
    from sealift.spec import Spec

    source, to, log = asked.pop("source"), asked.pop("to"), _Log(asked.pop("log"))
    state = asked.pop("state", None)
    _watch(source, to, state, log, asked.pop("at", ["journal"]), asked.pop("step", None))

    cut, full, packed = asked.pop("cut", None), asked.pop("full", None), 0

    def hear(event: object) -> None:
        nonlocal packed
        if isinstance(event, HandedOver):
            log(packed=event.path)
            if packed == cut:
                os.killpg(0, signal.SIGKILL)
            if packed == full:  # the system lets no file grow beyond that
                resource.setrlimit(resource.RLIMIT_FSIZE, (FULL, resource.RLIM_INFINITY))
            packed += 1
        if isinstance(event, Said | Warned):
            log(heard=event.message)

    names = Access.__dataclass_fields__.keys()
    access = Access(state=None if state is None else Path(state), **{n: asked.pop(n) for n in names & asked.keys()})
    try:
        build(Spec.load(Path(source) / "sealift.yaml"), to, access=access, on_event=hear, **{"workers": 1, **asked})
    except SealiftError as error:
        log(ended=error.as_json())
        return error.exit_code
    log(ended={}, moved=_moved())
    return 0


def _moved() -> dict[str, int]:
    """The bytes that this process has read and written so far."""
    lines = Path("/proc/self/io").read_text().splitlines()
    counts = {name: int(value) for name, value in (line.split(": ") for line in lines)}
    return {"read": counts["rchar"], "written": counts["wchar"]}


class _Log:
    """Lines of a file that are there whatever kills the process."""

    def __init__(self, file: str) -> None:
        self._file = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def __call__(self, **said: Any) -> None:
        os.write(self._file, json.dumps(said).encode() + b"\n")


RENAMES = ("os.rename", "os.remove")
CHANGES = (*RENAMES, "os.rmdir", "os.mkdir")


def _watch(source: str, to: str, state: str | None, log: _Log, at: Sequence[str], step: int | None) -> None:
    """Count the boundaries, and end this group of processes at that one.

    The interpreter tells of them: our own code knows nothing of it.
    """
    crossed, folder = 0, ""
    beside = tuple(filter(None, (os.path.dirname(to) if to.startswith("/") else None, state)))

    def boundary(what: str) -> None:
        nonlocal crossed
        if crossed == step:
            os.killpg(0, signal.SIGKILL)
        crossed += 1
        log(step=what)

    def opened(path: str, flags: int) -> None:
        # By its whole path, or by its name in a folder that was opened just before.
        nonlocal folder
        if flags & os.O_DIRECTORY:
            folder = path
        elif (whole := os.path.normpath(os.path.join(folder, path))).startswith(source + "/"):
            log(read=whole[len(source) + 1 :])

    def audit(event: str, args: tuple[Any, ...]) -> None:
        if event == "open":
            if isinstance(args[0], str) and args[1] is None:
                opened(args[0], args[2])
        elif event in CHANGES:
            paths = [str(path) for path in args[:2]]
            if ("files" in at and any(path.startswith(beside) for path in paths)) or (
                "commit" in at and event in RENAMES and any(path.startswith(to + "/") for path in paths)
            ):
                boundary(f"{event} {paths[0]}")

    def profile(frame: Any, event: str, called: Any) -> None:
        if event not in ("c_call", "c_return"):
            return
        owner, name = type(getattr(called, "__self__", None)).__name__, called.__name__
        if "journal" in at and owner == "Connection" and name in ("commit", "executescript"):
            boundary(f"{event} {name}")
        if "wire" in at and owner in ("socket", "SSLSocket") and name in ("send", "sendall", "recv"):
            boundary(f"{event} {name}")

    sys.addaudithook(audit)
    if {"journal", "wire"} & set(at):
        sys.setprofile(profile)
