"""Rehearse: the whole way to a Hub on this machine and back, and what it says about the real run."""

from __future__ import annotations

import re
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sealift.build import Built, build, planned, verify_published
from sealift.build.places import Access, open_published
from sealift.errors import DestinationError, IntegrityError, RequestError
from sealift.model.event import Event, Finished, OnEvent, Said, Started, Warned, ignore
from sealift.model.manifest import Manifest
from sealift.model.plan import Config, Plan
from sealift.model.problem import warnings
from sealift.pack import STAGE as PACK
from sealift.plan import DEFAULT_MEMORY, accept
from sealift.rehearse.figures import LoadedConfig, Rehearsal, Step
from sealift.spec import Spec, where_to
from sealift.tools.hubprocess import LocalHub, local_hub
from sealift.tools.loaded import compare, published_cells
from sealift.tools.loading import WAYS, Job, Loader, can_load, loader
from sealift.verify import Verified
from sealift.verify.published import Published

NAMESPACE = "rehearsal"
BATCH_BYTES = 32_000_000
"""About so much a batch of loaded rows holds on its way here."""


def rehearse(
    spec: Spec,
    to: str,
    folder: Path,
    *,
    configs: Sequence[str] | None = None,
    memory: int = DEFAULT_MEMORY,
    workers: int | None = None,
    staging: int | None = None,
    use_xet: bool = True,
    on_event: OnEvent = ignore,
) -> Rehearsal:
    """Publish, verify in full, load every config back, publish again: to a Hub of its own, with all state in `folder`.

    The Hub is a process that ends with this call; `folder` should be empty, and is left as it is then. `memory` bounds
    publishing; the Hub and `datasets` take theirs besides. Call it within `tools.hubprocess.apart`, or the client's
    settings for another Hub may get in the way.

    Raises:
        PlanRefused: it could not be published anywhere.
        DestinationError: the folder has no room for the dataset, or the Hub would refuse it.
        IntegrityError: what was published is not what was there, or the second run did something.
    """
    with local_hub(folder / "hub", *(() if use_xet else ("--no-xet",))) as hub:
        access = Access(hub.endpoint, hub.token, staging, folder / "state")
        run = _Run(spec, to, hub, configs, memory, workers, access, folder / "cache", on_event)
        run.check()
        built = run.publish("publish", on_event)
        verified = run.verify()
        loaded = run.load(built)
        run.publish_again()
        publication = built.publication
        return Rehearsal(
            to=built.to,
            revision=str(built.revision),
            files=len(publication.written),
            content=publication.bytes_written,
            packed=sum(shard.media_bytes for shard in built.plan.shards),
            packing_s=run.packing_s,
            steps=tuple(run.steps),
            verified=verified.checked,
            loaded=loaded,
            problems=(*warnings(built.plan.problems), *built.findings),
        )


def rehearsed_as(spec: Spec, to: str | None) -> str:
    """The name under which it is rehearsed: that on the Hub; or `rehearsal/<folder>` for what goes to a folder.

    Raises:
        RequestError: `to` is a folder.
    """
    folder = spec.path(spec.from_ or ".")
    for said in filter(None, (to, spec.to)):
        kind, where = where_to(said)
        if kind == "hub":
            name, _, revision = where.removeprefix("hf://datasets/").partition("@")
            # A pull request is opened by the Hub: here there is none.
            return name if not revision or revision.startswith("refs/") else f"{name}@{revision}"
        if said is to:
            raise RequestError(f"{to} is a folder, and rehearsals go to a Hub", hint="write --to org/name", to=to)
        folder = Path(where)
    return f"{NAMESPACE}/{re.sub('[^A-Za-z0-9_]+', '-', folder.name)[:90].strip('-') or 'dataset'}"


def check_room(plan: Plan, free: int, folder: Path, *, load: bool) -> None:
    """See that the disk takes the Hub's copy, what a run keeps on disk, and (`load`) one config loaded map-style.

    Raises:
        DestinationError: it does not, with the numbers.
    """
    sizes: Counter[str] = Counter()
    for shard in plan.shards:
        sizes[shard.config] += shard.bound
    published = sizes.total() + sum(table.size for table in plan.also)
    # The client keeps the files, and `datasets` writes them once more as Arrow.
    loading = 2 * max(sizes.values(), default=0) if load else 0
    needed = published + plan.estimate.disk + loading
    if needed > free:
        raise DestinationError(
            f"rehearsing takes {_gb(needed)} of disk ({_gb(published)} at the Hub, {_gb(plan.estimate.disk)} for the "
            f"run, {_gb(loading)} to load it back); {folder} has {_gb(free)}",
            hint="rehearse a small config (--configs NAME), set TMPDIR or --keep to a folder with room, or look at "
            "`sealift publish --dry-run`",
            path=str(folder),
        )


@dataclass
class _Run:
    """A rehearsal under way; each step says what it does and counts what the Hub was asked."""

    spec: Spec
    to: str
    hub: LocalHub
    configs: Sequence[str] | None
    memory: int
    workers: int | None
    access: Access
    home: Path
    on_event: OnEvent
    steps: list[Step] = field(default_factory=list)
    packing_s: float = 0.0

    @property
    def address(self) -> str:
        """The name as it is never taken for a folder's."""
        return f"hf://datasets/{self.to}"

    def check(self) -> None:
        """See that there is a plan, and room for it, before anything is packed."""
        self.home.mkdir(parents=True, exist_ok=True)
        with planned(
            self.spec,
            self.address,
            configs=self.configs,
            memory=self.memory,
            workers=self.workers,
            access=self.access,
            on_event=_unless_warning(self.on_event),
        ) as plan:
            accept(plan, strict=False)
            check_room(plan, shutil.disk_usage(self.home).free, self.home, load=can_load())

    def publish(self, step: str, on_event: OnEvent) -> Built:
        """Publish as the real run will; the time of packing is taken."""
        with self._step(step, f"publishing to {self.to} on this machine"):
            return build(
                self.spec,
                self.address,
                configs=self.configs,
                memory=self.memory,
                workers=self.workers,
                access=self.access,
                on_event=lambda event: self._timed(event, on_event),
            )

    def verify(self) -> Verified:
        """Prove all of it, from what the Hub gives."""
        with self._step("verify", "verifying every file, row and media byte"):
            verified = verify_published(self.address, self.home, "full", access=self.access, on_event=self.on_event)
        if not verified.proven:
            raise IntegrityError(
                "\n".join(["what was published is not proven:", *(f"  {one}" for one in verified.problems)]),
                hint="docs/verify.md says what each code means",
                problems=[one.as_json() for one in verified.problems],
            )
        return verified

    def load(self, built: Built) -> tuple[LoadedConfig, ...] | None:
        """Every config both ways, each row and media byte as it was published; None without `datasets`."""
        if not can_load():
            self.on_event(Warned("`datasets` is not installed (pip install 'sealift[datasets]'): loading was left out"))
            return None
        with (
            self._step("load", "loading every config back, as a map and as a stream"),
            open_published(self.address, built.revision, self.access) as (store, _),
            loader(self.hub.environment(self.home), self.home) as process,
        ):
            published = Published(store)
            found = published.open_manifest()
            assert found is not None
            loaded = [self._load(process, built, published, found, config) for config in built.plan.configs]
        return tuple(one for both in loaded for one in both)

    def publish_again(self) -> None:
        """The same once more: nothing may be left to do."""
        again = self.publish("publish again", _unless_warning(self.on_event)).publication
        if again.written or again.deleted or again.commits:
            raise IntegrityError(
                f"a second run was to change nothing, and wrote {len(again.written)} files "
                f"({', '.join(again.written[:5])}) and deleted {len(again.deleted)}",
                hint="please report this",
            )

    def _load(
        self, process: Loader, built: Built, published: Published, found: Manifest, config: Config
    ) -> list[LoadedConfig]:
        expected, loaded = published_cells(published, found, config.name), []
        media = [column.name for column in built.plan.media_of(config)]
        repository = self.to.partition("@")[0]
        for way in WAYS:
            job = Job(repository, config.name, way, _batch_rows(built.plan, config), built.revision)
            rows = compare(job, found, media, expected, process.rows(job))
            loaded.append(LoadedConfig(config.name, way, rows, expected.cells.total()))
        return loaded

    @contextmanager
    def _step(self, name: str, said: str) -> Iterator[None]:
        self.on_event(Said(f"{len(self.steps) + 1}. {name}: {said}"))
        before, began = self.hub.counts(), time.monotonic()
        yield
        self.steps.append(Step(name, time.monotonic() - began, self.hub.counts().since(before)))

    def _timed(self, event: Event, on_event: OnEvent) -> None:
        if isinstance(event, Started) and event.stage == PACK:
            self.packing_s -= time.monotonic()
        if isinstance(event, Finished) and event.stage == PACK:
            self.packing_s += time.monotonic()
        on_event(event)


def _unless_warning(on_event: OnEvent) -> OnEvent:
    """A listener that is told everything but warnings: they are said once."""
    return lambda event: None if isinstance(event, Warned) else on_event(event)


def _batch_rows(plan: Plan, config: Config) -> int:
    """How many rows of a config are loaded at a time."""
    totals = [total for total in plan.totals if total.config == config.name]
    rows, size = sum(total.rows for total in totals), sum(total.num_bytes for total in totals)
    return max(1, min(1000, BATCH_BYTES * rows // max(1, size)))


def _gb(size: int) -> str:
    return f"{size / 1e9:.1f} GB"
