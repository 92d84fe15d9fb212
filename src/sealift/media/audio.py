"""Sound: FLAC, WAV and its kin, MP3, Ogg, AAC; decoded with libsndfile, AAC with FFmpeg."""

from __future__ import annotations

import io
from collections.abc import Iterator
from struct import Struct
from typing import Any, Literal

from sealift.media.flac import flac
from sealift.media.kind import Buffer, Ends, MediaType, count, flag, vendor
from sealift.media.riff import CUT, chunks, closed, iso, overrun
from sealift.media.sniff import by_magic, identify, mismatch

WANTED = "FLAC, WAV, MP3, Ogg or M4A"
BLOCK = 65536
"""Frames that are decoded at a time."""

UNKNOWN = 1 << 62
"""More frames than this are libsndfile's way to say that the header holds no number."""

MP3_KBPS = {
    3: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
MP3_HERTZ = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
WAVE = Struct("<4sI4s4s")
WORD = Struct(">I")


def glance(head: Buffer, tail: Buffer, size: int) -> bool:
    """Whether the file is a WAV whose format comes first and whose chunks are closed."""
    outer, promised, form, first = WAVE.unpack_from(head)
    return form == b"WAVE" and outer == b"RIFF" and first == b"fmt " and closed(head, tail, promised, size)


def inspect(ends: Ends) -> str | None:
    """Why the file is not whole, well-formed sound, or None."""
    head = ends.head
    at = _after_id3(head)
    if at > ends.size:
        return CUT
    if at >= len(head):  # a tag with pictures in it is longer than the view
        return None
    if head[at : at + 4] == b"fLaC":
        return flac(ends, at)
    if at or (head[0] == 0xFF and (_mpeg(head) or _adts(head))):
        return _stream(ends, at)
    return _container(ends)


def _container(ends: Ends) -> str | None:
    found = by_magic(ends.head)
    if found in ("WAV", "AIFF") and ends.head[:4] in (b"RIFF", b"FORM"):
        return _wave(ends, found)
    if found in ("RF64", "BW64"):
        return _rf64(ends)
    if found in ("M4A", "MP4"):
        return iso(ends)
    if found == "Ogg":
        return _ogg(ends)
    known = ("CAF", "AU", "AMR", "WavPack", "ASF", "Matroska", "MOV")
    return None if found in known or _late(ends.head) else mismatch(ends.head, WANTED)


def _after_id3(head: bytes) -> int:
    """Where the sound starts: after the ID3v2 tags, whose lengths are four times seven bits."""
    at = 0
    while head[at : at + 3] == b"ID3" and len(head) >= at + 10:
        length = 0
        for byte in head[at + 6 : at + 10]:
            length = length << 7 | byte & 0x7F
        at += 10 + length + (10 if head[at + 5] & 0x10 else 0)
    return at


def _wave(ends: Ends, found: str) -> str | None:
    order: Literal["little", "big"] = "little" if found == "WAV" else "big"
    formatted = found == "AIFF"  # where the format may follow the samples
    seen = tuple(chunks(ends, order))
    for name, _, _ in seen:
        if name == b"data" and not formatted:
            return "damaged: WAV without a format before its samples"
        formatted = formatted or name == b"fmt "
    return overrun(ends, order, seen)


def _rf64(ends: Ends) -> str | None:
    if ends.head[12:16] != b"ds64":
        return "damaged: RF64 without its sizes"
    return CUT if int.from_bytes(ends.read(20, 8), "little") + 7 > ends.size else None


def _ogg(ends: Ends) -> str | None:
    packet = 27 + int.from_bytes(ends.head[26:27], "big")
    if ends.head.startswith((b"\x80theora", b"\x01video"), packet):
        return f"is Ogg video, not {WANTED}"
    at = ends.tail.rfind(b"OggS\0")
    page = ends.tail[at:]
    if at < 0:  # the last page is longer than the view
        return None
    lengths = page[27 : 27 + page[26]] if len(page) > 26 else b""
    whole = len(page) > 26 and len(lengths) == page[26] and 27 + len(lengths) + sum(lengths) <= len(page)
    return None if whole else "truncated: the last page is not whole"


def _frame(head: bytes, at: int) -> int:
    """The length in bytes of the MP3 or MP2 frame whose header lies there; 1 if it is not known, 0 if there is none."""
    if len(head) < at + 4:
        return 0
    bits: int = WORD.unpack_from(head, at)[0]
    version, layer, rate, hertz = bits >> 19 & 3, bits >> 17 & 3, bits >> 12 & 15, bits >> 10 & 3
    if bits >> 21 != 0x7FF or version == 1 or layer not in (1, 2) or rate == 15 or hertz == 3:
        return 0
    if layer != 1 or rate == 0:
        return 1
    samples = 1152 if version == 3 else 576
    return samples // 8 * MP3_KBPS[3 if version == 3 else 2][rate] * 1000 // MP3_HERTZ[version][hertz] + (bits >> 9 & 1)


def _adts(head: bytes) -> bool:
    """Whether raw AAC starts here."""
    return len(head) > 6 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0 and head[2] >> 2 & 15 < 13


def _mpeg(head: bytes, at: int = 0) -> bool:
    """Whether a frame lies there, and another after it if that is in view."""
    length = _frame(head, at)
    return length == 1 or (length > 1 and (at + length + 4 > len(head) or _frame(head, at + length) > 0))


def _late(head: bytes) -> bool:
    """Whether frames follow on one another somewhere in the head, after bytes that players skip."""
    at = head.find(b"\xff", 1)
    while at > 0:
        length = _frame(head, at)
        if length > 1 and _frame(head, at + length):
            return True
        at = head.find(b"\xff", at + 1)
    return False


def _stream(ends: Ends, at: int) -> str | None:
    """Raw frames after the tag: only a Xing header knows how many bytes there should be."""
    body = ends.head[at:]
    if at and not _mpeg(body) and not _adts(body) and not _late(body):
        return "damaged: no MP3 frame after the tag" if len(body) >= 2048 or at + len(body) == ends.size else None
    if at + _frame(body, 0) > ends.size:
        return CUT
    tag = max(body.find(b"Xing", 0, 64), body.find(b"Info", 0, 64))
    if tag < 0 or not body[tag + 7 : tag + 8] or body[tag + 7] & 3 != 3:
        return None
    # Xing: four bytes of flags, then the frames, then the bytes of the whole stream from this frame on
    return CUT if at + int.from_bytes(body[tag + 12 : tag + 16], "big") > ends.size else None


class _Bytes(io.BytesIO):
    """A file in memory that stays where it is when libsndfile, misled by damaged sizes, seeks to before its start.

    An exception could not get through the C code in between: it would end up on stderr.
    """

    def seek(self, offset: int, whence: int = 0, /) -> int:
        try:
            return super().seek(offset, whence)
        except (ValueError, OverflowError):
            return self.tell()


def decode(data: bytes) -> str:
    """Decode all of the sound and say what it was."""
    if identify(data) in ("M4A", "MP4", "AMR", "WavPack", "ASF", "Matroska", "MOV") or _adts(data):
        return _with_ffmpeg(data)
    soundfile = vendor("soundfile", "audio")
    with soundfile.SoundFile(_Bytes(data)) as sound:
        frames = sum(len(block) for block in _blocks(sound))
        promised = sound.frames
        if frames < promised < UNKNOWN:
            raise ValueError("it ends before its header says")
        name = "Opus" if sound.subtype == "OPUS" else {"WAVEX": "WAV"}.get(sound.format, sound.format)
        return _line(name, sound.samplerate, sound.channels, frames)


def _blocks(sound: Any) -> Iterator[Any]:
    while len(block := sound.read(BLOCK, dtype="float32", always_2d=True)):
        yield block


def _with_ffmpeg(data: bytes) -> str:
    av = vendor("av", "video")
    with av.open(io.BytesIO(data)) as container:
        stream = container.streams.audio[0]
        frames = sum(frame.samples for frame in container.decode(stream))
        if not frames:
            raise ValueError("it holds no sound")
        name = (identify(data) or "AAC") if not _adts(data) else "AAC"
        return _line(name, stream.rate, stream.channels, frames)


def _line(name: str, rate: int, channels: int, frames: int) -> str:
    return f"{name}, {rate} Hz, {channels} channel{'s' * (channels != 1)}, {frames / rate:.1f} s"


AUDIO = MediaType(
    name="audio",
    extensions=(".flac", ".wav", ".mp3", ".ogg", ".oga", ".opus", ".m4a", ".aac", ".aif", ".aiff", ".aifc"),
    boxed=True,
    feature_type="Audio",
    inspect=inspect,
    decode=decode,
    options={
        "sampling_rate": count(1),
        "decode": flag(True),
        "num_channels": count(1, 2),
        "stream_index": count(0),
    },
    glance=glance,
)
