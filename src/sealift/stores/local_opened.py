"""Files below a folder, opened so that no path or link leads out of it, even if they change in that moment."""

from __future__ import annotations

import errno
import os
from typing import Self

from sealift.model.path import leads_out
from sealift.stores.local_listing import inside

# A pipe that took a file's place must not be waited for; and what is opened here is no terminal of ours.
FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
FOLDER = os.O_DIRECTORY | os.O_CLOEXEC | getattr(os, "O_PATH", os.O_RDONLY)
HERE = "/proc/self/fd"
"""Where Linux shows what this process has open, and where that lies now."""


class Opener:
    """Opens files below the root by their paths. Use it with `with`; quick where files of one folder follow each other.

    What was opened is asked where it lies: the answer is of the file that will be read, not of its name a moment ago.
    From the second file of a folder on that is the folder, which is kept open, and the answer holds for all in it.
    """

    def __init__(self, root: str, here: str = HERE) -> None:
        self._root = f"{root}/"
        self._here = here
        self._real = os.path.realpath(root)
        self._came_by: str | None = None
        self._folder: str | None = None
        self._number = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._leave()

    def open(self, path: str) -> int:
        """The number of the open file, which lies below the root; links are followed as long as they stay there.

        Raises:
            OSError: there is none, it may not be read, or it lies elsewhere.
        """
        folder, _, name = path.rpartition("/")
        if folder == self._folder or (folder == self._came_by and self._enter(folder)):
            try:
                return os.open(name, FLAGS | os.O_NOFOLLOW, dir_fd=self._number)
            except OSError as error:
                if error.errno != errno.ELOOP:
                    raise
        self._came_by = folder
        if leads_out(path):
            raise _outside()
        return self._inside(self._root + path, FLAGS)

    def _enter(self, folder: str) -> bool:
        self._leave()
        self._number = self._inside(self._root + folder, FOLDER)
        self._folder = folder
        return True

    def _leave(self) -> None:
        if self._number >= 0:
            os.close(self._number)
        self._folder, self._number = None, -1

    def _inside(self, path: str, flags: int) -> int:
        file = os.open(path, flags)
        if not _lies_in(file, path, self._real, self._here):
            os.close(file)
            raise _outside()
        return file


def _lies_in(file: int, path: str, root: str, here: str) -> bool:
    """Whether an open file lies below the real root, whatever its path stands for now."""
    try:
        return inside(os.readlink(f"{here}/{file}"), root)
    except FileNotFoundError:  # no /proc: then what the path leads to now, below the root, has to be that file
        real = os.path.realpath(path)
        return inside(real, root) and os.path.samestat(os.fstat(file), os.lstat(real))


def _outside() -> OSError:
    return OSError(errno.EXDEV, "it is a link, or a path, that leads out of the source")
