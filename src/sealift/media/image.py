"""Pictures: PNG, JPEG, GIF, WebP, TIFF, BMP; decoded with Pillow."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from struct import Struct, iter_unpack
from typing import Literal

from sealift.media.kind import Buffer, Ends, MediaType, flag, one_of, vendor
from sealift.media.riff import CUT, closed, fits, riff
from sealift.media.sniff import FORMS, by_magic, mismatch

WANTED = "PNG, JPEG, GIF, WebP, TIFF or BMP"
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "HSV", "I", "I;16", "F")

UNENDED = "no end of the picture near the end (truncated, or bytes appended)"
"""Cameras append previews and films: then the end is there, but not in view."""

OFFSETS, LENGTHS = (273, 324), (279, 325)
"""TIFF's tags for where its strips and its tiles lie, and how long they are."""

PLACED = {*OFFSETS, *LENGTHS}
TAGS = {(order, each): f"{mark}H{each - 2}x" for order, mark in (("little", "<"), ("big", ">")) for each in (12, 20)}

PNG = Struct(">16sII")
PNG_START, PNG_END = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b"\0\0\0\0IEND\xaeB`\x82"
START = Struct("<4sI4s")


def glance(head: Buffer, tail: Buffer, size: int) -> bool:
    """Whether a PNG, JPEG or GIF starts and ends exactly as one does, or the chunks of a WebP are closed."""
    if head[0] == 0x89:
        start, width, height = PNG.unpack_from(head)
        return start == PNG_START and width > 0 and height > 0 and tail[-12:] == PNG_END
    start, promised, form = START.unpack_from(head)
    if form in FORMS:
        return start == b"RIFF" and form == b"WEBP" and closed(head, tail, promised, size)
    if start[:3] == b"\xff\xd8\xff":
        return tail[-2:] == b"\xff\xd9"
    return head[:6] in (b"GIF89a", b"GIF87a") and tail[-1:] == b";"


def inspect(ends: Ends) -> str | None:
    """Why the file is not a whole picture, or None."""
    found = by_magic(ends.head)
    if found in CHECKS:
        return CHECKS[found](ends)
    if ends.head[:2] == b"BM" and int.from_bytes(ends.read(14, 4), "little") in (12, 16, 40, 52, 56, 64, 108, 124):
        return _bmp(ends)
    netpbm = len(ends.head) > 2 and ends.head[:1] == b"P" and ends.head[1] in b"123456" and ends.head[2:3].isspace()
    icon = ends.head[:4] == b"\0\0\1\0" and 0 < int.from_bytes(ends.read(4, 2), "little") < 64
    other = found in ("JPEG 2000", "JPEG XL") or netpbm or icon
    return None if other else mismatch(ends.head, WANTED)


def _png(ends: Ends) -> str | None:
    if len(ends.head) < 33:
        return CUT
    if ends.head[12:16] != b"IHDR" or not all((any(ends.read(16, 4)), any(ends.read(20, 4)))):
        return "damaged: PNG without its dimensions"
    return None if PNG_END in ends.tail else UNENDED


def _jpeg(ends: Ends) -> str | None:
    return None if b"\xff\xd9" in ends.tail else UNENDED


def _gif(ends: Ends) -> str | None:
    return None if ends.tail.rstrip(b"\0").endswith(b";") else UNENDED


def _tiff(ends: Ends) -> str | None:
    """Follow the pointer to the first directory, and see that it is there, and the last strip or tile that it names."""
    order: Literal["little", "big"] = "little" if ends.head[:1] == b"I" else "big"
    word, at = (8, 8) if ends.head[2:4] in (b"+\0", b"\0+") else (4, 4)
    start = int.from_bytes(ends.read(at, word), order)
    if start == 0 and ends.size > 16:
        return "damaged: TIFF without a directory"
    width, each = (8, 20) if word == 8 else (2, 12)
    entries = int.from_bytes(ends.read(start, width), order)
    if start == 0 or start + width + entries * each > ends.size:
        return CUT
    last: dict[int, int] = {}
    places = range(start + width, start + width + min(entries, 1000) * each, each)
    for at, tag in zip(places, _tags(ends, places, order), strict=True):
        if tag in PLACED:
            last[tag] = _last_value(ends, at + 2, word, order)
    stop = max(last.get(offset, 0) + last.get(length, 0) for offset, length in zip(OFFSETS, LENGTHS, strict=True))
    return CUT if stop > ends.size else None


def _tags(ends: Ends, places: range, order: Literal["little", "big"]) -> Iterable[int]:
    """The tags of the directory entries that lie there; 0 where one is not in view."""
    if block := ends.read(places.start, len(places) * places.step):
        return [tag for (tag,) in iter_unpack(TAGS[order, places.step], block)]
    return (int.from_bytes(ends.read(at, 2), order) for at in places)


def _last_value(ends: Ends, at: int, word: int, order: Literal["little", "big"]) -> int:
    """The last number of the directory entry whose type lies there; 0 where it is not in view."""
    width = {3: 2, 4: 4, 16: 8}.get(int.from_bytes(ends.read(at, 2), order), 0)
    count = int.from_bytes(ends.read(at + 2, word), order)
    place = at + 2 + word
    if count * width > word:
        place = int.from_bytes(ends.read(place, word), order)
    return int.from_bytes(ends.read(place + (count - 1) * width, width), order) if width and count else 0


def _bmp(ends: Ends) -> str | None:
    """Only uncompressed pictures are measured: the size that the file states of itself is often wrong."""
    start, header = int.from_bytes(ends.read(10, 4), "little"), int.from_bytes(ends.read(14, 4), "little")
    pixels = 0
    if header >= 40 and int.from_bytes(ends.read(30, 4), "little") == 0:
        width, height = (int.from_bytes(ends.read(at, 4), "little", signed=True) for at in (18, 22))
        pixels = (abs(width) * int.from_bytes(ends.read(28, 2), "little") + 31) // 32 * 4 * abs(height)
    return CUT if start + pixels > ends.size or ends.size < 26 else None


CHECKS: dict[str, Callable[[Ends], str | None]] = {
    "PNG": _png,
    "JPEG": _jpeg,
    "GIF": _gif,
    "WebP": riff,
    "TIFF": _tiff,
    "BigTIFF": _tiff,
    "AVIF": fits,
    "HEIF": fits,
}


def decode(data: bytes) -> str:
    """Decode every frame of the picture and say what it was."""
    pillow = vendor("PIL.Image", "image")
    with pillow.open(io.BytesIO(data)) as picture:
        line = f"{picture.format}, {picture.width} x {picture.height}, {picture.mode}"
        frames = getattr(picture, "n_frames", 1)
        for frame in range(frames):
            picture.seek(frame)
            picture.load()
        return line if frames == 1 else f"{line}, {frames} frames"


IMAGE = MediaType(
    name="image",
    extensions=(".png", ".jpg", ".jpeg", ".gif", ".webp", ".tif", ".tiff", ".bmp"),
    boxed=True,
    feature_type="Image",
    inspect=inspect,
    decode=decode,
    options={"mode": one_of(None, *MODES), "decode": flag(True)},
    glance=glance,
)
