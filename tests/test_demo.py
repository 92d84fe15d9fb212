"""`sealift demo`: the whole way works, every claim it makes is checked, and it leaves nothing behind unless asked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.command import answer, process, run
from tests.hubs import start_hub

import sealift
from sealift.errors import IntegrityError
from sealift.model.manifest import Manifest
from sealift.stores.local import LocalFolder
from sealift.tools import demo
from sealift.tools.loading import WAYS, Job, Way, loader
from sealift.verify.published import Published

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
LIMIT_S = 120


def without(names: set[str], *args: object) -> subprocess.CompletedProcess[str]:
    """Run the command where these packages are not installed."""
    command = [sys.executable, "-c", WITHOUT.format(names=names), *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT_S)


def test_the_demo_goes_the_whole_way(tmp_path: Path) -> None:
    """With --keep everything stays to be looked at: sources, and a Hub whose dataset is proven against them."""
    said = answer("demo", "--rows", 40, "--keep", tmp_path)
    assert (said["rows"], said["checked"]["rows"], said["commits"]) == (40, 80, 1)
    assert said["requests"].keys() == {"publish", "verify", "load"}
    with start_hub(tmp_path / "hub") as hub:
        spec = tmp_path / "source" / "sealift.yaml"
        proof = sealift.verify(demo.REPOSITORY, against=spec, endpoint=hub.endpoint, token=hub.token)
    assert proof.proven and proof.manifest is not None
    shards = proof.manifest.shards
    assert said["compared"] == {
        config.name: sum(one.cells for one in shards if one.config == config.name) for config in proof.manifest.configs
    }


def test_the_demo_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without --keep nothing is left in the folder for temporary files; stdout has the tables, stderr the talk."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = dict(os.environ)
    ended = run("demo", "--rows", 12)
    assert ended.returncode == 0, ended.stderr
    assert [*tmp_path.iterdir()] == []
    assert dict(os.environ) == before
    assert "every media byte equal to the source" in ended.stdout
    assert "What the Hub was asked" in ended.stdout
    assert "with datasets.load_dataset, as a map and as a stream" in ended.stderr


def test_the_demo_touches_no_account_and_no_cache_of_the_user(tmp_path: Path) -> None:
    """A token, another Hub, a proxy and being offline, as the environment says them, neither disturb nor are used."""
    home = tmp_path / "home"
    home.mkdir()
    away = "http://127.0.0.1:9"
    ended = process(
        "demo",
        "--rows",
        12,
        HOME=str(home),
        HF_HOME=str(home / "hf"),
        HF_TOKEN="hf_ofsomebodyelse",
        HF_ENDPOINT=away,
        HTTP_PROXY=away,
        http_proxy=away,
        HF_HUB_OFFLINE="1",
        TMPDIR=str(tmp_path),
    )
    assert ended.returncode == 0, ended.stderr
    assert [*home.rglob("*")] == []


def test_the_demo_works_without_datasets_and_decoders(tmp_path: Path) -> None:
    """Where `datasets` and the decoders are not installed, pyarrow reads back, and it is said how to get the rest."""
    gone = {"datasets", "pandas", "soundfile", "PIL", "nibabel", "mido", "torch"}
    ended = without(gone, "demo", "--rows", 20, "--keep", tmp_path, "--json")
    assert ended.returncode == 0, ended.stderr
    assert "pip install 'sealift[datasets]'" in ended.stderr
    said = json.loads(ended.stdout)
    assert (said["ok"], said["rows"]) == (True, 20)
    assert min(said["compared"].values()) == 20


class Made:
    """A small demo in a folder: its source, what was published, and the manifest."""

    def __init__(self, folder: Path) -> None:
        self.source, self.out, self.home = folder / "source", folder / "out", folder / "home"
        spec = demo.prepare(self.source, 20)
        built = sealift.publish(spec, str(self.out), workers=1)
        self.found: Manifest = built.publication.manifest
        self.published = Published(LocalFolder(self.out))
        self.published.open_manifest()

    def compare(self, config: str, came: Any) -> demo.Loaded:
        """What came, held against the source."""
        return demo.load_back(self.published, self.found, self.source, config, came)

    def by_pyarrow(self, config: str) -> demo.Loaded:
        """The config read by pyarrow, held against the source."""
        return self.compare(config, demo.with_pyarrow(self.published, self.found, config))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A published demo, in a folder."""
    return Made(tmp_path_factory.mktemp("made"))


@pytest.fixture(scope="module")
def environment(made: Made) -> Iterator[dict[str, str]]:
    """The environment of a process that loads, with caches of its own."""
    yield {**os.environ, "HF_HOME": str(made.home / "hf")}


@pytest.mark.parametrize("way", WAYS)
def test_what_datasets_loads_is_compared_file_by_file(way: Way, made: Made, environment: dict[str, str]) -> None:
    """Each way of loading gives every row and every media file, and leaves no copy of the data behind."""
    with loader(environment, made.home) as process:
        loaded = made.compare("full", process.rows(Job(str(made.out), "full", way, 7)))
    assert loaded.cells == sum(shard.cells for shard in made.found.shards if shard.config == "full")
    assert sum(loaded.rows.values()) == 20
    assert [*made.home.rglob("*.arrow")] == []


def test_what_cannot_be_loaded_is_an_error_that_says_why(made: Made, environment: dict[str, str]) -> None:
    """What `datasets` says of it is in the message."""
    with (
        loader(environment, made.home) as process,
        pytest.raises(IntegrityError, match=r"config none: load_dataset cannot .*BuilderConfig 'none' not found"),
    ):
        list(process.rows(Job(str(made.out), "none", "map", 7)))


def test_pyarrow_reads_it_as_well(made: Made) -> None:
    """Without `datasets` every row and every media file comes back, too."""
    loaded = made.by_pyarrow("full")
    assert loaded.cells == sum(shard.cells for shard in made.found.shards if shard.config == "full")
    assert sum(loaded.rows.values()) == 20


@pytest.mark.parametrize("pattern", ["recordings/*/*.flac", "scores/*.mid", "covers/*.png", "scans/*.nii.gz"])
def test_a_change_in_any_kind_of_media_is_noticed(pattern: str, made: Made) -> None:
    """A single other byte in a sound, a score, a picture or a scan fails the comparison."""
    file = sorted(made.source.glob(pattern))[3]
    whole = file.read_bytes()
    try:
        file.write_bytes(whole[:-1] + bytes((whole[-1] ^ 1,)))
        with pytest.raises(IntegrityError, match="came back changed"):
            made.by_pyarrow("full")
    finally:
        file.write_bytes(whole)


def test_a_lost_row_is_noticed(made: Made) -> None:
    """A reader that gives fewer rows than were published fails the comparison."""
    batches = list(demo.with_pyarrow(made.published, made.found, "scores"))
    (split, table), *others = batches
    with pytest.raises(IntegrityError, match="rows and"):
        made.compare("scores", iter([(split, table.slice(1)), *others]))
