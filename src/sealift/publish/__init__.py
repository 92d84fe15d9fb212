"""Publish: put packed shards, tables, index, card and manifest in one commit, and delete what they replace."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import blake3

from sealift.formats.card import write_card
from sealift.formats.card_section import CardConfig, CardContent, CardSplit, CardTable
from sealift.formats.index import index_chunks, index_paths, write_index
from sealift.formats.ranged import pieces
from sealift.model import manifest
from sealift.model.entry import Entry
from sealift.model.manifest import Manifest, PublishedConfig, PublishedFile, PublishedSplit
from sealift.model.plan import Also, Plan
from sealift.model.receipt import Receipt
from sealift.ports import Destination, Reads
from sealift.publish.present import Present, Reuse, refuse_strangers
from sealift.publish.stage import Stage
from sealift.reconcile import compare


@dataclass(frozen=True)
class Publication:
    """What a publication changed. Nothing written and nothing deleted means that all was there already."""

    manifest: Manifest
    written: tuple[str, ...]
    deleted: tuple[str, ...]
    bytes_written: int


def publish(
    plan: Plan,
    receipts: Sequence[Receipt],
    reuse: Reuse,
    present: Present,
    source: Reads,
    destination: Destination,
    *,
    index_parts: Mapping[str, Sequence[Path]],
    versions: Mapping[str, str],
    said: Mapping[str, Any],
    repository: str,
    readme: str | None = None,
) -> Publication:
    """Stage what goes with the shards, and commit all of it together, the manifest last.

    `index_parts` are, by config, the index records of its shards in their order; `said` are the card's metadata keys;
    `readme` is the card to keep the text of, else the one at the destination. Files that are there already, byte for
    byte, are not written again; only files that an earlier publication owns are deleted.

    Raises:
        DestinationError: a file that is not ours is in the way, or the destination refuses.
    """
    stage = Stage(destination)
    files = [*_tables(plan.also, reuse, source, stage), *_index(plan, receipts, reuse, index_parts, stage)]
    if plan.rejects:
        files.append(stage.copy(plan.rejects_file, manifest.REJECTS, "rejects"))
    old_configs = () if present.manifest is None else present.manifest.configs
    configs = _configs(plan, reuse, [config.name for config in old_configs])
    shards = _in_order(configs, [*receipts, *reuse.shards])
    gone = frozenset(config.name for config in old_configs) - {config.name for config in configs}
    content = CardContent(
        repository=repository,
        configs=[_card_config(config, shards) for config in configs],
        tables=[CardTable(file.path, file.rows, file.columns) for file in files if file.role == "also"],
        said=said,
        gone=gone,
    )
    card = write_card(content, readme if readme is not None else present.card)
    files.append(stage.text(card, manifest.CARD, "card"))
    complete = Manifest(
        plan=_together(config.id for config in configs),
        versions=versions if receipts or present.manifest is None else present.manifest.versions,
        key=plan.key,
        spec=plan.spec,
        configs=tuple(configs),
        shards=tuple(shards),
        files=tuple(sorted(files, key=lambda file: file.path)),
    )
    return _commit(complete, receipts, stage, present, destination)


def _commit(
    complete: Manifest, receipts: Sequence[Receipt], stage: Stage, present: Present, destination: Destination
) -> Publication:
    owned = present.owned
    intact = {path: value for path, value in owned.items() if present.has(path, value[0])}
    changes = compare(complete.paths(), intact)
    staged = {receipt.path for receipt in receipts} | stage.sizes.keys()
    new = [path for path in (*changes.missing, *changes.different) if path in staged]
    refuse_strangers(new, present)
    new.sort(key=lambda path: path == manifest.CARD)
    gone = [path for path in owned if path not in complete.paths() and path in present.sizes]
    said = complete.as_bytes()
    if new or gone or present.manifest is None or present.manifest.as_bytes() != said:
        stage.write(manifest.PATH, said)
        destination.commit({path: path for path in (*new, manifest.PATH)}, gone)
        new.append(manifest.PATH)
    sizes = {**{path: size for path, (size, _) in complete.paths().items()}, manifest.PATH: len(said)}
    return Publication(complete, tuple(new), tuple(gone), sum(sizes[path] for path in new))


def _tables(also: Sequence[Also], reuse: Reuse, source: Reads, stage: Stage) -> Iterator[PublishedFile]:
    kept = {file.path: file for file in reuse.files if file.role == "also"}
    for table in also:
        if table.path in kept:
            yield kept[table.path]
            continue
        with stage.file(table.path) as sink:
            for piece in pieces(source, Entry(table.source, table.size, table.version)):
                sink.write(piece)
        yield PublishedFile(
            table.path, "also", sink.size, sink.digest.hexdigest(), rows=table.rows, columns=table.columns
        )


def _index(
    plan: Plan, receipts: Sequence[Receipt], reuse: Reuse, parts: Mapping[str, Sequence[Path]], stage: Stage
) -> Iterator[PublishedFile]:
    yield from (file for file in reuse.files if file.role == "index")
    for config in plan.configs:
        if config.name in reuse.configs:
            continue
        cells = sum(receipt.cells for receipt in receipts if receipt.config == config.name)
        chunks = index_chunks(parts[config.name])
        for path in index_paths(config.name, cells):
            with stage.file(path) as sink:
                write_index(sink, chunks)
            yield PublishedFile(path, "index", sink.size, sink.digest.hexdigest(), config=config.name)


def _configs(plan: Plan, reuse: Reuse, old_order: Sequence[str]) -> list[PublishedConfig]:
    """The configs of the plan, and those of an earlier publication that stay."""
    planned = {config.name: config for config in plan.configs}
    ours = {}
    for name, config in planned.items():
        splits = tuple(
            PublishedSplit(total.split, total.rows, total.num_bytes, total.media_bytes, dict(total.present))
            for total in plan.totals
            if total.config == name
        )
        features = {column: plan.features[column] for column in config.columns}
        ours[name] = PublishedConfig(
            name, config.default, config.folder, plan.ids[name], plan.fingerprint, features, splits
        )
    kept = {name: reuse.configs[name] for name in old_order if name in reuse.configs and name not in planned}
    order = [*(name for name in old_order if name in ours or name in kept), *ours]
    together = {name: ours.get(name) or kept[name] for name in dict.fromkeys(order)}
    return list(together.values())


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
