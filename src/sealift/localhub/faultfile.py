"""Faults as people write them: JSON or YAML, a list of objects or the name of a profile, with every mistake named."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from sealift.localhub.faults import NAMES, Fault
from sealift.localhub.profiles import PROFILES

_MOST_BYTES = 1_000_000
_CHOICE = frozenset({"kind", "method", "path", "times", "skip", "probability", "seed", "after", "headers", "remembers"})
"""Keys that say when and how, and not what."""


class WrongFaults(ValueError):
    """These are no faults: the message says which one, and what its key should be."""


def at_start(named: str) -> tuple[Fault, ...]:
    """The faults in the file of that name; of the profile if there is no such file.

    Raises:
        WrongFaults: it is neither, or says something else; the message names the file.
    """
    path = Path(named)
    if not path.exists():
        if named in PROFILES:
            return read(named)
        raise WrongFaults(f"{named} is neither a file nor a profile; those are {', '.join(PROFILES)}")
    try:
        with path.open("rb") as file:
            described = yaml.safe_load(file.read(_MOST_BYTES))
    except (OSError, yaml.YAMLError) as error:
        raise WrongFaults(f"{named}: {' '.join(str(error).split())}") from error
    try:
        return read(described)
    except WrongFaults as error:
        raise WrongFaults(f"{named}: {error}") from error


def read(described: object) -> tuple[Fault, ...]:
    """The faults that are described: a list, an object with `faults`, or the name of a profile.

    Raises:
        WrongFaults: they are described otherwise.
    """
    if isinstance(described, str):
        if described not in PROFILES:
            raise WrongFaults(f"there is no profile {described!r}; there are {', '.join(PROFILES)}")
        described = PROFILES[described]
    if isinstance(described, dict) and set(described) == {"faults"}:
        described = described["faults"]
    if not isinstance(described, list):
        raise WrongFaults("faults are a list of objects, or the name of a profile")
    return tuple(_fault(one, number) for number, one in enumerate(described, 1))


def _fault(described: Any, number: int) -> Fault:
    where = f"fault {number}"
    if not isinstance(described, dict) or not {"kind", "collect_after"} & {*described}:
        raise WrongFaults(f"{where} is no object with a `kind` (of request), or with `collect_after`")
    for key in described:
        if key not in NAMES:
            near = get_close_matches(str(key), NAMES, 1)
            raise WrongFaults(f"{where} has no key {key!r}{f'; did you mean {near[0]!r}?' if near else ''}")
    said = {key: value for key, value in described.items() if value is not None}
    for key, value in said.items():
        holds, meant = _MEANT[key]
        if not holds(value):
            raise WrongFaults(f"{where}: `{key}` is {meant}, not {value!r}")
    _check_sense(said, where)
    if ("times" in described and described["times"] is None) or ("probability" in said and "times" not in said):
        said["times"] = None
    return Fault(**said)


def _check_sense(said: dict[str, Any], where: str) -> None:
    """Raises WrongFaults if nothing would happen, or what excludes each other."""
    if "kind" in said and "collect_after" in said:
        raise WrongFaults(f"{where}: collecting is about content, and not about a kind of request")
    if not {key for key, value in said.items() if value or _counts(key, value)} - _CHOICE:
        raise WrongFaults(f"{where} does nothing: give it a `status`, `drop`, `delay` or another key that does")


def _counts(key: str, value: object) -> bool:
    """Whether zero means something there."""
    return value == 0 and not isinstance(value, bool) and key not in ("delay", "flip_request", "flip_answer")


def _number(least: float, most: float = float("inf")) -> Callable[[object], bool]:
    return lambda value: isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most


def _whole(least: int, most: float = float("inf")) -> Callable[[object], bool]:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _share(value: object) -> bool:
    return _whole(0)(value) or (isinstance(value, float) and 0 <= value < 1)


def _text(value: object) -> bool:
    return isinstance(value, str) and value != ""


def _headers(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(one, str) for pair in value.items() for one in pair)


def _each(keys: str, holds: Callable[[object], bool], meant: str) -> dict[str, tuple[Callable[[object], bool], str]]:
    return dict.fromkeys(keys.split(), (holds, meant))


_METHODS: Sequence[str] = ("GET", "HEAD", "POST", "PUT", "DELETE")
_MEANT: dict[str, tuple[Callable[[object], bool], str]] = {
    **_each("kind path", _text, "a name or a pattern"),
    **_each("method", lambda value: value in _METHODS, f"one of {', '.join(_METHODS)}"),
    **_each("times skip", _whole(0), "a whole number"),
    **_each("seed", _whole(-(2**63), 2**63), "a whole number"),
    **_each("probability", _number(0, 1), "a number from 0 to 1"),
    **_each("after expired drop remembers", lambda value: isinstance(value, bool), "true or false"),
    **_each("status", _whole(200, 599), "an HTTP status from 200 to 599"),
    **_each("headers", _headers, "an object of strings"),
    **_each("body", lambda _: True, "any JSON"),
    **_each("retry_after retry_date rate_limit delay collect_after", _number(0), "a number of seconds"),
    **_each("token_seconds", _whole(-(2**31), 2**31), "a whole number of seconds"),
    **_each("slow_request slow_answer", _number(1), "a number of bytes per second, 1 or more"),
    **_each("flip_request flip_answer flip_stored", _whole(0), "a number of bits"),
    **_each(
        "cut_request cut_answer stall_request stall_answer truncate_request truncate_answer disk_full",
        _share,
        "a number of bytes, or a part of the body below 1 as 0.5",
    ),
}
