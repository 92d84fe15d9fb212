"""Expected against found. Pure: what publish, resume and verify have in common."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

Name = TypeVar("Name", bound=Hashable)
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Comparison(Generic[Name]):
    """Two sets of named things held against each other; every name is in exactly one of the four, in order."""

    same: tuple[Name, ...]
    missing: tuple[Name, ...]
    different: tuple[Name, ...]
    extra: tuple[Name, ...]


def compare(expected: Mapping[Name, Value], found: Mapping[Name, Value]) -> Comparison[Name]:
    """Sort both sets' names: expected and there, not there, there with another value, and there besides."""
    return Comparison(
        same=tuple(name for name, value in expected.items() if name in found and found[name] == value),
        missing=tuple(name for name in expected if name not in found),
        different=tuple(name for name, value in expected.items() if name in found and found[name] != value),
        extra=tuple(name for name in found if name not in expected),
    )
