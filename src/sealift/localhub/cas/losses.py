"""What a store loses: files that nobody names, xorbs that no file needs, and bits that turn by themselves."""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import IO

import numpy as np

from sealift.localhub.cas import shard
from sealift.localhub.cas.database import Database
from sealift.localhub.cas.xorb import Index, packed_plainly
from sealift.localhub.cas.xorbs import Xorbs
from sealift.localhub.gate import Gate

SPOILS = "sealift.localhub.spoils"
"""The key of an ASGI scope with a function that chooses bits to turn in what a request brings, by its size in bytes."""
Bits = Callable[[int], list[int]]

_FREE = """
SELECT hash, bytes FROM xorbs
WHERE hash NOT IN (SELECT xorb FROM segments) AND hash NOT IN (SELECT hash FROM gone)
"""


class Losses:
    """Takes away from a store what is not needed, or spoils what is."""

    def __init__(self, xorbs: Xorbs, database: Database, gate: Gate) -> None:
        self._xorbs = xorbs
        self._database = database
        self._gate = gate

    def collect(self, named: Container[str], before: float, *, remembers: bool) -> tuple[dict[str, int], int, int]:
        """Drop files whose SHA-256 is not named and xorbs of no file, all of before that time (unix seconds).

        SHA-256 and size of the files that went, and number and packed bytes of the xorbs. With `remembers`, what xorbs
        had in them is still known, and told to clients that ask for a chunk. Whoever calls is alone behind the gate.
        """
        with self._database.writing() as db:
            rows = db.execute("SELECT id, sha256, size FROM files WHERE recorded <= ?", (before,)).fetchall()
            files = [row for row in rows if row[1] not in named]
            for number, _, _ in files:
                db.execute("DELETE FROM segments WHERE file = ?", (number,))
                db.execute("DELETE FROM files WHERE id = ?", (number,))
            free = db.execute(_FREE).fetchall()
        old = [(xorb, size) for xorb, size in free if self._xorbs.came(xorb) <= before]
        for xorb, _ in old:
            self._xorbs.drop(xorb, remembers=remembers)
        return {sha256: size for _, sha256, size in files}, len(old), sum(size for _, size in old)

    def spoil(self, stream: IO[bytes], bits: Bits) -> None:
        """Turn bits of the first file of a shard that has content, where it lies; the bits are chosen for its size."""
        stream.seek(0)
        file = next((one for one in shard.files(stream) if one.size), None)
        if file is None:
            return
        with self._gate.together():
            for bit in bits(file.size):
                self._spoil_bit(file, bit)

    def _spoil_bit(self, file: shard.File, bit: int) -> None:
        """Turn one bit of a file in the xorb that has it, which keeps its name and its hashes."""
        segment = next(one for one in file.segments if bit // 8 < one.start + one.size)
        if not self._xorbs.has(segment.xorb):
            return
        index = self._xorbs.index(segment.xorb)
        at = bit // 8 - segment.start + int(index.unpacked[segment.first])
        chunk = int(np.searchsorted(index.unpacked, at, "right")) - 1
        content = bytearray(b"".join(self._xorbs.read(index, chunk, chunk + 1)))
        content[at - int(index.unpacked[chunk])] ^= 1 << bit % 8
        stored = packed_plainly(content)
        start, end = int(index.packed[chunk]), int(index.packed[chunk + 1])
        packed = index.packed.astype(np.int64)
        packed[chunk + 1 :] += len(stored) - (end - start)
        spoiled = Index(index.hash, index.hashes, packed.astype(np.uint32), index.unpacked)
        whole = b"".join(self._xorbs.packed(index.hash, 0, int(index.packed[-1])))
        self._xorbs.replace(spoiled, whole[:start] + stored + whole[end:])
