"""Columns: which ones hold media, and how their cells lie in a shard."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MEDIA_TYPES = ("audio", "image", "video", "nifti", "midi", "pdf", "binary")
"""The names that `media:` knows."""


@dataclass(frozen=True, slots=True)
class MediaColumn:
    """A column whose cells are files: one each, a list each (`many`), or null.

    `boxed` cells are stored as struct<bytes: binary, path: string>, as the Audio, Image, Video,
    Nifti and Pdf features of `datasets` want it; the others as plain binary (midi, binary).
    `feature` is the JSON of the cell's feature, without the list around it.
    """

    name: str
    type: str
    many: bool = False
    boxed: bool = True
    feature: Mapping[str, Any] = field(default_factory=dict)

    @property
    def leaf(self) -> str:
        """The Parquet path of the leaf that holds the bytes: `audio.bytes`, `bold.list.element.bytes`, `midi`."""
        return self.name + (".list.element" if self.many else "") + (".bytes" if self.boxed else "")

    @property
    def max_definition_level(self) -> int:
        """The definition level of a cell that is there: one for each optional or repeated step of the leaf."""
        return 1 + (2 if self.many else 0) + (1 if self.boxed else 0)
