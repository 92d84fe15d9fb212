"""What is seen to before the first byte is sent: rights, the repository, the branch."""

from __future__ import annotations

from sealift.errors import AccessDenied, DestinationError, RequestError
from sealift.stores.hub.client import HubClient, Repository
from sealift.stores.hub.files import HubFiles
from sealift.stores.hub.landing import changed
from sealift.stores.hub.refusals import gone, renamed

GIVEN = frozenset({".gitattributes"})
"""What a new repository has from the start."""


def check_role(client: HubClient) -> None:
    """A token that may only read is known before anything is made with it.

    Raises:
        AccessDenied: it may, or there is none.
    """
    place = client.place
    if client.token is None:
        raise AccessDenied(
            f"publishing to {place.endpoint} takes a token",
            hint="log in (`hf auth login`), or set HF_TOKEN or --token",
            repository=place.repo,
        )
    said = client.whoami()
    role = ((said.get("auth") or {}).get("accessToken") or {}).get("role")
    if role == "read":
        raise AccessDenied(
            f"the token of {said.get('name')} may only read",
            hint=f"make one that may write at {place.endpoint}/settings/tokens",
            repository=place.repo,
        )


def make_repository(client: HubClient, revision: str | None, *, private: bool) -> Repository:
    """Make it; one that another made in the meantime will do as long as nothing is in it.

    `revision` is what this run saw when it looked.

    Raises:
        AccessDenied: it may not be seen with this token.
        DestinationChanged: another has made it in the meantime, with files in it, or taken it away.
    """
    check_still_there(client, None)
    made = client.create_repository(private=private)
    repository = client.repository()
    if repository is None:
        raise AccessDenied(
            f"{client.place.repo} is there, and this token may not see it",
            hint="use one with the right to write there, or another name",
            repository=client.place.repo,
        )
    if not made and not HubFiles(client, repository.head).facts.keys() <= GIVEN:
        raise changed(client, revision, repository.head)
    return repository


def check_repository(client: HubClient, repository: Repository, *, private: bool) -> None:
    """See that it has the name that was given, and is as private as it should be.

    Raises:
        RequestError: it has another name.
        DestinationError: it is public and should be private.
    """
    place = client.place
    if repository.name != place.repo:
        raise renamed(place, repository.name)
    if private and not repository.private:
        raise DestinationError(
            f"{place.repo} is there already, and public; nothing was published",
            hint=f"make it private in its settings ({place.url}), or leave out --private",
            repository=place.repo,
        )


def check_still_there(client: HubClient, repository: Repository | None) -> None:
    """A repository that was there when this run looked is not made anew behind the user's back.

    Raises:
        DestinationChanged: it is gone.
    """
    if repository is None and client.seen:
        raise gone(client.place)


def prepare_branch(client: HubClient, default: str | None, revision: str | None) -> None:
    """Make the branch if it is not there. It must be at `revision`, where it was when this run looked at it.

    Raises:
        DestinationChanged: it is elsewhere.
        RequestError: the revision is a tag or a pull request that is not there.
    """
    head = client.head()
    _check_branch(client, is_there=head is not None)
    if head is None and default == revision:
        client.create_branch(str(default))
        head = client.head()
    if head is None or head != revision:
        raise changed(client, revision, head or default)


def _check_branch(client: HubClient, *, is_there: bool) -> None:
    """See that the revision is one that takes commits."""
    place = client.place
    if place.is_pull_request and not is_there:
        what, hint = "no such pull request", "open it first, or name a branch"
    elif is_there and not place.is_pull_request and place.revision not in (None, *client.branches()):
        what, hint = "a tag or a commit, and takes none", "name a branch after the @"
    else:
        return
    raise RequestError(f"{place.name}: {place.branch} is {what}", hint=hint, to=place.name)
