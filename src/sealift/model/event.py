"""Events: what a run says while it goes on, for progress bars and logs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Started:
    """A stage begins; totals are None where they are not known."""

    stage: str
    bytes: int | None = None
    files: int | None = None


@dataclass(frozen=True, slots=True)
class Advanced:
    """The stage moved on by so many bytes and files."""

    stage: str
    bytes: int = 0
    files: int = 0


@dataclass(frozen=True, slots=True)
class Finished:
    """The stage is done."""

    stage: str


@dataclass(frozen=True, slots=True)
class HandedOver:
    """All bytes of a file were handed to the destination, which has not confirmed them yet."""

    path: str


@dataclass(frozen=True, slots=True)
class Said:
    """Something worth telling the user, in one line."""

    message: str


@dataclass(frozen=True, slots=True)
class Warned:
    """Something that may be wrong, in one line: to be told even to those who want to hear nothing else."""

    message: str


Event = Started | Advanced | Finished | HandedOver | Said | Warned
OnEvent = Callable[[Event], None]


def ignore(event: Event) -> None:
    """Listen to nothing."""
