"""What a journal holds, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from sealift.ports import Staged

State = Literal["planned", "packed", "staged", "committed"]
STATES: tuple[State, ...] = ("planned", "packed", "staged", "committed")


@dataclass(frozen=True, slots=True)
class Basis:
    """What a job was planned from: compared with another, it tells what changed since.

    `spec` is the published form of the spec, `ids` and `fingerprint` are the plan's, `versions` those of the libraries
    that fix the bytes of a shard, `base` is the revision that is to be replaced.
    """

    spec: Mapping[str, Any]
    ids: Mapping[str, str]
    fingerprint: str
    versions: Mapping[str, str]
    base: str | None


@dataclass(frozen=True, slots=True)
class Sent:
    """A commit as it was written down before it was sent: staged files by their final paths, and what goes.

    `last` is whether the job is over with it, `refused` whether it is known not to have taken effect.
    """

    number: int
    parent: str | None
    files: Mapping[str, Staged]
    gone: tuple[str, ...]
    message: str
    last: bool
    refused: bool


@dataclass(frozen=True, slots=True)
class Count:
    """How many shards are in a state, with their rows and the bytes of their media."""

    shards: int = 0
    rows: int = 0
    media_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is. Times are seconds since 1970.

    `running` is the process at work on it (`pid`, `host`, `since`), None if there is none. `uncertain` is whether a
    commit was about to be sent of which nobody knows what became. `pinned` is where staged shards are kept.
    """

    folder: Path
    job: str
    to: str
    url: str | None
    began: float
    changed: float
    over: bool
    base: str | None
    revision: str | None
    shards: Mapping[State, Count]
    commits: int
    uncertain: bool
    pinned: str | None
    error: str | None
    running: Mapping[str, Any] | None
