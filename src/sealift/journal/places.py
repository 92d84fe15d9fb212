"""Where the state of jobs lies. Whoever only looks for a job loads no library for it."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from sealift.journal.records import Progress

SCHEME = "hf://datasets/"
READABLE = 60
"""So many characters of a destination's name are in the name of its job's folder."""


def state_folder() -> Path:
    """Where the state of jobs lies if nobody says otherwise."""
    if said := os.environ.get("SEALIFT_STATE"):
        return Path(said).expanduser().absolute()
    return Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state").expanduser() / "sealift"


def beside(root: str | os.PathLike[str]) -> Path:
    """Where the job to a folder lies if nobody says otherwise: with what is staged for it, so both move together."""
    real = Path(os.path.realpath(os.path.expanduser(root)))
    return real.parent / f".{real.name}.sealift" / "job"


def job_name(destination: str) -> str:
    """A folder's name for the job: one that people recognise, and no other destination has."""
    return f"{_readable(destination)}-{hashlib.sha256(destination.encode('utf-8', 'surrogateescape')).hexdigest()[:12]}"


def folders(to: str | None = None, state: Path | None = None) -> Iterator[Path]:
    """The folders in which there may be a job to that destination; those of all of the state folder, if none is named.

    `is_to` tells whether the one that is there is meant: a folder's name does not say it all.
    """
    if to is not None and state is None and beside(to).is_dir():
        yield beside(to)
        return
    state = state or state_folder()
    wanted = None if to is None else {_readable(_plain(to)), _readable(_real(to))}
    for folder in sorted(state.iterdir()) if state.is_dir() else ():
        if folder.is_dir() and (wanted is None or folder.name.rpartition("-")[0] in wanted):
            yield folder


def is_to(job: Progress, to: str, endpoint: str | None = None) -> bool:
    """Whether the job's destination is what people mean by `to`: a folder, or a repository of whatever Hub; `endpoint`
    names the Hub."""
    if job.url is None:
        return endpoint is None and _real(job.to) == _real(to)
    return job.to == _plain(to) and (endpoint is None or endpoint_of(job) == endpoint.rstrip("/"))


def endpoint_of(job: Progress) -> str | None:
    """The Hub that the job goes to; None for a folder."""
    return None if job.url is None else job.url.partition("/datasets/")[0]


def _readable(destination: str) -> str:
    name = destination.rpartition("/datasets/")[2]
    return re.sub(r"[^A-Za-z0-9._]+", "-", name)[-READABLE:].strip("-.")


def _plain(to: str) -> str:
    """`org/name@branch`, however it was said."""
    return unquote(to.removeprefix(SCHEME)) if to.startswith(SCHEME) else to


def _real(folder: str) -> str:
    return os.path.realpath(os.path.expanduser(folder))
