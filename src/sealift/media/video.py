"""Film: MP4, MOV, Matroska, WebM, AVI; decoded with FFmpeg."""

from __future__ import annotations

import io

from sealift.media.kind import Ends, MediaType, count, flag, one_of, vendor
from sealift.media.riff import CUT, iso, riff
from sealift.media.sniff import by_magic, identify, mismatch

WANTED = "MP4, MOV, MKV, WebM or AVI"
SEGMENT = b"\x18\x53\x80\x67"


def inspect(ends: Ends) -> str | None:
    """Why the file is not a whole film, or None."""
    found = by_magic(ends.head)
    if found in ("MP4", "MOV"):
        return iso(ends)
    if found == "Matroska":
        return _matroska(ends)
    if found == "AVI":
        return riff(ends)
    transport = ends.head[:1] == b"G" and ends.head[188:189] == b"G" and ends.head[376:377] == b"G"
    other = found in ("FLV", "MPEG", "ASF", "Ogg") or transport
    return None if other else mismatch(ends.head, WANTED)


def _matroska(ends: Ends) -> str | None:
    """The header, then one segment with the rest of the file in it; a live recording leaves its length open."""
    length, at = _length(ends, 4)
    if length is None:
        return CUT if ends.size < 64 else "damaged: Matroska without its header"
    at += length
    if at + 5 > ends.size:
        return CUT
    if at + 12 > len(ends.head) and ends.size > len(ends.head):
        return None
    if ends.read(at, 4) != SEGMENT:
        return "damaged: Matroska without a segment"
    length, start = _length(ends, at + 4)
    return CUT if length is not None and start + length > ends.size else None


def _length(ends: Ends, at: int) -> tuple[int | None, int]:
    """A variable-length number and where it ends; None if it is left open or not there."""
    first = int.from_bytes(ends.read(at, 1), "big")
    if not first:
        return None, at
    width = 9 - first.bit_length()
    value = int.from_bytes(ends.read(at, width), "big") & (1 << 7 * width) - 1
    return (None if value == (1 << 7 * width) - 1 else value), at + width


def decode(data: bytes) -> str:
    """Decode every picture and every sound of the film and say what it was."""
    av = vendor("av", "video")
    with av.open(io.BytesIO(data)) as container:
        stream = container.streams.video[0]
        frames = 0
        for packet in container.demux(*container.streams.video, *container.streams.audio):
            decoded = packet.decode()
            frames += len(decoded) if packet.stream.index == stream.index else 0
        if not frames or frames < stream.frames:
            raise ValueError("it ends before its header says")
        rate = float(stream.average_rate or stream.guessed_rate or 0)
        name = _name(container.format.name, data)
        size = f"{stream.codec_context.width} x {stream.codec_context.height}"
        timing = f"{rate:.5g} frames/s, {frames / rate:.1f} s" if rate else f"{frames} frames"
        return f"{name}, {size}, {stream.codec_context.name}, {timing}"


def _name(formats: str, data: bytes) -> str:
    if "matroska" in formats:
        return "WebM" if b"webm" in data[:64] else "MKV"
    return identify(data) or formats.upper()


VIDEO = MediaType(
    name="video",
    extensions=(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi"),
    boxed=True,
    feature_type="Video",
    inspect=inspect,
    decode=decode,
    options={
        "decode": flag(True),
        "stream_index": count(0),
        "dimension_order": one_of("NCHW", "NCHW", "NHWC"),
        "seek_mode": one_of("exact", "exact", "approximate"),
    },
)
