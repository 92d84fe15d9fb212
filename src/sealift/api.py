"""The same from Python: publish, plan and verify, each one call."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from sealift.build import Built, build, planned, verify_published
from sealift.build.places import Access
from sealift.errors import RequestError
from sealift.model.event import OnEvent, ignore
from sealift.plan import DEFAULT_MEMORY
from sealift.plan.report import report
from sealift.spec import Spec, byte_size
from sealift.tools.init import SPEC, recognise
from sealift.verify import Level, Verified


def publish(
    what: Any,
    to: str | os.PathLike[str] | None = None,
    *,
    configs: Sequence[str] | None = None,
    memory: int | str = DEFAULT_MEMORY,
    workers: int | None = None,
    strict: bool = False,
    repair: bool = False,
    replace: bool = False,
    purge: bool = False,
    commits: Literal["one", "per-config"] = "one",
    endpoint: str | None = None,
    token: str | None = None,
    staging: int | str | None = None,
    on_event: OnEvent = ignore,
    **keys: Any,
) -> Built:
    """Pack and publish, and return what was done, its `revision` among it. The same again changes nothing.

    `what` is a `Spec`, the path of a spec file or of a folder whose layout is recognised, or the rows themselves (a
    pyarrow Table, a pandas or polars frame, a DuckDB relation, record batches) with the keys of a spec beside:
    `media=`, `key=`, `from_=` and so on. `to` is a folder, or `org/name` on the Hub that `endpoint` and `token` reach
    (default: HF_ENDPOINT and HF_TOKEN, or what `hf auth login` has kept). `memory` bounds the peak anonymous memory of
    all processes, in bytes or as "512MB"; `strict`, `repair`, `purge`, `commits`, `staging` and, for another dataset
    that is there, `replace` are `--strict`, `--repair`, `--purge` (nobody is asked), `--commits`, `--staging` and
    `--yes`. `on_event` gets the values of `sealift.model.event` as the work goes on, in the calling thread.

    Raises:
        SealiftError: with what to do next; the destination is as it was.
    """
    spec = _spec(what, keys)
    return build(
        spec,
        _text(to),
        configs=configs,
        memory=byte_size(memory),
        workers=workers,
        strict=strict,
        repair=repair,
        replace=replace,
        purge=purge,
        commit_per_config=_per_config(commits),
        access=Access(endpoint, token, None if staging is None else byte_size(staging)),
        on_event=on_event,
    )


def plan(
    what: Any,
    to: str | os.PathLike[str] | None = None,
    *,
    configs: Sequence[str] | None = None,
    memory: int | str = DEFAULT_MEMORY,
    workers: int | None = None,
    on_event: OnEvent = ignore,
    **keys: Any,
) -> dict[str, Any]:
    """What would be published, and every problem with it, as `sealift plan --json` prints it. Writes nothing.

    Rows from an iterator are used up by it. The media are not looked into.

    Raises:
        SealiftError: there is no plan to be made, with what to do next.
    """
    spec = _spec(what, keys)
    with planned(
        spec, _text(to), configs=configs, memory=byte_size(memory), workers=workers, on_event=on_event
    ) as made:
        return report(made)


def verify(
    where: str | os.PathLike[str],
    level: Level = "full",
    *,
    revision: str | None = None,
    against: Any = None,
    endpoint: str | None = None,
    token: str | None = None,
    memory: int | str = DEFAULT_MEMORY,
    on_event: OnEvent = ignore,
    **keys: Any,
) -> Verified:
    """Prove a published folder or repository up to a level; `against` a spec or rows (as for `publish`), beside the
    source, too. `revision` is a branch, tag or commit of a repository.

    What is wrong is in the answer's `problems`, not raised; `memory` is that of the plan made anew for `against`.

    Raises:
        RequestError: there is no such folder.
        SourceMissing: there is no such repository or revision, or the token may not see it.
        SealiftError: it cannot be listed, or there is no plan to be made of what `against` says.
    """
    spec = None if against is None else _spec(against, keys)
    with TemporaryDirectory(prefix="sealift-") as work:
        return verify_published(
            os.fspath(where),
            Path(work),
            level,
            spec,
            revision=revision,
            access=Access(endpoint, token),
            memory=byte_size(memory),
            on_event=on_event,
        )


def _spec(what: Any, keys: dict[str, Any]) -> Spec:
    if isinstance(what, Spec):
        return what.having(**{name: getattr(Spec(**{name: value}), name) for name, value in keys.items()})
    if isinstance(what, str | os.PathLike):
        return _spec(_spec_at(Path(what)), keys)
    return Spec(rows=what, **keys)


def _spec_at(path: Path) -> Spec:
    """The spec in the file, or the folder's own, or what the folder's layout stands for."""
    if (path / SPEC).is_file():
        return Spec.load(path / SPEC)
    if path.is_dir():
        return Spec(from_=str(path.absolute()), **recognise(path).as_spec())
    return Spec.load(path)


def _per_config(commits: str) -> bool:
    if commits not in ("one", "per-config"):
        raise RequestError(f"commits={commits!r}", hint='say "one" or "per-config"')
    return commits == "per-config"


def _text(to: str | os.PathLike[str] | None) -> str | None:
    return None if to is None else os.fspath(to)
