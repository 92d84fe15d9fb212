"""The Hub of these tests and the official clients that meet it, with Xet and without."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack

import pytest
from tests.hub.client import Client
from tests.hubs import Hub, named_by_environment, start_hub

MODES = {"xet": True, "lfs": False}


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """The Hub that the environment names, or else our own, which must not have an internal error."""
    foreign = named_by_environment()
    if foreign is not None:
        yield foreign
        return
    with start_hub(tmp_path_factory.mktemp("hub") / "root") as local:
        yield local
    assert local.log is not None
    assert "Traceback" not in (said := local.log.read_text()), said


@pytest.fixture
def local_hub(hub: Hub) -> Hub:
    """The Hub, if it is ours: it counts what it serves, and fails when told to."""
    if hub.root is None:
        pytest.skip("needs a Hub that counts its requests and stores; this one is not ours")
    return hub


@pytest.fixture(scope="session")
def clients(hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Client]]:
    """A client of each mode."""
    home = tmp_path_factory.mktemp("clients")
    with ExitStack() as stack:
        yield {mode: stack.enter_context(Client(hub, home / mode, xet=xet)) for mode, xet in MODES.items()}


@pytest.fixture(params=MODES)
def client(request: pytest.FixtureRequest, clients: Mapping[str, Client]) -> Client:
    """The official clients, with Xet and with plain LFS."""
    return clients[request.param]


@pytest.fixture
def default(clients: Mapping[str, Client]) -> Client:
    """The clients as they are when nothing is switched off, for what is the same in every mode."""
    return clients["xet"]


@pytest.fixture
def name(hub: Hub, clients: Mapping[str, Client]) -> Iterator[Callable[[], str]]:
    """Makes ids of repositories that are not there yet. On a Hub that is not ours, what came of them is deleted."""
    handed: list[str] = []

    def fresh() -> str:
        handed.append(hub.name())
        return handed[-1]

    yield fresh
    for one in handed if hub.root is None else []:
        for kind in ("dataset", "model"):
            clients["xet"].api.delete_repo(one, repo_type=kind, missing_ok=True)


@pytest.fixture
def repo(name: Callable[[], str], default: Client) -> str:
    """A new dataset repository."""
    created = name()
    default.api.create_repo(created, repo_type="dataset")
    return created
