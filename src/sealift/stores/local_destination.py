"""A folder on this machine as a destination, laid out as on the Hub: staged beside, renamed into place at the end."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Set
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Self

import pyarrow as pa

from sealift.errors import DestinationError
from sealift.model.entry import Entry
from sealift.ports import Staged
from sealift.stores.local import LocalFolder
from sealift.stores.local_stage import LocalStage, is_folder, remove_folders, translated


@dataclass
class LocalDestination:
    """A folder that takes a publication whole. Use it with `with`.

    Staged files lie in `.<name>.sealift/` next to the folder, so that renaming never copies. The lock in there is held
    by the running process alone: one that died leaves nothing in the way. A commit is decided by one file in there,
    before the first rename; a run that ended in the middle of a commit is finished by the next one.
    """

    root: Path
    _lock: IO[str] | None = field(default=None, repr=False)

    @property
    def beside(self) -> Path:
        """The folder next to the destination that holds what is not published yet."""
        real = Path(os.path.realpath(self.root))
        return real.parent / f".{real.name}.sealift"

    @property
    def name(self) -> str:
        """The folder's path."""
        return str(self.root)

    @property
    def url(self) -> None:
        """A folder has no page."""

    @property
    def revision(self) -> None:
        """A folder has no history."""

    @property
    def here(self) -> tuple[Path, ...]:
        """The folder, and the one beside it."""
        return self.root, self.beside

    @property
    def work(self) -> Path:
        """For what the run itself keeps; gone when the destination is left."""
        return self.beside / "work"

    @property
    def stager(self) -> LocalStage:
        """What a worker needs to stage files here."""
        return LocalStage(self.beside / "staged")

    @property
    def _decided(self) -> Path:
        """Holds what a commit renames and deletes, from its decision to its end."""
        return self.beside / "commit.json"

    @property
    def _undecided(self) -> Path:
        return self.beside / "commit.part"

    def __enter__(self) -> Self:
        # Whatever interrupts this, a signal too, leaves nothing beside.
        try:
            with translated():
                self._take_lock()
                _check(self.root, self.beside)
                if self._decided.exists():
                    self._carry_out()
                for left in ("staged", "work"):
                    shutil.rmtree(self.beside / left, ignore_errors=True)
                self._undecided.unlink(missing_ok=True)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        lock, self._lock = self._lock, None
        ours = False
        with suppress(BlockingIOError):
            ours = lock is not None and _held(lock)
        if lock is not None and ours:
            shutil.rmtree(self.beside / "work", ignore_errors=True)
            # What is staged for a commit that was decided and not ended is needed to end it.
            if not self._decided.exists():
                shutil.rmtree(self.beside / "staged", ignore_errors=True)
                # The lock goes last: from then on the folder may be another's.
                Path(lock.name).unlink(missing_ok=True)
        with suppress(OSError):
            self.beside.rmdir()
        if lock is not None:
            lock.close()

    def _take_lock(self) -> None:
        """Hold the lock beside, which is made, until it is closed.

        Raises:
            DestinationError: another process holds it.
        """
        while True:
            try:
                self.beside.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._lock = open(self.beside / "lock", "w")  # noqa: SIM115 — it stays open as long as it is held
            except (FileExistsError, FileNotFoundError):
                if self.beside.exists() and not self.beside.is_dir():
                    raise
                continue  # the one before has just taken the folder away
            try:
                if _held(self._lock):
                    return
            except BlockingIOError as error:
                raise DestinationError(
                    f"another process is publishing to {self.root}", hint="wait for it to end", path=str(self.root)
                ) from error
            self._lock.close()

    def listing(self) -> Iterator[pa.RecordBatch]:
        """Every file that is published, none if the folder is not there yet."""
        return LocalFolder(self.root).listing() if self.root.is_dir() else iter(())

    def read_into(self, entry: Entry, offset: int, view: memoryview) -> None:
        """Fill the view from a published file."""
        LocalFolder(self.root).read_into(entry, offset, view)

    def refresh(self) -> None:
        """A folder is always listed and read as it is."""

    def prepare(self) -> None:
        """Opening has made all that is needed."""

    def commit(self, files: Mapping[str, Staged], delete: Iterable[str], message: str) -> None:
        """Rename staged files into place, in the mapping's order, then delete. The message is for those who keep one.

        A reader that looks in between may see some files new and some old; a Hub has one instant, a folder has not.
        Where a file becomes a folder, or a folder a file, what is to be deleted there goes just before what comes.

        Raises:
            DestinationError: a file that stays is in the way, and nothing was changed; or a file cannot be renamed or
                deleted, and the next run goes on there.
        """
        with translated():
            decision = {"rename": {file.path: path for path, file in files.items()}, "delete": list(delete)}
            _goes_first(self.root, files.keys(), set(decision["delete"]) - files.keys())
            self._undecided.write_text(json.dumps(decision), encoding="utf-8")
            os.replace(self._undecided, self._decided)
            self._carry_out()

    def _carry_out(self) -> None:
        """Do what was decided, or what is left of it. What comes is not deleted, whatever the list says."""
        decided = json.loads(self._decided.read_text(encoding="utf-8"))
        going = set(decided["delete"]) - set(decided["rename"].values())
        for name, path in decided["rename"].items():
            source, target = self.stager.root / name, self.root / path
            if source.exists():
                _make_way(self.root, path, going)
                target.parent.mkdir(parents=True, exist_ok=True)
                os.replace(source, target)
        for path in sorted(going):
            _delete(self.root / path, self.root)
        self._decided.unlink()


def _held(lock: IO[str]) -> bool:
    """Whether this process holds the lock, now or already; not if the file was taken away meanwhile.

    Raises:
        BlockingIOError: another process holds it.
    """
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    try:
        return os.path.samestat(os.fstat(lock.fileno()), os.stat(lock.name))
    except FileNotFoundError:
        return False


def _check(root: Path, beside: Path) -> None:
    """See before the work that files can be renamed into the folder after it."""
    if root.exists() and not root.is_dir():
        raise DestinationError(f"{root} is not a folder", hint="choose another `to:`", path=str(root))
    if not root.is_dir():
        return
    if root.stat().st_dev != beside.stat().st_dev:
        raise DestinationError(
            f"{root} is a file system of its own, and files are staged beside the destination",
            hint=f"publish to a folder in it: --to {root / 'dataset'}",
            path=str(root),
        )
    if not os.access(root, os.W_OK | os.X_OK):
        raise DestinationError(
            f"{root} may not be written to", hint="choose a folder that you may write to", path=str(root)
        )


def _goes_first(root: Path, coming: Set[str], going: Set[str]) -> list[str]:
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


def _make_way(root: Path, path: str, going: Set[str]) -> None:
    """Delete what one new file cannot come without. Folders that are empty then, or were before, go with it."""
    for old in _goes_first(root, {path}, going):
        (root / old).unlink()
    remove_folders(root / path)


def _delete(file: Path, root: Path) -> None:
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
