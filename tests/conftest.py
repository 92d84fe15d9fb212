"""Where tests keep what the user would: no test writes to the state folder of whoever runs them. And local Hubs.

One with Xet and one without, a module long each, for the tests of the store and of its destination.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.hubs import Hub, start_hub


@pytest.fixture(scope="session", autouse=True)
def own_state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The record of unfinished jobs is not the user's: for this process, and for those that it starts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("SEALIFT_STATE", raising=False)
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(scope="module")
def own_xet_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What Xet's library remembers of Hubs that are gone is not for these."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_XET_CACHE", str(tmp_path_factory.mktemp("xet")))
        yield


@pytest.fixture(scope="module")
def xet_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with start_hub(tmp_path_factory.mktemp("with") / "hub") as hub:
        yield hub


@pytest.fixture(scope="module")
def lfs_parts() -> tuple[str, ...]:
    """How the Hub without Xet wants large files in parts; a module may say so in a fixture of this name."""
    return ()


@pytest.fixture(scope="module")
def lfs_hub(tmp_path_factory: pytest.TempPathFactory, lfs_parts: tuple[str, ...]) -> Iterator[Hub]:
    with start_hub(tmp_path_factory.mktemp("without") / "hub", "--no-xet", *lfs_parts) as hub:
        yield hub


@pytest.fixture(params=["xet", "lfs"])
def either_hub(request: pytest.FixtureRequest) -> Iterator[Hub]:
    """A Hub with Xet, and one without; what a test made fail is mended after it."""
    hub: Hub = request.getfixturevalue(f"{request.param}_hub")
    yield hub
    hub.faults([])
