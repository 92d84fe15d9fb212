"""Documents: PDF; decoded with pypdf."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager

from sealift.media.kind import Buffer, Ends, MediaType, flag, vendor
from sealift.media.sniff import mismatch


def inspect(ends: Ends) -> str | None:
    """Why the file is not a whole PDF, or None."""
    if b"%PDF-" not in ends.head[:1024]:
        return mismatch(ends.head, "PDF")
    return None if b"%%EOF" in ends.tail else "no end of the document near the end (truncated, or bytes appended)"


def glance(head: Buffer, tail: Buffer, _size: int) -> bool:
    """Whether the file starts and ends exactly as a PDF does."""
    return head[:5] == b"%PDF-" and b"%%EOF" in bytes(tail[-16:])


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep pypdf from telling stderr about every repair."""
    logger = logging.getLogger("pypdf")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def decode(data: bytes) -> str:
    """Decode the content of every page and say what it was."""
    pypdf = vendor("pypdf", "pdf")
    with _quiet(), pypdf.PdfReader(io.BytesIO(data)) as document:
        pages = len(document.pages)
        if not pages:
            raise ValueError("it has no pages")
        for page in document.pages:
            content = page.get_contents()
            if content is not None:
                content.get_data()
        version = re.search(rb"%PDF-(\d+\.\d+)", data[:1024])
        return f"PDF{' ' + version[1].decode() if version else ''}, {pages} page{'s' * (pages != 1)}"


PDF = MediaType(
    name="pdf",
    extensions=(".pdf",),
    boxed=True,
    feature_type="Pdf",
    inspect=inspect,
    decode=decode,
    options={"decode": flag(True)},
    glance=glance,
)
