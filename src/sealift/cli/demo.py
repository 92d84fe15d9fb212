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
from sealift.cli.units import size_text
from sealift.errors import IntegrityError

if TYPE_CHECKING:
    from sealift.model.manifest import Manifest
    from sealift.tools.demo import Loaded


@click.command(epilog=example("sealift demo", "sealift demo --keep ./demo"))
@click.option(
    "--keep", type=click.Path(file_okay=False, path_type=Path), help="Work in this folder, and leave everything there."
)
@click.option("--rows", type=click.IntRange(min=12), default=200, show_default=True, help="How many rows to make.")
@shared_options
def command(output: Output, keep: Path | None, rows: int) -> None:
    """Make a small dataset of FLAC, MIDI, PNG and NIfTI files, publish it to a folder, verify it and load it back."""
    from sealift.build import build, verify_folder
    from sealift.cli.plan import show_plan
    from sealift.spec import Spec
    from sealift.tools import demo

    folder = keep or Path(mkdtemp(prefix="sealift-demo-"))
    source, out = folder / "source", folder / "out"
    try:
        output.say(f"1. Making {rows} recordings with scores, covers and scans in {source}")
        spec_file = demo.prepare(source, rows)
        output.say(f"2. Publishing {spec_file} to {out}")
        with progress(output) as on_event:
            built = build(Spec.load(spec_file), str(out), on_event=on_event)
        show_plan(output, built.plan)
        output.say(
            f"   {len(built.publication.written)} files, {size_text(built.publication.bytes_written)}, in one commit"
        )
        output.say("3. Verifying every file, row and media byte")
        with progress(output) as on_event:
            verified = verify_folder(out, folder, "full", on_event=on_event)
        if not verified.proven:
            raise IntegrityError("the demo is not proven: " + "; ".join(map(str, verified.problems)))
        output.say("   proven: " + ", ".join(f"{count:,} {what}" for what, count in verified.checked.items()))
        loaded = _load(output, built.publication.manifest, source, out)
        output.table(
            "4. Loaded back, every media byte equal to the source",
            ["config", "rows", "columns"],
            [(one.config, ", ".join(f"{n} {s}" for s, n in one.rows.items()), one.columns) for one in loaded],
        )
        output.result(
            {
                "rows": sum(loaded[0].rows.values()),
                "configs": {one.config: one.rows for one in loaded},
                "files": list(built.publication.written),
                "checked": verified.checked,
                "kept": str(folder) if keep else None,
            }
        )
    finally:
        if keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    output.say("Look at it: sealift demo --keep ./demo" if keep is None else f"Everything is in {folder}")


def _load(output: Output, manifest: Manifest, source: Path, out: Path) -> list[Loaded]:
    from sealift.tools import demo

    configs = [config.name for config in manifest.configs]
    try:
        import_module("datasets")
    except ImportError:
        output.say(
            "4. `datasets` is not installed (pip install 'sealift[datasets]'): reading back with pyarrow instead"
        )
        files: dict[str, dict[str, list[str]]] = {}
        for shard in manifest.shards:
            files.setdefault(shard.config, {}).setdefault(shard.split, []).append(shard.path)
        return list(demo.read_back(out, source, files))
    output.say("4. Loading it back with datasets.load_dataset, as a map and as a stream")
    return list(demo.load_back(out, source, configs))
