"""The lines of a commit: each is checked, small files are kept, and what remains says what to do to the tree."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from sealift.localhub.cards import check_card
from sealift.localhub.gitobjects import object_id, pointer_bytes, pointer_in
from sealift.localhub.hub import Large
from sealift.localhub.objects import add_blob, add_large
from sealift.localhub.paths import checked
from sealift.localhub.refusals import bad_request, too_large
from sealift.localhub.settings import REGULAR_BYTES
from sealift.localhub.state import State

LINE_BYTES = REGULAR_BYTES * 4 // 3 + 100_000
"""The longest line: a small file in base64, and its path."""
_AT_ONCE = 8_000_000
"""Bytes of small files that are kept in one transaction."""
_SHA256 = re.compile(r"[0-9a-f]{64}")


FindLarge = Callable[[str], Large | None]


@dataclass(frozen=True, slots=True)
class Put:
    """Let the file have that content."""

    path: str
    oid: bytes


@dataclass(frozen=True, slots=True)
class Remove:
    """Take the file or folder away."""

    path: str
    folder: bool


@dataclass(frozen=True, slots=True)
class Copy:
    """Let the file be what another one is, in some revision or in the one that is changed."""

    path: str
    source: str
    revision: str | None


Operation = Put | Remove | Copy


@dataclass
class Intake:
    """What came with a commit; `received` and `new` are bytes of small files."""

    title: str = ""
    description: str = ""
    parent: str | None = None
    operations: list[Operation] = field(default_factory=list)
    received: int = 0
    new: int = 0


class Reader:
    """Reads the lines of one commit. Memory: one line, and a few megabytes of small files."""

    def __init__(self, state: State, find_large: FindLarge, repo_type: str, most_files: int) -> None:
        self._state = state
        self._find_large = find_large
        self._repo_type = repo_type
        self._most_files = most_files
        self._taken = Intake()
        self._small: list[bytes] = []
        self._small_bytes = 0
        self._large: list[Large] = []

    def read(self, lines: Iterable[bytes]) -> Intake:
        """Check every line, and keep what it brings.

        Raises:
            Refusal: a line is wrong; no reference has moved, and small files before it are kept without a name.
        """
        takers: dict[str, Callable[[dict[str, Any]], Operation]] = {
            "file": self._file,
            "lfsFile": self._large_file,
            "deletedFile": lambda value: _remove(value, folder=False),
            "deletedFolder": lambda value: _remove(value, folder=True),
            "copyFile": _copy,
        }
        for key, value in _parsed(lines):
            if key == "header":
                self._header(value)
            elif key in takers:
                self._taken.operations.append(takers[key](value))
            else:
                raise bad_request(f"Invalid key {key!r} in a line of the commit")
            if len(self._taken.operations) > self._most_files:
                raise too_large(f"A commit of more than {self._most_files} operations is not taken: split it")
        if not self._taken.title.strip():
            raise bad_request("A commit needs a header line with a summary")
        self._flush()
        return self._taken

    def _header(self, value: dict[str, Any]) -> None:
        self._taken.title = str(value.get("summary") or "")
        self._taken.description = str(value.get("description") or "")
        self._taken.parent = value.get("parentCommit") or None

    def _file(self, value: dict[str, Any]) -> Put:
        path = checked(value.get("path"))
        data = _content(path, value)
        if len(data) > REGULAR_BYTES:
            raise bad_request(
                f"Your push was rejected because {path} is larger than {REGULAR_BYTES} bytes: upload it as an LFS file"
            )
        if path == "README.md" and (errors := check_card(data, self._repo_type).errors):
            raise bad_request("Invalid metadata in README.md.\n" + "\n".join(f"- {error}" for error in errors))
        if pointer := pointer_in(data):
            return self._pointed(path, pointer.sha256, pointer.size)
        self._taken.received += len(data)
        self._small.append(data)
        self._small_bytes += len(data)
        if self._small_bytes > _AT_ONCE:
            self._flush()
        return Put(path, object_id("blob", data))

    def _large_file(self, value: dict[str, Any]) -> Put:
        path, oid, size = checked(value.get("path")), value.get("oid"), value.get("size")
        if value.get("algo") not in (None, "sha256") or not isinstance(oid, str) or not _SHA256.fullmatch(oid):
            raise bad_request(f"{path}: an LFS file is named by its sha256 in lower case, not by {oid!r}")
        if size is not None and not isinstance(size, int):
            raise bad_request(f"{path}: {size!r} is no size")
        return self._pointed(path, oid, size)

    def _pointed(self, path: str, sha256: str, size: int | None) -> Put:
        found = self._find_large(sha256)
        if found is None:
            raise bad_request(
                f"Your push was rejected because an LFS pointer pointed to a file that does not exist: {path} has the "
                f"sha256 {sha256}; upload that content first"
            )
        if size is not None and size != found.size:
            raise bad_request(f"{path}: the content {sha256} has {found.size} bytes, not {size}")
        self._large.append(found)
        return Put(path, object_id("blob", pointer_bytes(sha256, found.size)))

    def _flush(self) -> None:
        with self._state.writing() as db:
            for data in self._small:
                self._taken.new += len(data) if add_blob(db, data) else 0
            for large in self._large:
                add_large(db, large.sha256, large.size, large.xet)
        self._small, self._small_bytes, self._large = [], 0, []


def _parsed(lines: Iterable[bytes]) -> Iterator[tuple[Any, dict[str, Any]]]:
    """The key and value of each line that is not empty."""
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        if len(line) > LINE_BYTES:
            raise too_large(f"Line {number} of the commit has more than {LINE_BYTES} bytes: upload that file by LFS")
        try:
            parsed = json.loads(line)
        except ValueError as error:
            raise bad_request(f"Line {number} of the commit is not JSON: {error}") from error
        if not isinstance(parsed, dict) or not isinstance(parsed.get("value"), dict):
            raise bad_request(f"Line {number} of the commit is no object with `key` and `value`")
        yield parsed.get("key"), parsed["value"]


def _content(path: str, value: dict[str, Any]) -> bytes:
    content, encoding = value.get("content"), value.get("encoding", "utf-8")
    if not isinstance(content, str) or encoding not in ("base64", "utf-8"):
        raise bad_request(f"{path}: a file needs its content as a string, in base64 or utf-8")
    try:
        return base64.b64decode(content, validate=True) if encoding == "base64" else content.encode()
    except (binascii.Error, UnicodeEncodeError) as error:
        raise bad_request(f"{path}: the content is not {encoding}: {error}") from error


def _remove(value: dict[str, Any], *, folder: bool) -> Remove:
    path = value.get("path")
    return Remove(checked(path.rstrip("/") if folder and isinstance(path, str) else path), folder)


def _copy(value: dict[str, Any]) -> Copy:
    return Copy(checked(value.get("path")), checked(value.get("srcPath")), value.get("srcRevision") or None)
