"""The format of a shard: which segments of xorbs make up which file. Its other half lists the chunks of xorbs.

Most records have 48 bytes. What a client sends has no footer; what it takes as an answer needs one, and a lookup table.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import IO

import numpy as np

from sealift.localhub.cas import hashes
from sealift.localhub.cas.refusals import Malformed
from sealift.localhub.cas.xorb import Index

MAX_BYTES = 128 * 1024 * 1024
"""Twice what clients aim at."""
_TAG = b"HFRepoMetaData" + bytes.fromhex("00556967456a7b815783a5bdd95ccdd14aa9")
_VERSION, _FOOTER_VERSION, _FOOTER = 2, 1, 200
_RECORD = 48
_BOOKEND = b"\xff" * 32
_END = _BOOKEND + bytes(16)
"""The last record of a section."""
_PROVEN, _WITH_SHA256 = 1 << 31, 1 << 30
"""Flags of a file: each segment has a record that proves it; a last record has the SHA-256."""
_UNKNOWN = bytes(32)
"""What the released client sends as the SHA-256 of an empty file."""
_DAY = 86400
_CHUNKS = np.dtype([("hash", "V32"), ("start", "<u4"), ("size", "<u4"), ("flags", "<u4"), ("unused", "<u4")])
_LOOKUP = np.dtype([("hash", "<u8"), ("xorb", "<u4"), ("chunk", "<u4")])
_Records = np.ndarray[tuple[int], np.dtype[np.void]]


@dataclass(frozen=True, slots=True)
class Segment:
    """The chunks of a xorb from `first` to before `last`: `size` bytes of a file from `start` on."""

    start: int
    size: int
    xorb: bytes
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class File:
    """A file as a shard describes it; `sha256` is what the client says it is. `proofs` has a hash for each segment."""

    hash: bytes
    segments: list[Segment]
    proofs: list[bytes] | None
    sha256: str | None

    @property
    def size(self) -> int:
        return sum(segment.size for segment in self.segments)


def files(stream: IO[bytes]) -> Iterator[File]:
    """The files of a shard, one at a time.

    Raises:
        Malformed: it is no shard, has another version, or ends too early.
    """
    header = _record(stream)
    if header[:32] != _TAG:
        raise Malformed("the body is not a shard: it begins with other bytes")
    if (version := int.from_bytes(header[32:40], "little")) != _VERSION:
        raise Malformed(f"the shard has version {version}, and version {_VERSION} is understood")
    while (record := _record(stream))[:32] != _BOOKEND:
        yield _file(stream, record)


def answer(indexes: Iterable[Index], now: int) -> bytes:
    """A shard that tells a client the chunks of xorbs; it may use it for one to two days from `now` (unix seconds).

    It is the same the whole day long, so that a client keeps it once.
    """
    xorbs = sorted(indexes, key=lambda index: _short(index.hash))
    first = list(accumulate((1 + index.chunks for index in xorbs), initial=0))
    head = struct.pack("<32sQQ", _TAG, _VERSION, _FOOTER) + _END
    section = b"".join(map(_section, xorbs)) + _END
    places = b"".join(struct.pack("<QI", _short(index.hash), at) for index, at in zip(xorbs, first, strict=False))
    lookup = np.sort(np.concatenate(list(map(_lookup, xorbs, first))), order="hash", kind="stable")
    ends = list(accumulate(map(len, (head, section, places, lookup.tobytes()))))
    today = now - now % _DAY
    footer = struct.pack(
        "<9Q32sQQ48s4Q",
        *(_FOOTER_VERSION, _RECORD, ends[0]),
        *(ends[1], 0, ends[1], len(xorbs), ends[2], len(lookup)),
        *(bytes(32), today, today + 2 * _DAY, bytes(48)),
        *(sum(int(index.packed[-1]) for index in xorbs), 0, sum(int(index.unpacked[-1]) for index in xorbs), ends[3]),
    )
    return b"".join((head, section, places, lookup.tobytes(), footer))


def _section(index: Index) -> bytes:
    """What a shard says of one xorb: its header, and its chunks in order."""
    header = struct.pack("<32s4I", index.hash, 0, index.chunks, int(index.unpacked[-1]), int(index.packed[-1]))
    records = np.zeros(index.chunks, _CHUNKS)
    records["hash"] = np.frombuffer(index.hashes, "V32")
    records["start"] = index.unpacked[:-1]
    records["size"] = np.diff(index.unpacked)
    return header + records.tobytes()


def _lookup(index: Index, at: int) -> _Records:
    """Where each chunk of a xorb is, whose header is record `at` of its section."""
    records = np.zeros(index.chunks, _LOOKUP)
    records["hash"] = np.frombuffer(index.hashes, "<u8")[::4]
    records["xorb"] = at
    records["chunk"] = np.arange(index.chunks)
    return records


def _short(name: bytes) -> int:
    """What lookup tables have of a hash, and are sorted by."""
    return int.from_bytes(name[:8], "little")


def _file(stream: IO[bytes], header: bytes) -> File:
    name, flags, count, _ = struct.unpack("<32sIIQ", header)
    segments: list[Segment] = []
    start = 0
    for _ in range(count):
        xorb, _, size, first, last = struct.unpack("<32s4I", _record(stream))
        segments.append(Segment(start, size, xorb, first, last))
        start += size
    proofs = [_record(stream)[:32] for _ in range(count)] if flags & _PROVEN else None
    sha256 = _record(stream)[:32] if flags & _WITH_SHA256 else _UNKNOWN
    return File(name, segments, proofs, None if sha256 == _UNKNOWN else hashes.text(sha256))


def _record(stream: IO[bytes]) -> bytes:
    record = stream.read(_RECORD)
    if len(record) < _RECORD:
        raise Malformed("the shard ends too early")
    return record
