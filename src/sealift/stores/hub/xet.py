"""Content to and from Xet, the store behind the Hub that knows files by their chunks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from io import BytesIO
from types import TracebackType
from typing import Any, Self

import httpx2
from huggingface_hub import get_session

from sealift.errors import AccessDenied, ContentMissing, DestinationBusy, DestinationError, IntegrityError
from sealift.stores.hub import sessions
from sealift.stores.hub.bandwidth import bandwidth_of
from sealift.stores.hub.client import HubClient
from sealift.stores.hub.groups import CLEAR, Group, translated
from sealift.stores.hub.sessions import library, usable
from sealift.stores.hub.spool import SLICE, Bytes
from sealift.stores.hub.watch import Call, Line
from sealift.stores.hub.wire import TIMEOUT

__all__ = ["Upload", "XetFile", "has", "is_offered", "read_back", "send", "send_held", "usable"]

TRIES = 3
"""A file that lies on disk is sent so many times before its upload has failed, the last time afresh."""
NOT_THERE = frozenset({404, 410})


@dataclass(frozen=True, slots=True)
class XetFile:
    """A file as Xet took it."""

    hash: str
    size: int
    sha256: str


def is_offered(client: HubClient) -> bool:
    """Whether content goes by Xet: this machine can speak it, and the Hub gives a token for it."""
    return usable() and sessions.access(client, "write") is not None


class Upload:
    """One file on its way to Xet, fed in order; nothing of its content touches the disk. Use it with `with`.

    What is kept on disk is the library's shard cache, below HF_XET_CACHE: the hashes of the chunks that were sent, not
    the chunks, so that they are not sent again. It outlives what a Hub has forgotten, hence the reading back; `afresh`
    does without.
    """

    def __init__(self, client: HubClient, *, afresh: bool = False) -> None:
        self._client = client
        self._size = 0
        self._slice = BytesIO()
        self._commit = Group(client, afresh=afresh)
        self._taking: Call | None = None

    def __enter__(self) -> Self:
        self._commit.__enter__()
        try:
            self._stream = self._commit.stream()
        except BaseException:
            self._commit.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._commit.__exit__(kind, error, trace)

    def write(self, data: Bytes) -> None:
        """Take all of the data; waits while the store is slower than we are.

        What the library refuses may be said one slice later.
        """
        rest = memoryview(data)
        while rest:
            held = self._slice.tell()
            self._slice.write(rest[: SLICE - held])
            rest = rest[SLICE - held :]
            if self._slice.tell() == SLICE:
                self._hand_over()
        self._size += len(data)

    def _hand_over(self) -> None:
        """Give the library a slice, once it has taken the one before.

        Full slices: its queue counts pieces, not bytes, and a piece costs it as much whatever its size.
        """
        self._settle()
        piece, self._slice = self._slice.getvalue(), BytesIO()
        _pace(self._client, len(piece))
        self._taking = self._commit.begin(self._stream.write, piece)

    def _settle(self) -> None:
        """Wait until the library has taken what it was given."""
        if self._taking is not None:
            self._commit.wait(self._taking)
            self._taking = None

    def finish(self, path: str) -> XetFile:
        """Wait until all of it is there; what Xet made of it.

        Raises:
            IntegrityError: it took another number of bytes than it was given.
        """
        if self._slice.tell():
            self._hand_over()
        self._settle()
        info = self._commit.wait(self._commit.begin(self._stream.finish)).xet_info
        self._commit.finish()
        return _took(path, self._size, info)


def send(client: HubClient, path: str, pieces: Callable[[], Iterable[bytes]], *, afresh: bool = False) -> XetFile:
    """Send a file that can be read again; a connection that fails is tried again."""
    waits = iter(client.waits[: TRIES - 1])
    for attempt in range(1, TRIES + 1):
        try:
            with Upload(client, afresh=afresh or attempt == TRIES) as upload:
                for piece in pieces():
                    upload.write(piece)
                return upload.finish(path)
        except DestinationBusy:
            wait = next(waits, None)
            if wait is None:
                raise
            time.sleep(wait)
    raise AssertionError("the last try returns or raises")


def send_held(client: HubClient, held: Sequence[tuple[str, bytes, str]], *, afresh: bool = False) -> None:
    """Send files (path, bytes, SHA-256) that are in memory, together."""
    with Group(client, afresh=afresh) as commit:
        sent = []
        for path, data, sha256 in held:
            _pace(client, len(data))
            sent.append((path, len(data), commit.bytes_of(path, data, sha256)))
        commit.finish()
        taken = [(path, size, commit.wait(commit.begin(upload.result)).xet_info) for path, size, upload in sent]
    for path, size, info in taken:
        _took(path, size, info)


def read_back(client: HubClient, path: str, file: XetFile, offset: int, view: memoryview) -> None:
    """Fill the view with what Xet has of the file.

    Raises:
        ContentMissing: it has nothing of it.
        IntegrityError: it has not all of it.
        DestinationBusy: it does not answer.
    """
    sessions.access(client, "read")
    filled, line = 0, Line("download")
    try:
        with translated(client):
            info = library().XetFileInfo(file.hash, file.size)

            def opened() -> Any:
                return sessions.downloads(client).download_stream(info, offset, offset + len(view))

            stream = line.begin(opened).result(client.stall, _nothing)
            # A stream says nothing of itself while it is asked for its next piece: each has its own time.
            while (piece := line.begin(next, stream, None).result(client.stall, _nothing)) is not None:
                view[filled : filled + len(piece)] = piece
                filled += len(piece)
    except DestinationError as error:
        sessions.abandon()
        if isinstance(error, AccessDenied) or has(client, file, offset):
            raise
        raise _missing(path) from error
    finally:
        line.close()
    if filled != len(view):
        # It ends early as well where something is lost.
        raise _not_all(path) if has(client, file, offset) else _missing(path)


def has(client: HubClient, file: XetFile, offset: int = 0) -> bool:
    """Whether the store has the file, and the block with the byte at `offset`; yes, if it does not say.

    The library says by text alone why it failed; the store says it by status.
    """
    access = sessions.access(client, "read")
    if access is None or not access.endpoint.startswith(("http://", "https://")):
        return True
    one = {"Range": f"bytes={offset}-{offset}"}
    signed = {**one, "Authorization": f"Bearer {access.token}"}
    try:
        found = get_session().get(f"{access.endpoint}/v1/reconstructions/{file.hash}", headers=signed, timeout=TIMEOUT)
        if found.status_code in NOT_THERE:
            return False
        blocks = found.json()["fetch_info"] if found.is_success else {}
        return not any(_is_lost(part) for parts in blocks.values() for part in parts)
    except (httpx2.HTTPError, KeyError, TypeError, ValueError, AttributeError):
        return True


def _is_lost(part: Any) -> bool:
    """Whether the store has not the block that it names itself."""
    first = int(part["url_range"]["start"])
    with get_session().stream(
        "GET", part["url"], headers={"Range": f"bytes={first}-{first}"}, timeout=TIMEOUT
    ) as answer:
        return answer.status_code in NOT_THERE


def _nothing() -> object:
    return None


def _pace(client: HubClient, size: int) -> None:
    if client.bandwidth is not None:
        bandwidth_of(client.bandwidth).take(size)


def _took(path: str, size: int, info: Any) -> XetFile:
    if info.file_size != size:
        raise IntegrityError(f"{path}: {size} bytes were sent, and {info.file_size} arrived", hint=CLEAR, path=path)
    return XetFile(info.hash, size, info.sha256)


def _missing(path: str) -> ContentMissing:
    return ContentMissing(
        f"{path}: the store behind the Hub has nothing of what was sent", hint=CLEAR, path=path, paths=[path]
    )


def _not_all(path: str) -> IntegrityError:
    return IntegrityError(f"{path}: the store behind the Hub has not all of what was sent", hint=CLEAR, path=path)
