"""Chunked containers: what RIFF and ISO files promise of their own length (WAV, AIFF, WebP, AVI; MP4, MOV, M4A)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from struct import Struct
from typing import Literal

from sealift.media.kind import GLANCED, VIEW, Buffer, Ends

OPEN = 0x7FFF_0000
"""Lengths from here on are what a writer leaves that could not go back to the header: 2^31, 2^32 - 1, or a little less.
So is 0."""

CUT = "truncated: the header promises more bytes"

LENGTH = Struct("<I")
BOX = Struct(">I4s")


def closed(head: Buffer, tail: Buffer, promised: int, size: int) -> bool:
    """Whether the chunks of a RIFF file of that outer length lie at a glance one after another and within the file.

    True only where `riff` says None; `promised` is what bytes 4 to 8 say.
    """
    if not 0 < promised <= size < OPEN:
        return False
    at, before = 12, size - len(tail)
    while at <= promised:  # where a header of eight bytes still lies in the outer chunk
        if at <= GLANCED - 8:
            (length,) = LENGTH.unpack_from(head, at + 4)
        elif at >= before and VIEW >= size - at >= 8:
            (length,) = LENGTH.unpack_from(tail, at - before + 4)
        else:
            return False
        at += 8 + length
        if not length or at > size:
            return False
        at += length & 1
    return True


def riff(ends: Ends, order: Literal["little", "big"] = "little") -> str | None:
    """Why the file is shorter than its chunks say, or None.

    A missing last pad byte is forgiven, and an outer length that counts its own eight bytes: many writers err so.
    """
    return overrun(ends, order, tuple(chunks(ends, order)))


def overrun(ends: Ends, order: Literal["little", "big"], found: Sequence[tuple[bytes, int, int]]) -> str | None:
    """What `riff` says, of the chunks that `chunks` found."""
    promised = int.from_bytes(ends.head[4:8], order)
    if ends.size < promised < OPEN:
        return CUT
    for _, at, length in found:
        if at + length > ends.size:
            return CUT
    return None


def chunks(ends: Ends, order: Literal["little", "big"] = "little") -> Iterator[tuple[bytes, int, int]]:
    """(name, offset of the content, length) of the chunks inside the outer one, as far as they are in view.

    One whose length was left open has 0, and is the last; bytes after the outer chunk are none.
    """
    promised = int.from_bytes(ends.head[4:8], order)
    end = 8 + promised if 0 < promised < OPEN else ends.size
    at, length = 12, 1
    while length and at + 8 <= end and (header := ends.read(at, 8)):
        length = int.from_bytes(header[4:], order)
        length = length if length < OPEN else 0
        yield header[:4], at + 8, length
        at += 8 + length + length % 2


def boxes(ends: Ends) -> Iterator[tuple[bytes, int]]:
    """(name, end) of the outermost boxes of an ISO file, as far as they are in view; an end may lie past the file."""
    at = 0
    while header := ends.read(at, 8):
        length, name = BOX.unpack(header)
        if length == 1:
            length = int.from_bytes(ends.read(at + 8, 8), "big")
        elif length == 0:
            length = ends.size - at
        if length < 8:
            return
        yield name, at + length
        at += length


def fits(ends: Ends) -> str | None:
    """Why an ISO file is shorter than its boxes say, or None."""
    return CUT if any(end > ends.size for _, end in boxes(ends)) else None


def iso(ends: Ends) -> str | None:
    """Why an MP4, MOV or M4A file is not whole, or None: a box goes past the end, or the index is missing."""
    found = tuple(boxes(ends))
    if not found:
        return "damaged: not a sequence of boxes"
    last = max(end for _, end in found)
    if last > ends.size:
        return CUT
    missing = last + 8 > ends.size and not any(name in (b"moov", b"moof") for name, _ in found)
    return "truncated: the index (moov) is missing" if missing else None
