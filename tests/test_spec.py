"""sealift.yaml: the grammar, the place of every mistake, variables that stay hidden, and the same in Python."""

from __future__ import annotations

import json
import logging
import traceback
from pathlib import Path
from typing import Any

import pytest
from tests.planning import plan_for, plan_of, put

from sealift.errors import NotSupportedYet, SealiftError, SpecError
from sealift.spec import Media, Shards, Spec, Split, read_environment_file, where_to

VIEWS = """
to: someone/drums
from: ./corpus
tables:
  samples: labels/samples.parquet
  players: splits.json
rows: |
  SELECT s.*, s.audio_path AS audio, CASE WHEN list_contains(p.train, s.player) THEN 'train' ELSE 'test' END AS split
  FROM samples s, players p ORDER BY s.sample_id
key: sample_id
split: {column: split}
media:
  audio: {type: audio, sampling_rate: 44100}
  midi: midi
configs:
  audio: {default: true}
  midi_only: {drop: [audio]}
  labels_only: {drop: [audio, midi]}
also:
  auxiliary/: [labels/strokes.parquet, labels/measures.parquet]
shards: {format: parquet, max_bytes: 1GB}
card: {license: mit, pretty_name: DRUMS, tags: [audio, midi]}
"""
SCANS = """
to: someone/scans
layout: bids
tables: {participants: participants.tsv}
rows: SELECT 'sub-' || f.subject AS subject_id, list(path) AS bold FROM files f GROUP BY 1 ORDER BY 1
key: [subject_id, session_id]
split: train
media: {t1w: nifti, bold: [nifti]}
shards: {max_bytes: 500MB}
expect: {rows: 13}
"""
ARCHIVES = """
rows: SELECT 1
media: {audio: audio}
shards: {format: tar, max_bytes: 1GB}
"""
GROUPS = """
to: ${HF_REPO_ID:-podcasts/segments}
groups:
  path: processed/{language}/{episode}/
  manifest: all_segments.json
rows: SELECT audio FROM manifest
media: {audio: audio}
partition: language_code("group".language)
split: train
publish: append
missing: skip
shards: {groups_per_chunk: 4, max_bytes: 2GiB, row_group_bytes: 128MiB}
"""
STEPS = """
private: true
tables: {qa: questions.jsonl}
rows: SELECT image, question FROM qa ORDER BY image
media: {image: image}
split: {train: 0.8, validation: 0.2, by: image, seed: 7}
transform: {function: prepare.py:prepare, batch: 64}
"""


def load(tmp_path: Path, text: str, **variables: str) -> Spec:
    file = tmp_path / "sealift.yaml"
    file.write_text(text)
    return Spec.load(file, variables)


def mistake(tmp_path: Path, text: str, **variables: str) -> SpecError:
    with pytest.raises(SpecError) as caught:
        load(tmp_path, text, **variables)
    return caught.value


@pytest.mark.parametrize(
    "text", [VIEWS, SCANS, ARCHIVES, GROUPS, STEPS], ids=["views", "scans", "tar", "groups", "steps"]
)
def test_the_grammar_of_five_systems_parses(tmp_path: Path, text: str) -> None:
    """A spec of every kind that someone runs is read without a complaint."""
    assert load(tmp_path, text).media


def test_values_are_as_the_grammar_says(tmp_path: Path) -> None:
    """Short forms and long forms come to the same values: sizes in bytes, names as tuples, lists of media, shares."""
    views, scans = load(tmp_path, VIEWS), load(tmp_path, SCANS)
    groups, steps = load(tmp_path, GROUPS), load(tmp_path, STEPS)
    assert views.media["audio"] == Media(type="audio", options={"sampling_rate": 44100})
    assert (views.key, scans.key) == (("sample_id",), ("subject_id", "session_id"))
    assert (scans.media["bold"].many, scans.media["t1w"].many) == (True, False)
    assert (views.shards.max_bytes, groups.shards.max_bytes) == (10**9, 2 << 30)
    assert groups.shards.row_group_bytes == 128 << 20
    assert groups.to == "podcasts/segments"
    assert steps.split == Split(shares={"train": 0.8, "validation": 0.2}, by="image", seed=7)
    assert views.also == {"auxiliary/": ("labels/strokes.parquet", "labels/measures.parquet")}
    assert (views.missing, groups.missing) == ("fail", "skip")


@pytest.mark.parametrize(
    ("text", "key", "line"),
    [
        (ARCHIVES, "shards.format", 4),
        (GROUPS, "groups", 3),
        ("rows: SELECT 1\npartition: x", "partition", 2),
        ("rows: SELECT 1\npublish: append", "publish", 2),
        (STEPS, "transform", 7),
        ("shards:\n  max_bytes: 1GB\n  groups_per_chunk: 4", "shards.groups_per_chunk", 3),
        ("shards: {cut: x}", "shards.cut", 1),
        ("shards: {members: path}", "shards.members", 1),
        ("shards:\n  format: webdataset", "shards.format", 2),
        ("from: s3://bucket/folder", "from", 1),
    ],
)
def test_what_is_to_come_is_named(tmp_path: Path, text: str, key: str, line: int) -> None:
    """A key that a later version builds answers with the file, the line and the key; the plan asks before all else."""
    spec = load(tmp_path, text)
    with pytest.raises(NotSupportedYet, match="not supported yet") as caught:
        plan_for(spec, tmp_path / "nowhere")
    assert (caught.value.fields["key"], caught.value.fields["line"]) == (key, line)
    assert caught.value.message.startswith(f"{tmp_path}/sealift.yaml:{line}:")


MISTAKES: list[tuple[str, str, int, int, str, str]] = [
    # text, key, line, column, what the message says, what the hint proposes
    ("tabels: {}", "tabels", 1, 1, "unknown key", "did you mean `tables`?"),
    ("shards:\n  max_byte: 1GB", "shards.max_byte", 2, 3, "unknown key", "did you mean `max_bytes`?"),
    ("configs:\n  a:\n    colums: [b]", "configs.a.colums", 3, 5, "unknown key", "did you mean `columns`?"),
    ("features: {a: {class_lable: [x]}}", "features.a.class_lable", 1, 16, "unknown key", "`class_label`"),
    ("card:\n  licence: mit", "card.licence", 2, 3, "unknown key", "did you mean `license`?"),
    ("expect: {row: 1}", "expect.row", 1, 10, "unknown key", "did you mean `rows`?"),
    ("zzz: 1", "zzz", 1, 1, "unknown key", "known here: also, card"),
    ("missing: skipp", "missing", 1, 1, "must be fail, skip or null", "did you mean `skip`?"),
    ("media:\n  a: audo", "media.a", 2, 3, "must be audio, image", "did you mean `audio`?"),
    ("layout: bid", "layout", 1, 1, "must be bids or folder", "did you mean `bids`?"),
    ("publish: replce", "publish", 1, 1, "must be replace or append", "did you mean `replace`?"),
    ("shards: {format: parket}", "shards.format", 1, 10, "must be parquet", "did you mean `parquet`?"),
    ("media: {a: [audio, audio]}", "media.a", 1, 9, "with one type in it", "grammar"),
    ("media: {a: 5}", "media.a", 1, 9, "must be a mapping", "grammar"),
    ("shards: {max_bytes: 5XB}", "shards.max_bytes", 1, 10, "a size such as 500MB", "grammar"),
    ("shards: {max_bytes: 0}", "shards", 1, 1, "sizes must be above 0", "grammar"),
    ("shards: {row_group_bytes: 3GB}", "shards", 1, 1, "below 2 GiB", "grammar"),
    ("shards: {rows: 1, count: 2}", "shards", 1, 1, "not both", "grammar"),
    ("shards: {rows: 0}", "shards.rows", 1, 10, "above 0", "grammar"),
    ("split: {train: 0.5}", "split", 1, 1, "add up to 1", "grammar"),
    ("split: {train: 1.5, test: -0.5}", "split", 1, 1, "above 0", "grammar"),
    ("split:\n  train: x\n  test: 0.1", "split.train", 2, 3, "must be a number", "grammar"),
    ("split: {column: a, all: b}", "split", 1, 1, "say one split", "grammar"),
    ("split: {column: a, seed: 1}", "split", 1, 1, "go with shares", "grammar"),
    ("split: all", "split", 1, 1, "not `all`", "grammar"),
    ("split: tra in", "split", 1, 1, "letters, digits", "grammar"),
    ('split: "train\\n"', "split", 1, 1, "letters, digits", "grammar"),
    ("key: 5", "key", 1, 1, "a name or a list of names", "grammar"),
    ("key: [a, 5]", "key.1", 1, 10, "must be text", "quotes"),
    ("card: {language: [no]}", "card.language.0", 1, 19, "must be text", "put quotes around it"),
    ("private: maybe", "private", 1, 1, "true or false", "grammar"),
    ("expect: {rows: 1.5}", "expect.rows", 1, 10, "whole number", "grammar"),
    ("expect: {tolerance: x}", "expect.tolerance", 1, 10, "a number", "grammar"),
    ("tables: [a]", "tables", 1, 1, "a mapping", "grammar"),
    ("rows: [a]", "rows", 1, 1, "one SELECT", "rows: |"),
    ("configs: {a b: {}}", "configs.a b", 1, 11, "cannot be called", "grammar"),
    ("configs: {data: {}}", "configs.data", 1, 11, "cannot be called", "grammar"),
    ("configs: {a: {default: true}, b: {default: true}}", "", 1, 1, "only one config", "grammar"),
    ("configs: {a: {drop: [x], columns: [y]}}", "configs.a", 1, 11, "not both", "grammar"),
    ("features: {a: {}}", "features.a", 1, 12, "say a dtype", "grammar"),
    ("features: {a: {class_label: [x, x]}}", "features.a", 1, 12, "differ", "grammar"),
    ("groups: {path: a}", "groups.manifest", 1, 1, "is missing", "grammar"),
    ("to: a\nto: b", "to", 2, 1, "said twice (first on line 1)", "keep one"),
    ("media:\n  a: audio\n  a: midi", "media.a", 3, 3, "said twice (first on line 2)", "keep one"),
    ("to: [a", "", 1, 7, "not valid YAML", "indentation"),
    ("card:\n\tlicense: x", "", 2, 1, "not valid YAML", "indentation"),
    ("rows: 'SELECT\nto: x", "", 2, 6, "not valid YAML", "quotes"),
    ("[a]: b", "", 1, 1, "plain word", "quote it"),
    ("to: !!python/object:os.system x", "to", 1, 5, "has no meaning", "plain text"),
    ("to: !!int x", "to", 1, 5, "not a value of its kind", "quotes"),
    ("a: &x [*x]", "a.0", 1, 4, "leads to itself", "write it out"),
    ("to: ${NOBODY}", "to", 1, 1, "NOBODY is not set", "${NOBODY:-default}"),
    ("to: ${NOTHING}", "to", 1, 1, "NOTHING is not set", "${NOTHING:-default}"),
    ("to: ${", "to", 1, 1, "begins no variable", "$${"),
    ("to: ${NAME-x}", "to", 1, 1, "begins no variable", "${NAME:-default}"),
    ("configs: {'${NAME}': {}}", "configs.${NAME}", 1, 11, "cannot stand in a key", "the key itself"),
]


@pytest.mark.parametrize(("text", "key", "line", "column", "says", "proposes"), MISTAKES, ids=[m[0] for m in MISTAKES])
def test_a_mistake_has_its_place(
    tmp_path: Path, text: str, key: str, line: int, column: int, says: str, proposes: str
) -> None:
    """Every mistake names file, line, column and key, says what is wrong and what would be right."""
    error = mistake(tmp_path, text, NOTHING="")
    file = str(tmp_path / "sealift.yaml")
    assert error.message.startswith(f"{file}:{line}:{column}: ")
    assert says in error.message
    assert proposes in error.hint
    assert error.fields == {"file": file, "line": line, "column": column, **({"key": key} if key else {})}


@pytest.mark.parametrize("text", ["", "- a", "just text", "[" * 3000, "a: \0"])
def test_what_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    """A file that is no YAML mapping is a mistake that names the file, and never a traceback of the parser."""
    assert str(tmp_path / "sealift.yaml") in mistake(tmp_path, text).message


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """A spec that is not there, or is no text, is refused by name."""
    with pytest.raises(SpecError, match=r"nowhere\.yaml: cannot be read"):
        Spec.load(tmp_path / "nowhere.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SpecError, match="not UTF-8"):
        Spec.load(tmp_path / "binary.yaml")


def test_aliases_of_aliases_do_not_fill_the_memory(tmp_path: Path) -> None:
    """A few lines of aliases that stand for billions of values are refused, and those that stand for a few are read."""
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    lines += [f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]" for old, new in zip("abcdefgh", "bcdefghi", strict=True)]
    assert "alias" in mistake(tmp_path, "\n".join(lines)).message
    assert load(tmp_path, "key: &k [a, b]\nalso: {x: *k}").also == {"x": ("a", "b")}


def test_keys_and_dates_stay_as_written(tmp_path: Path) -> None:
    """Names such as `no` and `2024` are names where a key stands; a date is text; all of it is JSON."""
    spec = load(tmp_path, "tables: {no: a.csv, 2024: b.csv}\ncard: {extra: {released: 2024-05-01, again: 2024-13-45}}")
    assert list(spec.tables) == ["no", "2024"]
    assert json.loads(json.dumps(spec.as_published()))["card"]["extra"] == {
        "released": "2024-05-01",
        "again": "2024-13-45",
    }


@pytest.mark.parametrize(("said", "meant"), [("null", "null"), ("'null'", "null"), ("fail", "fail"), ("skip", "skip")])
def test_missing_can_be_null(tmp_path: Path, said: str, meant: str) -> None:
    """`missing: null` is the policy of that name, though YAML reads it as nothing."""
    assert load(tmp_path, f"missing: {said}").missing == meant


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("train", Split(all="train")),
        ("{column: fold}", Split(column="fold")),
        ("{all: test}", Split(all="test")),
        ("{train: 0.9, test: 0.1}", Split(shares={"train": 0.9, "test": 0.1})),
        ("{shares: {a: 1}, by: who, seed: 3}", Split(shares={"a": 1.0}, by="who", seed=3)),
    ],
)
def test_forms_of_a_split(tmp_path: Path, said: str, meant: Split) -> None:
    """A split is one for all, a column, or shares; shares may stand at once or behind the word."""
    assert load(tmp_path, f"split: {said}").split == meant


@pytest.mark.parametrize(
    ("said", "meant"),
    [("1GB", 10**9), ("1GiB", 1 << 30), ("500MB", 5 * 10**8), ("1.5kB", 1500), ("12345", 12345), ("2 TiB", 2 << 40)],
)
def test_sizes(tmp_path: Path, said: str, meant: int) -> None:
    """GB are powers of ten and GiB powers of two, as everywhere else."""
    assert load(tmp_path, f"shards: {{max_bytes: {said}}}").shards.max_bytes == meant


def test_variables_are_filled_in_values(tmp_path: Path) -> None:
    """`${X}`, a default where it is not set or empty, an escape, and several in one text."""
    text = "to: ${A}/${B:-b}\nfrom: $${A}\nlisting: ${EMPTY:-c}-${A}\nprivate: ${YES}\nshards:\n  rows: ${N}"
    spec = load(tmp_path, text, A="a", EMPTY="", YES="true", N="7")
    assert (spec.to, spec.from_, spec.listing) == ("a/b", "${A}", "c-a")
    assert (spec.private, spec.shards.rows) == (True, 7)


SECRET = "hf_s3cr3t-value"


@pytest.mark.parametrize(
    "text",
    [
        "missing: ${TOKEN}",
        "layout: ${TOKEN}",
        "split: ${TOKEN} x",
        "split: {'train': '${TOKEN}'}",
        "shards:\n  max_bytes: ${TOKEN}",
        "shards:\n  max_bytes: 5${TOKEN}",
        "shards:\n  rows: ${TOKEN}",
        "media:\n  a: ${TOKEN}",
        "private: ${TOKEN}",
        "features:\n  a: {class_label: '${TOKEN}'}",
        "expect:\n  rows: ${TOKEN}",
        "rows: ['${TOKEN}']",
        "publish: ${TOKEN}\nzzz: 1",
        "configs:\n  a: ${TOKEN}",
    ],
)
def test_a_mistake_does_not_show_a_variable(tmp_path: Path, text: str) -> None:
    """What a variable holds appears nowhere in an error: message, hint, fields, traceback; nor what it is near to."""
    error = mistake(tmp_path, text, TOKEN=SECRET)
    shown = "".join(traceback.format_exception(error)) + json.dumps(error.as_json()) + str(error) + repr(error)
    assert SECRET not in shown
    assert "did you mean" not in mistake(tmp_path, "missing: ${TOKEN}", TOKEN="skipp").hint


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rows: SELECT 1 AS a\nkey: ${TOKEN}", "${TOKEN}"),
        ("rows: SELECT 1 AS a\nsplit:\n  column: ${TOKEN}", "${TOKEN}"),
        ("rows: SELECT CAST('${TOKEN}' AS INTEGER) AS a", "${TOKEN}"),
        ("rows: SELECT 1 AS a\ntables:\n  t: ${TOKEN}.csv", "${TOKEN}.csv"),
        ("rows: SELECT 1 AS a\nlisting: ${TOKEN}.csv", "${TOKEN}.csv"),
        ("rows: SELECT 1 AS a\nalso:\n  x: ${TOKEN}.csv", "${TOKEN}.csv"),
        ("rows: SELECT '${TOKEN}' AS a\nfeatures:\n  a: float32", "${TOKEN}"),
        ("rows: SELECT 'a/b' AS a, '${TOKEN} !' AS s\nsplit: {column: s}", "${TOKEN}"),
        ("rows: SELECT 1 AS a\nmedia:\n  a: {type: audio, sampling_rate: '${TOKEN}'}", "sampling_rate"),
    ],
)
def test_a_plan_does_not_show_a_variable(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str, shown: str
) -> None:
    """Errors that only the data shows name the variable in place of what it holds; nothing is logged."""
    root = put(tmp_path / "corpus", {"a.bin": b"a"})
    spec = load(tmp_path, text, TOKEN=SECRET)
    with caplog.at_level(logging.DEBUG), pytest.raises(SealiftError) as caught:
        plan_for(spec, root)
    error = caught.value
    assert SECRET not in str(error) + json.dumps(error.as_json()) + caplog.text
    assert shown in str(error)


def test_short_values_are_hidden_as_words(tmp_path: Path) -> None:
    """A variable of a letter or two hides where it stands alone, and does not riddle the message."""
    spec = load(tmp_path, "rows: SELECT 1 AS a\nkey: ${K}", K="on")
    assert spec.mistake("no column `on` in one", "key").message.endswith("no column `${K}` in one")


def test_a_variable_is_not_in_what_is_published(tmp_path: Path) -> None:
    """The manifest has the spec as written, variables unfilled, and without source, destination and listing."""
    text = "to: ${TOKEN}\nfrom: ${TOKEN}\nlisting: x.csv\nrows: SELECT '${TOKEN}' AS a\ncard: {extra: {x: '${TOKEN}'}}"
    spec = load(tmp_path, text, TOKEN=SECRET)
    assert spec.as_published() == {"rows": "SELECT '${TOKEN}' AS a", "card": {"extra": {"x": "${TOKEN}"}}}
    assert SECRET not in f"{spec!r} {spec} {[spec]}"
    assert spec.from_ == SECRET


def test_what_is_said_anew_is_published(tmp_path: Path) -> None:
    """What the command line or a layout puts in place of the spec's words is what the manifest says."""
    spec = load(tmp_path, "shards: {max_bytes: 1GB}\nprivate: false").having(shards=Shards(rows=5), private=None)
    assert spec.as_published() == {"shards": {"rows": 5}, "private": False}
    completed = spec.completed(rows="SELECT 1", shards={"count": 1}, media={"a": "audio"})
    assert (completed.rows, completed.shards.rows) == ("SELECT 1", 5)
    assert completed.as_published()["media"]["a"]["type"] == "audio"


def test_an_environment_file_is_read(tmp_path: Path) -> None:
    """NAME=value lines, with `export`, quotes, comments and blank lines; anything else is a mistake with its line."""
    file = tmp_path / "env"
    file.write_text("# a comment\n\nA=1\nexport B='two words'\nC=\"x=y\"\nD=\n")
    assert read_environment_file(file) == {"A": "1", "B": "two words", "C": "x=y", "D": ""}
    file.write_text(f"A=1\n{SECRET}\n")
    with pytest.raises(SpecError, match=":2: not a NAME=value line") as caught:
        read_environment_file(file)
    assert SECRET not in str(caught.value)


def test_paths_count_from_the_spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path in a spec file counts from its folder, wherever one stands; in Python, from where one stands."""
    (tmp_path / "there").mkdir()
    file = tmp_path / "there" / "sealift.yaml"
    file.write_text("from: ../corpus")
    monkeypatch.chdir(tmp_path)
    assert Spec.load("there/sealift.yaml").path("../corpus") == tmp_path / "corpus"
    assert Spec.load("there/sealift.yaml").path("/else") == Path("/else")
    assert Spec(from_="corpus").path("corpus") == tmp_path / "corpus"


@pytest.mark.parametrize("text", [VIEWS, SCANS, GROUPS, STEPS], ids=["views", "scans", "groups", "steps"])
def test_python_says_the_same_as_yaml(tmp_path: Path, text: str) -> None:
    """`Spec(...)` with the words of a file holds the same values as the file does."""
    written = load(tmp_path, text)
    assert written._document is not None
    words = {"from_" if name == "from" else name: value for name, value in written._document.data.items()}
    assert dict(Spec(**words)) == dict(written)


def test_python_and_yaml_give_the_same_plan(tmp_path: Path) -> None:
    """The same spec in Python and in YAML plans to the same identities."""
    root = put(tmp_path / "corpus", {"a.flac": b"a", "b.flac": b"bb"})
    text = "rows: SELECT path AS audio, size FROM files ORDER BY path\nmedia: {audio: audio}\n"
    text += "split: {a: 0.5, b: 0.5, by: audio}"
    python = Spec(
        rows="SELECT path AS audio, size FROM files ORDER BY path",
        media={"audio": "audio"},
        split={"a": 0.5, "b": 0.5, "by": "audio"},
    )
    assert plan_for(load(tmp_path, text), root).ids == plan_for(python, root).ids


@pytest.mark.parametrize(
    ("said", "key", "proposes"),
    [
        ({"medai": {}}, "medai", "did you mean `media`?"),
        ({"missing": "skp"}, "missing", "did you mean `skip`?"),
        ({"shards": {"max_byte": 1}}, "shards.max_byte", "did you mean `max_bytes`?"),
    ],
)
def test_a_mistake_in_python_names_the_key(said: dict[str, Any], key: str, proposes: str) -> None:
    """Without a file there is no line, but there is a key and the nearest valid one."""
    with pytest.raises(SpecError) as caught:
        Spec(**said)
    assert caught.value.fields == {"key": key}
    assert proposes in caught.value.hint


def test_a_mistake_in_a_media_option_has_its_place(tmp_path: Path) -> None:
    """An option that a media type does not have, or does not take, is named at its place."""
    text = "rows: SELECT 'a' AS audio\nmedia:\n  audio:\n    type: audio\n    sampling_rat: 5"
    with pytest.raises(SpecError, match="sampling_rat") as caught:
        plan_for(load(tmp_path, text), put(tmp_path / "corpus", {}))
    assert (caught.value.fields["line"], caught.value.fields["key"]) == (5, "media.audio.sampling_rat")
    assert "did you mean 'sampling_rate'" in caught.value.hint


def test_rows_must_come_from_somewhere(tmp_path: Path) -> None:
    """A spec without `rows:` and without a layout is a mistake that says so."""
    root = put(tmp_path / "corpus", {"a": b"a"})
    with pytest.raises(SpecError, match="nothing says what the rows are"):
        plan_for(load(tmp_path, "media: {a: audio}"), root)
    with pytest.raises(SpecError, match="no folder layout"):
        plan_for(load(tmp_path, "layout: folder"), root)
    assert plan_of(root, "SELECT path FROM files").ids


@pytest.mark.parametrize("to", ["s3://bucket/folder", "gs://bucket"])
def test_an_address_that_is_not_known_is_no_folder(to: str) -> None:
    """What looks like an address is not taken for the name of a folder."""
    with pytest.raises(NotSupportedYet):
        where_to(to)


@pytest.mark.parametrize(
    ("to", "kind"),
    [
        ("org/name", "hub"),
        ("org/name@v2", "hub"),
        ("org/name@refs/pr/1", "hub"),
        ("hf://datasets/org/name@a/b", "hub"),
        ("https://hub.example/datasets/org/name", "hub"),
        ("./out", "folder"),
        ("../org/name", "folder"),
        ("/data/out", "folder"),
        ("./out@home", "folder"),
        ("~/out", "folder"),
        ("out", "folder"),
    ],
)
def test_repositories_and_folders_are_told_apart(to: str, kind: str) -> None:
    """`org/name` is a repository, with any revision after the @; a path is a folder."""
    assert where_to(to) == (kind, to)
