"""Files of a folder that must go before others can come, and what they leave behind."""

from __future__ import annotations

import os
from collections.abc import Iterator, Set
from contextlib import suppress
from pathlib import Path, PurePosixPath

from sealift.errors import DestinationError
from sealift.stores.local_stage import is_folder, remove_folders


def goes_first(root: Path, coming: Set[str], going: Set[str]) -> list[str]:
    """What must be deleted before these files can come, all of it in `going`.

    Raises:
        DestinationError: something else is in the way; it is named.
    """
    first = sorted(_in_the_way(root, coming))
    stays = [path for path in first if path not in going]
    if stays:
        raise DestinationError(
            f"{root}: files are in the way that are not to be deleted ({len(stays)}): {', '.join(stays[:5])}",
            hint="move them away, and run the same command again",
            paths=stays[:100],
        )
    return first


def _in_the_way(root: Path, coming: Set[str]) -> Iterator[str]:
    """Files where the new ones need a folder, and whatever is in a folder where a new one must be."""
    for folder in {str(parent) for path in coming for parent in PurePosixPath(path).parents if parent.name}:
        place = root / folder
        if folder in coming or (os.path.lexists(place) and not place.is_dir()):
            yield folder
    for path in coming:
        if is_folder(root / path):
            yield from (file.relative_to(root).as_posix() for file in _files(root / path))


def _files(folder: Path) -> Iterator[Path]:
    """All that is in a folder and below it, but for folders. A link is not followed."""
    for one in folder.iterdir():
        if is_folder(one):
            yield from _files(one)
        else:
            yield one


def make_way(root: Path, path: str, going: Set[str]) -> None:
    """Delete what one new file cannot come without. Folders that are empty then, or were before, go with it."""
    for old in goes_first(root, {path}, going):
        (root / old).unlink()
    remove_folders(root / path)


def delete(file: Path, root: Path) -> None:
    """Remove a file, and folders that it leaves empty. It is gone, too, if a folder has its name, or a file its
    folder's."""
    if not file.is_dir():
        with suppress(FileNotFoundError, NotADirectoryError):
            file.unlink()
        _prune(file.parent, root)


def _prune(folder: Path, root: Path) -> None:
    """Remove folders that deletions left empty, now or before a kill."""
    while folder != root and folder.is_relative_to(root):
        try:
            folder.rmdir()
        except FileNotFoundError:
            pass
        except OSError:
            return
        folder = folder.parent
