"""The sequence of a publication: plan, pack every shard, publish. Decisions are the verbs'; only the order is here."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa

from sealift import __version__
from sealift.build.packing import findings_of, pack_all, to_pack
from sealift.build.places import (
    USUAL,
    Access,
    budget_for,
    folders_here,
    keep_apart,
    open_destination,
    open_published,
    open_source,
)
from sealift.errors import DestinationChanged, PlanRefused, RequestError
from sealift.model.event import OnEvent, Warned, ignore
from sealift.model.plan import Plan
from sealift.model.problem import Problem
from sealift.model.receipt import Receipt
from sealift.pack import index_part
from sealift.plan import DEFAULT_MEMORY, accept, plan
from sealift.plan.estimate import Memory
from sealift.plan.sample import probe_sample
from sealift.ports import Destination, Source
from sealift.publish import Publication, Words, publish
from sealift.publish.present import Present, Reuse, card_text, check, look, reusable, staying
from sealift.spec import Spec, where_to
from sealift.verify import Level, Verified, verify
from sealift.verify.against import Against
from sealift.verify.published import Published

TRIES = 3
"""So often a commit is tried anew when others have changed the destination meanwhile, but nothing of the dataset."""


@dataclass(frozen=True)
class Built:
    """What a run did: the plan that it followed, what it published where, and what it has to say about the files."""

    plan: Plan
    publication: Publication
    to: str
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
        SealiftError: any other, each with what to do next; the destination is as it was, whole.
    """
    if purge and configs is not None:
        raise RequestError(
            "a purge deletes all other configs, and some configs alone leave the others",
            hint="leave out --purge or --configs",
        )
    budget = budget_for(spec, to, access, memory, workers or cores())
    destination = open_destination(spec, to, access, budget)
    # A folder that the spec names as destination is no part of the source, wherever this run publishes to.
    source = open_source(spec, exclude=(*destination.here, *folders_here(spec, None)))
    keep_apart(source, destination)
    with destination:
        present, readme = look(destination, repair=repair, on_event=on_event), _readme(spec)
        if purge:
            present = _purged(present, destination, purge)
        made = plan(spec, source, destination.work, budget, configs, on_event)
        if strict:
            made = probe_sample(made, source, strict=True)  # what packing would find at its end
        _tell(made.problems, on_event)
        accept(made, strict=strict)
        kept = [name for name in spec.configs if configs is not None and name not in configs]
        reuse = reusable(made, kept, present)
        check(made, kept, reuse, present, readme, replace=replace, purge=bool(purge))
        destination.prepare()
        run = _Run(made, source, destination, _words(spec, destination, readme), strict, on_event)
        if commit_per_config:
            present = run.config_by_config(present, reuse)
            reuse = reusable(made, kept, present)
        run.publish(made, reuse, present, purge=bool(purge))
    assert run.publication is not None
    return Built(made, run.publication, destination.name, len(run.receipts), run.findings())


@dataclass
class _Run:
    """A plan on its way to the destination, in one commit or in several."""

    made: Plan
    source: Source
    destination: Destination
    words: Words
    strict: bool
    on_event: OnEvent
    receipts: list[Receipt] = dataclasses.field(default_factory=list)
    publication: Publication | None = None

    def config_by_config(self, present: Present, reuse: Reuse) -> Present:
        """Commit each config, smallest first, then the tables; what lies there when that is done, all but the card.

        Each of these commits leaves a card that says what is there, and everything else as it is.
        """
        for name in self.made.smallest_first:
            if name not in reuse.configs:
                self.publish(self.made.part([name], rest=False), staying(present, [name]), present)
                present = look(self.destination)
        if self.made.also or self.made.rejects:
            names = {config.name for config in self.made.configs}
            self.publish(self.made, reusable(self.made, names, present), present, card=False)
            present = look(self.destination)
        return present

    def publish(self, part: Plan, reuse: Reuse, present: Present, *, card: bool = True, purge: bool = False) -> None:
        """Pack what is not there yet of a part of the plan, and commit it."""
        shards = to_pack(part, reuse.configs)
        receipts = pack_all(part, shards, self.source, self.destination.stager, self.on_event)
        self.receipts += receipts
        self._judge(receipts)
        for attempt in range(TRIES):
            try:
                done = self._commit(part, receipts, reuse, present, card=card, purge=purge)
                break
            except DestinationChanged:
                self.destination.refresh()
                now = look(self.destination)
                if attempt == TRIES - 1 or purge or now.manifest != present.manifest:
                    raise
                present = now
        self.publication = done.after(self.publication)

    def _commit(
        self, part: Plan, receipts: Sequence[Receipt], reuse: Reuse, present: Present, *, card: bool, purge: bool
    ) -> Publication:
        return publish(
            part,
            receipts,
            reuse,
            present,
            self.source,
            self.destination,
            versions={"sealift": __version__, "pyarrow": pa.__version__},
            words=self.words,
            index_parts={
                config.name: [index_part(part, shard) for shard in part.shards if shard.config == config.name]
                for config in part.configs
            },
            card=card,
            purge=purge,
            on_event=self.on_event,
        )

    def _judge(self, receipts: Sequence[Receipt]) -> None:
        """Tell what the probes noticed; in a strict run that is the end of it."""
        findings = list(findings_of(receipts, strict=self.strict))
        _tell(findings, self.on_event)
        if self.strict and findings:
            raise PlanRefused(
                "the media is not what its columns say:\n" + "\n".join(f"  {problem}" for problem in findings),
                hint="mend the files, or run without --strict; nothing of this was published",
                problems=[problem.as_json() for problem in findings],
            )

    def findings(self) -> tuple[Problem, ...]:
        """What the probes noticed in all that was packed."""
        return tuple(findings_of(self.receipts, strict=self.strict))


def look_at(spec: Spec, to: str | None = None, *, access: Access = USUAL) -> Found:
    """What a purge of the destination would delete, at most.

    Raises:
        DestinationError: it cannot be listed.
    """
    with open_destination(spec, to, access, Memory(DEFAULT_MEMORY)) as destination:
        sizes = look(destination).to_purge()
        return Found(destination.revision, len(sizes), sum(sizes.values()))


def _purged(present: Present, destination: Destination, purge: Found | bool) -> Present:
    """The destination as it counts for a purge: no words of its card stay.

    Raises:
        DestinationChanged: it is not what somebody was shown.
    """
    if isinstance(purge, Found) and purge.revision != destination.revision:
        raise DestinationChanged(
            f"{destination.name} was changed since you were asked whether to purge it",
            hint="run the same command again",
            expected=purge.revision,
            found=destination.revision,
        )
    return dataclasses.replace(present, card=None)


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


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0))


def _tell(problems: Iterable[Problem], on_event: OnEvent) -> None:
    for problem in problems:
        if problem.severity == "warning":
            on_event(Warned(str(problem)))


def _words(spec: Spec, destination: Destination, readme: str | None) -> Words:
    """What the card is to say; it calls the dataset by its name on the Hub, or by that of its folder."""
    to = spec.to if destination.here and spec.to and where_to(spec.to)[0] == "hub" else destination.name
    name = to.removeprefix("hf://datasets/").partition("@")[0]
    if destination.here and to == destination.name:
        name = f"./{Path(to).name}"
    said = spec.card.model_dump(exclude_unset=True, exclude={"readme", "extra"}) | dict(spec.card.extra)
    return Words(said, name, readme)


def _readme(spec: Spec) -> str | None:
    if spec.card.readme is None:
        return None
    file = spec.path(spec.card.readme)
    try:
        return card_text(file.read_bytes())
    except OSError as error:
        raise spec.mistake(f"{file} cannot be read", "card", "readme", hint="check the path") from error
    except RequestError as error:
        raise spec.mistake(error.message, "card", "readme", hint=error.hint) from error


def verify_published(
    where: str,
    work: Path,
    level: Level = "full",
    against: Spec | None = None,
    *,
    revision: str | None = None,
    access: Access = USUAL,
    memory: int | None = None,
    on_event: OnEvent = ignore,
) -> Verified:
    """Prove a published folder or repository up to a level; `against` a spec, beside its source, too."""
    with open_published(where, revision, access) as (store, commit):
        published = Published(store)
        verified = dataclasses.replace(verify(published, work, level, on_event), revision=commit)
        if against is None or verified.manifest is None:
            return verified
        source = open_source(against, folders_here(Spec(to=where), where) if commit is None else ())
        made = plan(against, source, work / "plan", Memory(memory or DEFAULT_MEMORY), None, on_event)
        problems = [*verified.problems, *Against(published, verified.manifest, made, source, on_event).check()]
        return dataclasses.replace(
            verified,
            problems=tuple(problems),
            checked=dict(published.checked),
            bytes_read=published.bytes_read,
            requests=published.requests,
        )
