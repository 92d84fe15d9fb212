"""Sending to LFS what lies nowhere: the file is written again, straight into the request."""

from __future__ import annotations

import hashlib
import queue
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial

from huggingface_hub.errors import HfHubHTTPError

from sealift.errors import IntegrityError
from sealift.ports import Sink
from sealift.stores.hub.answers import Means, means, retry_after
from sealift.stores.hub.client import HubClient
from sealift.stores.hub.lfs import Blob, Order, finish, put
from sealift.stores.hub.spool import SLICE, Bytes
from sealift.stores.hub.wire import PATIENCE

TRIES = 3
"""So many times the file is written before its upload has failed; parts that arrived are not sent again."""
QUEUED = 4
"""Pieces of at most a slice between the writer and the connection: the memory that this takes."""


class _Cut(Exception):
    """The other side has ended."""


def send_written(client: HubClient, blob: Blob, order: Order, write: Callable[[Sink], object]) -> None:
    """Send what `write` gives, which is called here, in this thread; the requests are made in another.

    Raises:
        IntegrityError: it does not give the same bytes again.
        Exception: whatever `write` raises.
    """
    etags: list[str] = []
    waits = iter(client.waits[: TRIES - 1])
    while (error := _attempt(client, blob, order, etags, write)) is not None:
        wait = next(waits, None)
        asked = _asked(error)
        if wait is None or not _for_now(error) or (asked is not None and asked > PATIENCE):
            with client.translated():
                raise error
        time.sleep(wait if asked is None else asked)
    finish(client, blob, order, etags)


def _attempt(
    client: HubClient, blob: Blob, order: Order, etags: list[str], write: Callable[[Sink], object]
) -> Exception | None:
    """Write the file once, for the parts that are not there yet; what stopped the sending of them."""
    pipe = _Pipe(blob)
    sender = _Sender(client, order, etags, pipe)
    sender.start()
    try:
        write(pipe)
        pipe.check()
    except BaseException as error:
        pipe.cut()
        # A writer whose connection broke does not know why: the sender does. Nothing else waits for the connection.
        if not _by_cut(error):
            raise
    sender.join()
    return sender.error


class _Pipe:
    """A sink whose bytes come out in another thread, and that knows what they should be."""

    def __init__(self, blob: Blob) -> None:
        self._blob = blob
        self._pieces: queue.Queue[bytes] = queue.Queue(QUEUED)
        self._digest = hashlib.sha256()
        self._size = 0
        self._is_cut = threading.Event()
        self._rest = b""

    def write(self, data: Bytes) -> None:
        """Take all of the data; waits while the connection is slower."""
        self._size += len(data)
        if self._size > self._blob.size:
            raise self._differs()
        self._digest.update(data)
        whole = memoryview(data)
        for start in range(0, len(whole), SLICE):
            self._put(bytes(whole[start : start + SLICE]))

    def check(self) -> None:
        """All is written: see that it is what was written before."""
        if self._size != self._blob.size or self._digest.hexdigest() != self._blob.sha256:
            raise self._differs()

    def cut(self) -> None:
        """No more will come, or will be taken."""
        self._is_cut.set()

    def take(self, size: int) -> Iterator[bytes]:
        """The next `size` bytes, in pieces."""
        while size:
            piece = self._rest or self._get()
            self._rest = piece[size:]
            yield piece[:size]
            size -= min(size, len(piece))

    def _put(self, piece: bytes) -> None:
        while not self._is_cut.is_set():
            try:
                return self._pieces.put(piece, timeout=0.1)
            except queue.Full:
                continue
        raise _Cut

    def _get(self) -> bytes:
        while not self._is_cut.is_set():
            try:
                return self._pieces.get(timeout=0.1)
            except queue.Empty:
                continue
        raise _Cut

    def _differs(self) -> IntegrityError:
        return IntegrityError(
            f"{self._blob.path}: other bytes came when it was written a second time",
            hint="run the same command again, with room for --staging; if it stays so, please report it",
            path=self._blob.path,
        )


class _Sender(threading.Thread):
    """Puts the parts that are not there yet; `error` is what stopped it."""

    def __init__(self, client: HubClient, order: Order, etags: list[str], pipe: _Pipe) -> None:
        super().__init__(daemon=True)
        self._client, self._order, self._etags, self._pipe = client, order, etags, pipe
        self.error: Exception | None = None

    def run(self) -> None:
        """Take what is there already out of the way, then send the rest."""
        try:
            for part in self._order.parts[: len(self._etags)]:
                for _ in self._pipe.take(part.size):
                    pass
            for part in self._order.parts[len(self._etags) :]:
                self._etags.append(
                    put(self._client, self._order, part, partial(self._pipe.take, part.size), repeat=False)
                )
        except _Cut:
            pass
        except Exception as error:
            self.error = error
            self._pipe.cut()


def _by_cut(error: BaseException | None) -> bool:
    """Whether it comes of a pipe that was cut, however the writer wrapped that."""
    while error is not None:
        if isinstance(error, _Cut):
            return True
        error = error.__cause__ or error.__context__
    return False


def _for_now(error: Exception) -> bool:
    """Whether it may be otherwise a moment later."""
    return means(error, changes=False) is Means.WAIT


def _asked(error: Exception) -> float | None:
    return retry_after(error.response) if isinstance(error, HfHubHTTPError) else None
