"""What of a text a terminal can be shown."""

from __future__ import annotations


def printable(text: str) -> str:
    """The text with control characters spelled out, so that a file's name cannot drive a terminal."""
    return "".join(c if c in "\n\t" or c.isprintable() or c == "\u00a0" else _spelled(c) for c in text)


def _spelled(character: str) -> str:
    return character.encode("unicode_escape", "backslashreplace").decode("ascii")
