"""One local Hub for each test process, with limits so small that a test can reach them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.hubs import Hub, start_hub
from tests.localhub.wire import Dataset, Wire

LIMITS = ("--max-folder-entries", "50", "--max-commit-files", "200", "--max-commit-bytes", "20MB")
PARTS = ("--lfs-multipart-over", "100000", "--lfs-part-size", "40000")


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with start_hub(tmp_path_factory.mktemp("hub") / "root", *LIMITS, *PARTS) as started:
        yield started


@pytest.fixture
def wire(hub: Hub) -> Wire:
    return Wire(hub)


@pytest.fixture
def dataset(wire: Wire) -> Dataset:
    """A new dataset."""
    return wire.create()
