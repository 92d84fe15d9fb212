"""What the work will take, and how the memory budget is divided."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sealift.model.plan import Also, Estimate
from sealift.model.problem import Problem
from sealift.plan.shards import LIGHT_COPIES, Layout

DRIVER = 185_000_000
"""Peak anonymous memory of the driver's process beside DuckDB's share: interpreter, pyarrow, batches, progress.

Measured with pyarrow 26 and DuckDB 2.0: 137 MB while it packs, and while it plans 110 MB for 10 million rows with three
media columns; the rest is for what allocators keep.
"""
WORKER = 140_000_000
"""The same of a worker process, with its slice of media and its page index; 133 MB were measured."""
INDEX_RECORD = 256
"""Bytes of an index record beside its key and path: the names of config, split and shard, numbers, digest."""
INDEX_FILE = 16_384
"""Bytes of an index part and of each of its row groups beside the records: page headers, metadata, footer."""
CARD = 1_000_000
"""Bytes of what is small whatever the dataset: card, manifest, rejects."""
LEAST = 256_000_000
"""The smallest budget with which DuckDB, pyarrow and one worker do their work, measured."""
RATE = 250_000_000
"""Bytes of media a second that one worker packs on a common machine; for the estimate of time only."""


@dataclass(frozen=True, slots=True)
class Memory:
    """A budget in bytes for the whole process tree, divided. It never changes the plan, only what runs at once.

    `uploads` is what each process that packs holds besides, for a destination elsewhere; `staging` how many bytes of
    packed files wait on this machine's disk, None if all do.
    """

    budget: int
    workers: int = 1
    uploads: int = 0
    staging: int | None = None

    @property
    def sql(self) -> int:
        """For DuckDB, while the rows are joined."""
        return max(64_000_000, min(self.budget - DRIVER, self.budget // 2))

    @property
    def row_bytes(self) -> int:
        """The most that the light columns of one row may take."""
        return (max(self.budget, LEAST) - DRIVER) // LIGHT_COPIES

    def taken(self, workers: int, held: int) -> int:
        """The peak with so many workers, when each holds so many bytes of its shard (`Layout.held`)."""
        held += self.uploads
        return DRIVER + (held if workers == 1 else workers * (WORKER + held))

    def fitting(self, held: int) -> int:
        """How many workers fit, up to those asked for; at least one."""
        fit = [count for count in range(1, self.workers + 1) if self.taken(count, held) <= self.budget]
        return max(fit, default=1)

    def problems(self, held: int) -> Iterator[Problem]:
        """Whether the work fits at all, and with all the workers that were asked for."""
        least = max(LEAST, self.taken(1, held))
        if least > self.budget:
            yield Problem(
                "memory-budget",
                f"the work needs {least / 1e6:,.0f} MB of memory, the budget is {self.budget / 1e6:,.0f} MB",
                place="--memory",
                remedy="give more --memory, or lower `shards: {row_group_bytes: …}`",
            )
        elif self.fitting(held) < self.workers:
            yield Problem(
                "fewer-workers",
                f"{self.workers} workers do not fit in {self.budget / 1e6:,.0f} MB; {self.fitting(held)} will run",
                place="--memory",
                remedy="give more --memory",
                severity="warning",
            )


def estimate(memory: Memory, layout: Layout, also: Sequence[Also], work: Path) -> Estimate:
    """Memory, disk and time for packing these shards. Time is a guess; the others are upper bounds.

    Disk counts what the run writes: the staged shards and tables, the index (in parts, whole, staged), and the plan's
    own files in `work`.
    """
    workers = memory.fitting(layout.held)
    media_bytes = sum(shard.media_bytes for shard in layout.shards)
    cells = sum(shard.cells for shard in layout.shards)
    shards = sum(shard.bound for shard in layout.shards)
    index = layout.index_bytes + INDEX_RECORD * cells + INDEX_FILE * sum(1 + len(s.row_groups) for s in layout.shards)
    return Estimate(
        memory=max(memory.taken(workers, layout.held), min(memory.budget, memory.sql + DRIVER)),
        disk=(shards if memory.staging is None else min(shards, memory.staging))
        + sum(table.size for table in also)
        + 3 * index
        + sum(file.stat().st_size for file in work.rglob("*") if file.is_file())
        + CARD,
        seconds=media_bytes / (RATE * workers),
        workers=workers,
    )
