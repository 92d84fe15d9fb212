"""What people said about the dataset, for its card."""

from __future__ import annotations

from pathlib import Path

from sealift.errors import RequestError
from sealift.ports import Destination
from sealift.publish import Words
from sealift.publish.present import card_text
from sealift.spec import Spec, where_to


def words_of(spec: Spec, destination: Destination, readme: str | None) -> Words:
    """The card's metadata, and how it calls the dataset: by its name on the Hub, or by that of its folder."""
    said = spec.card.model_dump(exclude_unset=True, exclude={"readme", "extra"}) | dict(spec.card.extra)
    return Words(said, _name(spec, destination), readme, tuple(spec.configs))


def readme_of(spec: Spec) -> str | None:
    """The text of the card that the spec gives; None if it gives none.

    Raises:
        SpecError: it cannot be read.
    """
    if spec.card.readme is None:
        return None
    file = spec.path(spec.card.readme)
    try:
        return card_text(file.read_bytes())
    except OSError as error:
        raise spec.mistake(f"{file} cannot be read", "card", "readme", hint="check the path") from error
    except RequestError as error:
        raise spec.mistake(error.message, "card", "readme", hint=error.hint) from error


def _name(spec: Spec, destination: Destination) -> str:
    if not destination.here:
        return destination.name.partition("@")[0]
    if spec.to and where_to(spec.to)[0] == "hub":
        return spec.to.removeprefix("hf://datasets/").partition("@")[0]
    return f"./{Path(destination.name).name}"
