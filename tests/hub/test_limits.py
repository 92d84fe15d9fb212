"""What a Hub refuses and where it fails for a moment, as the official clients meet it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from huggingface_hub.errors import BadRequestError, HfHubHTTPError
from tests.hub.client import Client
from tests.hub.files import add, commit, contents, upload, upload_folder
from tests.hubs import Hub, start_hub

MEDIA = bytes(range(256)) * 1000


@pytest.fixture(scope="module")
def strict(hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """The clients before a local Hub with limits so low that a test meets them."""
    if hub.root is None:
        pytest.skip("needs a Hub whose limits can be set; this one is not ours")
    root = tmp_path_factory.mktemp("strict")
    options = ("--max-folder-entries", "10", "--max-commit-files", "30", "--max-commit-bytes", "1000000")
    with start_hub(root / "hub", *options) as local, Client(local, root / "client", xet=True) as client:
        yield client


@pytest.fixture
def narrow(strict: Client) -> str:
    """A new repository there."""
    repo = strict.hub.name()
    strict.api.create_repo(repo, repo_type="dataset")
    return repo


@pytest.fixture
def failing(local_hub: Hub) -> Iterator[Callable[..., None]]:
    """Makes the Hub fail at one kind of request; whatever is left of that ends with the test."""
    yield lambda kind, **how: local_hub.faults([{"kind": kind, "times": 1, **how}])
    local_hub.faults([])


@pytest.mark.parametrize("kind", ["txt", "bin"])
def test_a_folder_holds_so_many_entries(kind: str, strict: Client, narrow: str) -> None:
    """One more than the limit is refused with the folder's name, in one commit or a later one; deleting makes room."""
    files = {f"data/{number}.{kind}": b"%d" % number for number in range(11)}
    with pytest.raises(BadRequestError, match="data"):
        commit(strict, narrow, *add(files))
    assert contents(strict, narrow) == {}
    last = files.popitem()
    commit(strict, narrow, *add(files))
    with pytest.raises(BadRequestError, match="data"):
        commit(strict, narrow, *add(dict([last])))
    assert contents(strict, narrow) == files
    strict.api.delete_file(f"data/0.{kind}", narrow, repo_type="dataset")
    commit(strict, narrow, *add(dict([last])))


def test_a_commit_holds_so_much(strict: Client, narrow: str) -> None:
    """Too many files or too many bytes inline are 413, and nothing is changed."""
    too_many = {f"{number % 9}/{number}.txt": b"1" for number in range(31)}
    too_large = {f"{number}.txt": b"x" * 200_000 for number in range(6)}
    for files in (too_many, too_large):
        with pytest.raises(HfHubHTTPError) as refused:
            commit(strict, narrow, *add(files))
        assert refused.value.response.status_code == 413
    assert contents(strict, narrow) == {}


def test_requests_are_counted_by_their_kind(default: Client, name: Callable[[], str], local_hub: Hub) -> None:
    """Every call of the API is one request of the kind that it is named by."""
    repo, api, its = name(), default.api, {"repo_type": "dataset"}
    calls: dict[str, Callable[[], object]] = {
        "whoami": api.whoami,
        "create-repo": lambda: api.create_repo(repo, **its),
        "repo-info": lambda: api.repo_info(repo, **its),
        "refs": lambda: api.list_repo_refs(repo, **its),
        "commits": lambda: api.list_repo_commits(repo, **its),
        "tree": lambda: api.list_repo_tree(repo, **its),
        "paths-info": lambda: api.get_paths_info(repo, ["x"], **its),
        "resolve": lambda: api.file_exists(repo, "x", **its),
        "branch": lambda: api.create_branch(repo, branch="b", **its),
        "tag": lambda: api.create_tag(repo, tag="t", **its),
        "squash": lambda: api.super_squash_history(repo, **its),
        "delete-repo": lambda: api.delete_repo(repo, **its),
    }
    for kind, ask in calls.items():
        before = local_hub.counts()["requests"]
        ask()
        after = local_hub.counts()["requests"]
        assert {kind: 1} == {one: after[one] - before.get(one, 0) for one in after if after[one] != before.get(one, 0)}


def test_content_must_be_there_first(client: Client, repo: str) -> None:
    """A commit that names content which was never uploaded is refused by its SHA-256, with what else it brings."""
    unseen = b"never uploaded"
    with pytest.raises(HfHubHTTPError, match=hashlib.sha256(unseen).hexdigest()) as refused:
        client.call(commit_unseen, repo, unseen, len(unseen))
    assert 400 <= refused.value.response.status_code < 500
    assert contents(client, repo) == {}


def test_a_wrong_size_is_refused(client: Client, repo: str) -> None:
    """A commit that says another size than the content has fails."""
    upload(client, repo, "a.bin", MEDIA)
    with pytest.raises(HfHubHTTPError) as refused:
        client.call(commit_unseen, repo, MEDIA, len(MEDIA) - 1)
    assert 400 <= refused.value.response.status_code < 500
    assert contents(client, repo) == {"a.bin": MEDIA}


@pytest.mark.parametrize("kind", ["preupload", "xet-token", "cas-xorb-put", "cas-shard", "lfs-batch", "lfs-put"])
def test_a_passing_failure_of_an_upload_is_retried(
    kind: str, clients: Mapping[str, Client], repo: str, failing: Callable[..., None], local_hub: Hub
) -> None:
    """The client tries again, and the file arrives."""
    client, before = clients["lfs" if kind.startswith("lfs") else "xet"], local_hub.counts()["requests"].get(kind, 0)
    failing(kind, status=503)
    content = kind.encode() * 9999
    upload(client, repo, "a.bin", content)
    assert local_hub.counts()["requests"][kind] - before >= 2
    assert contents(client, repo) == {"a.bin": content}


@pytest.mark.parametrize("header", [{"Retry-After": "1"}, {"RateLimit": '"api";r=0;t=0'}], ids=" ".join)
def test_a_client_waits_when_told_to(
    header: dict[str, str], client: Client, repo: str, failing: Callable[..., None]
) -> None:
    """429 is obeyed by whichever header names the time, and then the listing is whole."""
    failing("tree", status=429, headers=header)
    assert [one.path for one in client.api.list_repo_tree(repo, repo_type="dataset")] == [".gitattributes"]


def test_a_lost_answer_leaves_a_commit(client: Client, repo: str, failing: Callable[..., None]) -> None:
    """When the connection breaks after the commit was made, the client fails and the files are there."""
    failing("commit", after=True, drop=True)
    with pytest.raises(Exception, match=r"disconnected|closed|reset"):
        commit(client, repo, *add({"a.txt": b"1"}))
    assert contents(client, repo) == {"a.txt": b"1"}


def test_a_lost_request_leaves_nothing(client: Client, repo: str, failing: Callable[..., None]) -> None:
    """When the commit fails before it took effect, the branch stays where it was."""
    failing("commit", status=503)
    with pytest.raises(HfHubHTTPError):
        commit(client, repo, *add({"a.txt": b"1"}))
    assert contents(client, repo) == {}


def test_a_broken_download_goes_on(default: Client, repo: str, failing: Callable[..., None]) -> None:
    """A file that comes by Xet is fetched though a request for it fails."""
    upload(default, repo, "a.bin", MEDIA)
    failing("cas-reconstruction", status=503)
    assert Path(default.api.hf_hub_download(repo, "a.bin", repo_type="dataset")).read_bytes() == MEDIA


def test_a_hub_that_lost_its_content_is_not_believed(tmp_path: Path, local_hub: Hub) -> None:
    """A client that remembers what another Hub held at the same address either brings it anew or is refused."""
    with start_hub(tmp_path / "before") as before, Client(before, tmp_path / "client", xet=True) as client:
        repo, port = before.name(), str(urlsplit(before.endpoint).port)
        client.api.create_repo(repo, repo_type="dataset")
        upload(client, repo, "a.bin", MEDIA)
    with (
        start_hub(tmp_path / "after", "--port", port) as after,
        Client(after, tmp_path / "again", xet=True) as reader,
    ):
        environment = after.environment(tmp_path / "client")
        reader.api.create_repo(repo, repo_type="dataset")
        brought = after.run_python(
            f"""
            from huggingface_hub import upload_file
            media = bytes(range(256)) * 1000
            upload_file(path_or_fileobj=media, path_in_repo="a.bin", repo_id={repo!r}, repo_type="dataset")
            """,
            environment,
        )
        expected = {"a.bin": MEDIA} if brought.returncode == 0 else {}
        assert contents(reader, repo) == expected, brought.stderr


def test_an_interrupted_folder_is_finished(
    clients: Mapping[str, Client], repo: str, tmp_path: Path, failing: Callable[..., None], local_hub: Hub
) -> None:
    """After an upload that failed for good, the same call brings what is missing."""
    files = {f"{number % 5}/{number}.bin": b"%d" % number * 99 for number in range(60)}
    for path, data in files.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(data)
    failing("commit", status=403, times=50)
    with pytest.raises(HfHubHTTPError):
        upload_folder(clients["xet"], repo, tmp_path)
    assert contents(clients["xet"], repo) == {}
    local_hub.faults([])
    upload_folder(clients["xet"], repo, tmp_path)
    assert contents(clients["xet"], repo) == files


def commit_unseen(repo: str, content: bytes, size: int) -> None:
    """A commit that names content by SHA-256 and size, without bringing it."""
    from huggingface_hub import get_session, get_token, hf_raise_for_status
    from huggingface_hub.constants import ENDPOINT

    oid = hashlib.sha256(content).hexdigest()
    body = (
        '{"key": "header", "value": {"summary": "Unseen"}}\n'
        '{"key": "file", "value": {"path": "x.txt", "content": "eA==", "encoding": "base64"}}\n'
        f'{{"key": "lfsFile", "value": {{"path": "x.bin", "algo": "sha256", "oid": "{oid}", "size": {size}}}}}\n'
    )
    headers = {"Authorization": f"Bearer {get_token()}", "Content-Type": "application/x-ndjson"}
    url = f"{ENDPOINT}/api/datasets/{repo}/commit/main"
    hf_raise_for_status(get_session().post(url, headers=headers, content=body.encode()), endpoint_name="commit")
