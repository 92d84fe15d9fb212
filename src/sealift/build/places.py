"""Where things lie: the source, the destination and a published dataset that the user names, as ports."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sealift.build.keeping import PIN_AFTER_S
from sealift.errors import RequestError
from sealift.journal import Journal
from sealift.journal.places import beside, job_name, state_folder
from sealift.model.event import OnEvent, ignore
from sealift.plan.estimate import DRIVER, WORKER, Memory
from sealift.ports import Destination
from sealift.spec import Spec, where_to
from sealift.stores.local import LocalFolder
from sealift.stores.local_destination import LocalDestination

if TYPE_CHECKING:
    from sealift.verify.published import Store


@dataclass(frozen=True)
class Access:
    """How to reach a Hub, and where a run keeps what it needs to be gone on with.

    What is None comes from the usual places: `endpoint` and `token` from HF_ENDPOINT, HF_TOKEN and `hf auth login`,
    the `state` of jobs for a Hub from SEALIFT_STATE, else below XDG_STATE_HOME; that of a folder lies beside it.
    `staging` is how many bytes of packed files may wait on this machine's disk until they are uploaded: 0 none, None
    as the Hub's way of upload needs it. `bandwidth` bounds uploads, in bytes a second, of all workers together. A job
    that takes longer than `pin_after` seconds has what it staged pinned. `waits` are the seconds before each try of a
    request after the first, `stall` those without a byte after which an upload is given up.
    """

    endpoint: str | None = None
    token: str | None = field(default=None, repr=False)
    staging: int | None = None
    state: Path | None = None
    bandwidth: int | None = None
    pin_after: float = PIN_AFTER_S
    waits: tuple[float, ...] | None = None
    stall: float | None = None


USUAL = Access()
ROW_GROUP = 100_000_000
"""Bytes of memory kept for the light columns of a row group before uploads get what is left; the plan knows better."""


def open_source(spec: Spec, exclude: tuple[Path, ...] = ()) -> LocalFolder:
    """The source that the spec names: a folder, which is the spec's own if it names none."""
    return LocalFolder(spec.path(spec.from_ or "."), exclude)


def open_journal(spec: Spec, to: str | None, access: Access) -> Journal:
    """The record of the job to that destination, whatever spec or machine began it. Not entered yet.

    Raises:
        RequestError: nothing says where the dataset goes, or the name cannot be one.
    """
    kind, where = where_to(to or spec.to)
    if kind == "folder":
        folder = _folder(spec, to, where)
        if access.state is None:
            return Journal(beside(folder), passing=True)
        return Journal(access.state / job_name(os.path.realpath(folder)))
    from sealift.stores.hub.place import Place

    place = Place.parse(where, access.endpoint)
    return Journal((access.state or state_folder()) / job_name(f"{place.endpoint}/datasets/{place.name}"))


def open_destination(
    spec: Spec,
    to: str | None,
    access: Access,
    budget: Memory,
    journal: Journal | None = None,
    on_event: OnEvent = ignore,
) -> Destination:
    """Where the dataset goes: `to`, else what the spec says. Not entered yet. `journal` is entered, if there is one.

    Raises:
        RequestError: nothing says where, or the name cannot be one; or a folder is to have a limit that it cannot have.
    """
    kind, where = where_to(to or spec.to)
    if kind == "folder":
        if access.bandwidth is not None:
            raise RequestError(
                "a bandwidth limits uploads, and nothing is uploaded to a folder",
                hint="leave out --bandwidth",
                to=where,
            )
        return LocalDestination(_folder(spec, to, where), keep=True, job=None if journal is None else journal.job)
    from sealift.stores.hub.destination import HubDestination
    from sealift.stores.hub.place import Place
    from sealift.stores.hub.stage import blocks_within
    from sealift.stores.hub.wire import WAITS

    made = HubDestination(
        Place.parse(where, access.endpoint),
        access.token,
        private=bool(spec.private),
        staging=access.staging,
        workers=budget.workers,
        blocks=blocks_within(budget.uploads),
        waits=WAITS if access.waits is None else access.waits,
        stall=access.stall,
        bandwidth=access.bandwidth,
        on_event=on_event,
    )
    return made if journal is None else replace(made, job=journal.job, commits=journal.sent)


def budget_for(spec: Spec, to: str | None, access: Access, memory: int, workers: int) -> Memory:
    """That memory for so many workers, with what uploading takes of it: as many blocks at a time as there is room."""
    if not (to or spec.to) or where_to(to or spec.to)[0] == "folder":
        return Memory(memory, workers)
    from sealift.stores.hub.stage import LFS_STAGING, blocks_within, held

    left = (memory - DRIVER) // workers - WORKER - ROW_GROUP
    staging = LFS_STAGING if access.staging is None else access.staging
    return Memory(memory, workers, held(blocks_within(left)), staging)


def folders_here(spec: Spec, to: str | None) -> tuple[Path, ...]:
    """The folders of the destination on this machine, which are no part of the source; none is touched."""
    if not (to or spec.to):
        return ()
    kind, where = where_to(to or spec.to)
    return LocalDestination(_folder(spec, to, where)).here if kind == "folder" else ()


def keep_apart(source: LocalFolder, destination: Destination) -> None:
    """Nothing is published into its own source.

    Raises:
        RequestError: the destination is the source itself.
    """
    for folder in destination.here[:1]:
        if os.path.realpath(source.root) == os.path.realpath(folder):
            raise RequestError(
                f"{folder} is the source itself",
                hint=f"publish to a folder of its own: --to {folder / 'out'}",
                path=str(folder),
            )


@contextmanager
def open_published(where: str, revision: str | None, access: Access) -> Iterator[tuple[Store, str | None]]:
    """The files of a published dataset, in a folder or on a Hub, and the commit that is read.

    Raises:
        RequestError: there is no such folder.
        SourceMissing: there is no such repository or revision, or it may not be seen.
        AccessDenied: the token is not valid.
    """
    kind, name = published_as(where)
    if kind == "folder":
        if revision is not None:
            raise RequestError("a folder has no revisions", hint="leave out --revision", path=where)
        if not Path(name).is_dir():
            raise RequestError(f"there is no folder {name}", hint="give the folder that was published to", path=name)
        yield LocalFolder(Path(name)), None
        return
    from sealift.stores.hub.files import HubFiles
    from sealift.stores.hub.place import Place

    place = Place.parse(f"{name}@{revision}" if revision else name, access.endpoint)
    files = HubFiles.at(place, access.token)
    yield files, files.revision


def published_as(where: str) -> tuple[str, str]:
    """Whether that is a folder or a repository; a folder that is there is one, whatever its name looks like."""
    return ("folder", where) if Path(where).is_dir() else where_to(where)


def _folder(spec: Spec, to: str | None, where: str) -> Path:
    # What the command line says counts from where it is said; what the spec says, from the spec.
    return Path(os.path.abspath(Path(where).expanduser())) if to else spec.path(where)
