"""Files of any other kind: kept as they are, never decoded."""

from __future__ import annotations

from sealift.media.kind import Buffer, Ends, MediaType
from sealift.media.sniff import POINTERS


def inspect(_ends: Ends) -> str | None:
    """None: every file that is there is right."""
    return None


def glance(head: Buffer, _tail: Buffer, _size: int) -> bool:
    """Whether the file is surely no pointer."""
    return head[0] not in POINTERS


def decode(data: bytes) -> str:
    """Say how long the file is."""
    return f"{len(data)} bytes"


BINARY = MediaType(
    name="binary",
    extensions=(),
    boxed=False,
    feature_type="Value",
    inspect=inspect,
    decode=decode,
    glance=glance,
)
