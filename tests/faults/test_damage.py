"""Damage to a published folder: each kind is found at its level, under its own code, at its place, and only once."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests import corpora
from tests.far_store import SHORT, FarFolder

import sealift
from sealift.model import manifest
from sealift.verify import LEVELS, Level, Verified
from sealift.verify.codes import CODES

FIRST, SECOND = "audio/train-00000-of-00005.parquet", "audio/train-00001-of-00005.parquet"
THIRD = "audio/train-00002-of-00005.parquet"
OTHER = "audio/validation-00000-of-00002.parquet"
LABELS = "labels_only/train-00000-of-00001.parquet"
INDEX = ".sealift/index/audio-00000-of-00001.parquet"
TABLE = "auxiliary/strokes.parquet"


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A publication of two configs, several shards and row groups, two tables beside it, and rejects."""
    folder = tmp_path_factory.mktemp("good")
    corpora.music(folder / "in")
    next((folder / "in").rglob("*028*.flac")).unlink()
    sealift.publish(
        folder / "in/sealift.yaml", str(folder / "out"), workers=1, missing="skip", configs=["audio", "labels_only"]
    )
    for path in (FIRST, SECOND, OTHER, LABELS, INDEX, TABLE, manifest.REJECTS):
        assert (folder / "out" / path).is_file(), path
    assert pq.read_metadata(folder / "out" / FIRST).num_row_groups == 2
    return folder / "out"


@pytest.fixture
def out(good: Path, tmp_path: Path) -> Path:
    """A copy to be damaged."""
    return Path(shutil.copytree(good, tmp_path / "out"))


def flip(file: Path, at: int) -> None:
    """Change one byte; from the end if `at` is negative."""
    data = bytearray(file.read_bytes())
    data[at] ^= 0x10
    file.write_bytes(data)


def chunk(out: Path, path: str, leaf: str) -> tuple[int, int]:
    """Where a leaf's pages lie in the first row group: from, up to."""
    group = pq.read_metadata(out / path).row_group(0)
    column = next(c for c in map(group.column, range(group.num_columns)) if c.path_in_schema == leaf)
    start = column.dictionary_page_offset or column.data_page_offset
    return start, start + column.total_compressed_size


def change_manifest(out: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change what the manifest says."""
    said = json.loads((out / manifest.PATH).read_text())
    change(said)
    (out / manifest.PATH).write_text(json.dumps(said))


def mend(out: Path, *paths: str) -> None:
    """Make the manifest say the files' sizes and digests as they are now, so that only deeper levels can object."""

    def change(said: dict[str, Any]) -> None:
        for one in said["shards"] + said["files"]:
            if one["path"] in paths:
                data = (out / one["path"]).read_bytes()
                one |= {"size": len(data), "sha256": sha256(data).hexdigest()}

    change_manifest(out, change)


def shard(said: dict[str, Any], path: str = FIRST) -> dict[str, Any]:
    """What the manifest says of a shard."""
    return next(one for one in said["shards"] if one["path"] == path)


def rewrite(out: Path, path: str, change: Callable[[pa.Table], pa.Table], **options: Any) -> None:
    """Write a Parquet file anew, its media plain as before, and mend the manifest."""
    table = change(pq.read_table(out / path))
    media = ["audio.bytes", "midi"]
    light = [".".join(leaf) for leaf in _leaves(table.schema) if ".".join(leaf) not in media]
    codec = dict.fromkeys(media, "none") | dict.fromkeys(light, "zstd")
    pq.write_table(table, out / path, compression=codec, use_dictionary=light, row_group_size=2, **options)
    mend(out, path)


def _leaves(schema: pa.Schema) -> list[list[str]]:
    return [[f.name, part.name] if pa.types.is_struct(f.type) else [f.name] for f in schema for part in _parts(f)]


def _parts(field: pa.Field) -> list[pa.Field]:
    return list(field.type) if pa.types.is_struct(field.type) else [field]


def edit(path: str, old: str, new: str) -> Callable[[Path], None]:
    """Replace a text in a file, and mend the manifest."""

    def damage(out: Path) -> None:
        text = (out / path).read_text()
        assert re.search(old, text)
        (out / path).write_text(re.sub(old, new, text, count=1))
        mend(out, path)

    return damage


def said(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    """Change the manifest alone."""
    return lambda out: change_manifest(out, change)


def flipped(path: str, leaf: str, at: int = 0, mended: bool = False) -> Callable[[Path], None]:
    """Change a byte of a leaf's pages: `at` counts from their start, or from their end."""

    def damage(out: Path) -> None:
        start, end = chunk(out, path, leaf)
        flip(out / path, start + at if at >= 0 else end + at)
        if mended:
            mend(out, path)

    return damage


def flipped_at(path: str, at: int) -> Callable[[Path], None]:
    """Change a byte of a file, and mend the manifest."""

    def damage(out: Path) -> None:
        flip(out / path, at)
        mend(out, path)

    return damage


def compressed(out: Path) -> None:
    """Write a shard as pyarrow would by itself: with dictionaries, compressed; and mend the manifest."""
    pq.write_table(pq.read_table(out / FIRST), out / FIRST, row_group_size=2)
    mend(out, FIRST)


def swapped(one: str, other: str, mended: bool = False) -> Callable[[Path], None]:
    """Exchange two files."""

    def damage(out: Path) -> None:
        first = (out / one).read_bytes()
        (out / one).write_bytes((out / other).read_bytes())
        (out / other).write_bytes(first)
        if mended:
            mend(out, one, other)
            rows = [pq.read_metadata(out / path).num_rows for path in (one, other)]
            change_manifest(out, lambda said: [shard(said, one).update(rows=rows[0])])
            change_manifest(out, lambda said: [shard(said, other).update(rows=rows[1])])

    return damage


def changed(path: str, change: Callable[[pa.Table], pa.Table], **options: Any) -> Callable[[Path], None]:
    """Write a Parquet file anew, and mend the manifest."""
    return lambda out: rewrite(out, path, change, **options)


def renamed(path: str, word: bytes) -> Callable[[Path], None]:
    """Change the first letter of a word wherever the file has it, and mend the manifest."""

    def damage(out: Path) -> None:
        (out / path).write_bytes((out / path).read_bytes().replace(word, b"x" + word[1:]))
        mend(out, path)

    return damage


def column(table: pa.Table, name: str, change: Callable[[list[Any]], list[Any]]) -> pa.Table:
    """The table with the values of a column changed."""
    at, field = table.schema.get_field_index(name), table.schema.field(name)
    return table.set_column(at, field, pa.array(change(table[name].to_pylist()), field.type))


def large_binary(table: pa.Table) -> pa.Table:
    """The audio column in 64-bit binary, which loaders take for a plain struct."""
    field = pa.field("audio", pa.struct([("bytes", pa.large_binary()), ("path", pa.string())]))
    schema = table.schema.set(table.schema.get_field_index("audio"), field)
    return table.cast(schema)


def other_media(out: Path) -> None:
    """Change a byte in the middle of the first cell, which the index finds, and mend the manifest."""
    cell = pq.read_table(out / INDEX).slice(0, 1).to_pylist()[0]
    assert (cell["shard"], cell["column"]) == (OTHER, "audio") or cell["shard"] == FIRST
    flip(out / cell["shard"], cell["offset"] + cell["size"] // 2)
    mend(out, cell["shard"])


def other_length(out: Path) -> None:
    """Change the length that stands before the second cell of the first shard, and mend the manifest."""
    cells = [cell for cell in pq.read_table(out / INDEX).to_pylist() if cell["shard"] == FIRST]
    flip(out / FIRST, cells[1]["offset"] - 4)
    mend(out, FIRST)


def copied(one: str, other: str) -> Callable[[Path], None]:
    """Put a shard's bytes in the place of another with as many rows, too, and mend the manifest."""

    def damage(out: Path) -> None:
        shutil.copy(out / one, out / other)
        mend(out, other)

    return damage


def moved(old: str, new: str) -> Callable[[Path], None]:
    """Give a shard another name, in the manifest, too."""

    def damage(out: Path) -> None:
        (out / old).rename(out / new)
        change_manifest(out, lambda said: shard(said, old).update(path=new))

    return damage


def emptied(path: str) -> Callable[[Path], None]:
    """Leave nothing of a file, and mend the manifest."""

    def damage(out: Path) -> None:
        os.truncate(out / path, 0)
        mend(out, path)

    return damage


def in_manifest(old: str, new: str) -> Callable[[Path], None]:
    """Change the text of the manifest."""

    def damage(out: Path) -> None:
        text = (out / manifest.PATH).read_text()
        assert old in text
        (out / manifest.PATH).write_text(text.replace(old, new, 1))

    return damage


def exchanged(out: Path) -> None:
    """Make the first record's cell a byte longer and the second's a byte shorter, and mend the manifest."""
    bump("size", 0)(out)
    bump("size", 1, by=-1)(out)


@dataclass(frozen=True)
class Case:
    """A damage, the first level that finds it, and all that is then reported: (code, place)."""

    name: str
    level: str
    damage: Callable[[Path], object]
    found: tuple[tuple[str, str], ...]


FLIPPED = [
    Case(f"flip-{name}", "tree", damage, (("file-sha256", path),))
    for name, path, damage in [
        ("media-page", FIRST, flipped(FIRST, "audio.bytes", -30)),
        ("light-page", FIRST, flipped(FIRST, "pattern", -5)),
        ("page-header", FIRST, flipped(FIRST, "audio.bytes")),
        ("footer", FIRST, lambda out: flip(out / FIRST, -200)),
        ("card", manifest.CARD, lambda out: flip(out / manifest.CARD, 700)),
        ("index", INDEX, lambda out: flip(out / INDEX, 300)),
        ("rejects", manifest.REJECTS, lambda out: flip(out / manifest.REJECTS, 100)),
        ("table", TABLE, lambda out: flip(out / TABLE, 100)),
    ]
]

FILES = [
    Case("dropped", "tree", lambda out: (out / FIRST).unlink(), (("file-missing", FIRST),)),
    Case(
        "duplicated",
        "tree",
        lambda out: shutil.copy(out / FIRST, out / "audio/train-00005-of-00005.parquet"),
        (("file-unexpected", "audio/train-00005-of-00005.parquet"),),
    ),
    Case(
        "renamed",
        "tree",
        lambda out: (out / FIRST).rename(out / "audio/train-0.parquet"),
        (("file-missing", FIRST), ("file-unexpected", "audio/train-0.parquet")),
    ),
    Case("swapped", "tree", swapped(FIRST, OTHER), (("file-size", FIRST), ("file-size", OTHER))),
    Case("truncated", "tree", lambda out: os.truncate(out / FIRST, 1000), (("file-size", FIRST),)),
    Case("emptied", "tree", lambda out: os.truncate(out / FIRST, 0), (("file-size", FIRST),)),
    Case("extra", "tree", lambda out: (out / "x.txt").write_text("?"), (("file-unexpected", "x.txt"),)),
    Case("no-card", "tree", lambda out: (out / manifest.CARD).unlink(), (("file-missing", manifest.CARD),)),
    Case("no-index", "tree", lambda out: (out / INDEX).unlink(), (("file-missing", INDEX),)),
    Case("no-manifest", "tree", lambda out: (out / manifest.PATH).unlink(), (("manifest-missing", manifest.PATH),)),
    Case(
        "half-manifest",
        "tree",
        lambda out: os.truncate(out / manifest.PATH, 900),
        (("manifest-damaged", manifest.PATH),),
    ),
    Case("no-rejects", "tree", lambda out: (out / manifest.REJECTS).unlink(), (("file-missing", manifest.REJECTS),)),
    Case("short-table", "tree", lambda out: os.truncate(out / TABLE, 50), (("file-size", TABLE),)),
    Case(
        "flip-manifest-digest",
        "tree",
        said(lambda m: shard(m).update(sha256="0" + shard(m)["sha256"][1:-1] + "0")),
        (("file-sha256", FIRST),),
    ),
    Case("flip-manifest-brace", "tree", in_manifest("{", "k"), (("manifest-damaged", manifest.PATH),)),
    Case("flip-manifest-key", "tree", in_manifest('"role"', '"rolf"'), (("manifest-unknown", manifest.PATH),)),
]

FOOTERS = [
    Case("bad-footer", "footers", flipped_at(FIRST, -6), (("footer-damaged", FIRST),)),
    Case("a-row-less", "footers", changed(FIRST, lambda table: table.slice(1)), (("footer-rows", FIRST),)),
    Case("no-features", "footers", renamed(FIRST, b"huggingface"), (("footer-features", FIRST),)),
    Case("other-columns", "footers", changed(FIRST, lambda t: t.drop_columns(["room"])), (("footer-schema", FIRST),)),
    Case(
        "columns-moved",
        "footers",
        changed(FIRST, lambda t: t.select([*t.column_names[1:], t.column_names[0]])),
        (("footer-schema", FIRST),),
    ),
    Case("wide-binary", "footers", changed(FIRST, large_binary), (("footer-storage", FIRST),)),
    Case(
        "wide-number",
        "footers",
        changed(FIRST, lambda t: t.set_column(t.column_names.index("cycles"), "cycles", t["cycles"].cast(pa.int16()))),
        (("footer-storage", FIRST),),
    ),
    Case(
        "split-rows",
        "footers",
        said(lambda m: m["configs"][0]["splits"][0].update(rows=99)),
        (("manifest-rows", "audio/train"),),
    ),
    Case("shard-rows", "footers", said(lambda m: shard(m).update(rows=99)), (("footer-rows", FIRST),)),
    Case(
        "card-count",
        "footers",
        edit(manifest.CARD, "num_examples: 20", "num_examples: 21"),
        (("card-counts", "audio/train"),),
    ),
    Case(
        "card-pattern",
        "footers",
        edit(manifest.CARD, r"path: audio/train-\*", "path: audio/t*"),
        (("card-files", "audio/train"),),
    ),
    Case("zero-bytes", "footers", emptied(FIRST), (("footer-damaged", FIRST),)),
    Case(
        "card-split-bytes",
        "footers",
        edit(manifest.CARD, r"num_bytes: \d+", "num_bytes: 5"),
        (("card-bytes", "audio/train"),),
    ),
    Case(
        "card-config-bytes",
        "footers",
        edit(manifest.CARD, r"dataset_size: \d+", "dataset_size: 5"),
        (("card-bytes", "audio"),),
    ),
    Case("card-no-yaml", "footers", edit(manifest.CARD, "configs:", "configs: ["), (("card-damaged", manifest.CARD),)),
    Case(
        "card-odd-yaml",
        "footers",
        edit(manifest.CARD, r"configs:\n(- .*\n|  .*\n)+", "configs: [3]\n"),
        (("card-damaged", manifest.CARD),),
    ),
    Case("card-feature", "footers", edit(manifest.CARD, "dtype: string", "dtype: int8"), (("card-features", "audio"),)),
    Case("card-default", "footers", edit(manifest.CARD, "  default: true\n", ""), (("card-default", "audio"),)),
]


def same_key(table: pa.Table) -> pa.Table:
    """The second row with the first one's key."""
    return column(table, "sample_id", lambda ids: [ids[0], ids[0], *ids[2:]])


def index(change: Callable[[pa.Table], pa.Table]) -> Callable[[Path], None]:
    """Change the index, and mend the manifest."""

    def damage(out: Path) -> None:
        pq.write_table(change(pq.read_table(out / INDEX)), out / INDEX)
        mend(out, INDEX)

    return damage


def bump(name: str, where: int | None = None, by: int = 1) -> Callable[[Path], None]:
    """Add to a number of the index: in that record of the first shard, or in all of them."""

    def change(table: pa.Table) -> pa.Table:
        here = [shard == FIRST for shard in table["shard"].to_pylist()]
        first = here.index(True)
        return column(
            table,
            name,
            lambda values: [
                value + by * (number == first + where if where is not None else here[number])
                for number, value in enumerate(values)
            ],
        )

    return index(change)


ROWS = [
    Case("bad-key-page", "rows", flipped(FIRST, "sample_id", 0, mended=True), (("rows-damaged", FIRST),)),
    Case("same-key", "rows", changed(LABELS, same_key), (("row-duplicate", "labels_only"),)),
    Case("same-key-and-media", "rows", changed(FIRST, same_key), (("row-duplicate", "audio"), ("index-key", FIRST))),
    Case(
        "rows-of-another-split",
        "rows",
        swapped(SECOND, OTHER, mended=True),
        (("index-key", SECOND), ("index-key", OTHER)),
    ),
    Case("copied-over", "rows", copied(SECOND, THIRD), (("row-duplicate", "audio"), ("index-key", THIRD))),
    Case("zero-bytes-index", "rows", emptied(INDEX), (("index-damaged", INDEX),)),
    Case("shard-bytes", "rows", said(lambda m: shard(m).update(media_bytes=7)), (("index-bytes", FIRST),)),
    Case("index-sizes", "rows", bump("size", 1), (("index-bytes", FIRST),)),
    Case(
        "split-bytes",
        "rows",
        said(lambda m: m["configs"][0]["splits"][0].update(media_bytes=7)),
        (("manifest-bytes", "audio/train"),),
    ),
    Case(
        "split-bytes-without-media",
        "rows",
        said(lambda m: m["configs"][1]["splits"][0].update(media_bytes=7)),
        (("manifest-bytes", "labels_only/train"),),
    ),
    Case(
        "moved",
        "rows",
        moved(FIRST, "audio/train-99999-of-00005.parquet"),
        (("index-cells", "audio/train-99999-of-00005.parquet"), ("index-stray", "audio")),
    ),
    Case("shard-digest", "rows", said(lambda m: shard(m).update(digest="0" * 64)), (("shard-digest", FIRST),)),
    Case(
        "cell-digest",
        "rows",
        index(lambda t: column(t, "digest", lambda found: [bytes(32), *found[1:]])),
        (("shard-digest", FIRST),),
    ),
    Case("bad-index", "rows", flipped_at(INDEX, -6), (("index-damaged", INDEX),)),
    Case("index-columns", "rows", index(lambda t: t.drop_columns(["digest"])), (("index-damaged", INDEX),)),
    Case(
        "index-forgotten",
        "rows",
        said(lambda m: m.update(files=[f for f in m["files"] if f["path"] != INDEX])),
        (("file-unexpected", INDEX), ("index-missing", "audio")),
    ),
    Case("record-less", "rows", index(lambda t: t.slice(1)), (("index-cells", FIRST),)),
    Case(
        "record-of-no-shard",
        "rows",
        index(lambda t: pa.concat_tables([t, column(t.slice(0, 1), "shard", lambda _: ["nowhere"])])),
        (("index-stray", "audio"),),
    ),
    Case("row-beyond", "rows", bump("row", 5), (("index-row", FIRST),)),
    Case(
        "present-count",
        "rows",
        said(lambda m: m["configs"][0]["splits"][0]["present"].update(audio=3)),
        (("manifest-present", "audio/train"),),
    ),
    Case("cells-count", "rows", said(lambda m: shard(m).update(cells=1)), (("index-cells", FIRST),)),
]

FULL = [
    Case("other-media", "full", other_media, (("cell-digest", ""),)),
    Case("index-shifted", "full", bump("offset"), (("cell-place", f"{FIRST} `audio`"),)),
    Case("sizes-exchanged", "full", exchanged, (("cell-place", f"{FIRST} `audio`"),)),
    Case("one-offset", "full", bump("offset", 1, by=-1), (("cell-place", f"{FIRST} `audio`"),)),
    Case("one-length", "full", other_length, (("pages-damaged", FIRST),)),
    Case("bad-media-page", "full", flipped(FIRST, "audio.bytes", 0, mended=True), (("pages-damaged", FIRST),)),
    Case(
        "compressed-media",
        "full",
        compressed,
        (("pages-damaged", FIRST),),
    ),
]

CASES = [*FLIPPED, *FILES, *FOOTERS, *ROWS, *FULL]
BELOW: dict[str, Level] = {"footers": "tree", "rows": "footers", "full": "rows"}
"""What is held by a level, and finds nothing of its damages. `sample` may meet some of those of `rows` and `full`."""


def prove(out: Path, level: Any) -> Verified:
    """Verify, and hold every problem to its promise of a known code, a place and a remedy."""
    verified = sealift.verify(out, level)
    for one in verified.problems:
        assert one.code in CODES
        assert one.place
        assert one.remedy
        assert one.severity == "error"
    return verified


def test_what_is_whole_is_proven(good: Path) -> None:
    """Nothing is reported of a publication that is as it was published, at any level."""
    for level in LEVELS:
        assert prove(good, level).problems == ()


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_damage_is_found_at_its_level_and_once(case: Case, out: Path, tmp_path: Path) -> None:
    """The levels before do not see it; its own level and those behind report it, and nothing that follows from it. A
    store that knows digests, and gives the rest in pieces of any length, shows the same as the folder."""
    case.damage(out)
    if case.level in BELOW:
        before = prove(out, BELOW[case.level]).problems
        assert [one.code for one in before if one.code != "file-unexpected"] == []
    for level in dict.fromkeys((case.level, "full")):
        found = [(one.code, one.place) for one in prove(out, level).problems]
        assert [code for code, _ in found] == [code for code, _ in case.found]
        for (_, place), (_, expected) in zip(found, case.found, strict=True):
            assert expected in place
    afar = [(one.code, one.place) for one in FarFolder(out).verify(tmp_path / "work", how=SHORT).problems]
    assert sorted(afar) == sorted(found)


def test_every_code_has_a_damage_that_shows_it() -> None:
    """No code is idle: each is the answer to a damage here, at the level that the table says, or to another test."""
    assert {(code, case.level) for case in CASES for code, _ in case.found if CODES[code].level != case.level} == {
        ("file-unexpected", "rows")
    }
    shown = {code for case in CASES for code, _ in case.found}
    shown |= {code for code, _ in HOSTILE.values()}
    assert shown | _shown_elsewhere() == CODES.keys()


def test_the_documented_damages_are_those_that_were_done() -> None:
    """The table of damages in docs/verify.md has a line for what each damage here shows, at its level, and no line that
    none shows; together its lines have every code."""
    text = (Path(__file__).parents[2] / "docs/verify.md").read_text(encoding="utf-8")
    lines = re.findall(r"^\| [^|]+ \| (\w+) \| ((?:`[a-z0-9-]+`(?:, )?)+) \|$", text, re.MULTILINE)
    listed = {(level, frozenset(re.findall("[a-z0-9-]+", codes))) for level, codes in lines}
    assert len(listed) == len(lines)
    done = {(case.level, frozenset(code for code, _ in case.found)) for case in CASES}
    done |= {("tree", frozenset([code])) for code, _ in HOSTILE.values()}
    shown_elsewhere = {code for _, codes in listed - done for code in codes}
    assert done <= listed
    assert shown_elsewhere == _shown_elsewhere()
    assert {code for _, codes in listed for code in codes} == CODES.keys()


def _shown_elsewhere() -> set[str]:
    """The codes that other tests show: beside the source, beside a certificate, and of stores."""
    return {name for name, code in CODES.items() if code.level in ("against", "certificate")} | {
        "file-unreadable",
        "file-xet-hash",
    }


@pytest.mark.parametrize(
    "path",
    [
        FIRST,
        pytest.param(LABELS, marks=pytest.mark.long),
        INDEX,
        manifest.PATH,
        pytest.param(manifest.CARD, marks=pytest.mark.long),
    ],
)
def test_no_change_of_a_byte_is_a_crash(path: str, out: Path) -> None:
    """Whatever byte of a file changes, and the manifest with it, verify answers with problems or with none, and with
    the same ones however the files are read."""
    whole, dice = (out / path).read_bytes(), random.Random(path)
    listed = (out / manifest.PATH).read_bytes()
    for _ in range(6):
        data = bytearray(whole)
        data[dice.randrange(len(data))] = dice.randrange(256)
        (out / path).write_bytes(data)
        if path != manifest.PATH:
            mend(out, path)
        afar = FarFolder(out).verify(out.parent / "work", how=SHORT)
        assert [(one.code, one.place) for one in prove(out, "full").problems] == [
            (one.code, one.place) for one in afar.problems
        ]
        (out / manifest.PATH).write_bytes(listed)


def test_a_link_out_of_the_folder_is_not_followed(out: Path, tmp_path: Path) -> None:
    """A file that is a link to elsewhere is reported, and what lies there is never opened."""
    (out / FIRST).rename(tmp_path / "elsewhere")
    (out / FIRST).symlink_to(tmp_path / "elsewhere")
    os.utime(tmp_path / "elsewhere", (1, 1))
    assert [(one.code, one.place) for one in prove(out, "full").problems] == [("file-unreadable", FIRST)]
    assert os.stat(tmp_path / "elsewhere").st_atime == 1


def _nested(depth: int) -> dict[str, Any]:
    return {"_type": "List", "feature": _nested(depth - 1)} if depth else {"_type": "Value", "dtype": "int8"}


HOSTILE: dict[str, tuple[str, Callable[[dict[str, Any]], object]]] = {
    "absolute": ("manifest-path", lambda m: shard(m).update(path="/etc/passwd")),
    "above": ("manifest-path", lambda m: shard(m).update(path="audio/../../secret")),
    "nothing-between": ("manifest-path", lambda m: shard(m).update(path="audio//x.parquet")),
    "of-git": ("manifest-path", lambda m: shard(m).update(path=".git/config")),
    "nul": ("manifest-path", lambda m: shard(m).update(path="audio/\0")),
    "itself": ("manifest-path", lambda m: shard(m).update(path=manifest.PATH)),
    "twice": ("manifest-duplicate", lambda m: m["shards"].append(m["shards"][0])),
    "file-and-shard": ("manifest-duplicate", lambda m: m["files"][-1].update(path=FIRST)),
    "config-twice": ("manifest-duplicate", lambda m: m["configs"].append(m["configs"][0])),
    "split-twice": ("manifest-duplicate", lambda m: m["configs"][0]["splits"].append(m["configs"][0]["splits"][0])),
    "shard-of-no-split": ("manifest-stray", lambda m: shard(m).update(split="spare")),
    "index-of-no-config": ("manifest-stray", lambda m: [f.update(config="spare") for f in m["files"] if f["config"]]),
    "rows-as-text": ("manifest-damaged", lambda m: shard(m).update(rows="3")),
    "size-as-float": ("manifest-damaged", lambda m: shard(m).update(size=3.0)),
    "missing-field": ("manifest-damaged", lambda m: shard(m).pop("sha256")),
    "list-for-map": ("manifest-damaged", lambda m: m.update(configs={"a": 1})),
    "key-of-numbers": ("manifest-damaged", lambda m: m.update(key=[1])),
    "features-as-text": ("manifest-damaged", lambda m: m["configs"][0].update(features={"audio": "Audio"})),
    "deep": ("manifest-damaged", lambda m: m["configs"][0]["features"].update(audio=_nested(200))),
    "no-format": ("manifest-damaged", lambda m: m.pop("format")),
    "new-format": ("manifest-format", lambda m: m.update(format=2)),
    "unknown-key": ("manifest-unknown", lambda m: m.update(more=1)),
    "unknown-in-shard": ("manifest-unknown", lambda m: shard(m).update(findings=[])),
    "no-digest": ("manifest-digest", lambda m: shard(m).update(sha256="../" * 21 + "a")),
    "no-xet-hash": ("manifest-digest", lambda m: shard(m).update(xet_hash="A" * 64)),
    "no-cell-digest": ("manifest-digest", lambda m: shard(m).update(digest="")),
    "below-nothing": ("manifest-counts", lambda m: shard(m).update(cells=-1)),
    "beyond-files": ("manifest-counts", lambda m: m["files"][0].update(size=2**63)),
    "more-than-rows": ("manifest-counts", lambda m: m["configs"][0]["splits"][0]["present"].update(audio=999)),
    "bytes-in-no-cell": ("manifest-counts", lambda m: shard(m, LABELS).update(media_bytes=1)),
    "a-number-left-out": ("manifest-order", lambda m: m["shards"].remove(shard(m, SECOND))),
    "in-another-order": ("manifest-order", lambda m: m["shards"].reverse()),
    "feature-of-nothing": ("manifest-features", lambda m: m["configs"][0]["features"].update(room={"_type": "List"})),
    "media-in-no-column": ("manifest-features", lambda m: m["configs"][0]["splits"][0]["present"].update(x=1)),
    "another-plan": ("manifest-plan", lambda m: m["configs"][0].update(id="0" * 64)),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_manifest_is_one_problem(name: str, out: Path) -> None:
    """A manifest that says what none says is one problem of its own code, found before anything it names is read."""
    code, change = HOSTILE[name]
    change_manifest(out, change)
    assert [(one.code, one.place) for one in prove(out, "full").problems] == [(code, manifest.PATH)]


def test_a_key_that_is_said_twice_is_found(out: Path) -> None:
    """Readers of JSON disagree about which of two values counts: the one that was proven, or the other."""
    in_manifest('"plan":', '"plan": "0", "plan":')(out)
    assert [one.code for one in prove(out, "full").problems] == ["manifest-duplicate"]


def _places(said: Any) -> list[tuple[Any, Any]]:
    """Every place in a JSON value: what holds it, and under which name or number."""
    inner = list(said.items()) if isinstance(said, dict) else list(enumerate(said)) if isinstance(said, list) else []
    return [place for name, value in inner for place in ((said, name), *_places(value))]


@pytest.mark.parametrize("rounds", [25, pytest.param(500, marks=pytest.mark.long)])
def test_no_value_in_a_manifest_is_a_crash(rounds: int, out: Path) -> None:
    """Whatever stands in the place of a value, the answer is problems or none, at any level, and no traceback."""
    text, dice = (out / manifest.PATH).read_text(), random.Random(rounds)
    values: list[Any] = [None, -1, 0, 10**30, 1.5, True, "", "audio", "../x", "\udcff", [], {}, [[]], {"_type": "List"}]
    for number in range(rounds):
        said = json.loads(text)
        holder, name = dice.choice([one for one in _places(said) if one[0] is not said["spec"]])
        holder[name] = dice.choice(values)
        (out / manifest.PATH).write_text(json.dumps(said))
        prove(out, ("full", "sample", "footers", "rows")[number % 4])


ODD: dict[str, list[Any]] = {
    "string": ["", None],
    "int64": [None, 2**63 - 1, -(2**63)],
    "int32": [-1, 2**31 - 1],
    "fixed_size_binary[32]": [None, bytes(32)],
}


@pytest.mark.parametrize("name", ("key", "shard", "row", "column", "element", "size", "offset", "digest"))
def test_no_value_in_the_index_is_a_crash(name: str, out: Path) -> None:
    """Whatever a record says, it is a problem of the index or of the cells, at each level that looks at it."""
    whole = pq.read_table(out / INDEX)
    at, place = 1 + whole["shard"].to_pylist().index(FIRST), whole.schema.get_field_index(name)
    for value in (one for one in ODD[str(whole.schema.field(name).type)] if one != whole[name][at].as_py()):
        values = whole[name].to_pylist()
        values[at] = value
        table = whole.set_column(place, whole.schema.field(name), pa.array(values, whole.schema.field(name).type))
        pq.write_table(table, out / INDEX)
        mend(out, INDEX)
        found = {one.code for one in prove(out, "full").problems}
        assert found <= {code for code in CODES if code.startswith(("index-", "cell-"))} | {"shard-digest"}
        assert found
        sampled = {one.code for one in sealift.verify(out, "sample", cells=1000).problems}
        assert sampled <= {"index-stray", "index-key", "index-row", "cell-place", "cell-digest"}
        assert sampled or name in ("key", "element")


@pytest.mark.parametrize("number", [-1, 2**31, 2**63 - 1, 2**63, 10**400])
def test_numbers_beyond_measure_are_found(number: int, out: Path) -> None:
    """Sizes and counts of any magnitude are compared, not believed; what no file can have is found by itself."""
    change_manifest(out, lambda m: shard(m).update(size=number))
    change_manifest(out, lambda m: shard(m, SECOND).update(rows=number, cells=number, media_bytes=number))
    found = [one.code for one in prove(out, "full").problems]
    assert sorted(found) == (["file-size", "footer-rows"] if 0 < number < 2**63 else ["manifest-counts"])


@pytest.mark.parametrize("text", ["", "[]", "3", "null", "[" * 100_000, '{"format": 1}', "\udcff"])
def test_what_is_no_manifest_is_damaged(text: str, out: Path) -> None:
    """Any bytes may lie where the manifest should."""
    (out / manifest.PATH).write_bytes(text.encode("utf-8", "surrogateescape"))
    assert [one.code for one in prove(out, "full").problems] == ["manifest-damaged"]


@pytest.mark.parametrize("name", ["../../outside", "/tmp/outside", "a/b", "x" * 300])
def test_a_hostile_config_writes_nothing_elsewhere(name: str, out: Path, tmp_path: Path) -> None:
    """Names in the manifest never become paths of files that verify writes for itself."""

    def rename(said: dict[str, Any]) -> None:
        said["configs"][0]["name"] = name
        for one in said["shards"] + said["files"]:
            if one["config"] == "audio":
                one["config"] = name

    change_manifest(out, rename)
    before = sorted(tmp_path.rglob("*"))
    assert {one.code for one in prove(out, "full").problems} <= {
        "card-counts",
        "card-files",
        "card-features",
        "index-key",
        "card-default",
    }
    assert sorted(tmp_path.rglob("*")) == before


def test_what_a_repository_and_a_downloader_add_is_not_unexpected(out: Path) -> None:
    """`.gitattributes`, `.git` and the notes that a download leaves belong to no dataset and are passed over."""
    for path in (".gitattributes", ".gitignore", ".git/HEAD", ".cache/huggingface/download/README.md.metadata"):
        (out / path).parent.mkdir(parents=True, exist_ok=True)
        (out / path).write_text("?")
    assert prove(out, "full").problems == ()
