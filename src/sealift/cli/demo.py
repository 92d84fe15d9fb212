"""`sealift demo`: the whole way with a small dataset, in less than a minute and without a network or an account."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

import click

from sealift.cli.options import example, shared_options
from sealift.cli.output import Output
from sealift.cli.progress import progress
from sealift.cli.show import show_plan
from sealift.cli.units import size_text
from sealift.errors import IntegrityError

if TYPE_CHECKING:
    from sealift.build import Built
    from sealift.build.places import Access
    from sealift.tools.demo import Loaded
    from sealift.tools.hubprocess import Counts, LocalHub
    from sealift.verify import Verified

INSTALL = "pip install 'sealift[datasets]'"


@click.command(epilog=example("sealift demo", "sealift demo --keep ./demo"))
@click.option(
    "--keep", type=click.Path(file_okay=False, path_type=Path), help="Work in this folder, and leave everything there."
)
@click.option("--rows", type=click.IntRange(min=12), default=200, show_default=True, help="How many rows to make.")
@shared_options
def command(output: Output, keep: Path | None, rows: int) -> None:
    """Make a small dataset of FLAC, MIDI, PNG and NIfTI files, publish it to a Hub on this machine, verify it and load
    it back.

    The Hub is started for the demo and ended with it. Accounts, tokens and caches of yours are not touched.
    """
    from sealift.tools.hubprocess import apart, local_hub

    folder = keep.absolute() if keep else Path(mkdtemp(prefix="sealift-demo-"))
    try:
        with apart(folder / "cache"), local_hub(folder / "hub") as hub:
            shown = Demo(output, folder, hub)
            built = shown.publish(rows)
            verified = shown.verify()
            loaded = shown.load()
            shown.requests()
    finally:
        if keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    output.say("Look at it: sealift demo --keep ./demo" if keep is None else f"Everything is in {folder}")
    output.result(
        {
            "rows": sum(loaded[0].rows.values()),
            "configs": {one.config: one.rows for one in loaded},
            "compared": {one.config: one.cells for one in loaded},
            "files": list(built.publication.written),
            "checked": verified.checked,
            "requests": {step: counts.total for step, counts in shown.steps.items()},
            "commits": built.publication.commits,
            "kept": str(folder) if keep else None,
        }
    )


class Demo:
    """The demo's steps, one after another; each says what it does, and the Hub is asked what it took."""

    def __init__(self, output: Output, folder: Path, hub: LocalHub) -> None:
        self.output = output
        self.folder = folder
        self.source = folder / "source"
        self.hub = hub
        self.counted: Counts = hub.counts()
        self.steps: dict[str, Counts] = {}

    @property
    def access(self) -> Access:
        """How to reach the Hub."""
        from sealift.build.places import Access

        return Access(self.hub.endpoint, self.hub.token, state=self.folder / "state")

    def publish(self, rows: int) -> Built:
        """Make the dataset and publish it."""
        from sealift.build import build
        from sealift.spec import Spec
        from sealift.tools import demo

        self.output.say(f"1. Making {rows} recordings with scores, covers and scans in {self.source}")
        spec_file = demo.prepare(self.source, rows)
        self.output.say(f"2. Publishing {spec_file} as {demo.REPOSITORY} to a Hub on this machine")
        with progress(self.output) as on_event:
            built = build(Spec.load(spec_file), demo.REPOSITORY, access=self.access, on_event=on_event)
        show_plan(self.output, built.plan)
        publication = built.publication
        size, commits = size_text(publication.bytes_written), publication.commits
        self.output.say(f"   {len(publication.written)} files, {size}, in {commits} commit{'s' if commits > 1 else ''}")
        self._count("publish")
        return built

    def verify(self) -> Verified:
        """Prove all of it, from what the Hub gives."""
        from sealift.build import verify_published
        from sealift.tools import demo

        self.output.say("3. Verifying every file, row and media byte at the Hub")
        work = self.folder / "cache"
        with progress(self.output) as on_event:
            verified = verify_published(demo.REPOSITORY, work, "full", access=self.access, on_event=on_event)
        if not verified.proven:
            raise IntegrityError("the demo is not proven: " + "; ".join(map(str, verified.problems)))
        self.output.say("   proven: " + ", ".join(f"{count:,} {what}" for what, count in verified.checked.items()))
        self._count("verify")
        return verified

    def load(self) -> list[Loaded]:
        """Load every config back, each way there is, and show what came."""
        from sealift.build.places import open_published
        from sealift.tools import demo
        from sealift.tools.loading import can_load
        from sealift.verify.published import Published

        with open_published(demo.REPOSITORY, None, self.access) as (store, _):
            published = Published(store)
            found = published.open_manifest()
            assert found is not None
            if can_load():
                self.output.say("4. Loading it back with datasets.load_dataset, as a map and as a stream")
                home = self.folder / "cache"
                loaded = demo.by_datasets(published, found, self.source, self.hub.environment(home), home)
            else:
                self.output.say(f"4. `datasets` is not installed ({INSTALL}): loading back with pyarrow instead")
                loaded = demo.by_pyarrow(published, found, self.source)
        self._count("load")
        self.output.table(
            "Loaded back, every media byte equal to the source",
            ["config", "rows", "columns", "files"],
            [
                (one.config, ", ".join(f"{n} {s}" for s, n in one.rows.items()), one.columns, one.cells)
                for one in loaded
            ],
        )
        return loaded

    def requests(self) -> None:
        """Show what the Hub was asked at each step."""
        rows = [
            (step, counts.total, size_text(counts.bytes_in), size_text(counts.bytes_out))
            for step, counts in self.steps.items()
        ]
        self.output.table("What the Hub was asked", ["step", "requests", "to the Hub", "from the Hub"], rows)

    def _count(self, step: str) -> None:
        now = self.hub.counts()
        self.steps[step] = now.since(self.counted)
        self.counted = now


def _rows(rows: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {split}" for split, count in rows.items())
