"""The released Xet client in a process of its own, as it reads its settings and its cache when it is imported."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.localhub.cas_server import ROOT, Store

CLIENT_SECONDS = 120


@dataclass(frozen=True)
class Sent:
    """A file as the client says that it sent it."""

    hash: str
    size: int
    sha256: str | None


class ClientFailed(Exception):
    """The client ended with an error; the message is what it wrote."""


@dataclass(frozen=True)
class Client:
    """A machine with the client on it: its cache outlives its processes."""

    store: Store
    cache: Path

    def send(self, *files: Path, how: str = "file", sha256: str = "compute") -> list[Sent]:
        """Upload files in one commit: from the `file`, as `bytes` or by `stream`.

        Raises:
            ClientFailed: the upload was refused.
        """
        said = self._result(self.begin(*files, how=how, sha256=sha256))
        return [Sent(**one) for one in said]

    def begin(self, *files: Path, how: str = "file", sha256: str = "compute") -> subprocess.Popen[str]:
        """Start the same upload; whoever starts it ends it."""
        return self._start(do="send", files=[str(path) for path in files], how=how, sha256=sha256)

    def fetch(self, sent: Sent, *ranges: tuple[int, int]) -> list[str]:
        """The SHA-256 of ranges of a file as the client reads it, of all of it without one."""
        said: list[str] = self._result(
            self._start(do="fetch", hash=sent.hash, size=sent.size, ranges=ranges or [(0, sent.size)])
        )
        return said

    def result(self, process: subprocess.Popen[str]) -> list[Sent]:
        """What an upload ended with that was begun."""
        return [Sent(**one) for one in self._result(process)]

    def _start(self, **job: Any) -> subprocess.Popen[str]:
        endpoint = {
            "endpoint": self.store.endpoint,
            "token": self.store.write if job["do"] == "send" else self.store.read,
            "token_expiry_unix_secs": self.store.expiry,
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.localhub.cas_client"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "HF_XET_CACHE": str(self.cache), "HF_XET_TELEMETRY_ENABLED": "0"},
        )
        assert process.stdin is not None
        with process.stdin as job_in:
            json.dump({**job, "endpoint": endpoint}, job_in)
        process.stdin = None
        return process

    def _result(self, process: subprocess.Popen[str]) -> Any:
        try:
            out, err = process.communicate(timeout=CLIENT_SECONDS)
        except BaseException:
            process.kill()
            process.communicate()
            raise
        if process.returncode != 0:
            raise ClientFailed(err)
        return json.loads(out)


def released() -> Any:
    """The client, which ships no types."""
    return importlib.import_module("hf_xet")


def main(job: Mapping[str, Any]) -> None:
    """Do one thing, and print what came of it."""
    hf_xet = released()
    session = hf_xet.XetSession()
    if job["do"] == "send":
        said: Sequence[Any] = list(_send(session, job))
    else:
        group = session.new_download_stream_group(**job["endpoint"])
        said = [_hashed(group, hf_xet.XetFileInfo(job["hash"], job["size"]), *span) for span in job["ranges"]]
    print(json.dumps(said))


def _send(session: Any, job: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    hf_xet = released()
    named = {"compute": hf_xet.COMPUTE_SHA256, "skip": hf_xet.SKIP_SHA256}
    sha256 = named.get(job["sha256"], job["sha256"])
    commit = session.new_upload_commit(**job["endpoint"])
    handles = [_begin(commit, Path(path), job["how"], sha256) for path in job["files"]]
    commit.wait_to_finish()
    for handle in handles:
        info = handle.result().xet_info if hasattr(handle, "result") else handle.finished.xet_info
        yield {"hash": info.hash, "size": info.file_size, "sha256": info.sha256}


def _begin(commit: Any, path: Path, how: str, sha256: Any) -> Any:
    if how == "file":
        return commit.start_upload_file(str(path), sha256)
    if how == "bytes":
        return commit.start_upload_bytes(path.read_bytes(), sha256, path.name)
    return _Streamed(commit.start_upload_stream(path.name, sha256), path)


class _Streamed:
    """A file that was written into an upload in slices."""

    def __init__(self, upload: Any, path: Path) -> None:
        with open(path, "rb") as file:
            while piece := file.read(300_000):
                upload.write(piece)
        self.finished = upload.finish()


def _hashed(group: Any, info: Any, start: int, end: int) -> str:
    digest = hashlib.sha256()
    for piece in group.download_stream(info, start, end):
        digest.update(piece)
    return digest.hexdigest()


if __name__ == "__main__":
    main(json.load(sys.stdin))
