"""Staging files in a folder on this machine, where they wait to be renamed into place."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sealift.errors import DestinationError, IntegrityError
from sealift.ports import Sink, Staged

AGAIN = "mend that and run the same command again"
HALF = ".part"
"""What the name of a file ends with while it is written."""


@dataclass(frozen=True)
class LocalStage:
    """A folder of staged files. Picklable: workers write into it at the same time, each its own files."""

    root: Path
    digests: bool = field(default=False, init=False)
    """The bytes are digested before they come here."""

    def stage(self, path: str, write: Callable[[Sink], object], *, hold: bool = False) -> Staged:
        """Stage a file; it has its name only when it is complete. Nothing is held in memory.

        Raises:
            DestinationError: the disk is full or does not take the file.
        """
        target = self.root / path
        half = target.with_name(target.name + HALF)
        with translated("make room there and run the same command again"):
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                with open(half, "wb", buffering=0) as file:
                    write(_Whole(file))
                    size = file.tell()
                remove_folders(target)  # those that an earlier commit left empty
                os.replace(half, target)
            finally:
                half.unlink(missing_ok=True)
        return Staged(path, size)

    def read_back(self, staged: Staged, offset: int, view: memoryview) -> None:
        """Fill the view from a staged file.

        Raises:
            IntegrityError: it is not there, or not that long.
        """
        where = self.root / staged.path
        try:
            with open(where, "rb") as file:
                file.seek(offset)
                read = file.readinto(view)
        except FileNotFoundError:
            read = 0
        if read < len(view):
            raise IntegrityError(f"{where} is not what was staged", hint=AGAIN, path=staged.path)


@dataclass(frozen=True, slots=True)
class _Whole:
    """An unbuffered file whose write takes everything: the operating system may take less in one call."""

    file: Any

    def write(self, data: bytes | bytearray | memoryview) -> None:
        try:
            count = self.file.write(data)
            while count < len(data):
                data = memoryview(data)[count:]
                count = self.file.write(data)
        except OSError as error:
            # A failing write does not say where.
            error.filename = self.file.name
            raise


@contextmanager
def translated(hint: str = AGAIN) -> Iterator[None]:
    """Errors of the file system become ours."""
    try:
        yield
    except BrokenPipeError:  # nobody listens to the run any more: not about files
        raise
    except OSError as error:
        where = os.fspath(error.filename) if error.filename else "the destination"
        raise DestinationError(f"{where}: {error.strerror or error}", hint=hint, path=where) from error


def is_folder(place: Path) -> bool:
    """Whether no file can be renamed to that path: a link to a folder would just be replaced."""
    return place.is_dir() and not place.is_symlink()


def remove_folders(place: Path) -> None:
    """Remove the folder, if it is one, and those in it. There must be no files."""
    if is_folder(place):
        for folder, _, _ in os.walk(place, topdown=False):
            os.rmdir(folder)


def remove_halves(root: Path) -> None:
    """Remove what was not written to its end, and folders without a file."""
    for folder, _, files in os.walk(root, topdown=False):
        for name in files:
            if name.endswith(HALF):
                os.unlink(os.path.join(folder, name))
        with suppress(OSError):
            os.rmdir(folder)
