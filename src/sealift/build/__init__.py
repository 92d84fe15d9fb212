"""The sequence of a publication: plan, pack every shard, publish. Decisions are the verbs'; only the order is here."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from sealift.build.keeping import Keeping, basis_of
from sealift.build.packing import starting, to_pack
from sealift.build.places import (
    USUAL,
    Access,
    budget_for,
    folders_here,
    keep_apart,
    open_destination,
    open_journal,
    open_published,
    open_source,
)
from sealift.build.run import Run, tell
from sealift.build.words import readme_of, words_of
from sealift.errors import DestinationChanged, IntegrityError, RequestError, SourceMissing
from sealift.model.event import OnEvent, ignore
from sealift.model.plan import Plan
from sealift.model.problem import Problem
from sealift.plan import DEFAULT_MEMORY, accept, plan
from sealift.plan.estimate import Memory
from sealift.plan.sample import probe_sample
from sealift.ports import Destination, Source
from sealift.publish import Publication
from sealift.publish.check import check
from sealift.publish.present import Present, examined, look
from sealift.publish.reuse import reusable
from sealift.runners.local import Spares, cores
from sealift.spec import Spec

if TYPE_CHECKING:
    from sealift.model.manifest import Manifest
    from sealift.verify import Extent, Level, Verified
    from sealift.verify.certificate import Certificate
    from sealift.verify.published import Published


@dataclass(frozen=True)
class Built:
    """What a run did: the plan that it followed, what it published where, and what it has to say about the files.

    `to` is what people call the place, `url` its page, if it has one.
    """

    plan: Plan
    publication: Publication
    to: str
    url: str | None
    packed: int
    findings: tuple[Problem, ...]

    def __repr__(self) -> str:
        """In a few words: a notebook shows it."""
        written, deleted = len(self.publication.written), len(self.publication.deleted)
        at = f" at {self.revision[:12]}" if self.revision else ""
        return f"<published to {self.to}{at}: {written} files written, {deleted} deleted>"

    @property
    def revision(self) -> str | None:
        """The commit that readers see now; None for a folder, which has no history."""
        return self.publication.revision


@dataclass(frozen=True)
class Found:
    """What lies at a destination, for people who are asked whether it may go: counts, bytes, and which revision."""

    revision: str | None
    files: int
    bytes: int


def build(
    spec: Spec,
    to: str | None = None,
    *,
    configs: Sequence[str] | None = None,
    memory: int = DEFAULT_MEMORY,
    workers: int | None = None,
    strict: bool = False,
    repair: bool = False,
    replace: bool = False,
    purge: Found | bool = False,
    commit_per_config: bool = False,
    access: Access = USUAL,
    on_event: OnEvent = ignore,
) -> Built:
    """Publish what the spec says: plan, pack, and one commit at the end. What is there already is not done again.

    `configs` publishes these alone, and leaves the others as they are. `memory` bounds the peak anonymous memory of
    the whole process tree in bytes. `strict` turns warnings into errors, before anything is published. `repair` reads
    what is there first, and makes anew what is damaged. `replace` lets another dataset there go, `purge` everything
    but `.gitattributes`; what somebody was shown of it (`Found`) must still be the newest revision. With
    `commit_per_config` each config is committed when it is packed, smallest first, then the tables, the card last.

    Raises:
        PlanRefused: the plan has problems, or (strict) the media has.
        SealiftError: any other, each with what to do next; the destination is as it was, whole, or with
            `commit_per_config` as the last commit left it, and the same run goes on there.
    """
    if purge and configs is not None:
        raise RequestError(
            "a purge deletes all other configs, and some configs alone leave the others",
            hint="leave out --purge or --configs",
        )
    budget = budget_for(spec, to, access, memory, workers or cores())
    with ExitStack() as stack:
        journal = stack.enter_context(open_journal(spec, to, access))
        destination = open_destination(spec, to, access, budget, journal, on_event)
        # A folder that the spec names as destination is no part of the source, wherever this run publishes to.
        source = open_source(spec, exclude=(*destination.here, *folders_here(spec, None), journal.folder.absolute()))
        keep_apart(source, destination)
        stack.enter_context(destination)
        spares = stack.enter_context(Spares())
        keeping = stack.enter_context(Keeping(journal, destination, on_event, access.pin_after))
        keeping.settle(journal.uncertain())
        _check_shown(destination, purge)
        present = look(destination, purge=bool(purge))
        if repair:
            present = examined(destination, present, on_event)
        readme = readme_of(spec)
        heard = starting(spares, budget, on_event)
        made = _accepted(plan(spec, source, destination.work, budget, configs, heard), source, strict, on_event)
        kept = _kept(spec, made, present) if configs is not None else set()
        reuse = reusable(made, kept, present)
        check(made, kept, reuse, present, readme, replaces=replace, purge=bool(purge))
        shards = to_pack(made, reuse.configs)
        destination.check_number(len(shards))
        destination.prepare()
        basis = basis_of(made, destination)
        before = keeping.begin(basis, shards)
        words = words_of(spec, destination, readme)
        run = Run(made, source, destination, keeping, basis, before, words, strict, bool(purge), spares, on_event)
        publication = run.config_by_config(present, kept) if commit_per_config else run.at_once(present, reuse)
        keeping.finish()
    return Built(made, publication, destination.name, destination.url, len(run.receipts), run.findings())


def look_at(spec: Spec, to: str | None = None, *, access: Access = USUAL) -> Found:
    """What a purge of the destination would delete, at most.

    Raises:
        DestinationError: it cannot be listed.
    """
    with open_destination(spec, to, access, Memory(DEFAULT_MEMORY)) as destination:
        sizes = look(destination, purge=True).to_purge()
        return Found(destination.revision, len(sizes), sum(sizes.values()))


def _check_shown(destination: Destination, purge: Found | bool) -> None:
    """What somebody agreed to delete is what is there.

    Raises:
        DestinationChanged: it is not.
    """
    if isinstance(purge, Found) and purge.revision != destination.revision:
        raise DestinationChanged(
            f"{destination.name} was changed since you were asked whether to purge it",
            hint="run the same command again",
            expected=purge.revision,
            found=destination.revision,
        )


def _accepted(made: Plan, source: Source, strict: bool, on_event: OnEvent) -> Plan:
    """The plan, if nothing is wrong with it; its warnings are told."""
    if strict:
        made = probe_sample(made, source, strict=True)  # what packing would find at its end
    tell(made.problems, on_event)
    return accept(made, strict=strict)


def _kept(spec: Spec, made: Plan, present: Present) -> set[str]:
    """The configs that stay as they are when some are named: all others, of the spec and of what is published."""
    published = () if present.manifest is None else present.manifest.configs
    return {*spec.configs, *(config.name for config in published)} - {config.name for config in made.configs}


@contextmanager
def planned(
    spec: Spec,
    to: str | None = None,
    *,
    configs: Sequence[str] | None = None,
    memory: int = DEFAULT_MEMORY,
    workers: int | None = None,
    access: Access = USUAL,
    on_event: OnEvent = ignore,
) -> Iterator[Plan]:
    """The plan alone: nothing is written but to a temporary folder, which lasts as long as the `with`."""
    budget = budget_for(spec, to, access, memory, workers or cores())
    source = open_source(spec, (*folders_here(spec, to), *folders_here(spec, None)))
    with TemporaryDirectory(prefix="sealift-") as work:
        yield plan(spec, source, Path(work), budget, configs, on_event)


def verify_published(
    where: str,
    work: Path,
    extent: Extent | Level = "full",
    against: Spec | None = None,
    *,
    revision: str | None = None,
    access: Access = USUAL,
    memory: int | None = None,
    certificate: Path | None = None,
    certified: Certificate | None = None,
    on_event: OnEvent = ignore,
) -> Verified:
    """Prove a published folder or repository so far; `against` a spec, beside its source, too.

    It is held against what was `certified`; what is proven is written to the file `certificate`.
    """
    from sealift.verify import verify
    from sealift.verify.certificate import certify, check_place, hold
    from sealift.verify.published import Published

    if certificate is not None:
        check_place(certificate, where)
    with open_published(where, revision, access) as (store, commit):
        published = Published(store)
        verified = dataclasses.replace(verify(published, work, extent, on_event), revision=commit)
        problems = [*verified.problems]
        if certified is not None:
            problems += hold(certified, verified, lambda earlier: _manifest_at(where, earlier, access))
        if against is not None and verified.manifest is not None:
            problems += _against(published, verified.manifest, against, where, work, memory, on_event)
        verified = dataclasses.replace(
            verified,
            problems=tuple(problems),
            checked=dict(published.checked),
            bytes_read=published.bytes_read,
            requests=published.requests,
        )
    if certificate is not None and verified.proven:
        certify(verified, where, against=against is not None).write(certificate)
    return verified


def _against(
    published: Published, found: Manifest, spec: Spec, where: str, work: Path, memory: int | None, on_event: OnEvent
) -> list[Problem]:
    """What differs from the source, by a plan made anew."""
    from sealift.verify.against import Against

    source = open_source(spec, folders_here(Spec(to=where), where) if published.facts is None else ())
    made = plan(spec, source, work / "plan", Memory(memory or DEFAULT_MEMORY), None, on_event)
    return [*Against(published, found, made, source, on_event).check()]


def _manifest_at(where: str, revision: str, access: Access) -> str | None:
    """The SHA-256 of the manifest at a revision; None if there is no such revision, or no manifest there."""
    from sealift.verify.published import Published

    try:
        with open_published(where, revision, access) as (store, _):
            data = Published(store).manifest_bytes()
    except (SourceMissing, IntegrityError):
        return None
    return None if data is None else hashlib.sha256(data).hexdigest()
