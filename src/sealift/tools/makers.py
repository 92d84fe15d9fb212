"""Tiny real media from nothing but the standard library and numpy: sound, scores, pictures and scans.

Everything is drawn with whole numbers from a hash of the seed, so the bytes are the same on every machine and with
every version of Python and numpy. PNG and gzip also depend on zlib: another build of it may compress differently.
"""

from __future__ import annotations

import gzip
import hashlib
import struct
import zlib
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sealift.media.flac import crc8

BLOCK = 4096
"""Samples in a FLAC frame."""

TICKS = 480
"""Ticks in a beat."""

NIFTI_TYPES = {"uint8": 2, "int16": 4, "int32": 8, "float32": 16, "float64": 64}
SEMITONES = (261626, 277183, 293665, 311127, 329628, 349228, 369994, 391995, 415305, 440000, 466164, 493883)
"""Pitches of the octave from middle C, in thousandths of a hertz."""


class Note(NamedTuple):
    """One note: when it starts and how long it sounds, in ticks; pitch and velocity as MIDI counts them."""

    start: int
    length: int
    pitch: int
    velocity: int


def noise(seed: object, count: int) -> NDArray[np.uint8]:
    """Bytes that look random and are always the same for the seed's text."""
    return np.frombuffer(hashlib.shake_128(str(seed).encode()).digest(count), np.uint8)


def flac(samples: NDArray[np.int16], rate: int) -> bytes:
    """The samples (frames, channels) as FLAC, uncompressed inside it; `rate` in hertz, at most 65535."""
    frames, channels = samples.shape
    blocks = [samples[at : at + BLOCK] for at in range(0, frames, BLOCK)]
    coded = [_frame(block, number, rate) for number, block in enumerate(blocks)]
    sizes = [len(frame) for frame in coded] or [0]
    packed: int = rate << 44 | (channels - 1) << 41 | 15 << 36 | frames
    info = struct.pack(">HH", BLOCK, BLOCK) + min(sizes).to_bytes(3, "big") + max(sizes).to_bytes(3, "big")
    info += packed.to_bytes(8, "big") + hashlib.md5(samples.astype("<i2").tobytes(), usedforsecurity=False).digest()
    return b"fLaC" + b"\x80\0\0\x22" + info + b"".join(coded)


def _frame(block: NDArray[np.int16], number: int, rate: int) -> bytes:
    """One FLAC frame: sizes spelled out, then each channel's samples as they are."""
    header = bytes((0xFF, 0xF8, 0x7D, (block.shape[1] - 1) << 4 | 8)) + _coded(number)
    header += struct.pack(">HH", len(block) - 1, rate)
    body = b"".join(b"\x02" + channel.astype(">i2").tobytes() for channel in block.T)
    frame = header + bytes((crc8(header),)) + body
    return frame + crc16(frame).to_bytes(2, "big")


def _coded(number: int) -> bytes:
    """A frame's number, coded as UTF-8 codes a character."""
    if number < 0x80:
        return bytes((number,))
    if number < 0x800:
        return bytes((0xC0 | number >> 6, 0x80 | number & 0x3F))
    return bytes((0xE0 | number >> 12, 0x80 | number >> 6 & 0x3F, 0x80 | number & 0x3F))


def crc16(data: bytes) -> int:
    """FLAC's checksum of a frame: polynomial x^16 + x^15 + x^2 + 1, from zero.

    The message is a polynomial modulo that one: its halves are added, the first times x^n, until one word is left.
    """
    words = 1 << max(0, (len(data) - 1) // 2).bit_length()
    folded = np.frombuffer(data.rjust(2 * words, b"\0"), ">u2").astype(np.uint16)
    while words > 1:
        words //= 2
        folded = _times(16 * words)[folded[:words]] ^ folded[words:]
    return int(_times(16)[folded[0]])


@cache
def _times(power: int) -> NDArray[np.uint16]:
    """Every word times x^power, modulo the polynomial."""
    word, table = 1, np.zeros(1, np.uint16)
    for _ in range(power):
        word = word << 1 ^ (0x18005 if word & 0x8000 else 0)
    for _ in range(16):
        table = np.concatenate((table, table ^ np.uint16(word)))
        word = word << 1 ^ (0x18005 if word & 0x8000 else 0)
    return table


def wav(samples: NDArray[np.int16], rate: int) -> bytes:
    """The samples (frames, channels) as WAV; `rate` in hertz."""
    channels, data = samples.shape[1], samples.astype("<i2").tobytes()
    form = struct.pack("<HHIIHH", 1, channels, rate, rate * channels * 2, channels * 2, 16)
    body = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


def midi(notes: Sequence[Note], tempo_bpm: int = 120) -> bytes:
    """The notes as a MIDI file of type 1: a track with the tempo, and one with the notes."""
    timed = [(note.start, bytes((0x90, note.pitch, note.velocity))) for note in notes]
    timed += [(note.start + note.length, bytes((0x80, note.pitch, 0))) for note in notes]
    timed.sort()  # at the same tick 0x80 comes first: a repeated note ends before it starts again
    tempo = b"\xff\x51\x03" + (60_000_000 // tempo_bpm).to_bytes(3, "big")
    header = b"MThd" + struct.pack(">IHHH", 6, 1, 2, TICKS)
    return header + _track([(0, tempo)]) + _track(timed)


def _track(timed: Sequence[tuple[int, bytes]]) -> bytes:
    body, now = b"", 0
    for tick, message in timed:
        body += _variable(tick - now) + message
        now = tick
    body += b"\0\xff\x2f\0"
    return b"MTrk" + struct.pack(">I", len(body)) + body


def _variable(number: int) -> bytes:
    """A number in groups of seven bits, all but the last marked."""
    coded = bytes((number & 0x7F,))
    while number := number >> 7:
        coded = bytes((number & 0x7F | 0x80,)) + coded
    return coded


def png(picture: NDArray[np.uint8]) -> bytes:
    """The picture (height, width, 3) as PNG."""
    height, width, _ = picture.shape
    lines = np.concatenate((np.zeros((height, 1), np.uint8), picture.reshape(height, width * 3)), axis=1)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines.tobytes(), 6)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )


def nifti(volume: NDArray[Any], zooms: Sequence[float], gz: bool = True) -> bytes:
    """The volume as one NIfTI-1 file; `zooms` in millimetres, a fourth in seconds.

    Raises:
        KeyError: voxels of another type than uint8, int16, int32, float32 or float64.
    """
    shape, rank = volume.shape, volume.ndim
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, rank, *shape, *[1] * (7 - rank))
    struct.pack_into("<hh", header, 70, NIFTI_TYPES[volume.dtype.name], volume.dtype.itemsize * 8)
    struct.pack_into("<8f", header, 76, 1.0, *zooms, *[1.0] * (7 - len(zooms)))
    struct.pack_into("<fffhBB", header, 108, 352.0, 1.0, 0.0, 0, 0, 2 | 8)
    struct.pack_into("<hh", header, 252, 0, 1)  # an affine in the srow fields, in scanner space
    for axis in range(3):
        row = [0.0, 0.0, 0.0, -zooms[axis] * (shape[axis] - 1) / 2]
        row[axis] = zooms[axis]
        struct.pack_into("<4f", header, 280 + 16 * axis, *row)
    struct.pack_into("<4s", header, 344, b"n+1\0")
    plain = bytes(header) + volume.astype(volume.dtype.newbyteorder("<")).tobytes(order="F")
    return gzip.compress(plain, 6, mtime=0) if gz else plain


def melody(seed: object, count: int = 8) -> tuple[Note, ...]:
    """A tune of so many notes on the major scale, one after another, each half a beat or a beat long."""
    notes, start = [], 0
    for step, length, loudness in noise(f"melody {seed}", count * 3).reshape(count, 3).tolist():
        ticks = TICKS // 2 if length % 3 else TICKS
        notes.append(Note(start, ticks, 60 + (0, 2, 4, 5, 7, 9, 11, 12)[step % 8], 64 + loudness % 64))
        start += ticks
    return tuple(notes)


def tones(notes: Sequence[Note], rate: int, tempo_bpm: int = 120) -> NDArray[np.int16]:
    """The notes as sound (frames, 1), each fading out; a voice of parabolas, which is near a sine."""
    per_tick, length = rate * 60, TICKS * tempo_bpm
    sound = np.zeros(max((note.start + note.length for note in notes), default=0) * per_tick // length, np.int32)
    for note in notes:
        first, last = note.start * per_tick // length, (note.start + note.length) * per_tick // length
        sound[first:last] += _tone(note, last - first, rate)
    return np.clip(sound, -32768, 32767).astype(np.int16).reshape(-1, 1)


def _tone(note: Note, frames: int, rate: int) -> NDArray[np.int32]:
    octave, semitone = divmod(note.pitch - 60, 12)
    pitch = SEMITONES[semitone] << octave if octave >= 0 else SEMITONES[semitone] >> -octave
    time = np.arange(frames, dtype=np.int64)
    phase = (time * (pitch * 65536 // (1000 * rate))) & 0xFFFF
    half = phase & 0x7FFF
    wave = (half * (0x8000 - half) >> 15) * np.where(phase & 0x8000, -1, 1)
    return (wave * note.velocity * (frames - time) // (frames * 80)).astype(np.int32)


def picture(seed: object, height: int = 48, width: int = 64) -> NDArray[np.uint8]:
    """A small abstract picture (height, width, 3): five discs on a gradient."""
    dice = noise(f"picture {seed}", 36).astype(np.int64)
    down, right = np.mgrid[0:height, 0:width].astype(np.int64)
    drawn = np.stack([(dice[c] + down * dice[c + 3] // height + right * 64 // width) % 256 for c in range(3)], axis=-1)
    for y, x, radius, *colour in dice[6:36].reshape(5, 6):
        inside = (down - y * height // 256) ** 2 + (right - x * width // 256) ** 2 < (3 + radius * height // 768) ** 2
        drawn[inside] = colour
    return drawn.astype(np.uint8)


def brain(seed: object, shape: tuple[int, int, int] = (32, 32, 20)) -> NDArray[np.int16]:
    """A volume like a scan of a head: a bright shell, grey and white matter inside, noise everywhere."""
    axes = np.meshgrid(*((np.arange(n, dtype=np.int64) * 2 - n + 1) * 1000 // n for n in shape), indexing="ij")
    lean = int(noise(f"brain {seed}", 1)[0]) - 128
    distance = sum((axis + lean * (i == 0)) ** 2 * (100 + 15 * i) // 100 for i, axis in enumerate(axes))
    tissue = np.select([distance < 250_000, distance < 560_000, distance < 700_000], [900, 600, 1200], 0)
    grain = noise(f"grain {seed}", tissue.size).reshape(shape)
    return (tissue + grain // 4).astype(np.int16)
