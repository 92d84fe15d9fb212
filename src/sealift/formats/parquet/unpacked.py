"""What columns of another's file take in memory once they are unpacked: told by their pages, before that is done."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import pyarrow as pa

from sealift.errors import IntegrityError
from sealift.formats import thrift
from sealift.formats.parquet.chains import Memory, PageBytes, Ranged, Read
from sealift.formats.parquet.footer import Footer, LeafChunk
from sealift.formats.parquet.heads import read_header
from sealift.formats.parquet.metadata import (
    BYTE_ARRAY,
    BYTE_STREAM_SPLIT,
    DATA_PAGE,
    DATA_PAGE_V2,
    DELTA_BINARY_PACKED,
    DELTA_LENGTH_BYTE_ARRAY,
    DICTIONARY_PAGE,
    INDEX_PAGE,
    PLAIN,
    PLAIN_DICTIONARY,
    RLE,
    RLE_DICTIONARY,
    UNCOMPRESSED,
    V1,
    V2,
    Dictionary,
    Page,
)

ENTRY = 24
"""Bytes that an entry of a dictionary takes at most beside its own: it may be empty, and there may be millions."""
SLOT = 16
"""Bytes that a value takes at most beside its own: levels, an offset, a number."""
BY_NUMBER = frozenset({PLAIN_DICTIONARY, RLE_DICTIONARY})
AS_STORED = frozenset({PLAIN, RLE, DELTA_BINARY_PACKED, DELTA_LENGTH_BYTE_ARRAY, BYTE_STREAM_SPLIT})
"""Encodings whose values have no more bytes than their page; DELTA_BYTE_ARRAY, which repeats beginnings, is none."""
CODECS = {1: "snappy", 2: "gzip", 4: "brotli", 6: "zstd", 7: "lz4_raw"}


@dataclass(frozen=True, slots=True)
class _Page:
    kind: int
    start: int
    stored: int
    size: int
    values: int
    encoding: int


def check_unpacked(source: Read | PageBytes, footer: Footer, group: int, columns: Collection[str], most: int) -> None:
    """See that these columns of a row group take no more than `most` bytes of memory.

    A page of a few bytes can say billions: it is compressed, or names one long value of the dictionary again and again.
    Only headers are read, and a dictionary if it might matter. Memory: what a dictionary takes, `most` at most.

    Raises:
        IntegrityError: they take more, or a page is damaged; row group and column are named.
    """
    reads = Ranged(source, footer.size) if callable(source) else source
    left = most
    for chunk in footer.row_groups[group].chunks:
        if not any(name in columns for name in _names(chunk.leaf.path)):
            continue
        try:
            left -= _Chunk(reads, chunk, left).bytes()
        except (IntegrityError, pa.ArrowException, OSError) as error:
            said = error.message if isinstance(error, IntegrityError) else "its dictionary cannot be unpacked"
            raise IntegrityError(
                f"row group {group}, column {chunk.leaf.path!r}: {said}",
                hint="fetch the file again, or pack it again",
                row_group=group,
                column=chunk.leaf.path,
            ) from error


def _names(path: str) -> Iterator[str]:
    """Every column that a leaf may belong to: a name may hold dots itself."""
    steps = path.split(".")
    return (".".join(steps[:count]) for count in range(1, len(steps) + 1))


class _Chunk:
    """The pages of one column chunk, and how many bytes they may come to."""

    def __init__(self, source: PageBytes, chunk: LeafChunk, most: int) -> None:
        self._source = source
        self._chunk = chunk
        self._most = most

    def bytes(self) -> int:
        """What the chunk takes, or more."""
        dictionary: _Page | None = None
        measured = False
        longest = total = values = 0
        for page in self._pages():
            if page.kind == INDEX_PAGE:
                continue
            if page.kind == DICTIONARY_PAGE:
                if dictionary is not None:
                    raise IntegrityError("it has two dictionaries")
                dictionary, longest = page, self._width(page)
                total += page.size + page.values * ENTRY
            else:
                values += page.values
                if dictionary and page.encoding in BY_NUMBER and not measured and total + values * longest > self._most:
                    longest, measured = self._longest(dictionary), True  # once: it takes as long as there are entries
                total += page.size + page.values * (SLOT + (longest if page.encoding in BY_NUMBER else 0))
            if total > self._most:
                raise IntegrityError(f"its pages take {total} bytes or more, unpacked; there is room for {self._most}")
        if values != self._chunk.values:
            raise IntegrityError(f"its pages hold {values} values of {self._chunk.values}")
        return total

    def _pages(self) -> Iterator[_Page]:
        position = self._chunk.start
        while position < self._chunk.end:
            header, start = read_header(self._source, position, self._chunk.end)
            page = _page(header, start)
            position = start + page.stored
            if min(page.stored, page.size, page.values) < 0 or position > self._chunk.end:
                raise IntegrityError(f"a page of {page.stored} bytes at {start} does not fit")
            yield page

    def _width(self, page: _Page) -> int:
        """The bytes of one value of a dictionary, at most."""
        return page.size if self._chunk.leaf.type == BYTE_ARRAY else -(-page.size // max(1, page.values))

    def _longest(self, page: _Page) -> int:
        """The bytes of the longest value of a dictionary, which is unpacked for that."""
        if self._chunk.leaf.type != BYTE_ARRAY:
            return self._width(page)
        data = bytes(self._source.range(page.start, page.stored))
        if self._chunk.codec != UNCOMPRESSED:
            if self._chunk.codec not in CODECS:
                raise IntegrityError(f"it is compressed in a way that is not known ({self._chunk.codec})")
            data = pa.Codec(CODECS[self._chunk.codec]).decompress(data, page.size, asbytes=True)
        lengths = Memory(memoryview(data)).lengths(0, len(data), page.values)
        if len(lengths) != page.values:
            raise IntegrityError("its dictionary ends too early")
        return int(lengths.max(initial=0))


def _page(header: thrift.Struct, start: int) -> _Page:
    kind = thrift.get(header, Page.TYPE, thrift.I32)
    size, stored = (thrift.get(header, field, thrift.I32) for field in (Page.BYTES, Page.STORED))
    if kind == INDEX_PAGE:
        return _Page(kind, start, stored, size, 0, PLAIN)
    if kind == DICTIONARY_PAGE:
        said = thrift.get(header, Page.DICTIONARY, thrift.STRUCT)
        return _Page(kind, start, stored, size, thrift.get(said, Dictionary.VALUES, thrift.I32), PLAIN)
    if kind not in (DATA_PAGE, DATA_PAGE_V2):
        raise IntegrityError(f"a page of type {kind}")
    of_first = kind == DATA_PAGE
    said = thrift.get(header, Page.V1 if of_first else Page.V2, thrift.STRUCT)
    values, encoding = (
        thrift.get(said, field, thrift.I32)
        for field in ((V1.VALUES, V1.ENCODING) if of_first else (V2.VALUES, V2.ENCODING))
    )
    if encoding not in AS_STORED | BY_NUMBER:
        raise IntegrityError(f"a page with encoding {encoding}, whose size nobody can tell")
    return _Page(kind, start, stored, size, values, encoding)
