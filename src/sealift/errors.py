"""Every failure Sealift reports, grouped by what the reader does next.

    SealiftError
    ├── RequestError            mend the call or the spec                        2
    │   ├── SpecError           … at this file, line and key                     2
    │   └── NotSupportedYet     … by leaving this key out for now                2
    ├── SourceError             mend the source, or plan again                   3
    │   ├── SourceMissing       … an entry that is needed is not there           3
    │   ├── SourceChanged       … an entry is no longer what was planned         3
    │   └── TableError          … a table cannot be read                         3
    ├── PlanRefused             mend what the plan's problems name               4
    ├── SampleError             drop the sample, or stop                         5
    ├── DestinationError        make room or get rights at the destination       6
    │   ├── AccessDenied        … a token, or a right that it lacks              6
    │   ├── DestinationChanged  … run again: another has changed it              6
    │   ├── DestinationBusy     … wait `retry_after_s`, and run again            6
    │   ├── AnswerLost          … look at the destination before anything else   6
    │   └── ContentMissing      … send again what is named: it is not there      6
    ├── IntegrityError          stop: bytes disagree                             7
    ├── MissingExtra            install the extra that is named                  8
    └── Stopped                 run the same command again                     130

The number is the exit code of the command line. 0 is success; 1 is left to
bugs, which are never wrapped. Every class carries its fields (`path`, `key`,
`shard` …) beside the message, and the message ends with what to try next.
"""

from __future__ import annotations

from typing import Any, ClassVar

from sealift.redact import cut


class SealiftError(Exception):
    """Something went wrong that the reader of the message can act on.

    `hint` is the next thing to try; `fields` name the place (path, key,
    shard, line …) for programs that read the error. What looks like a secret
    is cut out of message and hint, and out of addresses.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "", **fields: Any) -> None:
        # What comes from outside is in a message as it came: an address may be signed, or hold a password.
        self.message, self.hint = cut(message), cut(hint)
        super().__init__(self.message)
        self.fields = {name: _harmless(value) for name, value in fields.items() if value is not None}

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message

    def __reduce__(self) -> tuple[Any, ...]:
        """Keep hint and fields on the way out of a worker process."""
        return (_rebuild, (type(self), self.message, self.hint, self.fields))

    def as_json(self) -> dict[str, Any]:
        """The error as one JSON object: kind, message, hint, exit code and its fields."""
        return {
            "error": type(self).__name__,
            "message": self.message,
            "hint": self.hint,
            "exit_code": self.exit_code,
            **self.fields,
        }


def _harmless(value: Any) -> Any:
    """The value of a field; an address without what signs or opens it. Paths and names stay as they are."""
    return cut(value) if isinstance(value, str) and "://" in value else value


def _rebuild(kind: type[SealiftError], message: str, hint: str, fields: dict[str, Any]) -> SealiftError:
    return kind(message, hint=hint, **fields)


class RequestError(SealiftError):
    """The call or the spec asks for something that cannot be done."""

    exit_code = 2


class SpecError(RequestError):
    """A spec says something wrong; `file`, `line`, `column` and `key` say where."""


class NotSupportedYet(RequestError):
    """The spec is right, but names something that this version cannot do; `key` says what."""


class SourceError(SealiftError):
    """The source is not as the spec says."""

    exit_code = 3


class SourceMissing(SourceError):
    """An entry that is needed is missing, empty or unreadable; `path` names it."""


class SourceChanged(SourceError):
    """An entry is not what was planned: its size or version differs; `path` names it."""


class TableError(SourceError):
    """A table cannot be read, or the query over the tables fails."""


class PlanRefused(SealiftError):
    """The plan has errors; `problems` lists them with code, place and remedy."""

    exit_code = 4


class SampleError(SealiftError):
    """One sample cannot be used; `key` and `column` name it."""

    exit_code = 5


class DestinationError(SealiftError):
    """The destination cannot take the files: no room, no rights, or files that are not ours."""

    exit_code = 6


class AccessDenied(DestinationError):
    """The token is missing, not valid, or lacks a right; `repository` says where."""


class DestinationChanged(DestinationError):
    """The destination is no longer as it was when the run looked; `expected` and `found` are revisions."""


class DestinationBusy(DestinationError):
    """The destination asks to wait, or does not answer; `retry_after_s` says how long, in seconds, if it is known."""


class AnswerLost(DestinationError):
    """A commit was sent and no answer came: it may have taken effect, or may still; `job` marks its message."""


class ContentMissing(DestinationError):
    """Content that was staged is not at the destination, or not any more; `paths` are those it was staged under."""


class IntegrityError(SealiftError):
    """Bytes or counts disagree with what was promised."""

    exit_code = 7


class MissingExtra(SealiftError):
    """An optional library is needed; `extra` names the extra that brings it."""

    exit_code = 8


class Stopped(SealiftError):
    """The run was stopped from outside (Ctrl-C, SIGHUP, SIGTERM) and cleaned up after itself."""

    exit_code = 130
