"""Keeps secrets out of everything that is printed, logged or answered.

What is hidden: values that look like a token or a credential, and the values of environment
variables whose names say that they are secret. Hiding a harmless word costs a puzzled look;
showing a token costs an account, so a doubtful value is hidden.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

HIDDEN = "[hidden]"
SHORTEST_SECRET = 8

_SECRET_NAME = re.compile(r"TOKEN|SECRET|KEY|PASSW|PASSPHRASE", re.IGNORECASE)
_PLACE_NAME = re.compile(r"(PATH|FILE|DIR|HOME)$", re.IGNORECASE)
_SHAPES = (
    # Hugging Face tokens, and the key ids of AWS and its kin.
    re.compile(r"(?P<keep>)(?:\bhf_[A-Za-z0-9]{8,}|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b)"),
    # A header, with its scheme where it has one: as text, as JSON or as a Python dict.
    re.compile(
        r"(?P<keep>authorization[\"']?\s*[:=]\s*[\"']?(?:(?:bearer|basic|token)\s+)?)(?!\[hidden)[^\s\"',}]+",
        re.IGNORECASE,
    ),
    re.compile(r"(?P<keep>\bbearer\s+)[\w.~+/=-]{8,}", re.IGNORECASE),
    # user:password@ or token@ in an address (a password may hold an @), and the signed part of a presigned one.
    re.compile(r"(?P<keep>://)(?!git@)[^/\s\"']+(?=@)"),
    re.compile(
        r"(?P<keep>(?:x-(?:amz|goog)-(?:signature|credential|security-token)|[?&]sig)=)[^&\s\"']+", re.IGNORECASE
    ),
)


@dataclass(frozen=True, slots=True)
class Redaction:
    """Hides secrets in text and in JSON values; `secrets` are the known ones, longest first."""

    secrets: tuple[str, ...] = ()

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Redaction:
        """Knows the value of every variable whose name says it is secret; names of places (`HF_TOKEN_PATH`) are not."""
        secrets = {
            value.strip()
            for name, value in environment.items()
            if _SECRET_NAME.search(name) and not _PLACE_NAME.search(name)
        }
        return cls(tuple(sorted((s for s in secrets if len(s) >= SHORTEST_SECRET), key=lambda s: (-len(s), s))))

    def text(self, text: str) -> str:
        """The text with every secret replaced by `[hidden]`."""
        for secret in self.secrets:
            text = text.replace(secret, HIDDEN)
        for shape in _SHAPES:
            text = shape.sub(rf"\g<keep>{HIDDEN}", text)
        return text

    def value(self, value: Any) -> Any:
        """A JSON-able copy with secrets hidden in every string. What has `as_json` is taken as that, NaN as null,
        anything that JSON does not know as its text."""
        if isinstance(value, Mapping):
            return {self.text(str(name)): self.value(item) for name, item in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.value(item) for item in value]
        if isinstance(value, float) and not math.isfinite(value):
            return None
        if value is None or isinstance(value, bool | int | float):
            return value
        if hasattr(value, "as_json"):
            return self.value(value.as_json())
        return self.text(str(value))


def printable(text: str) -> str:
    """The text with control characters spelled out, so that a file's name cannot drive a terminal."""
    return "".join(c if c in "\n\t" or c.isprintable() or c == "\u00a0" else _spelled(c) for c in text)


def _spelled(character: str) -> str:
    return character.encode("unicode_escape", "backslashreplace").decode("ascii")
