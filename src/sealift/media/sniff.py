"""What a file is by its first bytes, whatever its name says, so that users hear what they have instead."""

from __future__ import annotations

MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (0, b"fLaC", "FLAC"),
    (0, b"RF64", "RF64"),
    (0, b"BW64", "BW64"),
    (8, b"AIFF", "AIFF"),
    (8, b"AIFC", "AIFF"),
    (8, b"WAVE", "WAV"),
    (8, b"WEBP", "WebP"),
    (8, b"AVI ", "AVI"),
    (8, b"RMID", "RMID"),
    (0, b"RIFF", "RIFF"),
    (0, b"OggS", "Ogg"),
    (0, b"caff", "CAF"),
    (0, b".snd", "AU"),
    (0, b"#!AMR", "AMR"),
    (0, b"wvpk", "WavPack"),
    (0, b"0&\xb2u\x8ef\xcf\x11", "ASF"),
    (0, b"\x89PNG\r\n\x1a\n", "PNG"),
    (0, b"\xff\xd8\xff", "JPEG"),
    (0, b"GIF87a", "GIF"),
    (0, b"GIF89a", "GIF"),
    (0, b"II*\0", "TIFF"),
    (0, b"MM\0*", "TIFF"),
    (0, b"II+\0", "BigTIFF"),
    (0, b"MM\0+", "BigTIFF"),
    (0, b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
    (0, b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    (0, b"\xff\x0a", "JPEG XL"),
    (4, b"ftypavif", "AVIF"),
    (4, b"ftyphei", "HEIF"),
    (4, b"ftypmif1", "HEIF"),
    (4, b"ftypM4A", "M4A"),
    (4, b"ftypM4B", "M4A"),
    (4, b"ftypqt  ", "MOV"),
    (4, b"ftyp", "MP4"),
    (4, b"moov", "MOV"),
    (4, b"mdat", "MOV"),
    (4, b"wide", "MOV"),
    (0, b"\x1aE\xdf\xa3", "Matroska"),
    (0, b"FLV\x01", "FLV"),
    (0, b"\0\0\x01\xba", "MPEG"),
    (0, b"\0\0\x01\xb3", "MPEG"),
    (0, b"MThd", "MIDI"),
    (0, b"%PDF-", "PDF"),
    (344, b"n+1\0", "NIfTI"),
    (344, b"ni1\0", "NIfTI"),
    (4, b"n+2\0\r\n\x1a\n", "NIfTI"),
    (0, b"PK\x03\x04", "ZIP"),
    (0, b"\x1f\x8b", "gzip"),
    (0, b"BZh", "bzip2"),
    (0, b"(\xb5/\xfd", "zstd"),
    (0, b"\xfd7zXZ\0", "xz"),
    (0, b"7z\xbc\xaf\x27\x1c", "7z"),
    (0, b"\x89HDF\r\n\x1a\n", "HDF5"),
    (0, b"PAR1", "Parquet"),
    (128, b"DICM", "DICOM"),
    (0, b"ID3", "MP3"),
)
"""(offset, bytes, name): the first that fits names the file."""


FORMS = frozenset(magic for offset, magic, _ in MAGIC if offset == 8)
"""What may stand at offset 8 and names the file before most of what stands at its start."""

LFS, ANNEX = b"version https://git-lfs.github.com/spec/", b"/annex/objects/"
POINTERS = (LFS[0], ANNEX[0])
"""The first byte of a pointer of a kilobyte or more."""

Starts = dict[bytes, list[tuple[int, bytes]]]


def _places() -> tuple[tuple[int, int, Starts], ...]:
    places: dict[int, tuple[int, int, Starts]] = {}
    for rank, (offset, magic, _) in enumerate(MAGIC):
        starts = places.setdefault(offset, (rank, offset, {}))[2]
        starts.setdefault(magic[:2], []).append((rank, magic))
    return tuple(places.values())


PLACES = _places()
"""MAGIC by offset and first two bytes: (rank, offset, {two bytes: [(rank, magic)]}); a rank is the place in MAGIC."""


def stand_in(head: bytes) -> str | None:
    """Why these bytes only stand for a file that is somewhere else, or None."""
    if head.startswith(LFS):
        return "a Git LFS pointer, not the file itself"
    if head.startswith(ANNEX) or (len(head) < 1024 and b".git/annex/objects/" in head):
        return "a git-annex pointer, not the file itself"
    return None


def identify(head: bytes) -> str | None:
    """The name of what starts with these bytes, or None if it is nothing well known."""
    return by_magic(head) or (_text(head) if head.strip(b"\0") else "zeros")


def by_magic(head: bytes) -> str | None:
    """The name of what starts with these bytes, or None if nothing of MAGIC fits: cheaper than `identify`."""
    first = len(MAGIC)
    for least, offset, starts in PLACES:
        if first < least:
            break
        for rank, magic in starts.get(head[offset : offset + 2], ()):
            if rank < first and head.startswith(magic, offset):
                first = rank
    return MAGIC[first][2] if first < len(MAGIC) else None


def _text(head: bytes) -> str | None:
    start = head[:512].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html", b"<head", b"<body")) or b"<html" in start:
        return "HTML"
    if start.startswith(b"<error") or (start.startswith(b"<?xml") and b"<error" in start):
        return "an XML error document"
    if b"<svg" in start:
        return "SVG"
    if start.startswith(b"<?xml"):
        return "XML"
    return "JSON" if start.startswith((b'{"', b"{\n", b"{ ", b'["', b"[{", b"[\n")) else None


def mismatch(head: bytes, wanted: str) -> str:
    """The reason for a file that does not start as the wanted kind does: what it is, if that is known."""
    found = identify(head)
    if found == "zeros":
        return f"starts with zeros, not {wanted}"
    if found == "an XML error document":
        return f"is {found}"
    return f"is {found}, not {wanted}" if found and found not in wanted else f"not {wanted}"
