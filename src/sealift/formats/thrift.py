"""Thrift's compact protocol, for values whose meaning is not known here: what is decoded encodes to the same bytes.

A struct is a dict {field id: (kind, value)} in the order of the bytes, so fields that nobody asked for survive. Values
are int, bool, bytes (also for a double: its 8), a struct, for a list or set (kind of its elements, [values]), for a map
(kind of keys, kind of values, [(key, value)]).
"""

from __future__ import annotations

from typing import Any

from sealift.errors import IntegrityError

TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, MAP, STRUCT, UUID = range(1, 14)
BOOL = TRUE

Field = tuple[int, Any]
Struct = dict[int, Field]

MAX_DEPTH = 32
MAX_VALUES = 2_000_000

_BITS = {I16: 16, I32: 32, I64: 64}
_RAW = {BYTE: 1, DOUBLE: 8, UUID: 16}


def decode(data: bytes | memoryview, start: int = 0, *, max_values: int = MAX_VALUES) -> tuple[Struct, int]:
    """The struct that begins at `start`, and where it ends.

    Memory and time are bounded by `max_values`, whatever the bytes say.

    Raises:
        IntegrityError: the bytes are no struct, end too early, nest too deep or hold more values than that.
    """
    decoder = _Decoder(data, start, max_values)
    return decoder.struct(MAX_DEPTH), decoder.position


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

    __slots__ = ("data", "position", "values")

    def __init__(self, data: bytes | memoryview, position: int, values: int) -> None:
        self.data = data
        self.position = position
        self.values = values

    def struct(self, depth: int) -> Struct:
        fields: Struct = {}
        number = 0
        while header := self.byte():
            kind = header & 15
            number = number + (header >> 4) if header >> 4 else self.integer(16)
            if number in fields or not -32768 <= number <= 32767:
                raise _bad(f"field {number} twice or out of range", self.position)
            self.spend(1)
            fields[number] = (BOOL, kind == TRUE) if kind in (TRUE, FALSE) else (kind, self.value(kind, depth - 1))
        return fields

    def value(self, kind: int, depth: int) -> Any:
        if kind in _BITS:
            return self.integer(_BITS[kind])
        if kind == BINARY:
            return self.raw(self.varint())
        if depth <= 0:
            raise _bad("nested too deep", self.position)
        if kind == STRUCT:
            return self.struct(depth)
        if kind in (LIST, SET):
            return self.items(depth)
        if kind == MAP:
            return self.pairs(depth)
        if kind in _RAW:
            return self.raw(_RAW[kind])
        raise _bad(f"no kind {kind}", self.position)

    def element(self, kind: int, depth: int) -> Any:
        return self.byte() == TRUE if kind in (TRUE, FALSE) else self.value(kind, depth - 1)

    def items(self, depth: int) -> tuple[int, list[Any]]:
        header = self.byte()
        count = header >> 4 if header >> 4 < 15 else self.varint()
        self.spend(count)
        kind = header & 15
        return kind, [self.element(kind, depth) for _ in range(count)]

    def pairs(self, depth: int) -> tuple[int, int, list[tuple[Any, Any]]]:
        count = self.varint()
        if not count:
            return 0, 0, []
        self.spend(count)
        kinds = self.byte()
        key, value = kinds >> 4, kinds & 15
        return key, value, [(self.element(key, depth), self.element(value, depth)) for _ in range(count)]

    def spend(self, count: int) -> None:
        self.values -= count
        if self.values < 0 or count > len(self.data) - self.position:
            raise _bad(f"{count} values where there cannot be so many", self.position)

    def byte(self) -> int:
        try:
            byte = self.data[self.position]
        except IndexError:
            raise _bad("the bytes end too early", self.position) from None
        self.position += 1
        return byte

    def raw(self, length: int) -> bytes:
        start, self.position = self.position, self.position + length
        if self.position > len(self.data):
            raise _bad("the bytes end too early", start)
        return bytes(self.data[start : self.position])

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


def _bad(what: str, position: int) -> IntegrityError:
    return IntegrityError(f"damaged thrift at byte {position}: {what}", hint="fetch the file again, or pack it again")


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
