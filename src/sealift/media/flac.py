"""FLAC: is the stream whole? Its header holds no size in bytes, but frames carry numbers."""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple

from sealift.media.kind import Ends

BITS = (0, 8, 12, 0, 16, 20, 24, 32)
RATES = (0, 88200, 176400, 192000, 8000, 16000, 22050, 24000, 32000, 44100, 48000, 96000)
BLOCKS = (0, 192, 576, 1152, 2304, 4608, 0, 0, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768)
RATE_BYTES = {12: 1, 13: 2, 14: 2}
CUT = "truncated: fewer frames than the header promises"


INFO = Struct(">HHI2xQ")


class StreamInfo(NamedTuple):
    """What the first metadata block says; sizes in bytes, 0 where the encoder did not know."""

    smallest_block: int
    block: int
    smallest_frame: int
    rate: int
    channels: int
    bits: int
    samples: int


def flac(ends: Ends, at: int) -> str | None:
    """Why the FLAC stream at that offset is damaged or cut, or None.

    A cut is seen if the frames that are promised cannot fit in the file, or if the last frame header in view is not
    that of the last frame. Where frames are longer than the view neither may be seen.
    """
    block = ends.head[at + 4 : at + 42]
    if len(block) < 38:
        return "truncated: the header is not whole" if at + 42 > ends.size else None
    if block[0] & 0x7F != 0 or int.from_bytes(block[1:4], "big") != 34:
        return "damaged: FLAC without its stream info"
    info = _stream_info(block[4:])
    if info.rate == 0 or info.bits < 4 or info.block < 16:
        return "damaged: FLAC without its stream info"
    frames = -(-info.samples // info.block)
    if (frames - 1) * info.smallest_frame > ends.size or (info.samples and ends.size == at + 42):
        return CUT
    reached = _last_sample(ends.tail, info) if info.samples else None
    return CUT if reached is not None and reached < info.samples else None


def _stream_info(block: bytes) -> StreamInfo:
    smallest, largest, frame, packed = INFO.unpack_from(block)
    channels, bits = (packed >> 41 & 7) + 1, (packed >> 36 & 31) + 1
    return StreamInfo(smallest, largest, frame >> 8, packed >> 44, channels, bits, packed & (1 << 36) - 1)


def _last_sample(tail: bytes, info: StreamInfo) -> int | None:
    """How many samples the stream has up to the end of the last frame that starts in the tail, if one does."""
    sync = b"\xff\xf8" if info.smallest_block == info.block else b"\xff\xf9"
    at = tail.rfind(sync)
    while at >= 0:
        if (reached := _frame_end(tail[at : at + 18], info)) is not None:
            return reached
        at = tail.rfind(sync, 0, at)
    return None


def _frame_end(header: bytes, info: StreamInfo) -> int | None:
    """The number of the sample after this frame, or None if no frame of this stream starts so.

    Everything that the header repeats of the stream must agree, and its CRC-8, and what follows must be a subframe:
    of 27 million tails of random bytes, one got past all of it.
    """
    if len(header) < 6 or not _agrees(header, info):
        return None
    number, at = _coded_number(header)
    code = header[2] >> 4
    at, samples = _block_size(header, at, code)
    at += RATE_BYTES.get(header[2] & 15, 0)
    if number is None or len(header) < at + 2 or crc8(header[:at]) != header[at] or not _subframe(header[at + 1]):
        return None
    varies = header[1] & 1
    reached = number + samples if varies else number * info.block + samples
    usual = samples == info.block or reached == info.samples or (varies and 0 < samples < info.block)
    return reached if usual and reached <= info.samples else None


def _subframe(byte: int) -> bool:
    """Whether a channel's samples may start so: constant, verbatim, fixed or linear prediction."""
    kind = byte >> 1
    return kind in (0, 1) or 8 <= kind <= 12 or 32 <= kind < 64


def _agrees(header: bytes, info: StreamInfo) -> bool:
    rate, channels, bits = header[2] & 15, header[3] >> 4, BITS[header[3] >> 1 & 7]
    same_rate = rate == 0 or 12 <= rate <= 14 or (rate < 12 and RATES[rate] == info.rate)
    same_channels = channels + 1 == info.channels if channels < 8 else channels < 11 and info.channels == 2
    same_bits = bits == info.bits or header[3] >> 1 & 7 == 0
    return same_rate and same_channels and same_bits and not header[3] & 1


def _coded_number(header: bytes) -> tuple[int | None, int]:
    """The frame's or sample's number, coded as UTF-8 codes characters but up to 36 bits, and where it ends."""
    first = header[4]
    if first < 0x80:
        return first, 5
    more = 8 - (~first & 0xFF).bit_length() - 1
    rest = header[5 : 5 + more]
    if more < 1 or len(rest) < more or any(byte & 0xC0 != 0x80 for byte in rest):
        return None, 5
    number = first & (0x3F >> more)
    for byte in rest:
        number = number << 6 | byte & 0x3F
    return number, 5 + more


def _block_size(header: bytes, at: int, code: int) -> tuple[int, int]:
    """Where the header goes on, and the samples in the frame; 0 if reserved."""
    if code in (6, 7):
        width = code - 5
        return at + width, int.from_bytes(header[at : at + width], "big") + 1
    return at, BLOCKS[code]


def crc8(data: bytes) -> int:
    """FLAC's checksum of a frame header: polynomial x^8 + x^2 + x + 1, from zero."""
    crc = 0
    for byte in data:
        crc = CRC8[crc ^ byte]
    return crc


def _crc8_of(byte: int) -> int:
    for _ in range(8):
        byte = byte << 1 ^ (0x107 if byte & 0x80 else 0)
    return byte


CRC8 = bytes(_crc8_of(byte) for byte in range(256))
