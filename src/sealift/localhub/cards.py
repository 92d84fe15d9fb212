"""The metadata at the head of README.md: what the Hub takes, and what it reads from it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import yaml

_BLOCK = re.compile(r"\A\s*---[\r\n]+(.*?)[\r\n]+---[ \t]*(?:\r|\n|\Z)", re.DOTALL)
_EMPTY_BLOCK = re.compile(r"\A\s*---[\r\n]+---[ \t]*(?:\r|\n|\Z)")
# https://huggingface.co/docs/hub/repositories-licenses, and what the Hub's own message lists besides.
_LICENSES = """
apache-2.0 mit openrail bigscience-openrail-m creativeml-openrail-m bigscience-bloom-rail-1.0 bigcode-openrail-m
afl-3.0 artistic-2.0 bsl-1.0 bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear c-uda cc cc0-1.0 cc-by-2.0 cc-by-2.5
cc-by-3.0 cc-by-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nd-4.0 cc-by-nc-nd-3.0
cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cdla-sharing-1.0 cdla-permissive-1.0
cdla-permissive-2.0 wtfpl ecl-2.0 epl-1.0 epl-2.0 etalab-2.0 eupl-1.1 eupl-1.2 agpl-3.0 gfdl gpl gpl-2.0 gpl-3.0
lgpl lgpl-2.1 lgpl-3.0 isc h-research intel-research lppl-1.3c ms-pl apple-ascl apple-amlr mpl-2.0 odc-by odbl
openmdw-1.0 openrail++ osl-3.0 postgresql ofl-1.1 ncsa unlicense zlib pddl lgpl-lr deepfloyd-if-license
fair-noncommercial-research-license llama2 llama3 llama3.1 llama3.2 llama3.3 llama4 grok2-community gemma unknown
other array
"""
LICENSES = frozenset(_LICENSES.split())
_POWERS = ("1K", "10K", "100K", "1M", "10M", "100M", "1B", "10B", "100B", "1T")
_SIZES = ("n<1K", *(f"{low}<n<{high}" for low, high in pairwise(_POWERS)), "n>1T")
_STRINGS = ("tags", "task_categories", "task_ids", "annotations_creators", "language_creators", "source_datasets")
_TAGGED = ("license", "language", "task_categories", "task_ids", "size_categories", "modality", "format")


@dataclass
class Findings:
    """What is wrong with a card: errors refuse it, warnings do not."""

    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """As the Hub lists them."""
        return {name: [{"message": one} for one in getattr(self, name)] for name in ("errors", "warnings")}


def check_card(content: str | bytes, repo_type: str) -> Findings:
    """Everything that is wrong with a README.md."""
    found = Findings()
    try:
        text = content if isinstance(content, str) else content.decode()
        data = metadata(text)
    except UnicodeDecodeError:
        found.errors.append("README.md must be text in UTF-8")
        return found
    except (yaml.YAMLError, ValueError) as error:
        found.errors.append(f"Invalid YAML: {' '.join(str(error).split())}")
        return found
    if data is None:
        found.warnings.append("empty or missing yaml metadata in repo card")
    elif not isinstance(data, dict):
        found.errors.append("The metadata must be an object")
    else:
        found.errors += _common(data)
        found.errors += _dataset(data) if repo_type == "dataset" else ()
    return found


def metadata(text: str) -> Any:
    """What stands between the lines of dashes at the head, with dates as text; None if nothing does.

    Raises:
        yaml.YAMLError: it is not YAML.
        ValueError: it is never closed, or holds what JSON cannot.
    """
    block = _BLOCK.match(text)
    if block is None:
        if re.match(r"\A\s*---[\r\n]", text) and not _EMPTY_BLOCK.match(text):
            raise ValueError("the metadata begins with --- and has no --- at its end")
        return None
    try:
        return json.loads(json.dumps(yaml.safe_load(block[1]), default=str), parse_constant=str)
    except TypeError as error:
        raise ValueError(f"a key is neither text nor a number: {error}") from error


def tags(data: dict[str, Any]) -> list[str]:
    """The tags by which the Hub finds a repository with this metadata."""
    own = [one for one in _listed(data.get("tags")) if isinstance(one, str)]
    return [f"{key}:{value}" for key in _TAGGED for value in _listed(data.get(key)) if value is not None] + own


def _common(data: dict[str, Any]) -> Iterator[str]:
    yield from _each(
        data, "license", lambda value: value in LICENSES, f"must be one of [{', '.join(sorted(LICENSES))}]"
    )
    lower = "must be a string with lowercase characters only"
    yield from _each(data, "language", lambda value: isinstance(value, str) and value == value.lower(), lower)
    for key in _STRINGS:
        yield from _each(data, key, lambda value: isinstance(value, str), "must be a string")
    if not isinstance(data.get("tags", []), list | None):
        yield '"tags" must be an array'
    if not isinstance(data.get("pretty_name", ""), str):
        yield '"pretty_name" must be a string'


def _dataset(data: dict[str, Any]) -> Iterator[str]:
    yield from _each(data, "size_categories", lambda value: value in _SIZES, f"must be one of [{', '.join(_SIZES)}]")
    configs = data.get("configs")
    if configs is not None and not isinstance(configs, list):
        yield '"configs" must be an array'
    elif configs:
        for at, one in enumerate(configs):
            yield from _config(f'"configs[{at}]', one)
        yield from _twice("configs", configs)
    infos = _listed(data.get("dataset_info"))
    for at, one in enumerate(infos):
        yield from _info(f'"dataset_info[{at}]', one)
    if len(infos) > 1:
        yield from _twice("dataset_info", infos)


def _config(place: str, one: Any) -> Iterator[str]:
    if not isinstance(one, dict):
        yield f'{place}" must be an object'
        return
    if not isinstance(one.get("config_name"), str):
        yield f'{place}.config_name" must be a string'
    if not isinstance(one.get("default", False), bool):
        yield f'{place}.default" must be a boolean'
    for at, files in enumerate(_listed(one.get("data_files"))):
        if not _are_files(files):
            yield f'{place}.data_files[{at}]" must be a string, or an object with `split` and `path`'


def _are_files(files: Any) -> bool:
    if isinstance(files, dict):
        paths = _listed(files.get("path"))
        return isinstance(files.get("split"), str) and bool(paths) and all(isinstance(one, str) for one in paths)
    return isinstance(files, str)


def _info(place: str, one: Any) -> Iterator[str]:
    if not isinstance(one, dict):
        yield f'{place}" must be an object'
        return
    if not isinstance(one.get("config_name", ""), str):
        yield f'{place}.config_name" must be a string'
    for key in ("features", "splits"):
        if not isinstance(one.get(key, []), list | dict):
            yield f'{place}.{key}" must be an array'


def _twice(key: str, objects: list[Any]) -> Iterator[str]:
    names = [one.get("config_name") for one in objects if isinstance(one, dict)]
    for name in sorted({one for one in names if isinstance(one, str) and names.count(one) > 1}):
        yield f'"{key}" names the config {name!r} more than once'


def _each(data: dict[str, Any], key: str, good: Callable[[Any], bool], rule: str) -> Iterator[str]:
    """The rule for a value, or for each value of an array."""
    value = data.get(key)
    if value is None:
        return
    for at, one in enumerate(_listed(value)):
        if not _safely(good, one):
            yield f'"{key}[{at}]" {rule}' if isinstance(value, list) else f'"{key}" {rule}'


def _safely(good: Callable[[Any], bool], value: Any) -> bool:
    return isinstance(value, str | int | float | bool) and good(value)


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
