"""Reading from a Hub that keeps its content elsewhere, as the public one does: servers of our own send us there."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from sealift.errors import AccessDenied, DestinationBusy, DestinationError, SourceChanged, SourceMissing
from sealift.model.entry import Entry
from sealift.stores.hub import HubDestination, HubFiles, Place
from sealift.stores.hub.addresses import Addresses
from sealift.stores.hub.client import HubClient

CONTENT = bytes(range(256)) * 40
ENTRY = Entry("data/x y.bin", len(CONTENT), "ab" * 32)
COMMIT = "c" * 40
TOKEN = "hf_secretsecret"

Answer = tuple[int, dict[str, str], bytes]
Handle = Callable[[str, dict[str, str]], Answer]


@contextmanager
def serving(handle: Handle, connected: Callable[[], None] = lambda: None) -> Iterator[str]:
    """A server on this machine that answers as told; its address. `connected` is called for each connection."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            connected()

        def do_GET(self) -> None:
            status, headers, body = handle(self.path, {name.lower(): value for name, value in self.headers.items()})
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 — the name in its base
            """Tests say themselves what went wrong."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def ranged(headers: dict[str, str]) -> Answer:
    first, last = (int(part) for part in headers["range"].removeprefix("bytes=").split("-"))
    said = {"Content-Range": f"bytes {first}-{last}/{len(CONTENT)}"}
    return 206, said, CONTENT[first : last + 1]


class Hub:
    """Sends readers on to a store; both note what they were asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.store_asked: list[dict[str, str]] = []
        self.signature = 1
        self.elsewhere = ""

    def hub(self, path: str, headers: dict[str, str]) -> Answer:
        assert headers["authorization"] == f"Bearer {TOKEN}"
        self.asked.append(path)
        if path.startswith("/datasets/"):
            # As the public one does for small files: first to another address of its own.
            return 307, {"Location": "/api/resolve-cache/x", "X-Linked-Size": str(len(CONTENT))}, b""
        said = {"X-Repo-Commit": COMMIT, "X-Linked-Etag": f'"{"ab" * 32}"', "X-Linked-Size": str(len(CONTENT))}
        return 302, {"Location": f"{self.elsewhere}/blob?signed={self.signature}", **said}, b""

    def store(self, path: str, headers: dict[str, str]) -> Answer:
        self.store_asked.append(headers)
        if path != f"/blob?signed={self.signature}":
            return 403, {}, b"expired"
        return ranged(headers)


@pytest.fixture
def hub() -> Iterator[tuple[Hub, HubFiles]]:
    model = Hub()
    with serving(model.store) as store, serving(model.hub) as endpoint:
        model.elsewhere = store
        yield model, files_at(endpoint)


def files_at(endpoint: str) -> HubFiles:
    return HubFiles(HubClient(Place.parse("org/name", endpoint), TOKEN, waits=(0.01, 0.01)), COMMIT)


def read(files: HubFiles, offset: int, size: int, entry: Entry = ENTRY) -> bytes:
    held = bytearray(size)
    files.read_into(entry, offset, memoryview(held))
    return bytes(held)


def test_the_way_to_a_file_is_asked_for_once(hub: tuple[Hub, HubFiles]) -> None:
    """A shard that is read in a hundred ranges costs a few requests of the Hub's quota, not a hundred."""
    model, files = hub
    for offset in range(0, 10_000, 100):
        assert read(files, offset, 100) == CONTENT[offset : offset + 100]
    assert model.asked == [f"/datasets/org/name/resolve/{COMMIT}/data/x%20y.bin", "/api/resolve-cache/x"]
    assert len(model.store_asked) == 100


def test_the_token_stays_with_the_hub(hub: tuple[Hub, HubFiles]) -> None:
    """The store where the content lies never sees it: its address is signed."""
    model, files = hub
    read(files, 0, 10)
    read(files, 10, 10)
    assert all("authorization" not in headers for headers in model.store_asked)


def test_an_address_that_expired_is_asked_for_again(hub: tuple[Hub, HubFiles]) -> None:
    """As soon as the store refuses it."""
    model, files = hub
    read(files, 0, 10)
    model.signature = 2
    assert read(files, 5, 10) == CONTENT[5:15]
    assert len(model.asked) == 4


def test_a_file_that_is_another_is_noticed_on_the_way(hub: tuple[Hub, HubFiles]) -> None:
    """By its size and by the digest that the Hub names when it sends us on."""
    _, files = hub
    for entry in (Entry(ENTRY.path, ENTRY.size + 1), Entry(ENTRY.path, ENTRY.size, "cd" * 32)):
        with pytest.raises(SourceChanged):
            read(files, 0, 10, entry)


def test_a_server_without_ranges_is_read_all_the_same() -> None:
    """It gives the whole file, of which the range is taken."""

    def whole(path: str, headers: dict[str, str]) -> Answer:
        return 200, {"X-Repo-Commit": COMMIT, "ETag": f'W/"{"ab" * 32}"'}, CONTENT

    with serving(whole) as endpoint:
        assert read(files_at(endpoint), 5_000, 300) == CONTENT[5_000:5_300]


@pytest.mark.parametrize("size", [100, 9_000])
def test_a_connection_is_used_again(size: int) -> None:
    """A range is read to the end of its answer: many ranges take one connection."""
    connections = []

    def handle(path: str, headers: dict[str, str]) -> Answer:
        return ranged(headers)

    with serving(handle, lambda: connections.append(1)) as endpoint:
        files = files_at(endpoint)
        for offset in range(30):
            assert read(files, offset, size) == CONTENT[offset : offset + size]
    assert len(connections) == 1


def test_a_file_that_is_given_whole_is_not_read_to_its_end() -> None:
    """The head of a file from a server without ranges: the rest of it, which never comes here, is not waited for."""

    def endless(path: str, headers: dict[str, str]) -> Answer:
        return 200, {"X-Linked-Size": str(len(CONTENT)), "Content-Length": str(1 << 40)}, CONTENT

    with serving(endless) as endpoint:
        begun = time.monotonic()
        assert read(files_at(endpoint), 0, 300) == CONTENT[:300]
        assert time.monotonic() - begun < 10


def test_a_way_that_does_not_end_is_given_up() -> None:
    """An answer that sends us on is never taken for the content."""

    def around(path: str, headers: dict[str, str]) -> Answer:
        return 302, {"Location": f"{path}x"}, b""

    with serving(around) as endpoint, pytest.raises(DestinationError, match="302"):
        read(files_at(endpoint), 0, 10)


def test_addresses_are_kept_by_many_threads_at_once() -> None:
    """About as many as there is room for, each leading to what it was kept for, and none when it is no longer good."""
    addresses: Addresses[int] = Addresses(16)
    wrong = []

    def work(first: int) -> None:
        try:
            for n in range(first, first + 4_000):
                addresses.keep(n % 50, f"to {n % 50}", {})
                found = addresses.get((n + 7) % 50)
                if found is not None and found.url != f"to {(n + 7) % 50}":
                    wrong.append(found.url)
        except Exception as error:
            wrong.append(repr(error))

    threads = [threading.Thread(target=work, args=(1_000 * n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(addresses) <= 16 + len(threads)
    addresses.keep(99, "gone", {}, good_for=0)
    assert addresses.get(99) is None


def test_a_token_without_a_role_may_try() -> None:
    """A Hub that says nothing of the token's role (`"accessToken": null`, or no `auth`): the next call decides."""
    for said in (b'{"name": "me", "auth": {"accessToken": null}}', b'{"name": "me", "auth": null}', b'{"name": "me"}'):

        def handle(path: str, headers: dict[str, str], said: bytes = said) -> Answer:
            repository = f'{{"id": "org/name", "private": false, "sha": "{COMMIT}"}}'.encode()
            return 200, {}, said if path == "/api/whoami-v2" else repository

        with (
            serving(handle) as endpoint,
            HubDestination(Place.parse("org/name", endpoint), TOKEN, private=True) as destination,
            pytest.raises(DestinationError, match="public"),
        ):
            destination.prepare()


def test_an_answer_that_is_too_short_is_asked_for_again() -> None:
    """A proxy that cuts answers is never taken at its word; when it does not stop, that is said."""
    cut = 2

    def short(path: str, headers: dict[str, str]) -> Answer:
        nonlocal cut
        cut -= 1
        status, said, body = ranged(headers)
        return status, said, body[:-1] if cut >= 0 else body

    with serving(short) as endpoint:
        assert read(files_at(endpoint), 7, 50) == CONTENT[7:57]
        cut = 9
        with pytest.raises(DestinationBusy, match="49 bytes came where 50"):
            read(files_at(endpoint), 7, 50)


def test_what_is_refused_is_said_by_its_kind() -> None:
    """A gated dataset, and a Hub's page where its API should be."""

    def gated(path: str, headers: dict[str, str]) -> Answer:
        return 403, {"X-Error-Code": "GatedRepo", "X-Error-Message": "Ask first."}, b""

    def page(path: str, headers: dict[str, str]) -> Answer:
        return 200, {"Content-Type": "text/html"}, b"<html>"

    with serving(gated) as endpoint:
        with pytest.raises(AccessDenied, match=r"gated.*Ask first") as caught:
            read(files_at(endpoint), 0, 1)
        assert f"{endpoint}/datasets/org/name" in caught.value.hint
        with pytest.raises(AccessDenied, match="gated"):
            HubFiles.at(Place.parse("org/name", endpoint), TOKEN)
    with serving(page) as endpoint, pytest.raises(Exception, match="does not answer like a Hub"):
        HubFiles.at(Place.parse("org/name", endpoint), TOKEN)


def test_a_file_that_is_not_there_is_said() -> None:
    """With its path."""

    def nothing(path: str, headers: dict[str, str]) -> Answer:
        return 404, {"X-Error-Code": "EntryNotFound"}, b""

    with serving(nothing) as endpoint, pytest.raises(SourceMissing, match="data/x y"):
        read(files_at(endpoint), 0, 1)
