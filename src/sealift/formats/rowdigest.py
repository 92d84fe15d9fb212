"""What rows say, as digests: the same for the same values, in whatever batches and layout they came."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import blake3
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sealift.formats.rowfile import REFERENCE, VERSION

Bytes = npt.NDArray[np.uint8]


class RowDigest:
    """BLAKE3 digests of rows, column by column, grown batch by batch. Memory: a hasher for each stream of values.

    A column is taken apart into streams (which cells are there, lengths, values), so that neither the cuts between
    batches nor the bytes under a null take part. Versions of entries are kept apart from what the rows say.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self._types = {field.name: str(field.type) for field in schema}
        self._columns: dict[str, dict[str, Any]] = {name: {} for name in schema.names}
        self._versions: dict[str, Any] = {}

    def add(self, rows: pa.RecordBatch) -> None:
        """Take the next rows."""
        for field, array in zip(rows.schema, rows.columns, strict=True):
            held = _references_in(field.type)
            for stream, data in _streams(field.name, array):
                apart = held and stream.startswith(f"{held.format(field.name)}.{VERSION}")
                hashers = self._versions if apart else self._columns[field.name]
                hashers.setdefault(stream, blake3.blake3()).update(data)

    def columns(self) -> dict[str, str]:
        """The digest of each column, versions of entries left out."""
        return {name: _joined(self._types[name], hashers) for name, hashers in self._columns.items()}

    def versions(self) -> str:
        """The digest of the entries' versions alone."""
        return _joined("versions", self._versions)


def _references_in(kind: pa.DataType) -> str:
    """Where the references of a media column lie in its streams' names; '' for a light column."""
    if kind.equals(REFERENCE):
        return "{}"
    return "{}[]" if pa.types.is_list(kind) and kind.value_type.equals(REFERENCE) else ""


def _joined(head: str, hashers: dict[str, Any]) -> str:
    whole = blake3.blake3(head.encode())
    for stream, hasher in sorted(hashers.items()):
        whole.update(f"\n{stream} {hasher.hexdigest()}".encode())
    return str(whole.hexdigest())


def _streams(name: str, array: pa.Array) -> Iterator[tuple[str, Bytes]]:
    """The streams of a column and what this array adds to each."""
    yield f"{name}?", _bytes(array.is_valid())
    kind = array.type
    if pa.types.is_struct(kind):
        for field, child in zip(kind, array.flatten(), strict=True):
            yield from _streams(f"{name}.{field.name}", child)
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        yield f"{name}#", _bytes(pc.fill_null(pc.list_value_length(array), 0).cast(pa.int64()))
        yield from _streams(f"{name}[]", array.flatten())
    elif len(present := array.drop_null()):
        yield from _values(name, present)


def _values(name: str, array: pa.Array) -> Iterator[tuple[str, Bytes]]:
    """The bytes of values without nulls; of text also their lengths."""
    kind, start, end = array.type, array.offset, array.offset + len(array)
    if pa.types.is_boolean(kind):
        yield f"{name}=", _bytes(array)
    elif (offset_type := _offset_type(kind)) is not None:
        offsets = np.frombuffer(array.buffers()[1], offset_type)[start : end + 1]
        yield f"{name}#", np.diff(offsets).astype(np.int64).view(np.uint8)
        if offsets[-1] > offsets[0]:
            yield f"{name}=", np.frombuffer(array.buffers()[2], np.uint8)[offsets[0] : offsets[-1]]
    else:
        width = kind.bit_width // 8
        yield f"{name}=", np.frombuffer(array.buffers()[1], np.uint8)[start * width : end * width]


def _bytes(array: pa.Array) -> Bytes:
    return np.asarray(array.to_numpy(zero_copy_only=False).view(np.uint8), np.uint8)


def _offset_type(kind: pa.DataType) -> Any:
    """The type of the offsets of text or bytes; None for any other type."""
    types = pa.types
    if types.is_string(kind) or types.is_binary(kind):
        return np.int32
    return np.int64 if types.is_large_string(kind) or types.is_large_binary(kind) else None
