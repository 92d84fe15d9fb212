"""A shard on this machine as memory: its cells are handed out without a copy."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Self

from sealift.errors import SourceMissing
from sealift.formats.parquet.chains import Memory
from sealift.formats.parquet.footer import Footer, read_footer
from sealift.formats.parquet.reader import CellPage, cells


class MappedShard:
    """A Parquet file mapped into memory, to be read only; use it with `with`.

    `cell` and `range` hand out the map itself. What was handed out stays valid when the shard is closed, and for as
    long as somebody holds it: the map goes with its last view. Pages that were looked at lie in the system's cache and
    count for no process. The file may be deleted or replaced meanwhile, which is how Sealift changes files; one that
    somebody cuts short in place ends the process that looks at what is gone (SIGBUS), as with any map.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._memory: Memory | None = None

    def __enter__(self) -> Self:
        """Open it; nothing is read yet.

        Raises:
            SourceMissing: it is not there, or may not be read.
        """
        try:
            file = os.open(self.path, os.O_RDONLY)
            try:
                size = os.fstat(file).st_size
                view = mmap.mmap(file, size, access=mmap.ACCESS_READ) if size else b""
            finally:
                os.close(file)
        except OSError as error:
            raise SourceMissing(
                f"{self.path} cannot be read: {error.strerror}", hint="check the path", path=str(self.path)
            ) from error
        self._memory = Memory(memoryview(view))
        return self

    def __exit__(self, *error: object) -> None:
        """Close it for itself; views that were handed out keep the map."""
        self._memory = None

    @property
    def size(self) -> int:
        """The bytes of the file."""
        return self._bytes.size

    @cached_property
    def footer(self) -> Footer:
        """What the file says of itself; read once.

        Raises:
            IntegrityError: it is no Parquet file, or its footer is damaged.
        """
        return read_footer(lambda offset, length: bytes(self.range(offset, length)), self.size)

    def cell(self, offset: int, size: int) -> memoryview:
        """The bytes of the cell that the index, or `cells`, says to lie there: the map itself, not a copy.

        Raises:
            IntegrityError: they do not lie in the file.
        """
        return self.range(offset, size)

    def range(self, offset: int, length: int) -> memoryview:
        """These bytes of the file, in place.

        Raises:
            IntegrityError: they do not lie in the file.
        """
        return self._bytes.range(offset, length)

    def cells(self, leaf: str, row_groups: Iterable[int] | None = None) -> Iterator[CellPage]:
        """Where every present cell of the leaf lies, as the function `cells` says; some millions a second.

        Raises:
            RequestError: the file has no such leaf, or one that is no bytes or a list of lists.
            IntegrityError: a page is damaged, or not plain and uncompressed.
        """
        return cells(self._bytes, self.footer, leaf, row_groups)

    @property
    def _bytes(self) -> Memory:
        if self._memory is None:
            raise ValueError(f"{self.path} is not open")
        return self._memory
