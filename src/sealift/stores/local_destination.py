"""A folder on this machine as a destination, laid out as on the Hub: staged beside, renamed into place at the end."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Self

import pyarrow as pa

from sealift.errors import ContentMissing, DestinationError
from sealift.model.entry import Entry
from sealift.ports import Staged
from sealift.stores.local import LocalFolder
from sealift.stores.local_stage import LocalStage, remove_halves, translated
from sealift.stores.local_way import delete, goes_first, make_way

PRIVATE = 0o700
"""The mode of the folder beside; files in it have the modes that they are published with."""


@dataclass
class LocalDestination:
    """A folder that takes a publication whole. Use it with `with`.

    Staged files lie in `.<name>.sealift/` next to the folder, so that renaming never copies. The lock in there is held
    by the running process alone: one that died leaves nothing in the way. A commit is decided by one file in there,
    before the first rename; a run that ended in the middle of a commit is finished by the next one.

    Nobody but the user may look into the folder beside. With `keep`, what is staged stays there until a commit, whoever
    ends in between: for those who know, from a journal, what it is.
    """

    root: Path
    keep: bool = False
    job: str | None = None
    """Whose staged files are kept; those of another job are not."""
    _lock: IO[str] | None = field(default=None, repr=False)
    _ended: bool = field(default=False, init=False, repr=False)

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
                    self._ended = True
                shutil.rmtree(self.work, ignore_errors=True)
                self._own_staged()
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
            shutil.rmtree(self.work, ignore_errors=True)
            # What is staged for a commit that was decided and not ended is needed to end it.
            if not self._decided.exists():
                self._clear_staged()
                if not self.stager.root.exists():
                    (self.beside / "owner").unlink(missing_ok=True)
                # The lock goes last: from then on the folder may be another's.
                Path(lock.name).unlink(missing_ok=True)
        with suppress(OSError):
            self.beside.rmdir()
        if lock is not None:
            lock.close()

    def _own_staged(self) -> None:
        """Clear what is staged, all of it if it is another job's, and say whose it is from now on."""
        owner = self.beside / "owner"
        if self.job is not None and (not owner.exists() or owner.read_text(encoding="utf-8") != self.job):
            shutil.rmtree(self.stager.root, ignore_errors=True)
            owner.write_text(self.job, encoding="utf-8")
        self._clear_staged()

    def _clear_staged(self) -> None:
        """Remove what is staged; with `keep` only what is not whole, and folders in which nothing is."""
        staged = self.stager.root
        if self.keep:
            remove_halves(staged)
        else:
            shutil.rmtree(staged, ignore_errors=True)

    def _take_lock(self) -> None:
        """Hold the lock beside, which is made, until it is closed.

        Raises:
            DestinationError: another process holds it.
        """
        while True:
            try:
                self.beside.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
                self._lock = open(self.beside / "lock", "w")  # noqa: SIM115 — it stays open as long as it is held
            except (FileExistsError, FileNotFoundError):
                if _is_no_folder(self.beside):
                    raise
                continue  # the one before has just taken the folder away
            try:
                if _held(self._lock):
                    _make_private(self.beside)
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

    def check_number(self, files: int) -> None:
        """A folder takes any number."""

    def prepare(self) -> None:
        """Opening has made all that is needed."""

    def commit(self, files: Mapping[str, Staged], delete: Iterable[str], message: str) -> None:
        """Rename staged files into place, in the mapping's order, then delete. The message is for those who keep one.

        A reader that looks in between may see some files new and some old; a Hub has one instant, a folder has not.
        Where a file becomes a folder, or a folder a file, what is to be deleted there goes just before what comes.
        Staged files that were kept and are not named are removed.

        Raises:
            ContentMissing: a staged file is not there, or not of its size; nothing was changed.
            DestinationError: a file that stays is in the way, and nothing was changed; or a file cannot be renamed or
                deleted, and the next run goes on there.
        """
        with translated():
            self._check_staged(files)
            decision = {"rename": {file.path: path for path, file in files.items()}, "delete": list(delete)}
            goes_first(self.root, files.keys(), set(decision["delete"]) - files.keys())
            with open(self._undecided, "w", encoding="utf-8") as file:
                json.dump(decision, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(self._undecided, self._decided)
            self._carry_out()

    def landed(self, since: str | None) -> str | None:
        """The folder, if a commit that was decided before was carried out when it was opened."""
        return self.name if self._ended else None

    def missing(self, files: Iterable[Staged]) -> list[str]:
        """The paths of those that are not there, or not of their size."""
        return [file.path for file in files if _size(self.stager.root / file.path) != file.size]

    def pin(self, files: Mapping[str, Staged]) -> None:
        """Nobody collects what is staged beside a folder."""

    def unpin(self) -> None:
        """What is staged and not committed goes when the folder is left."""
        self.keep = False

    def mistrust(self) -> None:
        """Every byte is written each time."""

    def _check_staged(self, files: Mapping[str, Staged]) -> None:
        staged, missing = self.stager.root, self.missing(files.values())
        if missing:
            shown = ", ".join(missing[:5]) + (", …" if len(missing) > 5 else "")
            raise ContentMissing(
                f"{staged}: staged files are not there, or not whole, any more ({len(missing)}): {shown}; nothing was "
                "published",
                hint="run the same command again: it writes them again",
                paths=missing,
            )

    def _decision(self) -> dict[str, Any]:
        try:
            decided: dict[str, Any] = json.loads(self._decided.read_text(encoding="utf-8"))
        except ValueError as error:
            raise DestinationError(
                f"{self._decided} is damaged: nobody knows what of the last commit was done",
                hint=f"remove {self.beside}, and publish with --repair",
                path=str(self._decided),
            ) from error
        return decided

    def _carry_out(self) -> None:
        """Do what was decided, or what is left of it. What comes is not deleted, whatever the list says."""
        decided = self._decision()
        going = set(decided["delete"]) - set(decided["rename"].values())
        for name, path in decided["rename"].items():
            source, target = self.stager.root / name, self.root / path
            if source.exists():
                make_way(self.root, path, going)
                target.parent.mkdir(parents=True, exist_ok=True)
                os.replace(source, target)
        for path in sorted(going):
            delete(self.root / path, self.root)
        if self.keep:
            shutil.rmtree(self.stager.root, ignore_errors=True)
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


def _is_no_folder(place: Path) -> bool:
    """Whether something else is there. One look: it may be gone the next moment."""
    try:
        return not stat.S_ISDIR(place.stat().st_mode)
    except FileNotFoundError:
        return False


def _make_private(folder: Path) -> None:
    """See that only its owner may look into it, whoever made it; as far as the file system knows of that."""
    if folder.stat().st_mode & 0o077:
        with suppress(PermissionError):
            folder.chmod(PRIVATE)


def _size(file: Path) -> int | None:
    """The size of a file; None if it is not there."""
    try:
        return file.stat().st_size
    except (FileNotFoundError, NotADirectoryError):
        return None


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
