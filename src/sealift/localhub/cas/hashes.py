"""The hashes of Xet: of chunks, of xorbs and files as trees over them, and how they are written as text.

The keys, the tree and the notation are those of the published Xet protocol (huggingface.co/docs/xet/hashing). In here a
hash is its 32 bytes; as text it is four 64-bit little-endian numbers, so its bytes stand in another order.
"""

from __future__ import annotations

import re

from blake3 import blake3

from sealift.localhub.cas.refusals import Malformed

_CHUNK_KEY = bytes.fromhex("6697f5775b9550de3135cbaca597181c9de421109beb2b58b4d0b04b93adf229")
_NODE_KEY = bytes.fromhex("017ec5c7a5472996fd946666b48a02e65ddd536f37c76dd2f86352e64a53713f")
_RANGE_KEY = bytes.fromhex("7f1857d6ce56ed66127ff913e7a5c3f3a4cd26d5b5db49e64124987f28fb94c3")
_NO_SALT = bytes(32)
EMPTY = bytes(32)
"""The hash of no chunks at all."""

_TEXT = re.compile(r"[0-9a-f]{64}")
_FEWEST, _MOST = 3, 9
"""Nodes under one node, but for the last of a level."""


def text(raw: bytes) -> str:
    """The 64 hexadecimal digits of a hash. SHA-256 digests come in shards in the same disguise."""
    return _turned(raw).hex()


def parse(written: str) -> bytes:
    """The hash that is written so.

    Raises:
        Malformed: it is not 64 lower-case hexadecimal digits.
    """
    if not _TEXT.fullmatch(written):
        raise Malformed(f"{written[:80]!r} is not a hash: 64 lower-case hexadecimal digits are")
    return _turned(bytes.fromhex(written))


def _turned(raw: bytes) -> bytes:
    """The bytes of each 64-bit number in the other order."""
    return raw[7::-1] + raw[15:7:-1] + raw[23:15:-1] + raw[31:23:-1]


def chunk_hash(content: bytes | memoryview) -> bytes:
    """The hash of one chunk, by its unpacked content."""
    return blake3(content, key=_CHUNK_KEY).digest()


def range_hash(hashes: bytes) -> bytes:
    """What a shard brings to prove a segment: the hash of its chunks' hashes, which lie one after the other."""
    return blake3(hashes, key=_RANGE_KEY).digest()


def asked_for(chunk: bytes) -> bool:
    """Whether clients ask for this chunk wherever in a file it is; they ask for the first of a file in any case."""
    return int.from_bytes(chunk[24:], "little") % 1024 == 0


class Tree:
    """The aggregate over a sequence of chunks, added one by one; memory grows with the logarithm of their number."""

    def __init__(self) -> None:
        self._open: list[list[tuple[bytes, int]]] = []
        self._counts: list[int] = []

    def add(self, chunk: bytes, size: int) -> None:
        """Go on with a chunk: its hash and its unpacked size."""
        self._put(0, chunk, size)

    def root(self) -> bytes:
        """The hash of a xorb of these chunks; nothing can be added afterwards."""
        level = 0
        while level < len(self._open):
            group = self._open[level]
            if self._counts[level] == 1:
                return group[0][0]
            if group:
                self._close(level)
            level += 1
        return EMPTY

    def file_hash(self) -> bytes:
        """The hash of a file of these chunks; nothing can be added afterwards."""
        root = self.root()
        return root if root == EMPTY else blake3(root, key=_NO_SALT).digest()

    def _put(self, level: int, node: bytes, size: int) -> None:
        if level == len(self._open):
            self._open.append([])
            self._counts.append(0)
        group = self._open[level]
        group.append((node, size))
        self._counts[level] += 1
        # A group ends where the hash of a node says so: equal runs of chunks have equal nodes.
        if len(group) == _MOST or (len(group) >= _FEWEST and node[24] % 4 == 0):
            self._close(level)

    def _close(self, level: int) -> None:
        group, self._open[level] = self._open[level], []
        lines = "".join(f"{text(node)} : {size}\n" for node, size in group)
        self._put(level + 1, blake3(lines.encode(), key=_NODE_KEY).digest(), sum(size for _, size in group))
