"""Which paths a repository may hold, and the patterns of `.gitattributes` and `.gitignore`. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from sealift.localhub.refusals import bad_request

_NAME_BYTES = 255
_PATH_BYTES = 4096


def checked(path: object) -> str:
    """The path, if a file may have it.

    Raises:
        Refusal: it is empty, absolute, leads out of the repository, or is git's own.
    """
    if not isinstance(path, str) or not path:
        raise bad_request("Invalid path: a file needs a name")
    try:
        size = len(path.encode())
    except UnicodeEncodeError as error:
        raise bad_request(f"Invalid path {path!r}: it is not Unicode text") from error
    if size > _PATH_BYTES or any(len(name.encode()) > _NAME_BYTES for name in path.split("/")):
        raise bad_request(f"Invalid path {path[:80]!r}…: too long")
    if any(ord(character) < 32 or ord(character) == 127 for character in path):
        raise bad_request(f"Invalid path {path!r}: control characters")
    for name in path.split("/"):
        if name in ("", ".", "..") or name.lower() == ".git":
            raise bad_request(f"Invalid path {path!r}: it may not be absolute, or contain '..', '.', '.git' or '//'")
    return path


class Patterns:
    """The lines of a `.gitattributes` or `.gitignore`, the last one that matches a path decides."""

    def __init__(self, text: str) -> None:
        self._lines = [line for line in map(str.strip, text.splitlines()) if line and not line.startswith("#")]

    def is_lfs(self, path: str) -> bool:
        """Whether `filter=lfs` is in force for the file."""
        decided = False
        for line in self._lines:
            pattern, *attributes = line.split()
            about = [one for one in attributes if one.lstrip("-!").startswith("filter")]
            if about and _expression(pattern).fullmatch(path):
                decided = about[-1] == "filter=lfs"
        return decided

    def is_ignored(self, path: str) -> bool:
        """Whether the file, or a folder it is in, is ignored; what is in an ignored folder stays so."""
        return any(self._ignores(part, folder) for part, folder in _parts(path))

    def _ignores(self, path: str, folder: bool) -> bool:
        decided = False
        for line in self._lines:
            pattern = line.removeprefix("!").removeprefix("\\")
            if pattern.endswith("/") and not folder:
                continue
            if _expression(pattern.rstrip("/")).fullmatch(path):
                decided = not line.startswith("!")
        return decided


def _parts(path: str) -> Iterator[tuple[str, bool]]:
    """The folders that lead to the path, and the path itself: with whether it is a folder."""
    for at, character in enumerate(path):
        if character == "/":
            yield path[:at], True
    yield path, False


@lru_cache(maxsize=1024)
def _expression(pattern: str) -> re.Pattern[str]:
    """A pattern of git as a regular expression over whole paths."""
    anywhere = "/" not in pattern
    pattern = pattern.removeprefix("/")
    made, at = ["(?:.*/)?"] if anywhere else [], 0
    while at < len(pattern):
        for wild, meaning in (("**/", "(?:.*/)?"), ("**", ".*"), ("*", "[^/]*"), ("?", "[^/]")):
            if pattern.startswith(wild, at):
                made.append(meaning)
                at += len(wild)
                break
        else:
            group = re.compile(r"\[!?\]?[^\]]*\]").match(pattern, at)
            made.append(group[0].replace("[!", "[^") if group else re.escape(pattern[at]))
            at = group.end() if group else at + 1
    return re.compile("".join(made), re.DOTALL)
