"""Staging files at a Hub: their content is there, and nobody sees it until a commit names it."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from sealift.errors import DestinationBusy, IntegrityError, RequestError
from sealift.model.manifest import CARD
from sealift.ports import Sink, Staged
from sealift.stores.hub import lfs, xet
from sealift.stores.hub.client import HubClient
from sealift.stores.hub.spool import Spool, file_pieces
from sealift.stores.hub.twice import send_written

HOLD_BYTES = 1 << 20
"""A file of at most this size that may be held stays in memory until the commit, while there is room for it."""
ROOM = 16 << 20
"""So many bytes of files are held at a time; those that come when it is used up are uploaded at once."""
CARD_BYTES = 5_000_000
"""The largest card that a Hub reads. It is held whatever its size: as a file in LFS or Xet it would not be read."""
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


@dataclass
class Room:
    """How much of the memory for held files is in use. The last one staged under a path counts."""

    total: int = ROOM
    _used: dict[str, int] = field(default_factory=dict, init=False)
    _sum: int = field(default=0, init=False)

    def left(self, path: str) -> int:
        """The bytes that there are for a file of that path."""
        return max(0, self.total - self._sum + self._used.get(path, 0))

    def count(self, staged: Staged) -> None:
        """Count what is held of the file from now on, instead of what was held under its path."""
        self.free([staged])
        if staged.data:
            self._used[staged.path] = len(staged.data)
            self._sum += len(staged.data)

    def free(self, files: Iterable[Staged]) -> None:
        """These are held no more."""
        for one in files:
            self._sum -= self._used.pop(one.path, 0)


@dataclass(frozen=True)
class HubStage:
    """Stages files at a Hub, by Xet or LFS. Picklable: workers stage at the same time, each its own files.

    `disk` is how many bytes of one file may lie in `folder` while it is written; a file that would take more is sent as
    it is written to Xet, and written twice for LFS, which wants its digest first. `room` is for the files that may be
    held; it stays in its process, and without it only the card and empty files are.

    `bandwidth` is the most bytes that this process sends in a second. With `afresh` nothing counts that this machine or
    the store remembers of earlier uploads: every byte is sent; where Xet does not take it so, by LFS.
    """

    client: HubClient
    xet: bool
    disk: int
    folder: Path
    room: Room | None = field(default=None, repr=False, compare=False)
    bandwidth: float | None = None
    afresh: bool = False

    @property
    def digests(self) -> bool:
        """Whether the SHA-256 is taken here, of the very bytes that come in: not where Xet gets them from the disk."""
        return not (self.xet and self.disk)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "room": None}

    def stage(self, path: str, write: Callable[[Sink], object], *, hold: bool = False) -> Staged:
        """Upload the file, unless it is empty or may be held and is small: those go with the commit.

        A file may be held while there is room for it, the card always.

        Raises:
            RequestError: it is a card that is larger than a Hub reads.
            AccessDenied, DestinationBusy, DestinationError: the Hub does not take it; with room on disk a broken
                connection was tried again.
            IntegrityError: other bytes arrived than were written, or `write` gives others the second time.
        """
        if hold and path == CARD:
            staged = self._card(write)
        else:
            memory = min(HOLD_BYTES, self.room.left(path)) if hold and self.room is not None else 0
            staged = self._sent(path, write, memory)
        if self.room is not None:
            self.room.count(staged)
        return staged

    def _sent(self, path: str, write: Callable[[Sink], object], memory: int) -> Staged:
        if not self.xet:
            return self._by_lfs(path, write, memory)
        try:
            return self._by_xet(path, write, memory)
        except DestinationBusy:
            # A store that says that it has a block takes none, and has lost it all the same: LFS goes another way.
            if not self.afresh:
                raise
            return self._by_lfs(path, write, memory)

    @property
    def _sender(self) -> HubClient:
        return replace(self.client, bandwidth=self.bandwidth)

    def send_held(self, held: Sequence[Staged]) -> None:
        """Upload files that were held, together; a commit can name them by their SHA-256 then."""
        if not held:
            return
        if self.xet:
            data = [(one.path, one.data or b"", one.sha256 or "") for one in held]
            xet.send_held(self._sender, data, afresh=self.afresh)
            return
        for one, order in zip(held, lfs.orders(self.client, [_blob(one) for one in held]), strict=True):
            lfs.send(self._sender, _blob(one), order, partial(_slice, one.data or b""))

    def read_back(self, staged: Staged, offset: int, view: memoryview) -> None:
        """Fill the view with what the Hub, or for a held file this process, has of it.

        Raises:
            ContentMissing: it has nothing of it.
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

    def _card(self, write: Callable[[Sink], object]) -> Staged:
        with Spool(self.folder, CARD_BYTES) as spool:
            write(spool)
            if spool.held is None:
                raise RequestError(
                    f"{CARD} would have {spool.size} bytes, and a Hub reads no card of more than {CARD_BYTES}",
                    hint="put a part of its text into a file of its own",
                    path=CARD,
                )
            return _held(CARD, bytes(spool.held))

    def _by_xet(self, path: str, write: Callable[[Sink], object], memory: int) -> Staged:
        with ExitStack() as stack:
            uploads: list[xet.Upload] = []

            def beyond() -> Sink:
                uploads.append(stack.enter_context(xet.Upload(self._sender, afresh=self.afresh)))
                return uploads[0]

            spool = stack.enter_context(Spool(self.folder, memory, self.disk, beyond))
            write(spool)
            if spool.held is not None:
                return _held(path, bytes(spool.held))
            if uploads:
                done = uploads[0].finish(path)
            else:
                done = xet.send(self._sender, path, spool.pieces, afresh=self.afresh)
        return Staged(path, done.size, done.sha256, done.hash)

    def _by_lfs(self, path: str, write: Callable[[Sink], object], memory: int) -> Staged:
        with Spool(self.folder, memory, self.disk, hashed=True) as spool:
            write(spool)
            if spool.held is not None:
                return _held(path, bytes(spool.held))
            blob = lfs.Blob(path, spool.sha256, spool.size)
            [order] = lfs.orders(self.client, [blob])
            if spool.file is not None:
                lfs.send(self._sender, blob, order, partial(file_pieces, spool.file))
            elif order.parts:
                send_written(self._sender, blob, order, write)
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
