"""A plan on its way to the destination, in one commit or in several."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from sealift import __version__
from sealift.build.packing import findings_of, pack_all, to_pack
from sealift.errors import DestinationChanged, PlanRefused
from sealift.model.event import OnEvent, Warned
from sealift.model.plan import Plan
from sealift.model.problem import Problem
from sealift.model.receipt import Receipt
from sealift.pack import index_part
from sealift.ports import Destination, Source
from sealift.publish import Publication, Words, publish
from sealift.publish.present import Present, look
from sealift.publish.reuse import Reuse, beside, reusable, staying
from sealift.publish.stage import Stage
from sealift.runners.local import Spares

TRIES = 3
"""So often a commit is tried anew when others have changed the destination meanwhile, but nothing of the dataset."""


@dataclass
class Run:
    """A plan on its way to the destination, which is prepared; what was packed for it, and what was published."""

    made: Plan
    source: Source
    destination: Destination
    words: Words
    strict: bool
    purge: bool
    spares: Spares
    on_event: OnEvent
    receipts: list[Receipt] = field(default_factory=list)
    _done: Publication | None = None

    def at_once(self, present: Present, reuse: Reuse) -> Publication:
        """Pack all that is not there, and publish it in one commit."""
        return self._publish(self.made, reuse, present, purge=self.purge)

    def config_by_config(self, present: Present, kept: Collection[str]) -> Publication:
        """Commit each config, smallest first, then the tables beside them, then the card and what is deleted.

        Each commit but that of the tables brings a card that says what is there; all else stays as it is.
        """
        for name in self.made.smallest_first:
            if name not in reusable(self.made, kept, present).configs:
                self._publish(self.made.part([name], rest=False), staying(present, [name]), present)
                present = self._look(present)
        if self.made.also or self.made.rejects:
            self._publish(self.made.part([], rest=True), beside(self.made, present), present, card=False)
            present = self._look(present)
        return self.at_once(present, reusable(self.made, kept, present))

    def findings(self) -> tuple[Problem, ...]:
        """What the probes noticed in all that was packed."""
        return tuple(findings_of(self.receipts, strict=self.strict))

    def _publish(
        self, part: Plan, reuse: Reuse, present: Present, *, card: bool = True, purge: bool = False
    ) -> Publication:
        """Pack what is not there yet of a part of the plan, and commit it."""
        shards = to_pack(part, reuse.configs)
        receipts = pack_all(part, shards, self.source, self.destination.stager, self.spares, self.on_event)
        self.receipts += receipts
        self._judge(receipts)
        stage = Stage(self.destination.stager)
        for attempt in range(TRIES):
            try:
                done = self._commit(part, receipts, reuse, present, stage, card=card, purge=purge)
                break
            except DestinationChanged:
                self.destination.refresh()
                now = self._look(present)
                if attempt == TRIES - 1 or purge or not now.is_same_dataset(present):
                    raise
                present = now
        self._done = done.after(self._done)
        return self._done

    def _commit(
        self,
        part: Plan,
        receipts: Sequence[Receipt],
        reuse: Reuse,
        present: Present,
        stage: Stage,
        *,
        card: bool,
        purge: bool,
    ) -> Publication:
        return publish(
            part,
            receipts,
            reuse,
            present,
            stage,
            self.source,
            self.destination,
            versions={"sealift": __version__, "pyarrow": pa.__version__},
            words=self.words,
            index_parts={
                config.name: [index_part(part, shard) for shard in part.shards if shard.config == config.name]
                for config in part.configs
            },
            card=card,
            overwrite=self.purge,
            purge=purge,
            on_event=self.on_event,
        )

    def _look(self, before: Present) -> Present:
        """What lies there now; what was damaged and is not replaced is so still."""
        replaced = set() if self._done is None else set(self._done.written)
        return look(self.destination, damaged=before.damaged - replaced, purge=self.purge)

    def _judge(self, receipts: Sequence[Receipt]) -> None:
        """Tell what the probes noticed; in a strict run that is the end of it."""
        findings = list(findings_of(receipts, strict=self.strict))
        tell(findings, self.on_event)
        if self.strict and findings:
            raise PlanRefused(
                "the media is not what its columns say:\n" + "\n".join(f"  {problem}" for problem in findings),
                hint="mend the files, or run without --strict; nothing of this was published",
                problems=[problem.as_json() for problem in findings],
            )


def tell(problems: Iterable[Problem], on_event: OnEvent) -> None:
    """Say the warnings among them."""
    for problem in problems:
        if problem.severity == "warning":
            on_event(Warned(str(problem)))
