"""Thrift's compact protocol, for values whose meaning is not known here: what is decoded encodes to the same bytes.

A struct is a dict {field id: (kind, value)} in the order of the bytes, so fields that nobody asked for survive. Values
are int, bool, bytes (also for a double: its 8), a struct, for a list or set (kind of its elements, [values]), for a map
(kind of keys, kind of values, [(key, value)]).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sealift.errors import IntegrityError

TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, MAP, STRUCT, UUID = range(1, 14)
BOOL = TRUE

Field = tuple[int, Any]
Struct = dict[int, Field]
Wanted = Mapping[int, Any]
"""The fields that are wanted of a struct, each with those that are wanted of what is in it (None: all of it)."""

MAX_DEPTH = 32
MAX_VALUES = 2_000_000

_BITS = {I16: 16, I32: 32, I64: 64}
_RAW = {BYTE: 1, DOUBLE: 8, UUID: 16}


class Unended(IntegrityError):
    """The bytes end before the struct does: with more of them it may be one."""


def decode(
    data: bytes | memoryview,
    start: int = 0,
    *,
    wanted: Wanted | None = None,
    max_values: int = MAX_VALUES,
    max_kept: int = MAX_VALUES,
) -> tuple[Struct, int]:
    """The struct that begins at `start`, and where it ends; of its fields only the `wanted` ones, if some are named.

    Time is bounded by `max_values`, memory by `max_kept`, whatever the bytes say: some 100 bytes for each value kept.

    Raises:
        Unended: the bytes end too early.
        IntegrityError: the bytes are no struct, nest too deep or hold more values than that.
    """
    decoder = _Decoder(data, start, max_values, max_values if wanted is None else max_kept)
    return decoder.struct(MAX_DEPTH, wanted), decoder.position


def encode(struct: Struct) -> bytes:
    """The bytes of the struct, its fields in the order of the dict; a struct inside may stand as its bytes."""
    out = bytearray()
    _put_struct(out, struct)
    return bytes(out)


def get(struct: Struct, field: int, kind: int, default: Any = None) -> Any:
    """The value of a field, or the default where it is absent.

    Raises:
        IntegrityError: the field is of another kind, or absent and without default.
    """
    found, value = struct.get(field, (kind, default))
    if found != kind:
        raise IntegrityError(f"thrift field {field} has kind {found}, not {kind}")
    if value is None:
        raise IntegrityError(f"thrift field {field} is missing")
    return value


def get_list(struct: Struct, field: int, kind: int) -> list[Any]:
    """The elements of a list field, all of the kind; none where the field is absent.

    Raises:
        IntegrityError: the field is no list, or its elements are of another kind.
    """
    found, values = get(struct, field, LIST, (kind, []))
    if values and found != kind:
        raise IntegrityError(f"thrift list {field} has elements of kind {found}, not {kind}")
    return list(values)


class _Decoder:
    """Walks the bytes once; every count is checked before anything is made of it."""

    __slots__ = ("data", "kept", "position", "values")

    def __init__(self, data: bytes | memoryview, position: int, values: int, kept: int) -> None:
        self.data = data
        self.position = position
        self.values = values
        self.kept = kept

    def struct(self, depth: int, wanted: Wanted | None) -> Struct:
        fields: Struct = {}
        number = 0
        while header := self.byte():
            kind = header & 15
            number = number + (header >> 4) if header >> 4 else self.integer(16)
            if number in fields or not -32768 <= number <= 32767:
                raise _bad(f"field {number} twice or out of range", self.position)
            self.spend(1)
            if wanted is not None and number not in wanted:
                if kind not in (TRUE, FALSE):
                    self.skip(kind, depth - 1)
                continue
            self.keep(1)
            inner = None if wanted is None else wanted[number]
            value = kind == TRUE if kind in (TRUE, FALSE) else self.value(kind, depth - 1, inner)
            fields[number] = (BOOL if kind == FALSE else kind, value)
        return fields

    def skip(self, kind: int, depth: int) -> None:
        """Pass over a value; nothing is made of it."""
        if kind in _BITS:
            self.integer(_BITS[kind])
        elif kind == BINARY:
            self.over(self.varint())
        elif kind == STRUCT and depth > 0:
            self.struct(depth, {})
        elif kind in (LIST, SET) and depth > 0:
            element, count = self.begin_items()
            for _ in range(count):
                self.skip_element(element, depth)
        elif kind == MAP and depth > 0:
            key, value, count = self.begin_pairs()
            for _ in range(count):
                self.skip_element(key, depth)
                self.skip_element(value, depth)
        else:
            self.value(kind, depth, None)  # of a few bytes, or an error

    def skip_element(self, kind: int, depth: int) -> None:
        self.over(1) if kind in (TRUE, FALSE) else self.skip(kind, depth - 1)

    def value(self, kind: int, depth: int, wanted: Wanted | None) -> Any:
        if kind in _BITS:
            return self.integer(_BITS[kind])
        if kind == BINARY:
            return self.raw(self.varint())
        if depth <= 0:
            raise _bad("nested too deep", self.position)
        if kind == STRUCT:
            return self.struct(depth, wanted)
        if kind in (LIST, SET):
            return self.items(depth, wanted)
        if kind == MAP:
            return self.pairs(depth)
        if kind in _RAW:
            return self.raw(_RAW[kind])
        raise _bad(f"no kind {kind}", self.position)

    def element(self, kind: int, depth: int, wanted: Wanted | None) -> Any:
        return self.byte() == TRUE if kind in (TRUE, FALSE) else self.value(kind, depth - 1, wanted)

    def items(self, depth: int, wanted: Wanted | None) -> tuple[int, list[Any]]:
        kind, count = self.begin_items()
        self.keep(count)
        return kind, [self.element(kind, depth, wanted) for _ in range(count)]

    def begin_items(self) -> tuple[int, int]:
        header = self.byte()
        count = header >> 4 if header >> 4 < 15 else self.varint()
        self.spend(count)
        return header & 15, count

    def pairs(self, depth: int) -> tuple[int, int, list[tuple[Any, Any]]]:
        key, value, count = self.begin_pairs()
        self.keep(count)
        return key, value, [(self.element(key, depth, None), self.element(value, depth, None)) for _ in range(count)]

    def begin_pairs(self) -> tuple[int, int, int]:
        count = self.varint()
        if not count:
            return 0, 0, 0
        self.spend(count)
        kinds = self.byte()
        return kinds >> 4, kinds & 15, count

    def spend(self, count: int) -> None:
        self.values -= count
        if self.values < 0:
            raise _bad(f"{count} values where there cannot be so many", self.position)
        if count > len(self.data) - self.position:
            raise _bad(f"{count} values where there cannot be so many", self.position, Unended)

    def keep(self, count: int) -> None:
        self.kept -= count
        if self.kept < 0:
            raise _bad(f"{count} values more than can be held", self.position)

    def byte(self) -> int:
        try:
            byte = self.data[self.position]
        except IndexError:
            raise _bad("the bytes end too early", self.position, Unended) from None
        self.position += 1
        return byte

    def raw(self, length: int) -> bytes:
        start = self.position
        self.over(length)
        return bytes(self.data[start : self.position])

    def over(self, length: int) -> None:
        if length > len(self.data) - self.position:
            raise _bad("the bytes end too early", self.position, Unended)
        self.position += length

    def varint(self) -> int:
        byte = self.byte()
        if byte < 128:  # as most are
            return byte
        result, shift = byte & 127, 7
        while shift < 70:
            byte = self.byte()
            result |= (byte & 127) << shift
            if byte < 128:
                return result
            shift += 7
        raise _bad("a varint of more than 10 bytes", self.position)

    def integer(self, bits: int) -> int:
        zigzag = self.varint()
        if zigzag >> bits:
            raise _bad(f"an integer of more than {bits} bits", self.position)
        return (zigzag >> 1) ^ -(zigzag & 1)


def _bad(what: str, position: int, kind: type[IntegrityError] = IntegrityError) -> IntegrityError:
    return kind(f"damaged thrift at byte {position}: {what}", hint="fetch the file again, or pack it again")


def varint(number: int) -> bytes:
    """An unsigned number, seven bits a byte, the lowest first."""
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def _zigzag(number: int) -> bytes:
    return varint(number << 1 if number >= 0 else (-number << 1) - 1)


def _put_struct(out: bytearray, struct: Struct) -> None:
    last = 0
    for number, (kind, value) in struct.items():
        written = (TRUE if value else FALSE) if kind == BOOL else kind
        if 0 < number - last < 16:
            out.append((number - last) << 4 | written)
        else:
            out.append(written)
            out += _zigzag(number)
        last = number
        if kind != BOOL:
            _put(out, kind, value)
    out.append(0)


def _put(out: bytearray, kind: int, value: Any) -> None:
    if kind in _BITS:
        out += _zigzag(value)
    elif kind == BINARY:
        out += varint(len(value)) + value
    elif kind == STRUCT and isinstance(value, bytes):
        out += value
    elif kind == STRUCT:
        _put_struct(out, value)
    elif kind in (LIST, SET):
        _put_items(out, *value)
    elif kind == MAP:
        _put_pairs(out, *value)
    elif kind in _RAW:
        out += value
    elif kind in (TRUE, FALSE):
        out.append(TRUE if value else FALSE)
    else:
        raise ValueError(f"no thrift kind {kind}")


def _put_items(out: bytearray, kind: int, values: list[Any]) -> None:
    out += bytes([len(values) << 4 | kind]) if len(values) < 15 else bytes([0xF0 | kind]) + varint(len(values))
    for value in values:
        _put(out, kind, value)


def _put_pairs(out: bytearray, key_kind: int, value_kind: int, pairs: list[tuple[Any, Any]]) -> None:
    out += varint(len(pairs))
    if pairs:
        out.append(key_kind << 4 | value_kind)
    for key, value in pairs:
        _put(out, key_kind, key)
        _put(out, value_kind, value)
