"""The field ids of Parquet's metadata (apache/parquet-format, parquet.thrift) that are read or written here."""

from __future__ import annotations

MAGIC = b"PAR1"
BYTE_ARRAY = 6
UNCOMPRESSED, ZSTD = 0, 6
PLAIN, RLE = 0, 3
PLAIN_DICTIONARY, RLE_DICTIONARY = 2, 8
DELTA_BINARY_PACKED, DELTA_LENGTH_BYTE_ARRAY, BYTE_STREAM_SPLIT = 5, 6, 9
DATA_PAGE, INDEX_PAGE, DICTIONARY_PAGE, DATA_PAGE_V2 = 0, 1, 2, 3
OPTIONAL, REPEATED = 1, 2
MAX_PAGE = 2**31 - 1
"""A page's size is a signed 32-bit integer."""
MAX_PAGE_VALUES = 1 << 22
"""The slots of a page that are written and read here: a page may claim 2 billion nulls in a few bytes."""
CUT_BY_CONTENT = {"content_defined_chunking": '{"min_chunk_size": 262144, "max_chunk_size": 1048576, "norm_level": 0}'}
"""What `datasets` writes into the footer of a file whose pages are cut by content: from and up to how many bytes."""
MAX_ROW_GROUPS = 2**15 - 1
"""A row group's ordinal is a signed 16-bit integer."""


class Element:
    """SchemaElement."""

    TYPE, REPETITION, NAME, CHILDREN = 1, 3, 4, 5


class File:
    """FileMetaData."""

    SCHEMA, ROWS, GROUPS, METADATA = 2, 3, 4, 5


class KeyValue:
    """KeyValue."""

    KEY, VALUE = 1, 2


class Group:
    """RowGroup."""

    CHUNKS, BYTES, ROWS, OFFSET, STORED, ORDINAL = 1, 2, 3, 5, 6, 7


class Chunk:
    """ColumnChunk."""

    OFFSET, META, OFFSET_INDEX, OFFSET_INDEX_LENGTH, COLUMN_INDEX, COLUMN_INDEX_LENGTH = 2, 3, 4, 5, 6, 7


class Meta:
    """ColumnMetaData."""

    TYPE, ENCODINGS, PATH, CODEC, VALUES, BYTES, STORED = 1, 2, 3, 4, 5, 6, 7
    DATA, DICTIONARY, ENCODING_STATS = 9, 11, 13


class Encoding:
    """PageEncodingStats."""

    PAGE, ENCODING, COUNT = 1, 2, 3


class Page:
    """PageHeader."""

    TYPE, BYTES, STORED, V1, DICTIONARY, V2 = 1, 2, 3, 5, 7, 8


class Dictionary:
    """DictionaryPageHeader."""

    VALUES = 1


class V1:
    """DataPageHeader."""

    VALUES, ENCODING, DEFINITION, REPETITION = 1, 2, 3, 4


class V2:
    """DataPageHeaderV2."""

    VALUES, ENCODING, DEFINITION_BYTES, REPETITION_BYTES = 1, 4, 5, 6


class OffsetIndex:
    """OffsetIndex."""

    PAGES = 1


class Location:
    """PageLocation."""

    OFFSET, STORED, ROW = 1, 2, 3
