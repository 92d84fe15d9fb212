"""The pages of a media leaf: cut and headed from sizes alone, before a byte of media is read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sealift.errors import SampleError
from sealift.formats import thrift
from sealift.formats.parquet import levels
from sealift.formats.parquet.metadata import DATA_PAGE, MAX_PAGE, MAX_PAGE_VALUES, PLAIN, RLE, V1, Page
from sealift.formats.parquet.storage import Int64, References

PAGE_BYTES = 1 << 20
FULL_ENOUGH = 4
"""A page may end once it is a quarter full; `CUT_BY_CONTENT` says the same in bytes."""
MAX_PAGE_ROWS = 20_000
"""As parquet-cpp cuts them: nulls cost no bytes, but the page index should still find a page small."""


@dataclass(frozen=True, slots=True)
class MediaPage:
    """A page to be: `head` is header and levels; cells `first_cell` up to `end_cell` follow, each behind its length."""

    head: bytes
    first_row: int
    first_cell: int
    end_cell: int
    size: int


def cut(media: References, page_bytes: int) -> list[MediaPage]:
    """The pages of a row group's column: whole rows, as the page index wants, and `page_bytes` at most but for one row.

    They are cut by content, so that an edit changes few of them (docs/decisions/0014).

    Raises:
        SampleError: one row's cells do not fit a page: 2 GiB, 4 million cells.
    """
    ends = np.concatenate(([0], np.cumsum(media.row_weight)))
    return [_page(media, first, end) for first, end in _ranges(ends, page_bytes)]


def _ranges(ends: Int64, page_bytes: int) -> Iterator[tuple[int, int]]:
    """Where pages begin and end: after the row with the least mark among those that leave it full enough.

    So a page ends where its files say, not where those before it do: pages behind an inserted row are what they were.
    """
    marks = _marks(np.diff(ends))
    first, rows = 0, len(ends) - 1
    while first < rows:
        fits = int(np.searchsorted(ends, ends[first] + page_bytes, side="right")) - 1
        end = min(max(fits, first + 1), first + MAX_PAGE_ROWS, rows)
        if end < rows:
            enough = int(np.searchsorted(ends, ends[first] + page_bytes // FULL_ENOUGH))
            least = min(max(enough, first + 1), end)
            end -= int(np.argmin(marks[least - 1 : end][::-1]))
        yield first, end
        first = end


def _marks(weights: Int64) -> npt.NDArray[np.uint64]:
    """A number for each row that follows from the sizes of its files and of those before it, and from nothing else.

    Where all files have one size all have one mark, and pages are as full as they may be.
    """
    before = np.concatenate((weights[:1], weights[:-1]))
    mixed = weights.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed ^= before.astype(np.uint64) * np.uint64(0xC2B2AE3D27D4EB4F)
    mixed ^= mixed >> np.uint64(29)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    return np.asarray(mixed ^ mixed >> np.uint64(32), np.uint64)


def _page(media: References, first: int, end: int) -> MediaPage:
    slots = slice(int(media.slot_start[first]), int(media.slot_start[end]))
    cells = slice(int(media.cell_start[first]), int(media.cell_start[end]))
    cell_bytes = int(media.sizes[cells].sum()) + 4 * (cells.stop - cells.start)
    packed = b"" if media.repetition is None else _sized(levels.encode(media.repetition[slots], 1))
    packed += _sized(levels.encode(media.definition[slots], media.column.max_definition_level))
    body = len(packed) + cell_bytes
    if body > MAX_PAGE or slots.stop - slots.start > MAX_PAGE_VALUES:
        raise SampleError(
            f"row {first} of the row group: {cells.stop - cells.start} cells of {cell_bytes} bytes in "
            f"{media.column.name!r}; a page takes {MAX_PAGE_VALUES} cells and {MAX_PAGE} bytes",
            hint="leave the row out, or split its files over several rows",
            column=media.column.name,
        )
    head = _header(slots.stop - slots.start, body) + packed
    return MediaPage(head, first, cells.start, cells.stop, len(head) + cell_bytes)


def _sized(data: bytes) -> bytes:
    return len(data).to_bytes(4, "little") + data


def _header(values: int, body: int) -> bytes:
    data: thrift.Struct = {
        V1.VALUES: (thrift.I32, values),
        V1.ENCODING: (thrift.I32, PLAIN),
        V1.DEFINITION: (thrift.I32, RLE),
        V1.REPETITION: (thrift.I32, RLE),
    }
    return thrift.encode(
        {
            Page.TYPE: (thrift.I32, DATA_PAGE),
            Page.BYTES: (thrift.I32, body),
            Page.STORED: (thrift.I32, body),
            Page.V1: (thrift.STRUCT, data),
        }
    )


def cell_offsets(media: References, pages: list[MediaPage], start: int) -> Int64:
    """The file offset of every present cell's first byte, when the first page begins at `start`."""
    ends = np.cumsum(media.sizes + 4)
    relative = ends - media.sizes
    page_starts = start + np.cumsum([0, *(page.size for page in pages[:-1])])
    heads = np.array([len(page.head) for page in pages], np.int64)
    first_cells = np.array([page.first_cell for page in pages], np.int64)
    counts = np.array([page.end_cell for page in pages], np.int64) - first_cells
    before = np.concatenate(([0], ends))[first_cells]
    return np.asarray(relative + np.repeat(page_starts + heads - before, counts), np.int64)
