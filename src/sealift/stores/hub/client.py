"""The calls to a Hub's API that publishing and reading a dataset need."""

from __future__ import annotations

import base64
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

import httpx2
from huggingface_hub import get_session, get_token
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    OIDCError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import build_hf_headers, fix_hf_endpoint_in_url

from sealift import __version__
from sealift.errors import AccessDenied
from sealift.stores.hub.bandwidth import paced
from sealift.stores.hub.pace import API, PACE
from sealift.stores.hub.place import Place
from sealift.stores.hub.refusals import translated
from sealift.stores.hub.wire import TIMEOUT, WAITS, checked, patiently

PREUPLOAD_FILES = 256
"""The most files of one question to `preupload`, as the official client asks."""
SAMPLE_BYTES = 512
"""So much of a file's head goes along with the question how it is to be uploaded."""
NOT_THERE = (RepositoryNotFoundError, RevisionNotFoundError)
STALL = 120.0
"""Seconds in which not a byte of content moves, after which a try to send or read it ends."""
COMMIT_TIMEOUT = httpx2.Timeout(120, connect=15)
"""The Hub gives a commit up after 60 s, and may carry it out all the same."""


_WHO: dict[tuple[str, str | None], tuple[float, dict[str, Any]]] = {}
"""What `whoami` said, and when, by endpoint and token."""


@dataclass(frozen=True, slots=True)
class Repository:
    """What a Hub says of a repository."""

    name: str
    """Its name now: a repository that was renamed is found by its old one, too."""
    private: bool
    head: str | None
    """The newest commit of the default branch."""


@dataclass(frozen=True, slots=True)
class Access:
    """A token for the store behind the Hub, where it is, and until when (seconds since 1970)."""

    endpoint: str
    token: str = field(repr=False)
    expires: int


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit in the history of a branch."""

    id: str
    message: str


@dataclass(frozen=True, slots=True)
class HubClient:
    """Asks one Hub about one repository, with one token or none. Picklable; connections are the process's."""

    place: Place
    token: str | None = field(default=None, repr=False)
    waits: tuple[float, ...] = WAITS
    """Seconds before each try after the first."""
    blocks: int = 1
    """How many blocks of an upload by Xet may be on their way at a time; see `stage.held`."""
    seen: bool = False
    """Whether the repository was there when this run looked: if it is not now, it was taken away."""
    stall: float = STALL
    """Seconds without a byte of content, after which a try ends. A slow line that moves is none."""
    bandwidth: float | None = None
    """The most bytes of content and of commits that this process sends in a second."""
    known_for: float = 0.0
    """Seconds for which this process goes by what `whoami` said before, to a client that remembers, too."""

    @classmethod
    def of(
        cls,
        place: Place,
        token: str | None = None,
        waits: tuple[float, ...] = WAITS,
        blocks: int = 1,
        bandwidth: float | None = None,
    ) -> HubClient:
        """With that token, else the one of HF_TOKEN or of `hf auth login`, else none.

        Raises:
            AccessDenied: a token should be had for an identity (HF_OIDC_RESOURCE), and cannot be.
        """
        try:
            return cls(place, token or get_token(), waits, blocks, bandwidth=bandwidth)
        except OIDCError as error:
            raise AccessDenied(f"HF_OIDC_RESOURCE: {error}", hint="unset it, or give --token") from error

    @property
    def headers(self) -> dict[str, str]:
        """What every call to the Hub carries: the token, and who we are."""
        return build_hf_headers(token=self.token or False, library_name="sealift", library_version=__version__)

    def call(self, method: str, url: str, *, repeat: bool = True, signed: bool = True, **request: Any) -> Any:
        """One call; its answer is a success. With `repeat` it is tried again where that can help.

        `signed` is whether the token goes along: never to an address that is not the Hub's own.

        Raises:
            AccessDenied, DestinationBusy, DestinationError: as `wire` says.
        """
        with self.translated():
            return self._answer(method, url, repeat=repeat, signed=signed, **request)

    def translated(self) -> Any:
        """For calls that this class does not make: what they raise becomes ours."""
        return translated(self.place, token=self.token is not None, seen=self.seen)

    def patiently(
        self, attempt: Callable[[], httpx2.Response], *, quota: str | None = API, stalls: int | None = None
    ) -> httpx2.Response:
        """The answer of the first try that is neither broken off nor turned away for now; see `wire.patiently`.

        `quota` is the one that a try counts against, which is kept clear of; None where it is not asked of the Hub.
        """

        def paced_attempt() -> httpx2.Response:
            if quota is not None:
                PACE.wait(self.place.endpoint, quota)
            answer = attempt()
            PACE.note(answer)
            return answer

        return patiently(self.place, paced_attempt, self.waits, stalls=stalls)

    def whoami(self) -> dict[str, Any]:
        """Who the token belongs to: `name`, `orgs`, `auth`. A Hub answers few such questions."""
        key, address = (self.place.endpoint, self.token), f"{self.place.endpoint}/api/whoami-v2"
        if not self.known_for:
            return self._json("GET", address)
        asked, said = _WHO.get(key, (-math.inf, {}))
        if time.monotonic() - asked >= self.known_for:
            said = self._json("GET", address)
            _WHO[key] = time.monotonic(), said
        return said

    def repository(self) -> Repository | None:
        """What the Hub says of the repository; None if it is not there, or may not be seen.

        Raises:
            AccessDenied: it is gated, or the token is not valid.
        """
        with self.translated():
            try:
                found = self._answer("GET", self.place.api).json()
            except GatedRepoError:
                raise
            except RepositoryNotFoundError:
                return None
            return Repository(str(found["id"]), bool(found["private"]), found.get("sha"))

    def head(self) -> str | None:
        """The commit that the revision stands for now; None if there is no such repository or revision."""
        with self.translated():
            try:
                address = f"{self.place.api}/revision/{quote(self.place.branch, safe='')}"
                return str(self._answer("GET", address).json()["sha"])
            except GatedRepoError:
                raise
            except NOT_THERE:
                return None

    def branches(self) -> set[str]:
        """The names of the branches."""
        found = self._json("GET", f"{self.place.api}/refs")
        with self.translated():
            return {one["name"] for one in found["branches"]}

    def create_repository(self, *, private: bool) -> bool:
        """Make the repository; whether it was made, and not there already."""
        organization, name = self.place.repo.split("/")
        visibility = "private" if private else "public"
        wanted = {"name": name, "organization": organization, "type": "dataset", "visibility": visibility}
        return self._made(f"{self.place.endpoint}/api/repos/create", wanted)

    def create_branch(self, start: str) -> bool:
        """Make the branch, at that commit; whether it was made, and not there already."""
        branch = quote(self.place.branch, safe="")
        return self._made(f"{self.place.api}/branch/{branch}", {"startingPoint": start})

    def tree(self, commit: str) -> Iterator[Mapping[str, Any]]:
        """The files and folders of a commit, page by page."""
        url, query = f"{self.place.api}/tree/{commit}", {"recursive": "true", "expand": "false"}
        yield from self.pages(url, query)

    def history(self) -> Iterator[Commit]:
        """The commits of the revision, the newest first."""
        for one in self.pages(f"{self.place.api}/commits/{quote(self.place.branch, safe='')}", {}):
            yield Commit(one["id"], f"{one['title']}\n{one.get('message') or ''}")

    def upload_modes(self, files: Sequence[tuple[str, bytes, int]]) -> dict[str, str]:
        """How each file (path, head, size) is to be given: `regular` inside the commit, `lfs` uploaded before it."""
        modes = {}
        for start in range(0, len(files), PREUPLOAD_FILES):
            asked = [
                {"path": path, "sample": base64.b64encode(head[:SAMPLE_BYTES]).decode(), "size": size}
                for path, head, size in files[start : start + PREUPLOAD_FILES]
            ]
            address = f"{self.place.api}/preupload/{quote(self.place.branch, safe='')}"
            answer = self._json("POST", address, json={"files": asked})
            with self.translated():
                modes.update({one["path"]: one["uploadMode"] for one in answer["files"]})
        return modes

    def commit(self, lines: Callable[[], Iterable[bytes]], size: int) -> str:
        """Send a commit once, to no other address: its lines cannot be sent on. The id that it got.

        Raises:
            httpx2.HTTPError, HfHubHTTPError: as they come, since only the caller knows what they mean for a commit.
        """
        headers = {**self.headers, "Content-Type": "application/x-ndjson", "Content-Length": str(size)}
        address = f"{self.place.api}/commit/{quote(self.place.branch, safe='')}"
        PACE.wait_to_commit(self.place.api)
        content = paced(self.bandwidth, lines())
        answer = get_session().post(
            address, headers=headers, content=content, timeout=COMMIT_TIMEOUT, follow_redirects=False
        )
        PACE.note_commit(self.place.api, answer)
        return str(checked(answer).json()["commitOid"])

    def access(self, right: str) -> Access | None:
        """A token to `read` or `write` in Xet's store; None if this Hub has none."""
        with self.translated():
            try:
                found = self._answer("GET", self.access_url(right)).json()
            except HfHubHTTPError as error:
                if error.response.status_code == 404 and not isinstance(error, NOT_THERE):
                    return None
                raise
            return Access(found["casUrl"], found["accessToken"], int(found["exp"]))

    def access_url(self, right: str) -> str:
        """Where a token for Xet's store is had, and had again before it expires."""
        return f"{self.place.api}/xet-{right}-token/{quote(self.place.branch, safe='')}"

    def _made(self, url: str, wanted: Mapping[str, Any]) -> bool:
        with self.translated():
            try:
                self._answer("POST", url, json=dict(wanted))
            except HfHubHTTPError as error:
                if error.response.status_code == 409:
                    return False
                raise
        return True

    def _json(self, method: str, url: str, **request: Any) -> dict[str, Any]:
        with self.translated():
            found = self._answer(method, url, **request).json()
            if not isinstance(found, dict):
                raise TypeError("not an object")
            return found

    def pages(self, url: str, query: Mapping[str, str]) -> Iterator[Mapping[str, Any]]:
        """What an address of the Hub lists, page by page; no page is looked for at another address.

        Raises:
            AccessDenied, DestinationBusy, DestinationError: as `wire` says.
        """
        following: str | None = str(httpx2.URL(url, params=query))
        while following is not None:
            with self.translated():
                answer = self._answer("GET", following)
                page = answer.json()
                following = self._own(answer.links.get("next", {}).get("url"))
            yield from page

    def _own(self, url: str | None) -> str | None:
        """The address of a next page, which is asked for with the token: at the Hub itself, and nowhere else.

        Raises:
            ValueError: it is at another place.
        """
        if url is None:
            return None
        url = fix_hf_endpoint_in_url(url, self.place.endpoint)
        if urlsplit(url)[:2] != urlsplit(self.place.endpoint)[:2]:
            raise ValueError("the next page is at another address")
        return url

    def _answer(
        self, method: str, url: str, *, repeat: bool = True, signed: bool = True, **request: Any
    ) -> httpx2.Response:
        """The answer, which is a success; the client's own errors come out."""
        headers = {**(self.headers if signed else {}), **request.pop("headers", {})}
        timeout = request.pop("timeout", TIMEOUT)

        def attempt() -> httpx2.Response:
            return get_session().request(method, url, headers=headers, timeout=timeout, **request)

        return checked(self.patiently(attempt) if repeat else attempt())
