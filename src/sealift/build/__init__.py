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
from sealift.errors import NotSupportedYet, PlanRefused, RequestError
from sealift.model.event import Finished, OnEvent, Started, Warned, ignore
from sealift.model.plan import Plan, PlannedShard
from sealift.model.problem import Problem
from sealift.model.receipt import Receipt
from sealift.pack import STAGE, index_part, job, pack
from sealift.plan import DEFAULT_MEMORY, accept, plan
from sealift.plan.estimate import Memory
from sealift.plan.sample import probe_sample
from sealift.publish import Publication, publish
from sealift.publish.present import Reuse, card_text, check, look, reusable
from sealift.runners.local import LocalRunner, WorkerDied
from sealift.spec import Spec, where_to
from sealift.stores.local import LocalFolder
from sealift.stores.local_destination import LocalDestination
from sealift.verify import Level, Verified, verify
from sealift.verify.against import Against
from sealift.verify.published import Published


@dataclass(frozen=True)
class Built:
    """What a run did: the plan that it followed, what it published where, and what it has to say about the files."""

    plan: Plan
    publication: Publication
    root: Path
    packed: int
    findings: tuple[Problem, ...]

    def __repr__(self) -> str:
        """In a few words: a notebook shows it."""
        written, deleted = len(self.publication.written), len(self.publication.deleted)
        return f"<published to {self.root}: {written} files written, {deleted} deleted>"


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
    on_event: OnEvent = ignore,
) -> Built:
    """Publish what the spec says: plan, pack, and one commit at the end. What is there already is not done again.

    `configs` publishes these alone, and leaves the others as they are. `memory` bounds the peak anonymous memory of
    the whole process tree in bytes. `strict` turns warnings into errors, before anything is published. `repair` reads
    what is there first, and makes anew what is damaged. `replace` lets another dataset there go.

    Raises:
        PlanRefused: the plan has problems, or (strict) the media has.
        SealiftError: any other, each with what to do next; the destination is as it was, whole.
    """
    destination = LocalDestination(_folder(spec, to))
    budget = Memory(memory, workers or cores())
    source = open_source(spec, exclude=(destination.root, destination.beside))
    _keep_apart(source, destination)
    with destination:
        present, readme = look(destination, repair=repair, on_event=on_event), _readme(spec)
        made = plan(spec, source, destination.beside / "work", budget, configs, on_event)
        if strict:
            made = probe_sample(made, source, strict=True)  # what packing would find at its end
        _tell(made.problems, on_event)
        accept(made, strict=strict)
        kept = [name for name in spec.configs if configs is not None and name not in configs]
        reuse = reusable(made, kept, present)
        check(made, kept, reuse, present, readme, replace=replace)
        shards = _to_pack(made, reuse)
        receipts = _pack_all(made, shards, source, destination, on_event)
        findings = tuple(_findings(receipts, strict))
        _tell(findings, on_event)
        if strict and findings:
            raise PlanRefused(
                "the media is not what its columns say:\n" + "\n".join(f"  {problem}" for problem in findings),
                hint="mend the files, or run without --strict; nothing was published",
                problems=[problem.as_json() for problem in findings],
            )
        publication = publish(
            made,
            receipts,
            reuse,
            present,
            source,
            destination,
            versions={"sealift": __version__, "pyarrow": pa.__version__},
            said=spec.card.model_dump(exclude_unset=True, exclude={"readme", "extra"}) | dict(spec.card.extra),
            repository=_repository(spec, destination.root),
            readme=readme,
            index_parts={
                config.name: [index_part(made, shard) for shard in made.shards if shard.config == config.name]
                for config in made.configs
            },
        )
    return Built(made, publication, destination.root, len(receipts), findings)


@contextmanager
def planned(
    spec: Spec,
    to: str | None = None,
    *,
    configs: Sequence[str] | None = None,
    memory: int = DEFAULT_MEMORY,
    workers: int | None = None,
    on_event: OnEvent = ignore,
) -> Iterator[Plan]:
    """The plan alone: nothing is written but to a temporary folder, which lasts as long as the `with`."""
    exclude: tuple[Path, ...] = ()
    if (to or spec.to) and where_to(to or spec.to)[0] == "folder":
        destination = LocalDestination(_folder(spec, to))
        exclude = (destination.root, destination.beside)
    with TemporaryDirectory(prefix="sealift-") as work:
        yield plan(spec, open_source(spec, exclude), Path(work), Memory(memory, workers or cores()), configs, on_event)


def open_source(spec: Spec, exclude: tuple[Path, ...] = ()) -> LocalFolder:
    """The source that the spec names: a folder, which is the spec's own if it names none."""
    return LocalFolder(spec.path(spec.from_ or "."), exclude)


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0))


def _folder(spec: Spec, to: str | None) -> Path:
    kind, where = where_to(to or spec.to)
    if kind == "hub":
        raise NotSupportedYet(
            f"publishing to the Hub ({where}) is not supported yet",
            hint=f"publish to a folder: --to ./{where.rpartition('/')[2]}",
            key="to",
        )
    # What the command line says counts from where it is said; what the spec says, from the spec.
    return Path(os.path.abspath(Path(where).expanduser())) if to else spec.path(where)


def _keep_apart(source: LocalFolder, destination: LocalDestination) -> None:
    if os.path.realpath(source.root) == os.path.realpath(destination.root):
        raise RequestError(
            f"{destination.root} is the source itself",
            hint=f"publish to a folder of its own: --to {destination.root / 'out'}",
            path=str(destination.root),
        )


def _to_pack(made: Plan, reuse: Reuse) -> list[PlannedShard]:
    """The shards to pack, smallest config first, so that a mistake shows early."""
    weight = {config.name: 0 for config in made.configs}
    for shard in made.shards:
        weight[shard.config] += shard.media_bytes
    left = [shard for shard in made.shards if shard.config not in reuse.configs]
    return sorted(left, key=lambda shard: weight[shard.config])


def _pack_all(
    made: Plan, shards: Sequence[PlannedShard], source: LocalFolder, destination: LocalDestination, on_event: OnEvent
) -> list[Receipt]:
    """Pack the shards, as many at once as fit; the receipts in the shards' order."""
    if not shards:
        return []
    on_event(Started(STAGE, sum(shard.media_bytes for shard in shards), sum(shard.cells for shard in shards)))
    jobs = [job(made, shard, source, destination.stager) for shard in shards]
    workers = min(made.estimate.workers, len(jobs))
    receipts = {}
    outcomes = LocalRunner(workers).map(pack, jobs, on_event)
    try:
        for outcome in outcomes:
            if isinstance(outcome.error, WorkerDied):
                path = outcome.item.shard.path
                raise WorkerDied(f"{path}: {outcome.error.message}", hint=outcome.error.hint, shard=path)
            if outcome.result is None:
                raise outcome.error or RuntimeError("a shard was packed without a receipt")
            receipts[outcome.result.path] = outcome.result
    finally:
        outcomes.close()
    on_event(Finished(STAGE))
    return [receipts[shard.path] for shard in shards]


def _findings(receipts: Iterable[Receipt], strict: bool) -> Iterator[Problem]:
    """What the probes noticed, counted once for a file that several configs hold."""
    counts: dict[tuple[str, str], dict[str, int]] = {}
    examples: dict[tuple[str, str], str] = {}
    for receipt in receipts:
        for finding in receipt.findings:
            at = (finding.column, finding.reason)
            by_config = counts.setdefault(at, {})
            by_config[receipt.config] = by_config.get(receipt.config, 0) + finding.count
            examples.setdefault(at, finding.example)
    for (column, reason), by_config in sorted(counts.items()):
        yield Problem(
            "media-suspect",
            f"column `{column}`: {reason}",
            place=examples[(column, reason)],
            remedy="look at the file; `sealift plan --check 3` decodes some rows",
            severity="error" if strict else "warning",
            count=max(by_config.values()),
        )


def _tell(problems: Iterable[Problem], on_event: OnEvent) -> None:
    for problem in problems:
        if problem.severity == "warning":
            on_event(Warned(str(problem)))


def _repository(spec: Spec, root: Path) -> str:
    """How the card calls the dataset: its name on the Hub, or that of its folder."""
    if spec.to and where_to(spec.to)[0] == "hub":
        return spec.to.removeprefix("hf://datasets/").partition("@")[0]
    return f"./{root.name}"


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


def verify_folder(
    folder: Path,
    work: Path,
    level: Level = "full",
    against: Spec | None = None,
    *,
    memory: int | None = None,
    on_event: OnEvent = ignore,
) -> Verified:
    """Prove a published folder up to a level; `against` a spec, with every row and cell beside its source, too."""
    published = Published(LocalFolder(folder))
    verified = verify(published, work, level, on_event)
    if against is None or verified.manifest is None:
        return verified
    source = open_source(against, (folder.resolve(), LocalDestination(folder.resolve()).beside))
    made = plan(against, source, work / "plan", Memory(memory or DEFAULT_MEMORY), None, on_event)
    problems = [*verified.problems, *Against(published, verified.manifest, made, source, on_event).check()]
    return dataclasses.replace(
        verified, problems=tuple(problems), checked=dict(published.checked), bytes_read=published.bytes_read
    )
