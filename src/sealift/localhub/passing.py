"""A body on its way past a fault: how far it comes, and which of its bits are turned."""

from __future__ import annotations

from sealift.localhub.faults import Met, Share


class Passing:
    """Takes a body piece by piece; nothing comes after `limit`, where `done` is true.

    `size` is what is known of its length. Of a body of unknown length a fraction, and the bits to turn, are those of
    its first piece.
    """

    def __init__(
        self, limit: Share | None = None, size: int | None = None, met: Met | None = None, flips: int = 0
    ) -> None:
        self.done = False
        self._limit = limit
        self._size = size
        self._met = met
        self._flips = flips
        self._at = 0
        self._bits: list[int] | None = None

    def take(self, piece: bytes) -> bytes:
        """What becomes of the next piece."""
        size = self._size if self._size is not None else self._at + len(piece)
        if isinstance(self._limit, float):
            self._limit = int(self._limit * size)
        if self._limit is not None:
            piece = piece[: max(0, self._limit - self._at)]
            self.done = self._at + len(piece) >= self._limit
        start, self._at = self._at, self._at + len(piece)
        return self._turned(piece, start, size) if self._flips and piece else piece

    def _turned(self, piece: bytes, start: int, size: int) -> bytes:
        if self._bits is None and self._met is not None:
            self._bits = self._met.bits(self._flips, size)
        turned = bytearray(piece)
        for bit in self._bits or ():
            if start <= bit // 8 < start + len(piece):
                turned[bit // 8 - start] ^= 1 << bit % 8
        return bytes(turned)
