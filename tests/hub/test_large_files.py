"""Files too large for one request: each way to bring them, read whole and in parts, and stored once."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from huggingface_hub.errors import HfHubHTTPError
from tests.hub.client import Client
from tests.hub.files import requested, upload
from tests.hubs import Hub, start_hub

LARGE, MIDDLE, PART = 80_000_123, 20_000_321, 16_000_000
"""Above and below what a local Hub takes in one LFS request, and what it takes in a part of several."""


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Random bytes: nothing compresses, nothing repeats."""
    file = tmp_path_factory.mktemp("large") / "large.bin"
    with file.open("wb") as out:
        for start in range(0, LARGE, 1 << 23):
            out.write(os.urandom(min(1 << 23, LARGE - start)))
    yield file
    file.unlink()


@pytest.fixture(scope="module")
def middle(large: Path) -> Path:
    """The beginning of the large file."""
    file = large.with_name("middle.bin")
    with large.open("rb") as whole:
        file.write_bytes(whole.read(MIDDLE))
    return file


@pytest.mark.parametrize("size", ["middle", "large"])
def test_it_arrives_byte_for_byte(
    size: str, client: Client, repo: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """The Hub knows its size and SHA-256; downloaded whole it is the same, and so is every range of it."""
    file: Path = request.getfixturevalue(size)
    upload(client, repo, "data/x.bin", file)
    [listed] = client.api.get_paths_info(repo, ["data/x.bin"], repo_type="dataset")
    assert (listed.size, listed.lfs.sha256) == (file.stat().st_size, digest(file))
    place = client.api.hf_hub_download(repo, "data/x.bin", repo_type="dataset", local_dir=tmp_path)
    assert digest(Path(place)) == digest(file)
    Path(place).unlink()
    for start, length in ((0, 1000), (16_000_000 - 7, 14), (MIDDLE - 70_000, 70_000), (9_999_999, 1_000_001)):
        _, headers, body = client.call(requested, repo, "data/x.bin", {"Range": f"bytes={start}-{start + length - 1}"})
        assert body == part(file, start, length)
        assert headers["content-range"] == f"bytes {start}-{start + length - 1}/{listed.size}"


def test_ranges_of_one_modes_file_are_the_others(
    clients: Mapping[str, Client], client: Client, repo: str, middle: Path
) -> None:
    """Through the file system, every client reads the same parts, whichever brought the file."""
    upload(client, repo, "x.bin", middle)
    for reader in clients.values():
        for start, end in ((0, 10), (5_000_000, 5_100_000), (MIDDLE - 9, MIDDLE)):
            read = reader.files.cat_file(f"datasets/{repo}/x.bin", start=start, end=end)
            assert read == part(middle, start, end - start)


def test_the_same_content_is_stored_once(
    client: Client, repo: str, middle: Path, name: Callable[[], str], local_hub: Hub
) -> None:
    """Under another path or in another repository, it takes no more room on the Hub's disk."""
    upload(client, repo, "x.bin", middle)
    before = local_hub.counts()["stored"]
    another = name()
    client.api.create_repo(another, repo_type="dataset")
    upload(client, repo, "copy.bin", middle)
    upload(client, another, "x.bin", middle)
    after = local_hub.counts()["stored"]
    assert after["new"] == before["new"]
    assert after["bytes"] - before["bytes"] < 1_000_000


def test_a_part_that_was_changed_is_what_is_sent(
    clients: Mapping[str, Client], name: Callable[[], str], large: Path, tmp_path: Path, local_hub: Hub
) -> None:
    """With Xet, a file that shares most of its bytes with another costs what is different, and no more."""
    client, repo = clients["xet"], name()
    client.api.create_repo(repo, repo_type="dataset")
    upload(client, repo, "x.bin", large)
    changed = tmp_path / "changed.bin"
    changed.write_bytes(part(large, 0, 40_000_000) + b"inserted" * 1000 + part(large, 40_000_000, LARGE))
    before = local_hub.counts()["stored"]["new"]
    upload(client, repo, "y.bin", changed)
    assert local_hub.counts()["stored"]["new"] - before < 2_000_000
    place = client.api.hf_hub_download(repo, "y.bin", repo_type="dataset", local_dir=tmp_path / "back")
    assert digest(Path(place)) == digest(changed)


def test_a_lost_part_is_sent_again(
    clients: Mapping[str, Client], name: Callable[[], str], large: Path, tmp_path: Path, local_hub: Hub
) -> None:
    """A part of a multipart upload that fails once is repeated, and the file is whole."""
    other = tmp_path / "other.bin"
    other.write_bytes(part(large, 1, LARGE))
    client, repo = clients["lfs"], name()
    client.api.create_repo(repo, repo_type="dataset")
    local_hub.faults([{"kind": "lfs-part", "times": 1, "status": 500, "skip": 2}])
    before = local_hub.counts()["requests"].get("lfs-part", 0)
    upload(client, repo, "x.bin", other)
    [listed] = client.api.get_paths_info(repo, ["x.bin"], repo_type="dataset")
    assert listed.lfs.sha256 == digest(other)
    assert local_hub.counts()["requests"]["lfs-part"] - before == -(-(LARGE - 1) // PART) + 1


def test_a_hub_without_xet_takes_plain_lfs(
    clients: Mapping[str, Client], tmp_path: Path, middle: Path, local_hub: Hub
) -> None:
    """It serves clients that have Xet switched off as any other does, and has no token for those that have not."""
    options = ("--no-xet", "--lfs-multipart-over", "6000000", "--lfs-part-size", "6000000")
    with start_hub(tmp_path / "plain", *options) as plain:
        repo = plain.name()
        with Client(plain, tmp_path / "lfs", xet=False) as client:
            client.api.create_repo(repo, repo_type="dataset")
            upload(client, repo, "x.bin", middle)
            [listed] = client.api.list_repo_tree(repo, repo_type="dataset")[-1:]
            assert (listed.path, listed.lfs.sha256, listed.xet_hash) == ("x.bin", digest(middle), None)
            place = client.api.hf_hub_download(repo, "x.bin", repo_type="dataset")
            assert digest(Path(place)) == digest(middle)
        with Client(plain, tmp_path / "xet", xet=True) as client:
            with pytest.raises((HfHubHTTPError, OSError), match="404"):
                upload(client, repo, "y.bin", middle)
            place = client.api.hf_hub_download(repo, "x.bin", repo_type="dataset")
            assert digest(Path(place)) == digest(middle)


def digest(file: Path) -> str:
    """The SHA-256 of a file."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def part(file: Path, start: int, length: int) -> bytes:
    with file.open("rb") as opened:
        opened.seek(start)
        return opened.read(length)
