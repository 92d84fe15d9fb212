"""A repository of a Hub keeps what every destination promises: by Xet and by LFS, with room on disk and without."""

from __future__ import annotations

import pytest
from tests.contracts.test_destination import DestinationContract
from tests.hubs import Hub

from sealift.ports import Destination
from sealift.stores.hub import HubDestination, Place

pytestmark = pytest.mark.usefixtures("own_xet_cache")


@pytest.fixture(scope="module")
def lfs_parts() -> tuple[str, ...]:
    return ("--lfs-multipart-over", "1MB", "--lfs-part-size", "400KB")


class HubContract(DestinationContract):
    """The repository is there and nothing is in it: a new one would have a `.gitattributes` of the Hub's."""

    HUB = "xet_hub"
    STAGING: int | None = None

    @pytest.fixture(autouse=True)
    def _repository(self, request: pytest.FixtureRequest) -> None:
        self.hub: Hub = request.getfixturevalue(self.HUB)
        self.place = Place.parse(self.hub.name(), self.hub.endpoint)
        with self.opened() as destination:
            destination.prepare()
            assert destination.stager.xet == (self.HUB == "xet_hub")
            destination.commit({}, [".gitattributes"], "empty it")

    def opened(self) -> HubDestination:
        return HubDestination(self.place, self.hub.token, staging=self.STAGING)

    def lose(self, destination: Destination) -> None:
        self.hub.collect()


class TestByXet(HubContract):
    """As a Hub is by default: content is streamed to Xet."""


@pytest.mark.long
class TestByXetFromDisk(HubContract):
    """With room for a part of the files: the others are streamed."""

    STAGING = 64 << 10


class TestByLfs(HubContract):
    """A Hub without Xet: content waits on disk until its digest is known."""

    HUB = "lfs_hub"


@pytest.mark.long
class TestByLfsWithoutDisk(TestByLfs):
    """The same with nothing on disk: files are written twice."""

    STAGING = 0
