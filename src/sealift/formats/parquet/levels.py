"""Definition and repetition levels: Parquet's hybrid of run-length and bit-packed runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sealift.errors import IntegrityError
from sealift.formats import thrift

Levels = npt.NDArray[np.uint8]


def width(maximum: int) -> int:
    """The bits that a level of up to `maximum` takes."""
    return maximum.bit_length()


def max_bytes(count: int) -> int:
    """More bytes than any sane writer needs for so many levels: a run of one level each."""
    return 6 * count + 16


def encode(levels: Levels, maximum: int) -> bytes:
    """The levels as one bit-packed run, or as run-length runs where these are shorter."""
    cuts = np.flatnonzero(levels[1:] != levels[:-1]) + 1
    packed = -(-len(levels) // 8) * width(maximum)
    if 3 * (len(cuts) + 1) < packed + 3:
        starts = [0, *cuts.tolist()]
        ends = [*starts[1:], len(levels)]
        return b"".join(
            thrift.varint((end - start) << 1) + bytes([levels[start]]) for start, end in zip(starts, ends, strict=True)
        )
    return thrift.varint(-(-len(levels) // 8) << 1 | 1) + _pack(levels, width(maximum))


def _pack(levels: Levels, bits: int) -> bytes:
    padded = np.zeros(-(-len(levels) // 8) * 8, np.uint8)
    padded[: len(levels)] = levels
    each = (padded[:, None] >> np.arange(bits, dtype=np.uint8)) & 1
    return np.packbits(each.reshape(-1), bitorder="little").tobytes()


def decode(data: bytes | memoryview, count: int, maximum: int) -> Levels:
    """The first `count` levels in the bytes.

    Raises:
        IntegrityError: the bytes end too early, a run is empty, or a level exceeds the maximum.
    """
    out = np.empty(count, np.uint8)
    done = position = 0
    while done < count:
        header, position = _varint(data, position)
        if header & 1:
            run: Any = _unpack(data, position, header >> 1, width(maximum), count - done)
            length, used = len(run), (header >> 1) * width(maximum)
            greatest = int(run.max()) if length else maximum + 1
        else:
            length, used = min(header >> 1, count - done), 1
            greatest = run = data[position] if length and position < len(data) else maximum + 1
        if greatest > maximum or position + used > len(data):
            raise IntegrityError("the levels of a page are damaged")
        out[done : done + length] = run
        done, position = done + length, position + used
    return out


def _unpack(data: bytes | memoryview, position: int, groups: int, bits: int, wanted: int) -> Levels:
    """At most `wanted` levels of a bit-packed run; fewer where the bytes end."""
    stored = np.frombuffer(data[position : position + min(groups, -(-wanted // 8)) * bits], np.uint8)
    each = np.unpackbits(stored[: len(stored) // bits * bits], bitorder="little").reshape(-1, bits)
    levels: Levels = (each << np.arange(bits, dtype=np.uint8)).sum(axis=1, dtype=np.uint8)
    return levels[:wanted]


def _varint(data: bytes | memoryview, position: int) -> tuple[int, int]:
    result = shift = 0
    for byte in data[position : position + 5]:
        position += 1
        result |= (byte & 127) << shift
        if byte < 128:
            return result, position
        shift += 7
    raise IntegrityError("the levels of a page are damaged")
