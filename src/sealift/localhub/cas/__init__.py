"""The content-addressed store of the local Hub: what the released Xet client sends and fetches, over plain HTTP.

Content comes as xorbs (packed chunks) and shards (which chunks make up which file). Both are checked by recomputing
their hashes, and a file is recorded once its content was read through and has the SHA-256 that the client claimed.
"""

from __future__ import annotations

import fcntl
from collections.abc import Container, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal

from sealift.localhub.cas import hashes
from sealift.localhub.cas.database import Database
from sealift.localhub.cas.files import Files, XetFile
from sealift.localhub.cas.losses import SPOILS, Losses
from sealift.localhub.cas.routes import Api
from sealift.localhub.cas.tokens import Signer, kept_key
from sealift.localhub.cas.xorbs import Xorbs
from sealift.localhub.gate import Gate

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

__all__ = ["SPOILS", "Cas", "XetFile"]


class Cas:
    """A store in a folder, for one process and any number of its threads; it is open from the start until `close`.

    Killed at any instant it leaves whole xorbs and readable files; only `collect` takes away what was recorded.

    Raises:
        BlockingIOError: another process has it open.
    """

    def __init__(self, root: Path, *, url_path: str = "/cas", gate: Gate | None = None) -> None:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        gate = gate or Gate()
        self._lock = _locked(root / "lock")
        self._database = Database(root / "cas.sqlite")
        self._xorbs = Xorbs(root, self._database)
        self._xorbs.clean()
        self._files = Files(self._xorbs, self._database, gate)
        self._losses = Losses(self._xorbs, self._database, gate)
        self._signer = Signer(kept_key(root / "key"))
        self._url_path = url_path

    def routes(self) -> list[BaseRoute]:
        """What is to be mounted at `url_path`; it checks its own tokens."""
        return Api(self._xorbs, self._files, self._losses, self._signer, self._url_path).routes()

    def token(self, scope: Literal["read", "write"], seconds: int = 900) -> tuple[str, int]:
        """A token for these routes, and its end in unix seconds. One that may write may read."""
        return self._signer.token(scope, seconds)

    def find(self, sha256: str) -> XetFile | None:
        """A complete file whose content has that SHA-256, if there is one."""
        return self._files.find(sha256)

    def read(self, file_hash: str, start: int, end: int) -> Iterator[bytes]:
        """The bytes of a file from `start` to before `end`, in pieces of about a MiB, whatever its size.

        Raises:
            KeyError: there is no file of that Xet hash.
        """
        name = hashes.parse(file_hash)
        if self._files.get(name) is None:
            raise KeyError(file_hash)
        return self._files.read(name, start, end)

    def collect(self, named: Container[str], before: float, *, remembers: bool) -> tuple[dict[str, int], int, int]:
        """Drop files whose SHA-256 is not named and xorbs of no file, all of before that time (unix seconds).

        SHA-256 and size of the files that went, and number and packed bytes of the xorbs. With `remembers`, clients
        that ask for a chunk are told what was there. Whoever calls is alone behind the gate.
        """
        return self._losses.collect(named, before, remembers=remembers)

    def stored(self) -> tuple[int, int, int]:
        """Bytes of all content on disk; bytes that came, and the new ones among them, since the store was opened.

        Content is counted as it is sent and kept: packed.
        """
        return self._xorbs.stored()

    def close(self) -> None:
        """Let go of the folder; no request may be under way."""
        self._database.close()
        self._lock.close()


def _locked(path: Path) -> IO[str]:
    """That file, locked until it is closed or the process ends in whatever way."""
    lock = open(path, "w")  # noqa: SIM115 — it stays open as long as it is held
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.close()
        raise BlockingIOError(error.errno, "another process serves this folder: stop it first", str(path)) from error
    return lock
