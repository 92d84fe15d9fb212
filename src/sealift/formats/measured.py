"""A sink that knows what went through it: SHA-256 and size."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

from sealift.ports import Sink

BESIDE_BYTES = 64 << 10
"""From this size on, the SHA-256 of a piece is taken in a thread while the piece is written."""


class Measured:
    """Passes everything on and measures it; enough of a file for pyarrow. Use it with `with`."""

    closed = False

    def __init__(self, sink: Sink) -> None:
        self._write: Callable[[Any], object] = sink.write
        # Its thread starts with the first large piece.
        self._beside = ThreadPoolExecutor(1)
        self.digest = hashlib.sha256()
        self.size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._beside.shutdown()

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Take all of the data; how many bytes that was."""
        if len(data) < BESIDE_BYTES:
            self.digest.update(data)
            self._write(data)
        else:
            hashed = self._beside.submit(self.digest.update, data)
            try:
                self._write(data)
            finally:
                hashed.result()
        self.size += len(data)
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """Who opened the sink closes it."""
