"""The files of a repository at one commit: listed by the tree, read by range."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

import httpx2
import pyarrow as pa
from huggingface_hub.errors import EntryNotFoundError, GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

from sealift.errors import SourceChanged, SourceMissing
from sealift.model.entry import Entry
from sealift.stores.hub.addresses import EXPIRED, Addresses
from sealift.stores.hub.client import HubClient
from sealift.stores.hub.facts import TreeFacts
from sealift.stores.hub.pace import RESOLVERS
from sealift.stores.hub.place import Place
from sealift.stores.hub.ranges import fetch, total_bytes
from sealift.stores.hub.wire import checked

HOPS = 5
MOVED = frozenset({301, 302, 303, 307, 308})
NOT_IN_IT = (EntryNotFoundError, RevisionNotFoundError, RepositoryNotFoundError)
LOGIN = "check the name and the revision; for a private dataset log in (`hf auth login`), or set HF_TOKEN"


@dataclass
class HubFiles:
    """A dataset at one commit, its `revision`, to be listed and read. Picklable; what was listed stays behind.

    The commit is fixed, so that what is read is what was listed. None stands for a dataset that is not there yet.
    """

    client: HubClient
    revision: str | None
    _facts: TreeFacts | None = field(default=None, init=False, repr=False, compare=False)
    # Where the Hub sent us for a file's bytes: asked each time, a large file would use up the quota.
    _addresses: Addresses[str] = field(default_factory=Addresses, init=False, repr=False, compare=False)

    @classmethod
    def at(cls, place: Place, token: str | None = None) -> HubFiles:
        """The dataset at the commit that the place's revision stands for now.

        Raises:
            SourceMissing: there is no such dataset or revision, or it may not be seen.
            AccessDenied: it is gated, or the token is not valid.
        """
        client = HubClient.of(place, token)
        revision = client.head()
        if revision is None:
            there = client.repository() is not None
            what = f"no revision {place.branch} in {place.repo}" if there else f"no dataset {place.repo}"
            raise SourceMissing(f"there is {what} at {place.endpoint}", hint=LOGIN, repository=place.repo)
        return cls(client, revision)

    def __getstate__(self) -> dict[str, Any]:
        return {"client": self.client, "revision": self.revision, "_facts": None, "_addresses": Addresses()}

    @property
    def facts(self) -> TreeFacts:
        """Size and digests of every file by its path, as the Hub has them; asked for once."""
        if self._facts is None:
            entries: Iterator[Mapping[str, Any]] = (
                iter(()) if self.revision is None else self.client.tree(self.revision)
            )
            with self.client.translated():
                self._facts = TreeFacts(entries)
        return self._facts

    def listing(self) -> Iterator[pa.RecordBatch]:
        """Every file, in the order of its path's bytes; its version is its SHA-256, or the id of its blob in git."""
        return self.facts.batches()

    def read_into(self, entry: Entry, offset: int, view: memoryview) -> None:
        """Fill the view from the file; asked again within bounds while the Hub is busy or the connection breaks.

        Raises:
            SourceMissing: it is not in this commit.
            SourceChanged: its size or version is not what the entry says, or the view reaches beyond its end.
            DestinationBusy: the Hub does not answer.
        """
        if self.revision is None:
            raise _missing(entry, self.client.place)
        if not view:
            self._read_nothing(entry)
            return
        if offset + len(view) > entry.size:
            raise _changed(entry, f"byte {offset + len(view)} was asked for, and it has {entry.size}")
        with self.client.translated():
            try:
                quota = None if self._addresses.get(entry.path) is not None else RESOLVERS
                checked(self.client.patiently(lambda: self._attempt(entry, offset, view), quota=quota))
            except GatedRepoError:
                raise
            except NOT_IN_IT as error:
                raise _missing(entry, self.client.place) from error

    def _read_nothing(self, entry: Entry) -> None:
        """See that the file is there; a range of no bytes cannot be asked for."""
        found = self.facts.get(entry.path)
        if found is None:
            raise _missing(entry, self.client.place)
        if found.size != entry.size:
            raise _changed(entry, f"it has {found.size} bytes, {entry.size} were planned")

    def _attempt(self, entry: Entry, offset: int, view: memoryview) -> httpx2.Response:
        """One try, by the address where the bytes were had before or by way of the Hub."""
        kept = self._addresses.get(entry.path)
        if kept is not None:
            answer = fetch(kept.url, kept.headers, offset, view)
            if answer.status_code not in EXPIRED:
                return _examined(entry, answer)
        url = f"{self._host}/datasets/{self.client.place.repo}/resolve/{self.revision}/{quote(entry.path)}"
        for _ in range(HOPS):
            ours = _origin(url) == _origin(self._host)
            answer = fetch(url, self.client.headers if ours else {}, offset, view)
            if answer.status_code not in MOVED:
                break
            _examined(entry, answer)
            url = str(answer.url.join(answer.headers["location"]))
            if _origin(url) != _origin(self._host):
                self._addresses.keep(entry.path, url, {})
        return _examined(entry, answer)

    @property
    def _host(self) -> str:
        return self.client.place.endpoint


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc


def _examined(entry: Entry, answer: httpx2.Response) -> httpx2.Response:
    """The answer, unless it shows that the file is not the one that the entry means.

    Only the Hub's own answers say which version it is; `x-repo-commit` marks them.
    """
    if answer.status_code == 416:
        raise _changed(entry, "it is shorter than was planned")
    if answer.status_code >= 400:
        return answer
    size = total_bytes(answer)
    if size is not None and size != entry.size:
        raise _changed(entry, f"it has {size} bytes, {entry.size} were planned")
    version = (answer.headers.get("x-linked-etag") or answer.headers.get("etag") or "").removeprefix("W/").strip('"')
    if "x-repo-commit" in answer.headers and version and entry.version not in (None, version):
        raise _changed(entry, "it was replaced after it was listed")
    return answer


def _missing(entry: Entry, place: Place) -> SourceMissing:
    return SourceMissing(f"{entry.path} is not in {place.name} at {place.endpoint}", hint="plan again", path=entry.path)


def _changed(entry: Entry, what: str) -> SourceChanged:
    return SourceChanged(f"{entry.path} changed since the plan: {what}", hint="run the command again", path=entry.path)
