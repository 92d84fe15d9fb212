"""Sizes and durations as people write and read them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import click

_UNITS: Mapping[str, int] = {
    "": 1,
    "b": 1,
    **{f"{letter}b": 1000**power for power, letter in enumerate("kmgtp", start=1)},
    **{f"{letter}ib": 1024**power for power, letter in enumerate("kmgtp", start=1)},
}
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([a-z]*)", re.IGNORECASE)


class Size(click.ParamType):  # type: ignore[type-arg, unused-ignore]  # generic in newer clicks only
    """A number of bytes, `least` or more: `1GB` is 10^9, `1GiB` is 2^30, a bare number is bytes. Yields an int."""

    name = "size"

    def __init__(self, least: int = 1) -> None:
        self.least = least

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The bytes that the text stands for; fails as a usage error that says what to write instead."""
        if isinstance(value, int):
            return value
        found = _SIZE.fullmatch(str(value).strip())
        if found is None:
            self.fail(f"{value!r} is not a size; write it like 512MB, 1.5GiB or 1000000.", param, ctx)
        number, unit = found.groups()
        if unit.lower() not in _UNITS:
            self.fail(f"{value!r} has no unit that is known; MB is 10^6 bytes, MiB is 2^20, GB is 10^9.", param, ctx)
        size = int(Fraction(number) * _UNITS[unit.lower()])
        if size < self.least:
            self.fail(f"{value!r} is not a size above 0.", param, ctx)
        return size

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        """What the help shows in the place of the value."""
        return "SIZE"


def size_text(size: float) -> str:
    """The size in the decimal unit that fits: `0 B`, `999 B`, `1.5 kB`, `12.3 MB`, `1.0 TB`."""
    amount, unit = float(size), "B"
    for bigger in ("kB", "MB", "GB", "TB", "PB"):
        if round(amount, 1) < 1000:
            break
        amount, unit = amount / 1000, bigger
    return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"


def duration_text(seconds: float) -> str:
    """The duration in whole seconds, as minutes and seconds or with hours: `0:07`, `12:40`, `3:02:09`."""
    minutes, second = divmod(round(max(seconds, 0)), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"
