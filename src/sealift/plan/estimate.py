"""What the work will take, and how the memory budget is divided."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sealift.model.plan import Estimate, PlannedShard
from sealift.model.problem import Problem

DRIVER = 185_000_000
"""Peak anonymous memory of the driver's process itself, measured: interpreter, pyarrow, DuckDB, progress."""
WORKER = 140_000_000
"""The same of a worker process, with its slice of media, its page index and the allocator's slack."""
LIGHT_COPIES = 6
"""How often the light columns of a row group are in memory at once while it is written: read, encoded, compressed."""
LEAST = 256_000_000
RATE = 250_000_000
"""Bytes of media a second that one worker packs on a common machine; for the estimate of time only."""


@dataclass(frozen=True, slots=True)
class Memory:
    """A budget in bytes for the whole process tree, divided. It never changes the plan, only what runs at once."""

    budget: int
    workers: int = 1

    @property
    def sql(self) -> int:
        """For DuckDB, while the rows are joined."""
        return max(64_000_000, min(self.budget - DRIVER, self.budget // 2))

    @property
    def row_bytes(self) -> int:
        """The most that the light columns of one row may take."""
        return max(0, self.budget - DRIVER) // LIGHT_COPIES

    def taken(self, workers: int, largest_light: int) -> int:
        """The peak with so many workers, when the light columns of the largest row group have so many bytes."""
        inside = LIGHT_COPIES * largest_light
        return DRIVER + (inside if workers == 1 else workers * (WORKER + inside))

    def fitting(self, largest_light: int) -> int:
        """How many workers fit, up to those asked for; at least one."""
        fit = [count for count in range(1, self.workers + 1) if self.taken(count, largest_light) <= self.budget]
        return max(fit, default=1)

    def problems(self, largest_light: int) -> Iterator[Problem]:
        """Whether the work fits at all, and with all the workers that were asked for."""
        least = max(LEAST, self.taken(1, largest_light))
        if least > self.budget:
            yield Problem(
                "memory-budget",
                f"the work needs {least} bytes of memory, the budget is {self.budget}",
                place="--memory",
                remedy="give more --memory, or lower `shards: {row_group_bytes: …}`",
            )
        elif self.fitting(largest_light) < self.workers:
            yield Problem(
                "fewer-workers",
                f"{self.workers} workers do not fit in {self.budget} bytes; {self.fitting(largest_light)} will run",
                place="--memory",
                remedy="give more --memory",
                severity="warning",
            )


def estimate(memory: Memory, shards: Sequence[PlannedShard], largest_light: int) -> Estimate:
    """Memory, disk and time for packing these shards. Time is a guess; the others are upper bounds."""
    workers = memory.fitting(largest_light)
    return Estimate(
        memory=max(memory.taken(workers, largest_light), min(memory.budget, memory.sql + DRIVER)),
        disk=sum(shard.bound for shard in shards),
        seconds=sum(shard.media_bytes for shard in shards) / (RATE * workers),
        workers=workers,
    )
