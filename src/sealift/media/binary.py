"""Files of any other kind: kept as they are, never decoded."""

from __future__ import annotations

from sealift.media.kind import Ends, MediaType


def inspect(_ends: Ends) -> str | None:
    """None: every file that is there is right."""
    return None


def decode(data: bytes) -> str:
    """Say how long the file is."""
    return f"{len(data)} bytes"


BINARY = MediaType(name="binary", extensions=(), boxed=False, feature_type="Value", inspect=inspect, decode=decode)
