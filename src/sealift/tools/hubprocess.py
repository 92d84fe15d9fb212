"""A Hub for one run: a child process on this machine, which ends with the run however that ends."""

from __future__ import annotations

import http.client
import json
import os
import select
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sealift.errors import DestinationError, SealiftError

START_S, STOP_S, CALL_S, DYING_S = 60, 15, 60, 0.5
PROGRAM = """\
import json, os, signal, sys, threading
sys.path[:] = json.loads(sys.argv[1])
def follow():
    os.read(0, 1)
    os.kill(os.getpid(), signal.SIGTERM)
threading.Thread(target=follow, daemon=True).start()
from sealift.localhub.__main__ import main
sys.exit(main(sys.argv[2:]))
"""
"""What the child runs: `python -m sealift.localhub`, until nobody holds its standard input any more. So it does not
outlive a parent that was killed."""
OWN_PLACES = (
    "HF_ASSETS_CACHE",
    "HF_DATASETS_CACHE",
    "HF_DATASETS_DOWNLOADED_DATASETS_PATH",
    "HF_HUB_CACHE",
    "HF_MODULES_CACHE",
    "HF_OIDC_RESOURCE",
    "HF_TOKEN_PATH",
    "HUGGINGFACE_HUB_CACHE",
)
"""Variables that would lead the clients to the user's own caches or tokens, past HF_HOME."""
OFFLINE = ("HF_DATASETS_OFFLINE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
QUIET = {
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_UPDATE_CHECK": "1",
    "HF_XET_TELEMETRY_ENABLED": "0",
}


@dataclass(frozen=True, slots=True)
class Counts:
    """What a local Hub has served: requests by kind, bytes of bodies, commits, and the content that it keeps.

    `quota` says against which quota of the real Hub a kind counts: `api`, `resolvers` or none. Of the bytes of content
    that came, `new` are those that were not there yet.
    """

    requests: Mapping[str, int]
    quota: Mapping[str, str | None]
    bytes_in: int
    bytes_out: int
    commits: int
    new: int

    def since(self, earlier: Counts) -> Counts:
        """What came after the earlier look."""
        return Counts(
            dict(sorted((Counter(self.requests) - Counter(earlier.requests)).items())),
            self.quota,
            self.bytes_in - earlier.bytes_in,
            self.bytes_out - earlier.bytes_out,
            self.commits - earlier.commits,
            self.new - earlier.new,
        )

    @property
    def total(self) -> int:
        """All requests."""
        return sum(self.requests.values())

    def against(self, quota: str) -> int:
        """The requests that count against that quota."""
        return sum(count for kind, count in self.requests.items() if self.quota.get(kind) == quota)


@dataclass(frozen=True, slots=True)
class LocalHub:
    """A local Hub that answers: where, as whom, and its process."""

    endpoint: str
    user: str
    root: Path
    pid: int
    token: str = field(repr=False)

    def counts(self) -> Counts:
        """What it has served so far; asking does not count."""
        said = json.loads(self._own("/-/counts"))
        return Counts(
            said["requests"],
            said["quota"],
            said["bytes_in"],
            said["bytes_out"],
            said["commits"],
            said["stored"]["new"],
        )

    def environment(self, home: Path) -> dict[str, str]:
        """The environment of a client process that knows this Hub and no other, with its caches under `home`."""
        return {**_apart(home), "HF_ENDPOINT": self.endpoint, "HF_TOKEN": self.token}

    def _own(self, route: str) -> bytes:
        # Not by a client that asks the environment for a proxy.
        connection = http.client.HTTPConnection(urlsplit(self.endpoint).netloc, timeout=CALL_S)
        try:
            connection.request("GET", route, headers={"Authorization": f"Bearer {self.token}"})
            answer = connection.getresponse()
            content = answer.read()
        except OSError as error:
            raise DestinationError(f"the local Hub does not answer: {error}", hint="run the same again") from error
        finally:
            connection.close()
        if answer.status != http.client.OK:
            raise DestinationError(f"the local Hub answered {answer.status} to {route}", hint="run the same again")
        return content


@contextmanager
def local_hub(root: Path, *options: str) -> Iterator[LocalHub]:
    """A Hub with its state in `root`, until the block is left; what it says on stderr is in `<root>.log`.

    Raises:
        DestinationError: it does not start, or ended by itself; with the last that it said.
    """
    root.mkdir(parents=True, exist_ok=True)
    log = root.with_name(f"{root.name}.log")
    command = [sys.executable, "-c", PROGRAM, json.dumps(sys.path), "--root", str(root), "--port", "0", *options]
    with (
        log.open("wb") as heard,
        # In a session of its own it does not hear the terminal's Ctrl-C: the run decides, and ends it.
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=heard, start_new_session=True
        ) as process,
    ):
        try:
            yield _ready(process, root, log)
        except SealiftError as error:
            with suppress(subprocess.TimeoutExpired):
                process.wait(DYING_S)  # its connections break before it is gone
                raise _ended(process, log) from error
            raise
        finally:
            end(process)


@contextmanager
def apart(home: Path) -> Iterator[None]:
    """The environment as a run against a local Hub needs it, for this process and those that it starts.

    Caches lie under `home`, no proxy stands before this machine, and nobody is offline. The official client reads its
    environment when it is imported: be here before. All is as it was when the block is left.
    """
    before, wanted = dict(os.environ), _apart(home)
    os.environ.clear()
    os.environ.update(wanted)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _apart(home: Path) -> dict[str, str]:
    """This process's environment, with all that a client keeps under `home`."""
    taken = {name: value for name, value in os.environ.items() if name not in (*OWN_PLACES, *OFFLINE)}
    direct = ",".join(filter(None, (os.environ.get("no_proxy") or os.environ.get("NO_PROXY"), "127.0.0.1,localhost")))
    places = {"HF_HOME": str(home / "hf"), "HF_XET_CACHE": str(home / "xet")}
    return {**taken, **QUIET, **places, "NO_PROXY": direct, "no_proxy": direct}


def _ready(process: subprocess.Popen[bytes], root: Path, log: Path) -> LocalHub:
    """The Hub, once it has said that it answers."""
    assert process.stdout is not None
    readable, _, _ = select.select([process.stdout], [], [], START_S)
    line = process.stdout.readline() if readable else b""
    if not line:
        if not readable:
            process.kill()
        process.wait()
        raise _ended(process, log)
    said: dict[str, Any] = json.loads(line)
    return LocalHub(said["endpoint"], said["user"], root, process.pid, said["token"])


def _ended(process: subprocess.Popen[bytes], log: Path) -> DestinationError:
    said = log.read_text(errors="replace").strip().splitlines()
    return DestinationError(
        f"the local Hub ended with code {process.returncode}{f': {said[-1]}' if said else ''}",
        hint="run the same again; `sealift doctor` looks at disk and memory",
    )


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process that was started here, by its id; by force if it does not go."""
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
