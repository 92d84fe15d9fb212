"""Bounds on what others' pages unpack to: a few kilobytes that claim, or are, gigabytes are an error and no outage."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sealift.errors import IntegrityError
from sealift.formats import thrift
from sealift.formats.parquet.metadata import Page
from sealift.verify.ahead import Range
from sealift.verify.opened import Opened

MOST_UNPACKED = 512 << 20
"""Bytes of the key columns, or of the index, in one row group; 65,536 records of the longest paths take as much."""
MOST_ROWS = 1_000_000
"""In one row group of a shard: Sealift writes up to 100,000."""
MOST_IN_HEAD = 1000


def check_row_groups(metadata: Any, most_rows: int) -> None:
    """See that each row group has from none to so many rows.

    Raises:
        IntegrityError: one has others.
    """
    for number in range(metadata.num_row_groups):
        if not 0 <= (rows := metadata.row_group(number).num_rows) <= most_rows:
            raise IntegrityError(f"row group {number} has {rows} rows; there can be {most_rows}")


def check_chunks(opened: Opened, places: Iterable[Range], most: int = MOST_UNPACKED) -> None:
    """See that the pages of these column chunks, which are kept in memory, unpack to no more bytes than that.

    Raises:
        IntegrityError: they do not, or are no pages.
    """
    left = most
    for start, end in places:
        left -= unpacked(opened.file.range(start, end - start))
        if left < 0:
            raise IntegrityError(f"pages unpack to more than {most} bytes")


def unpacked(chunk: bytes) -> int:
    """The bytes that the pages of a column chunk say they unpack to.

    Raises:
        IntegrityError: they do not lie one behind the other.
    """
    total = at = 0
    while at < len(chunk):
        header, at = thrift.decode(chunk, at, max_values=MOST_IN_HEAD)
        size, stored = (thrift.get(header, field, thrift.I32) for field in (Page.BYTES, Page.STORED))
        if min(size, stored) < 0 or stored > len(chunk) - at:
            raise IntegrityError(f"a page of {stored} bytes does not fit")
        total += size
        at += stored
    return total
