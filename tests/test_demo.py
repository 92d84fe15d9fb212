"""`sealift demo`: the whole way works, every claim it makes is checked, and it leaves nothing behind unless asked."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.command import answer, run

import sealift
from sealift.errors import IntegrityError
from sealift.model.manifest import Manifest
from sealift.tools import demo

WITHOUT = """
import sys
from importlib.abc import MetaPathFinder
class Gone(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Gone())
from sealift.cli.main import main
main()
"""


def without(names: set[str], *args: object) -> subprocess.CompletedProcess[str]:
    """Run the command where these packages are not installed."""
    command = [sys.executable, "-c", WITHOUT.format(names=names), *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_demo_goes_the_whole_way(tmp_path: Path) -> None:
    """With --keep everything stays to be looked at: sources, spec and a publication that is proven."""
    said = answer("demo", "--rows", 40, "--keep", tmp_path)
    assert said["rows"] == 40
    assert said["checked"]["rows"] == 80
    manifest = json.loads((tmp_path / "out/.sealift/manifest.json").read_text())
    assert said["compared"] == {
        config["name"]: sum(one["cells"] for one in manifest["shards"] if one["config"] == config["name"])
        for config in manifest["configs"]
    }
    assert sealift.verify(tmp_path / "out", against=tmp_path / "source/sealift.yaml").proven


def test_the_demo_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without --keep nothing is left in the folder for temporary files; stdout has the tables, stderr the talk."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    ended = run("demo", "--rows", 12)
    assert ended.returncode == 0, ended.stderr
    assert [*tmp_path.iterdir()] == []
    assert "every media byte equal to the source" in ended.stdout
    assert "with datasets.load_dataset, as a map and as a stream" in ended.stderr


def test_the_demo_works_without_datasets_and_decoders(tmp_path: Path) -> None:
    """Where `datasets` and the decoders are not installed, pyarrow reads back, and it is said how to get the rest."""
    gone = {"datasets", "pandas", "soundfile", "PIL", "nibabel", "mido", "torch"}
    ended = without(gone, "demo", "--rows", 20, "--keep", tmp_path, "--json")
    assert ended.returncode == 0, ended.stderr
    assert "pip install 'sealift[datasets]'" in ended.stderr
    said = json.loads(ended.stdout)
    assert (said["ok"], said["rows"]) == (True, 20)
    assert min(said["compared"].values()) == 20


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Manifest]:
    """A small demo: its source, what was published, and the manifest."""
    folder = tmp_path_factory.mktemp("made")
    spec = demo.prepare(folder / "source", 20)
    built = sealift.publish(spec, str(folder / "out"), workers=1)
    return folder / "source", folder / "out", built.publication.manifest


@pytest.mark.parametrize("read", [demo.as_map, demo.as_stream, demo.with_pyarrow])
def test_what_comes_back_is_compared_file_by_file(read: demo.Reader, made: tuple[Path, Path, Manifest]) -> None:
    """Each way of reading gives every row and every media file; a lost row or a changed file would be an error."""
    source, out, found = made
    loaded = demo.load_back(out, source, found, "full", read)
    assert loaded.cells == sum(shard.cells for shard in found.shards if shard.config == "full")
    assert sum(loaded.rows.values()) == 20


@pytest.mark.parametrize("pattern", ["recordings/*/*.flac", "scores/*.mid", "covers/*.png", "scans/*.nii.gz"])
def test_a_change_in_any_kind_of_media_is_noticed(pattern: str, made: tuple[Path, Path, Manifest]) -> None:
    """A single other byte in a sound, a score, a picture or a scan fails the comparison."""
    source, out, found = made
    file = sorted(source.glob(pattern))[3]
    whole = file.read_bytes()
    try:
        file.write_bytes(whole[:-1] + bytes((whole[-1] ^ 1,)))
        with pytest.raises(IntegrityError, match="came back changed"):
            demo.load_back(out, source, found, "full", demo.with_pyarrow)
    finally:
        file.write_bytes(whole)


def test_a_lost_row_is_noticed(made: tuple[Path, Path, Manifest]) -> None:
    """A reader that gives fewer rows than were published fails the comparison."""
    source, out, found = made

    def fewer(folder: Path, config: str) -> Any:
        batches = list(demo.with_pyarrow(folder, config))
        return iter([(split, table.slice(1)) for split, table in batches[:1]] + batches[1:])

    with pytest.raises(IntegrityError, match="rows and"):
        demo.load_back(out, source, found, "scores", fewer)
