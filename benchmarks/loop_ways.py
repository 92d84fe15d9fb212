"""Ways through the packing loop, bare: files are read, cells and shards are hashed, shards are written, no more.

    python -m benchmarks.loop_ways WAY PLAN FOLDER

One way over one plan, in this process; what it took is printed as JSON. `benchmarks.loop` runs them all. The plan has
a line "size path" for each file, and an empty line after each shard. Shards go to FOLDER/0, FOLDER/1, …
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import resource
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.loop_shard import Out, Way, buffer, mover

File = tuple[str, int]
"""Path, and size in bytes."""
Piece = tuple[str, int, int, int]
"""Path and size of a file, and from where to where of it."""
SPLICE = ("copy_file_range", "sendfile", "splice")


def pack(files: Sequence[File], number: int, way: Way, folder: Path) -> str:
    """Write a shard of these files; its digest, empty where nothing was hashed."""
    out = Out(way, folder / str(number), sum(size for _, size in files))
    loop = mapped if way.read in ("mapped", "populated") else batched if way.readers else gathered
    loop(files, way, out)
    return out.close()


def hasher(name: str) -> Callable[..., Any] | None:
    """What digests a cell: called with bytes or without, it has `update` and `digest`."""
    if not name:
        return None
    if name == "sha256":
        return hashlib.sha256
    module, what = {"blake3": ("blake3", "blake3"), "xxh3": ("xxhash", "xxh3_128")}[name]
    found: Callable[..., Any] = getattr(import_module(module), what)
    return found


def opener(way: Way) -> Callable[[str], int]:
    """Opens a file for reading."""
    folders: dict[str, int] = {}
    flags = os.O_RDONLY | way.flags
    advice = getattr(os, f"POSIX_FADV_{way.advise}") if way.advise else None

    def beside(path: str) -> int:
        folder, _, name = path.rpartition("/")
        if folder not in folders:
            folders[folder] = os.open(folder, os.O_PATH | os.O_DIRECTORY)
        return os.open(name, flags, dir_fd=folders[folder])

    def advised(path: str) -> int:
        file = os.open(path, flags)
        os.posix_fadvise(file, 0, 0, advice or 0)
        return file

    return beside if way.beside else advised if advice is not None else lambda path: os.open(path, flags)


def gathered(files: Sequence[File], way: Way, out: Out) -> None:
    """Read files into a buffer one after the other, and send it when it is full."""
    digest, opened, moved = hasher(way.cells), opener(way), way.read in ("readv", "object")
    view, held = out.room(), 0
    for path, size in files:
        if held + size > len(view) and way.whole and size <= way.slice_bytes:
            out.take(view[:held])
            view, held = out.room(), 0
        if held + size <= len(view):
            part = view[held : held + size]
            if way.read == "object":
                _by_object(path, part)
            elif way.read != "never":
                file = opened(path)
                if moved and os.readv(file, (part,)) != size:
                    raise OSError(f"{path} is shorter than planned")
                if way.stat:
                    os.fstat(file)
                os.close(file)
            if digest is not None:
                digest(part).digest()
            held += size
        else:
            view, held = _large((path, size), way, out, view, held)
    out.take(view[:held])


def _large(file: File, way: Way, out: Out, view: memoryview, held: int) -> tuple[memoryview, int]:
    """Pass a file that does not fit the rest of the buffer in slices; the buffer after it, and what it holds."""
    path, size = file
    digest, opened = hasher(way.cells), opener(way)
    running = digest() if digest else None
    source = opened(path) if way.read != "never" else -1
    offset = 0
    while offset < size:
        if held == len(view):
            out.take(view)
            view, held = out.room(), 0
            if way.reopen and source >= 0:
                os.close(source)
                source = opened(path)
        part = view[held : held + size - offset]
        if way.read in ("readv", "object"):
            os.preadv(source, [part], offset)
        if way.stat and source >= 0:
            os.fstat(source)
        if running is not None:
            running.update(part)
        offset, held = offset + len(part), held + len(part)
    if running is not None:
        running.digest()
    if source >= 0:
        os.close(source)
    return view, held


def _by_object(path: str, part: memoryview) -> None:
    with open(path, "rb", buffering=0) as file:
        if file.readinto(part) != len(part):
            raise OSError(f"{path} is shorter than planned")
        os.fstat(file.fileno())


def mapped(files: Sequence[File], way: Way, out: Out) -> None:
    """Hash files where they are mapped; the kernel copies them, or they are written from there."""
    digest, opened = hasher(way.cells), opener(way)
    flags = mmap.MAP_SHARED | (mmap.MAP_POPULATE if way.read == "populated" else 0)
    move = mover(way.write) if way.write in SPLICE else None
    for path, size in files:
        file = opened(path)
        running = digest() if digest else None
        with mmap.mmap(file, size, flags, mmap.PROT_READ) as pages, memoryview(pages) as view:
            for start in range(0, size, way.slice_bytes):
                with view[start : start + way.slice_bytes] as part:
                    if running is not None:
                        running.update(part)
                    out.send(part)
        if running is not None:
            running.digest()
        if move is not None:
            move(file, out.file, size)
        os.fstat(file)
        os.close(file)


def batched(files: Sequence[File], way: Way, out: Out) -> None:
    """Threads read whole buffers ahead; they are hashed and sent in order."""
    digest = hasher(way.cells)
    running: Any = None
    free = [buffer(way) for _ in range(way.readers + 1)]
    going: deque[tuple[Future[None], list[Piece], memoryview]] = deque()
    opened = opener(way)

    def fill(pieces: list[Piece], view: memoryview) -> None:
        held = 0
        for path, _, start, end in pieces:
            file = opened(path)
            os.preadv(file, [view[held : held + end - start]], start)
            os.fstat(file)
            os.close(file)
            held += end - start

    def drain() -> None:
        nonlocal running
        done, pieces, view = going.popleft()
        done.result()
        held = 0
        for _, size, start, end in pieces:
            part = view[held : held + end - start]
            held += end - start
            if digest is not None:
                running = digest() if not start else running
                running.update(part)
                if end == size:
                    running.digest()
        out.send(view[:held])
        free.append(view)

    with ThreadPoolExecutor(way.readers) as pool:
        for pieces in batches(files, way.slice_bytes):
            if not free:
                drain()
            view = free.pop()
            going.append((pool.submit(fill, pieces, view), pieces, view))
        while going:
            drain()


def batches(files: Sequence[File], room: int) -> Iterator[list[Piece]]:
    """What goes into each buffer: whole files as far as they fit, and slices of the larger ones."""
    batch: list[Piece] = []
    held = 0
    for path, size in files:
        start = 0
        while start < size:
            if held == room or (not start and held + size > room >= size):
                yield batch
                batch, held = [], 0
            end = min(size, start + room - held)
            batch.append((path, size, start, end))
            held, start = held + end - start, end
    if batch:
        yield batch


def planned(plan: Path) -> list[list[File]]:
    """The files of each shard."""
    shards = plan.read_text().removesuffix("\n\n").split("\n\n")
    lines = [[line.partition(" ") for line in shard.split("\n")] for shard in shards]
    return [[(path, int(size)) for size, _, path in shard] for shard in lines]


def main() -> None:
    """Pack all shards in the way that is asked for, and print what it took."""
    way, shards, folder = Way(**json.loads(sys.argv[1])), planned(Path(sys.argv[2])), Path(sys.argv[3])
    hasher(way.cells)  # imported before the clock runs
    before, began = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    digests = [pack(files, number, way, folder) for number, files in enumerate(shards)]
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF)
    took = {"user": after.ru_utime - before.ru_utime, "system": after.ru_stime - before.ru_stime}
    print(json.dumps({"wall": wall, **took, "digests": [digest for digest in digests if digest]}))


if __name__ == "__main__":
    main()
