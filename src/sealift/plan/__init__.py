"""The plan: the rows joined to the listing, cut into shards, and held against every limit before a byte is read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import blake3
import pyarrow as pa

from sealift import media
from sealift.errors import PlanRefused, RequestError, SealiftError
from sealift.formats import features, parquet, rowfile
from sealift.model import manifest
from sealift.model.column import MediaColumn
from sealift.model.event import Finished, OnEvent, Started, ignore
from sealift.model.plan import Config, ConfigSplit, Plan, PlannedShard
from sealift.model.problem import Problem, errors
from sealift.plan import limits
from sealift.plan.also import plan_also
from sealift.plan.cut import Cut, Limits, cut
from sealift.plan.estimate import Memory, estimate
from sealift.plan.gather import Gathered, gather
from sealift.plan.listing import write_listing
from sealift.plan.resolve import Resolved, Tally, resolve
from sealift.ports import Source
from sealift.rows import bids, folder, frames, joins
from sealift.rows.sql import Session
from sealift.spec import Spec

FORMAT = 1
"""Goes into every identity: a change of what a plan means, or of how a shard is laid out, raises it."""
MAX_GROUP_ROWS = 100_000
DEFAULT_MEMORY = 2_000_000_000
STAGE = "plan"


def plan(
    spec: Spec,
    source: Source,
    work: Path,
    memory: Memory,
    configs: Sequence[str] | None = None,
    on_event: OnEvent = ignore,
) -> Plan:
    """Answer the spec: which rows go where, what that takes, and what is wrong with it.

    The answer is the same for the same input, whatever the machine, the memory or the number of workers. All that grows
    with the rows lies in `work`; memory holds a few batches. Problems are in the plan, not raised: see `accept`.

    Raises:
        SpecError: the spec asks for what cannot be; the place in the file is named.
        SourceError: the source cannot be listed, or a table cannot be read.
    """
    spec.check_supported()
    on_event(Started(STAGE))
    listing = write_listing(spec, source, work, on_event)
    spec = _with_layout(spec, source, listing)
    columns = _media_columns(spec)
    with _rows(spec, source, listing, work, memory) as (reader, problems):
        gathered = gather(spec, reader, columns, work)
    chosen = _configs(spec, gathered, configs)
    joined = {name: joins.resolve(refs, listing, work, memory.sql) for name, refs in gathered.refs.items()}
    resolved = resolve(
        gathered,
        joined,
        chosen,
        spec.missing,
        work,
        keyed=bool(spec.key),
        row_bytes_limit=memory.row_bytes,
    )
    made = _assemble(spec, source, work, memory, gathered, resolved, chosen, problems)
    on_event(Finished(STAGE))
    return made


def accept(made: Plan, *, strict: bool = False) -> Plan:
    """The plan, if nothing is wrong with it; with `strict` a warning is wrong, too.

    Raises:
        PlanRefused: it has problems; the error lists them.
    """
    wrong = list(made.problems) if strict else errors(made.problems)
    if wrong:
        more = f"\n… and {len(wrong) - 20} more" if len(wrong) > 20 else ""
        raise PlanRefused(
            f"the plan has {len(wrong)} problem{'s' if len(wrong) > 1 else ''}:\n"
            + "\n".join(f"  {problem}" for problem in wrong[:20])
            + more,
            hint="mend these and run the same command again; `sealift plan` shows the whole plan",
            problems=[problem.as_json() for problem in wrong],
        )
    return made


def _with_layout(spec: Spec, source: Source, listing: Path) -> Spec:
    """The spec with what its layout stands for written out; what the spec says itself goes before."""
    if spec.layout != "folder" or spec.rows is not None:
        return spec
    found = folder.recognise(listing, source.local_file, media.by_extension())
    if found.layout is None:
        raise spec.mistake(
            "the source has no folder layout that is known", "layout", hint="; ".join(found.reasons) or "write `rows:`"
        )
    return spec.completed(**found.layout.keys())


def _media_columns(spec: Spec) -> tuple[MediaColumn, ...]:
    columns = []
    for name, said in spec.media.items():
        try:
            columns.append(media.column(name, said.type, said.many, said.options))
        except RequestError as error:
            raise spec.mistake(error.message, "media", name, hint=error.hint) from error
    return tuple(columns)


@contextmanager
def _rows(
    spec: Spec, source: Source, listing: Path, work: Path, memory: Memory
) -> Iterator[tuple[pa.RecordBatchReader, list[Problem]]]:
    """The rows, streaming: of the query, or as Python gave them."""
    if spec.rows is None:
        raise spec.mistake("nothing says what the rows are", "rows", hint="write `rows:`, or `layout: folder`")
    if not isinstance(spec.rows, str):
        yield frames.reader(spec.rows), []
        return
    with Session(work / "sql", memory.sql) as session:
        for name, path in spec.tables.items():
            try:
                with source.local_file(path) as file:
                    session.add_table(name, file, path)
            except SealiftError as error:
                raise _at(spec, error, "tables", name) from error
        session.add_listing(listing, bids.COLUMNS if spec.layout == "bids" else "*")
        try:
            reader = session.query(spec.rows)
        except RequestError as error:
            raise _at(spec, error, "rows") from error
        problems = [_unordered()] if session.unordered(spec.rows) else []
        yield reader, problems


def _at(spec: Spec, error: SealiftError, *keys: str) -> SealiftError:
    """The error at the place of the spec that led to it, of the same class."""
    placed = spec.mistake(error.message, *keys, hint=error.hint)
    return type(error)(placed.message, hint=error.hint, **{**placed.fields, **error.fields})


def _unordered() -> Problem:
    return Problem(
        "unordered-rows",
        "the query joins or groups and has no ORDER BY, so the order of its rows may differ between machines",
        place="rows",
        remedy="end the query with ORDER BY and the key",
        severity="warning",
    )


def _configs(spec: Spec, gathered: Gathered, chosen: Sequence[str] | None) -> tuple[Config, ...]:
    """The configs that the spec names, or the one there is without; of these the chosen ones."""
    if not spec.configs:
        made = [Config("default", gathered.columns, default=True, folder="data")]
    else:
        default = next((name for name, said in spec.configs.items() if said.default), next(iter(spec.configs)))
        made = []
        for name, said in spec.configs.items():
            kept = [column for column in gathered.columns if column not in said.drop]
            if said.columns is not None:
                kept = [column for column in gathered.columns if column in said.columns]
            if not kept:
                raise spec.mistake(f"config `{name}` has no columns left", "configs", name, hint="drop fewer columns")
            made.append(Config(name, tuple(kept), default=name == default, folder=name))
    known = [config.name for config in made]
    for name in chosen or ():
        if name not in known:
            raise RequestError(f"there is no config `{name}`", hint=f"the configs are {', '.join(known)}", key=name)
    return tuple(config for config in made if chosen is None or config.name in chosen)


def _assemble(
    spec: Spec,
    source: Source,
    work: Path,
    memory: Memory,
    gathered: Gathered,
    resolved: Resolved,
    configs: tuple[Config, ...],
    problems: Iterable[Problem],
) -> Plan:
    shards: list[PlannedShard] = []
    totals: list[ConfigSplit] = []
    largest_group = largest_light = 0
    for config in configs:
        bounds = _limits(spec, gathered, config, resolved)
        for split in gathered.splits:
            tally = resolved.tallies[(config.name, split)]
            made, group, light = _shards(spec, config, split, tally, bounds)
            shards += made
            largest_group, largest_light = max(largest_group, group), max(largest_light, light)
            totals.append(
                ConfigSplit(
                    config.name,
                    split,
                    resolved.rows[split],
                    len(made),
                    sum(shard.media_bytes for shard in made),
                    tally.num_bytes,
                    {column: tally.present.get(column, 0) for column in config.columns if column in gathered.refs},
                )
            )
    also = plan_also(spec, source, work)
    paths = [shard.path for shard in shards] + [table.path for table in also] + [manifest.CARD, manifest.PATH]
    found = [
        *problems,
        *gathered.problems,
        *resolved.problems,
        *_row_problems(spec, gathered, resolved, work, memory),
        *_oversized(shards, spec),
        *limits.against_limits(paths, shards, configs, gathered.splits),
        *limits.row_groups(largest_group, int(spec.shards.row_group_bytes)),
        *limits.against_expectation(spec, totals, resolved.rows),
        *memory.problems(largest_light),
    ]
    rows = {split: work / "rows" / f"{split}.parquet" for split in gathered.splits}
    said = spec.as_published()
    return Plan(
        ids={config.name: _identity(spec, config, gathered, shards, rows) for config in configs},
        fingerprint=_fingerprint(rows, also),
        work=work,
        key=spec.key,
        media=gathered.media,
        features=gathered.features,
        configs=configs,
        splits=gathered.splits,
        shards=tuple(shards),
        totals=tuple(totals),
        also=also,
        rejects=resolved.rejects,
        problems=tuple(found),
        estimate=estimate(memory, shards, largest_light),
        spec=said,
    )


def _limits(spec: Spec, gathered: Gathered, config: Config, resolved: Resolved) -> Limits:
    columns = [column for column in gathered.media if column.name in config.columns]
    source = rowfile.RowReader(gathered.file).schema
    light = pa.schema([source.field(name) for name in config.columns])
    metadata = features.footer_metadata({name: gathered.features[name] for name in config.columns})
    schema = parquet.storage_schema(light, columns, metadata)
    return Limits(
        max_bytes=int(spec.shards.max_bytes),
        group_bytes=int(spec.shards.row_group_bytes),
        group_rows=min(spec.shards.row_group_rows or MAX_GROUP_ROWS, MAX_GROUP_ROWS),
        shard_rows=spec.shards.rows,
        fixed=parquet.fixed_bytes(schema),
        per_group=parquet.row_group_bytes(schema, columns, resolved.longest),
    )


def _shards(
    spec: Spec, config: Config, split: str, tally: Tally, bounds: Limits
) -> tuple[list[PlannedShard], int, int]:
    """The shards of one split of one config; the bytes of its largest row group, in all and beside the media."""
    sizes, light = tally.bound.sizes(), tally.light.sizes()
    media_sizes, cells = tally.media.sizes(), tally.cells.sizes()
    made = cut(sizes, bounds, spec.shards.count)
    shards, largest, lightest = [], 0, 0
    for number, one in enumerate(made):
        start, end = one.first, one.first + one.rows
        shards.append(
            PlannedShard(
                config.name,
                split,
                number,
                f"{config.folder}/{split}-{number:05d}-of-{len(made):05d}.parquet",
                start,
                one.groups,
                int(cells[end] - cells[start]),
                int(media_sizes[end] - media_sizes[start]),
                one.bound,
            )
        )
        for first, last in _group_bounds(one):
            largest = max(largest, int(sizes[last] - sizes[first]))
            lightest = max(lightest, int(light[last] - light[first]))
    return shards, largest, lightest


def _group_bounds(one: Cut) -> Iterator[tuple[int, int]]:
    at = one.first
    for rows in one.groups:
        yield at, at + rows
        at += rows


def _row_problems(spec: Spec, gathered: Gathered, resolved: Resolved, work: Path, memory: Memory) -> Iterator[Problem]:
    if not sum(resolved.rows.values()):
        yield Problem("no-rows", "there are no rows", place="rows", remedy="check the query and the source")
    files = [work / "rows" / f"{split}.parquet" for split in gathered.splits]
    if spec.key and files:
        count, first = joins.duplicates(files, rowfile.KEY, work, memory.sql)
        if count:
            named = ", ".join(f"{key} ({times} times)" for key, times in first)
            yield Problem(
                "duplicate-key",
                f"keys occur more than once in `{'/'.join(spec.key)}`",
                place=named,
                remedy="choose a key that is unique, or drop the repeated rows in `rows:`",
                count=count,
            )
    if len(gathered.splits) > 1 and gathered.refs:
        count, shared = joins.shared(list(gathered.refs.values()), work, memory.sql)
        if count:
            named = ", ".join(f"{path} ({', '.join(splits)})" for path, splits in shared)
            yield Problem(
                "shared-media",
                "media files occur in more than one split",
                place=named,
                remedy="split by a column that keeps their rows together, if this leaks",
                severity="warning",
                count=count,
            )


def _oversized(shards: Iterable[PlannedShard], spec: Spec) -> Iterator[Problem]:
    if spec.shards.count is not None:
        return
    over = [shard for shard in shards if shard.bound > int(spec.shards.max_bytes) and shard.rows]
    if over:
        yield Problem(
            "row-above-cap",
            f"rows larger than a shard may be ({int(spec.shards.max_bytes)} bytes); each gets a shard of its own",
            place=", ".join(shard.path for shard in over[:5]),
            remedy="raise `shards: {max_bytes: …}` if the cap matters",
            severity="warning",
            count=len(over),
        )


def _identity(
    spec: Spec, config: Config, gathered: Gathered, shards: Sequence[PlannedShard], rows: Mapping[str, Path]
) -> str:
    """What the config's shards will hold and how they are cut: equal identities give equal files."""
    names = [column.name for column in gathered.media]
    said = {
        "format": FORMAT,
        "config": [config.name, config.columns, config.default, config.folder],
        "key": spec.key,
        "features": {name: gathered.features[name] for name in config.columns},
        "rows": {split: rowfile.digest(path, unversioned=names) for split, path in rows.items()},
        "shards": [[one.path, one.first_row, one.row_groups] for one in shards if one.config == config.name],
    }
    return str(blake3.blake3(json.dumps(said, sort_keys=True).encode()).hexdigest())


def _fingerprint(rows: Mapping[str, Path], also: Iterable[Any]) -> str:
    hasher = blake3.blake3()
    for split, path in rows.items():
        hasher.update(f"{split} {rowfile.digest(path)}\n".encode())
    for table in also:
        hasher.update(f"{table.source} {table.path} {table.size} {table.version}\n".encode())
    return str(hasher.hexdigest())
