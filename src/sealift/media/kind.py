"""What a media type is: how its column is declared, what its files look like, and how to tell that one is whole."""

from __future__ import annotations

import importlib
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, NamedTuple

from sealift.errors import MissingExtra, RequestError, SampleError, SealiftError
from sealift.media.sniff import stand_in

VIEW = 4096
"""How many bytes of a file's start, and of its end, a probe is given."""

GLANCED = 1024
"""How many bytes a glance is given at the start. A shorter file may be a pointer and is looked at in full."""

Buffer = bytes | memoryview


class Ends(NamedTuple):
    """The first and the last bytes of a file, and how long it is; they overlap in a short file."""

    head: bytes
    tail: bytes
    size: int

    def read(self, offset: int, count: int) -> bytes:
        """The `count` bytes at `offset`, or b'' where they are not in view."""
        if offset >= 0 and offset + count <= len(self.head):
            return self.head[offset : offset + count]
        start = offset - (self.size - len(self.tail))
        if start >= 0 and start + count <= len(self.tail):
            return self.tail[start : start + count]
        return b""


@dataclass(frozen=True, slots=True)
class Option:
    """One setting of a feature: its default, which values it takes, and how to say so."""

    default: Any
    accepts: Callable[[Any], bool]
    expects: str


def unsure(_head: Buffer, _tail: Buffer, _size: int) -> bool:
    """False: of no file is it known at a glance that nothing is wrong."""
    return False


def flag(default: bool) -> Option:
    """An option that is true or false."""
    return Option(default, lambda value: isinstance(value, bool), "true or false")


def count(least: int, most: int | None = None) -> Option:
    """An option that is a whole number from `least` on, or not set."""
    expects = f"a whole number from {least} on" if most is None else f"a whole number from {least} to {most}"
    return Option(None, lambda value: _whole(value) and least <= value and (most is None or value <= most), expects)


def one_of(default: str | None, *values: str) -> Option:
    """An option that is one of these words."""
    return Option(default, lambda value: value in values, " or ".join(values))


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


@dataclass(frozen=True, slots=True)
class MediaType:
    """What one kind of media is; `TYPES` holds them all.

    `inspect` sees the ends of a file that is neither empty nor a stand-in, and never raises; `decode` takes whole
    files and may raise whatever its library raises. `glance` is the short way to what `inspect` and `stand_in` say of
    most files: true only where both would say None. It is given at least the first GLANCED bytes and any number of the
    last ones, decides by the first and the last VIEW of them, copies next to nothing, and never raises.
    """

    name: str
    extensions: tuple[str, ...]
    boxed: bool
    feature_type: str
    inspect: Callable[[Ends], str | None]
    decode: Callable[[bytes], str]
    options: Mapping[str, Option] = field(default_factory=dict)
    glance: Callable[[Buffer, Buffer, int], bool] = unsure

    def feature(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """The cell's feature as JSON, as `datasets` writes it: options at their default are left out.

        Raises:
            RequestError: an option that the type does not have, or a value that the option does not take.
        """
        for name, value in options.items():
            self._check(name, value)
        if not self.boxed:
            return {"dtype": "binary", "_type": "Value"}
        given = {name: options.get(name, option.default) for name, option in self.options.items()}
        kept = {name: value for name, value in given.items() if value != self.options[name].default}
        return {**kept, "_type": self.feature_type}

    def _check(self, name: str, value: Any) -> None:
        option = self.options.get(name)
        if option is None:
            raise RequestError(
                f"{self.name} has no option {name!r}", hint=nearest(name, self.options, "options"), key=name
            )
        if value != option.default and not option.accepts(value):
            raise RequestError(f"{self.name} option {name!r} is {value!r}", hint=f"it takes {option.expects}", key=name)

    def probe(self, head: bytes, tail: bytes, size: int) -> str | None:
        """Why the file cannot be what its column says, or None; reads headers only and raises on no bytes.

        `head` and `tail` are the first and the last min(size, 4096) bytes. A reason names no file and no number, so
        that equal damage counts together. None is no proof that the file decodes.
        """
        if GLANCED <= len(head) <= size and self.glance(head, tail, size):
            return None
        return self._look(head, tail, size)

    def probe_whole(self, data: memoryview) -> str | None:
        """What `probe` says of the file with these bytes, without copies of them where a glance is enough.

        The view is of unsigned bytes (format `B`), in one row; nothing keeps hold of it.
        """
        size = len(data)
        if size >= GLANCED and self.glance(data, data, size):
            return None
        return self._look(bytes(data[:VIEW]), bytes(data[-VIEW:]), size)

    def _look(self, head: bytes, tail: bytes, size: int) -> str | None:
        return "empty" if size == 0 or not head else stand_in(head) or self.inspect(Ends(head, tail, size))

    def describe(self, data: bytes) -> str:
        """One line about the file after decoding all of it: format, dimensions, duration.

        Memory: the data, and what the library decodes of it (a scan whole, sound and film a piece at a time).

        Raises:
            MissingExtra: the library that decodes it is not installed.
            SampleError: it cannot be decoded to its end.
        """
        if not data:
            raise damaged(self.name, "empty")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return self.decode(data)
        except SealiftError:
            raise
        except Exception as error:  # decoders raise anything on damaged bytes, from struct.error to AssertionError
            reason = self.probe(data[:VIEW], data[-VIEW:], len(data))
            raise damaged(self.name, reason or _one_line(error)) from error


def damaged(name: str, said: str) -> SampleError:
    """The error for a file of the named type that does not decode; `said` is why."""
    return SampleError(
        f"cannot be decoded as {name}: {said}", hint="replace the file with an intact copy, or leave it out"
    )


def _one_line(error: Exception) -> str:
    """What the error says, without line breaks and without addresses of objects."""
    said = re.sub(r"<[^<>]* at 0x[0-9a-fA-F]+>", "the data", " ".join(str(error).split()))
    return said or type(error).__name__


def vendor(module: str, extra: str) -> Any:
    """The optional library of that name, loaded now.

    Raises:
        MissingExtra: it is not installed, or cannot be loaded.
    """
    try:
        return importlib.import_module(module)
    except (ImportError, OSError) as error:  # OSError: a wrapper is there, its shared library is not
        package = module.partition(".")[0]
        raise MissingExtra(
            f"{package} is needed to decode this",
            hint=f"pip install 'sealift[{extra}]' (in a clone: pip install '.[{extra}]')",
            extra=extra,
        ) from error


def nearest(word: str, known: Mapping[str, Any], what: str) -> str:
    """A hint that proposes the known word nearest to this one, and lists them all."""
    close = get_close_matches(word.lower(), known, n=1, cutoff=0.5)
    listed = f"its {what} are {', '.join(known)}" if known else f"it has no {what}"
    return f"did you mean {close[0]!r}? {listed}" if close else listed
