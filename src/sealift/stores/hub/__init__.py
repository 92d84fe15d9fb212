"""A Hub: datasets in repositories, uploaded by Xet or LFS. The one place where its clients are met."""

from __future__ import annotations

from sealift.stores.hub.destination import HubDestination
from sealift.stores.hub.files import HubFiles
from sealift.stores.hub.place import Place
from sealift.stores.hub.refusals import unsign_logs
from sealift.stores.hub.stage import HubStage

__all__ = ["HubDestination", "HubFiles", "HubStage", "Place"]

unsign_logs()
