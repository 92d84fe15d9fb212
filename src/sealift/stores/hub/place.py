"""Where a dataset lies on a Hub: repository, revision, endpoint."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

from huggingface_hub import constants

from sealift.errors import RequestError

DEFAULT_BRANCH = "main"
SCHEME = "hf://datasets/"
LIKE_THIS = "write it like org/name, org/name@branch or hf://datasets/org/name@branch"
NAME_CHARACTERS = 96
_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_PULL_REQUEST = re.compile(r"refs/pr/[0-9]+")
# What git allows in the name of a branch, as far as anybody needs it.
_REVISION = re.compile(r"(?!/)(?!.*(?://|\.\.|@\{|/$|\.lock$))[^\s~^:?*\[\\\x00-\x1f\x7f]+")


@dataclass(frozen=True, slots=True)
class Place:
    """A dataset repository of a Hub, and the revision that is meant; None is the default branch."""

    repo: str
    revision: str | None
    endpoint: str

    @classmethod
    def parse(cls, text: str, endpoint: str | None = None) -> Place:
        """The place that `org/name`, `org/name@revision` or `hf://datasets/org/name@revision` names.

        The Hub is the one at `endpoint`, else the one that HF_ENDPOINT names, else the public one.

        Raises:
            RequestError: the Hub would not take that name, or the endpoint is no address.
        """
        repo, at, revision = _without_scheme(text).partition("@")
        _check_repo(repo, text)
        revision = unquote(revision) if text.startswith(SCHEME) else revision
        if at and not _REVISION.fullmatch(revision):
            raise RequestError(f"{text!r}: {revision!r} cannot be a revision", hint=LIKE_THIS, to=text)
        return cls(repo, revision or None, _checked_endpoint(endpoint))

    @property
    def name(self) -> str:
        """`org/name`, with `@revision` where one was named."""
        return self.repo if self.revision is None else f"{self.repo}@{self.revision}"

    @property
    def branch(self) -> str:
        """The revision, else the default branch."""
        return self.revision or DEFAULT_BRANCH

    @property
    def is_commit(self) -> bool:
        """Whether the revision is a commit id: something to read, and never to write to."""
        return self.revision is not None and _COMMIT.fullmatch(self.revision) is not None

    @property
    def is_pull_request(self) -> bool:
        """Whether the revision is that of a pull request, which only the Hub can open."""
        return self.revision is not None and _PULL_REQUEST.fullmatch(self.revision) is not None

    @property
    def url(self) -> str:
        """The page of the dataset, for people."""
        page = f"{self.endpoint}/datasets/{self.repo}"
        return page if self.revision is None else f"{page}/tree/{quote(self.revision, safe='')}"

    @property
    def api(self) -> str:
        """The address that the Hub's calls about the repository begin with."""
        return f"{self.endpoint}/api/datasets/{self.repo}"


def _without_scheme(text: str) -> str:
    """The name alone; what looks like another kind of address is refused with the right one."""
    if text.startswith(SCHEME):
        return text.removeprefix(SCHEME)
    if "://" in text:
        parts = [part for part in urlsplit(text).path.split("/") if part and part != "datasets"]
        meant = f"; perhaps {'/'.join(parts[:2])}" if len(parts) >= 2 else ""
        raise RequestError(f"{text!r} does not name a dataset of a Hub", hint=LIKE_THIS + meant, to=text)
    return text


def _check_repo(repo: str, text: str) -> None:
    """The rules of the Hub for `org/name`, so that a wrong name is known before the work."""
    parts = repo.split("/")
    if len(parts) == 3 and parts[0] == "datasets":
        raise RequestError(f"{text!r}: leave out `datasets/`", hint=f"write {'/'.join(parts[1:])}", to=text)
    if len(parts) != 2:
        raise RequestError(
            f"{text!r} does not name a dataset: it takes a user or organization and a name", hint=LIKE_THIS, to=text
        )
    for part in parts:
        if not _NAME.fullmatch(part) or len(part) > NAME_CHARACTERS or "--" in part or ".." in part:
            raise RequestError(
                f"{text!r}: a Hub does not take the name {part!r}",
                hint=f"use A-Z a-z 0-9 - _ . (at most {NAME_CHARACTERS}, no `--` or `..`, no - or . at the ends)",
                to=text,
            )
    if repo.endswith(".git"):
        raise RequestError(f"{text!r}: the name of a repository does not end with .git", hint=LIKE_THIS, to=text)


def _checked_endpoint(endpoint: str | None) -> str:
    # The environment as it is now: a rehearsal names its own Hub after the client was imported.
    chosen = (endpoint or os.environ.get("HF_ENDPOINT") or constants.ENDPOINT).rstrip("/")
    try:
        parts = urlsplit(chosen)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and not (parts.query or parts.fragment)
        good = good and "@" not in parts.netloc and (parts.port is None or parts.port > 0)
    except ValueError:
        good = False
    if not good:
        raise RequestError(
            "the endpoint is not the address of a Hub",
            hint="write --endpoint (or HF_ENDPOINT) like https://huggingface.co or http://127.0.0.1:8000",
        )
    return chosen
