"""Content to and from Xet, the store behind the Hub that knows files by their chunks."""

from __future__ import annotations

import importlib
import importlib.util
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from types import TracebackType
from typing import Any, Self

from huggingface_hub import constants

from sealift.errors import AccessDenied, DestinationBusy, DestinationError, IntegrityError
from sealift.stores.hub.client import Access, HubClient
from sealift.stores.hub.spool import SLICE, Bytes

TRIES = 3
"""A file that lies on disk is sent so many times before its upload has failed."""
MARGIN = 120
"""A token is not used in its last seconds."""
CLEAR = (
    "run the same command again; if it stays so, clear the uploader's cache (HF_XET_CACHE, ~/.cache/huggingface/xet)"
)

_accesses: dict[tuple[HubClient, str, int], Access] = {}
_downloads: dict[tuple[HubClient, int], Any] = {}


@dataclass(frozen=True, slots=True)
class XetFile:
    """A file as Xet took it."""

    hash: str
    size: int
    sha256: str


def usable() -> bool:
    """Whether this machine can speak Xet: the library is there and nobody switched it off (HF_HUB_DISABLE_XET)."""
    return not constants.HF_HUB_DISABLE_XET and importlib.util.find_spec("hf_xet") is not None


def is_offered(client: HubClient) -> bool:
    """Whether content goes by Xet: this machine can speak it, and the Hub gives a token for it."""
    return usable() and _access(client, "write") is not None


class Upload:
    """One file on its way to Xet, fed in order; nothing of its content touches the disk. Use it with `with`.

    What is kept on disk is the library's shard cache, below HF_XET_CACHE: the hashes of the chunks that were sent, not
    the chunks, so that they are not sent again. It outlives what a Hub has forgotten, hence the reading back.
    """

    def __init__(self, client: HubClient) -> None:
        self._client = client
        self._size = 0
        self._open = False
        self._slice = BytesIO()
        # The library's calls cannot be interrupted, and may take as long as a block is on its way.
        self._calls = ThreadPoolExecutor(1, "upload")
        self._taking: Future[None] | None = None

    def __enter__(self) -> Self:
        with _translated(self._client):
            self._commit = _new_commit(self._client)
            try:
                self._stream = self._commit.start_upload_stream(sha256=_library().COMPUTE_SHA256)
            except BaseException:
                self._commit.abort()
                raise
        self._open = True
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        if self._open:
            self._open = False
            self._stream.abort()
            self._commit.abort()
        self._calls.shutdown(wait=False)

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
        self._taking = self._calls.submit(self._stream.write, piece)

    def _settle(self) -> None:
        """Wait until the library has taken what it was given."""
        if self._taking is not None:
            with _translated(self._client):
                self._taking.result()

    def finish(self, path: str) -> XetFile:
        """Wait until all of it is there; what Xet made of it.

        Raises:
            IntegrityError: it took another number of bytes than it was given.
        """
        if self._slice.tell():
            self._hand_over()
        self._settle()
        with _translated(self._client):
            info = self._calls.submit(self._stream.finish).result().xet_info
            self._calls.submit(self._commit.wait_to_finish).result()
        self._open = False
        return _took(path, self._size, info)


def send(client: HubClient, path: str, pieces: Callable[[], Iterable[bytes]]) -> XetFile:
    """Send a file that can be read again; a connection that fails is tried again."""
    waits = iter(client.waits[: TRIES - 1])
    while True:
        try:
            with Upload(client) as upload:
                for piece in pieces():
                    upload.write(piece)
                return upload.finish(path)
        except DestinationBusy:
            wait = next(waits, None)
            if wait is None:
                raise
            time.sleep(wait)


def send_held(client: HubClient, held: Sequence[tuple[str, bytes, str]]) -> None:
    """Send files (path, bytes, SHA-256) that are in memory, together."""
    with _translated(client):
        commit = _new_commit(client)
        with commit:
            sent = [
                (path, len(data), commit.start_upload_bytes(data, sha256=sha256, name=path))
                for path, data, sha256 in held
            ]
        taken = [(path, size, upload.result().xet_info) for path, size, upload in sent]
    for path, size, info in taken:
        _took(path, size, info)


def read_back(client: HubClient, path: str, file: XetFile, offset: int, view: memoryview) -> None:
    """Fill the view with what Xet has of the file.

    Raises:
        IntegrityError: it has not all of it.
    """
    filled = 0
    with _translated(client, path):
        info = _library().XetFileInfo(file.hash, file.size)
        for piece in _download(client).download_stream(info, offset, offset + len(view)):
            view[filled : filled + len(piece)] = piece
            filled += len(piece)
    if filled != len(view):
        raise _not_there(path)


def _new_commit(client: HubClient) -> Any:
    return _session(os.getpid(), client.blocks).new_upload_commit(**_connection(client, "write"))


def _download(client: HubClient) -> Any:
    """The group of downloads of this process; it renews its token by itself."""
    key = (client, os.getpid())
    if key not in _downloads:
        _downloads[key] = _session(os.getpid(), client.blocks).new_download_stream_group(**_connection(client, "read"))
    return _downloads[key]


def _connection(client: HubClient, right: str) -> dict[str, Any]:
    """Where the store is, and how its token is renewed."""
    access, headers = _access(client, right), client.headers
    if access is None:
        raise DestinationError(f"{client.place.endpoint} has no Xet any more", hint="run the same command again")
    return {
        "endpoint": access.endpoint,
        "token": access.token,
        "token_expiry_unix_secs": access.expires,
        "token_refresh_url": client.access_url(right),
        "token_refresh_headers": headers,
        "custom_headers": {name: value for name, value in headers.items() if name.lower() != "authorization"},
    }


def _access(client: HubClient, right: str) -> Access | None:
    """A token for the store; one that is still good is used again, since asking counts against the quota."""
    key = (client, right, os.getpid())
    access = _accesses.get(key)
    if access is None or access.expires - MARGIN < time.time():
        access = client.access(right)
        if access is not None:
            _accesses[key] = access
    return access


@cache
def _session(process: int, blocks: int) -> Any:  # noqa: ARG001
    """The threads and connections of this process; those of a parent are of no use after a fork."""
    settings = {
        "client.ac_initial_upload_concurrency": min(2, blocks),
        "client.ac_max_upload_concurrency": blocks,
        "telemetry.enabled": False,
    }
    return _library().XetSession(_library().XetConfig().with_config(settings))


def _took(path: str, size: int, info: Any) -> XetFile:
    if info.file_size != size:
        raise IntegrityError(f"{path}: {size} bytes were sent, and {info.file_size} arrived", hint=CLEAR, path=path)
    return XetFile(info.hash, size, info.sha256)


def _not_there(path: str) -> IntegrityError:
    return IntegrityError(f"{path}: the store behind the Hub has not all of what was sent", hint=CLEAR, path=path)


def _library() -> Any:
    """Its client, which has no types, and which some machines do not have."""
    return importlib.import_module("hf_xet")


@contextmanager
def _translated(client: HubClient, path: str = "") -> Iterator[None]:
    """What the library raises becomes ours, by type."""
    where = client.place.endpoint
    try:
        yield
    except _library().XetAuthenticationError as error:
        raise AccessDenied(
            f"{where}: the store does not take the token",
            hint="use a token that may write",
            repository=client.place.repo,
        ) from error
    except _library().XetObjectNotFoundError as error:
        raise _not_there(path) from error
    except (ConnectionError, TimeoutError) as error:
        # A connection that broke and a store that refuses are one type to the library.
        raise DestinationBusy(
            f"{where}: the store behind it does not take or give the content: {error}", hint=CLEAR, endpoint=where
        ) from error
    except (OSError, RuntimeError, ValueError) as error:
        raise DestinationError(
            f"{where}: the upload failed: {error}", hint="run the same command again", endpoint=where
        ) from error
