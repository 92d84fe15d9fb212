"""`sealift demo`: the whole way with a small dataset, in less than a minute and without a network."""

from __future__ import annotations

import shutil
from importlib import import_module
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
    from sealift.model.manifest import Manifest
    from sealift.tools.demo import Loaded
    from sealift.verify import Verified


@click.command(epilog=example("sealift demo", "sealift demo --keep ./demo"))
@click.option(
    "--keep", type=click.Path(file_okay=False, path_type=Path), help="Work in this folder, and leave everything there."
)
@click.option("--rows", type=click.IntRange(min=12), default=200, show_default=True, help="How many rows to make.")
@shared_options
def command(output: Output, keep: Path | None, rows: int) -> None:
    """Make a small dataset of FLAC, MIDI, PNG and NIfTI files, publish it to a folder, verify it and load it back."""
    folder = keep or Path(mkdtemp(prefix="sealift-demo-"))
    source, out = folder / "source", folder / "out"
    try:
        built = _publish(output, source, out, rows)
        verified = _verify(output, out, folder)
        loaded = _load(output, built.publication.manifest, source, out)
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
            "kept": str(folder) if keep else None,
        }
    )


def _publish(output: Output, source: Path, out: Path, rows: int) -> Built:
    from sealift.build import build
    from sealift.spec import Spec
    from sealift.tools import demo

    output.say(f"1. Making {rows} recordings with scores, covers and scans in {source}")
    spec_file = demo.prepare(source, rows)
    output.say(f"2. Publishing {spec_file} to {out}")
    with progress(output) as on_event:
        built = build(Spec.load(spec_file), str(out), on_event=on_event)
    show_plan(output, built.plan)
    publication = built.publication
    output.say(f"   {len(publication.written)} files, {size_text(publication.bytes_written)}, in one commit")
    return built


def _verify(output: Output, out: Path, work: Path) -> Verified:
    from sealift.build import verify_folder

    output.say("3. Verifying every file, row and media byte")
    with progress(output) as on_event:
        verified = verify_folder(out, work, "full", on_event=on_event)
    if not verified.proven:
        raise IntegrityError("the demo is not proven: " + "; ".join(map(str, verified.problems)))
    output.say("   proven: " + ", ".join(f"{count:,} {what}" for what, count in verified.checked.items()))
    return verified


def _load(output: Output, found: Manifest, source: Path, out: Path) -> list[Loaded]:
    """Load every config back, each way there is, and show what came."""
    from sealift.tools import demo

    try:
        import_module("datasets")
        output.say("4. Loading it back with datasets.load_dataset, as a map and as a stream")
        readers = [demo.as_map, demo.as_stream]
    except ImportError:
        output.say(
            "4. `datasets` is not installed (pip install 'sealift[datasets]'): loading back with pyarrow instead"
        )
        readers = [demo.with_pyarrow]
    loaded = []
    for config in found.configs:
        loaded += [demo.load_back(out, source, found, config.name, read) for read in readers][:1]
    output.table(
        "Loaded back, every media byte equal to the source",
        ["config", "rows", "columns", "files"],
        [(one.config, ", ".join(f"{n} {s}" for s, n in one.rows.items()), one.columns, one.cells) for one in loaded],
    )
    return loaded
