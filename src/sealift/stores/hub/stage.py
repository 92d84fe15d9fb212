"""Staging files at a Hub: their content is there, and nobody sees it until a commit names it."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sealift.errors import IntegrityError
from sealift.ports import Sink, Staged
from sealift.stores.hub import lfs, xet
from sealift.stores.hub.client import HubClient
from sealift.stores.hub.spool import Spool, file_pieces
from sealift.stores.hub.twice import send_written

HOLD_BYTES = 1 << 20
"""A file of at most this size that may be held stays in memory until the commit."""
HELD = 250_000_000
"""Peak anonymous memory that uploading by Xet adds to a process with one block on its way, whatever the file's size.

Xet's library cuts blocks of 64 MiB, which cannot be changed: one is on its way, one waits, and one of them is twice
there for a moment while it is packed. With hf_xet 1.8, 238 MB were measured (RssAnon, 2 GB of random bytes), and 228 MB
with a store that takes 2 s for a block; with two blocks on their way 299 MB. LFS adds less than 16 MB.
"""
BLOCK = 70_000_000
"""The same for each further block."""
BLOCKS = 8
"""More blocks on their way are of no use to one worker."""
LFS_STAGING = 8_000_000_000
"""Bytes on disk for files on their way to LFS, if nobody says otherwise; never more than half of what is free."""


@dataclass(frozen=True)
class HubStage:
    """Stages files at a Hub, by Xet or LFS. Picklable: workers stage at the same time, each its own files.

    `disk` is how many bytes of one file may lie in `folder` while it is written; a file that would take more is sent as
    it is written to Xet, and written twice for LFS, which wants its digest first.
    """

    client: HubClient
    xet: bool
    disk: int
    folder: Path

    def stage(self, path: str, write: Callable[[Sink], object], *, hold: bool = False) -> Staged:
        """Upload the file, unless it is empty or may be held and is small: those go with the commit.

        Raises:
            AccessDenied, DestinationBusy, DestinationError: the Hub does not take it; with room on disk a broken
                connection was tried again.
            IntegrityError: other bytes arrived than were written, or `write` gives others the second time.
        """
        return (self._by_xet if self.xet else self._by_lfs)(path, write, HOLD_BYTES if hold else 0)

    def send_held(self, held: Sequence[Staged]) -> None:
        """Upload files that were held, together; a commit can name them by their SHA-256 then."""
        if not held:
            return
        if self.xet:
            xet.send_held(self.client, [(one.path, one.data or b"", one.sha256 or "") for one in held])
            return
        for one, order in zip(held, lfs.orders(self.client, [_blob(one) for one in held]), strict=True):
            lfs.send(self.client, _blob(one), order, partial(_slice, one.data or b""))

    def read_back(self, staged: Staged, offset: int, view: memoryview) -> None:
        """Fill the view with what the Hub, or for a held file this process, has of it.

        Raises:
            IntegrityError: it has not all of it.
            DestinationBusy: it does not answer.
        """
        if offset + len(view) > staged.size:
            raise IntegrityError(f"{staged.path} has no byte {offset + len(view) - 1}", path=staged.path)
        if staged.data is not None:
            view[:] = staged.data[offset : offset + len(view)]
        elif not view:
            return
        elif staged.xet_hash is not None:
            file = xet.XetFile(staged.xet_hash, staged.size, staged.sha256 or "")
            xet.read_back(self.client, staged.path, file, offset, view)
        else:
            lfs.read_back(self.client, _blob(staged), offset, view)

    def _by_xet(self, path: str, write: Callable[[Sink], object], memory: int) -> Staged:
        with ExitStack() as stack:
            uploads: list[xet.Upload] = []

            def beyond() -> Sink:
                uploads.append(stack.enter_context(xet.Upload(self.client)))
                return uploads[0]

            spool = stack.enter_context(Spool(self.folder, memory, self.disk, beyond))
            write(spool)
            if spool.held is not None:
                return _held(path, bytes(spool.held))
            done = uploads[0].finish(path) if uploads else xet.send(self.client, path, spool.pieces)
        return Staged(path, done.size, done.sha256, done.hash)

    def _by_lfs(self, path: str, write: Callable[[Sink], object], memory: int) -> Staged:
        with Spool(self.folder, memory, self.disk, hashed=True) as spool:
            write(spool)
            if spool.held is not None:
                return _held(path, bytes(spool.held))
            blob = lfs.Blob(path, spool.sha256, spool.size)
            [order] = lfs.orders(self.client, [blob])
            if spool.file is not None:
                lfs.send(self.client, blob, order, partial(file_pieces, spool.file))
            elif order.parts:
                send_written(self.client, blob, order, write)
        return Staged(path, blob.size, blob.sha256)


def held(blocks: int) -> int:
    """Peak anonymous memory that uploading adds to a process with so many blocks on their way, in bytes."""
    return HELD + (blocks - 1) * BLOCK


def blocks_within(memory: int) -> int:
    """How many blocks may be on their way in a process that has that memory for uploading; at least one.

    They hide the way to the store: with one that takes 2 s for a block, one block brought 25 MB/s, two 45 MB/s, and the
    library's own settings, which know no bound, 82 MB/s. To a local Hub they differed less than two busy cores do.
    """
    return max(1, min(BLOCKS, 1 + (memory - HELD) // BLOCK))


def disk_of_one(staging: int | None, workers: int, xet_there: bool, folder: Path) -> int:
    """How much of one file may lie on disk, when `workers` stage at the same time within `staging` bytes together."""
    if staging is None:
        staging = 0 if xet_there else min(LFS_STAGING, shutil.disk_usage(folder).free // 2)
    return staging // max(1, workers)


def _held(path: str, data: bytes) -> Staged:
    return Staged(path, len(data), hashlib.sha256(data).hexdigest(), data=data)


def _slice(data: bytes, start: int, size: int) -> list[bytes]:
    return [data[start : start + size]]


def _blob(staged: Staged) -> lfs.Blob:
    return lfs.Blob(staged.path, staged.sha256 or "", staged.size)
