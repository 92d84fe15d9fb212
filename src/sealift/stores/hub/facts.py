"""What the tree of a commit says of each file, kept small: a repository may have 120,000."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from sealift.model.entry import extension
from sealift.ports import LISTING

BATCH = 10_000
# Size; the ids of blob, content and Xet file as bytes, and one byte that says which of the last two there are.
_RECORD = struct.Struct("<qB20s32s32s")
_NONE = bytes(32)


@dataclass(frozen=True, slots=True)
class FileFacts:
    """One file of a commit: `sha256` of files that lie in LFS or Xet, `xet_hash` of those in Xet."""

    size: int
    blob_id: str
    sha256: str | None = None
    xet_hash: str | None = None

    @property
    def version(self) -> str:
        """What changes when the bytes do."""
        return self.sha256 or self.blob_id


class TreeFacts(Mapping[str, FileFacts]):
    """The files of a commit by their paths, in the order of the paths' bytes. Some 250 bytes of memory a file."""

    def __init__(self, entries: Iterable[Mapping[str, Any]]) -> None:
        found = {str(entry["path"]): _packed(entry) for entry in entries if entry["type"] == "file"}
        self._records = dict(sorted(found.items()))

    def __getitem__(self, path: str) -> FileFacts:
        size, which, blob, sha256, xet = _RECORD.unpack(self._records[path])
        return FileFacts(size, blob.hex(), sha256.hex() if which & 1 else None, xet.hex() if which & 2 else None)

    def __iter__(self) -> Iterator[str]:
        return iter(self._records)

    def __len__(self) -> int:
        return len(self._records)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The files as a listing."""
        paths = list(self._records)
        for start in range(0, len(paths), BATCH):
            part = paths[start : start + BATCH]
            facts = [self[path] for path in part]
            columns = [
                part,
                [one.size for one in facts],
                [None] * len(part),
                [one.version for one in facts],
                [True] * len(part),
                [extension(path) for path in part],
            ]
            arrays = [pa.array(values, field.type) for values, field in zip(columns, LISTING, strict=True)]
            yield pa.RecordBatch.from_arrays(arrays, schema=LISTING)


def _packed(entry: Mapping[str, Any]) -> bytes:
    lfs, xet = entry.get("lfs") or {}, entry.get("xetHash")
    sha256 = lfs.get("oid")
    return _RECORD.pack(
        entry["size"],
        (sha256 is not None) | (xet is not None) << 1,
        bytes.fromhex(entry["oid"]),
        bytes.fromhex(sha256) if sha256 else _NONE,
        bytes.fromhex(xet) if xet else _NONE,
    )
