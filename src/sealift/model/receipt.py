"""Receipts: the proof of one packed shard, small enough to send anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Finding:
    """What a probe said of files of one column: the reason, how many files, and the first of them."""

    column: str
    reason: str
    count: int
    example: str


@dataclass(frozen=True, slots=True)
class Made:
    """What a shard was made of, and with it: two of the same `identity` have the same bytes.

    `part` is the BLAKE3 of the file that holds the shard's index records until they are published.
    """

    identity: str
    part: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was written: `sha256` and `size` of the file, `digest` over the digests of its media cells in file order.

    `digest` is the BLAKE3 of the cells' BLAKE3 digests, one after another, in the order of the index:
    row group by row group, column by column, row by row. `xet_hash` is the destination's own, where it has one.
    """

    path: str
    config: str
    split: str
    index: int
    rows: int
    size: int
    sha256: str
    cells: int
    media_bytes: int
    digest: str
    xet_hash: str | None = None
    findings: tuple[Finding, ...] = ()
    made: Made | None = field(default=None, compare=False)

    def as_json(self) -> dict[str, Any]:
        """What the manifest says of the shard: what the run alone needs, findings and `made`, is left out."""
        said = asdict(self)
        del said["findings"], said["made"]
        return said

    def as_journal(self) -> dict[str, Any]:
        """All of it, for `from_journal`."""
        return asdict(self)

    @classmethod
    def from_journal(cls, said: Mapping[str, Any]) -> Self:
        """The receipt that `as_journal` said."""
        findings = tuple(Finding(**one) for one in said["findings"])
        made = None if said["made"] is None else Made(**said["made"])
        return cls(**{**said, "findings": findings, "made": made})


INDEX_COLUMNS = ("key", "config", "split", "shard", "row", "column", "element", "path", "size", "offset", "digest")
"""The columns of the published index, one record a media cell, ordered as the cells lie in the shards.

key      the row's key; a composite one joined with '/', '%' and '/' inside a part written %25 and %2F
config, split, shard   the shard's path in the repository and what it belongs to
row      the row's number in the shard, from 0
column   the media column;  element: the place in a list cell, from 0; null for a single cell
path     as the rows name it;  size: bytes
offset   where the cell's bytes start in the shard, in bytes: [offset, offset + size) is the file, exactly
digest   BLAKE3 of those bytes, 32 bytes
"""

REJECT_COLUMNS = ("key", "split", "column", "element", "path", "reason", "action")
"""The columns of the published rejects: what was left out, why (missing, empty, unreadable) and how (row or cell)."""
