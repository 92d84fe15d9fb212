"""How a file is put together, as a client wants to hear it: terms in the file's order, and where their bytes are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sealift.localhub.cas import hashes
from sealift.localhub.cas.shard import Segment
from sealift.localhub.cas.xorb import Index


def reconstruction(
    cover: Sequence[Segment], start: int, index: Callable[[bytes], Index], address: Callable[[bytes], str]
) -> dict[str, Any]:
    """The answer for the bytes of a file from `start` on that these whole chunks have."""
    return {
        "offset_into_first_range": start - cover[0].start if cover else 0,
        "terms": [
            {
                "hash": hashes.text(segment.xorb),
                "unpacked_length": segment.size,
                "range": {"start": segment.first, "end": segment.last},
            }
            for segment in cover
        ],
        "fetch_info": {
            hashes.text(xorb): [_fetch(index(xorb), first, last, address(xorb)) for first, last in merged(ranges)]
            for xorb, ranges in _by_xorb(cover).items()
        },
    }


def merged(ranges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same chunks in ranges that neither overlap nor touch: a client panics on those that overlap."""
    result: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if result and first <= result[-1][1]:
            result[-1] = (result[-1][0], max(last, result[-1][1]))
        else:
            result.append((first, last))
    return result


def _by_xorb(cover: Sequence[Segment]) -> dict[bytes, list[tuple[int, int]]]:
    ranges: dict[bytes, list[tuple[int, int]]] = {}
    for segment in cover:
        ranges.setdefault(segment.xorb, []).append((segment.first, segment.last))
    return ranges


def _fetch(index: Index, first: int, last: int, address: str) -> dict[str, Any]:
    """Ranges of chunks end before their end, ranges of bytes with it, as in HTTP."""
    return {
        "range": {"start": first, "end": last},
        "url": address,
        "url_range": {"start": int(index.packed[first]), "end": int(index.packed[last]) - 1},
    }
