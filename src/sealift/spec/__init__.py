"""sealift.yaml: read, checked with a path to the wrong line, and the same as Python objects.

spec = sealift.Spec.load("sealift.yaml")
spec = sealift.Spec(from_="recordings", rows=table, media={"audio": "audio"}, key="id")
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel, PrivateAttr, ValidationError

from sealift.errors import NotSupportedYet, RequestError, SpecError
from sealift.spec.document import Document, Keys, dotted, nearest, read_document, read_environment_file
from sealift.spec.grammar import Card, ConfigSpec, Expect, Feature, Grammar, Media, Shards, Split

__all__ = [
    "Card",
    "ConfigSpec",
    "Expect",
    "Feature",
    "Media",
    "Shards",
    "Spec",
    "Split",
    "nearest",
    "read_environment_file",
]


class Spec(Grammar):
    """What the user asks for: `sealift.yaml`, or the same keys as arguments (`from` is `from_`).

    `rows` is SQL over the tables and the listing `files`, or the rows themselves: a pyarrow Table, a pandas or polars
    frame, a DuckDB relation, or an iterable of record batches.

    Raises:
        SpecError: a key is unknown or its value wrong; the error names it and, for a file, the line.
    """

    _document: Document | None = PrivateAttr(default=None)
    _folder: Path | None = PrivateAttr(default=None)

    def __init__(self, **said: Any) -> None:
        try:
            super().__init__(**said)
        except ValidationError as error:
            raise _spec_error(error, None) from None

    @classmethod
    def load(cls, file: str | os.PathLike[str], environment: Mapping[str, str] | None = None) -> Spec:
        """Read a spec file; variables are filled from `environment` (by default that of the process).

        Raises:
            SpecError: it cannot be read, or something in it is wrong: file, line, column and key say where.
        """
        path = Path(file)
        document = read_document(path, os.environ if environment is None else environment)
        try:
            grammar = Grammar.model_validate(document.data)
        except ValidationError as error:
            raise _spec_error(error, document) from None
        spec = cls.model_construct(_fields_set=grammar.model_fields_set, **dict(grammar))
        spec._document = document
        spec._folder = path.resolve().parent
        return spec

    def having(self, **said: Any) -> Spec:
        """The same spec with some keys said anew (None leaves a key as it is)."""
        new = self.model_copy(update={name: value for name, value in said.items() if value is not None})
        new._document, new._folder = self._document, self._folder
        return new

    def completed(self, **said: Any) -> Spec:
        """The spec with these keys where it says nothing itself: what a layout stands for."""
        missing = {name: value for name, value in said.items() if name not in self.model_fields_set}
        return self.having(**{name: getattr(Spec(**{name: value}), name) for name, value in missing.items()})

    @property
    def folder(self) -> Path:
        """The folder that relative paths of the spec count from: that of the file, or the working directory."""
        return self._folder or Path.cwd()

    def path(self, said: str) -> Path:
        """A path that the spec says, counted from its folder."""
        return Path(os.path.normpath(self.folder / Path(said).expanduser()))

    def mistake(self, message: str, *keys: str | int, hint: str = "") -> SpecError:
        """An error at the place of that key: for what only the data can show to be wrong."""
        return SpecError(*_located(message, keys, self._document), hint=hint, **_fields(keys, self._document))

    def check_supported(self) -> None:
        """Promise that this version builds everything that the spec names.

        Raises:
            NotSupportedYet: it names something that is to come; `key` says what.
        """
        for keys, what in self._unsupported():
            raise NotSupportedYet(
                *_located(f"`{dotted(keys)}` is not supported yet: {what}", keys, self._document),
                hint="leave it out for now; the changelog says when it arrives",
                **_fields(keys, self._document),
            )

    def _unsupported(self) -> list[tuple[Keys, str]]:
        named: list[tuple[Keys, str]] = []
        if self.groups:
            named.append((("groups",), "groups with a manifest each, in a bucket"))
        if self.partition:
            named.append((("partition",), "a config for each value of an expression"))
        if self.publish == "append":
            named.append((("publish",), "appending to what is published"))
        if self.transform:
            named.append((("transform",), "a Python step over the rows"))
        if self.shards.format != "parquet":
            named.append((("shards", "format"), f"shards as {self.shards.format}"))
        later = [name for name in ("groups_per_chunk", "cut", "members") if getattr(self.shards, name) is not None]
        named += [(("shards", name), "only `max_bytes`, `rows` or `count` cut shards") for name in later]
        if self.from_ and "://" in self.from_:
            named.append((("from",), f"a source at {self.from_.partition('://')[0]}://"))
        return named

    def as_published(self) -> dict[str, Any]:
        """What the manifest says of the spec: as written, variables unfilled, without `from` and `to`."""
        if self._document is not None:
            said = dict(self._document.raw)
        else:
            said = self.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude={"rows"})
        if isinstance(self.rows, str):
            said["rows"] = self.rows if self._document is None else said.get("rows", self.rows)
        return {name: value for name, value in said.items() if name not in ("from", "to", "listing")}


def _spec_error(error: ValidationError, document: Document | None) -> SpecError:
    """The first mistake of a validation, at its place, with the nearest valid key. The value itself is never shown."""
    mistakes = error.errors(include_url=False)
    first = min(mistakes, key=lambda mistake: _order(mistake["loc"], document))
    keys: Keys = tuple(first["loc"])
    if first["type"] == "extra_forbidden":
        known = _keys_at(Grammar, keys[:-1])
        message, hint = f"unknown key `{dotted(keys)}`", nearest(str(keys[-1]), known)
    elif first["type"] == "literal_error":
        message = f"`{_shown(keys, document)}`: {first['msg'][0].lower()}{first['msg'][1:]}"
        hint = nearest(str(first["input"]), re.findall(r"'([^']*)'", first["msg"]))
    else:
        said = first["msg"].removeprefix("Value error, ")
        message, hint = (f"`{_shown(keys, document)}`: {said}" if keys else said), "see docs/spec.md for the grammar"
    more = len(mistakes) - 1
    if more:
        hint += f" ({more} more mistake{'s' if more > 1 else ''} after this one)"
    return SpecError(*_located(message, keys, document), hint=hint, **_fields(keys, document))


def _order(loc: tuple[str | int, ...], document: Document | None) -> tuple[int, int]:
    return (document.place(tuple(loc)) if document else None) or (1 << 30, 0)


def _shown(keys: Keys, document: Document | None) -> str:
    """The key path without the names of alternatives that pydantic puts between."""
    if document is None:
        return dotted(keys)
    known: Keys = ()
    for step in keys:
        if (*known, step) in document.places:
            known = (*known, step)
    return dotted(known or keys)


def _located(message: str, keys: tuple[str | int, ...], document: Document | None) -> tuple[str]:
    place = document.place(keys) if document else None
    if document is None or place is None:
        return (message,)
    return (f"{document.file}:{place[0]}:{place[1]}: {message}",)


def _fields(keys: tuple[str | int, ...], document: Document | None) -> dict[str, Any]:
    place = document.place(keys) if document else None
    return {
        "key": dotted(keys) or None,
        "file": document.file if document else None,
        "line": place[0] if place else None,
        "column": place[1] if place else None,
    }


def _keys_at(model: type[BaseModel], keys: Keys) -> list[str]:
    """The keys that are valid at that place of the grammar."""
    for step in keys:
        field = next((f for n, f in model.model_fields.items() if step in (n, f.alias)), None)
        annotation = field.annotation if field else None
        models = [a for a in _flat(annotation) if isinstance(a, type) and issubclass(a, BaseModel)]
        if models:
            model = models[0]
    return [field.alias or name for name, field in model.model_fields.items()]


def _flat(annotation: Any) -> list[Any]:
    return [annotation, *(inner for argument in get_args(annotation) for inner in _flat(argument))]


def where_to(said: str | None) -> tuple[Literal["folder", "hub"], str]:
    """Whether `to` names a folder or a Hub repository: `org/name` is the Hub; `./out`, `/data/out`, `out` are folders.

    Raises:
        RequestError: nothing is said.
    """
    if not said:
        raise RequestError("nothing says where to publish", hint="add --to ./out, or `to:` to the spec")
    if said.startswith("hf://"):
        return "hub", said
    parts = said.split("/")
    if len(parts) == 2 and all(parts) and parts[0] not in (".", "..", "~"):
        return "hub", said
    return "folder", said
