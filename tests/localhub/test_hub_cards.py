"""Card validation: what the Hub refuses and what it lets pass."""

from __future__ import annotations

import pytest
from tests.localhub.wire import Wire

from sealift.localhub.cards import check_card, metadata, tags

WRONG = {
    "license: mine": '"license" must be one of',
    "license: [mit, mine]": '"license[1]" must be one of',
    "language: EN": '"language" must be a string with lowercase characters only',
    "language: [en, no]": '"language[1]" must be a string with lowercase characters only',
    "tags: audio": '"tags" must be an array',
    "tags: [audio, 5]": '"tags[1]" must be a string',
    "pretty_name: 5": '"pretty_name" must be a string',
    "size_categories: [huge]": '"size_categories[0]" must be one of [n<1K, 1K<n<10K',
    "task_categories: {a: b}": '"task_categories" must be a string',
    "configs: default": '"configs" must be an array',
    "configs: [default]": '"configs[0]" must be an object',
    "configs: [{data_files: a}]": '"configs[0].config_name" must be a string',
    "configs: [{config_name: a, data_files: [{path: x}]}]": '"configs[0].data_files[0]" must be a string, or an object',
    "configs: [{config_name: a, data_files: [{split: train, path: []}]}]": '"configs[0].data_files[0]" must be',
    "configs: [{config_name: a, default: 'yes'}]": '"configs[0].default" must be a boolean',
    "configs: [{config_name: a}, {config_name: a}]": "\"configs\" names the config 'a' more than once",
    "dataset_info: [5]": '"dataset_info[0]" must be an object',
    "dataset_info: {features: text}": '"dataset_info[0].features" must be an array',
    "dataset_info: [{config_name: a}, {config_name: a}]": "\"dataset_info\" names the config 'a' more than once",
    "license: [": "Invalid YAML",
    "a: &a [*a]": "Invalid YAML",
    "? 2020-01-01\n: b": "Invalid YAML",
    "- a\n- b": "The metadata must be an object",
}
RIGHT = [
    "license: mit",
    "license: [mit, cc-by-4.0]",
    "license: other\nlicense_name: mine",
    "language:\n- en\n- zxx",
    "size_categories: 1K<n<10K",
    "size_categories: [n>1T]",
    "configs:\n- config_name: a\n  data_files: data/*.parquet\n- config_name: b\n  data_files: [x, y]",
    "configs:\n- config_name: a\n  default: true\n  data_files:\n  - split: train\n    path: [x, y]",
    "dataset_info:\n  features:\n  - name: a\n    dtype: int64\n  splits:\n  - name: train\n    num_examples: 5",
    "when: 2020-01-01\nratio: .nan",
]


@pytest.mark.parametrize("text", WRONG)
def test_what_is_wrong_is_named(text: str) -> None:
    """The message names the key, and says what it must be."""
    [error] = check_card(f"---\n{text}\n---\n# Text\n", "dataset").errors
    assert error.startswith(WRONG[text])


@pytest.mark.parametrize("text", RIGHT)
def test_what_is_right_passes(text: str) -> None:
    """Without a word."""
    found = check_card(f"---\n{text}\n---\n# Text\n", "dataset")
    assert (found.errors, found.warnings) == ([], [])


@pytest.mark.parametrize("text", ["", "# Text", "---\n---\n# Text", "text\n---\nlicense: mine\n---\n"])
def test_a_card_without_metadata_is_warned_of(text: str) -> None:
    """It is no error: clients show the warning and go on."""
    found = check_card(text, "dataset")
    assert (found.errors, found.warnings) == ([], ["empty or missing yaml metadata in repo card"])


def test_metadata_that_is_never_closed_is_an_error() -> None:
    """Everything behind the first line of dashes would be metadata; and text must be UTF-8."""
    assert "has no --- at its end" in check_card("---\nlicense: mit\n# Text", "dataset").errors[0]
    assert check_card(b"---\nlicense: \xff\n---\n", "dataset").errors == ["README.md must be text in UTF-8"]


def test_what_is_for_datasets_is_for_them_alone() -> None:
    """A model may have any `configs`."""
    assert check_card("---\nconfigs: 5\n---\n", "model").errors == []


def test_metadata_is_found_whatever_ends_its_lines() -> None:
    """As written on Windows, too; dates are text."""
    assert metadata("---\r\na: 2020-01-01\r\nb: [1]\r\n---\r\ntext") == {"a": "2020-01-01", "b": [1]}


def test_tags_are_what_the_hub_finds_it_by() -> None:
    """Each value of some keys with its key, then those of the author."""
    data = {"tags": ["audio"], "license": "mit", "language": ["en", "de"], "configs": []}
    assert tags(data) == ["license:mit", "language:en", "language:de", "audio"]


def test_validation_answers_in_json_or_text(wire: Wire) -> None:
    """400 if there is an error, 200 otherwise, without a token; as lines of text for who asks for that."""
    said = {"content": "---\nlicense: mine\n---\n", "repoType": "dataset"}
    answer = wire("POST", "/api/validate-yaml", said, token=None)
    assert answer.status == 400
    assert answer.json()["errors"][0]["message"].startswith('"license" must be one of')
    text = wire("POST", "/api/validate-yaml", said, token=None, headers={"Accept": "text/plain"})
    assert (text.status, text.body[:28]) == (400, b'- Error: "license" must be o')
    bare = wire("POST", "/api/validate-yaml", {"content": "text", "repoType": "dataset"}, token=None)
    assert (bare.status, bare.json()["errors"], len(bare.json()["warnings"])) == (200, [], 1)
