"""What this machine gives a run: memory, cores, disk, and the libraries that are installed."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from sealift.runners import local

CGROUPS = Path("/sys/fs/cgroup")
"""Where the limits of containers and batch systems stand."""
IN_MEMORY = frozenset({"tmpfs", "ramfs"})
_REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9._-]+)>=(?P<least>[0-9.]+)(?:;\s*extra == '(?P<extra>[^']+)')?")


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes that this process may take: what is available now, and the limit with what sets it."""

    available: int
    limit: int
    limited_by: str


@dataclass(frozen=True, slots=True)
class Disk:
    """The file system of a folder, which need not be there yet: bytes free, and whether it lies in memory."""

    folder: Path
    free: int
    in_memory: bool


@dataclass(frozen=True, slots=True)
class Library:
    """A library and the least version of it that is needed; `found` is None where it is not installed."""

    name: str
    least: str
    found: str | None

    @property
    def good(self) -> bool:
        """Whether it is there and new enough."""
        return self.found is not None and numbers(self.found) >= numbers(self.least)


def memory(meminfo: str | None = None, cgroups: Path = CGROUPS) -> Memory:
    """What the machine has, or the tightest limit above this process if that is less."""
    said = meminfo if meminfo is not None else Path("/proc/meminfo").read_text()
    sizes = {name: int(kib) * 1024 for name, kib in re.findall(r"^(\w+):\s+(\d+) kB$", said, re.M)}
    limit, by = sizes["MemTotal"], "the machine"
    for file in _limit_files(cgroups):
        text = file.read_text().strip()
        if text.isdecimal() and int(text) < limit:
            limit, by = int(text), f"the limit in {file}"
    return Memory(min(sizes["MemAvailable"], limit), limit, by)


def cores(cgroups: Path = CGROUPS) -> float:
    """How many cores this process may keep busy: those it may run on, or the share that a container gives it."""
    count = float(local.cores())
    for folder in _groups(cgroups):
        file = folder / "cpu.max"
        quota, _, period = (file.read_text() if file.is_file() else "max").partition(" ")
        if quota.isdecimal() and period.strip().isdecimal():
            count = min(count, int(quota) / int(period))
    return count


def disk(folder: Path) -> Disk:
    """The file system that the folder lies on, or will lie on."""
    there = next(one for one in (folder.absolute(), *folder.absolute().parents) if one.is_dir())
    return Disk(folder, shutil.disk_usage(there).free, _type_of(there) in IN_MEMORY)


def libraries(extra: str | None = None) -> list[Library]:
    """What this version of sealift needs, or what one of its extras brings, and what of it is installed.

    Raises:
        PackageNotFoundError: sealift itself is not installed as a package.
    """
    asked = (_REQUIREMENT.match(line) for line in metadata.requires("sealift") or ())
    return [Library(one["name"], one["least"], version(one["name"])) for one in asked if one and one["extra"] == extra]


def python() -> Library:
    """The interpreter, as a library."""
    asked = metadata.metadata("sealift")["Requires-Python"]
    return Library("Python", asked.removeprefix(">="), ".".join(map(str, sys.version_info[:3])))


def version(name: str) -> str | None:
    """The installed version of a distribution."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def numbers(text: str) -> tuple[int, ...]:
    """The numbers that a version begins with; (5, 2) of `5.2.dev0`."""
    found = re.match(r"\d+(?:\.\d+)*", text)
    return tuple(map(int, found[0].split("."))) if found else ()


def _groups(cgroups: Path) -> Iterator[Path]:
    """The control groups that this process is in, those of the newer kind and the older ones for memory."""
    bases = {"": cgroups, "memory": cgroups / "memory"}
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, kind, name = line.split(":", 2)
        if kind in bases:
            place = bases[kind] / name.lstrip("/")
            yield from (one for one in (place, *place.parents) if one.is_relative_to(bases[kind]))


def _limit_files(cgroups: Path) -> Iterator[Path]:
    for folder in _groups(cgroups):
        for name in ("memory.max", "memory.limit_in_bytes"):
            if (folder / name).is_file():
                yield folder / name


def _type_of(folder: Path) -> str:
    """The type of the file system that a folder lies on."""
    best, kind = Path(), ""
    for line in Path("/proc/mounts").read_text().splitlines():
        _, place, type_, *_ = line.split(" ")
        mounted = Path(place.encode().decode("unicode_escape"))
        if folder.resolve().is_relative_to(mounted) and len(mounted.parts) >= len(best.parts):
            best, kind = mounted, type_
    return kind
