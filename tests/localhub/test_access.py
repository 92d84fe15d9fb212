"""Who may do what: tokens, private repositories, namespaces, names, and callers that are not on this machine."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator

import pytest
from tests.hubs import Hub, start_hub
from tests.localhub.wire import Dataset, Wire, refused


def test_a_token_says_who_calls(hub: Hub, wire: Wire) -> None:
    """The one user, with the role of the token; nobody without one."""
    assert hub.read_token
    for token, role in ((hub.token, "write"), (hub.read_token, "read")):
        said = wire("GET", "/api/whoami-v2", token=token).json()
        assert (said["name"], said["type"], said["auth"]["accessToken"]["role"]) == ("local", "user", role)
    refused(wire("GET", "/api/whoami-v2", token=None), 401, "Invalid username or password.")


def test_a_wrong_token_is_refused_everywhere(wire: Wire, dataset: Dataset) -> None:
    """Also where none is needed: who sends one means to be somebody."""
    for path in ("/api/whoami-v2", dataset.api, f"/datasets/{dataset.name}/resolve/main/.gitattributes", "/-/counts"):
        refused(wire("GET", path, token="hf_wrong"), 401, "Invalid credentials in Authorization header")
    basic = wire("GET", dataset.api, headers={"Authorization": "Basic bG9jYWw6eA=="}, token=None)
    refused(basic, 401, "Invalid credentials in Authorization header")


WRITES = [
    ("POST", "/api/repos/create", {"name": "x", "type": "dataset"}),
    ("DELETE", "/api/repos/delete", {"name": "x", "type": "dataset"}),
    ("POST", "/api/repos/move", {"fromRepo": "local/x", "toRepo": "local/y", "type": "dataset"}),
    ("PUT", "{api}/settings", {"visibility": "private"}),
    ("POST", "{api}/preupload/main", {"files": []}),
    ("POST", "{api}/commit/main", {}),
    ("POST", "{api}/branch/x", {}),
    ("DELETE", "{api}/branch/x", None),
    ("POST", "{api}/tag/main", {"tag": "x"}),
    ("DELETE", "{api}/tag/x", None),
    ("POST", "{api}/super-squash/main", {"message": "x"}),
    ("POST", "{api}/discussions", {"title": "a title"}),
    ("POST", "{api}/discussions/1/comment", {"comment": "x"}),
    ("POST", "/datasets/{name}.git/info/lfs/objects/batch", {"operation": "upload", "objects": []}),
    ("GET", "{api}/xet-write-token/main", None),
    ("GET", "{api}/auth-check/write", None),
    ("GET", "/-/counts", None),
    ("POST", "/-/faults", []),
]


@pytest.mark.parametrize(("method", "path", "said"), WRITES)
def test_writing_needs_the_token_that_may_write(
    wire: Wire, dataset: Dataset, method: str, path: str, said: object
) -> None:
    """401 without a token, 403 with one that may only read, and nothing has changed."""
    place, head = path.format(api=dataset.api, name=dataset.name), dataset.head
    refused(wire(method, place, said, token=None), 401, "Invalid username or password.")
    refused(wire(method, place, said, token=wire.hub.read_token), 403, "may only read")
    assert dataset.head == head


def test_a_private_repository_is_not_there_for_others(wire: Wire) -> None:
    """Without a token it is as if it was not: in lists, by its name, by its files. Either token may read it."""
    dataset = wire.create(visibility="private")
    dataset.put({"a": b"secret"})
    paths = [dataset.api, f"{dataset.api}/tree/main", f"{dataset.api}/refs", f"/datasets/{dataset.name}/resolve/main/a"]
    for path in [
        *paths,
        f"{dataset.api}/commits/main",
        f"{dataset.api}/discussions",
        f"{dataset.api}/xet-read-token/main",
    ]:
        refused(wire("GET", path, token=None), 401, "Repository not found", "RepoNotFound")
        assert wire("GET", path, token=wire.hub.read_token).status == 200
    refused(wire("GET", "/api/datasets/local/none", token=None), 401, "Repository not found", "RepoNotFound")
    listed = [
        {one["id"] for one in wire("GET", "/api/datasets?author=local", token=token).json()} for token in (None, "")
    ]
    assert [dataset.name in names for names in listed] == [False, True]
    assert wire("PUT", f"{dataset.api}/settings", {"visibility": "public"}).status == 200
    assert wire("GET", paths[3], token=None).body == b"secret"


def test_a_public_repository_is_there_for_all(wire: Wire, dataset: Dataset) -> None:
    """Reading needs no token."""
    dataset.put({"a": b"1"})
    assert wire("GET", f"/datasets/{dataset.name}/resolve/main/a", token=None).body == b"1"
    assert wire("GET", f"{dataset.api}/tree/main", token=None).status == 200


@pytest.mark.parametrize("name", ["", "a b", "a--b", "a..b", "-a", ".a", "a.git", "a/b", "ä", "x" * 97])
def test_names_that_the_hub_has_not_are_refused(wire: Wire, name: str) -> None:
    """400, and nothing is made."""
    answer = wire("POST", "/api/repos/create", {"name": name, "type": "dataset"})
    refused(answer, 400, "Invalid repo name")


def test_a_repository_is_made_once(wire: Wire, dataset: Dataset) -> None:
    """The second time it is 409 with the address, which clients use; another type is another repository."""
    said = {"name": dataset.name.split("/")[1], "type": "dataset"}
    again = wire("POST", "/api/repos/create", said)
    assert (again.status, again.json()["url"]) == (409, f"{wire.hub.endpoint}/datasets/{dataset.name}")
    assert (
        wire("POST", "/api/repos/create", {**said, "type": "model"}).json()["url"]
        == f"{wire.hub.endpoint}/{dataset.name}"
    )
    refused(wire("POST", "/api/repos/create", {**said, "type": "space"}), 400, '"sdk" must be one of')
    refused(wire("POST", "/api/repos/create", {**said, "type": "bucket"}), 400, "no type of repository")


def test_a_deleted_repository_is_gone(wire: Wire, dataset: Dataset) -> None:
    """With its history and its discussions: one that is made with the same name is new."""
    commit = dataset.put({"a": b"1"})
    assert wire("POST", f"{dataset.api}/discussions", {"title": "a title"}).json()["num"] == 1
    said = {"name": dataset.name.split("/")[1], "type": "dataset"}
    assert wire("DELETE", "/api/repos/delete", said).status == 200
    refused(wire("DELETE", "/api/repos/delete", said), 404, "Repository not found", "RepoNotFound")
    assert wire("POST", "/api/repos/create", said).status == 200
    assert dataset.paths() == [".gitattributes"]
    refused(wire("GET", f"{dataset.api}/revision/{commit}"), 404, "Invalid rev id", "RevisionNotFound")
    assert wire("GET", f"{dataset.api}/discussions").json()["count"] == 0


def test_a_commit_is_of_its_repository(wire: Wire, dataset: Dataset) -> None:
    """The id of a commit in another repository, which may be private, leads nowhere here."""
    other = wire.create(visibility="private")
    commit = other.put({"a": b"secret"})
    refused(wire("GET", f"{dataset.api}/tree/{commit}"), 404, "Invalid rev id", "RevisionNotFound")


def test_a_moved_repository_keeps_everything(wire: Wire, dataset: Dataset) -> None:
    """But its name; a name that is taken is refused."""
    commit, new = dataset.put({"a": b"1"}), wire.hub.name()
    said = {"fromRepo": dataset.name, "toRepo": new, "type": "dataset"}
    assert wire("POST", "/api/repos/move", said).status == 200
    assert Dataset(wire, new).head == commit
    refused(wire("GET", dataset.api), 404, "Repository not found", "RepoNotFound")
    taken = wire.create().name
    refused(wire("POST", "/api/repos/move", {**said, "fromRepo": new, "toRepo": taken}), 409, "already exists")


@pytest.mark.parametrize("host", ["example.org", "127.0.0.1.example.org", "localhost.example.org:80", "", "127.0.0.2"])
def test_only_loopback_is_answered(wire: Wire, host: str) -> None:
    """A page in a browser may give its own name this address: such requests reach nothing."""
    answer = wire.raw(f"GET /api/datasets HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 421 ")
    assert b"local/" not in answer


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "localhost:99", "[::1]:80"])
def test_loopback_has_several_names(wire: Wire, host: str) -> None:
    """They are all answered, and addresses in answers have the name that was used."""
    name = wire.hub.name().split("/")[1]
    answer = wire("POST", "/api/repos/create", {"name": name, "type": "dataset"}, headers={"Host": host})
    assert answer.json()["url"] == f"http://{host}/datasets/local/{name}"


def test_what_is_not_served_is_said(wire: Wire, dataset: Dataset) -> None:
    """A route that is not there, or another method, is refused by name."""
    refused(wire("GET", "/api/collections"), 404, "/api/collections is not served by the local Hub")
    refused(wire("GET", f"{dataset.api}/leaderboard"), 404, "is not served by the local Hub")
    refused(wire("PATCH", dataset.api), 405, "is not served by the local Hub")


@pytest.mark.parametrize("body", [b"x", b"[]", b"\xff", b'{"name": '])
def test_a_body_that_cannot_be_read_is_refused(wire: Wire, body: bytes) -> None:
    """400, with what is wrong."""
    answer = wire("POST", "/api/repos/create", body=body)
    assert answer.status == 400
    assert "The body" in answer.error


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with start_hub(tmp_path_factory.mktemp("narrow") / "root", "--org", "lab") as started:
        yield started


def test_namespaces_can_be_few(narrow: Hub) -> None:
    """With `--org`, only the user's own and those named may be written to."""
    wire = Wire(narrow)
    for namespace, status in (("lab", 200), ("local", 200), (None, 200), ("else", 403)):
        answer = wire("POST", "/api/repos/create", {"name": "x", "organization": namespace, "type": "dataset"})
        assert answer.status in (status, 409)
    said = {"fromRepo": "lab/x", "toRepo": "else/x", "type": "dataset"}
    refused(wire("POST", "/api/repos/move", said), 403, 'write to the namespace "else"')
    assert [one["name"] for one in wire("GET", "/api/whoami-v2").json()["orgs"]] == ["lab"]


def test_tokens_are_kept_for_their_owner(hub: Hub) -> None:
    """The files of the root that hold secrets can be read by nobody else."""
    assert hub.root
    kept = hub.root / "secrets.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(hub.root.stat().st_mode) == 0o700
    assert json.loads(kept.read_text())["token"] == hub.token


def test_a_repository_is_found_by_a_part_of_its_name(dataset: Dataset) -> None:
    """In any case; and by whom it belongs to."""
    part = dataset.name.split("/")[1][-8:].upper()
    for query, found in ((f"search={part}", [dataset.name]), (f"search={part}&author=else", [])):
        assert [one["id"] for one in dataset.wire("GET", f"/api/datasets?{query}").json()] == found
