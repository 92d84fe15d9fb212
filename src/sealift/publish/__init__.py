"""Publish: put packed shards, tables, index, card and manifest in one commit, and delete what they replace."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import blake3

from sealift.formats.card import write_card
from sealift.formats.card_section import CardConfig, CardContent, CardSplit, CardTable
from sealift.formats.index import index_chunks, index_paths, write_index
from sealift.formats.ranged import pieces
from sealift.model import manifest
from sealift.model.entry import Entry
from sealift.model.event import Advanced, Finished, OnEvent, Started, ignore
from sealift.model.manifest import Manifest, PublishedConfig, PublishedFile, PublishedSplit
from sealift.model.plan import Also, Config, Plan
from sealift.model.receipt import Receipt
from sealift.ports import Reads, Sink, Staged
from sealift.publish.check import refuse_strangers
from sealift.publish.present import Present
from sealift.publish.reuse import Reuse
from sealift.publish.stage import Stage, copy_file
from sealift.reconcile import compare

STAGE = "publish"
TABLES = "tables"


@dataclass(frozen=True)
class Publication:
    """What a publication changed. Nothing written and nothing deleted means that all was there already.

    `revision` is what readers see now, None where there is no history; `commits` is how many led to it.
    """

    manifest: Manifest
    written: tuple[str, ...]
    deleted: tuple[str, ...]
    bytes_written: int
    revision: str | None
    commits: int

    def after(self, earlier: Publication | None) -> Publication:
        """This one and the one before it, taken together."""
        if earlier is None:
            return self
        return replace(
            self,
            written=tuple(dict.fromkeys((*earlier.written, *self.written))),
            deleted=tuple(dict.fromkeys((*earlier.deleted, *self.deleted))),
            bytes_written=earlier.bytes_written + self.bytes_written,
            commits=earlier.commits + self.commits,
        )


@dataclass(frozen=True)
class Words:
    """What people said about the dataset: the card's metadata keys, its name, and the text to keep, if it is given.

    `order` is that of all configs in the spec: the one in which manifest and card have them.
    """

    said: Mapping[str, Any]
    repository: str
    readme: str | None
    order: tuple[str, ...]


class Commits(Protocol):
    """What takes a commit: a destination, or who stands before it."""

    @property
    def revision(self) -> str | None:
        """As `ports.Destination`."""
        ...

    def commit(self, files: Mapping[str, Staged], delete: Iterable[str], message: str) -> str | None:
        """As `ports.Destination`."""
        ...


def publish(
    plan: Plan,
    receipts: Sequence[Receipt],
    reuse: Reuse,
    present: Present,
    stage: Stage,
    source: Reads,
    destination: Commits,
    *,
    index_parts: Mapping[str, Sequence[Path]],
    versions: Mapping[str, str],
    words: Words,
    card: bool = True,
    overwrite: bool = False,
    purge: bool = False,
    on_event: OnEvent = ignore,
) -> Publication:
    """Stage what goes with the shards, and commit all of it together, the manifest last.

    `index_parts` are, by config, the index records of its shards in their order. What is in `reuse` stays as it is;
    what is in `stage` already is not staged again. Files that are there already, byte for byte, are not written again;
    only files that an earlier publication owns are deleted, unless `purge` says that all others go, or `overwrite` that
    they may be written over. Without `card` the one that is there stays.

    Raises:
        DestinationError: a file that is not ours is in the way, or the destination refuses.
        DestinationChanged: it is no longer what `present` says; nothing was changed.
        IntegrityError: the destination has other bytes than were sent.
    """
    files = [
        *reuse.files,
        *_tables(plan.also, reuse, source, stage, on_event),
        *_index(plan, receipts, reuse, index_parts, stage),
        *_rejects(plan, present, stage),
    ]
    configs = _configs(plan, reuse, words.order)
    shards = _in_order(configs, [*receipts, *reuse.shards])
    files += _card(configs, shards, files, present, stage, words, card=card)
    complete = Manifest(
        plan=_together(config.id for config in configs),
        versions=versions if receipts or present.manifest is None else present.manifest.versions,
        key=plan.key,
        spec=plan.spec,
        configs=tuple(configs),
        shards=tuple(shards),
        files=tuple(_by_path(files)),
    )
    changes = _changes(complete, receipts, present, stage, purge=purge)
    if not (purge or overwrite):
        refuse_strangers(list(changes.files), present)
    return _commit(complete, changes, destination, on_event)


@dataclass(frozen=True)
class _Changes:
    """What a commit names: {final path: staged}, the card and the manifest last, and what goes."""

    files: Mapping[str, Staged]
    gone: tuple[str, ...]


def _changes(
    complete: Manifest, receipts: Sequence[Receipt], present: Present, stage: Stage, *, purge: bool
) -> _Changes:
    staged = {one.path: Staged(one.path, one.size, one.sha256, one.xet_hash) for one in receipts} | stage.files
    compared = compare(complete.paths(), present.intact)
    new = [path for path in (*compared.missing, *compared.different) if path in staged]
    new.sort(key=lambda path: path == manifest.CARD)
    gone = [*present.to_purge(complete)] if purge else present.to_replace(complete)
    said = complete.as_bytes()
    if new or gone or present.manifest is None or present.manifest.as_bytes() != said:
        stage.bytes(manifest.PATH, "manifest", said)
        new.append(manifest.PATH)
    everything = staged | stage.files
    return _Changes({path: everything[path] for path in new}, tuple(gone))


def _commit(complete: Manifest, changes: _Changes, destination: Commits, on_event: OnEvent) -> Publication:
    before = revision = destination.revision
    moved, made = sum(file.size for file in changes.files.values()), 0
    if changes.files:
        on_event(Started(STAGE, moved, len(changes.files)))
        revision = destination.commit(changes.files, changes.gone, _message(complete))
        made = 1 if revision is None or revision != before else 0
        on_event(Advanced(STAGE, moved, len(changes.files)))
        on_event(Finished(STAGE))
    return Publication(complete, tuple(changes.files), changes.gone, moved, revision, made)


def _card(
    configs: Sequence[PublishedConfig],
    shards: Sequence[Receipt],
    files: Sequence[PublishedFile],
    present: Present,
    stage: Stage,
    words: Words,
    *,
    card: bool,
) -> list[PublishedFile]:
    """The card: what there is, on top of the words that are to be kept. Without `card`, the one that is there."""
    if not card and present.files("card"):
        return present.files("card")
    old = () if present.manifest is None else present.manifest.configs
    content = CardContent(
        repository=words.repository,
        configs=[_card_config(config, shards) for config in configs],
        tables=[CardTable(file.path, file.rows, file.columns) for file in _by_path(files) if file.role == "also"],
        said=words.said,
        gone=frozenset(config.name for config in old) - {config.name for config in configs},
    )
    text = write_card(content, words.readme if words.readme is not None else present.card)
    return [stage.bytes(manifest.CARD, "card", text.encode())]


def _by_path(files: Iterable[PublishedFile]) -> list[PublishedFile]:
    return sorted(files, key=lambda file: file.path)


def _message(complete: Manifest) -> str:
    rows = max((sum(split.rows for split in config.splits) for config in complete.configs), default=0)
    names = ", ".join(config.name for config in complete.configs[:5]) + (" …" if len(complete.configs) > 5 else "")
    return f"Publish {rows:,} rows ({names}) with sealift"


def _tables(
    also: Sequence[Also], reuse: Reuse, source: Reads, stage: Stage, on_event: OnEvent
) -> Iterator[PublishedFile]:
    kept = {file.path for file in reuse.files}
    new = [table for table in also if table.path not in kept]
    if sent := [table for table in new if not stage.has(table.path, _made_of(table))]:
        on_event(Started(TABLES, sum(table.size for table in sent), len(sent)))
    for table in new:
        file = stage.once(table.path, "also", partial(_copy_entry, source, table), _made_of(table))
        yield replace(file, rows=table.rows, columns=table.columns, source=table.source, version=table.version)
        if table in sent:
            on_event(Advanced(TABLES, table.size, 1))
    if sent:
        on_event(Finished(TABLES))


def _made_of(table: Also) -> str | None:
    """What tells whether the table's source is the same; None where it has no version."""
    return None if table.version is None else f"{table.source} {table.size} {table.version}"


def _copy_entry(source: Reads, table: Also, sink: Sink) -> None:
    for piece in pieces(source, Entry(table.source, table.size, table.version)):
        sink.write(piece)


def _index(
    plan: Plan, receipts: Sequence[Receipt], reuse: Reuse, parts: Mapping[str, Sequence[Path]], stage: Stage
) -> Iterator[PublishedFile]:
    """Each file is made in the plan's folder first, since staging may ask for its bytes twice."""
    made = plan.work / "index.parquet"
    for config in (config for config in plan.configs if config.name not in reuse.configs):
        ours = [receipt for receipt in receipts if receipt.config == config.name]
        identity = _together(receipt.made.part for receipt in ours if receipt.made is not None)
        paths, chunks = (
            index_paths(config.name, sum(receipt.cells for receipt in ours)),
            index_chunks(parts[config.name]),
        )
        missing = not all(stage.has(path, identity) for path in paths)
        for path in paths:
            if missing:  # one after the other: each takes the chunks that follow those of the one before
                with open(made, "wb") as sink:
                    write_index(sink, chunks)
            yield replace(stage.once(path, "index", partial(copy_file, made), identity), config=config.name)
            made.unlink(missing_ok=True)


def _rejects(plan: Plan, present: Present, stage: Stage) -> Iterator[PublishedFile]:
    if not plan.rejects:
        return
    with open(plan.rejects_file, "rb") as data:
        sha256 = hashlib.file_digest(data, "sha256").hexdigest()
    same = [file for file in present.files("rejects") if file.sha256 == sha256]
    yield same[0] if same else stage.once(manifest.REJECTS, "rejects", partial(copy_file, plan.rejects_file))


def _configs(plan: Plan, reuse: Reuse, order: Sequence[str]) -> list[PublishedConfig]:
    """The configs of the plan, and those of an earlier publication that stay, in the spec's order; others come last."""
    ours = {config.name: _config(plan, config) for config in plan.configs}
    together = {**reuse.configs, **ours}
    rank = {name: number for number, name in enumerate(order)}
    return sorted(together.values(), key=lambda config: rank.get(config.name, len(rank)))


def _config(plan: Plan, config: Config) -> PublishedConfig:
    splits = tuple(
        PublishedSplit(total.split, total.rows, total.num_bytes, total.media_bytes, dict(total.present))
        for total in plan.totals
        if total.config == config.name
    )
    features = {column: plan.features[column] for column in config.columns}
    return PublishedConfig(
        config.name, config.default, config.folder, plan.ids[config.name], plan.fingerprint, features, splits
    )


def _in_order(configs: Sequence[PublishedConfig], shards: Sequence[Receipt]) -> list[Receipt]:
    """Config by config, split by split: the order in which the index holds their cells."""
    places = [(config.name, split.name) for config in configs for split in config.splits]
    rank = {place: number for number, place in enumerate(places)}
    return sorted(shards, key=lambda shard: (rank[(shard.config, shard.split)], shard.index))


def _card_config(config: PublishedConfig, shards: Sequence[Receipt]) -> CardConfig:
    splits = [
        CardSplit(split.name, f"{config.folder}/{split.name}-*.parquet", split.rows, split.num_bytes, split.present)
        for split in config.splits
    ]
    size = sum(shard.size for shard in shards if shard.config == config.name)
    return CardConfig(config.name, config.default, config.features, splits, size)


def _together(ids: Iterable[str]) -> str:
    return str(blake3.blake3(" ".join(ids).encode()).hexdigest())
