"""The headers of data pages: what they say, and that it can be true."""

from __future__ import annotations

from dataclasses import dataclass

from sealift.errors import IntegrityError
from sealift.formats import thrift
from sealift.formats.parquet.chains import PageBytes
from sealift.formats.parquet.metadata import DATA_PAGE, DATA_PAGE_V2, MAX_PAGE_VALUES, PLAIN, RLE, V1, V2, Page

HEAD_BYTES = 256
MAX_HEAD_BYTES = 16 << 20
MAX_HEADER_VALUES = 1000
MAX_DEPTH = 3
"""Of what is decoded the fast way: page, data page, statistics."""


@dataclass(frozen=True, slots=True)
class Head:
    """What a page's header says, and where the page's bytes lie: `start` up to `end`."""

    values: int
    start: int
    end: int
    version: int
    repetition_bytes: int
    definition_bytes: int


def read_head(source: PageBytes, position: int, end: int) -> Head:
    """The head of the page whose header begins at `position`; all of the page lies before `end`.

    Raises:
        IntegrityError: there is no header, or one of a page that is not plain, or that does not fit.
    """
    header, start = read_header(source, position, end)
    return _checked(header, start, end)


def read_header(source: PageBytes, position: int, end: int) -> tuple[thrift.Struct, int]:
    """The header of a page of any kind, as it stands there, and where it ends.

    Raises:
        IntegrityError: there is none.
    """
    length = HEAD_BYTES
    while True:
        data = bytes(source.range(position, min(length, end - position)))
        try:
            header, used = _few_numbers(data) or thrift.decode(data, max_values=MAX_HEADER_VALUES)
            return header, position + used
        except thrift.Unended as error:
            if len(data) < length or length >= MAX_HEAD_BYTES:
                raise IntegrityError(error.message) from error
            length *= 16


def _few_numbers(data: bytes) -> tuple[thrift.Struct, int] | None:
    """The header if it is one like ours or pyarrow's, of numbers alone: much faster than what decodes anything."""
    try:
        return _numbers(data, 0, MAX_DEPTH)
    except IndexError:
        return None


def _numbers(data: bytes, position: int, depth: int) -> tuple[thrift.Struct, int] | None:
    fields: thrift.Struct = {}
    number = 0
    while head := data[position]:
        position += 1
        if head < 16:
            return None
        number += head >> 4
        kind = head & 15
        if kind == thrift.I32:
            shift = value = 0
            while (byte := data[position]) > 127:
                value |= (byte & 127) << shift
                shift += 7
                position += 1
                if shift > 28:  # a number of 5 bytes at most
                    return None
            value |= byte << shift
            position += 1
            if value >> 32:
                return None
            fields[number] = (kind, (value >> 1) ^ -(value & 1))
        elif kind == thrift.STRUCT and depth:
            found = _numbers(data, position, depth - 1)
            if found is None:
                return None
            fields[number] = (kind, found[0])
            position = found[1]
        elif kind in (thrift.TRUE, thrift.FALSE):
            fields[number] = (thrift.BOOL, kind == thrift.TRUE)
        else:
            return None
    return fields, position + 1


def _checked(header: thrift.Struct, start: int, end: int) -> Head:
    kind = thrift.get(header, Page.TYPE, thrift.I32)
    if kind not in (DATA_PAGE, DATA_PAGE_V2):
        raise IntegrityError(f"a page of type {kind} where only data pages can be")
    size = thrift.get(header, Page.STORED, thrift.I32)
    if size < 0 or start + size > end or size != thrift.get(header, Page.BYTES, thrift.I32):
        raise IntegrityError(f"a page of {size} bytes at {start} does not fit")
    head = _first(header, start, size) if kind == DATA_PAGE else _second(header, start, size)
    if not 0 <= head.values <= MAX_PAGE_VALUES or min(head.repetition_bytes, head.definition_bytes) < 0:
        raise IntegrityError(f"a page of {head.values} values")
    return head


def _first(header: thrift.Struct, start: int, size: int) -> Head:
    data = thrift.get(header, Page.V1, thrift.STRUCT)
    encodings = [thrift.get(data, field, thrift.I32) for field in (V1.ENCODING, V1.DEFINITION, V1.REPETITION)]
    if encodings != [PLAIN, RLE, RLE]:
        raise IntegrityError(f"a page with encodings {encodings} is not plain")
    return Head(thrift.get(data, V1.VALUES, thrift.I32), start, start + size, 1, 0, 0)


def _second(header: thrift.Struct, start: int, size: int) -> Head:
    data = thrift.get(header, Page.V2, thrift.STRUCT)
    if (encoding := thrift.get(data, V2.ENCODING, thrift.I32)) != PLAIN:
        raise IntegrityError(f"a page with encoding {encoding} is not plain")
    return Head(
        values=thrift.get(data, V2.VALUES, thrift.I32),
        start=start,
        end=start + size,
        version=2,
        repetition_bytes=thrift.get(data, V2.REPETITION_BYTES, thrift.I32),
        definition_bytes=thrift.get(data, V2.DEFINITION_BYTES, thrift.I32),
    )
