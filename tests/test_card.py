"""The card: people's text stays as it is, the metadata is true, and the libraries read it."""

from __future__ import annotations

import ast
from typing import Any

import pyarrow as pa
import pytest
import yaml
from datasets import DatasetInfo
from datasets.info import DatasetInfosDict
from huggingface_hub import DatasetCard, DatasetCardData
from hypothesis import given
from hypothesis import strategies as st

from sealift.errors import RequestError
from sealift.formats.card import check_card, read_card, split_counts, write_card
from sealift.formats.card_metadata import split_card, yaml_of
from sealift.formats.card_section import BEGIN, END, CardConfig, CardContent, CardSplit, CardTable
from sealift.formats.features import feature_of

FEATURES = {"id": feature_of(pa.string()), "audio": {"_type": "Audio"}}


def config(name: str = "default", rows: int = 5, *, default: bool = True, **features: Any) -> CardConfig:
    splits = [CardSplit(split, f"{name}/{split}-*.parquet", rows, 100 * rows, {"audio": rows - 1}) for split in "ab"]
    return CardConfig(name, default, {**FEATURES, **features}, splits, 1234)


def content(*configs: CardConfig, tables: Any = (), gone: Any = (), **said: Any) -> CardContent:
    return CardContent("org/name", configs or [config()], tables, said, frozenset(gone))


def section_of(card: str) -> str:
    return card[card.index(BEGIN) : card.index(END) + len(END)]


def body(card: str) -> str:
    """The card's text, without its metadata and without our section."""
    text = DatasetCard(card).text
    return text.replace(section_of(text), "<section>")


def test_a_new_card_has_a_title() -> None:
    """Without a card of the user's there is one with the dataset's name over the section."""
    assert body(write_card(content())) == "\n# name\n\n<section>\n"
    assert body(write_card(content(pretty_name="My Data"))).startswith("\n# My Data\n")


@given(before=st.text(), after=st.text(), breaks=st.sampled_from(["\n", "\r\n", "\r"]))
def test_what_people_wrote_is_kept(before: str, after: str, breaks: str) -> None:
    """Text before and after the marks stays, character for character, whatever ends its lines; writing the card again
    changes nothing."""
    before, after = (part.encode("utf-8", "ignore").decode().replace("\n", breaks) for part in (before, after))
    first = write_card(content(), f"---\nlicense: mit\n---\n{before}{BEGIN}\nold\n{END}{after}")
    assert body(first) == f"{before}<section>{after}"
    assert write_card(content(), first) == first


@pytest.mark.parametrize("breaks", ["\n", "\r\n"])
@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("# Title\n\nWords.\n", "# Title\n\nWords.\n\n<section>\n"),
        ("# Title\n\nWords.", "# Title\n\nWords.\n\n<section>\n"),
        ("---\nlicense: mit\n---\n# Title\n\n", "# Title\n\n<section>\n"),
        ("\n  ---\nlicense: mit\n---\n\n# Title\n", "\n# Title\n\n<section>\n"),
        ("---\nlicense: mit\n---", "<section>\n"),
        ("a\n---\nlicense: mit\n---\n", "a\n---\nlicense: mit\n---\n\n<section>\n"),
        ("--- no metadata\n", "--- no metadata\n\n<section>\n"),
        ("---\nhalf: metadata\n", "---\nhalf: metadata\n\n<section>\n"),
    ],
)
def test_the_section_goes_to_the_end_at_first(text: str, kept: str, breaks: str) -> None:
    """A card without marks keeps its text, and gets the section after it, with a blank line between."""
    text, kept = text.replace("\n", breaks), kept.replace("\n", breaks)
    plain = body(write_card(content(), text))
    assert plain.replace("\r\n", "\n") == kept.replace("\r\n", "\n")
    assert plain.startswith(kept.partition("<section>")[0].rstrip())


def test_other_metadata_is_kept() -> None:
    """Keys that we do not write keep their values and order, whatever their type."""
    other = {
        "annotations_creators": ["expert"],
        "train-eval-index": [{"config": "x", "task": "y"}],
        "extra_gated_prompt": "You agree:\n- to this\n- and 'that': \"all\"\n",
        "viewer": False,
        "number": 1.5,
        "nested": {"b": [1, {"c": "ü"}], "a": "no"},
        "language": ["no", "en"],
    }
    card = f"---\n{yaml.safe_dump(other, sort_keys=False, allow_unicode=True)}---\ntext"
    found = dict(read_card(write_card(content(license="mit", tags=("a", "b")), card)))
    assert {name: found[name] for name in other} == other
    assert (found["license"], found["tags"]) == ("mit", ["a", "b"])


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.dates() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
KEYS = st.sampled_from(["tags", "train-eval-index", *vars(DatasetCardData())]) | st.text(max_size=5)


@given(
    said=st.dictionaries(KEYS, VALUES, max_size=6),
    start=st.sampled_from(["---", " \n---", "a\n---", "----", ""]),
    end=st.sampled_from(["---", "--- \t", "---\n", ""]),
    breaks=st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_the_metadata_is_that_of_the_library(said: dict[str, Any], start: str, end: str, breaks: str) -> None:
    """Where a card's metadata ends, what it says and how it is written, to the byte, is as `huggingface_hub` has it."""
    assert yaml_of(said) == DatasetCardData(**said).to_yaml(line_break="\n")
    card = f"{start}\n{yaml.dump(said)}\n{end}\n# Title\n---\n".replace("\n", breaks)
    library = DatasetCard(card, ignore_metadata_errors=True)
    metadata, text = split_card(card)
    assert (repr(metadata), text) == (repr(library.data.to_dict()), library.text)


def test_what_the_spec_says_goes_before() -> None:
    """Metadata of the spec replaces that of the card; what the spec leaves empty does not."""
    card = "---\nlicense: mit\ntags: [old]\npretty_name: Old\n---\n"
    found = read_card(write_card(content(license="cc0-1.0", tags=(), pretty_name=None), card))
    assert (found["license"], found["tags"], found["pretty_name"]) == ("cc0-1.0", ["old"], "Old")


def test_other_peoples_configs_are_kept() -> None:
    """Configs that are not ours stay after ours, but for being the default; ours that are gone, go."""
    others = {
        "configs": [{"config_name": "theirs", "default": True, "data_files": "x/*"}, {"config_name": "old"}],
        "dataset_info": [{"config_name": "theirs", "dataset_size": 7}, {"config_name": "old"}],
    }
    card = f"---\n{yaml.safe_dump(others)}---\n"
    found = read_card(write_card(content(config("ours"), gone=["old"]), card))
    assert [one["config_name"] for one in found["configs"]] == ["ours", "theirs"]
    assert found["configs"][1] == {"config_name": "theirs", "data_files": "x/*"}
    assert [one["config_name"] for one in found["dataset_info"]] == ["ours", "theirs"]
    assert found["dataset_info"][1]["dataset_size"] == 7


def test_their_default_stays_where_we_have_none() -> None:
    """If none of our configs is the default, theirs is not touched."""
    card = "---\nconfigs: [{config_name: theirs, default: true}]\n---\n"
    found = read_card(write_card(content(config("ours", default=False)), card))
    assert found["configs"][1] == {"config_name": "theirs", "default": True}


@pytest.mark.parametrize(
    "said", ["configs: text", "dataset_info: [1, 2]", "configs: {config_name: default}", "dataset_info:"]
)
def test_metadata_of_another_shape_is_no_obstacle(said: str) -> None:
    """What stands under our keys in a shape that no library reads, or that of a single config, is replaced."""
    found = read_card(write_card(content(), f"---\n{said}\n---\n"))
    assert [one["config_name"] for one in found["configs"]] == ["default"]
    assert [one["config_name"] for one in found["dataset_info"]] == ["default"]


def test_the_default_comes_first() -> None:
    """Readers that take the first config get the default one."""
    found = read_card(write_card(content(config("b", default=False), config("a"))))
    assert [(one["config_name"], one.get("default")) for one in found["configs"]] == [("a", True), ("b", None)]
    assert [one["config_name"] for one in found["dataset_info"]] == ["a", "b"]


@pytest.mark.parametrize(
    ("rows", "category"),
    [(0, "n<1K"), (499, "n<1K"), (500, "1K<n<10K"), (49_999, "10K<n<100K"), (50_000, "100K<n<1M"), (10**13, "n>1T")],
)
def test_the_size_category_is_that_of_the_largest_config(rows: int, category: str) -> None:
    """It counts the rows of all splits of a config (here two of so many)."""
    found = read_card(write_card(content(config("a", rows=0), config("b", rows=rows, default=False))))
    assert found["size_categories"] == [category]


def test_the_libraries_read_it() -> None:
    """`huggingface_hub` and `datasets` find configs, features, split sizes and bytes in the card."""
    card = DatasetCard(write_card(content(config("a"), config("b", rows=7, default=False))))
    infos = DatasetInfosDict.from_dataset_card_data(card.data)
    assert list(infos) == ["a", "b"]
    info: DatasetInfo = infos["b"]
    assert {name: (split.num_examples, split.num_bytes) for name, split in (info.splits or {}).items()} == {
        "a": (7, 700),
        "b": (7, 700),
    }
    assert (info.download_size, info.dataset_size) == (1234, 1400)
    assert [type(feature).__name__ for feature in (info.features or {}).values()] == ["Value", "Audio"]


def test_split_counts_are_read_back() -> None:
    """`split_counts` finds what the card claims."""
    found = read_card(write_card(content(config("a"), config("b", rows=7, default=False))))
    assert split_counts(found) == {("a", "a"): 5, ("a", "b"): 5, ("b", "a"): 7, ("b", "b"): 7}


@pytest.mark.parametrize(
    "card",
    ["---\na: [\n---\n", "---\n- a\n- b\n---\n", "---\njust text\n---\n", "---\n1: 2\n---\n", "---\na: !x\n---\n"],
)
def test_metadata_that_cannot_be_read_is_named(card: str) -> None:
    """The card is refused with what is wrong, before it is written and when it is only looked at."""
    for use in (lambda: write_card(content(), card), lambda: check_card(card), lambda: read_card(card)):
        with pytest.raises(RequestError, match=r"README.md") as caught:
            use()
        assert "YAML" in caught.value.hint


@pytest.mark.parametrize("card", [f"a\n{BEGIN}\nours\ntheirs", f"a\n{END}\nb", f"{END}{BEGIN}"])
def test_one_mark_without_the_other_is_refused(card: str) -> None:
    """Where our section ends is not guessed: text of people might go."""
    for use in (lambda: write_card(content(), card), lambda: check_card(card)):
        with pytest.raises(RequestError, match="mark"):
            use()


def test_the_tables_tell_rows_columns_and_files() -> None:
    """The section shows every split of every config, the columns of the widest, and the tables beside the data."""
    tables = [CardTable("aux/t.csv", None, ("a", "b")), CardTable("aux/notes.txt", None, None)]
    section = section_of(
        write_card(content(config("a", 1500, extra=feature_of(pa.int8())), config("b", default=False), tables=tables))
    )
    assert "| a | a | 1,500 | 1,499 audio | 150,000 |" in section
    assert "| b | b | 5 | 4 audio | 500 |" in section
    assert "| `audio` | audio | all |" in section
    assert "| `extra` | int8 | a |" in section
    assert "- `aux/t.csv` (a, b)\n" in section
    assert "- `aux/notes.txt`\n" in section


def test_names_do_not_break_the_tables() -> None:
    """A bar or a line end in a column's name stays in its cell."""
    odd: dict[str, Any] = {"a|b\nc": feature_of(pa.int8())}
    section = section_of(write_card(content(config(**odd))))
    assert "| `a\\|b c` | int8 | all |" in section


def snippets(card: str) -> list[str]:
    return [part.partition("```")[0] for part in section_of(card).split("```python\n")[1:]]


@pytest.mark.parametrize("name", ['with "quotes"', "back\\slash", "two\nlines", "ünï", "{braces}"])
def test_the_snippets_are_python_for_any_name(name: str) -> None:
    """Whatever tables, configs and folders are called, the code in the card parses, and names them exactly."""
    tables = [CardTable(f"aux/{name}.csv", None, None), CardTable("b/class.csv", None, None)]
    made = CardContent(f"./{name}", [config(name), config("b", default=False)], tables, {})
    code = "\n".join(snippets(write_card(made)))
    said = [node.value for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Constant)]
    assert said.count(f"./{name}") == 2
    assert name in said
    assert f"./{name}/aux/{name}.csv" in said


def test_each_table_has_a_variable_of_its_own() -> None:
    """Tables of the same name in two folders, and names that Python keeps for itself, do not hide each other."""
    paths = ["a/t.csv", "b/t.tsv", "c/t.jsonl", "pd.parquet", "class.json", "2024-01.csv", "t_2.csv", "notes.txt"]
    code = snippets(write_card(content(tables=[CardTable(path, None, None) for path in paths])))[1]
    assigned = [node.targets[0].id for node in ast.parse(code).body if isinstance(node, ast.Assign)]  # type: ignore[attr-defined]
    assert assigned == ["t", "t_2", "t_3", "pd_2", "table_class", "table_2024_01", "t_2_2"]


@pytest.mark.parametrize(
    ("repository", "place"), [("org/name", "hf://datasets/org/name/t.csv"), ("./out", "./out/t.csv")]
)
def test_tables_are_read_from_where_the_dataset_is(repository: str, place: str) -> None:
    """On the Hub by its URL, in a folder by its path."""
    made = CardContent(repository, [config()], [CardTable("t.csv", None, None)], {})
    assert f'pd.read_csv("{place}")' in write_card(made)
