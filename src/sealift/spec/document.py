"""YAML with places: plain data, the line of every key, and variables filled in."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from sealift.errors import SpecError

Keys = tuple[str | int, ...]
VARIABLE = re.compile(r"\$(\$?)\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")


@dataclass(frozen=True)
class Document:
    """What a YAML file says: `data` with variables filled, `raw` as written, `places` (line, column) by key path."""

    file: str
    data: Any
    raw: Any
    places: Mapping[Keys, tuple[int, int]] = field(default_factory=dict)

    def place(self, keys: Keys) -> tuple[int, int] | None:
        """The line and column of the nearest key there is: steps that the document does not have are skipped."""
        found: Keys = ()
        for step in keys:
            if (*found, step) in self.places:
                found = (*found, step)
        return self.places.get(found)


def read_document(file: Path, environment: Mapping[str, str]) -> Document:
    """Read a YAML file, keep the place of every key, and fill `${NAME}` and `${NAME:-default}`.

    `$${NAME}` stands for the text `${NAME}`. Values of variables never appear in an error.

    Raises:
        SpecError: it cannot be read, is no YAML, names a key twice, or a variable that is not set.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"{file}: cannot be read ({_reason(error)})", hint="check the path", file=str(file)) from error
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise _not_yaml(file, error) from error
    if not isinstance(node, yaml.MappingNode):
        raise SpecError(
            f"{file}: a spec is a mapping of keys to values", hint="see `sealift init --help`", file=str(file)
        )
    places: dict[Keys, tuple[int, int]] = {}
    raw = _construct(node, (), places, file)
    return Document(str(file), _fill(raw, (), places, file, environment), raw, places)


def read_environment_file(file: Path) -> dict[str, str]:
    """The NAME=value lines of a file; blank lines and lines that begin with # are passed over; quotes are taken off.

    Raises:
        SpecError: a line is neither, or the file cannot be read.
    """
    found = {}
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(
            f"{file}: cannot be read ({_reason(error)})", hint="check --env-file", file=str(file)
        ) from error
    for number, line in enumerate(lines, 1):
        line = line.strip().removeprefix("export ").strip()
        if not line or line.startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not equals or not name.strip().isidentifier():
            raise SpecError(
                f"{file}:{number}: not a NAME=value line", hint="write NAME=value", file=str(file), line=number
            )
        value = value.strip()
        if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
            value = value[1:-1]
        found[name.strip()] = value
    return found


def nearest(word: str, known: list[str]) -> str:
    """`did you mean …?`, or the list of what is known."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"did you mean `{close[0]}`?" if close else f"known here: {', '.join(sorted(known))}"


def _construct(node: yaml.Node, keys: Keys, places: dict[Keys, tuple[int, int]], file: Path) -> Any:
    if keys not in places:
        places[keys] = (node.start_mark.line + 1, node.start_mark.column + 1)
    if isinstance(node, yaml.MappingNode):
        return dict(_pairs(node, keys, places, file))
    if isinstance(node, yaml.SequenceNode):
        return [_construct(item, (*keys, number), places, file) for number, item in enumerate(node.value)]
    return yaml.SafeLoader("").construct_object(node)


def _pairs(
    node: yaml.MappingNode, keys: Keys, places: dict[Keys, tuple[int, int]], file: Path
) -> Iterator[tuple[str, Any]]:
    seen: dict[str, int] = {}
    for name_node, value_node in node.value:
        line, column = name_node.start_mark.line + 1, name_node.start_mark.column + 1
        if not isinstance(name_node, yaml.ScalarNode):
            raise SpecError(f"{file}:{line}: a key must be a plain word", hint="quote it", file=str(file), line=line)
        # Keys are names: `no:` and `2024:` are taken as written, not as a boolean or a number.
        name = name_node.value
        if name in seen:
            raise SpecError(
                f"{file}:{line}: `{name}` is said twice (first on line {seen[name]})",
                hint="keep one of them",
                file=str(file),
                line=line,
                column=column,
                key=name,
            )
        seen[name] = line
        places[(*keys, name)] = (line, column)
        yield name, _construct(value_node, (*keys, name), places, file)


def _fill(
    value: Any, keys: Keys, places: Mapping[Keys, tuple[int, int]], file: Path, environment: Mapping[str, str]
) -> Any:
    if isinstance(value, dict):
        return {name: _fill(inner, (*keys, name), places, file, environment) for name, inner in value.items()}
    if isinstance(value, list):
        return [_fill(inner, (*keys, number), places, file, environment) for number, inner in enumerate(value)]
    if not isinstance(value, str):
        return value

    def filled(match: re.Match[str]) -> str:
        escaped, name, default = match.groups()
        if escaped:
            return match[0][1:]
        if environment.get(name):
            return environment[name]
        if default is not None:
            return default
        line, column = places[keys]
        raise SpecError(
            f"{file}:{line}: the variable {name} is not set",
            hint=f"set it, give it in --env-file, or write ${{{name}:-default}}",
            file=str(file),
            line=line,
            column=column,
            key=dotted(keys),
        )

    return VARIABLE.sub(filled, value)


def dotted(keys: Keys) -> str:
    """`shards.max_bytes`, `also.auxiliary/.0`: a key path as people write it."""
    return ".".join(str(step) for step in keys)


def _not_yaml(file: Path, error: yaml.YAMLError) -> SpecError:
    mark = getattr(error, "problem_mark", None)
    line = mark.line + 1 if mark else None
    column = mark.column + 1 if mark else None
    where = f"{file}:{line}:{column}" if mark else str(file)
    said = getattr(error, "problem", None) or "it cannot be parsed"
    return SpecError(
        f"{where}: not valid YAML: {said}",
        hint="check the indentation and quotes there",
        file=str(file),
        line=line,
        column=column,
    )


def _reason(error: Exception) -> str:
    return (error.strerror or type(error).__name__) if isinstance(error, OSError) else "it is not UTF-8 text"
