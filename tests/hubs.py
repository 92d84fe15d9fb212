"""A Hub to test against: the one on this machine, or any other that the environment names."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import textwrap
import urllib.request
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

ROOT = Path(__file__).parents[1]
START_SECONDS, STOP_SECONDS, CALL_SECONDS = 30, 15, 120
KEPT = ("PATH", "LANG", "LC_ALL", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "HTTPS_PROXY", "HTTP_PROXY")
"""What a client takes over from the environment of the tests; everything else could change what it does."""
QUIET = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_UPDATE_CHECK": "1",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "HF_XET_TELEMETRY_ENABLED": "0",
}


@dataclass(frozen=True)
class Hub:
    """A Hub and who we are there. What only the Hub on this machine can do says so; it has a `root`."""

    endpoint: str
    token: str
    namespace: str
    read_token: str | None = None
    """A token of the same user that may not write, if there is one."""
    root: Path | None = None
    log: Path | None = None
    """Where a local Hub's stderr goes."""
    pid: int | None = None
    """The process of a local Hub."""

    def name(self, hint: str = "data") -> str:
        """The id of a repository that is not there yet; another one each time."""
        return f"{self.namespace}/sealift-{hint}-{uuid.uuid4().hex[:12]}"

    def environment(self, home: Path, *, xet: bool = True) -> dict[str, str]:
        """The whole environment of a client process, which keeps its caches under `home` and knows no other Hub."""
        taken = {name: os.environ[name] for name in KEPT if name in os.environ}
        places = {"HOME": home, "HF_HOME": home / "hf", "HF_XET_CACHE": home / "xet", "PYTHONPATH": ROOT}
        return {
            **taken,
            **QUIET,
            **{name: str(place) for name, place in places.items()},
            "NO_PROXY": "127.0.0.1,localhost",
            "HF_ENDPOINT": self.endpoint,
            "HF_TOKEN": self.token,
            **({} if xet else {"HF_HUB_DISABLE_XET": "1"}),
        }

    def run_python(self, code: str, env: Mapping[str, str]) -> CompletedProcess[str]:
        """Run Python code in a process of its own, to its end: clients read the environment when they are imported."""
        words = [sys.executable, "-c", textwrap.dedent(code)]
        return subprocess.run(words, capture_output=True, text=True, check=False, env=env, timeout=CALL_SECONDS)

    def counts(self) -> dict[str, Any]:
        """What a local Hub has served and stored so far."""
        counted: dict[str, Any] = json.loads(self._own("counts"))
        return counted

    def faults(self, faults: Sequence[Mapping[str, Any]]) -> None:
        """Make a local Hub fail as told; an empty list mends it."""
        self._own("faults", json.dumps(list(faults)).encode())

    def happened(self) -> list[dict[str, Any]]:
        """The faults of a local Hub that are in force; `happened` is how often each did."""
        told: list[dict[str, Any]] = json.loads(self._own("faults"))
        return told

    def collect(self, older_than: float = 0, *, remembers: bool = False) -> dict[str, int]:
        """Have a local Hub drop content that no commit of a reference names; how much went."""
        said = {"older_than": older_than, "remembers": remembers}
        gone: dict[str, int] = json.loads(self._own("collect", json.dumps(said).encode()))
        return gone

    def _own(self, route: str, body: bytes | None = None) -> bytes:
        request = urllib.request.Request(f"{self.endpoint}/-/{route}", data=body)
        request.add_header("Authorization", f"Bearer {self.token}")
        request.add_header("Content-Type", "application/json")
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(request, timeout=CALL_SECONDS) as answer:
            content: bytes = answer.read()
        return content


def named_by_environment() -> Hub | None:
    """The Hub that SEALIFT_TEST_ENDPOINT, _TOKEN and _NAMESPACE name (and _READ_TOKEN), if they do."""
    endpoint = os.environ.get("SEALIFT_TEST_ENDPOINT")
    if endpoint is None:
        return None
    return Hub(
        endpoint=endpoint.rstrip("/"),
        token=os.environ["SEALIFT_TEST_TOKEN"],
        namespace=os.environ["SEALIFT_TEST_NAMESPACE"],
        read_token=os.environ.get("SEALIFT_TEST_READ_TOKEN"),
    )


@contextmanager
def start_hub(root: Path, *options: str) -> Iterator[Hub]:
    """A local Hub with its state in `root`, until the block is left. What it says on stderr lies beside the root.

    Raises AssertionError, with that, if it does not start in time or does not stop cleanly. A test may kill it.
    """
    root.parent.mkdir(parents=True, exist_ok=True)
    log = root.with_name(f"{root.name}.log")
    words = [sys.executable, "-m", "sealift.localhub", "--root", str(root), "--port", "0", *options]
    with log.open("ab") as heard, subprocess.Popen(words, stdout=subprocess.PIPE, stderr=heard, text=True) as process:
        try:
            yield _ready(process, root, log)
            if process.poll() is None:
                process.terminate()
                code = process.wait(STOP_SECONDS)
                assert code == 0, f"the Hub ended with {code} when it was told to stop:\n{tail(log)}"
        finally:
            process.kill()


def _ready(process: subprocess.Popen[str], root: Path, log: Path) -> Hub:
    """The Hub, once it has said that it is ready."""
    assert process.stdout is not None
    readable, _, _ = select.select([process.stdout], [], [], START_SECONDS)
    line = process.stdout.readline() if readable else ""
    assert line, f"the Hub was not ready after {START_SECONDS} s:\n{tail(log)}"
    said = json.loads(line)
    assert Path(said["root"]) == root, said
    return Hub(said["endpoint"], said["token"], said["user"], said["read_token"], root, log, process.pid)


def tail(log: Path, characters: int = 4000) -> str:
    """The end of what was written to a log."""
    return log.read_text(errors="replace")[-characters:]
