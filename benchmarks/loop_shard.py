"""What a way through the packing loop is, and the shard that it ends in: its buffers, its digest, its file."""

from __future__ import annotations

import fcntl
import hashlib
import mmap
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

HUGE = 2 << 20
PIPE = 1 << 20


@dataclass(frozen=True)
class Way:
    """How the loop goes. What is not said is as in Sealift.

    `read`: readv, object (a file object), nothing (opened and closed only), never (not even opened), mapped, populated
    (mapped, and read at once). `cells` and `shard` name a digest, or none. `write`: write, none, allocated (the file's
    blocks first), direct (O_DIRECT), dropped (told that nobody will read it again), mapped (files are read into the
    mapped shard); or, of what is mapped, copy_file_range, sendfile, splice.
    """

    read: str = "readv"
    slice_bytes: int = 256 << 10
    cells: str = "blake3"
    shard: str = "sha256"
    write: str = "write"
    buffer: str = "heap"
    """heap, pages (anonymous, at the start of one), huge (of 2 MiB)."""
    whole: bool = True
    """Whether a file that fits into an empty buffer is never cut. If not, each buffer is full."""
    reopen: bool = True
    """Whether a large file is opened anew for each slice."""
    stat: bool = True
    beside: bool = False
    """Whether files are opened by their name in an open folder."""
    flags: int = 0
    advise: str = ""
    """SEQUENTIAL or WILLNEED, said of every file."""
    readers: int = 0
    """Threads that read buffers ahead; 0 reads where it hashes."""
    overlap: bool = False
    """Whether a thread hashes shards and writes them, from two buffers in turn."""


class Out:
    """A shard: its digest, and the file that it goes to."""

    def __init__(self, way: Way, path: Path, size: int) -> None:
        self.digest: Any = hashlib.new(way.shard) if way.shard else None
        self.file = -1
        self._way, self._size, self._at = way, size, 0
        self._views = [buffer(way), buffer(way)] if way.overlap else [buffer(way)]
        self._thread = ThreadPoolExecutor(1) if way.overlap else None
        self._sent: Future[None] | None = None
        self._pages: mmap.mmap | None = None
        if way.write:
            flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | (os.O_DIRECT if way.write == "direct" else 0)
            self.file = os.open(path, flags)
        if way.write == "allocated":
            os.posix_fallocate(self.file, 0, size)
        if way.write == "mapped":
            os.truncate(self.file, size)
            self._pages = mmap.mmap(self.file, size)

    def room(self) -> memoryview:
        """Where the next bytes are to be put."""
        if self._pages is not None:
            return memoryview(self._pages)[self._at : self._at + self._way.slice_bytes]
        return self._views[0]

    def take(self, view: memoryview) -> None:
        """Hash what was put there, and write it; with a thread, not before the next bytes are put elsewhere."""
        if self._thread is None:
            self.send(view)
            return
        self._wait()
        self._sent = self._thread.submit(self.send, view)
        self._views.reverse()

    def send(self, view: memoryview) -> None:
        """Hash these bytes, and write them."""
        size = len(view)
        if self.digest is not None:
            self.digest.update(view)
        if self._way.write == "direct" and size % mmap.PAGESIZE:
            fcntl.fcntl(self.file, fcntl.F_SETFL, fcntl.fcntl(self.file, fcntl.F_GETFL) & ~os.O_DIRECT)
        if self._way.write in ("write", "allocated", "direct", "dropped") and os.write(self.file, view) != size:
            raise OSError("not everything was written")
        if self._way.write == "dropped":
            os.posix_fadvise(self.file, self._at, size, os.POSIX_FADV_DONTNEED)
        self._at += size

    def _wait(self) -> None:
        if self._sent is not None:
            self._sent.result()

    def close(self) -> str:
        """See that everything is written; the digest."""
        self._wait()
        if self._thread is not None:
            self._thread.shutdown()
        if self._pages is not None:
            self._pages.close()
        if self.file >= 0:
            os.close(self.file)
        return self.digest.hexdigest() if self.digest is not None else ""


def buffer(way: Way) -> memoryview:
    """Room for a slice."""
    if way.buffer == "heap":
        return memoryview(bytearray(way.slice_bytes))
    pages = mmap.mmap(-1, way.slice_bytes + 2 * HUGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if way.buffer == "huge":
        pages.madvise(mmap.MADV_HUGEPAGE)
    # Linux puts a large mapping wherever there is room: huge pages begin at the next multiple of their size.
    start = -_address(pages) % HUGE
    return memoryview(pages)[start : start + way.slice_bytes]


def _address(pages: mmap.mmap) -> int:
    ctypes = import_module("ctypes")
    address: int = ctypes.addressof(ctypes.c_char.from_buffer(pages))
    return address


def mover(name: str) -> Callable[[int, int, int], None]:
    """Has the kernel copy a whole file behind what another has."""
    inlet, outlet = os.pipe()
    fcntl.fcntl(outlet, fcntl.F_SETPIPE_SZ, PIPE)

    def by_pipe(file: int, out: int, left: int, offset: int) -> int:
        count = os.splice(file, outlet, min(left, PIPE), offset)
        passed = 0
        while passed < count:
            passed += os.splice(inlet, out, count - passed)
        return count

    ways: dict[str, Callable[[int, int, int, int], int]] = {
        "copy_file_range": lambda file, out, left, offset: os.copy_file_range(file, out, left, offset),
        "sendfile": lambda file, out, left, offset: os.sendfile(out, file, offset, left),
        "splice": by_pipe,
    }

    def move(file: int, out: int, size: int) -> None:
        offset = 0
        while offset < size:
            offset += ways[name](file, out, size - offset, offset)

    return move
