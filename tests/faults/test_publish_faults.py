"""Whatever a Hub does at whatever request of a publication: the run ends by itself, all is there or nothing changed."""

from __future__ import annotations

import hashlib
import signal
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from huggingface_hub import HfApi
from tests.albums import albums, digests, publish_albums, tracks, write_tracks
from tests.hubs import Hub

from sealift.build import build
from sealift.build.places import Access
from sealift.errors import AccessDenied, DestinationBusy, DestinationError, IntegrityError, SealiftError
from sealift.model import manifest
from sealift.spec import Spec

BOUND = 300
"""Seconds after which a run that goes on is taken for one that hangs. A commit's answer is waited for for 120 s."""
WAITS, STALL = (0.05, 0.05, 0.1), 1.0

pytestmark = pytest.mark.usefixtures("own_xet_cache")

STALLED = "stalled in the request"
PASSES: Mapping[str, dict[str, Any]] = {
    "429 with seconds": {"status": 429, "retry_after": 1},
    "429 with a date": {"status": 429, "retry_date": 1},
    "429 with a quota": {"status": 429, "rate_limit": 1},
    "500": {"status": 500},
    "502": {"status": 502},
    "503": {"status": 503},
    "504": {"status": 504},
    "504 after it acted": {"status": 504, "after": True},
    "dropped": {"drop": True},
    "dropped after it acted": {"drop": True, "after": True},
    "cut in the request": {"cut_request": 0.5},
    "cut in the answer": {"cut_answer": 0.5},
    STALLED: {"stall_request": 0.5},
    "stalled in the answer": {"stall_answer": 0.5},
    "slow": {"delay": 0.3, "slow_request": 100_000, "slow_answer": 100_000},
}
"""What passes: once, and the publication is what it would have been."""
HARMS: Mapping[str, dict[str, Any]] = {
    "wrong bytes in": {"flip_request": 1},
    "wrong bytes out": {"flip_answer": 1},
    "truncated": {"truncate_answer": 0.5},
    "a stale token": {"expired": True},
    "a full disk": {"disk_full": 0.5},
}
"""What may end the run."""
LASTS: Mapping[str, dict[str, Any]] = {
    "429 with a long wait": {"status": 429, "retry_after": 2000},
    "503 for ever": {"status": 503},
    "dropped for ever": {"drop": True},
    "stalled for ever": {"stall_request": 0.5},
    "a full disk for ever": {"disk_full": 0.5},
    "no rights": {"status": 403},
}
"""What does not pass: the run ends by itself all the same."""
CONTENT = ("cas-xorb-put", "cas-shard", "cas-reconstruction", "cas-xorb-get", "lfs-put", "lfs-get")
SENDING = ("commit", "cas-xorb-put", "cas-shard", "lfs-put")
COMMON = ("repo-info", "whoami", "preupload", "commit", "tree", "refs", "resolve", "xet-token")
XET = (*COMMON, "cas-xorb-put", "cas-shard", "cas-reconstruction", "cas-xorb-get")
LFS = (*COMMON, "lfs-batch", "lfs-put", "lfs-verify", "lfs-get")


@dataclass(frozen=True)
class Dataset:
    """A repository in which something is to be published."""

    hub: Hub
    name: str
    source: Path
    wanted: Mapping[str, str]
    """The digests of the shards that should come out."""

    @property
    def api(self) -> HfApi:
        return HfApi(endpoint=self.hub.endpoint, token=self.hub.token)

    def publish(self) -> None:
        access = Access(self.hub.endpoint, self.hub.token, waits=WAITS, stall=STALL)
        with bounded():
            build(Spec.load(self.source / "sealift.yaml"), self.name, workers=1, access=access)

    def head(self) -> str | None:
        return self.api.dataset_info(self.name).sha

    def commits(self) -> int:
        return len(self.api.list_repo_commits(self.name, repo_type="dataset"))

    def check(self) -> None:
        """What readers get is what was published, to the byte: every file that the manifest names, and no more."""
        there = {path for path in self.api.list_repo_files(self.name, repo_type="dataset") if path != ".gitattributes"}
        found = manifest.read_manifest(self.read(manifest.PATH))
        assert there == {*found.paths(), manifest.PATH}
        assert {shard.path: shard.sha256 for shard in found.shards} == self.wanted
        for path, (_, sha256) in found.paths().items():
            assert hashlib.sha256(self.read(path)).hexdigest() == sha256, path

    def read(self, path: str) -> bytes:
        head = {"Authorization": f"Bearer {self.hub.token}"}
        with httpx2.Client(headers=head, follow_redirects=True, trust_env=False) as session:
            return bytes(session.get(f"{self.hub.endpoint}/datasets/{self.name}/resolve/main/{path}").content)


@contextmanager
def bounded() -> Iterator[None]:
    """Whoever is at work for longer has not ended by himself."""

    def hangs(*_: object) -> None:
        raise AssertionError(f"the run did not end within {BOUND} s")

    before = signal.signal(signal.SIGALRM, hangs)
    signal.alarm(BOUND)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two shards, a table beside."""
    configs = {"configs": None, "also": {"extra/": ["notes.csv"]}, "media": {"score": "midi"}}
    return albums(tmp_path_factory.mktemp("base") / "source", shards={"max_bytes": "1MB"}, **configs)


@pytest.fixture
def hub(request: pytest.FixtureRequest) -> Iterator[Hub]:
    found: Hub = request.getfixturevalue(f"{request.param}_hub")
    yield found
    found.faults([])


@pytest.fixture
def dataset(hub: Hub, base: Path, tmp_path: Path) -> Dataset:
    """A repository with a card, by hand; no Hub has ever seen the content that is to come."""
    api, name = HfApi(endpoint=hub.endpoint, token=hub.token), hub.name()
    api.create_repo(name, repo_type="dataset")
    card = b"---\nlicense: mit\n---\nBy hand.\n"
    api.upload_file(path_or_fileobj=card, path_in_repo="README.md", repo_id=name, repo_type="dataset")
    write_tracks(base, [{**row, "label": uuid.uuid4().hex} for row in tracks(base)])
    publish_albums(base, tmp_path / "out", workers=1)
    wanted = {path: digest for path, digest in digests(tmp_path / "out").items() if path.startswith("data/")}
    return Dataset(hub, name, base, wanted)


def cases(faults: Mapping[str, dict[str, Any]], *short: tuple[str, str, str]) -> pytest.MarkDecorator:
    """Each fault at each kind of request, of a Hub with Xet and of one without; these alone in the suite.

    Calls to the API have time-outs of a minute or two, which cannot be set: of them only one stalls. Only what is sent
    fills a disk.
    """
    every = [
        (hub, kind, name)
        for hub, kinds in (("xet", XET), ("lfs", LFS))
        for kind in kinds
        for name in faults
        if ("stalled" not in name or kind in CONTENT or (hub, kind, name) == ("lfs", "commit", STALLED))
        and ("disk" not in name or kind in SENDING)
        # What is read back is waited for for a minute each time: bounded, and too long for a test.
        and (name != "stalled for ever" or kind in SENDING)
    ]
    assert set(short) <= set(every)
    marks = {case: () if case in short else (pytest.mark.long,) for case in every}
    params = [pytest.param(*case, marks=marks[case], id="-".join(case)) for case in every]
    return pytest.mark.parametrize(("hub", "kind", "fault"), params, indirect=["hub"])


def outcome(dataset: Dataset, fault: Mapping[str, Any]) -> SealiftError | None:
    """How the run ended that met the fault; if not well, the branch is as it was, and the next run ends well.

    In any case readers have the whole new dataset in the end, by one commit.
    """
    head, commits = dataset.head(), dataset.commits()
    dataset.hub.faults([fault])
    try:
        dataset.publish()
        error = None
    except SealiftError as caught:
        error = caught
    [met] = dataset.hub.happened()
    assert met["happened"], "a publication asks for no such thing"
    dataset.hub.faults([])
    if error is not None:
        assert dataset.head() == head
        dataset.publish()
    dataset.check()
    assert dataset.commits() == commits + 1
    return error


@cases(
    PASSES,
    ("xet", "commit", "dropped after it acted"),
    ("xet", "commit", "504 after it acted"),
    ("xet", "commit", "cut in the answer"),
    ("xet", "cas-xorb-put", "stalled in the request"),
    ("xet", "cas-shard", "503"),
    ("xet", "xet-token", "502"),
    ("lfs", "lfs-put", "cut in the request"),
    ("lfs", "lfs-batch", "429 with a date"),
    ("lfs", "commit", "429 with a quota"),
    ("lfs", "lfs-verify", "dropped after it acted"),
    ("lfs", "preupload", "500"),
)
def test_what_passes(dataset: Dataset, kind: str, fault: str) -> None:
    """Trouble that happens once costs time, and nothing else."""
    assert outcome(dataset, {"kind": kind, "times": 1, **PASSES[fault]}) is None


@cases(
    HARMS,
    ("xet", "cas-xorb-put", "wrong bytes in"),
    ("xet", "preupload", "a stale token"),
    ("lfs", "lfs-put", "a full disk"),
    ("lfs", "lfs-get", "wrong bytes out"),
)
def test_what_may_end_the_run(dataset: Dataset, kind: str, fault: str) -> None:
    """Nothing wrong is published, and the same command mends it."""
    error = outcome(dataset, {"kind": kind, "times": 1, **HARMS[fault]})
    assert error is None or isinstance(error, DestinationError | IntegrityError)


@cases(
    LASTS,
    ("xet", "cas-xorb-put", "503 for ever"),
    ("xet", "commit", "dropped for ever"),
    ("lfs", "lfs-put", "stalled for ever"),
    ("lfs", "commit", "429 with a long wait"),
)
def test_what_lasts(dataset: Dataset, kind: str, fault: str) -> None:
    """The run ends, and says by its class what to do: wait, get rights, look first, make room."""
    error = outcome(dataset, {"kind": kind, "times": None, **LASTS[fault]})
    if error is None:
        return  # that request is not needed
    assert isinstance(error, DestinationError)
    if kind.startswith("cas-"):
        return  # Xet's library says by text alone what it met
    if fault == "429 with a long wait":
        assert isinstance(error, DestinationBusy)
        assert error.fields["retry_after_s"] == 2000
    if fault == "no rights":
        assert isinstance(error, AccessDenied)
