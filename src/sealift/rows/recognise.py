"""Recognise: which layout a tree of files has, from its listing and the tables in it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from sealift.rows import bids, engine, folder, metadata, pathtables
from sealift.rows.layout import OpenTable, Recognised, first_that_fits, look

LAYOUTS = (bids.layout, metadata.layout, pathtables.layout, folder.layout)
"""From the one that says most of itself to the one that any tree of media files fits."""


def recognise(
    listing: Path,
    open_table: OpenTable,
    types: Mapping[str, str],
    work: Path | None = None,
    memory: int = engine.ENOUGH,
) -> Recognised:
    """The layout of the source whose listing (Parquet) this is: BIDS, metadata tables, a table of paths, or folders.

    `types` maps extensions to media types; tables are read through `open_table`. Bounded by `memory` bytes, and the
    same for the same source. Without a layout the reasons say why each was refused.

    Raises:
        TableError: a metadata table cannot be read.
    """
    with look(listing, bids.COLUMNS, open_table, types, work, memory) as tree:
        return first_that_fits(tree, LAYOUTS)
