"""What stands against a publication, seen before anything is packed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from sealift.errors import DestinationError, RequestError
from sealift.formats.card import check_card
from sealift.formats.index import index_paths
from sealift.model import manifest
from sealift.model.plan import Plan
from sealift.publish.present import Present
from sealift.publish.reuse import Reuse


def check(
    plan: Plan,
    kept: Collection[str],
    reuse: Reuse,
    present: Present,
    readme: str | None,
    *,
    replaces: bool,
    purge: bool,
) -> None:
    """See, before anything is packed, that nothing at the destination stands against the publication.

    With `replaces` another dataset may go, with `purge` whatever is there.

    Raises:
        RequestError: another dataset is there (no column in common), and `replaces` does not say that it may go; or
            the card that is to be kept cannot be read.
        DestinationError: a file that is not ours is in the way, or a config that should stay is not whole.
    """
    check_card(readme if readme is not None else present.card or "")
    if purge:
        return
    if not replaces:
        _refuse_another_dataset(plan, present)
    _refuse_broken(kept, reuse, present)
    paths = [table.path for table in plan.also]
    for name in (config.name for config in plan.configs if config.name not in reuse.configs):
        shards = [shard for shard in plan.shards if shard.config == name]
        paths += [shard.path for shard in shards] + index_paths(name, sum(shard.cells for shard in shards))
    refuse_strangers(paths, present)


def _refuse_another_dataset(plan: Plan, present: Present) -> None:
    old = () if present.manifest is None else present.manifest.configs
    columns = {column: None for config in old for column in config.features}
    if columns and not columns.keys() & plan.features.keys():
        raise RequestError(
            f"the destination holds another dataset, with the columns {', '.join([*columns][:8])}",
            hint="publish to a place of its own, or add --yes (in Python: replace=True) to replace it",
        )


def _refuse_broken(kept: Collection[str], reuse: Reuse, present: Present) -> None:
    """A config that should stay must be whole."""
    for config in () if present.manifest is None else present.manifest.configs:
        if config.name in kept and config.name not in reuse.configs:
            raise DestinationError(
                f"config `{config.name}` should stay as it is, but files of it are damaged or not there any more",
                hint="publish it, too: leave out --configs, or name it there",
                config=config.name,
            )


def refuse_strangers(new: Sequence[str], present: Present) -> None:
    """Nothing that another hand put there is overwritten, but the card, whose text is kept."""
    files = {path for path in new if path not in (manifest.CARD, manifest.PATH)}
    places = files | {folder for path in files for folder in _folders(path)}
    theirs = [path for path in present.sizes if path not in present.owned]
    strangers = [path for path in theirs if path in places or not files.isdisjoint(_folders(path))]
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
