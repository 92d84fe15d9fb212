"""Which files of a refused commit have content that the Hub lacks: it is asked, not believed from its words."""

from __future__ import annotations

from sealift.errors import ContentMissing, IntegrityError
from sealift.ports import Staged
from sealift.stores.hub import lfs
from sealift.stores.hub.changes import Changes
from sealift.stores.hub.stage import HubStage


def lacking(stage: HubStage, changes: Changes, about: str | None) -> list[str]:
    """The final paths of the files whose content is not there; `about` is the one that the Hub's words name, if any.

    A Hub with LFS says by digest what it wants, 256 files a request. Of content in Xet that no commit names it may want
    all, and one that remembers what was collected wants nothing. There the words say whom to ask for, and no more: the
    files are read, with one or two requests each.
    """
    files = changes.uploaded
    if stage.xet and about not in files:
        return []
    blobs = [lfs.Blob(path, file.sha256 or "", file.size) for path, file in files.items() if file.size]
    wanted = {blob.path for blob in lfs.missing(stage.client, blobs)}
    if wanted and not stage.xet:
        return [path for path in files if path in wanted]
    if about not in files or (about not in wanted and _is_readable(stage, files[about])):
        return []
    lost = [path for path, file in files.items() if not _is_readable(stage, file)]
    return lost or [path for path in files if path in wanted]


def _is_readable(stage: HubStage, file: Staged) -> bool:
    """Whether the first and the last byte of what was uploaded can be had. What is held here is sent again anyway."""
    if file.data is not None:
        return True
    try:
        for offset in {0, max(0, file.size - 1)}:
            stage.read_back(file, offset, memoryview(bytearray(min(1, file.size))))
    except (ContentMissing, IntegrityError):
        return False
    return True
