"""What a commit changes, as the lines of its request. Pure: nothing here asks the Hub."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from sealift.ports import Staged
from sealift.stores.hub.facts import FileFacts

BLOCK = 64 << 10
"""Lines are sent in blocks of about this size."""


@dataclass(frozen=True)
class Changes:
    """One commit: what is deleted, and the files that come, by their final paths.

    `inline` are those whose bytes travel in the request; of the others the Hub has the content already.
    """

    parent: str
    summary: str
    description: str
    deletions: tuple[str, ...]
    files: Mapping[str, Staged]
    inline: frozenset[str]

    def blocks(self) -> Iterator[bytes]:
        """The body of the request, a block at a time; the same each time. Memory: one block, or one inline file."""
        block = bytearray()
        for line in self._lines():
            block += json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
            if len(block) >= BLOCK:
                yield bytes(block)
                block.clear()
        if block:
            yield bytes(block)

    @property
    def uploaded(self) -> dict[str, Staged]:
        """The files whose content the Hub must have already, by their final paths."""
        return {path: file for path, file in self.files.items() if path not in self.inline}

    def parts(self, most: int) -> list[Changes]:
        """The same in commits of at most so many files and deletions, deletions first; all name the same parent."""
        todo: list[tuple[str, Staged | None]] = [(path, None) for path in self.deletions]
        todo += self.files.items()
        pieces = [todo[start : start + most] for start in range(0, len(todo), most)]
        return [
            replace(
                self,
                summary=f"{self.summary} (part {number} of {len(pieces)})",
                deletions=tuple(path for path, file in piece if file is None),
                files={path: file for path, file in piece if file is not None},
                inline=self.inline & {path for path, _ in piece},
            )
            for number, piece in enumerate(pieces, 1)
        ]

    def _lines(self) -> Iterator[dict[str, object]]:
        said = {"summary": self.summary, "description": self.description, "parentCommit": self.parent}
        yield {"key": "header", "value": said}
        for path in self.deletions:
            yield {"key": "deletedFolder" if path.endswith("/") else "deletedFile", "value": {"path": path}}
        for path, file in self.files.items():
            if path in self.inline:
                content = base64.b64encode(file.data or b"").decode()
                yield {"key": "file", "value": {"path": path, "content": content, "encoding": "base64"}}
            else:
                said = {"path": path, "algo": "sha256", "oid": str(file.sha256)}
                yield {"key": "lfsFile", "value": {**said, "size": file.size}}


def deletions(present: Collection[str], delete: Iterable[str], coming: Iterable[str]) -> tuple[str, ...]:
    """The fewest deletions that leave what is `present` without `delete`: files, and whole folders as `folder/`.

    A folder goes whole if nothing in it stays and nothing comes. What is not there is not deleted.
    """
    delete, coming = set(delete), set(coming)
    gone = {path for path in present if path in delete and path not in coming}
    used = {folder for path in present if path not in gone for folder in _folders(path)}
    used.update(folder for path in coming for folder in _folders(path))
    found = dict.fromkeys(_whole(path, used) for path in sorted(gone))
    return tuple(found)


def is_there(file: Staged, facts: FileFacts | None) -> bool:
    """Whether the tree has that very content at the path."""
    if facts is None or facts.size != file.size:
        return False
    if facts.sha256 is not None:
        return facts.sha256 == file.sha256
    return file.data is not None and facts.blob_id == _blob_id(file.data)


def _whole(path: str, used: Collection[str]) -> str:
    """The largest folder around the file in which nothing is used, else the file."""
    return next((f"{folder}/" for folder in _folders(path) if folder not in used), path)


def _folders(path: str) -> Iterator[str]:
    """The folders around a path, the outermost first."""
    at = path.find("/")
    while at >= 0:
        yield path[:at]
        at = path.find("/", at + 1)


def _blob_id(data: bytes) -> str:
    """What git calls a blob of these bytes."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
