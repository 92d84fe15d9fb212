"""A row group's skeleton: pyarrow writes it in memory as a file of its own, media bytes left out, to be taken apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sealift.formats import thrift
from sealift.formats.parquet.metadata import MAGIC, PLAIN, RLE, UNCOMPRESSED, ZSTD, Chunk, File, Group, Meta

LIGHT_PAGE_BYTES = 1 << 20
FLOATS = ("FLOAT", "DOUBLE")


@dataclass(frozen=True)
class Part:
    """One column chunk of a skeleton: its metadata and page index (to be shifted), and where its bytes lie."""

    leaf: str
    fields: thrift.Struct
    start: int
    end: int
    offset_index: thrift.Struct
    column_index: bytes

    @property
    def meta(self) -> thrift.Struct:
        """The chunk's ColumnMetaData."""
        return dict(thrift.get(self.fields, Chunk.META, thrift.STRUCT))


@dataclass(frozen=True)
class Skeleton:
    """A row group as pyarrow wrote it: the whole file's bytes, the row group's metadata and its chunks in order."""

    data: memoryview
    group: thrift.Struct
    parts: tuple[Part, ...]


def blank(schema: pa.Schema) -> bytes:
    """A file of the schema without a row group, as pyarrow writes it."""
    out = pa.BufferOutputStream()
    pq.ParquetWriter(out, schema, write_page_index=True).close()
    return bytes(out.getvalue())


def footer(data: bytes | memoryview) -> thrift.Struct:
    """The FileMetaData of a file that pyarrow has just written in memory."""
    if bytes(data[-4:]) != MAGIC:
        raise RuntimeError("pyarrow wrote a file without its magic at the end")
    length = int.from_bytes(data[-8:-4], "little")
    struct, _ = thrift.decode(data, len(data) - 8 - length)
    return struct


def leaves(file: bytes) -> dict[str, str]:
    """The physical types of the leaf columns by their paths, in order, as the writer's options want them."""
    schema = pq.ParquetFile(pa.BufferReader(file)).schema
    columns = [schema.column(index) for index in range(len(schema))]
    return {column.path: column.physical_type for column in columns}


def options(leaves: Mapping[str, str], media: frozenset[str]) -> dict[str, Any]:
    """What pyarrow is asked to do with each leaf. It ignores unknown names, so `write` checks what came out.

    Floats get no dictionary: as a rule each is another, and then the dictionary is built, given up, and stays in the
    file (20 columns of them: 15 % larger and twice the time to encode).
    """
    light = [leaf for leaf in leaves if leaf not in media]
    return {
        "compression": dict.fromkeys(light, "zstd") | dict.fromkeys(media, "none"),
        "use_dictionary": [leaf for leaf in light if leaves[leaf] not in FLOATS] or False,
        "write_statistics": light or False,
        "data_page_size": LIGHT_PAGE_BYTES,
        "data_page_version": "1.0",
        "version": "2.6",
        "write_page_index": True,
        "store_schema": False,
    }


def write(rows: pa.RecordBatch, media: frozenset[str], chosen: dict[str, Any]) -> Skeleton:
    """The rows as one row group: the media leaves plain and uncompressed, every other compressed by zstd.

    Memory: the light columns twice, encoded and compressed.

    Raises:
        RuntimeError: pyarrow did not do as asked, which would be a change in its behaviour.
    """
    out = pa.BufferOutputStream()
    with pq.ParquetWriter(out, rows.schema, **chosen) as writer:
        writer.write_batch(rows, row_group_size=rows.num_rows)
    data = memoryview(out.getvalue()).cast("B")
    groups = thrift.get_list(footer(data), File.GROUPS, thrift.STRUCT)
    if len(groups) != 1:
        raise RuntimeError(f"pyarrow wrote {len(groups)} row groups for one batch of {rows.num_rows} rows")
    parts = tuple(_part(data, fields) for fields in thrift.get_list(groups[0], Group.CHUNKS, thrift.STRUCT))
    for part in parts:
        _check(part, part.leaf in media)
    if missing := media.difference(part.leaf for part in parts):
        raise RuntimeError(f"the file has no leaves {sorted(missing)}")
    return Skeleton(data, groups[0], parts)


def _part(data: memoryview, fields: thrift.Struct) -> Part:
    meta = thrift.get(fields, Chunk.META, thrift.STRUCT)
    start = int(thrift.get(meta, Meta.DICTIONARY, thrift.I64, thrift.get(meta, Meta.DATA, thrift.I64)))
    offset_index, _ = thrift.decode(data, thrift.get(fields, Chunk.OFFSET_INDEX, thrift.I64))
    index = thrift.get(fields, Chunk.COLUMN_INDEX, thrift.I64, 0)
    index_end = index + thrift.get(fields, Chunk.COLUMN_INDEX_LENGTH, thrift.I32, 0)
    return Part(
        leaf=b".".join(thrift.get_list(meta, Meta.PATH, thrift.BINARY)).decode(),
        fields=fields,
        start=start,
        end=start + thrift.get(meta, Meta.STORED, thrift.I64),
        offset_index=offset_index,
        column_index=bytes(data[index:index_end]),
    )


def _check(part: Part, media: bool) -> None:
    codec = thrift.get(part.meta, Meta.CODEC, thrift.I32)
    encodings = set(thrift.get_list(part.meta, Meta.ENCODINGS, thrift.I32))
    if media and (codec != UNCOMPRESSED or encodings != {PLAIN, RLE} or part.column_index):
        raise RuntimeError(f"pyarrow wrote media leaf {part.leaf!r} with codec {codec}, encodings {sorted(encodings)}")
    if not media and codec != ZSTD:
        raise RuntimeError(f"pyarrow wrote light leaf {part.leaf!r} with codec {codec}, not zstd")
