"""The dataset card: README.md with its metadata, merged into what people wrote, and a section between marks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sealift.errors import RequestError
from sealift.formats.card_metadata import split_card, yaml_of
from sealift.formats.card_section import BEGIN, END, CardConfig, CardContent, section
from sealift.formats.features import card_features

_SIZES = [
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
    (100_000_000, "10M<n<100M"),
    (1_000_000_000, "100M<n<1B"),
    (10_000_000_000, "1B<n<10B"),
    (100_000_000_000, "10B<n<100B"),
    (1_000_000_000_000, "100B<n<1T"),
]


def write_card(content: CardContent, existing: str | None = None) -> str:
    """The card with this content; the text and the other metadata of an existing card stay as they are.

    Raises:
        RequestError: the existing card has metadata that cannot be read, or one mark without the other.
    """
    data, old = _parse(existing) if existing else ({}, None)
    data.update({name: value for name, value in content.said.items() if value not in (None, (), [])})
    ours = {config.name for config in content.configs} | content.gone
    data["size_categories"] = [_size_category(content)]
    data["configs"] = _merged(data.get("configs"), [_config(config) for config in content.in_order()], ours)
    data["dataset_info"] = _merged(data.get("dataset_info"), [_info(config) for config in content.in_order()], ours)
    title = f"\n# {data.get('pretty_name') or content.repository.rpartition('/')[2]}\n"
    text = _with_section(title if old is None else old, section(content))
    return f"---\n{yaml_of(_ordered(data))}\n---\n{text}"


def check_card(text: str) -> None:
    """See that `write_card` can keep the text of this card.

    Raises:
        RequestError: it cannot.
    """
    _around(_parse(text)[1])


def read_card(text: str) -> Mapping[str, Any]:
    """The metadata of a card.

    Raises:
        RequestError: it cannot be read.
    """
    return _parse(text)[0]


def split_counts(metadata: Mapping[str, Any]) -> dict[tuple[str, str], int]:
    """The rows that the card claims, by config and split."""
    counts = {}
    for info in _listed(metadata.get("dataset_info")):
        for split in info.get("splits") or []:
            counts[(info.get("config_name", "default"), split["name"])] = int(split["num_examples"])
    return counts


def _parse(card: str) -> tuple[dict[str, Any], str]:
    """The metadata and the text."""
    try:
        return split_card(card)
    except Exception as error:
        raise RequestError(
            f"README.md: the metadata between the --- lines cannot be read: {error}",
            hint="mend the YAML at the top of the card",
            path="README.md",
        ) from error


def _config(config: CardConfig) -> dict[str, Any]:
    said: dict[str, Any] = {"config_name": config.name}
    if config.default:
        said["default"] = True
    said["data_files"] = [{"split": split.name, "path": split.pattern} for split in config.splits]
    return said


def _info(config: CardConfig) -> dict[str, Any]:
    return {
        "config_name": config.name,
        "features": card_features(config.features),
        "splits": [
            {"name": split.name, "num_bytes": split.num_bytes, "num_examples": split.rows} for split in config.splits
        ],
        "download_size": config.download_size,
        "dataset_size": sum(split.num_bytes for split in config.splits),
    }


def _listed(said: Any) -> list[dict[str, Any]]:
    listed = said if isinstance(said, list) else [said]
    return [one for one in listed if isinstance(one, dict)]


def _merged(old: Any, new: list[dict[str, Any]], ours: set[str]) -> list[dict[str, Any]]:
    """Our configs as they are now; those of others after them, as they were (but no longer the default)."""
    others = [one for one in _listed(old) if one.get("config_name", "default") not in ours]
    taken = any(one.get("default") for one in new)
    return new + [{k: v for k, v in one.items() if not (taken and k == "default")} for one in others]


def _size_category(content: CardContent) -> str:
    rows = max((sum(split.rows for split in config.splits) for config in content.configs), default=0)
    return next((name for bound, name in _SIZES if rows < bound), "n>1T")


_FIRST = (
    "pretty_name",
    "language",
    "license",
    "license_name",
    "license_link",
    "size_categories",
    "task_categories",
    "tags",
)


def _ordered(data: dict[str, Any]) -> dict[str, Any]:
    last = ("configs", "dataset_info")
    middle = [name for name in data if name not in _FIRST and name not in last]
    plain = {name: list(value) if isinstance(value, tuple) else value for name, value in data.items()}
    return {name: plain[name] for name in (*_FIRST, *middle, *last) if name in plain}


def _with_section(text: str, section: str) -> str:
    """Put the section where it was, or at the end."""
    around = _around(text)
    if around:
        return f"{around[0]}{section}{around[1]}"
    end = text[-4:].replace("\r\n", "\n")
    gap = "" if end.endswith("\n\n") or not text else "\n" if end.endswith("\n") else "\n\n"
    return f"{text}{gap}{section}\n"


def _around(text: str) -> tuple[str, str] | None:
    """What stands before and after the section; None if there is none yet."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin and END not in text:
        return None
    if not (begin and end):
        raise RequestError(
            f"README.md: the mark `{END if begin else BEGIN}` is not there any more",
            hint="put it back, or delete the other mark and what sealift wrote there",
            path="README.md",
        )
    return before, after
