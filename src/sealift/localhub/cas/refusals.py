"""What the store refuses, with the status that says so over HTTP."""

from __future__ import annotations

from collections.abc import Mapping


class Refused(Exception):
    """A request that changes nothing: `status` is its HTTP status, the message names what is wrong."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})


class Malformed(Refused):
    """A body or a name that is not what its format says (400)."""

    def __init__(self, message: str) -> None:
        super().__init__(400, message)
