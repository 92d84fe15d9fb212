"""The dataset card: README.md with its metadata, merged into what people wrote, and a section between marks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from huggingface_hub import DatasetCard, DatasetCardData

from sealift.errors import RequestError
from sealift.formats.features import Feature, card_features

BEGIN = "<!-- what is in it, and how to load it: written by sealift, do not edit between these marks -->"
END = "<!-- end of what sealift wrote -->"

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


@dataclass(frozen=True, slots=True)
class CardSplit:
    """A split of a config: its files as a pattern, rows, bytes in memory, and non-null cells by media column."""

    name: str
    pattern: str
    rows: int
    num_bytes: int
    present: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class CardConfig:
    """A config: `download_size` is the bytes of its files."""

    name: str
    default: bool
    features: Mapping[str, Feature]
    splits: Sequence[CardSplit]
    download_size: int


@dataclass(frozen=True, slots=True)
class CardTable:
    """A file published beside the data."""

    path: str
    rows: int | None
    columns: Sequence[str] | None


@dataclass(frozen=True, slots=True)
class CardContent:
    """Everything the card says: `said` are the metadata keys of the spec, `gone` configs that are published no more."""

    repository: str
    configs: Sequence[CardConfig]
    tables: Sequence[CardTable]
    said: Mapping[str, Any]
    gone: frozenset[str] = frozenset()


def write_card(content: CardContent, existing: str | None = None) -> str:
    """The card with this content; the text and the other metadata of an existing card stay as they are.

    Raises:
        RequestError: the existing card has metadata that cannot be read.
    """
    old = _parse(existing) if existing else None
    data = old.data.to_dict() if old else {}
    data.update({name: value for name, value in content.said.items() if value not in (None, (), [])})
    ours = {config.name for config in content.configs} | content.gone
    data["size_categories"] = [_size_category(content)]
    data["configs"] = _merged(data.get("configs"), [_config(config) for config in _in_order(content)], ours)
    data["dataset_info"] = _merged(data.get("dataset_info"), [_info(config) for config in _in_order(content)], ours)
    text = old.text if old else f"\n# {data.get('pretty_name') or content.repository.rpartition('/')[2]}\n"
    yaml = DatasetCardData(**_ordered(data), ignore_metadata_errors=True).to_yaml(line_break="\n")
    return f"---\n{yaml}\n---\n{_with_section(text, _section(content))}"


def read_card(text: str) -> Mapping[str, Any]:
    """The metadata of a card.

    Raises:
        RequestError: it cannot be read.
    """
    return dict(_parse(text).data.to_dict())


def split_counts(metadata: Mapping[str, Any]) -> dict[tuple[str, str], int]:
    """The rows that the card claims, by config and split."""
    counts = {}
    for info in _listed(metadata.get("dataset_info")):
        for split in info.get("splits") or []:
            counts[(info.get("config_name", "default"), split["name"])] = int(split["num_examples"])
    return counts


def _parse(text: str) -> DatasetCard:
    # A card without metadata is a card all the same; the library would say so in the log.
    text = text if text.startswith("---") else f"---\n{{}}\n---\n{text}"
    try:
        return DatasetCard(text, ignore_metadata_errors=True)
    except Exception as error:
        raise RequestError(
            f"README.md: the metadata between the --- lines cannot be read: {error}",
            hint="mend the YAML at the top of the card",
            path="README.md",
        ) from error


def _in_order(content: CardContent) -> list[CardConfig]:
    return sorted(content.configs, key=lambda config: not config.default)


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
    return [said] if isinstance(said, dict) else list(said or [])


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
    before, begin, rest = text.partition(BEGIN)
    if begin:
        _, end, after = rest.partition(END)
        return f"{before}{section}{after if end else ''}"
    gap = "" if text.endswith("\n\n") or not text else "\n" if text.endswith("\n") else "\n\n"
    return f"{text}{gap}{section}\n"


def _section(content: CardContent) -> str:
    return "\n\n".join([BEGIN, _what_is_in_it(content), _how_to_load_it(content), END])


def _what_is_in_it(content: CardContent) -> str:
    rows = ["| config | split | rows | files | bytes |", "|---|---|---|---|---|"]
    for config in _in_order(content):
        for split in config.splits:
            files = ", ".join(f"{count:,} {name}" for name, count in split.present.items()) or "none"
            rows.append(f"| {config.name} | {split.name} | {split.rows:,} | {files} | {split.num_bytes:,} |")
    widest = max(content.configs, key=lambda config: len(config.features))
    columns = ["| column | type | in |", "|---|---|---|"]
    for name, feature in widest.features.items():
        configs = [config.name for config in _in_order(content) if name in config.features]
        where = "all" if len(configs) == len(content.configs) else ", ".join(configs)
        columns.append(f"| `{name}` | {type_name(feature)} | {where} |")
    parts = ["## What is in it", "\n".join(rows), "\n".join(columns)]
    if content.tables:
        tables = ["Beside the data:", ""]
        for table in content.tables:
            said = f": {table.rows:,} rows" if table.rows is not None else ""
            said += f" ({', '.join(table.columns)})" if table.columns else ""
            tables.append(f"- `{table.path}`{said}")
        parts.append("\n".join(tables))
    return "\n\n".join(parts)


def type_name(feature: Feature) -> str:
    kind = feature.get("_type")
    if kind in ("List", "LargeList"):
        return f"list of {type_name(feature['feature'])}"
    if kind == "ClassLabel":
        return f"class: {', '.join(feature['names'][:8])}{' …' if len(feature['names']) > 8 else ''}"
    if kind == "Value":
        return str(feature["dtype"])
    return str(kind).lower() if isinstance(kind, str) else "struct"


def _how_to_load_it(content: CardContent) -> str:
    default = _in_order(content)[0]
    split = default.splits[0].name if default.splits else "train"
    named = f', "{default.name}"' if len(content.configs) > 1 else ""
    lines = [
        "from datasets import load_dataset",
        "",
        f'dataset = load_dataset("{content.repository}"{named})',
        f'print(dataset["{split}"])',
        "",
        "# or without downloading it first:",
        f'stream = load_dataset("{content.repository}"{named}, split="{split}", streaming=True)',
    ]
    parts = ["## How to load it", "```python\n" + "\n".join(lines) + "\n```"]
    readers = [line for table in content.tables if (line := _reader(content.repository, table.path))]
    if readers:
        code = "\n".join(["import pandas as pd", "", *readers])
        parts.append(f"The tables beside the data:\n\n```python\n{code}\n```")
    return "\n\n".join(parts)


def _reader(repository: str, path: str) -> str | None:
    kinds = {"parquet": "read_parquet({})", "csv": "read_csv({})", "tsv": 'read_csv({}, sep="\\t")'}
    kinds |= {"json": "read_json({})", "jsonl": "read_json({}, lines=True)"}
    name, _, suffix = path.rpartition("/")[2].rpartition(".")
    if suffix not in kinds:
        return None
    place = f"hf://datasets/{repository}" if _is_hub(repository) else repository
    variable = "".join(letter if letter.isalnum() else "_" for letter in name)
    call = kinds[suffix].format(f'"{place}/{path}"')
    return f"{variable if variable[:1].isalpha() else 'table'} = pd.{call}"


def _is_hub(repository: str) -> bool:
    parts = repository.split("/")
    return len(parts) == 2 and all(parts) and parts[0] not in (".", "..")
