"""A card's metadata: the YAML between two lines of dashes, read and written as `huggingface_hub` does it.

That library's own classes load its whole client, which takes longer than a small dataset does. tests/test_card.py holds
this against them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

_BLOCK = re.compile(r"\s*---(?:\r\n|\r|\n)(.*?)(?:\r\n|\r|\n)---[ \t]*(?:\r\n|\n|$)", re.DOTALL)
"""What the Hub takes for metadata; text that does not begin so has none."""

_FIRST = (
    "annotations_creators",
    "language_creators",
    "language",
    "license",
    "multilinguality",
    "size_categories",
    "source_datasets",
    "task_categories",
    "task_ids",
    "paperswithcode_id",
    "pretty_name",
    "config_names",
)
_LAST = "train-eval-index"
_LAST_IN_PYTHON = "train_eval_index"


def split_card(card: str) -> tuple[dict[str, Any], str]:
    """The metadata of a card, without keys that say nothing, and its text; the text is kept character for character.

    Raises:
        ValueError: what stands between the dashes is no mapping of words.
        yaml.YAMLError: it is no YAML.
    """
    block = _BLOCK.match(card)
    if block is None:
        return {}, card
    said = yaml.safe_load(block[1])
    if not isinstance(said, dict | None):
        raise ValueError("it should be keys with their values")
    if wrong := [name for name in said or {} if not isinstance(name, str)]:
        raise ValueError(f"the key {wrong[0]!r} is no text")
    return _in_order(said or {}), card[block.end() :]


def yaml_of(metadata: Mapping[str, Any]) -> str:
    """The metadata as YAML, in the library's order of keys, without those that say nothing; no break at the end."""
    return yaml.dump(_in_order(metadata), sort_keys=False, allow_unicode=True, line_break="\n").strip()


def _in_order(said: Mapping[str, Any]) -> dict[str, Any]:
    first = {name: said[name] for name in _FIRST if name in said}
    rest = {name: value for name, value in said.items() if name not in (*_FIRST, _LAST_IN_PYTHON)}
    last = said.get(_LAST_IN_PYTHON) or rest.pop(_LAST, None)
    return {name: value for name, value in {**first, **rest, _LAST: last}.items() if value is not None}
