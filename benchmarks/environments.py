"""Peers' environments, apart from ours and from each other, built from what is pinned in `requirements/bench`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "requirements" / "bench"
NOT_NEEDED = REQUIREMENTS / "not-needed.txt"
"""What a peer asks for and does not use for writing; left out, since it is large or would have to fit another build."""
VENVS = Path(__file__).resolve().parent / ".venvs"


def python_of(environment: str, venvs: Path = VENVS) -> Path:
    """The interpreter of an environment; `own` is the one that runs this."""
    return Path(sys.executable) if environment == "own" else venvs / environment / "bin" / "python"


def build(environments: Iterable[str], venvs: Path = VENVS) -> None:
    """Make the environments that are not there as they are pinned. Repeating it costs nothing.

    Modules are compiled on installing, so that no run pays for it.

    Raises:
        CalledProcessError: something could not be installed.
    """
    for name in sorted(set(environments) - {"own"}):
        pinned = REQUIREMENTS / f"{name}.txt"
        place, stamp = venvs / name, venvs / f".made-{name}"
        wanted = _pins(pinned) + _pins(NOT_NEEDED)
        if stamp.is_file() and stamp.read_text() == wanted:
            continue
        print(f"setting up {place}", flush=True)
        shutil.rmtree(place, ignore_errors=True)
        place.parent.mkdir(parents=True, exist_ok=True)
        uv = [sys.executable, "-m", "uv"]
        subprocess.run([*uv, "venv", "--quiet", "--python", sys.executable, str(place)], check=True)
        install = [*uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", str(python_of(name, venvs))]
        options = ["--requirement", str(pinned), "--override", str(NOT_NEEDED)]
        subprocess.run([*install, *options], check=True, env=_links(dict(os.environ)))
        stamp.write_text(wanted)


def _pins(path: Path) -> str:
    """What a file of requirements asks for, without what it says."""
    return "".join(line for line in path.read_text().splitlines(keepends=True) if not line.lstrip().startswith("#"))


def versions(environment: str, venvs: Path = VENVS) -> dict[str, str]:
    """What is installed in it."""
    command = [sys.executable, "-m", "uv", "pip", "freeze", "--python", str(python_of(environment, venvs))]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return dict(line.split("==", 1) for line in said.splitlines() if "==" in line)


def _links(environment: dict[str, str]) -> dict[str, str]:
    """pip's folder of wheels is uv's as well: a build of torch for processors alone may lie there."""
    if "PIP_FIND_LINKS" in environment:
        environment.setdefault("UV_FIND_LINKS", environment["PIP_FIND_LINKS"])
    return environment
