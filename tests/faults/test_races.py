"""Two publishers and a reader at one repository: whoever loses is told, and nobody ever sees a mixture."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml
from huggingface_hub import HfApi
from huggingface_hub.hf_api import RepoFile
from tests.albums import albums, publish_albums, tracks, write_tracks
from tests.hubs import Hub
from tests.publishers import Ended, Publisher

from sealift.model import manifest
from sealift.model.manifest import Manifest, read_manifest
from sealift.spec import Spec

CHANGED = 6
"""The exit code of a run that was told that another was first."""

pytestmark = pytest.mark.usefixtures("own_xet_cache")


@dataclass
class Reader:
    """Loads revisions of one repository, and holds card, manifest, tree and bytes against each other."""

    hub: Hub
    name: str
    seen: dict[str, Manifest] = field(default_factory=dict)
    _known: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.api = HfApi(endpoint=self.hub.endpoint, token=self.hub.token)

    def head(self) -> str:
        return str(self.api.dataset_info(self.name).sha)

    def commits(self) -> list[str]:
        return [one.commit_id for one in self.api.list_repo_commits(self.name, repo_type="dataset")]

    def load(self, revision: str) -> Manifest:
        """The dataset of that revision, which is whole: every file that its manifest names has the bytes it says, its
        card speaks of the same configs and rows, and nothing else of a publication is there."""
        if revision in self.seen:
            return self.seen[revision]
        found = read_manifest(self.read(revision, manifest.PATH))
        said = {path: digest for path, (_, digest) in found.paths().items()}
        tree = self.api.list_repo_tree(self.name, repo_type="dataset", recursive=True, revision=revision)
        there = {one.path: one for one in tree if isinstance(one, RepoFile)}
        assert there.keys() - {".gitattributes"} == {*said, manifest.PATH}
        for path, digest in said.items():
            blob = there[path].blob_id
            if blob not in self._known:
                self._known[blob] = hashlib.sha256(self.read(revision, path)).hexdigest()
            assert self._known[blob] == digest, path
        self._check_card(found, self.read(revision, "README.md").decode())
        self.seen[revision] = found
        return found

    def _check_card(self, found: Manifest, card: str) -> None:
        said: dict[str, Any] = yaml.safe_load(card.split("---\n", 2)[1])
        assert [one["config_name"] for one in said["configs"]] == [config.name for config in found.configs]
        rows = {
            (one["config_name"], split["name"]): split["num_examples"]
            for one in said["dataset_info"]
            for split in one["splits"]
        }
        assert rows == {(config.name, split.name): split.rows for config in found.configs for split in config.splits}

    def read(self, revision: str, path: str) -> bytes:
        head = {"Authorization": f"Bearer {self.hub.token}"}
        with httpx2.Client(headers=head, follow_redirects=True, trust_env=False) as session:
            answer = session.get(f"{self.hub.endpoint}/datasets/{self.name}/resolve/{revision}/{path}")
        assert answer.status_code == 200, (path, answer.text)
        return bytes(answer.content)


@pytest.fixture
def publishers(xet_hub: Hub, tmp_path: Path) -> Iterator[list[Publisher]]:
    """Two machines that know nothing of each other."""
    homes = [tmp_path / name for name in ("here", "there")]
    here, there = (Publisher(home, xet_hub.environment(home)) for home in homes)
    with here, there:
        yield [here, there]


def labelled(source: Path, label: str) -> Path:
    """The source with these words in each row, so that no shard is as before."""
    write_tracks(source, [{**row, "label": f"{label} {row['id']}"} for row in tracks(source)])
    return source


def race(publishers: list[Publisher], sources: list[Path], name: str, options: list[dict[str, Any]]) -> list[Ended]:
    """Both at once."""
    for publisher, source, said in zip(publishers, sources, options, strict=True):
        publisher.begin(source, name, at=[], **said)
    return [publisher.end() for publisher in publishers]


@pytest.mark.parametrize(
    ("configs", "times"),
    [
        pytest.param(("words", "scores"), 1, marks=pytest.mark.long),
        (("words", "words"), 1),
        *(
            pytest.param(configs, 25, marks=pytest.mark.long)
            for configs in [("words", "scores"), ("words", "words"), (None, None)]
        ),
    ],
)
def test_two_publishers(
    xet_hub: Hub, publishers: list[Publisher], tmp_path: Path, configs: tuple[str | None, str | None], times: int
) -> None:
    """Of two configs, or one, or the whole dataset: each revision is whole and somebody's; who was second is told, and
    has published when he runs again."""
    sources = [albums(tmp_path / name) for name in ("one", "other")]
    access = {"endpoint": xet_hub.endpoint, "token": xet_hub.token}
    options = [{**access, **({"configs": [config]} if config else {})} for config in configs]
    for turn in range(times):
        reader = Reader(xet_hub, xet_hub.name())
        assert publishers[0].run(labelled(sources[0], "before"), reader.name, at=[], **access).code == 0
        before = reader.load(reader.head())
        for number, source in enumerate(sources):
            labelled(source, f"{turn} by {number}")
        ended = race(publishers, sources, reader.name, options)
        assert sorted(one.code for one in ended) in ([0, 0], [0, CHANGED]), [one.said for one in ended]
        for revision in reader.commits()[:-1]:
            reader.load(revision)
        for number, one in enumerate(ended):
            if one.code == CHANGED:
                assert one.said["error"] in ("DestinationChanged", "DestinationBusy"), one.said
                again = publishers[number].run(sources[number], reader.name, at=[], **options[number])
                assert again.code == 0, again.said
                assert not again.packed
        after = reader.load(reader.head())
        changed = {shard.config for shard in after.shards} - {
            shard.config for shard in after.shards if shard in before.shards
        }
        assert changed == ({*configs} if configs[0] else {config.name for config in after.configs})


def test_a_reader_in_a_loop(xet_hub: Hub, publishers: list[Publisher], tmp_path: Path) -> None:
    """Whenever he looks while the dataset is replaced, whole or config by config, and while that is killed and begun
    anew: what the branch names is whole, the old or the new."""
    source = albums(tmp_path / "source")
    access = {"endpoint": xet_hub.endpoint, "token": xet_hub.token}
    reader = Reader(xet_hub, xet_hub.name())
    assert publishers[0].run(labelled(source, "before"), reader.name, at=[], **access).code == 0
    over, wrong, loads = threading.Event(), list[BaseException](), 0

    def look() -> None:
        nonlocal loads
        while not over.is_set():
            try:
                reader.load(reader.head())
                loads += 1
            except BaseException as error:
                wrong.append(error)
                return

    looking = threading.Thread(target=look)
    looking.start()
    try:
        ways: list[dict[str, Any]] = [{"step": 30}, {}, {"commit_per_config": True}]
        for number, said in enumerate(ways):
            labelled(source, f"number {number // 2}")
            publishers[0].run(source, reader.name, at=["journal"], **said, **access)
    finally:
        over.set()
        looking.join()
    assert not wrong, wrong[0]
    assert loads > 3
    assert len(reader.seen) > 1
    assert reader.load(reader.head()) in reader.seen.values()


def test_the_last_is_the_sources(xet_hub: Hub, publishers: list[Publisher], tmp_path: Path) -> None:
    """What is published after a race is what a folder would hold, shard by shard."""
    source, reader = labelled(albums(tmp_path / "source"), "mine"), Reader(xet_hub, xet_hub.name())
    access = {"endpoint": xet_hub.endpoint, "token": xet_hub.token}
    ended = race(publishers, [source, source], reader.name, [access, access])
    assert 0 in [one.code for one in ended]
    built = publish_albums(source, tmp_path / "out", workers=1)
    assert Spec.load(source / "sealift.yaml").configs.keys() == {one.name for one in reader.load(reader.head()).configs}
    there = {shard.path: shard.sha256 for shard in reader.load(reader.head()).shards}
    assert there == {shard.path: shard.sha256 for shard in built.publication.manifest.shards}
