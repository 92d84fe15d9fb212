"""A plan on its way to the destination, in one commit or in several."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sealift.build.keeping import Keeping, changes, resumed
from sealift.build.packing import findings_of, pack_all, to_pack
from sealift.errors import ContentMissing, DestinationChanged, PlanRefused
from sealift.journal.records import Basis
from sealift.model.event import OnEvent, Said, Warned
from sealift.model.plan import Plan, PlannedShard
from sealift.model.problem import Problem
from sealift.model.receipt import Receipt
from sealift.pack import index_part, jobs
from sealift.ports import Destination, Source
from sealift.publish import Publication, Words, publish
from sealift.publish.present import Present, look
from sealift.publish.reuse import Reuse, beside, reusable, staying
from sealift.publish.stage import Stage
from sealift.runners.local import Spares, cores

TRIES = 3
"""So often a commit is tried anew when others have changed the destination meanwhile, but nothing of the dataset."""


@dataclass
class Run:
    """A plan on its way to the destination, which is prepared; what was packed for it, and what was published.

    `before` is what the job was planned from when it was begun, if an earlier run began it; `basis` is this run's.
    """

    made: Plan
    source: Source
    destination: Destination
    keeping: Keeping
    basis: Basis
    before: Basis | None
    words: Words
    strict: bool
    purge: bool
    spares: Spares
    on_event: OnEvent
    receipts: dict[str, Receipt] = field(default_factory=dict)
    _done: Publication | None = None

    def at_once(self, present: Present, reuse: Reuse) -> Publication:
        """Pack all that is not there, and publish it in one commit."""
        return self._publish(self.made, reuse, present, purge=self.purge)

    def config_by_config(self, present: Present, kept: Collection[str]) -> Publication:
        """Commit each config, smallest first, then the tables beside them, then the card and what is deleted.

        Each commit but that of the tables brings a card that says what is there; all else stays as it is.
        """
        self.keeping.last = False
        for name in self.made.smallest_first:
            if name not in reusable(self.made, kept, present).configs:
                self._publish(self.made.part([name], rest=False), staying(present, [name]), present)
                present = self._look(present)
        if self.made.also or self.made.rejects:
            self._publish(self.made.part([], rest=True), beside(self.made, present), present, card=False)
            present = self._look(present)
        self.keeping.last = True
        return self.at_once(present, reusable(self.made, kept, present))

    def findings(self) -> tuple[Problem, ...]:
        """What the probes noticed in all that was packed."""
        return tuple(findings_of(self.receipts.values(), strict=self.strict))

    def _publish(
        self, part: Plan, reuse: Reuse, present: Present, *, card: bool = True, purge: bool = False
    ) -> Publication:
        """Pack what is not there yet of a part of the plan, and commit it."""
        shards = to_pack(part, reuse.configs)
        receipts = self._packed(part, shards)
        stage = Stage(self.destination.stager, self.keeping.journal)
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
            except ContentMissing as error:
                if attempt == TRIES - 1:
                    raise
                self._lost(error)
                receipts = self._packed(part, shards)
                stage.again(self.destination.stager, error.fields["paths"])
        self._done = done.after(self._done)
        return self._done

    def _packed(self, part: Plan, shards: Sequence[PlannedShard]) -> list[Receipt]:
        """Have all these shards staged; their receipts. Those that are, by whatever run, are not packed again."""
        if not shards:
            return []
        workers = min(part.estimate.workers, len(shards))
        overlap, parts = cores() > workers, self.keeping.journal.parts
        stager = self.destination.stager
        made = jobs(part, shards, self.source, stager, parts, overlap=overlap)
        receipts = self.keeping.kept(made)
        self._tell_kept(shards, receipts)
        if left := [one for one in made if one.shard.path not in receipts]:
            receipts |= pack_all(left, workers, self.spares, self.keeping, self.on_event)
        found = [receipts[shard.path] for shard in shards]
        self.receipts |= {one.path: one for one in found}
        self._judge(found)
        return found

    def _tell_kept(self, shards: Sequence[PlannedShard], kept: Mapping[str, Receipt]) -> None:
        """Say once what an earlier run has left to this one."""
        if self.before is not None:
            why = changes(self.before, self.basis)
            self.on_event(Said(resumed(self.keeping.journal.began, len(shards), kept, why)))
            self.before = None

    def _lost(self, error: ContentMissing) -> None:
        """Have what the destination lost packed and sent anew, every byte of it."""
        paths = error.fields["paths"]
        self.on_event(Warned(f"{len(paths)} staged files are gone from {self.destination.name}: they are sent again"))
        self.destination.mistrust()
        self.keeping.journal.again(paths)

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
        parts = self.keeping.journal.parts
        return publish(
            part,
            receipts,
            reuse,
            present,
            stage,
            self.source,
            self.keeping,
            versions=self.basis.versions,
            words=self.words,
            index_parts={
                config.name: [index_part(parts, shard) for shard in part.shards if shard.config == config.name]
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
