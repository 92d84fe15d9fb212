"""Scans: NIfTI-1 and NIfTI-2 in one file, plain or gzipped; decoded with nibabel."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from math import prod
from struct import Struct
from typing import Literal, NamedTuple

from sealift.media.kind import Ends, MediaType, flag, vendor
from sealift.media.sniff import identify, mismatch

Order = Literal["little", "big"]

GZIP = b"\x1f\x8b"
HEADER = 540
"""Bytes of the longer header, NIfTI-2's; NIfTI-1's has 348."""

RATIO = 1032
"""Deflate cannot shrink by more."""

PADDING = 4096
"""Bytes after the voxels that are taken for padding."""

BITS = (1, 8, 16, 24, 32, 64, 96, 128, 256)
UNITS = {"mm": "mm", "meter": "m", "micron": "um", "sec": "s", "msec": "ms", "usec": "us"}
OPEN = "truncated: the gzip stream does not end"
CUT = "truncated: fewer voxels than the header promises"
PAIR = "the header of a .hdr/.img pair, without its voxels"


FIRST, SECOND = 348, 540
"""How long the header of each version says that it is."""

FIELDS: dict[tuple[Order, int], Struct] = {
    ("little", FIRST): Struct("<40x8h16xH34xf"),
    ("big", FIRST): Struct(">40x8h16xH34xf"),
    ("little", SECOND): Struct("<14xH8q88xQ"),
    ("big", SECOND): Struct(">14xH8q88xQ"),
}
"""NIfTI-1: dim, bitpix, vox_offset, a float. NIfTI-2: bitpix, dim, vox_offset."""


class Header(NamedTuple):
    """What the header says of the file's length: bytes before the voxels, extents, bits a voxel."""

    start: int
    extents: tuple[int, ...]
    bits: int

    @property
    def size(self) -> int:
        """Bytes of the file, uncompressed."""
        return self.start + (prod(self.extents) * self.bits + 7) // 8


def inspect(ends: Ends) -> str | None:
    """Why the file is not a whole scan in one file, or None."""
    if ends.head[:2] == GZIP:
        return _compressed(ends)
    header = _read(ends.head)
    if isinstance(header, str):
        return header
    return CUT if header.size > ends.size else None


def _read(head: bytes) -> Header | str:
    """The header at the start of an uncompressed file, or why there is none."""
    order: Order = "big" if head[:3] in (b"\0\0\1", b"\0\0\2") else "little"
    length = int.from_bytes(head[:4], order)
    if length not in (FIRST, SECOND):
        return mismatch(head, "NIfTI")
    if len(head) < length:
        return "truncated: the header is not whole"
    magic = head[344:347] if length == FIRST else head[4:7]
    if magic in (b"ni1", b"ni2"):
        return PAIR
    return _fields(head, order, length) if magic in (b"n+1", b"n+2") else "is Analyze, not NIfTI"


def _fields(head: bytes, order: Order, length: int) -> Header | str:
    numbers = FIELDS[order, length].unpack_from(head)
    if length == FIRST:
        rank, *dims, bits, start = numbers
        start = int(start) if 0 <= start < 1 << 62 else 0  # a float, and no place where negative, huge or NaN
    else:
        bits, rank, *dims, start = numbers
    extents = tuple(dims[:rank])
    if not 1 <= rank <= 7 or min(extents) < 1 or bits not in BITS:
        return "damaged: the header has impossible dimensions"
    return Header(max(start, length), extents, bits)


def _compressed(ends: Ends) -> str | None:
    """See the header inside, then what the end of the file says of the length."""
    whole = ends.size <= len(ends.head)
    head, pieces = b"", _pieces(ends.head)
    try:
        for piece in pieces:
            head += piece
            if len(head) >= HEADER:
                break
    except EOFError:
        if whole:
            return OPEN
    except zlib.error:
        return "damaged: not a gzip stream"
    if len(head) < FIRST and not whole:  # file names and comments fill the view
        return None
    header = _read(head)
    if isinstance(header, str):
        return _inside(head, header)
    return _short(header, len(head), pieces) if whole else _trailer(ends, header)


def _pieces(data: bytes) -> Iterator[bytes]:
    """What a gzip file holds, member by member, at most 64 KiB at a time.

    Raises:
        EOFError: the last member does not end.
        zlib.error: it is not gzip, or damaged.
    """
    while data[:2] == GZIP:
        member = zlib.decompressobj(wbits=31)
        while not member.eof:
            piece = member.decompress(data, 65536)
            data = member.unconsumed_tail
            if not (piece or data or member.eof):
                raise EOFError
            yield piece
        data = member.unused_data


def _inside(head: bytes, reason: str) -> str:
    if not reason.startswith(("is ", "not ", "starts ")) or reason.startswith("is Analyze"):
        return reason
    found = identify(head)
    return f"is gzip of {found}, not of NIfTI" if found and found != "zeros" else "is gzip of something else than NIfTI"


def _trailer(ends: Ends, header: Header) -> str | None:
    """What the last four bytes, the length of the last gzip member mod 2^32, say against the header.

    A file of several members has a small number there, so only one that is too large for any whole file is a
    finding: after a cut the four bytes are chance, and nearly always too large.
    """
    if header.size > RATIO * ends.size:
        return CUT
    last = int.from_bytes(ends.tail[-4:], "little")
    possible = last <= header.size + PADDING or header.size >= 1 << 32
    return None if possible else "truncated: the gzip trailer disagrees with the header"


def _short(header: Header, total: int, rest: Iterator[bytes]) -> str | None:
    """Count what a file that is in view whole unpacks to, with the rest of it: 4 MB at most."""
    try:
        for piece in rest:
            total += len(piece)
    except EOFError:
        return OPEN
    except zlib.error:
        return "damaged: not a gzip stream"
    return CUT if total < header.size else None


def decode(data: bytes) -> str:
    """Decode every voxel of the scan and say what it was."""
    nibabel = vendor("nibabel", "nifti")
    raw = gzip.decompress(data) if data[:2] == GZIP else data
    second = int.from_bytes(raw[:4], "little") == 540 or int.from_bytes(raw[:4], "big") == 540
    image = (nibabel.Nifti2Image if second else nibabel.Nifti1Image).from_bytes(raw)
    voxels = image.dataobj.get_unscaled()
    space, time = image.header.get_xyzt_units()
    zooms = [float(zoom) for zoom in image.header.get_zooms()]
    spacing = f"{' x '.join(f'{zoom:.1f}' for zoom in zooms[:3])} {UNITS.get(space, '')}".rstrip()
    if len(zooms) > 3 and zooms[3]:
        spacing += f", {zooms[3]:.3g} {UNITS.get(time, '')}".rstrip()
    extents = " x ".join(str(extent) for extent in voxels.shape)
    return f"NIfTI-{2 if second else 1}, {extents}, {voxels.dtype.name}, {spacing}"


NIFTI = MediaType(
    name="nifti",
    extensions=(".nii", ".nii.gz"),
    boxed=True,
    feature_type="Nifti",
    inspect=inspect,
    decode=decode,
    options={"decode": flag(True)},
)
