"""Publish, replace, crash, go on, purge, in any order: readers see what a plain model of it says, old or new."""

from __future__ import annotations

import hashlib
import io
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx2
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from huggingface_hub import HfApi
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from tests.hubs import Hub, start_hub
from tests.publishers import Publisher

from sealift.api import verify
from sealift.model import manifest
from sealift.model.manifest import read_manifest

CONFIGS = ("all", "words")
SPEC = {
    "from": ".",
    "tables": {"rows": "rows.parquet"},
    "rows": "SELECT * FROM rows ORDER BY id",
    "key": "id",
    "media": {"file": "binary"},
    "configs": {"all": {"default": True}, "words": {"drop": ["file"]}},
    "shards": {"rows": 2},
}
CHANGES = st.lists(st.tuples(st.sampled_from(["add", "remove", "words", "file"]), st.integers(0, 9)), max_size=3)
SOME = st.sampled_from([None, None, ("all",), ("words",)])
"""The configs that are published: both, or one."""
Row = tuple[str, str, bytes]
Shown = dict[str, list[tuple[str, ...]]]
"""What readers see: by config, the rows with their words and the digest of their file."""


class Folder:
    """Where a machine publishes to, as its readers see it: a folder."""

    def __init__(self, home: Path) -> None:
        self.access: dict[str, Any] = {}
        self.out = home / "out"
        self.to = str(self.out)

    def files(self) -> dict[str, bytes]:
        there = self.out.rglob("*") if self.out.exists() else ()
        return {one.relative_to(self.out).as_posix(): one.read_bytes() for one in there if one.is_file()}

    def is_decided(self) -> bool:
        """Whether a commit is being carried out: a folder has no instant in which it takes effect."""
        return (self.out.parent / ".out.sealift" / "commit.json").exists()

    def put(self, path: str, data: bytes) -> None:
        (self.out / path).parent.mkdir(parents=True, exist_ok=True)
        (self.out / path).write_bytes(data)

    def problems(self) -> Sequence[object]:
        return verify(self.out).problems


class Repository:
    """The same, a repository on a Hub."""

    def __init__(self, hub: Hub) -> None:
        self.hub, self.to = hub, hub.name()
        self.access: dict[str, Any] = {"endpoint": hub.endpoint, "token": hub.token}
        self.api = HfApi(endpoint=hub.endpoint, token=hub.token)

    def files(self) -> dict[str, bytes]:
        if not self.api.repo_exists(self.to, repo_type="dataset"):
            return {}
        head, at = {"Authorization": f"Bearer {self.hub.token}"}, f"{self.hub.endpoint}/datasets/{self.to}/resolve/main"
        with httpx2.Client(headers=head, follow_redirects=True, trust_env=False) as session:
            there = self.api.list_repo_files(self.to, repo_type="dataset")
            return {path: bytes(session.get(f"{at}/{path}").content) for path in there if path != ".gitattributes"}

    def is_decided(self) -> bool:
        return False

    def put(self, path: str, data: bytes) -> None:
        self.api.upload_file(path_or_fileobj=data, path_in_repo=path, repo_id=self.to, repo_type="dataset")

    def problems(self) -> Sequence[object]:
        return verify(self.to, **self.access).problems


class Publications(RuleBasedStateMachine):
    """A source that changes, its publications, and what becomes of them."""

    def __init__(self, publisher: Publisher, place: Callable[[Path], Folder | Repository], last: int) -> None:
        super().__init__()
        self.publisher, self.last = publisher, last
        self.home = TemporaryDirectory()
        self.source = Path(self.home.name) / "source"
        self.place = place(Path(self.home.name))
        self.rows: dict[str, Row] = {}
        self.shown: Shown = {}
        self.theirs: set[str] = set()
        self.count = 0
        (self.source / "files").mkdir(parents=True)
        (self.source / "sealift.yaml").write_text(yaml.safe_dump(SPEC, sort_keys=False))
        for _ in range(3):
            self.add()

    def teardown(self) -> None:
        self.home.cleanup()

    def change(self, changes: Sequence[tuple[str, int]]) -> None:
        """What happens at the source: rows come, go and say something else, files change."""
        for what, number in changes:
            name, words, data = self.rows[sorted(self.rows)[number % len(self.rows)]]
            if what == "add":
                self.add()
            elif what == "remove" and len(self.rows) > 1:
                del self.rows[name]
                self.write()
            elif what == "words":
                self.put(name, words + "!", data)
            elif what == "file":
                self.put(name, words, data[::-1] + b"x")

    def add(self) -> None:
        self.count += 1
        self.put(f"{self.count:03}", "new", b"%d" % self.count * 50)

    @precondition(lambda self: self.shown)
    @rule(number=st.integers(0, 2))
    def somebody_adds_a_file(self, number: int) -> None:
        path = f"theirs/{number}.txt"
        self.place.put(path, b"%d" % number)
        self.theirs.add(path)

    @rule(changes=CHANGES, configs=SOME)
    def publish(self, changes: Sequence[tuple[str, int]], configs: Sequence[str] | None) -> None:
        """It ends well, whatever an earlier run was killed at."""
        self.change(changes)
        self.settled(self.run(configs))
        self.shown = self.after(configs)

    @rule(changes=CHANGES)
    def purge(self, changes: Sequence[tuple[str, int]]) -> None:
        """All that others have put there goes."""
        self.change(changes)
        self.settled(self.run(None, purge=True))
        self.shown, self.theirs = self.after(None), set()

    @rule(
        changes=CHANGES,
        configs=SOME,
        part=st.floats(0, 1, exclude_max=True),
        workers=st.sampled_from([1, 1, 1, 2]),
    )
    def killed(
        self, changes: Sequence[tuple[str, int]], configs: Sequence[str] | None, part: float, workers: int
    ) -> None:
        """Readers see the old dataset or the new one; which, is known as soon as somebody looks."""
        self.change(changes)
        code = self.run(configs, at=["journal", "files"], step=int(part * self.last), workers=workers)
        if code == 0:
            self.shown = self.after(configs)
        elif self.place.is_decided():
            self.settled(self.run(configs))
            self.shown = self.after(configs)
        else:
            assert self.seen() in (self.shown, self.after(configs))
            self.shown = self.seen()

    @precondition(lambda self: self.shown)
    @rule()
    def verify(self) -> None:
        assert self.place.problems() == ()

    @invariant()
    def readers_see_what_was_published(self) -> None:
        assert self.seen() == self.shown
        assert {path for path in self.place.files() if path.startswith("theirs/")} == self.theirs

    def run(self, configs: Sequence[str] | None, **options: Any) -> int:
        said = {"configs": list(configs)} if configs else {}
        self.ended = self.publisher.run(
            self.source, self.place.to, **{"at": [], **said, **self.place.access, **options}
        )
        return self.ended.code

    def settled(self, code: int) -> None:
        assert code == 0, self.ended.said

    def after(self, configs: Sequence[str] | None) -> Shown:
        """What readers should see once these configs of the source are published."""
        new: Shown = {
            "all": [(name, words, hashlib.sha256(data).hexdigest()) for name, words, data in self.in_order()],
            "words": [(name, words) for name, words, _ in self.in_order()],
        }
        return {**self.shown, **{name: new[name] for name in configs or CONFIGS}}

    def seen(self) -> Shown:
        """What they do see."""
        files = self.place.files()
        if manifest.PATH not in files:
            return {}
        found = read_manifest(files[manifest.PATH])
        seen: Shown = {config.name: [] for config in found.configs}
        for shard in found.shards:
            for row in pq.read_table(io.BytesIO(files[shard.path])).to_pylist():
                cell = row.get("file")
                digest = () if cell is None else (hashlib.sha256(cell).hexdigest(),)
                seen[shard.config].append((row["id"], row["words"], *digest))
        return seen

    def in_order(self) -> list[Row]:
        return [self.rows[name] for name in sorted(self.rows)]

    def put(self, name: str, words: str, data: bytes) -> None:
        self.rows[name] = (name, words, data)
        (self.source / "files" / name).write_bytes(data)
        self.write()

    def write(self) -> None:
        rows = [{"id": name, "words": words, "file": f"files/{name}"} for name, words, _ in self.in_order()]
        pq.write_table(pa.Table.from_pylist(rows), self.source / "rows.parquet")


def run(
    publisher: Publisher, place: Callable[[Path], Folder | Repository], last: int, examples: int, steps: int
) -> None:
    """Let it happen in so many ways; `last` is about how many boundaries a run crosses."""

    class Machine(Publications):
        def __init__(self) -> None:
            super().__init__(publisher, place, last)

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            derandomize=examples < 10,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.fixture(scope="module")
def publisher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Publisher]:
    with Publisher(tmp_path_factory.mktemp("publisher")) as made:
        yield made


@pytest.mark.parametrize(("examples", "steps"), [(3, 5), pytest.param(60, 20, marks=pytest.mark.long)])
def test_publications_to_a_folder(publisher: Publisher, examples: int, steps: int) -> None:
    """Whatever happens before, each publication ends with what the source holds, and one that is killed with that or
    what was there."""
    run(publisher, Folder, 260, examples, steps)


@pytest.mark.parametrize(("examples", "steps"), [pytest.param(40, 15, marks=pytest.mark.long)])
@pytest.mark.parametrize("options", [(), ("--no-xet",)], ids=["xet", "lfs"])
def test_publications_to_a_hub(tmp_path: Path, examples: int, steps: int, options: Sequence[str]) -> None:
    """The same, where a commit takes effect in one instant."""
    with (
        start_hub(tmp_path / "hub", *options) as hub,
        Publisher(tmp_path / "publisher", hub.environment(tmp_path / "home")) as publisher,
    ):
        run(publisher, lambda _: Repository(hub), 60, examples, steps)
        shutil.rmtree(tmp_path / "home", ignore_errors=True)
