"""Packing many shards at once, and what the probes have to say in the end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from sealift.model.event import Advanced, Event, Finished, OnEvent, Started
from sealift.model.plan import Plan, PlannedShard
from sealift.model.problem import Problem
from sealift.model.receipt import Receipt
from sealift.pack import STAGE, job, pack
from sealift.plan.estimate import DRIVER, WORKER, Memory
from sealift.ports import Source, Stages
from sealift.runners.local import LocalRunner, Spares, WorkerDied, cores

MANY_FILES = 10_000
"""From so many files on, packing takes long enough for workers to be started while the plan is made."""


def pack_all(
    made: Plan, shards: Sequence[PlannedShard], source: Source, stager: Stages, spares: Spares, on_event: OnEvent
) -> list[Receipt]:
    """Pack the shards, as many at once as fit, in `spares` where there are; the receipts in the shards' order."""
    if not shards:
        return []
    on_event(Started(STAGE, sum(shard.media_bytes for shard in shards), sum(shard.cells for shard in shards)))
    workers = min(made.estimate.workers, len(shards))
    overlap = cores() > workers
    # One at a time: a job is a worker's whole knowledge, and there may be tens of thousands.
    jobs = (job(made, shard, source, stager, overlap=overlap) for shard in shards)
    receipts = {}
    outcomes = LocalRunner(workers, spares).map(pack, jobs, on_event)
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


def starting(spares: Spares, memory: Memory, on_event: OnEvent) -> OnEvent:
    """Passes on what a plan says; when it has listed many files, workers start, so that they are ready after it."""
    listed = 0
    fit = memory.budget >= DRIVER + memory.sql + memory.workers * WORKER

    def heard(event: Event) -> None:
        nonlocal listed
        on_event(event)
        if isinstance(event, Advanced):
            listed += event.files
            if fit and memory.workers > 1 and listed >= MANY_FILES:
                spares.start(memory.workers, pack)

    return heard


def to_pack(made: Plan, without: Iterable[str]) -> list[PlannedShard]:
    """The shards to pack, smallest config first, so that a mistake shows early."""
    order = {name: number for number, name in enumerate(made.smallest_first)}
    done = set(without)
    return sorted((shard for shard in made.shards if shard.config not in done), key=lambda one: order[one.config])


def findings_of(receipts: Iterable[Receipt], *, strict: bool) -> Iterator[Problem]:
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
