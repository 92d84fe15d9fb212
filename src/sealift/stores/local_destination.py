"""A folder on this machine as a destination, laid out as on the Hub: staged beside, renamed into place at the end."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Self

import pyarrow as pa

from sealift.errors import DestinationError, IntegrityError
from sealift.model.entry import Entry
from sealift.ports import Sink, Staged
from sealift.stores.local import LocalFolder

AGAIN = "mend that and run the same command again"


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
            with _translated():
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

        Raises:
            DestinationError: a file cannot be renamed or deleted; the next run goes on there.
        """
        with _translated():
            decision = {"rename": {file.path: path for path, file in files.items()}, "delete": list(delete)}
            self._undecided.write_text(json.dumps(decision), encoding="utf-8")
            os.replace(self._undecided, self._decided)
            self._carry_out()

    def _carry_out(self) -> None:
        """Do what was decided, or what is left of it."""
        decided = json.loads(self._decided.read_text(encoding="utf-8"))
        for name, path in decided["rename"].items():
            source, target = self.stager.root / name, self.root / path
            if source.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                os.replace(source, target)
        for path in decided["delete"]:
            (self.root / path).unlink(missing_ok=True)
            _prune((self.root / path).parent, self.root)
        self._decided.unlink()


@dataclass(frozen=True)
class LocalStage:
    """A folder of staged files. Picklable: workers write into it at the same time, each its own files."""

    root: Path

    def stage(self, path: str, write: Callable[[Sink], object], *, hold: bool = False) -> Staged:
        """Stage a file; it has its name only when it is complete. Nothing is held in memory.

        Raises:
            DestinationError: the disk is full or does not take the file.
        """
        target = self.root / path
        half = target.with_name(target.name + ".part")
        with _translated("make room there and run the same command again"):
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                with open(half, "wb", buffering=0) as file:
                    write(_Whole(file))
                    size = file.tell()
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
def _translated(hint: str = AGAIN) -> Iterator[None]:
    """Errors of the file system become ours."""
    try:
        yield
    except BrokenPipeError:  # nobody listens to the run any more: not about files
        raise
    except OSError as error:
        where = os.fspath(error.filename) if error.filename else "the destination"
        raise DestinationError(f"{where}: {error.strerror or error}", hint=hint, path=where) from error


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


def _prune(folder: Path, root: Path) -> None:
    """Remove folders that deletions left empty."""
    while folder != root and folder.is_relative_to(root):
        try:
            folder.rmdir()
        except OSError:
            return
        folder = folder.parent
