"""YAML of others: a spec, a card. It makes no objects, and a few lines of it fill no memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from sealift.errors import RequestError, SpecError
from sealift.formats.card import read_card
from sealift.formats.card_metadata import MOST_CHARACTERS
from sealift.spec import Spec
from sealift.spec.document import MOST_BYTES, read_environment_file


def doubling(first: str, again: str, steps: int = 30) -> str:
    """Lines of which each says the one before nine times."""
    lines = [f"a0: &a0 {first}"]
    lines += [f"a{number}: &a{number} {again.format(', '.join([f'*a{number - 1}'] * 9))}" for number in range(1, steps)]
    return "\n".join(lines)


BOMBS = {
    "aliases": doubling("[x, x]", "[{}]"),
    "merged keys": doubling("{x: 1}", "{{<<: [{}]}}"),
    "a list in itself": "a: &a [*a]",
    "a mapping in itself": "a: &a {b: *a}",
    "deep": "a: " + "[" * 1200 + "]" * 1200,
    "an object": "a: !!python/object/apply:os.system [id]",
    "a name": "a: !!python/name:os.system",
    "a tag": "a: !secret x",
    "a large number": "a: " + "9" * 5000,
    "a number by sixties": "a: 1" + ":59" * 3000,
    "a time that is none": "a: !!timestamp x",
    "bytes that are none": "a: !!binary x",
    "a key that is a list": "? [a]\n: b",
    "an alias of nothing": "a: *b",
    "control characters": "a: \x07",
}


@pytest.mark.parametrize("bomb", BOMBS, ids=str)
def test_a_card_is_read_or_refused(bomb: str) -> None:
    """What others wrote above a card's text is a mistake with a file to mend, whatever it says."""
    with pytest.raises(RequestError, match=r"README\.md"):
        read_card(f"---\n{BOMBS[bomb]}\n---\n# Text\n")


@pytest.mark.parametrize("bomb", BOMBS, ids=str)
def test_a_spec_is_read_or_refused(bomb: str, tmp_path: Path) -> None:
    """Every mistake names the file."""
    (tmp_path / "sealift.yaml").write_text(BOMBS[bomb])
    with pytest.raises(SpecError, match=r"sealift\.yaml"):
        Spec.load(tmp_path / "sealift.yaml")


def test_a_card_that_uses_aliases_is_read() -> None:
    """They are no harm as long as they are few."""
    assert read_card("---\na: &b [1, 2]\nc: *b\nd: {<<: {e: 1}}\n---\n")["c"] == [1, 2]


def test_long_metadata_is_refused_at_once() -> None:
    """It is not even parsed, which would take minutes."""
    with pytest.raises(RequestError, match="characters"):
        read_card("---\na: 1\n" + "#" * MOST_CHARACTERS + "\n---\n")


def test_a_file_without_end_is_no_spec() -> None:
    """Nor are variables read from one."""
    with pytest.raises(SpecError, match=f"more than {MOST_BYTES} bytes"):
        Spec.load("/dev/zero")
    with pytest.raises(SpecError, match=f"more than {MOST_BYTES} bytes"):
        read_environment_file(Path("/dev/zero"))
