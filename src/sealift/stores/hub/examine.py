"""Questions that show whether publishing to a Hub would work. None of them changes anything there."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx2
from huggingface_hub import constants, get_token
from huggingface_hub.errors import OIDCError
from huggingface_hub.utils import get_session

from sealift.errors import AccessDenied, DestinationError
from sealift.stores.hub import lfs, xet
from sealift.stores.hub.answers import FOR_NOW
from sealift.stores.hub.client import HubClient
from sealift.stores.hub.place import Place
from sealift.stores.hub.refusals import busy, translated

PATIENCE = httpx2.Timeout(20, connect=10)
"""A Hub that is slower than that to say who somebody is will not do."""
NOBODY = "none/none"
"""In the place of a repository, where only the Hub is asked."""
WRITES = "repo.write"
"""The permission of a fine-grained token to write to a repository."""
WRITERS = frozenset({"admin", "write", "contributor"})
"""Who of an organization may make a repository there."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A Hub's answer to a first call: seconds for one call, how far its clock is ahead of ours, and by which proxy.

    `proxy` is the variable that names it, not its address: that may hold a password.
    """

    seconds: float
    ahead_s: float | None
    proxy: str | None


class Asker(HubClient):
    """Asks once: a Hub that is busy is to be told of, not waited for."""

    def patiently(self, attempt: Callable[[], httpx2.Response], **_how: Any) -> httpx2.Response:
        """The answer of the one try."""
        return attempt()


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a token belongs to and what it is for: `read`, `write`, `fineGrained`, or what else the Hub calls it."""

    name: str
    role: str
    said: Mapping[str, Any]

    def may_write(self, repo: str) -> bool | None:
        """Whether it may write to a repository of that name, as far as it says so itself; None where it does not."""
        namespace = repo.partition("/")[0]
        if self.role == "fineGrained":
            return self._scoped(repo)
        if self.role == "read":
            return False
        if namespace == self.name:
            return True
        roles = {one.get("name"): one.get("roleInOrg") for one in self.said.get("orgs") or ()}
        if namespace not in roles:
            return False
        return None if roles[namespace] is None else roles[namespace] in WRITERS

    def _scoped(self, repo: str) -> bool:
        rights = self.said["auth"]["accessToken"].get("fineGrained") or {}
        ours = ({"dataset": repo}, {"user": repo.partition("/")[0]}, {"org": repo.partition("/")[0]})
        named = [one["permissions"] for one in rights.get("scoped") or () if self._entity(one["entity"]) in ours]
        return any(WRITES in permissions for permissions in [*named, rights.get("global") or ()])

    def _entity(self, entity: Mapping[str, Any]) -> dict[str, Any]:
        """{type: name}; where only the id is given, the name that goes with it."""
        known = {one.get("id"): one.get("name") for one in (self.said, *(self.said.get("orgs") or ()))}
        return {entity["type"]: entity.get("name") or known.get(entity.get("_id"))}


@dataclass(frozen=True, slots=True)
class Found:
    """A repository as the Hub shows it: `gated` is how access to it is asked for, if it must be."""

    private: bool
    gated: str | None
    head: str | None


def place_of(repo: str | None, endpoint: str | None) -> Place:
    """The repository, or only the Hub; see `Place.parse`."""
    return Place.parse(repo or NOBODY, endpoint)


def reach(place: Place, now: Callable[[], float] = time.time) -> Answer:
    """Call the Hub twice, without a token; the second call is measured.

    Raises:
        DestinationBusy: it does not answer, or not now.
        DestinationError: what answers is no Hub.
    """
    who = f"{place.endpoint}/api/whoami-v2"
    with translated(place, token=False):
        get_session().get(who, timeout=PATIENCE)
        began, before = time.monotonic(), now()
        answer = get_session().get(who, timeout=PATIENCE)
        seconds = time.monotonic() - began
    if answer.status_code in FOR_NOW:
        raise busy(place, answer)
    if answer.status_code not in (200, 401):
        raise DestinationError(
            f"{place.endpoint} answers {answer.status_code} where a Hub says who somebody is",
            hint="check --endpoint and HF_ENDPOINT",
            endpoint=place.endpoint,
        )
    return Answer(seconds, _ahead(answer.headers.get("date"), before + seconds / 2), _proxy(place.endpoint))


def token_from(given: str | None) -> tuple[str | None, str | None]:
    """The token that a run would use, and where it comes from; both None if there is none.

    Raises:
        AccessDenied: a token should be had for an identity (HF_OIDC_RESOURCE), and cannot be.
    """
    if given:
        return given, "--token"
    try:
        token = get_token()
    except OIDCError as error:
        raise AccessDenied(f"HF_OIDC_RESOURCE: {error}", hint="unset it, or run where an identity is given") from error
    if token is None:
        return None, None
    names = ("HF_OIDC_RESOURCE", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
    named = next((name for name in names if os.environ.get(name, "").strip()), None)
    return token, named or str(constants.HF_TOKEN_PATH)


def identity(client: Asker) -> Identity:
    """Who the token belongs to.

    Raises:
        AccessDenied: it is not valid.
    """
    said = client.whoami()
    with client.translated():
        token = (said.get("auth") or {}).get("accessToken") or {}
        return Identity(str(said["name"]), str(token.get("role") or (said.get("auth") or {}).get("type")), said)


def repository(client: Asker) -> Found | None:
    """What the Hub shows of the repository; None if there is none, or none that the token may see.

    Raises:
        AccessDenied: it is gated.
    """
    found = client.repository()
    if found is None:
        return None
    said = client.call("GET", client.place.api).json()
    return Found(found.private, str(said["gated"]) if said.get("gated") else None, found.head)


def check_write(client: Asker) -> None:
    """Ask how a file would have to be given, which only those may who can write.

    Raises:
        AccessDenied: the token may not write there.
    """
    client.upload_modes([("README.md", b"", 0)])


def check_upload(client: Asker) -> Literal["xet", "lfs"]:
    """How content would be uploaded, after the store that takes it has answered.

    Raises:
        AccessDenied: the store does not take the token that the Hub gives for it.
        DestinationBusy, DestinationError: it does not answer.
    """
    access = client.access("write") if xet.usable() else None
    if access is None:
        lfs.orders(client, [lfs.Blob("doctor", secrets.token_hex(32), 1)])
        return "lfs"
    if urlsplit(access.endpoint).scheme in ("http", "https"):
        store = Place(client.place.repo, None, access.endpoint)
        with translated(store, token=True):
            answer = get_session().get(
                f"{access.endpoint}/v1/reconstructions/{'0' * 64}",
                headers={"Authorization": f"Bearer {access.token}"},
                timeout=PATIENCE,
            )
        if answer.status_code in (401, 403):
            raise AccessDenied(
                f"{access.endpoint} does not take the token that {client.place.endpoint} gives for it",
                hint="check the clock of this machine, and whether a proxy changes requests",
                repository=client.place.repo,
            )
        if answer.status_code in FOR_NOW:
            raise busy(store, answer)
    return "xet"


def cache_folder() -> Path:
    """Where the clients keep what they remember of uploads."""
    return Path(constants.HF_XET_CACHE)


def _ahead(date: str | None, now: float) -> float | None:
    try:
        # The header has whole seconds: half of one is the error on average.
        return parsedate_to_datetime(date or "").timestamp() + 0.5 - now
    except (TypeError, ValueError):
        return None


def _proxy(endpoint: str) -> str | None:
    """The variable that names the proxy for calls to the endpoint."""
    parts = urlsplit(endpoint)
    if proxy_bypass(parts.hostname or ""):
        return None
    return next((f"{scheme.upper()}_PROXY" for scheme in (parts.scheme, "all") if scheme in getproxies()), None)
