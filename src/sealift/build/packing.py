"""Packing many shards at once, and what the probes have to say in the end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from sealift.build.keeping import Keeping
from sealift.errors import ContentMissing, DestinationBusy, DestinationError
from sealift.model.event import Advanced, Event, Finished, OnEvent, Started, Warned
from sealift.model.plan import Plan, PlannedShard
from sealift.model.problem import Problem
from sealift.model.receipt import Receipt
from sealift.pack import STAGE, PackJob, pack
from sealift.plan.estimate import DRIVER, WORKER, Memory
from sealift.ports import Outcome
from sealift.runners.local import LocalRunner, Spares, WorkerDied

TRIES = 3
"""So often a shard is packed and sent before its upload has failed."""
FOR_NOW = (DestinationBusy, ContentMissing)
"""What a shard meets at a destination that may take it when it is sent again."""
MANY_FILES = 10_000
"""From so many files on, packing takes long enough for workers to be started while the plan is made."""


def pack_all(
    jobs: Sequence[PackJob], workers: int, spares: Spares, keeping: Keeping, on_event: OnEvent
) -> dict[str, Receipt]:
    """Pack the shards, as many at once as fit, in `spares` where there are; the receipts by the shards' paths.

    Each is written down as it is done. One that the destination does not take now is tried again when the others are
    done; when none of them gets through any more, that is the end.
    """
    receipts: dict[str, Receipt] = {}
    on_event(Started(STAGE, sum(job.shard.media_bytes for job in jobs), sum(job.shard.cells for job in jobs)))
    for left in range(TRIES - 1, -1, -1):
        turned_away = _pack_once(jobs, workers, spares, keeping, receipts, last=not left)
        if not turned_away:
            break
        # What a cache of uploads has wrong is told as lost content, or as a store that refuses again and again.
        if left == 1 or any(isinstance(error, ContentMissing) for error in turned_away.values()):
            keeping.destination.mistrust()
        stager = keeping.destination.stager
        jobs = [replace(job, stage=stager) for job in jobs if job.shard.path in turned_away]
        for path, error in turned_away.items():
            on_event(Warned(f"{path} is packed and sent again: {error.message}"))
    on_event(Finished(STAGE))
    return receipts


def _pack_once(
    jobs: Sequence[PackJob],
    workers: int,
    spares: Spares,
    keeping: Keeping,
    receipts: dict[str, Receipt],
    *,
    last: bool,
) -> dict[str, DestinationError]:
    """Pack these shards, and take down their receipts; what the others met that can be tried again.

    Raises:
        Exception: what a shard met that no other try mends, or when none gets through any more, or in the `last` try.
    """
    turned_away: dict[str, DestinationError] = {}
    in_a_row = 0
    outcomes = LocalRunner(min(workers, len(jobs)), spares).map(pack, iter(jobs), keeping.heard)
    try:
        for outcome in outcomes:
            if outcome.result is not None:
                receipts[outcome.result.path] = outcome.result
                keeping.staged(outcome.result)
                in_a_row = 0
            elif isinstance(outcome.error, FOR_NOW) and not last and in_a_row < workers:
                turned_away[outcome.item.shard.path] = outcome.error
                in_a_row += 1
            else:
                raise _failed(outcome)
    finally:
        outcomes.close()
    return turned_away


def _failed(outcome: Outcome[PackJob, Receipt]) -> BaseException:
    """The error that the shard met, with its path where it does not know it."""
    error, path = outcome.error, outcome.item.shard.path
    if isinstance(error, WorkerDied):
        return WorkerDied(f"{path}: {error.message}", hint=error.hint, shard=path)
    return error or RuntimeError(f"{path} was packed without a receipt")


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
