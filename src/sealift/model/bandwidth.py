"""Bandwidths as people say them: in bytes or in bits a second."""

from __future__ import annotations

import re
from fractions import Fraction

from sealift.errors import RequestError

LEAST = 10_000
"""Bytes a second. With less, a single block would take hours; it is a slip of the pen."""
_SAID = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([kKMGmg]?)(i?)(B|b|bit|Bit|bits)(?:/s)?")


def bytes_a_second(said: int | str) -> int:
    """Bytes a second, said as a number, as `50MB/s`, `6MiB/s` or, in bits, as `400Mbit/s`; `/s` may be left out.

    Raises:
        RequestError: it is none of these, or too little. `50Mb` could be either, and is refused.
    """
    if isinstance(said, int):
        return _enough(Fraction(said), said)
    found = _SAID.fullmatch(said.strip())
    if found is None or _ambiguous(*found.group(2, 4)):
        raise RequestError(f"{said!r} is not a bandwidth", hint="write it like 50MB/s, in bytes, or 400Mbit/s, in bits")
    number, letter, binary, unit = found.groups()
    power = " kmg".index(letter.lower() or " ")
    count = Fraction(number) * (1024 if binary else 1000) ** power
    return _enough(count if unit in ("B", "b") else count / 8, said)


def _ambiguous(letter: str, unit: str) -> bool:
    """`Mb` is megabits to some and megabytes to others; `mb` is megabytes to all who write small letters only."""
    return unit == "b" and (not letter or letter.isupper())


def _enough(rate: Fraction, said: int | str) -> int:
    if rate < LEAST:
        raise RequestError(f"{said!r} is too little", hint=f"allow {LEAST // 1000} kB/s or more, like 50MB/s")
    return int(rate)
