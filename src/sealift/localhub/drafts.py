"""A tree that is being changed: folders are read when something in them changes, and only those are written again."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field

from sealift.localhub.gitobjects import Entry
from sealift.localhub.objects import add_folder, folder
from sealift.localhub.refusals import Refusal, bad_request, nothing_to_delete


@dataclass
class _Folder:
    """A folder that was opened; what is not opened in it is still an entry."""

    inside: dict[str, Entry | _Folder] = field(default_factory=dict)


class Draft:
    """Changes to the tree of one commit. Memory: the entries of the folders that change."""

    def __init__(self, db: sqlite3.Connection, tree: bytes) -> None:
        self._db = db
        self._root = self._read(tree)

    def put(self, path: str, oid: bytes) -> None:
        """Let the file be there with that content.

        Raises:
            Refusal: a folder has this name, or a file has the name of a folder in the path.
        """
        *above, name = path.split("/")
        inside = self._root.inside
        for part in above:
            found = self._open(inside, part)
            if isinstance(found, Entry):
                raise _both(part, path)
            if found is None:
                found = inside[part] = _Folder()
            inside = found.inside
        if _is_folder(inside.get(name)):
            raise _both(name, path)
        inside[name] = Entry(name, oid, folder=False)

    def remove(self, path: str, *, whole_folder: bool) -> None:
        """Take what has this path away, be it a folder with all that is in it.

        Raises:
            Refusal: there is nothing, or a file where a whole folder is meant.
        """
        kind = "folder" if whole_folder else "file"
        *above, name = path.split("/")
        inside = self._root.inside
        for part in above:
            found = self._open(inside, part)
            if not isinstance(found, _Folder):
                raise nothing_to_delete(kind, path)
            inside = found.inside
        # The Hub takes a folder for a file that is to be deleted, and not the other way round.
        if name not in inside or (whole_folder and not _is_folder(inside[name])):
            raise nothing_to_delete(kind, path)
        del inside[name]

    def write(self, most: int | None = None) -> bytes:
        """Keep the changed folders; the id of the tree. Folders that became empty are gone.

        Raises:
            Refusal: a changed folder has more than `most` entries.
        """
        crowded: list[str] = []
        tree = self._write(self._root, "", most, crowded)
        if crowded:
            raise bad_request(
                "Your push was rejected because it contains too many files per directory. Each directory in your git "
                f"repo can only contain up to {most} files. Offending directories: {', '.join(crowded[:10])}"
            )
        return tree or add_folder(self._db, ())

    def _write(self, one: _Folder, path: str, most: int | None, crowded: list[str]) -> bytes | None:
        entries = []
        for name, found in one.inside.items():
            if isinstance(found, Entry):
                entries.append(found)
            elif oid := self._write(found, f"{path}/{name}", most, crowded):
                entries.append(Entry(name, oid, folder=True))
        if most is not None and len(entries) > most:
            crowded.append(f"{path}/")
        return add_folder(self._db, entries) if entries else None

    def _open(self, inside: dict[str, Entry | _Folder], name: str) -> Entry | _Folder | None:
        """What has this name; a folder is opened."""
        found = inside.get(name)
        if isinstance(found, Entry) and found.folder:
            found = inside[name] = self._read(found.oid)
        return found

    def _read(self, tree: bytes) -> _Folder:
        return _Folder(dict(folder(self._db, tree).by_name))


def _is_folder(found: Entry | _Folder | None) -> bool:
    return isinstance(found, _Folder) or (isinstance(found, Entry) and found.folder)


def _both(name: str, path: str) -> Refusal:
    return bad_request(f"{path}: {name!r} cannot be a file and a folder; delete the one before you add the other")
