"""Repositories of a Hub, and who may do what with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError
from tests.hub.client import Client
from tests.hubs import Hub


def test_whoami_names_the_owner_of_the_token(client: Client, hub: Hub) -> None:
    """The token says who it belongs to, that it is a user's, and what it may do."""
    me = client.api.whoami()
    assert me["type"] == "user"
    assert hub.namespace in [me["name"], *(org["name"] for org in me["orgs"])]
    assert me["auth"]["accessToken"]["role"] in ("write", "fineGrained")


def test_a_read_token_says_so(client: Client, hub: Hub) -> None:
    """whoami with a token that may only read names that role."""
    assert client.api.whoami(token=readers(hub))["auth"]["accessToken"]["role"] == "read"


@pytest.mark.parametrize("kind", ["dataset", "model", "space"])
def test_a_new_repository_has_one_commit(kind: str, client: Client, hub: Hub, name: Callable[[], str]) -> None:
    """It is there at once, public, with `.gitattributes` in one commit; the URL names endpoint and id."""
    repo = name()
    url = client.api.create_repo(repo, repo_type=kind, space_sdk="static" if kind == "space" else None)
    assert (url.endpoint, url.repo_id, url.repo_type) == (hub.endpoint, repo, kind)
    info = client.api.repo_info(repo, repo_type=kind)
    assert (info.id, info.private, info.author) == (repo, False, hub.namespace)
    assert ".gitattributes" in [file.rfilename for file in info.siblings]
    assert [one.commit_id for one in client.api.list_repo_commits(repo, repo_type=kind)] == [info.sha]
    if kind == "space":
        client.api.delete_repo(repo, repo_type=kind)


def test_creating_twice_is_refused(client: Client, repo: str) -> None:
    """A second `create_repo` is 409, unless it may exist: then it is the same URL, and nothing is changed."""
    before = client.api.repo_info(repo, repo_type="dataset").sha
    with pytest.raises(HfHubHTTPError) as refused:
        client.api.create_repo(repo, repo_type="dataset")
    assert refused.value.response.status_code == 409
    assert client.api.create_repo(repo, repo_type="dataset", exist_ok=True).repo_id == repo
    assert client.api.repo_info(repo, repo_type="dataset").sha == before


def test_types_have_names_of_their_own(client: Client, repo: str) -> None:
    """A dataset and a model may have one id: neither is the other."""
    assert not client.api.repo_exists(repo, repo_type="model")
    client.api.create_repo(repo, repo_type="model")
    client.api.delete_repo(repo, repo_type="model")
    assert client.api.repo_exists(repo, repo_type="dataset")


def test_a_name_without_namespace_is_mine(client: Client, name: Callable[[], str], hub: Hub) -> None:
    """`create_repo("name")` creates it in the user's own namespace."""
    whole = client.api.create_repo(name().partition("/")[2], repo_type="dataset").repo_id
    assert whole.partition("/")[0] == client.api.whoami()["name"]
    client.api.delete_repo(whole, repo_type="dataset")


def test_a_private_repository_is_hidden(client: Client, name: Callable[[], str]) -> None:
    """Without a token it is not found, neither its files; with one that may read it is there."""
    repo = name()
    client.api.create_repo(repo, repo_type="dataset", private=True)
    put(client, repo, "a.txt")
    assert client.api.repo_info(repo, repo_type="dataset").private
    asked: list[Callable[[], Any]] = [
        lambda: client.api.repo_info(repo, repo_type="dataset", token=False),
        lambda: client.api.list_repo_files(repo, repo_type="dataset", token=False),
        lambda: client.api.list_repo_refs(repo, repo_type="dataset", token=False),
        lambda: client.api.get_paths_info(repo, ["a.txt"], repo_type="dataset", token=False),
        lambda: client.api.hf_hub_download(repo, "a.txt", repo_type="dataset", token=False),
        lambda: client.api.snapshot_download(repo, repo_type="dataset", token=False),
    ]
    for hidden in asked:
        with pytest.raises(RepositoryNotFoundError):
            hidden()
    assert not client.api.file_exists(repo, "a.txt", repo_type="dataset", token=False)
    assert not client.api.repo_exists(repo, repo_type="dataset", token=False)
    assert client.api.file_exists(repo, "a.txt", repo_type="dataset")


def test_visibility_can_be_changed(client: Client, repo: str) -> None:
    """`update_repo_settings` hides a repository from others, and shows it again."""
    for private in (True, False):
        client.api.update_repo_settings(repo, private=private, repo_type="dataset")
        assert client.api.repo_info(repo, repo_type="dataset").private is private
        assert client.api.repo_exists(repo, repo_type="dataset", token=False) is not private


def test_anyone_reads_a_public_repository(client: Client, repo: str) -> None:
    """No token is needed to read, and none is enough to write."""
    put(client, repo, "a.txt")
    assert client.api.file_exists(repo, "a.txt", repo_type="dataset", token=False)
    with pytest.raises(HfHubHTTPError):
        put(client, repo, "b.txt", token=False)
    assert not client.api.file_exists(repo, "b.txt", repo_type="dataset")


def test_a_read_token_reads_only(client: Client, hub: Hub, name: Callable[[], str], repo: str) -> None:
    """It sees what is private, and whatever would change something is 403."""
    token = readers(hub)
    client.api.update_repo_settings(repo, private=True, repo_type="dataset")
    assert client.api.repo_info(repo, repo_type="dataset", token=token).private
    changes: list[Callable[[], Any]] = [
        lambda: client.api.create_repo(name(), repo_type="dataset", token=token),
        lambda: client.api.delete_repo(repo, repo_type="dataset", token=token),
        lambda: client.api.create_branch(repo, branch="b", repo_type="dataset", token=token),
        lambda: client.api.create_tag(repo, tag="t", repo_type="dataset", token=token),
        lambda: client.api.update_repo_settings(repo, private=False, repo_type="dataset", token=token),
        lambda: put(client, repo, "a.txt", token=token),
        lambda: put(client, repo, "a.bin", token=token),
    ]
    for change in changes:
        with pytest.raises(HfHubHTTPError) as refused:
            change()
        assert refused.value.response.status_code == 403
    assert client.api.list_repo_files(repo, repo_type="dataset") == [".gitattributes"]


def test_a_wrong_token_is_refused(client: Client, repo: str) -> None:
    """It is 401 and said to be the token's fault, even for what anybody may read."""
    wrong = "hf_" + "x" * 34
    with pytest.raises(HfHubHTTPError, match="Invalid user token") as refused:
        client.api.whoami(token=wrong)
    assert refused.value.response.status_code == 401
    with pytest.raises(HfHubHTTPError, match="Invalid credentials in Authorization header") as refused:
        client.api.repo_info(repo, repo_type="dataset", token=wrong)
    assert not isinstance(refused.value, RepositoryNotFoundError)


def test_what_is_deleted_is_gone(client: Client, repo: str) -> None:
    """Its files are not found, deleting it again is refused unless it may be missing, and its name is free."""
    put(client, repo, "a.txt")
    client.api.delete_repo(repo, repo_type="dataset")
    assert not client.api.repo_exists(repo, repo_type="dataset")
    assert not client.api.file_exists(repo, "a.txt", repo_type="dataset")
    with pytest.raises(RepositoryNotFoundError):
        client.api.delete_repo(repo, repo_type="dataset")
    client.api.delete_repo(repo, repo_type="dataset", missing_ok=True)
    client.api.create_repo(repo, repo_type="dataset")
    assert client.api.list_repo_files(repo, repo_type="dataset") == [".gitattributes"]


def test_a_moved_repository_has_the_new_name(client: Client, repo: str, name: Callable[[], str]) -> None:
    """It takes files and history along."""
    put(client, repo, "a.txt")
    history = client.api.list_repo_commits(repo, repo_type="dataset")
    moved = name()
    client.api.move_repo(repo, moved, repo_type="dataset")
    assert client.api.list_repo_commits(moved, repo_type="dataset") == history
    assert client.api.file_exists(moved, "a.txt", repo_type="dataset")


def test_datasets_of_an_author_are_listed(client: Client, hub: Hub, name: Callable[[], str]) -> None:
    """`list_datasets` finds mine by author and a part of the name; others do not see a private one."""
    shown, hidden = name(), name()
    client.api.create_repo(shown, repo_type="dataset")
    client.api.create_repo(hidden, repo_type="dataset", private=True)
    part = shown.partition("/")[2]
    assert [info.id for info in client.api.list_datasets(author=hub.namespace, search=part)] == [shown]
    part = hidden.partition("/")[2]
    assert [info.id for info in client.api.list_datasets(author=hub.namespace, search=part, token=False)] == []


def test_what_is_not_there_is_named_by_its_kind(client: Client, repo: str, name: Callable[[], str]) -> None:
    """A repository, a revision and a file that do not exist are three different errors."""
    errors: dict[str, Callable[[], Any]] = {
        "RepositoryNotFoundError": lambda: client.api.repo_info(name(), repo_type="dataset"),
        "RevisionNotFoundError": lambda: client.api.repo_info(repo, revision="nowhere", repo_type="dataset"),
        "RemoteEntryNotFoundError": lambda: client.api.hf_hub_download(repo, "no/file", repo_type="dataset"),
    }
    for expected, ask in errors.items():
        with pytest.raises(HfHubHTTPError) as refused:
            ask()
        assert type(refused.value).__name__ == expected


@pytest.mark.parametrize("missing", ["repository", "revision", "folder"])
def test_a_tree_that_is_not_there(missing: str, client: Client, repo: str, name: Callable[[], str]) -> None:
    """Listings name the same three kinds of absence."""
    where = {
        "repository": ("RepositoryNotFoundError", (name(),), {}),
        "revision": ("RevisionNotFoundError", (repo,), {"revision": "nowhere"}),
        "folder": ("RemoteEntryNotFoundError", (repo, "no/folder"), {}),
    }
    expected, place, more = where[missing]
    with pytest.raises(HfHubHTTPError) as refused:
        client.api.list_repo_tree(*place, repo_type="dataset", **more)
    assert type(refused.value).__name__ == expected


def put(client: Client, repo: str, path: str, **more: object) -> None:
    """Upload one small file."""
    client.api.upload_file(path_or_fileobj=path.encode(), path_in_repo=path, repo_id=repo, repo_type="dataset", **more)


def readers(hub: Hub) -> str:
    """The token that may only read; without one there is nothing to test."""
    if hub.read_token is None:
        pytest.skip("SEALIFT_TEST_READ_TOKEN names no token that may only read")
    return hub.read_token
