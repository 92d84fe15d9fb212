"""Keeps secrets out of everything that is printed, logged, kept, answered or raised.

What is hidden: values that look like a token or a credential, and the values of environment
variables whose names say that they are secret. Hiding a harmless word costs a puzzled look;
showing a token costs an account, so a doubtful value is hidden.
"""

from __future__ import annotations

import functools
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
_SIGN = r"(?:=|%3D)"
_VALUE = r"(?!\[hidden)(?:(?!%26)[^&\s\"'<>\\])+"
"""A value in the query of an address, or of one that stands in the query of another."""
_SHAPES = (
    # Tokens of Hugging Face, GitHub and GitLab, the key ids of AWS and its kin, and signed tokens (JWT), such as Xet's.
    r"(?P<keep>)(?:\b(?-i:hf_)(?:(?:oauth|app|jwt)_[\w.~+/=-]{8,}|[A-Za-z0-9]{8,})|\bgh[pousr]_[A-Za-z0-9]{16,}"
    r"|\bglpat-[\w-]{16,}|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\beyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?)",
    # A header, with its scheme where it has one: as text, as JSON or as a Python dict.
    r"(?P<keep>authorization\\?[\"']?\s*[:=,]\s*(?:b?\\?[\"'])?+(?:(?:bearer|basic|token)\s+)?+)(?!\[hidden)[^\s\"',}\\]+",
    r"(?P<keep>\bbearer\s+)[\w.~+/=-]{8,}",
    r"(?P<keep>\b(?:set-)?cookie\\?[\"']?\s*[:=,]\s*+(?:b?\\?[\"'])?+)(?!\[hidden)[^\n\"'\\]+",
    # A token as an option, as a variable, or by its name in JSON, in a header or in a Python dict.
    r"(?P<keep>--token(?:=|\s+))(?!\[hidden)[^\s\"']+",
    r"(?P<keep>\b[A-Z][A-Z0-9_]{0,40}(?:TOKEN|SECRET|PASSWORD|ACCESS_KEY|API_KEY)=)(?!\[hidden)[^\s\"']+",
    r"(?P<keep>\b(?:[a-z-]{0,30}[_-])?(?:access|refresh|auth|session|hub)?[_-]?(?:token|password|secret(?:[_-]?access)?"
    r"[_-]?key|client[_-]?secret|api[_-]?key)\\?[\"']\s*[:,]\s*b?\\?[\"'])(?!\[hidden)[^\s\"'\\]{8,}",
    r"(?P<keep>\bx-[a-z-]{0,30}(?:token|key|signature)\s*:\s*)(?!\[hidden)[^\s\"',]+",
    # user:password@ or token@ in an address (a password may hold an @), and what signs or opens it.
    r"(?P<keep>://)(?!git@)[^/\s\"']+(?=@)",
    rf"(?P<keep>x-(?:amz|goog)-(?:signature|credential|security-token){_SIGN}){_VALUE}",
    rf"(?P<keep>(?:[?&]|%3F|%26|\\u0026)(?:amp;)?[\w.-]{{0,40}}(?:signature|credential|token|secret|passw(?:or)?d"
    rf"|api-?_?key){_SIGN}){_VALUE}",
    rf"(?P<keep>(?:[?&]|%3F|%26|\\u0026)(?:amp;)?(?:sig|policy|key-pair-id|auth|jwt){_SIGN}){_VALUE}",
)


@functools.cache
def _shapes() -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(shape, re.IGNORECASE if "[A-Z]" not in shape else 0) for shape in _SHAPES)


def cut(text: str) -> str:
    """The text with everything that looks like a secret replaced by `[hidden]`; once more changes nothing."""
    for shape in _shapes():
        text = shape.sub(rf"\g<keep>{HIDDEN}", text)
    return text


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
        return cut(text)

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
