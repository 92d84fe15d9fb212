"""Bodies of the Xet protocol made by hand, right ones and wrong ones."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from sealift.localhub.cas import hashes

STORED, LZ4, GROUPED = range(3)
TAG = b"HFRepoMetaData" + bytes.fromhex("00556967456a7b815783a5bdd95ccdd14aa9")
END = b"\xff" * 32 + bytes(16)


def chunk(content: bytes, scheme: int = STORED, size: int | None = None) -> bytes:
    """One chunk of a xorb; `size` is what its header says that it has."""
    grouped = b"".join(content[at::4] for at in range(4)) if scheme == GROUPED else content
    packed = grouped if scheme == STORED else pa.compress(grouped, codec="lz4", asbytes=True)
    said = len(content) if size is None else size
    return struct.pack("<II", len(packed) << 8, scheme | said << 8) + packed


@dataclass(frozen=True)
class Xorb:
    """A xorb of these chunks."""

    contents: Sequence[bytes]
    scheme: int = STORED

    @property
    def body(self) -> bytes:
        return b"".join(chunk(content, self.scheme) for content in self.contents)

    @property
    def hash(self) -> bytes:
        return aggregate(self.contents).root()

    @property
    def name(self) -> str:
        return hashes.text(self.hash)

    @property
    def path(self) -> str:
        return f"/cas/v1/xorbs/default/{self.name}"


@dataclass(frozen=True)
class File:
    """A file of runs of chunks of xorbs: what a shard says of it, unless it is told to say something else."""

    runs: Sequence[tuple[Xorb, int, int]]
    said: dict[str, bytes] = field(default_factory=dict)
    """Instead of the right `hash`, `sha256` (its 32 bytes as in hexadecimal) or `proof` of each run."""
    sizes: int = 0
    """Added to the size of each run."""

    @property
    def content(self) -> bytes:
        return b"".join(piece for xorb, first, last in self.runs for piece in xorb.contents[first:last])

    @property
    def name(self) -> str:
        return hashes.text(self.hash)

    @property
    def hash(self) -> bytes:
        pieces = [piece for xorb, first, last in self.runs for piece in xorb.contents[first:last]]
        return self.said.get("hash", aggregate(pieces).file_hash())

    @property
    def records(self) -> bytes:
        sha256 = self.said.get("sha256", hashlib.sha256(self.content).digest())
        parts = [struct.pack("<32sIIQ", self.hash, 3 << 30, len(self.runs), 0)]
        for xorb, first, last in self.runs:
            size = sum(map(len, xorb.contents[first:last])) + self.sizes
            parts.append(struct.pack("<32s4I", xorb.hash, 0, size, first, last))
        for xorb, first, last in self.runs:
            run = b"".join(map(hashes.chunk_hash, xorb.contents[first:last]))
            parts.append(self.said.get("proof", hashes.range_hash(run)) + bytes(16))
        parts.append(hashes.parse(sha256.hex()) + bytes(16))
        return b"".join(parts)


def aggregate(contents: Sequence[bytes]) -> hashes.Tree:
    """The tree over these chunks."""
    tree = hashes.Tree()
    for content in contents:
        tree.add(hashes.chunk_hash(content), len(content))
    return tree


def shard(*files: File, version: int = 2) -> bytes:
    """A shard with these files and no list of chunks, without a footer as clients send it."""
    header = struct.pack("<32sQQ", TAG, version, 0)
    return header + b"".join(file.records for file in files) + END + END
