"""The same from Python: publish, plan, status, finish and verify, each one call."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from sealift.build import Built, build, planned, verify_published
from sealift.build.finish import Finished
from sealift.build.finish import finish as finish_job
from sealift.build.places import Access
from sealift.errors import RequestError
from sealift.journal.places import folders, is_to
from sealift.journal.progress import progress
from sealift.journal.records import Progress
from sealift.model.bandwidth import bytes_a_second
from sealift.model.event import OnEvent, ignore
from sealift.plan import DEFAULT_MEMORY
from sealift.plan.report import report
from sealift.spec import Spec, byte_size
from sealift.tools.init import SPEC, recognise
from sealift.verify import Level, Verified
from sealift.verify.certificate import read_certificate
from sealift.verify.extent import extent_of


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
    state: str | os.PathLike[str] | None = None,
    bandwidth: int | str | None = None,
    on_event: OnEvent = ignore,
    **keys: Any,
) -> Built:
    """Pack and publish, and return what was done, its `revision` among it. The same again changes nothing, and goes on
    with what was stopped.

    `what` is a `Spec`, the path of a spec file or of a folder whose layout is recognised, or the rows themselves (a
    pyarrow Table, a pandas or polars frame, a DuckDB relation, record batches) with the keys of a spec beside:
    `media=`, `key=`, `from_=` and so on. `to` is a folder, or `org/name` on the Hub that `endpoint` and `token` reach
    (default: HF_ENDPOINT and HF_TOKEN, or what `hf auth login` has kept). `memory` bounds the peak anonymous memory of
    all processes, in bytes or as "512MB", and `bandwidth` that of uploads, in bytes a second or as "50MB/s"; `state` is
    the folder in which the job's record is kept. `strict`, `repair`, `purge`, `commits`, `staging` and, for another
    dataset that is there, `replace` are `--strict`, `--repair`, `--purge` (nobody is asked), `--commits`, `--staging`
    and `--yes`. `on_event` gets the values of `sealift.model.event` as the work goes on, in the calling thread.

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
        access=Access(
            endpoint,
            token,
            None if staging is None else byte_size(staging),
            _path(state),
            None if bandwidth is None else bytes_a_second(bandwidth),
        ),
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


def status(
    to: str | os.PathLike[str] | None = None,
    *,
    state: str | os.PathLike[str] | None = None,
    endpoint: str | None = None,
) -> list[Progress]:
    """How far the job to that destination is; none if nothing is under way there, several if Hubs share the name.

    Without a destination, all jobs of the state folder: the last one to each repository, and those that were given
    a `state`. Only looks, and disturbs no run.

    Raises:
        DestinationError: a journal cannot be read, or is of another version.
    """
    named = _text(to)
    found = [job for folder in folders(named, _path(state)) if (job := progress(folder))]
    return [job for job in found if named is None or is_to(job, named, endpoint)]


def finish(
    to: str | os.PathLike[str],
    *,
    state: str | os.PathLike[str] | None = None,
    endpoint: str | None = None,
    token: str | None = None,
    on_event: OnEvent = ignore,
) -> Finished:
    """Finish the commit that a run was about to send when it ended, from its job's record alone.

    Whether it has taken effect is looked at first. Repeating is safe.

    Raises:
        RequestError: no commit is to be finished there.
        DestinationError: with what to do next; the destination is as it was, or (`AnswerLost`) nobody knows.
    """
    return finish_job(os.fspath(to), access=Access(endpoint, token, state=_path(state)), on_event=on_event)


def verify(
    where: str | os.PathLike[str],
    level: Level | None = None,
    *,
    cells: int | None = None,
    seed: int | None = None,
    part: tuple[int, int] | None = None,
    revision: str | None = None,
    against: Any = None,
    certificate: str | os.PathLike[str] | None = None,
    certified: str | os.PathLike[str] | None = None,
    endpoint: str | None = None,
    token: str | None = None,
    memory: int | str = DEFAULT_MEMORY,
    on_event: OnEvent = ignore,
    **keys: Any,
) -> Verified:
    """Prove a published folder or repository up to a level (default: "full"); `against` a spec or rows (as for
    `publish`), beside the source, too. `revision` is a branch, tag or commit of a repository.

    `cells` and `seed` are those of a "sample"; `part=(3, 12)` reads the third twelfth of the media for "full". What is
    proven is written to the file `certificate`. With `certified`, the file of an earlier one, it is held against that,
    and proven as far if nothing else is said. What is wrong is in the answer's `problems`, not raised; `memory` is that
    of the plan made anew for `against`.

    Raises:
        RequestError: there is no such folder or certificate, or what is asked for contradicts itself.
        SourceMissing: there is no such repository or revision, or the token may not see it.
        SealiftError: it cannot be listed, or there is no plan to be made of what `against` says.
    """
    earlier = None if certified is None else read_certificate(Path(certified))
    silent = (level, cells, seed, part) == (None, None, None, None)
    spec = None if against is None else _spec(against, keys)
    with TemporaryDirectory(prefix="sealift-") as work:
        return verify_published(
            os.fspath(where),
            Path(work),
            earlier.extent if earlier and silent else extent_of(level, cells, seed, part),
            spec,
            revision=revision,
            access=Access(endpoint, token),
            memory=byte_size(memory),
            certificate=None if certificate is None else Path(certificate),
            certified=earlier,
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


def _path(state: str | os.PathLike[str] | None) -> Path | None:
    return None if state is None else Path(state).expanduser()
