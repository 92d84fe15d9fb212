"""One shard as a Parquet file: how it is written, how large it can get, and where its media lie."""

from __future__ import annotations

from sealift.formats.parquet.bounds import fixed_bytes, light_bytes, longest_values, row_group_bytes, value_bytes
from sealift.formats.parquet.chains import PageBytes, Read
from sealift.formats.parquet.footer import Footer, read_footer
from sealift.formats.parquet.mapped import MappedShard
from sealift.formats.parquet.metadata import MAX_PAGE, MAX_ROW_GROUPS
from sealift.formats.parquet.outlet import Cells
from sealift.formats.parquet.pages import PAGE_BYTES
from sealift.formats.parquet.reader import CellPage, cells
from sealift.formats.parquet.storage import REFERENCE, reference_type, storage_schema, storage_type
from sealift.formats.parquet.unpacked import check_unpacked
from sealift.formats.parquet.writer import SLICE_BYTES, ShardWriter

__all__ = [
    "MAX_PAGE",
    "MAX_ROW_GROUPS",
    "PAGE_BYTES",
    "REFERENCE",
    "SLICE_BYTES",
    "CellPage",
    "Cells",
    "Footer",
    "MappedShard",
    "PageBytes",
    "Read",
    "ShardWriter",
    "cells",
    "check_unpacked",
    "fixed_bytes",
    "light_bytes",
    "longest_values",
    "read_footer",
    "reference_type",
    "row_group_bytes",
    "storage_schema",
    "storage_type",
    "value_bytes",
]
