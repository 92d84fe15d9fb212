"""Doctor: looks at this machine, the token and the Hub, and says what would keep a publication from working.

Nothing is written anywhere. A check that cannot be made because an earlier one failed is left out.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from sealift.errors import AccessDenied, DestinationError, MissingExtra, RequestError, SealiftError
from sealift.plan import DEFAULT_MEMORY
from sealift.plan.estimate import LEAST
from sealift.runners import local
from sealift.spec import where_to
from sealift.stores.hub import examine, xet
from sealift.stores.hub.place import Place
from sealift.tools import machine

State = Literal["ok", "warning", "problem"]
SKEW_S = 60
"""A clock that is further off makes tokens look expired, or not valid yet."""
SLOW_S = 1.0
ROOM = 10_000_000_000
"""Less free disk than that is little for anything but a rehearsal."""
LITTLE = 1_000_000_000
SHOWN = ("pyarrow", "duckdb", "huggingface-hub", "hf-xet")
SWITCHES = {
    "HF_ENDPOINT": "all commands go to that Hub",
    "HF_HOME": "tokens and caches lie there",
    "HF_HUB_CACHE": "downloads are kept there",
    "HF_HUB_DISABLE_IMPLICIT_TOKEN": "other tools send no token of themselves",
    "HF_HUB_DISABLE_XET": "uploads go by LFS: slower, and staged on disk",
    "HF_HUB_DOWNLOAD_TIMEOUT": "downloads of other tools wait that long",
    "HF_HUB_OFFLINE": "no Hub may be called",
    "HF_TOKEN_PATH": "the token is read from there",
    "HF_XET_CACHE": "what was uploaded is remembered there",
    "HF_XET_HIGH_PERFORMANCE": "uploads take more memory than is planned for",
}
"""Variables that change what a run does, and how."""
ALARMING = frozenset({"HF_HUB_DISABLE_XET", "HF_XET_HIGH_PERFORMANCE"})
"""Those that are seldom meant to be set; what being offline means, the endpoint says."""
OFF = frozenset({"", "0", "false", "no", "off"})


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of one check: `said` is what was found, `remedy` what to mend; `exit_code` that of its problem."""

    name: str
    state: State
    said: str
    remedy: str = ""
    exit_code: int = 0

    def as_json(self) -> dict[str, Any]:
        """The finding as a JSON object."""
        return asdict(self)


def diagnose(
    to: str | None = None,
    endpoint: str | None = None,
    token: str | None = None,
    *,
    now: Callable[[], float] = time.time,
) -> list[Finding]:
    """What is good, doubtful or wrong about publishing from here, to `to` if it is said. `now` is this machine's clock.

    Raises:
        RequestError: `to` is not the name of a dataset, or the endpoint no address.
    """
    if to and where_to(to)[0] == "folder":
        raise RequestError(f"`{to}` names a folder, no dataset of a Hub", hint="name a dataset: --to org/name", to=to)
    place = examine.place_of(to, endpoint)
    return [*_machine(), *_hub(place, to is not None, token, now)]


def _machine() -> Iterator[Finding]:
    yield from _versions()
    yield _memory(machine.memory())
    yield _cores(machine.cores())
    yield _disk("temporary folder", machine.disk(Path(tempfile.gettempdir())), "set TMPDIR to a folder with room")
    yield _disk("cache", machine.disk(examine.cache_folder()), "set HF_HOME or HF_XET_CACHE to a folder with room")
    yield _variables()


def _hub(place: Place, named: bool, given: str | None, now: Callable[[], float]) -> Iterator[Finding]:
    try:
        answer = examine.reach(place, now)
    except DestinationError as error:
        yield _failed("endpoint", error)
        return
    yield _endpoint(place, answer)
    yield _clock(answer)
    try:
        token, whence = examine.token_from(given)
        if token is None:
            yield _problem("token", AccessDenied, "there is none", "log in (`hf auth login`), or set HF_TOKEN")
            return
        client = examine.Asker(place, token)
        who = examine.identity(client)
    except SealiftError as error:
        yield _failed("token", error)
        return
    yield _token(who, str(whence))
    if named:
        yield from _repository(client, who)


def _versions() -> Iterator[Finding]:
    try:
        needed, python, datasets = machine.libraries(), machine.python(), machine.libraries("datasets")
    except PackageNotFoundError:
        yield Finding("libraries", "warning", "sealift is not installed as a package", "pip install sealift")
        return
    yield _library(python, "install a newer Python")
    for one in needed:
        if not one.good or one.name in SHOWN:
            yield _library(one, f"pip install '{one.name}>={one.least}'")
    for one in datasets:
        if one.found is None:
            yield Finding(
                one.name, "ok", "not installed: needed to rehearse loading", "pip install 'sealift[datasets]'"
            )
        else:
            yield _library(one, f"pip install '{one.name}>={one.least}'")


def _library(library: machine.Library, remedy: str) -> Finding:
    if library.good:
        return Finding(library.name, "ok", f"{library.found} ({library.least} or newer is needed)")
    found = f"{library.found} is too old" if library.found else "not installed"
    return _problem(library.name, MissingExtra, f"{found}; {library.least} or newer is needed", remedy)


def _memory(memory: machine.Memory) -> Finding:
    said = f"{_gb(memory.available)} available of {_gb(memory.limit)} ({memory.limited_by})"
    if memory.available < LEAST:
        return _problem("memory", DestinationError, f"{said}; a run takes {_gb(LEAST)} at least", "free some")
    if memory.available < DEFAULT_MEMORY:
        remedy = f"publish with --memory {max(LEAST, memory.available * 3 // 4) // 1_000_000}MB"
        return Finding("memory", "warning", f"{said}; a run may take {_gb(DEFAULT_MEMORY)} by default", remedy)
    return Finding("memory", "ok", f"{said}; a run takes {_gb(DEFAULT_MEMORY)} at most by default")


def _cores(cores: float) -> Finding:
    there = local.cores()
    if cores < there:
        remedy = f"publish with --workers {max(1, int(cores))}"
        return Finding("cores", "warning", f"{there}, but this process gets the time of {cores:.1f}", remedy)
    return Finding("cores", "ok", f"{there}, one worker for each as far as --memory allows")


def _disk(name: str, disk: machine.Disk, remedy: str) -> Finding:
    said = f"{_gb(disk.free)} free in {disk.folder}"
    if disk.in_memory:
        return Finding(name, "warning", f"{said}, which lies in memory", remedy)
    if disk.free < LITTLE:
        return _problem(name, DestinationError, said, remedy)
    return Finding(name, "warning" if disk.free < ROOM else "ok", said, remedy if disk.free < ROOM else "")


def _variables() -> Finding:
    on = [name for name in SWITCHES if os.environ.get(name, "").strip().lower() not in OFF]
    proxies = [name for name in os.environ if name.lower() in ("http_proxy", "https_proxy", "all_proxy", "no_proxy")]
    said = [f"{name}: {SWITCHES[name]}" for name in on]
    if proxies:
        said.append(f"{', '.join(sorted(proxies))}: calls may go by a proxy")
    if not xet.usable() and "HF_HUB_DISABLE_XET" not in on:
        said.append("hf-xet is not there: uploads go by LFS")
    alarming = [name for name in on if name in ALARMING]
    remedy = f"unset {' '.join(alarming)}, unless that is meant" if alarming else ""
    return Finding("variables", "warning" if alarming else "ok", "; ".join(said) or "none changes anything", remedy)


def _endpoint(place: Place, answer: examine.Answer) -> Finding:
    parts = urlsplit(place.endpoint)
    by = f", by the proxy that {answer.proxy} names" if answer.proxy else ""
    said = f"{place.endpoint} answers in {answer.seconds * 1000:.0f} ms{by}"
    if parts.scheme == "http" and not _here(place):
        return Finding("endpoint", "warning", f"{said}; without TLS the token can be read on the way", "use https://")
    if answer.seconds > SLOW_S:
        return Finding("endpoint", "warning", said, "check the network; many small files will take long")
    return Finding("endpoint", "ok", said)


def _clock(answer: examine.Answer) -> Finding:
    if answer.ahead_s is None:
        return Finding("clock", "warning", "the Hub does not say what time it is", "see that this machine's is right")
    said = f"{abs(answer.ahead_s):.0f} s {'behind' if answer.ahead_s > 0 else 'ahead of'} the Hub's"
    if abs(answer.ahead_s) > SKEW_S:
        return _problem("clock", DestinationError, said, "set this machine's clock (NTP): tokens expire by it")
    return Finding("clock", "ok", said)


def _token(who: examine.Identity, whence: str) -> Finding:
    said = f"of {who.name}, role {who.role}, from {whence}"
    if who.role == "read":
        return _problem("token", AccessDenied, f"{said}: it may only read", "make one that may write")
    return Finding("token", "ok", said)


def _repository(client: examine.Asker, who: examine.Identity) -> Iterator[Finding]:
    place = client.place
    try:
        found = examine.repository(client)
    except SealiftError as error:
        yield _failed("repository", error)
        return
    if found is None:
        yield _to_be_made(place, who)
        return
    gated = f", gated ({found.gated})" if found.gated else ""
    said = f"{place.repo} is there, {'private' if found.private else 'public'}{gated}"
    yield Finding("repository", "ok", f"{said}, at {found.head[:12] if found.head else 'no commit yet'}")
    yield _asked("right to write", lambda: examine.check_write(client), {None: f"in {place.name}"})
    ways = {"xet": "by Xet, whose store answers", "lfs": "by LFS: this Hub has no Xet, or this machine does not use it"}
    yield _asked("upload", lambda: examine.check_upload(client), ways)


def _to_be_made(place: Place, who: examine.Identity) -> Finding:
    """What publishing would find where there is no repository yet, as far as the token itself says."""
    said = f"there is no {place.repo} yet, or this token may not see it; publishing makes it"
    namespace = place.repo.partition("/")[0]
    may = who.may_write(place.repo)
    if may:
        return Finding("repository", "ok", said)
    remedy = f"use a token that may write to {namespace}, or publish to {who.name}/…"
    if may is None or (_here(place) and who.role == "write"):
        # A Hub on this machine may let its user write anywhere.
        doubt = f"{said}, if {namespace} lets {who.name} do so"
        return Finding("repository", "warning", doubt, remedy)
    return _problem("repository", AccessDenied, f"{said}, but {who.name} may not write to {namespace}", remedy)


def _asked(name: str, ask: Callable[[], str | None], means: dict[Any, str]) -> Finding:
    try:
        return Finding(name, "ok", means[ask()])
    except SealiftError as error:
        return _failed(name, error)


def _failed(name: str, error: SealiftError) -> Finding:
    return Finding(name, "problem", error.message, error.hint, error.exit_code)


def _problem(name: str, kind: type[SealiftError], said: str, remedy: str) -> Finding:
    return Finding(name, "problem", said, remedy, kind.exit_code)


def _here(place: Place) -> bool:
    return urlsplit(place.endpoint).hostname in ("127.0.0.1", "localhost", "::1")


def _gb(size: int) -> str:
    return f"{size / 1e9:.1f} GB"
