"""What is at the destination before anything is done, and what of it can stay."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sealift.errors import DestinationError, RequestError
from sealift.formats.card import check_card
from sealift.formats.index import index_paths
from sealift.formats.ranged import sha256, whole
from sealift.model import manifest
from sealift.model.entry import Entry
from sealift.model.event import Advanced, Finished, OnEvent, Started, ignore
from sealift.model.manifest import Manifest, PublishedConfig, PublishedFile, read_manifest
from sealift.model.plan import Plan
from sealift.model.receipt import Receipt
from sealift.ports import Destination

STAGE = "read"
ATTRIBUTES = ".gitattributes"
"""Git's own file, with the Hub's rules of what is large: it outlives a purge."""


@dataclass(frozen=True)
class Present:
    """What lies at the destination before anything is done: the files' sizes, an earlier manifest, and a card."""

    sizes: Mapping[str, int]
    manifest: Manifest | None
    card: str | None

    @property
    def owned(self) -> Mapping[str, tuple[int, str]]:
        """The files that an earlier publication put there: path → (size, sha256)."""
        return {} if self.manifest is None else self.manifest.paths()

    def has(self, path: str, size: int) -> bool:
        """Whether that file is there with that size."""
        return self.sizes.get(path) == size

    def files(self, role: str) -> list[PublishedFile]:
        """The files of that role of an earlier publication, as far as they are there."""
        files = () if self.manifest is None else self.manifest.files
        return [file for file in files if file.role == role and self.has(file.path, file.size)]

    def to_replace(self, complete: Manifest) -> list[str]:
        """What goes for that publication to come: files of an earlier one that it does not have."""
        return [path for path in self.owned if path not in complete.paths() and path in self.sizes]

    def to_purge(self, complete: Manifest | None = None) -> dict[str, int]:
        """The same when all but the publication goes, whoever put it there, and `.gitattributes` alone stays."""
        stays = {ATTRIBUTES} | ({*complete.paths(), manifest.PATH} if complete else set())
        return {path: size for path, size in self.sizes.items() if path not in stays}


@dataclass(frozen=True)
class Reuse:
    """What of an earlier publication stays as it is: whole configs, with their shards and index files, and tables."""

    configs: Mapping[str, PublishedConfig]
    shards: tuple[Receipt, ...]
    files: tuple[PublishedFile, ...]


def look(destination: Destination, *, repair: bool = False, on_event: OnEvent = ignore) -> Present:
    """See what lies at the destination. With `repair` its files are read, and one that is damaged counts as not there.

    Raises:
        IntegrityError: there is a manifest, but it cannot be read.
        RequestError: there is a card, but it cannot be read.
    """
    sizes: dict[str, int] = {}
    for batch in destination.listing():
        sizes.update(zip(batch.column("path").to_pylist(), batch.column("size").to_pylist(), strict=True))
    found = card = None
    if manifest.PATH in sizes:
        found = read_manifest(whole(destination, Entry(manifest.PATH, sizes[manifest.PATH])))
    if manifest.CARD in sizes:
        card = card_text(whole(destination, Entry(manifest.CARD, sizes[manifest.CARD])))
    if repair and found is not None:
        for path in _damaged(destination, found, sizes, on_event):
            del sizes[path]
    return Present(sizes, found, card)


def _damaged(destination: Destination, found: Manifest, sizes: Mapping[str, int], on_event: OnEvent) -> list[str]:
    """The files whose bytes are not those that the manifest says."""
    there = {path: said for path, said in found.paths().items() if sizes.get(path) == said[0]}
    on_event(Started(STAGE, sum(size for size, _ in there.values()), len(there)))
    damaged = []
    for path, (size, expected) in there.items():
        if sha256(destination, Entry(path, size), lambda read: on_event(Advanced(STAGE, read))) != expected:
            damaged.append(path)
        on_event(Advanced(STAGE, files=1))
    on_event(Finished(STAGE))
    return damaged


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


def reusable(plan: Plan, kept: Collection[str], present: Present) -> Reuse:
    """What need not be packed again: configs whose plan and source are as before, and those in `kept` in any case.

    Which version of the libraries packed them does not matter: what is there was proven. A config counts only if all
    its files are at the destination with the sizes that the manifest says.
    """
    old = present.manifest
    if old is None:
        return Reuse({}, (), ())
    configs = {}
    for config in old.configs:
        owned = old.owned_by(config.name)
        intact = all(present.has(path, size) for path, size in owned.items())
        unchanged = (config.id, config.fingerprint) == (plan.ids.get(config.name), plan.fingerprint)
        if intact and (config.name in kept or unchanged):
            configs[config.name] = config
    same_source = any(config.fingerprint == plan.fingerprint for config in configs.values())
    tables = {one.path: one for one in plan.also} if same_source else {}
    files = tuple(
        file
        for file in old.files
        if file.config in configs
        or (file.role == "also" and file.path in tables and present.has(file.path, tables[file.path].size))
    )
    return Reuse(configs, tuple(one for one in old.shards if one.config in configs), files)


def staying(present: Present, without: Collection[str]) -> Reuse:
    """What of an earlier publication stays when these configs alone are published anew: all else that is whole."""
    old = present.manifest
    if old is None:
        return Reuse({}, (), ())
    configs = {
        config.name: config
        for config in old.configs
        if config.name not in without
        and all(present.has(path, size) for path, size in old.owned_by(config.name).items())
    }
    files = tuple(
        file
        for file in old.files
        if file.role != "card" and present.has(file.path, file.size) and (not file.config or file.config in configs)
    )
    return Reuse(configs, tuple(one for one in old.shards if one.config in configs), files)


def check(
    plan: Plan,
    kept: Collection[str],
    reuse: Reuse,
    present: Present,
    readme: str | None,
    *,
    replace: bool,
    purge: bool,
) -> None:
    """See, before anything is packed, that nothing at the destination stands against the publication.

    With `replace` another dataset may go, with `purge` whatever is there.

    Raises:
        RequestError: another dataset is there (no column in common), and `replace` does not say that it may go.
        DestinationError: a file that is not ours is in the way, or a config that should stay is not whole.
        RequestError: the card that is to be kept cannot be read.
    """
    check_card(readme if readme is not None else present.card or "")
    if purge:
        return
    old = () if present.manifest is None else present.manifest.configs
    columns = {column: None for config in old for column in config.features}
    if columns and not columns.keys() & plan.features.keys() and not replace:
        raise RequestError(
            f"the destination holds another dataset, with the columns {', '.join([*columns][:8])}",
            hint="publish to a folder of its own, or add --yes (in Python: replace=True) to replace it",
        )
    for config in old:
        if config.name in kept and config.name not in reuse.configs:
            raise DestinationError(
                f"config `{config.name}` should stay as it is, but files of it are not there any more",
                hint="publish it, too: leave out --configs, or name it there",
                config=config.name,
            )
    paths = [table.path for table in plan.also]
    for name in (config.name for config in plan.configs if config.name not in reuse.configs):
        shards = [shard for shard in plan.shards if shard.config == name]
        paths += [shard.path for shard in shards] + index_paths(name, sum(shard.cells for shard in shards))
    refuse_strangers(paths, present)


def refuse_strangers(new: Sequence[str], present: Present) -> None:
    """Nothing that another hand put there is overwritten, but the card, whose text is kept."""
    places = {place for path in new if path != manifest.CARD for place in (path, *_folders(path))}
    strangers = [path for path in present.sizes if path in places and path not in present.owned]
    if strangers:
        raise DestinationError(
            f"files are in the way that no earlier publication put there ({len(strangers)}): "
            + ", ".join(strangers[:5]),
            hint="move them away, or publish to another folder",
            paths=strangers[:100],
        )


def _folders(path: str) -> Iterator[str]:
    while path := path.rpartition("/")[0]:
        yield path
