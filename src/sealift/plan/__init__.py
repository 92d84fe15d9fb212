"""The plan: the rows joined to the listing, cut into shards, and held against every limit before a byte is read."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path

from sealift.errors import PlanRefused
from sealift.model.event import Finished, OnEvent, Started, ignore
from sealift.model.plan import Config, Plan
from sealift.model.problem import Problem, errors
from sealift.plan import limits
from sealift.plan.also import plan_also
from sealift.plan.configs import configs_of
from sealift.plan.estimate import Memory, estimate
from sealift.plan.gather import Gathered, gather
from sealift.plan.identity import fingerprint, identity
from sealift.plan.listing import write_listing
from sealift.plan.problems import row_problems
from sealift.plan.resolve import Resolved, resolve
from sealift.plan.rows import media_columns, open_rows, with_layout
from sealift.plan.shards import lay_out, oversized
from sealift.ports import Source
from sealift.rows import joins
from sealift.spec import Spec

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
    with spec.hiding_variables():
        media_columns(spec)  # a mistake in an option shows before a large source is listed
        listing = write_listing(spec, source, work, memory.sql, on_event)
        spec = with_layout(spec, source, listing)
        with open_rows(spec, source, listing, work, memory.sql) as (reader, problems):
            gathered = gather(spec, reader, media_columns(spec), work)
        chosen = configs_of(spec, gathered.columns, configs)
        resolved = _resolve(spec, gathered, chosen, listing, work, memory)
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


def _resolve(
    spec: Spec, gathered: Gathered, configs: Sequence[Config], listing: Path, work: Path, memory: Memory
) -> Resolved:
    """Join the references to the listing, and the rows to that."""
    with ExitStack() as stack:
        joined = {
            name: stack.enter_context(closing(joins.resolve(refs, listing, work, memory.sql)))
            for name, refs in gathered.refs.items()
        }
        return resolve(
            gathered, joined, configs, spec.missing, work, keyed=bool(spec.key), row_bytes_limit=memory.row_bytes
        )


def _assemble(
    spec: Spec,
    source: Source,
    work: Path,
    memory: Memory,
    gathered: Gathered,
    resolved: Resolved,
    configs: tuple[Config, ...],
    problems: list[Problem],
) -> Plan:
    layout = lay_out(spec, gathered, resolved, configs)
    also, unread = plan_also(spec, source, work, memory.sql)
    paths = limits.published_paths(layout.shards, also, configs, resolved.rejects)
    found = [
        *problems,
        *gathered.problems,
        *resolved.problems,
        *row_problems(spec, gathered, resolved, work, memory.sql),
        *unread,
        *oversized(layout.shards, spec),
        *limits.against_limits(paths, layout.shards, configs, gathered.splits),
        *limits.row_groups(layout.largest_group, int(spec.shards.row_group_bytes)),
        *limits.against_expectation(spec, resolved),
        *memory.problems(layout.held),
    ]
    return Plan(
        ids={config.name: identity(spec, config, gathered, resolved, layout.shards) for config in configs},
        fingerprint=fingerprint(resolved),
        work=work,
        key=spec.key,
        media=gathered.media,
        features=gathered.features,
        configs=configs,
        splits=tuple(filter(resolved.rows.get, gathered.splits)),
        shards=tuple(layout.shards),
        totals=tuple(layout.totals),
        also=also,
        rejects=resolved.rejects,
        problems=tuple(found),
        estimate=estimate(memory, layout, also, work),
        spec=spec.as_published(),
    )
