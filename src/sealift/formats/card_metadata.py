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
MOST_CHARACTERS = 4 << 20
"""Metadata of more are not looked at: it would take minutes."""
MOST_VALUES = 1_000_000
"""More values than this, counted as often as aliases repeat them, are meant to fill the memory."""
_INT, _DIGITS = "tag:yaml.org,2002:int", 100
_LAST = "train-eval-index"
_LAST_IN_PYTHON = "train_eval_index"


def split_card(card: str) -> tuple[dict[str, Any], str]:
    """The metadata of a card, without keys that say nothing, and its text; the text is kept character for character.

    Raises:
        ValueError: what stands between the dashes is no mapping of words, or far too much.
        yaml.YAMLError: it is no YAML.
    """
    block = _BLOCK.match(card)
    if block is None:
        return {}, card
    said = _loaded(block[1])
    if not isinstance(said, dict | None):
        raise ValueError("it should be keys with their values")
    if wrong := [name for name in said or {} if not isinstance(name, str)]:
        raise ValueError(f"the key {wrong[0]!r} is no text")
    return _in_order(said or {}), card[block.end() :]


def _loaded(text: str) -> Any:
    """What the YAML says; a few lines of aliases can say billions, and are refused before they are followed."""
    if len(text) > MOST_CHARACTERS:
        raise ValueError(f"it has {len(text)} characters")
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _weight(node, {})
        return loader.construct_document(node)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    finally:
        loader.dispose()


def _weight(node: yaml.Node, known: dict[yaml.Node, int | None]) -> int:
    """How many values the node stands for, each alias followed.

    Raises:
        ValueError: they are too many, it holds itself, or a number that nobody could write down.
    """
    if node not in known:
        if node.tag == _INT and len(node.value) > _DIGITS:
            raise ValueError(f"it holds a number of {len(node.value)} characters")
        known[node] = None
        inner = node.value if isinstance(node, yaml.CollectionNode) else []
        children = [child for one in inner for child in (one if isinstance(one, tuple) else (one,))]
        known[node] = 1 + sum(_weight(child, known) for child in children)
    weight = known[node]
    if weight is None or weight > MOST_VALUES:
        raise ValueError("it is an alias that leads to itself, or to too many values")
    return weight


def yaml_of(metadata: Mapping[str, Any]) -> str:
    """The metadata as YAML, in the library's order of keys, without those that say nothing; no break at the end."""
    return yaml.dump(_in_order(metadata), sort_keys=False, allow_unicode=True, line_break="\n").strip()


def _in_order(said: Mapping[str, Any]) -> dict[str, Any]:
    first = {name: said[name] for name in _FIRST if name in said}
    rest = {name: value for name, value in said.items() if name not in (*_FIRST, _LAST_IN_PYTHON)}
    last = said.get(_LAST_IN_PYTHON) or rest.pop(_LAST, None)
    return {name: value for name, value in {**first, **rest, _LAST: last}.items() if value is not None}
