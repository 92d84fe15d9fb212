"""What a card tells: the values it is made of, and the section that Sealift writes into it, between marks."""

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sealift.formats.features import Feature

BEGIN = "<!-- what is in it, and how to load it: written by sealift, do not edit between these marks -->"
END = "<!-- end of what sealift wrote -->"


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

    def in_order(self) -> list[CardConfig]:
        """The configs, the default first."""
        return sorted(self.configs, key=lambda config: not config.default)


def section(content: CardContent) -> str:
    """What is in the dataset and how to load it, between the marks."""
    return "\n\n".join([BEGIN, _what_is_in_it(content), _how_to_load_it(content), END])


def _what_is_in_it(content: CardContent) -> str:
    rows = ["| config | split | rows | of these with | bytes |", "|---|---|---|---|---|"]
    for config in content.in_order():
        for split in config.splits:
            files = ", ".join(f"{count:,} {name}" for name, count in split.present.items()) or "none"
            rows.append(f"| {config.name} | {split.name} | {split.rows:,} | {_cell(files)} | {split.num_bytes:,} |")
    widest = max(content.configs, key=lambda config: len(config.features))
    columns = ["| column | type | in |", "|---|---|---|"]
    for name, feature in widest.features.items():
        configs = [config.name for config in content.in_order() if name in config.features]
        where = "all" if len(configs) == len(content.configs) else ", ".join(configs)
        columns.append(f"| `{_cell(name)}` | {_cell(type_name(feature))} | {where} |")
    parts = ["## What is in it", "\n".join(rows), "\n".join(columns)]
    if content.tables:
        tables = ["Beside the data:", ""]
        for table in content.tables:
            said = f": {table.rows:,} rows" if table.rows is not None else ""
            said += f" ({', '.join(table.columns)})" if table.columns else ""
            tables.append(f"- `{table.path}`{said}")
        parts.append("\n".join(tables))
    return "\n\n".join(parts)


def _cell(text: str) -> str:
    """The text within a cell of a Markdown table."""
    return " ".join(text.replace("|", "\\|").split())


def type_name(feature: Feature) -> str:
    """What the feature is, in a few words."""
    kind = feature.get("_type")
    if kind in ("List", "LargeList"):
        return f"list of {type_name(feature['feature'])}"
    if kind == "ClassLabel":
        return f"class: {', '.join(feature['names'][:8])}{' …' if len(feature['names']) > 8 else ''}"
    if kind == "Value":
        return str(feature["dtype"])
    return str(kind).lower() if isinstance(kind, str) else "struct"


def _how_to_load_it(content: CardContent) -> str:
    default = content.in_order()[0]
    split = default.splits[0].name if default.splits else "train"
    name = _quoted(content.repository)
    named = f", {_quoted(default.name)}" if len(content.configs) > 1 else ""
    lines = [
        "from datasets import load_dataset",
        "",
        f"dataset = load_dataset({name}{named})",
        f"print(dataset[{_quoted(split)}])",
        "",
        "# or without downloading it first:",
        f"stream = load_dataset({name}{named}, split={_quoted(split)}, streaming=True)",
    ]
    parts = ["## How to load it", "```python\n" + "\n".join(lines) + "\n```"]
    if readers := list(_readers(content)):
        code = "\n".join(["import pandas as pd", "", *readers])
        parts.append(f"The tables beside the data:\n\n```python\n{code}\n```")
    return "\n\n".join(parts)


_PANDAS = {
    "parquet": "read_parquet({})",
    "csv": "read_csv({})",
    "tsv": 'read_csv({}, sep="\\t")',
    "json": "read_json({})",
    "jsonl": "read_json({}, lines=True)",
}


def _readers(content: CardContent) -> Iterator[str]:
    """A line for each table that pandas reads, each with a variable of its own."""
    place = f"hf://datasets/{content.repository}" if _is_hub(content.repository) else content.repository
    taken = {"pd"}
    for table in content.tables:
        name, _, suffix = table.path.rpartition("/")[2].rpartition(".")
        if suffix in _PANDAS:
            variable = _variable(name, taken)
            taken.add(variable)
            yield f"{variable} = pd." + _PANDAS[suffix].format(_quoted(f"{place}/{table.path}"))


def _variable(name: str, taken: set[str]) -> str:
    """A Python name like that of the file, and not taken yet."""
    plain = re.sub(r"\W", "_", name, flags=re.ASCII)
    if not plain.isidentifier() or keyword.iskeyword(plain):
        plain = f"table_{plain}"
    others = (f"{plain}_{number}" for number in range(2, len(taken) + 2))
    return next(one for one in (plain, *others) if one not in taken)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _is_hub(repository: str) -> bool:
    parts = repository.split("/")
    return len(parts) == 2 and all(parts) and parts[0] not in (".", "..")
