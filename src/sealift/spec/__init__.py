"""sealift.yaml: read, checked with a path to the wrong line, and the same as Python objects.

spec = sealift.Spec.load("sealift.yaml")
spec = sealift.Spec(from_="recordings", rows=table, media={"audio": "audio"}, key="id")
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from pydantic import ByteSize, PrivateAttr, TypeAdapter, ValidationError

from sealift.errors import NotSupportedYet, RequestError, SealiftError, SpecError
from sealift.spec.document import Document, Keys, dotted, nearest, read_document, read_environment_file
from sealift.spec.grammar import Card, ConfigSpec, Expect, Feature, Grammar, Media, Shards, Split
from sealift.spec.mistakes import located, mistaken

__all__ = [
    "Card",
    "ConfigSpec",
    "Expect",
    "Feature",
    "Media",
    "Shards",
    "Spec",
    "Split",
    "byte_size",
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
    _anew: frozenset[str] = PrivateAttr(default=frozenset())

    def __init__(self, **said: Any) -> None:
        try:
            super().__init__(**said)
        except ValidationError as error:
            raise mistaken(error, None) from None

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
            raise mistaken(error, document) from None
        spec = cls.model_construct(_fields_set=grammar.model_fields_set, **dict(grammar))
        spec._document = document
        spec._folder = path.resolve().parent
        if not isinstance(spec.rows, str | None):
            raise spec.mistake("`rows` must be text: one SELECT", "rows", hint="write it behind `rows: |`")
        return spec

    def having(self, **said: Any) -> Spec:
        """The same spec with some keys said anew (None leaves a key as it is)."""
        update = {name: value for name, value in said.items() if value is not None}
        new = self.model_copy(update=update)
        new._document, new._folder, new._anew = self._document, self._folder, self._anew | update.keys()
        return new

    def completed(self, **said: Any) -> Spec:
        """The spec with these keys where it says nothing itself: what a layout stands for."""
        own = {name for name in self.model_fields_set if getattr(self, name) is not None}
        missing = {name: value for name, value in said.items() if name not in own}
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
        return located(SpecError, message, keys, self._document, hint=hint)

    @contextmanager
    def hiding_variables(self) -> Iterator[None]:
        """Let no value of a variable out in an error's message, hint or fields: its name stands there instead."""
        try:
            yield
        except SealiftError as error:
            if self._document is None or not self._document.variables:
                raise
            raise _hidden(error, self._document) from None

    def check_supported(self) -> None:
        """Promise that this version builds everything that the spec names.

        Raises:
            NotSupportedYet: it names something that is to come; `key` says what.
        """
        for keys, what in self._unsupported():
            message = f"`{dotted(keys)}` is not supported yet: {what}"
            hint = "leave it out for now; the changelog says when it arrives"
            raise located(NotSupportedYet, message, keys, self._document, hint=hint)

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
        """What the manifest says of the spec: as written, variables unfilled, without `from`, `to` and `listing`.

        What was said anew (on the command line, or by a layout) goes before what was written. Rows that came from
        Python are not in it.
        """
        ours = self._anew if self._document is not None else self.model_fields_set
        dumped = self.model_dump(
            mode="json", by_alias=True, exclude_unset=True, include=set(ours) - (set() if self._sql else {"rows"})
        )
        written = self._document.raw if self._document is not None else {}
        return {name: value for name, value in {**written, **dumped}.items() if name not in ("from", "to", "listing")}

    @property
    def _sql(self) -> bool:
        return isinstance(self.rows, str)

    def __repr__(self) -> str:
        """As it is published: values of variables are not shown."""
        return f"Spec({self.as_published()!r})"

    __str__ = __repr__


def _hidden(error: SealiftError, document: Document) -> SealiftError:
    fields = {name: document.hide(said) if isinstance(said, str) else said for name, said in error.fields.items()}
    if "file" in error.fields:
        fields["file"] = error.fields["file"]
    place, file, rest = error.message.rpartition(document.file)
    return type(error)(place + file + document.hide(rest), hint=document.hide(error.hint), **fields)


def byte_size(said: int | str) -> int:
    """Bytes, said as a number or as `512MB` (10^6) or `2GiB` (2^30).

    Raises:
        RequestError: it is neither.
    """
    try:
        return int(TypeAdapter(ByteSize).validate_python(said))
    except ValidationError as error:
        raise RequestError(f"{said!r} is no size", hint="write bytes as a number, or 512MB, or 2GiB") from error


def where_to(said: str | None) -> tuple[Literal["folder", "hub"], str]:
    """Whether `to` names a folder or a Hub repository: `org/name` and `org/name@branch` are the Hub, and so are
    addresses; `./out`, `/data/out`, `out` are folders.

    Raises:
        RequestError: nothing is said.
        NotSupportedYet: it is an address of another kind.
    """
    if not said:
        raise RequestError("nothing says where to publish", hint="add --to ./out, or `to:` to the spec")
    if said.startswith(("hf://", "https://", "http://")):
        return "hub", said
    if "://" in said:
        raise NotSupportedYet(
            f"publishing to {said.partition('://')[0]}:// is not supported yet",
            hint="publish to a folder: --to ./out",
            key="to",
        )
    parts = said.partition("@")[0].split("/")
    if len(parts) == 2 and all(parts) and parts[0] not in (".", "..", "~"):
        return "hub", said
    return "folder", said
