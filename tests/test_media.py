"""Media types: what is stored, what a probe notices, and that real decoders agree with both."""

from __future__ import annotations

import contextlib
import gc
import gzip
import io
import pickle
import re
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import datasets
import nibabel
import numpy as np
import pypdf
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sealift.errors import MissingExtra, RequestError, SampleError
from sealift.media import TYPES, VIEW, by_extension, column
from sealift.media.kind import Ends
from sealift.media.sniff import stand_in
from sealift.model.entry import extension
from sealift.tools import makers

TONES = makers.tones(makers.melody(1, 6), 16000)
FEATURES = {
    "audio": datasets.Audio,
    "image": datasets.Image,
    "video": datasets.Video,
    "nifti": datasets.Nifti,
    "pdf": datasets.Pdf,
}


def probe(kind: str, data: bytes) -> str | None:
    """What the type's probe says of a file with these bytes."""
    return TYPES[kind].probe(data[:VIEW], data[-VIEW:], len(data))


def sound(form: str, subtype: str | None = None) -> bytes:
    """The tones in a format of libsndfile's."""
    file = io.BytesIO()
    soundfile.write(file, TONES, 16000, format=form, subtype=subtype)
    return file.getvalue()


def aac(form: str) -> bytes:
    """The tones as AAC, raw or in an MP4 box."""
    file = io.BytesIO()
    with av.open(file, "w", format=form) as container:
        stream = container.add_stream("aac", rate=16000, layout="mono")
        for at in range(0, len(TONES) - 1024, 1024):
            block = np.ascontiguousarray(TONES[at : at + 1024].T)
            frame = av.AudioFrame.from_ndarray(block, format="s16p", layout="mono")
            frame.sample_rate = 16000
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


def film(form: str, codec: str, **options: str) -> bytes:
    """A second of 25 pictures, 128 x 96."""
    file = io.BytesIO()
    with av.open(file, "w", format=form, options=options) as container:
        stream: Any = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        for seed in range(25):
            frame = av.VideoFrame.from_ndarray(makers.picture(seed, 96, 128), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


def drawn(form: str, mode: str = "RGB", **options: object) -> bytes:
    """A picture, 128 x 96, in a format of Pillow's."""
    file = io.BytesIO()
    Image.fromarray(makers.picture(2, 96, 128)).convert(mode).save(file, form, **options)
    return file.getvalue()


def document(pages: int) -> bytes:
    """A PDF with so many empty pages."""
    writer, file = pypdf.PdfWriter(), io.BytesIO()
    for _ in range(pages):
        writer.add_blank_page(200, 200)
    writer.write(file)
    return file.getvalue()


def moved(mp4: bytes) -> bytes:
    """An MP4 with its index in front of the samples (whose offsets nobody reads here)."""
    boxes: list[bytes] = []
    at = 0
    while at < len(mp4):
        length = int.from_bytes(mp4[at : at + 4], "big")
        boxes.append(mp4[at : at + length])
        at += length
    boxes.sort(key=lambda box: {b"ftyp": 0, b"moov": 1}.get(box[4:8], 2))
    return b"".join(boxes)


VOLUME = makers.brain(1)
NII = makers.nifti(VOLUME, (2, 2, 2), gz=False)
NII2 = nibabel.Nifti2Image(VOLUME, np.diag((2, 2, 2, 1))).to_bytes()
BIG_ENDIAN = nibabel.Nifti1Image(VOLUME, np.eye(4), nibabel.Nifti1Header(endianness=">"), dtype="int16").to_bytes()
SHORT_MELODY = makers.melody(1, 8)
FLAC = sound("FLAC")
MP4 = film("mp4", "mpeg4")
ID3 = b"ID3\x04\0\0\0\0\x01\x00" + bytes(128)

GOOD: dict[str, tuple[str, bytes, str]] = {
    "plain flac": ("audio", makers.flac(TONES, 16000), "FLAC, 16000 Hz, 1 channel, 2.2 s"),
    "flac": ("audio", FLAC, "FLAC, 16000 Hz, 1 channel, 2.2 s"),
    "tagged flac": ("audio", ID3 + FLAC, "FLAC, 16000 Hz, 1 channel, 2.2 s"),
    "wav": ("audio", makers.wav(TONES, 16000), "WAV, 16000 Hz, 1 channel, 2.2 s"),
    "wav for many channels": ("audio", sound("WAVEX"), "WAV, 16000 Hz, 1 channel, 2.2 s"),
    "rf64": ("audio", sound("RF64"), "RF64, 16000 Hz, 1 channel, 2.2 s"),
    "aiff": ("audio", sound("AIFF"), "AIFF, 16000 Hz, 1 channel, 2.2 s"),
    "mp3": ("audio", sound("MP3"), "MP3, 16000 Hz, 1 channel, 2.2 s"),
    "tagged mp3": ("audio", ID3 + sound("MP3"), "MP3, 16000 Hz, 1 channel, 2.2 s"),
    "ogg": ("audio", sound("OGG", "VORBIS"), "OGG, 16000 Hz, 1 channel, 2.2 s"),
    "opus": ("audio", sound("OGG", "OPUS"), "Opus, 16000 Hz, 1 channel, 2.2 s"),
    "m4a": ("audio", aac("ipod"), "M4A, 16000 Hz, 1 channel, 2.3 s"),
    "aac": ("audio", aac("adts"), "AAC, 16000 Hz, 1 channel, 2.3 s"),
    "png": ("image", makers.png(makers.picture(2, 96, 128)), "PNG, 128 x 96, RGB"),
    "jpeg": ("image", drawn("JPEG"), "JPEG, 128 x 96, RGB"),
    "gif": ("image", drawn("GIF", "P"), "GIF, 128 x 96, P"),
    "webp": ("image", drawn("WEBP"), "WEBP, 128 x 96, RGB"),
    "tiff": ("image", drawn("TIFF"), "TIFF, 128 x 96, RGB"),
    "lzw tiff": ("image", drawn("TIFF", compression="tiff_lzw"), "TIFF, 128 x 96, RGB"),
    "big tiff": ("image", drawn("TIFF", "L", big_tiff=True), "TIFF, 128 x 96, L"),
    "bmp": ("image", drawn("BMP"), "BMP, 128 x 96, RGB"),
    "mp4": ("video", MP4, "MP4, 128 x 96, mpeg4, 25 frames/s, 1.0 s"),
    "mov": ("video", film("mov", "mpeg4"), "MOV, 128 x 96, mpeg4, 25 frames/s, 1.0 s"),
    "mkv": ("video", film("matroska", "mpeg4"), "MKV, 128 x 96, mpeg4, 25 frames/s, 1.0 s"),
    "webm": ("video", film("webm", "libvpx"), "WebM, 128 x 96, vp8, 25 frames/s, 1.0 s"),
    "avi": ("video", film("avi", "mpeg4"), "AVI, 128 x 96, mpeg4, 25 frames/s, 1.0 s"),
    "nifti": ("nifti", NII, "NIfTI-1, 32 x 32 x 20, int16, 2.0 x 2.0 x 2.0 mm"),
    "nifti gz": ("nifti", gzip.compress(NII), "NIfTI-1, 32 x 32 x 20, int16, 2.0 x 2.0 x 2.0 mm"),
    "small nifti gz": (
        "nifti",
        makers.nifti(np.ones((9, 9, 9, 3), np.float32), (2, 2, 2, 1.5)),
        "NIfTI-1, 9 x 9 x 9 x 3, float32, 2.0 x 2.0 x 2.0 mm, 1.5 s",
    ),
    "nifti2": ("nifti", NII2, "NIfTI-2, 32 x 32 x 20, int16, 2.0 x 2.0 x 2.0"),
    "nifti2 gz": ("nifti", gzip.compress(NII2), "NIfTI-2, 32 x 32 x 20, int16, 2.0 x 2.0 x 2.0"),
    "big-endian nifti": ("nifti", BIG_ENDIAN, "NIfTI-1, 32 x 32 x 20, int16, 1.0 x 1.0 x 1.0"),
    "midi": ("midi", makers.midi(makers.melody(1, 700)), "MIDI type 1, 2 tracks, 232.0 s, 700 notes"),
    "short midi": ("midi", makers.midi(SHORT_MELODY), "MIDI type 1, 2 tracks, 2.8 s, 8 notes"),
    "pdf": ("pdf", document(30), "PDF 1.3, 30 pages"),
    "binary": ("binary", bytes(5000), "5000 bytes"),
}
"""Name → media type, a good file, and the line that describes it."""

UNSURE = {"plain flac", "flac", "tagged flac", "aac", "binary"}
"""Files that may lose their end without a probe seeing it: see docs/media.md."""

STANDS = {
    "html": b"<!DOCTYPE html>\n<html><head><title>404</title></head><body>Not here</body></html>\n",
    "xml error": b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>NoSuchKey</Code></Error>',
    "lfs": b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"4d" * 32 + b"\nsize 123456\n",
    "annex": b"/annex/objects/MD5E-s123--9b.flac\n",
    "json": b'{"error": "quota exceeded"}',
    "zeros": bytes(8192),
    "text": b"to be recorded next week\n",
}


def each(*without: str) -> pytest.MarkDecorator:
    """Run for every good file but these."""
    return pytest.mark.parametrize("name", [name for name in GOOD if name not in without])


@each()
def test_a_good_file_is_good_for_probe_and_decoder(name: str) -> None:
    """A probe has nothing to say of a file that its decoder reads to the end."""
    kind, data, line = GOOD[name]
    assert probe(kind, data) is None
    assert TYPES[kind].describe(data) == line


@each(*UNSURE)
@pytest.mark.parametrize("part", [0.001, 0.05, 0.25, 0.5, 0.9, 0.98])
def test_a_cut_file_is_noticed(name: str, part: float) -> None:
    """Wherever the end is lost, the reason says that there should be more."""
    kind, data, _ = GOOD[name]
    reason = probe(kind, data[: max(1, int(len(data) * part))])
    assert reason is not None
    if part >= 0.25:
        assert "truncated" in reason


@pytest.mark.parametrize("name", ["plain flac", "flac"])
@pytest.mark.parametrize("part", [0.02, 0.1, 0.3, 0.5])
def test_a_flac_that_lost_half_is_noticed(name: str, part: float) -> None:
    """A FLAC whose frames cannot fit any more is cut, though its header holds no size."""
    data = GOOD[name][1]
    assert probe("audio", data[: int(len(data) * part)]) == "truncated: fewer frames than the header promises"


def test_the_last_frame_header_in_view_shows_that_a_flac_is_cut() -> None:
    """A FLAC is known to be cut even if its frames would fit: the last number in view is not the last."""
    quiet = np.concatenate((np.zeros((80_000, 1), np.int16), TONES[:20_000]))
    file = io.BytesIO()
    soundfile.write(file, quiet, 16000, format="FLAC")
    data = file.getvalue()
    assert probe("audio", data) is None
    assert probe("audio", data[:-5000]) == "truncated: fewer frames than the header promises"


@pytest.mark.parametrize("name", ["plain flac", "flac", "aac"])
def test_a_cut_that_no_probe_can_see_fails_to_decode(name: str) -> None:
    """What a probe may overlook, `describe` does not."""
    data = GOOD[name][1]
    with pytest.raises(SampleError, match="cannot be decoded as audio"):
        TYPES["audio"].describe(data[:-3])


@each("binary")
@pytest.mark.parametrize("kind", [kind for kind in TYPES if kind != "binary"])
def test_a_file_of_another_type_is_noticed(name: str, kind: str) -> None:
    """Every good file is wrong in a column of any other type, and most are named for what they are."""
    own, data, _ = GOOD[name]
    shared = name in ("ogg", "opus", "m4a", "mp4", "mov", "mkv", "webm") and {own, kind} == {"audio", "video"}
    if kind == own or shared:  # these containers carry sound, film or both
        return
    reason = probe(kind, data)
    assert reason is not None
    assert reason.startswith(("is ", "not "))


@pytest.mark.parametrize("kind", [kind for kind in TYPES if kind != "binary"])
@pytest.mark.parametrize(
    ("stand", "reason"),
    [
        ("html", "is HTML, not "),
        ("xml error", "is an XML error document"),
        ("lfs", "a Git LFS pointer, not the file itself"),
        ("annex", "a git-annex pointer, not the file itself"),
        ("json", "is JSON, not "),
        ("zeros", "starts with zeros, not "),
        ("text", "not "),
    ],
)
def test_what_crawls_leave_behind_is_named(kind: str, stand: str, reason: str) -> None:
    """Error pages, pointers and unfinished files are called what they are, and none of them decodes."""
    assert (probe(kind, STANDS[stand]) or "").startswith(reason)
    with pytest.raises(SampleError) as caught:
        TYPES[kind].describe(STANDS[stand])
    assert " at 0x" not in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize("kind", TYPES)
def test_an_empty_file_is_empty(kind: str) -> None:
    """No type takes a file without bytes."""
    assert probe(kind, b"") == "empty"
    with pytest.raises(SampleError, match="empty"):
        TYPES[kind].describe(b"")


def test_binary_takes_anything_but_pointers() -> None:
    """A binary column warns of pointers only: nothing else is known to be wrong."""
    said = {name: probe("binary", data) for name, data in STANDS.items()}
    assert {name for name, reason in said.items() if reason} == {"lfs", "annex"}


@settings(max_examples=300)
@given(st.sampled_from(sorted(TYPES)), st.binary(max_size=VIEW), st.binary(max_size=VIEW), st.integers(0, 1 << 70))
def test_probes_raise_on_no_bytes(kind: str, head: bytes, tail: bytes, size: int) -> None:
    """Whatever the bytes, even if they contradict the size, a probe answers."""
    assert isinstance(TYPES[kind].probe(head, tail, size), str | None)


Changes = list[tuple[int, int]]
changes = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=12)


def changed(data: bytes, at_head: Changes, at_tail: Changes, cut: int) -> bytes:
    """The file without its last bytes, and with others changed at both ends."""
    damaged = bytearray(data[: len(data) - cut] or data)
    for at, byte in at_head:
        damaged[at % len(damaged)] = byte
    for at, byte in at_tail:
        damaged[-1 - at % len(damaged)] = byte
    return bytes(damaged)


@settings(max_examples=600)
@given(st.sampled_from(sorted(GOOD)), changes, changes, st.integers(0, 9000))
def test_probes_raise_on_no_damaged_file(name: str, at_head: Changes, at_tail: Changes, cut: int) -> None:
    """Good files with bytes changed at both ends, and cut, get a reason that could be counted: no figures, no names."""
    kind, data, _ = GOOD[name]
    reason = probe(kind, changed(data, at_head, at_tail, cut))
    figures = re.findall(r"\b\d+\b", (reason or "").replace("JPEG 2000", ""))
    assert reason is None or (0 < len(reason) < 100 and not figures)


GLANCED_AT = ("wav", "wav for many channels", "png", "jpeg", "gif", "webp", "pdf", "binary")


@settings(max_examples=600)
@given(
    st.sampled_from(GLANCED_AT),
    st.sampled_from([b"", b"LIST\x04\0\0\0INFO", b"LIST\x99\0\0\0INFO", bytes(4096), b"/annex/objects/"]),
    st.booleans(),
    changes,
    changes,
    st.integers(0, 40),
)
def test_a_glance_never_overlooks(
    name: str, more: bytes, counted: bool, at_head: Changes, at_tail: Changes, cut: int
) -> None:
    """A file that is passed at a glance is one that the whole probe has nothing to say of, with its outer length right
    or not; and a file probed in memory gets the same answer as by its ends."""
    kind, data, _ = GOOD[name]
    data = changed(data + more, at_head[:2], at_tail[:2], cut)
    if counted and data[:4] == b"RIFF":
        data = data[:4] + struct.pack("<I", len(data) - 8) + data[8:]
    for named in {kind, "binary", "audio", "image"}:
        media, head, tail = TYPES[named], data[:VIEW], data[-VIEW:]
        full = stand_in(head) or media.inspect(Ends(head, tail, len(data)))
        assert full is None or not media.glance(data, data, len(data))
        assert full == media.probe(head, tail, len(data)) == media.probe_whole(memoryview(data))


def put(name: str, at: int, *pieces: bytes) -> bytes:
    """The good file with these bytes in place of those at the offset."""
    new = b"".join(pieces)
    return GOOD[name][1][:at] + new + GOOD[name][1][at + len(new) :]


@pytest.mark.parametrize(
    ("kind", "data", "reason"),
    [
        ("image", put("png", 20, bytes(4)), "damaged: PNG without its dimensions"),
        ("image", put("jpeg", 8, b"WAVE"), "is WAV, not PNG, JPEG, GIF, WebP, TIFF or BMP"),
        ("image", put("gif", 8, b"AVI "), "is AVI, not PNG, JPEG, GIF, WebP, TIFF or BMP"),
        ("audio", put("wav", 12, b"JUNK"), "damaged: WAV without a format before its samples"),
        ("binary", put("binary", 0, STANDS["lfs"]), "a Git LFS pointer, not the file itself"),
        ("binary", put("binary", 0, STANDS["annex"]), "a git-annex pointer, not the file itself"),
        ("binary", put("binary", 0, b"../.git/annex/objects/")[:1000], "a git-annex pointer, not the file itself"),
    ],
)
def test_what_is_wrong_at_the_start_is_seen_at_a_glance(kind: str, data: bytes, reason: str) -> None:
    """A file whose end is right is not passed for it."""
    assert probe(kind, data) == TYPES[kind].probe_whole(memoryview(data)) == reason


@pytest.mark.parametrize("name", GLANCED_AT)
def test_common_good_files_are_passed_at_a_glance(name: str) -> None:
    """Files as most writers leave them never take the long way: packing millions of small ones depends on it."""
    kind, data, _ = GOOD[name]
    assert TYPES[kind].glance(data[:VIEW], data[-VIEW:], len(data))
    assert TYPES[kind].glance(memoryview(data), memoryview(data), len(data))


def test_a_wav_with_notes_is_passed_at_a_glance() -> None:
    """Chunks before the samples or after them make no difference, unless one of them is cut."""
    wav, notes = makers.wav(TONES, 16000), b"LIST\x04\0\0\0INFO"
    for body in (wav[8:36] + notes + wav[36:], wav[8:] + notes):
        data = b"RIFF" + struct.pack("<I", len(body)) + body
        assert TYPES["audio"].glance(data, data, len(data))
        assert TYPES["audio"].probe_whole(memoryview(data)[:-1]) == "truncated: the header promises more bytes"


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["mp4", "avi", "png", "nifti gz", "nifti2", "midi", "pdf", "flac", "wav", "gif"]), changes)
def test_no_vendor_exception_leaks(name: str, at_head: list[tuple[int, int]]) -> None:
    """A damaged file is described or is a SampleError, whatever its decoder raises."""
    kind, data, _ = GOOD[name]
    damaged = bytearray(data)
    for at, byte in at_head:
        damaged[at % len(damaged)] = byte
    with contextlib.suppress(SampleError):
        assert TYPES[kind].describe(bytes(damaged))


def test_nothing_stays_open_after_a_failure() -> None:
    """Files that a decoder opened are closed when it fails: an unclosed one would warn here."""
    for kind, data, _ in GOOD.values():
        if kind != "binary":
            with pytest.raises(SampleError):
                TYPES[kind].describe(data[:40])
    gc.collect()


def test_nifti_gz_in_several_members_is_whole() -> None:
    """gzip members that follow on one another are one file, though the trailer tells only the last one's length."""
    cut = len(NII) // 2
    data = gzip.compress(NII[:cut]) + gzip.compress(NII[cut:])
    assert probe("nifti", data) is None
    assert TYPES["nifti"].describe(data) == GOOD["nifti"][2]


def test_nifti_gz_padded_is_whole() -> None:
    """Bytes after the voxels, as some writers pad, are no damage; nor is a gzip of several members in view whole."""
    small = makers.nifti(np.ones((4, 4, 4), np.int16), (1, 1, 1), gz=False)
    assert probe("nifti", gzip.compress(NII + bytes(1024))) is None
    assert probe("nifti", gzip.compress(small[:100]) + gzip.compress(small[100:])) is None


def test_a_small_gzip_of_a_cut_scan_is_noticed() -> None:
    """A whole gzip with too few voxels in it is noticed where the whole of it is in view."""
    small = makers.nifti(np.ones((9, 9, 9), np.int16), (1, 1, 1), gz=False)
    assert probe("nifti", gzip.compress(small[:-1])) == "truncated: fewer voxels than the header promises"


def test_nifti_that_is_half_of_a_pair_is_noticed() -> None:
    """The header of a .hdr/.img pair has no voxels with it, plain or gzipped, so one cell cannot hold the scan."""
    pair = bytearray(NII[:352])
    pair[344:348] = b"ni1\0"
    reason = "the header of a .hdr/.img pair, without its voxels"
    assert probe("nifti", bytes(pair)) == probe("nifti", gzip.compress(bytes(pair))) == reason


def test_gzip_of_something_else_is_named() -> None:
    """A gzip that holds no scan is called after what it holds."""
    assert probe("nifti", gzip.compress(MP4)) == "is gzip of MP4, not of NIfTI"
    assert probe("nifti", gzip.compress(b"notes " * 2000)) == "is gzip of something else than NIfTI"


def test_impossible_dimensions_are_noticed() -> None:
    """A header with eight dimensions, or an extent of none, is damaged."""
    for at, number in ((40, 8), (42, 0), (44, -3)):
        damaged = bytearray(NII)
        struct.pack_into("<h", damaged, at, number)
        assert probe("nifti", bytes(damaged)) == "damaged: the header has impossible dimensions"


def test_mp4_is_read_wherever_its_index_lies() -> None:
    """An MP4 may have its index first or in fragments; without any it is cut."""
    assert probe("video", moved(MP4)) is None
    assert probe("video", film("mp4", "mpeg4", movflags="frag_keyframe+empty_moov")) is None
    assert probe("video", MP4[: MP4.rindex(b"moov") - 4]) == "truncated: the index (moov) is missing"


OPEN_LENGTHS = [
    (0xFFFF_FFFF, 0xFFFF_FFFF),
    (0, 0),
    (0x7FFF_F024, 0x7FFF_F000),
    (0x7FFF_FFFF, 0x7FFF_FFFF - 36),
    (0x8000_0024, 0x8000_0000),
    (0xFFFF_FFFF, 0xFFFF_FFFF - 36),
]


def test_live_recordings_are_whole() -> None:
    """Sizes that a writer could not go back to fill in are no promise."""
    for outer, inner in OPEN_LENGTHS:
        wav = bytearray(makers.wav(TONES, 16000))
        wav[4:8], wav[40:44] = struct.pack("<I", outer), struct.pack("<I", inner)
        assert probe("audio", bytes(wav)) is None, hex(inner)
    assert probe("video", film("matroska", "mpeg4", live="1")) is None


def test_appended_bytes_are_no_damage() -> None:
    """A file with a trailer after its end is whole, though the trailer looks like a chunk that is cut."""
    for name in ("png", "jpeg", "webp", "wav", "avi"):
        kind, data, _ = GOOD[name]
        assert probe(kind, data + b"trailer" * 100) is None, name


def test_a_length_that_counts_its_own_header_is_forgiven() -> None:
    """Many writers of WAV put the size of the file where eight bytes less belong."""
    wav = makers.wav(TONES, 16000)
    assert probe("audio", wav[:4] + struct.pack("<I", len(wav)) + wav[8:]) is None
    assert probe("audio", wav[:-2]) == "truncated: the header promises more bytes"


def test_a_big_tag_hides_the_sound_but_is_no_damage() -> None:
    """Where a tag with a picture in it is longer than the view, the probe says nothing rather than guess."""
    tag = b"ID3\x04\0\0\0\0\x7f\x7f" + bytes(0x3FFF)
    assert probe("audio", tag + FLAC) is None
    assert probe("audio", tag[:9000]) == "truncated: the header promises more bytes"


OPTIONS: dict[str, list[dict[str, object]]] = {
    "audio": [{"sampling_rate": 44100, "num_channels": 1}, {"stream_index": 0, "decode": False}],
    "image": [{"mode": "RGB"}, {"mode": "L", "decode": False}],
    "video": [{"stream_index": 1, "dimension_order": "NHWC"}, {"seek_mode": "approximate", "decode": False}],
    "nifti": [{"decode": False}],
    "pdf": [{"decode": False}],
}


@pytest.mark.parametrize(
    ("kind", "given"), [(kind, given) for kind in FEATURES for given in ({}, {"decode": True}, *OPTIONS[kind])]
)
def test_features_are_what_datasets_writes(kind: str, given: dict[str, object]) -> None:
    """The feature's JSON is that of the same feature made in `datasets`, options at their default left out."""
    theirs = datasets.Features({"x": FEATURES[kind](**given)}).to_dict()["x"]
    ours = column("x", kind, False, given).feature
    assert ours == theirs
    assert list(ours) == list(theirs)
    assert datasets.Features.from_dict({"x": dict(ours)})["x"] == FEATURES[kind](**given)


@pytest.mark.parametrize("kind", ["midi", "binary"])
def test_types_without_a_feature_are_plain_binary(kind: str) -> None:
    """MIDI and binary cells are bytes without a box around them."""
    made = column("score", kind, True, {})
    assert datasets.Features.from_dict({"x": dict(made.feature)})["x"] == datasets.Value("binary")
    assert (made.boxed, made.many, made.leaf) == (False, True, "score.list.element")


def test_boxed_cells_lie_where_datasets_looks() -> None:
    """The leaf of a single or listed picture is the `bytes` of its struct."""
    assert [column("x", "image", many, {}).leaf for many in (False, True)] == ["x.bytes", "x.list.element.bytes"]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: column("a", "audio", False, {"sample_rate": 1}), "did you mean 'sampling_rate'?"),
        (lambda: column("a", "midi", False, {"tracks": 1}), "it has no options"),
        (lambda: column("a", "audio", False, {"sampling_rate": "44.1k"}), "a whole number from 1 on"),
        (lambda: column("a", "audio", False, {"sampling_rate": True}), "a whole number from 1 on"),
        (lambda: column("a", "audio", False, {"num_channels": 3}), "a whole number from 1 to 2"),
        (lambda: column("a", "image", False, {"mode": "rgb"}), "RGB or"),
        (lambda: column("a", "video", False, {"decode": "no"}), "true or false"),
        (lambda: column("a", "niftii", False, {}), "did you mean 'nifti'?"),
        (lambda: column("a", "sculpture", False, {}), "audio, image, video, nifti, midi, pdf, binary"),
    ],
)
def test_a_wrong_option_says_what_would_be_right(make: Callable[[], object], says: str) -> None:
    """A type, option or value that does not exist is refused with the nearest or the possible ones."""
    with pytest.raises(RequestError) as caught:
        make()
    assert says in str(caught.value)


def test_extensions_are_those_of_the_listing() -> None:
    """Every extension is spelled as the listing spells it, and belongs to one type."""
    known = by_extension()
    assert known[".flac"] == "audio"
    assert known[".nii.gz"] == "nifti"
    assert all(extension("folder/file" + spelled.upper()) == spelled for spelled in known)
    assert len(known) == sum(len(kind.extensions) for kind in TYPES.values())


@pytest.mark.parametrize(
    ("name", "module", "extra"),
    [
        ("wav", "soundfile", "audio"),
        ("m4a", "av", "video"),
        ("png", "PIL.Image", "image"),
        ("mp4", "av", "video"),
        ("nifti", "nibabel", "nifti"),
        ("midi", "mido", "midi"),
        ("pdf", "pypdf", "pdf"),
    ],
)
def test_a_missing_decoder_names_its_extra(name: str, module: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its library, describing says what to install; probing needs none."""
    monkeypatch.setitem(sys.modules, module, None)
    kind, data, _ = GOOD[name]
    assert probe(kind, data) is None
    with pytest.raises(MissingExtra) as caught:
        TYPES[kind].describe(data)
    assert caught.value.hint.startswith(f"pip install 'sealift[{extra}]'")
    assert caught.value.fields == {"extra": extra}


def test_importing_media_loads_no_vendor() -> None:
    """A fresh process that imports the media types and probes a file loads the standard library and us only."""
    code = (
        "import sys; before = set(sys.modules)\n"
        "from sealift.media import TYPES, by_extension, column\n"
        "column('a', 'audio', False, {}); TYPES['nifti'].probe(b'x' * 600, b'x' * 600, 600)\n"
        "new = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "print(*sorted(new - sys.stdlib_module_names - {'sealift'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_types_travel_to_workers() -> None:
    """A column and its type survive pickling, as they must to reach another process."""
    assert pickle.loads(pickle.dumps(column("a", "audio", False, {"sampling_rate": 8000}))).feature == {
        "sampling_rate": 8000,
        "_type": "Audio",
    }


def test_docs_name_every_type_and_extension() -> None:
    """The page on media types leaves none out."""
    page = (Path(__file__).parent.parent / "docs" / "media.md").read_text(encoding="utf-8")
    assert [name for name in (*TYPES, *by_extension()) if f"`{name}`" not in page] == []
