"""Bounds on what of others' files is held in memory: a few kilobytes that claim, or are, gigabytes are no outage."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sealift.errors import IntegrityError
from sealift.verify.ahead import Range

MOST_UNPACKED = 512 << 20
"""Bytes of the key columns, or of the index, in one row group; 65,536 records of the longest paths take as much."""
MOST_ROWS = 1_000_000
"""In one row group of a shard: Sealift writes up to 100,000."""


def check_row_groups(metadata: Any, most_rows: int) -> None:
    """See that each row group has from none to so many rows.

    Raises:
        IntegrityError: one has others.
    """
    for number in range(metadata.num_row_groups):
        if not 0 <= (rows := metadata.row_group(number).num_rows) <= most_rows:
            raise IntegrityError(f"row group {number} has {rows} rows; there can be {most_rows}")


def check_stored(places: Iterable[Range], most: int = MOST_UNPACKED) -> None:
    """See that these column chunks, which are going to be kept, have no more bytes than they may unpack to.

    Raises:
        IntegrityError: they have more.
    """
    if (stored := sum(end - start for start, end in places)) > most:
        raise IntegrityError(f"columns of {stored} bytes in one row group; there is room for {most}")
