"""Uploads by Xet's library, watched: what does not move is given up, and what it raises becomes ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self

from sealift.errors import AccessDenied, DestinationBusy, DestinationError
from sealift.stores.hub import sessions
from sealift.stores.hub.client import HubClient
from sealift.stores.hub.refusals import harmless
from sealift.stores.hub.sessions import library
from sealift.stores.hub.watch import Call, Line, Stalled

CLEAR = (
    "run the same command again; if it stays so, clear the uploader's cache (HF_XET_CACHE, ~/.cache/huggingface/xet)"
)


class Group:
    """A group of uploads by the library; every call is given up when nothing moves for `client.stall` seconds.

    What was given up, or has failed, is abandoned with its session: the next try begins with a new one.
    """

    def __init__(self, client: HubClient, *, afresh: bool) -> None:
        self._client, self._afresh = client, afresh
        self._line = Line("upload")
        self._group: Any = None
        self._streams: list[Any] = []
        self._is_open = False
        self._memory: TemporaryDirectory[str] | None = None

    def __enter__(self) -> Self:
        if self._afresh:
            self._memory = TemporaryDirectory(prefix="sealift-", ignore_cleanup_errors=True)
        memory = Path(self._memory.name) if self._memory is not None else None

        def make() -> Any:
            return sessions.new_commit(self._client, memory)

        # Asked for here, where a quota may be waited for; what is known is not asked for again.
        sessions.access(self._client, "write")
        try:
            self._group = self.wait(self._line.begin(make), self._moved)
            self._is_open = True
        finally:
            if not self._is_open:
                self._close()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        if self._is_open:
            self._is_open = False
            for stream in self._streams:
                stream.abort()
            self._group.abort()
        self._close()

    def _close(self) -> None:
        self._line.close()
        if self._memory is not None:
            self._memory.cleanup()

    def stream(self) -> Any:
        """A file to be written to."""
        with translated(self._client):
            self._streams.append(self._group.start_upload_stream(sha256=library().COMPUTE_SHA256))
        return self._streams[-1]

    def begin(self, function: Callable[..., Any], *args: Any) -> Call:
        """Have the library called, after the calls before."""
        return self._line.begin(function, *args)

    def wait(self, call: Call, moved: Callable[[], object] | None = None) -> Any:
        """What it gives."""
        with translated(self._client):
            try:
                return call.result(self._client.stall, moved or self._moved)
            except Exception:
                sessions.abandon()  # the next try trusts neither its connections nor what was told of the store
                raise

    def finish(self) -> None:
        """Wait until all of it is there."""
        self.wait(self.begin(self._group.wait_to_finish))
        self._is_open = False

    def bytes_of(self, path: str, data: bytes, sha256: str) -> Any:
        """A file that is given at once."""
        with translated(self._client):
            return self._group.start_upload_bytes(data, sha256=sha256, name=path)

    def _moved(self) -> object:
        """Another value whenever a byte was taken in or has gone."""
        if self._group is None:
            return None
        said = self._group.progress()
        shard = said.shard
        ended = (shard.total_shard_bytes_upload_completed, shard.total_shards_completed) if shard is not None else ()
        return (said.total_bytes_completed, said.total_transfer_bytes_completed, *ended)


@contextmanager
def translated(client: HubClient) -> Iterator[None]:
    """What the library raises becomes ours, by type."""
    where = client.place.endpoint
    try:
        yield
    except Stalled as error:
        raise DestinationBusy(
            f"{where}: not a byte moved to or from the store behind it for {error.seconds:g} s",
            hint="check the network, then run the same command again",
            endpoint=where,
            stalled_s=error.seconds,
        ) from error
    except library().XetAuthenticationError as error:
        raise AccessDenied(
            f"{where}: the store does not take the token",
            hint="use a token that may write, and run the same command again",
            repository=client.place.repo,
        ) from harmless(error)
    except (ConnectionError, TimeoutError, library().XetObjectNotFoundError) as error:
        # A connection that broke, a store that refuses and one that has lost something are one type to the library.
        raise DestinationBusy(
            f"{where}: the store behind it does not take or give the content: {harmless(error)}",
            hint=CLEAR,
            endpoint=where,
        ) from error
    except (OSError, RuntimeError, ValueError) as error:
        raise DestinationError(
            f"{where}: the upload failed: {harmless(error)}", hint="run the same command again", endpoint=where
        ) from error
