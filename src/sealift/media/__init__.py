"""What the media types are: how a column of each is declared, what its files look like, how to tell that one is whole.

Importing this loads no decoder: libraries are met when `describe` needs them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sealift.errors import RequestError
from sealift.media.audio import AUDIO
from sealift.media.binary import BINARY
from sealift.media.image import IMAGE
from sealift.media.kind import VIEW, MediaType, nearest
from sealift.media.midi import MIDI
from sealift.media.nifti import NIFTI
from sealift.media.pdf import PDF
from sealift.media.video import VIDEO
from sealift.model.column import MediaColumn

__all__ = ["TYPES", "VIEW", "MediaType", "by_extension", "column"]

TYPES: Mapping[str, MediaType] = {kind.name: kind for kind in (AUDIO, IMAGE, VIDEO, NIFTI, MIDI, PDF, BINARY)}
"""Every media type under the name that a spec calls it by."""


def column(name: str, type: str, many: bool, options: Mapping[str, Any]) -> MediaColumn:  # noqa: A002 the spec's word
    """The media column of that name and type, with the feature that `datasets` reads it by.

    Raises:
        RequestError: there is no such type, or the type has no such option or value.
    """
    kind = TYPES.get(type)
    if kind is None:
        hint = nearest(type, TYPES, "choices")
        raise RequestError(f"media column {name!r} has no known type: {type!r}", hint=hint, key=name)
    return MediaColumn(name=name, type=type, many=many, boxed=kind.boxed, feature=kind.feature(options))


def by_extension() -> dict[str, str]:
    """Extension → media type, in lower case with the dot: `.flac` → audio, `.nii.gz` → nifti."""
    return {extension: kind.name for kind in TYPES.values() for extension in kind.extensions}
