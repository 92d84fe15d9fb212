"""What the figures were measured on: the machine, how fast it hashes and copies, and the version of everything."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import time
from collections.abc import Callable, Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

from blake3 import blake3

from benchmarks.environments import VENVS, versions

PIECE = 1 << 20
SECONDS = 0.1
"""How long each speed is tried."""
NAMED = frozenset(
    {"daft", "datasets", "duckdb", "litdata", "mosaicml-streaming", "numpy", "polars", "pyarrow", "pylance", "ray"}
    | {"torch", "webdataset"}
)


def described(root: Path, environments: Iterable[str], venvs: Path = VENVS) -> dict[str, Any]:
    """The machine as it is now, and what lies below the root. Takes a second."""
    return {
        "processor": _line("/proc/cpuinfo", "model name"),
        "cores": len(os.sched_getaffinity(0)),
        "memory": int(_line("/proc/meminfo", "MemTotal").split()[0]) * 1024,
        "kernel": platform.release(),
        "filesystem": _filesystem(root),
        "sha256_bytes_per_second": _speed(lambda data: hashlib.sha256(data).digest()),
        "blake3_bytes_per_second": _speed(lambda data: blake3(data).digest()),
        "copy_bytes_per_second": _speed(bytearray),
        "sealift": metadata.version("sealift"),
        "python": platform.python_version(),
        "tar": _first_line("tar", "--version"),
        "cat": _first_line("cat", "--version"),
        "environments": {name: _named(versions(name, venvs)) for name in sorted({"own", *environments})},
    }


def _named(installed: dict[str, str]) -> dict[str, str]:
    return {name: version for name, version in installed.items() if name in NAMED}


def _line(path: str, name: str) -> str:
    """What stands behind the name in a file of the kernel's."""
    for line in Path(path).read_text().splitlines():
        key, found, value = line.partition(":")
        if found and key.strip() == name:
            return value.strip()
    return "0 unknown"


def _filesystem(root: Path) -> str:
    """The kind of the file system that the root lies on: that of the longest mount point above it."""
    best, kind = "", "unknown"
    for line in Path("/proc/mounts").read_text().splitlines():
        _, point, found, *_ = line.split()
        if root.resolve().is_relative_to(point) and len(point) >= len(best):
            best, kind = point, found
    return kind


def _speed(work: Callable[[bytes], object]) -> int:
    """Bytes a second, of one piece that stays in the cache; the best of many."""
    data, best = os.urandom(PIECE), float("inf")
    until = time.perf_counter() + SECONDS
    while (began := time.perf_counter()) < until:
        work(data)
        best = min(best, time.perf_counter() - began)
    return round(PIECE / best)


def _first_line(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.partition("\n")[0]
