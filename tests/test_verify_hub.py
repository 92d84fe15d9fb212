"""Verify on a Hub: what each level costs, and that what was damaged there is found; the Hub is a local one."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.command import answer
from tests.hub_stores import SOON
from tests.hubs import Hub, start_hub

from sealift.build import Built, build, verify_published
from sealift.build.places import Access
from sealift.formats.ranged import whole
from sealift.model import manifest
from sealift.model.entry import Entry
from sealift.model.receipt import Receipt
from sealift.spec import Spec
from sealift.stores.hub.client import HubClient
from sealift.stores.hub.files import HubFiles
from sealift.stores.hub.place import Place
from sealift.tools.makers import noise
from sealift.verify import LEVELS, Level, Verified, verify
from sealift.verify.certificate import read_certificate
from sealift.verify.published import Published

ROWS = 160
SPEC = """\
from: .
tables: {takes: takes.parquet}
rows: SELECT * FROM takes ORDER BY id
key: id
media: {sound: binary, parts: [binary]}
split: train
configs: {takes: {default: true}, words: {drop: [sound, parts]}}
shards: {max_bytes: 900kB, row_group_rows: 10}
"""


@pytest.fixture(scope="module", params=["xet", "lfs"])
def hub(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A Hub with Xet, and one without."""
    folder = tmp_path_factory.mktemp("hub")
    with pytest.MonkeyPatch.context() as patch, start_hub(folder / "hub", *_options(request)) as running:
        patch.setenv("HF_XET_CACHE", str(folder / "xet"))
        yield running


def _options(request: pytest.FixtureRequest) -> list[str]:
    return ["--no-xet"] if request.param == "lfs" else []


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """3 MB of files, up to 33 KB each, in single cells and in lists."""
    folder = tmp_path_factory.mktemp("source")
    (folder / "files").mkdir()
    rows = []
    for number in range(ROWS):
        paths = [f"files/{number}-{place}" for place in range(1 + number % 4)]
        for place, path in enumerate(paths):
            (folder / path).write_bytes(noise(path, 1 + (number * 997 + place * 31) % 33_000 // (1 + place)).tobytes())
        rows.append({"id": f"take-{number:04}", "sound": None if number % 9 == 4 else paths[0], "parts": paths[1:]})
    kinds = [("id", pa.string()), ("sound", pa.string()), ("parts", pa.list_(pa.string()))]
    pq.write_table(pa.Table.from_pylist(rows, pa.schema(kinds)), folder / "takes.parquet")
    (folder / "sealift.yaml").write_text(SPEC)
    return folder


class Repository:
    """A published repository, to be damaged by the official client."""

    def __init__(self, hub: Hub, source: Path, home: Path) -> None:
        self.hub, self.home, self.id = hub, home, hub.name()
        self.access = Access(hub.endpoint, hub.token)
        self.built: Built = build(Spec.load(source / "sealift.yaml"), self.id, workers=1, access=self.access)

    @property
    def size(self) -> int:
        """All bytes that were published."""
        return self.built.publication.bytes_written

    @property
    def shard(self) -> str:
        """One of several shards with media."""
        return [one.path for one in self.built.publication.manifest.shards if one.cells][1]

    def verify(self, level: Level = "full", revision: str | None = None, **said: Any) -> Verified:
        """Prove it, in this process."""
        work = self.home / "work"
        work.mkdir(exist_ok=True)
        return verify_published(self.id, work, level, revision=revision, access=self.access, **said)

    def found(self, level: Level = "full", revision: str | None = None) -> list[tuple[str, str]]:
        """Code and place of what is wrong."""
        return [(one.code, one.place) for one in self.verify(level, revision).problems]

    def files(self) -> HubFiles:
        """Its files as they are now, from a store that does not wait long for a Hub that is busy."""
        place = Place.parse(self.id, self.hub.endpoint)
        return HubFiles(HubClient.of(place, self.hub.token, SOON), HubFiles.at(place, self.hub.token).revision)

    def read(self, path: str) -> bytes:
        """A file as it is now."""
        files = self.files()
        return whole(files, Entry(path, files.facts[path].size))

    def put(self, **files: bytes) -> None:
        """Upload files by their paths, in one commit."""
        self.commits(files)

    def delete(self, path: str) -> None:
        """Delete a file."""
        self.commits({path: None})

    def commits(self, *changes: Mapping[str, bytes | None]) -> list[str]:
        """Commit one change after another: the bytes of files by their paths, None to delete. The commits' ids."""
        (self.home / "new").mkdir(exist_ok=True)
        said = [[self._operation(path, data) for path, data in change.items()] for change in changes]
        return self._commit("[" + ", ".join(f"[{', '.join(operations)}]" for operations in said) + "]")

    def _operation(self, path: str, data: bytes | None) -> str:
        if data is None:
            return f"CommitOperationDelete({path!r})"
        file = self.home / "new" / sha256(data).hexdigest()
        file.write_bytes(data)
        return f"CommitOperationAdd({path!r}, {str(file)!r})"

    def change_manifest(self, path: str, **values: object) -> None:
        """Make the manifest say something else of a file."""
        said: dict[str, Any] = json.loads(self.read(manifest.PATH))
        for one in said["shards"] + said["files"]:
            one.update(values if one["path"] == path else {})
        self.put(**{manifest.PATH: json.dumps(said).encode()})

    def _commit(self, changes: str) -> list[str]:
        code = (
            "from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi\n"
            f"for one in {changes}:\n"
            f"    print(HfApi().create_commit({self.id!r}, one, commit_message='damage', repo_type='dataset').oid)\n"
        )
        xet = any(one.xet_hash for one in self.built.publication.manifest.shards)
        done = self.hub.run_python(code, self.hub.environment(self.home, xet=xet))
        assert done.returncode == 0, done.stderr
        return done.stdout.split()


@pytest.fixture(scope="module")
def whole_one(hub: Hub, source: Path, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A repository that nobody damages."""
    return Repository(hub, source, tmp_path_factory.mktemp("home"))


@pytest.fixture
def repository(hub: Hub, source: Path, tmp_path: Path) -> Repository:
    """A repository of the test's own."""
    return Repository(hub, source, tmp_path)


def _served(hub: Hub) -> tuple[int, int]:
    """Requests for files, and bytes that were sent, so far."""
    counts = hub.counts()
    return counts["requests"].get("resolve", 0), counts["bytes_out"]


def test_a_cell_is_one_request(whole_one: Repository, source: Path) -> None:
    """With its record of the index, a cell of a shard on the Hub takes one request of its bytes, and nothing else."""
    files = whole_one.files()
    index = io.BytesIO(whole_one.read(".sealift/index/takes-00000-of-00001.parquet"))
    cells = [cell for cell in pq.read_table(index).to_pylist() if cell["shard"] == whole_one.shard][::5]
    shard = Entry(whole_one.shard, files.facts[whole_one.shard].size)
    files.read_into(shard, 0, memoryview(bytearray(4)))  # The Hub says here where the bytes lie.
    before = whole_one.hub.counts()["requests"]
    for cell in cells:
        held = bytearray(cell["size"])
        files.read_into(shard, cell["offset"], memoryview(held))
        assert held == (source / cell["path"]).read_bytes()
    asked = Counter(whole_one.hub.counts()["requests"]) - Counter(before) - Counter(own=1)
    assert list(asked.values()) == [len(cells)]


def test_each_level_costs_what_it_says(whole_one: Repository) -> None:
    """The tree takes less than a hundredth of the bytes, footers two requests a shard, `full` each byte about once;
    what the answer counts is what the Hub served."""
    shards = len(whole_one.built.publication.manifest.shards)
    most_bytes = {"tree": 0.01, "footers": 0.3, "sample": 1.2, "rows": 0.7, "full": 1.05}
    most_requests = {"tree": 2, "footers": 3 + 2 * shards, "rows": 4 + 4 * shards, "full": 4 + 4 * shards}
    most_requests["sample"] = most_requests["footers"] + 2 + 300
    for level in LEVELS:
        before = _served(whole_one.hub)
        verified = whole_one.verify(level)
        requests, sent = (after - was for after, was in zip(_served(whole_one.hub), before, strict=True))
        assert verified.proven, verified.problems
        assert verified.revision == whole_one.built.revision
        assert verified.requests == requests <= most_requests[level]
        assert verified.bytes_read <= most_bytes[level] * whole_one.size
        assert verified.bytes_read <= sent <= verified.bytes_read + 30_000
    assert verified.checked["rows"] == 2 * ROWS
    assert verified.checked["cells"] > ROWS


def test_a_repository_is_held_against_its_source(whole_one: Repository, source: Path, tmp_path: Path) -> None:
    """Rows and files are compared with the source as those of a folder are, for few more requests and bytes."""
    alone = whole_one.verify("rows")
    spec = Spec.load(source / "sealift.yaml")
    before = _served(whole_one.hub)
    beside = verify_published(whole_one.id, tmp_path, "rows", spec, access=whole_one.access)
    requests, _ = (after - was for after, was in zip(_served(whole_one.hub), before, strict=True))
    assert beside.proven, beside.problems
    assert requests <= alone.requests + 4 * len(whole_one.built.publication.manifest.shards)
    assert beside.bytes_read < whole_one.size


def test_a_replaced_shard_is_found_and_the_older_commit_proves(repository: Repository) -> None:
    """A shard with other bytes of the same size is found by the tree alone; the commit before is proven as it was."""
    data = bytearray(repository.read(repository.shard))
    data[len(data) // 2] ^= 1
    repository.put(**{repository.shard: bytes(data)})
    assert repository.found("tree") == repository.found() == [("file-sha256", repository.shard)]
    assert repository.found(revision=repository.built.revision) == []


def test_what_came_and_went_is_found(repository: Repository) -> None:
    """A file that was deleted is missing, one that was added is unexpected."""
    repository.delete(repository.shard)
    repository.put(**{"takes/more.parquet": b"PAR1"})
    assert repository.found() == [("file-missing", repository.shard), ("file-unexpected", "takes/more.parquet")]


def test_a_card_that_contradicts_is_found(repository: Repository) -> None:
    """A card that was edited is not the one that was published; where the manifest agrees to it, its figures count."""
    card = repository.read(manifest.CARD).replace(b"num_examples: %d" % ROWS, b"num_examples: 7", 1)
    repository.put(**{manifest.CARD: card})
    assert repository.found() == [("file-size", manifest.CARD)]
    repository.change_manifest(manifest.CARD, size=len(card), sha256=sha256(card).hexdigest())
    assert [code for code, _ in repository.found("footers")] == ["card-counts"]


@pytest.fixture(scope="module")
def changed_one(hub: Hub, source: Path, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A repository whose newer commits are damaged in many ways; its first one is whole."""
    return Repository(hub, source, tmp_path_factory.mktemp("changed"))


def test_each_damage_has_its_code_at_its_commit(changed_one: Repository) -> None:
    """Bit flips, an empty shard, two exchanged, one renamed or copied, a card, index or manifest damaged: the tree
    alone finds each under its own code, with nothing else, and the commits between are proven."""
    read, first, second = changed_one.read, *[one.path for one in _with_cells(changed_one)][:2]
    index, more = ".sealift/index/takes-00000-of-00001.parquet", "takes/train-9.parquet"
    card, listed = read(manifest.CARD), read(manifest.PATH)
    one, other, records = read(first), read(second), read(index)
    size = "file-size" if len(one) != len(other) else "file-sha256"
    damages: list[tuple[dict[str, bytes | None], dict[str, bytes | None], list[tuple[str, str]]]] = [
        ({first: _flipped(one)}, {first: one}, [("file-sha256", first)]),
        ({first: b""}, {first: one}, [("file-size", first)]),
        ({first: other, second: one}, {first: one, second: other}, [(size, first), (size, second)]),
        ({first: None, more: one}, {first: one, more: None}, [("file-missing", first), ("file-unexpected", more)]),
        ({more: one}, {more: None}, [("file-unexpected", more)]),
        ({index: _flipped(records)}, {index: records}, [("file-sha256", index)]),
        ({manifest.CARD: _flipped(card)}, {manifest.CARD: card}, [("file-sha256", manifest.CARD)]),
        ({manifest.PATH: listed[:900]}, {manifest.PATH: listed}, [("manifest-damaged", manifest.PATH)]),
    ]
    ids = changed_one.commits(*(change for damage, mended, _ in damages for change in (damage, mended)))
    for (_, _, expected), damaged, mended in zip(damages, ids[::2], ids[1::2], strict=True):
        assert changed_one.found("tree", damaged) == expected
        assert changed_one.found("tree", mended) == []


def _with_cells(repository: Repository) -> list[Receipt]:
    return [one for one in repository.built.publication.manifest.shards if one.cells]


def _flipped(data: bytes) -> bytes:
    return data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1 :]


def test_history_tells_a_change_from_damage(changed_one: Repository, tmp_path: Path) -> None:
    """Beside a certificate a later manifest is a change, and the certified revision is proven as before; a revision
    that has another manifest than was certified, or is gone, is a history that was rewritten."""
    file, listed = tmp_path / "c.json", changed_one.read(manifest.PATH)
    before = changed_one.verify("tree", changed_one.built.revision, certificate=file)
    certified = read_certificate(file)
    assert certified.revision == before.revision == changed_one.built.revision is not None
    later, _ = changed_one.commits({manifest.PATH: listed + b" "}, {manifest.PATH: listed})
    assert changed_one.verify("tree", certified.revision, certified=certified).proven
    [problem] = changed_one.verify("tree", later, certified=certified).problems
    assert (problem.code, str(before.revision) in problem.message) == ("manifest-changed", True)
    for other in (
        replace(certified, manifest="0" * 64),
        replace(certified, manifest="0" * 64, revision=later),
        replace(certified, revision="f" * 40),
    ):
        [problem] = changed_one.verify("tree", later, certified=other).problems
        assert problem.code == "certificate-history"


def test_another_xet_hash_is_found(repository: Repository) -> None:
    """The Xet hash that was noted at publication is held against the Hub's, if the Hub has one."""
    facts = repository.files().facts[repository.shard]
    [shard] = [one for one in repository.built.publication.manifest.shards if one.path == repository.shard]
    assert shard.xet_hash == facts.xet_hash
    repository.change_manifest(repository.shard, xet_hash="0" * 64)
    assert repository.found() == ([("file-xet-hash", repository.shard)] if facts.xet_hash else [])


def test_damaged_bytes_behind_right_digests_are_found(repository: Repository) -> None:
    """When the manifest agrees to a damaged shard, `full` finds the cell, for it hashes what the Hub delivers."""
    data = bytearray(repository.read(repository.shard))
    data[len(data) // 2] ^= 1
    repository.put(**{repository.shard: bytes(data)})
    xet_hash = repository.files().facts[repository.shard].xet_hash
    repository.change_manifest(repository.shard, sha256=sha256(data).hexdigest(), xet_hash=xet_hash)
    assert repository.found("rows") == []
    [problem] = repository.verify().problems
    assert problem.code == "cell-digest"
    assert repository.shard in problem.place


def test_a_repository_without_a_manifest_is_not_proven(repository: Repository) -> None:
    """Without a manifest nothing can be proven."""
    repository.delete(manifest.PATH)
    assert repository.found() == [("manifest-missing", manifest.PATH)]


@pytest.mark.parametrize("status", [403, 404, 503])
def test_what_the_hub_does_not_deliver_is_unreadable(status: int, whole_one: Repository, tmp_path: Path) -> None:
    """A file that the Hub refuses, has lost, or fails to send after some tries is named, and the rest is proven."""
    files = whole_one.files()
    whole_one.hub.faults([{"kind": "resolve", "skip": 1, "times": 1 + len(SOON), "status": status}])
    try:
        verified = verify(Published(files), tmp_path, "tree")
    finally:
        whole_one.hub.faults([])
    assert [(one.code, one.place) for one in verified.problems] == [("file-unreadable", manifest.CARD)]


def test_a_hub_that_fails_for_a_moment_changes_nothing(whole_one: Repository, tmp_path: Path) -> None:
    """Requests that fail and succeed when they are repeated are no problem."""
    files = whole_one.files()
    whole_one.hub.faults(
        [
            {"kind": "resolve", "skip": 5, "times": 2, "status": 503},
            {"kind": "resolve", "skip": 9, "times": 2, "drop": True},
        ]
    )
    try:
        assert verify(Published(files), tmp_path).problems == ()
    finally:
        whole_one.hub.faults([])


def test_the_command_proves_a_repository(whole_one: Repository) -> None:
    """`sealift verify org/name` ends with 0, and says the revision and the bytes that it took."""
    where = ["--endpoint", whole_one.hub.endpoint, "--token", whole_one.hub.token]
    said = answer("verify", whole_one.id, "--level", "tree", *where)
    assert (said["ok"], said["problems"], said["revision"]) == (True, [], whole_one.built.revision)
    assert 0 < said["bytes_read"] < whole_one.size / 100
    answer("verify", whole_one.id, "--revision", "none-such", *where, exit_code=3)
