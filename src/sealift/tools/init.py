"""Start a spec: recognise the layout of a folder, and write it down with comments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from sealift import media
from sealift.errors import RequestError
from sealift.model import manifest
from sealift.ports import LISTING
from sealift.rows.layout import Layout
from sealift.rows.recognise import recognise as recognise_listing
from sealift.stores.local import LocalFolder

SPEC = "sealift.yaml"
SAID = {
    "bids": "A BIDS tree: a row a session (or subject), a column for each kind of scan.",
    "folder": "A tree of folders: a row a file, with the split and the class that the folders name.",
    "metadata": "A tree of files with metadata tables that name them.",
    "tables": "A table whose columns name files.",
}
WORDS = ("null", "true", "false", "yes", "no", "on", "off", "y", "n")


def recognise(folder: Path) -> Layout:
    """The layout of the folder; a spec and earlier publications that lie in it are passed over.

    Raises:
        RequestError: it is none that is known; the message says what was looked for.
        SourceError: the folder cannot be listed.
    """
    with TemporaryDirectory(prefix="sealift-") as work:
        listing = Path(work) / "listing.parquet"
        published = _write(LocalFolder(folder), listing)
        if folder in published:
            raise RequestError(
                f"{folder} is a published dataset", hint="name the folder that its files came from", path=str(folder)
            )
        source = LocalFolder(folder, published)
        if published:
            _write(source, listing)
        found = recognise_listing(listing, source.local_file, media.by_extension(), Path(work))
    if found.layout is None:
        raise RequestError(
            f"the layout of {folder} is not known:\n" + "\n".join(f"  {reason}" for reason in found.reasons),
            hint="write a spec by hand: docs/spec.md shows how",
            path=str(folder),
        )
    return found.layout


def _write(source: LocalFolder, listing: Path) -> tuple[Path, ...]:
    """Write the listing, without a spec in it, to a file; the folders in it that hold a publication."""
    published: list[str] = []
    with pq.ParquetWriter(listing, LISTING) as writer:
        for batch in source.listing():
            path = batch.column("path")
            writer.write_batch(batch.filter(pc.not_equal(path, SPEC)))
            published += path.filter(pc.ends_with(path, manifest.PATH)).to_pylist()
    return tuple((source.root / found).parent.parent for found in published)


def spec_text(layout: Layout, source: str, to: str) -> str:
    """A commented spec for the layout, ready to be changed by hand."""
    return "\n".join(_lines(layout, source, to)) + "\n"


def _lines(layout: Layout, source: str, to: str) -> Iterator[str]:
    said = SAID["metadata" if layout.name == "folder" and layout.tables else layout.name]
    yield f"# {said} Every key is explained in docs/spec.md."
    yield from (f"# Note: {_printable(note)}" for note in layout.notes)
    yield f"to: {_plain(to)}  # a folder; org/name is the Hub"
    yield f"from: {_plain(source)}  # a relative path counts from this file"
    if layout.name == "bids":
        yield "layout: bids  # `files` has the BIDS entities: subject, session, task, run, suffix …"
    if layout.tables:
        yield "tables:"
        yield from (f"  {_plain(name)}: {_plain(path)}" for name, path in layout.tables.items())
    yield "# SQL (DuckDB) over the tables and `files` (path, size, mtime, extension). Its columns are published."
    yield from _query(layout.rows.strip())
    if layout.key:
        yield f"key: {_plain(list(layout.key) if len(layout.key) > 1 else layout.key[0])}  # must be unique"
    else:
        yield "# key: id  # a unique column; without one, a row is known by its split and number"
    yield f"split: {_plain(layout.split)}  # or shares: {{train: 0.8, validation: 0.1, test: 0.1, by: group_column}}"
    yield "media:  # columns that name files: one a row, or [type] for a list of them"
    yield from (f"  {_plain(name)}: {_plain(said)}" for name, said in layout.media.items())
    if layout.features:
        yield "features:"
        yield from (f"  {_plain(name)}: {_plain(said)}" for name, said in layout.features.items())
    yield "# missing: fail  # or skip (the row) or null (the cell), where a file is missing, empty or unreadable"
    yield "shards: {max_bytes: 1GB}"
    yield "# card: {license: cc-by-4.0, pretty_name: A name for people, tags: [audio]}"


def _query(rows: str) -> Iterator[str]:
    """The query as a block of text, or quoted if a name in it has characters that a block cannot hold."""
    lines = rows.split("\n")
    if all(line.isprintable() for line in lines):
        yield "rows: |"
        yield from (f"  {_literal(line)}" for line in lines)
    else:
        yield f"rows: {_quoted(rows)}"


def _plain(said: Any) -> str:
    """A value as YAML on one line."""
    if isinstance(said, Mapping):
        return "{" + ", ".join(f"{_plain(name)}: {_plain(value)}" for name, value in said.items()) + "}"
    if isinstance(said, list | tuple):
        return "[" + ", ".join(_plain(value) for value in said) + "]"
    text = str(said)
    return text if _is_plain(text) else _quoted(text)


def _is_plain(text: str) -> bool:
    """Whether YAML reads the text as that text, without quotes."""
    path = text.removeprefix("..").removeprefix(".").lstrip("/")
    letters = all(letter.isalnum() or letter in "_./-" for letter in text)
    return letters and (path[:1].isalpha() or text in (".", "..")) and path.lower() not in (*WORDS, "inf", "nan")


def _quoted(text: str) -> str:
    """The text in double quotes, on one line."""
    return '"' + "".join(map(_escaped, _literal(text))) + '"'


def _escaped(letter: str) -> str:
    if letter in '"\\':
        return f"\\{letter}"
    return letter if letter.isprintable() else f"\\U{ord(letter):08x}"


def _literal(text: str) -> str:
    """The text such that no variable is filled in."""
    return text.replace("${", "$${")


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text)
