"""Every way to say no, in the Hub's words where the official clients read them."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import JSONResponse


class Refusal(Exception):
    """A request that is refused: HTTP status, the Hub's error code if it has one, and a message for a person."""

    def __init__(
        self,
        status: int,
        message: str,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
        more: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.headers = dict(headers or {})
        self.more = dict(more or {})

    def response(self) -> JSONResponse:
        """The answer as the clients parse it: JSON `error`, `X-Error-Code`, `X-Error-Message`."""
        headers = {**self.headers, "X-Error-Message": _header(self.message)}
        if self.code:
            headers["X-Error-Code"] = self.code
        return JSONResponse({"error": self.message, **self.more}, self.status, headers)


def bad_request(message: str, **more: object) -> Refusal:
    """The request itself is wrong: mend it."""
    return Refusal(400, message, more=more)


def bad_token() -> Refusal:
    """A token was sent that is none of ours."""
    return Refusal(401, "Invalid credentials in Authorization header")


def no_token() -> Refusal:
    """The call needs a token, and none was sent."""
    return Refusal(401, "Invalid username or password.", headers={"WWW-Authenticate": "Bearer"})


def no_rights(what: str) -> Refusal:
    """The token is good, and may not do this."""
    return Refusal(403, f"Forbidden: {what}")


def no_repo(*, anonymous: bool) -> Refusal:
    """The repository is not there, or may not be seen; an anonymous caller cannot tell which."""
    return Refusal(401 if anonymous else 404, "Repository not found", "RepoNotFound")


def no_revision(name: str) -> Refusal:
    """The repository is there, and that revision is not."""
    return Refusal(404, f"Invalid rev id: {name}", "RevisionNotFound")


def no_entry(path: str, commit: str | None = None) -> Refusal:
    """The revision is there, and that path is not; clients remember it by the commit."""
    headers = {"X-Repo-Commit": commit} if commit else {}
    return Refusal(404, f"Entry not found: {path}", "EntryNotFound", headers)


def nothing_to_delete(kind: str, path: str) -> Refusal:
    """A commit deletes what is not there. The clients look for this wording."""
    return Refusal(404, f"A {kind} with this name doesn't exist: {path}", "EntryNotFound")


def stale_parent(expected: str, head: str) -> Refusal:
    """The branch is not where the caller thinks: reread it and try again."""
    return Refusal(412, f"A commit has happened since. Please refresh and try again: head is {head}, not {expected}.")


def exists(what: str, **more: object) -> Refusal:
    """It cannot be made, since it is there."""
    return Refusal(409, what, more=more)


def conflict(message: str) -> Refusal:
    """Both sides changed the same thing."""
    return Refusal(409, message)


def too_large(message: str) -> Refusal:
    """More than the Hub takes in one request: split it."""
    return Refusal(413, message)


def _header(text: str) -> str:
    """The text on one line of what a header may hold."""
    return " ".join(text.encode("ascii", "backslashreplace").decode("ascii").split())[:1000]
