"""Four processes that upload at the same time, to one repository and to four."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.hub.client import Client
from tests.hub.conftest import MODES
from tests.hub.files import contents
from tests.hubs import Hub

PROCESSES, COMMITS, FILES = 4, 4, 12


@pytest.fixture(scope="module", params=MODES)
def four(request: pytest.FixtureRequest, hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Client]]:
    """Four clients with caches of their own."""
    home = tmp_path_factory.mktemp("four")
    with ExitStack() as stack:
        made = (Client(hub, home / str(number), xet=MODES[request.param]) for number in range(PROCESSES))
        yield [stack.enter_context(client) for client in made]


def test_nothing_is_lost_in_one_repository(four: list[Client], name: Callable[[], str]) -> None:
    """Every file of every commit is there, and the history is one line of all commits."""
    repo = name()
    four[0].api.create_repo(repo, repo_type="dataset")
    for number, client in enumerate(four):
        client.begin(commit_often, repo, number)
    done = [oid for client in four for oid in client.end()]
    expected = {
        path: data for number in range(PROCESSES) for step in range(COMMITS) for path, data in files(number, step)
    }
    assert contents(four[0], repo) == expected
    history = [one.commit_id for one in four[0].api.list_repo_commits(repo, repo_type="dataset")]
    assert len(history) == 1 + PROCESSES * COMMITS
    assert sorted(history[:-1]) == sorted(done)


def test_four_repositories_do_not_mix(four: list[Client], name: Callable[[], str]) -> None:
    """Each holds what its own process brought."""
    repos = [name() for _ in four]
    for number, (client, repo) in enumerate(zip(four, repos, strict=True)):
        client.begin(create_and_commit, repo, number)
    for client in four:
        client.end()
    for number, repo in enumerate(repos):
        assert contents(four[0], repo) == dict(file for step in range(COMMITS) for file in files(number, step))


def test_folders_are_uploaded_side_by_side(four: list[Client], name: Callable[[], str], tmp_path: Path) -> None:
    """Four `upload_folder` into folders of one repository bring all their files."""
    repo = name()
    four[0].api.create_repo(repo, repo_type="dataset")
    for number in range(PROCESSES):
        for path, data in files(number, 0):
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_bytes(data)
    for number, client in enumerate(four):
        part = {"folder_path": tmp_path / f"process-{number}", "path_in_repo": f"process-{number}"}
        client.begin("huggingface_hub:upload_folder", repo_id=repo, repo_type="dataset", **part)
    for client in four:
        client.end()
    assert contents(four[0], repo) == {path: data for number in range(PROCESSES) for path, data in files(number, 0)}


def test_one_of_four_on_the_same_parent_wins(four: list[Client], name: Callable[[], str]) -> None:
    """Commits that name one parent do not follow each other: one is made, the others are 412."""
    repo = name()
    four[0].api.create_repo(repo, repo_type="dataset")
    for _ in range(3):
        parent = four[0].api.repo_info(repo, repo_type="dataset").sha
        for number, client in enumerate(four):
            client.begin(commit_on, repo, number, parent)
        outcomes = [client.end() for client in four]
        assert sorted(outcomes) == [200, 412, 412, 412]
        assert contents(four[0], repo) == {"who.txt": b"%d" % outcomes.index(200)}
        four[0].api.delete_file("who.txt", repo, repo_type="dataset")


def files(process: int, step: int) -> list[tuple[str, bytes]]:
    """What a process brings in one commit: texts, binary files of its own, and one that all processes bring."""
    chance = random.Random(process * 1000 + step)
    folder = f"process-{process}/step-{step}"
    texts = [(f"{folder}/{number}.txt", f"{process} {step} {number}".encode()) for number in range(FILES)]
    media = [(f"{folder}/{number}.bin", chance.randbytes(200_000)) for number in range(3)]
    return [*texts, *media, (f"{folder}/shared.bin", random.Random(step).randbytes(300_000))]


def commit_often(repo: str, process: int) -> list[str]:
    """The ids of the commits made."""
    from huggingface_hub import CommitOperationAdd, create_commit

    done = []
    for step in range(COMMITS):
        adds = [CommitOperationAdd(path, data) for path, data in files(process, step)]
        made = create_commit(repo, adds, commit_message=f"{process} {step}", repo_type="dataset")
        done.append(str(made.oid))
    return done


def commit_on(repo: str, process: int, parent: str) -> int:
    """The status of the answer to a commit on that parent."""
    from huggingface_hub import CommitOperationAdd, create_commit
    from huggingface_hub.errors import HfHubHTTPError

    add = CommitOperationAdd("who.txt", b"%d" % process)
    try:
        create_commit(repo, [add], commit_message="Race", repo_type="dataset", parent_commit=parent)
    except HfHubHTTPError as refused:
        return refused.response.status_code
    return 200


def create_and_commit(repo: str, process: int) -> None:
    from huggingface_hub import create_repo

    create_repo(repo, repo_type="dataset")
    commit_often(repo, process)
