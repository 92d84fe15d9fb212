"""What is at the destination before anything is done."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from sealift.errors import IntegrityError, RequestError
from sealift.formats.ranged import sha256, whole
from sealift.model import manifest
from sealift.model.entry import Entry
from sealift.model.event import Advanced, Finished, OnEvent, Started
from sealift.model.manifest import Manifest, PublishedFile, read_manifest
from sealift.ports import Destination

STAGE = "read"
ATTRIBUTES = ".gitattributes"
"""Git's own file, with the Hub's rules of what is large: it outlives a purge."""


@dataclass(frozen=True)
class Present:
    """What lies at the destination before anything is done: the files' sizes, an earlier manifest, and a card.

    `damaged` are files of the manifest that are known to have other bytes than it says.
    """

    sizes: Mapping[str, int]
    manifest: Manifest | None
    card: str | None
    damaged: frozenset[str] = frozenset()

    @cached_property
    def owned(self) -> Mapping[str, tuple[int, str]]:
        """The files that an earlier publication put there: path → (size, sha256)."""
        return {} if self.manifest is None else self.manifest.paths()

    @cached_property
    def intact(self) -> Mapping[str, tuple[int, str]]:
        """Those of them that are there, as far as is known."""
        return {path: said for path, said in self.owned.items() if self.has(path, said[0])}

    def has(self, path: str, size: int) -> bool:
        """Whether that file is there with that size, and is not known to be damaged."""
        return self.sizes.get(path) == size and path not in self.damaged

    def is_same_dataset(self, other: Present) -> bool:
        """Whether others changed nothing between these two looks but the card, which is merged, and what is theirs."""
        ours, theirs = ({**one.intact, manifest.CARD: None} for one in (self, other))
        return self.manifest == other.manifest and ours == theirs

    def whole(self, config: str) -> bool:
        """Whether all files of that published config are there."""
        owned = {} if self.manifest is None else self.manifest.owned_by(config)
        return all(self.has(path, size) for path, size in owned.items())

    def files(self, role: str) -> list[PublishedFile]:
        """The files of that role of an earlier publication, as far as they are there."""
        files = () if self.manifest is None else self.manifest.files
        return [file for file in files if file.role == role and self.has(file.path, file.size)]

    def to_replace(self, complete: Manifest) -> list[str]:
        """What goes for that publication to come: files of an earlier one that it does not have."""
        stays = complete.paths()
        return [path for path in self.owned if path not in stays and path in self.sizes]

    def to_purge(self, complete: Manifest | None = None) -> dict[str, int]:
        """The same when all but the publication goes, whoever put it there, and `.gitattributes` alone stays."""
        stays = {ATTRIBUTES} | ({*complete.paths(), manifest.PATH} if complete else set())
        return {path: size for path, size in self.sizes.items() if path not in stays}


def look(destination: Destination, *, damaged: Collection[str] = (), purge: bool = False) -> Present:
    """See what lies at the destination. Files that are `damaged` are known to be so.

    For a `purge`, what the manifest or the card say counts only if they can be read, and the card's words do not.

    Raises:
        IntegrityError: there is a manifest, but it cannot be read.
        RequestError: there is a card, but it cannot be read.
    """
    sizes: dict[str, int] = {}
    versions: dict[str, str] = {}
    for batch in destination.listing():
        paths, lengths, said = (batch.column(name).to_pylist() for name in ("path", "size", "version"))
        sizes.update(zip(paths, lengths, strict=True))
        versions.update((path, version) for path, version in zip(paths, said, strict=True) if _is_sha256(version))
    found = _manifest(destination, sizes, purge=purge)
    card = None
    if manifest.CARD in sizes and not purge:
        card = card_text(whole(destination, Entry(manifest.CARD, sizes[manifest.CARD])))
    owned = {} if found is None else found.paths()
    other = {path for path, (_, sha256) in owned.items() if versions.get(path, sha256) != sha256}
    return Present(sizes, found, card, frozenset(other | {path for path in damaged if path in owned}))


def _is_sha256(version: str | None) -> bool:
    """Whether a store's version of a file is the SHA-256 of its bytes, as it is at a Hub."""
    return version is not None and re.fullmatch(r"[0-9a-f]{64}", version) is not None


def _manifest(destination: Destination, sizes: Mapping[str, int], *, purge: bool) -> Manifest | None:
    if manifest.PATH not in sizes:
        return None
    try:
        return read_manifest(whole(destination, Entry(manifest.PATH, sizes[manifest.PATH])))
    except IntegrityError:
        if purge:
            return None
        raise


def examined(destination: Destination, present: Present, on_event: OnEvent) -> Present:
    """The same after reading every file that the manifest names: those with other bytes are damaged."""
    on_event(Started(STAGE, sum(size for size, _ in present.intact.values()), len(present.intact)))
    damaged = set(present.damaged)
    for path, (size, expected) in present.intact.items():
        if sha256(destination, Entry(path, size), lambda read: on_event(Advanced(STAGE, read))) != expected:
            damaged.add(path)
        on_event(Advanced(STAGE, files=1))
    on_event(Finished(STAGE))
    return replace(present, damaged=frozenset(damaged))


def card_text(data: bytes) -> str:
    """The text of a card, with the ends of its lines as they are.

    Raises:
        RequestError: it is not UTF-8.
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RequestError(
            f"{manifest.CARD} is not UTF-8: {error}", hint="save it as UTF-8", path=manifest.CARD
        ) from error
