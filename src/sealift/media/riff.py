"""Chunked containers: what RIFF and ISO files promise of their own length (WAV, AIFF, WebP, AVI; MP4, MOV, M4A)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from sealift.media.kind import Ends

OPEN = 0x7FFF_0000
"""Lengths from here on are what a writer leaves that could not go back to the header: 2^31, 2^32 - 1, or a little less.
So is 0."""

CUT = "truncated: the header promises more bytes"


def riff(ends: Ends, order: Literal["little", "big"] = "little") -> str | None:
    """Why the file is shorter than its chunks say, or None.

    A missing last pad byte is forgiven, and an outer length that counts its own eight bytes: many writers err so.
    """
    promised = int.from_bytes(ends.read(4, 4), order)
    if promised > ends.size and promised < OPEN:
        return CUT
    return CUT if any(at + length > ends.size for _, at, length in chunks(ends, order)) else None


def chunks(ends: Ends, order: Literal["little", "big"] = "little") -> Iterator[tuple[bytes, int, int]]:
    """(name, offset of the content, length) of the chunks inside the outer one, as far as they are in view.

    One whose length was left open has 0, and is the last; bytes after the outer chunk are none.
    """
    promised = int.from_bytes(ends.read(4, 4), order)
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
        length = int.from_bytes(header[:4], "big")
        if length == 1:
            length = int.from_bytes(ends.read(at + 8, 8), "big")
        elif length == 0:
            length = ends.size - at
        if length < 8:
            return
        yield header[4:], at + length
        at += length


def fits(ends: Ends) -> str | None:
    """Why an ISO file is shorter than its boxes say, or None."""
    return CUT if any(end > ends.size for _, end in boxes(ends)) else None


def iso(ends: Ends) -> str | None:
    """Why an MP4, MOV or M4A file is not whole, or None: a box goes past the end, or the index is missing."""
    ended = dict(boxes(ends))
    if not ended:
        return "damaged: not a sequence of boxes"
    walked = max(ended.values()) + 8 > ends.size
    missing = walked and not ended.keys() & {b"moov", b"moof"}
    return fits(ends) or ("truncated: the index (moov) is missing" if missing else None)
