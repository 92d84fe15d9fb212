"""The format of a xorb: chunks one after the other, each packed by itself behind a header of eight bytes."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sealift.localhub.cas import hashes
from sealift.localhub.cas.refusals import Malformed

HEADER = 8
MAX_CHUNK = 128 * 1024
"""Unpacked bytes of a chunk."""
MAX_CHUNKS = 8192
MAX_BYTES = 64 * 1024 * 1024 + MAX_CHUNKS * HEADER
"""A xorb as it is sent: 64 MiB of chunks, and their headers."""
_STORED, _LZ4, _GROUPED_LZ4 = range(3)

Offsets = NDArray[np.uint32]


@dataclass(frozen=True)
class Index:
    """Where the chunks of a xorb lie. `packed` and `unpacked` have each chunk's offset, and the end."""

    hash: bytes
    hashes: bytes
    packed: Offsets
    unpacked: Offsets

    @cached_property
    def chunks(self) -> int:
        return len(self.hashes) // 32

    def chunk(self, at: int) -> bytes:
        """The hash of that chunk."""
        return self.hashes[at * 32 : at * 32 + 32]

    def size(self, first: int, last: int) -> int:
        """The unpacked bytes of the chunks from `first` to before `last`."""
        return int(self.unpacked[last]) - int(self.unpacked[first])


class Indexer:
    """Reads a xorb piece by piece, checks each chunk by unpacking it, and ends with the index of the xorb.

    It holds no more than the piece that it is given and one chunk.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._hashes: list[bytes] = []
        self._packed = [0]
        self._unpacked = [0]
        self._tree = hashes.Tree()

    def feed(self, piece: bytes) -> None:
        """Go on with the next bytes.

        Raises:
            Malformed: a chunk is not what its header says.
        """
        view = memoryview(piece)
        if self._rest:
            # Only the chunk that goes on here is copied.
            header = (self._rest[:HEADER] + view[:HEADER])[:HEADER]
            missing = HEADER + int.from_bytes(header[1:4], "little") - len(self._rest)
            self._take(memoryview(self._rest + view[:missing]))
            view = view[missing:]
        if not self._rest:
            self._take(view)

    def finish(self) -> Index:
        """The index of what was read.

        Raises:
            Malformed: it ends within a chunk, or has none.
        """
        if self._rest or not self._hashes:
            raise Malformed(f"the xorb ends within chunk {len(self._hashes)}")
        return Index(
            self._tree.root(),
            b"".join(self._hashes),
            np.array(self._packed, np.uint32),
            np.array(self._unpacked, np.uint32),
        )

    def _take(self, view: memoryview) -> None:
        """Add the whole chunks of these bytes; what is left over waits."""
        at = 0
        for scheme, start, end, size in _headers(view):
            self._add(unpacked(scheme, view[start:end], size), end - at)
            at = end
        self._rest = bytes(view[at:])

    def _add(self, content: bytes | memoryview, packed: int) -> None:
        if len(self._hashes) == MAX_CHUNKS:
            raise Malformed(f"the xorb has more than {MAX_CHUNKS:,} chunks")
        chunk = hashes.chunk_hash(content)
        self._hashes.append(chunk)
        self._tree.add(chunk, len(content))
        self._packed.append(self._packed[-1] + packed)
        self._unpacked.append(self._unpacked[-1] + len(content))


def contents(packed: bytes) -> Iterator[bytes | memoryview]:
    """The unpacked chunks of a run of whole chunks.

    Raises:
        Malformed: a chunk is not what its header says.
    """
    view = memoryview(packed)
    for scheme, start, end, size in _headers(view):
        yield unpacked(scheme, view[start:end], size)


def packed_plainly(content: bytes | bytearray) -> bytes:
    """A chunk of these bytes as they are, behind its header."""
    return struct.pack("<II", len(content) << 8, _STORED | len(content) << 8) + content


def unpacked(scheme: int, packed: memoryview, size: int) -> bytes | memoryview:
    """A chunk as it was before it was packed.

    Raises:
        Malformed: it cannot be unpacked, or has another size.
    """
    if scheme == _STORED:
        content: bytes | memoryview = packed
    else:
        try:
            # The stream says how much there was; a codec that is told a size hands out as much, whatever came.
            with pa.CompressedInputStream(pa.BufferReader(packed), "lz4") as stream:
                content = stream.read(size + 1)
        except (OSError, pa.ArrowInvalid) as error:
            raise Malformed(f"a chunk of the xorb cannot be unpacked: {error}") from error
    if len(content) != size:
        raise Malformed(f"a chunk of the xorb does not have the {size:,} bytes that its header says")
    return _regrouped(content) if scheme == _GROUPED_LZ4 else content


def _headers(view: memoryview) -> Iterator[tuple[int, int, int, int]]:
    """Scheme, start, end and unpacked size of each chunk that is there whole."""
    at = 0
    while at + HEADER <= len(view):
        first, second = struct.unpack_from("<II", view, at)
        version, packed, scheme, size = first & 0xFF, first >> 8, second & 0xFF, second >> 8
        if version != 0 or scheme > _GROUPED_LZ4 or not 0 < packed <= 2 * MAX_CHUNK or not 0 < size <= MAX_CHUNK:
            raise Malformed("the xorb has bytes that are no chunk header (version 0, schemes 0 to 2, at most 128 KiB)")
        at += HEADER + packed
        if at > len(view):
            return
        yield scheme, at - packed, at, size


def _regrouped(content: bytes | memoryview) -> bytes:
    """Bytes 0, 4, 8 …, then 1, 5, 9 … and so on, put back in order."""
    grouped = np.frombuffer(content, np.uint8)
    result = np.empty_like(grouped)
    at = 0
    for group in range(4):
        count = len(result[group::4])
        result[group::4] = grouped[at : at + count]
        at += count
    return result.tobytes()
