"""Which files travel inside a commit, and which are uploaded before it."""

from __future__ import annotations

from collections.abc import Mapping

from sealift.model.manifest import CARD
from sealift.ports import Staged
from sealift.stores.hub.client import HubClient
from sealift.stores.hub.stage import ROOM, HubStage


def inline(client: HubClient, stage: HubStage, new: Mapping[str, Staged]) -> frozenset[str]:
    """The files whose bytes go with the commit, `ROOM` of them at most; the other held ones are uploaded now."""
    held = {path: file for path, file in new.items() if file.data is not None}
    asked = [(path, file.data or b"", file.size) for path, file in held.items() if file.size]
    modes = client.upload_modes(asked)
    # An empty file has no content to upload.
    regular = [path for path in held if modes.get(path, "regular") == "regular"]
    chosen, left = set(), ROOM
    for path in sorted(regular, key=lambda path: path != CARD):
        if held[path].size <= left:
            chosen.add(path)
            left -= held[path].size
    stage.send_held([file for path, file in held.items() if path not in chosen])
    return frozenset(chosen)
