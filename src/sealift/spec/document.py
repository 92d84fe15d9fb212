"""YAML with places: plain data, the line of every key, and variables filled in."""

from __future__ import annotations

import difflib
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from sealift.errors import SpecError

Keys = tuple[str | int, ...]
Places = Mapping[Keys, tuple[int, int]]
VARIABLE = re.compile(r"\$(\$?)\{(?:([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\})?")
SHORT = 4
"""A variable's value of fewer characters is hidden where it stands as a word of its own, a longer one anywhere."""
PLAIN_TAGS = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "null", "map", "seq"))
TIME = "tag:yaml.org,2002:timestamp"
MOST_BYTES = 4 << 20
"""More bytes than this are no spec either, nor are they looked at."""
MOST_VALUES = 100_000
"""More values than this are no spec that a person wrote: aliases of aliases can say billions in a few lines."""


@dataclass(frozen=True)
class Document:
    """What a YAML file says: `data` with variables filled, `raw` as written, `places` (line, column) by key path.

    `filled` has the places whose text came from a variable, `variables` the values that were filled in, by name.
    """

    file: str
    data: Any = field(repr=False)
    raw: Any
    places: Places = field(default_factory=dict)
    filled: frozenset[Keys] = frozenset()
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)

    def hide(self, text: str) -> str:
        """The text with `${NAME}` in place of every value of a variable that is in it."""
        if not self.variables:
            return text
        names = {value: name for name, value in self.variables.items()}
        words = [_word(value) for value in sorted(names, key=len, reverse=True)]
        return re.sub("|".join(words), lambda match: f"${{{names[match[0]]}}}", text)

    def known(self, keys: Keys) -> Keys:
        """The path of the nearest key there is: steps that the document does not have are skipped."""
        found: Keys = ()
        for step in keys:
            if (*found, step) in self.places:
                found = (*found, step)
        return found

    def place(self, keys: Keys) -> tuple[int, int] | None:
        """The line and column of the nearest key there is."""
        return self.places.get(self.known(keys))

    def from_variable(self, keys: Keys) -> bool:
        """Whether a variable was filled in there."""
        return self.known(keys) in self.filled


def read_document(file: Path, environment: Mapping[str, str]) -> Document:
    """Read a YAML file, keep the place of every key, and fill `${NAME}` and `${NAME:-default}` in values.

    `$${NAME}` stands for the text `${NAME}`. A variable that is set to nothing counts as not set. Values of variables
    never appear in an error.

    Raises:
        SpecError: it cannot be read, is no YAML or far too much of it, names a key twice, or a variable that is not
            set.
    """
    try:
        text = _text(file)
    except (OSError, ValueError) as error:
        raise SpecError(f"{file}: cannot be read ({_reason(error)})", hint="check the path", file=str(file)) from error
    reading = _Reading(file)
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if not isinstance(node, yaml.MappingNode):
            raise SpecError(
                f"{file}: a spec is a mapping of keys to values", hint="see `sealift init --help`", file=str(file)
            )
        raw = reading.value(node, (), ())
        filling = _Filling(file, reading.places, environment)
        data = filling.value(raw, ())
    except yaml.YAMLError as error:
        raise _not_yaml(file, error) from error
    except RecursionError as error:
        raise SpecError(f"{file}: nested too deeply", hint="a spec has few levels", file=str(file)) from error
    return Document(str(file), data, raw, reading.places, frozenset(filling.filled), filling.variables)


def read_environment_file(file: Path) -> dict[str, str]:
    """The NAME=value lines of a file; blank lines and lines that begin with # are passed over; quotes are taken off.

    Raises:
        SpecError: a line is neither, or the file cannot be read.
    """
    found = {}
    try:
        lines = _text(file).splitlines()
    except (OSError, ValueError) as error:
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


def _text(file: Path) -> str:
    """The text of the file.

    Raises:
        OSError, ValueError: it cannot be read, is not UTF-8, or is longer than any spec.
    """
    with file.open("rb") as opened:
        data = opened.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise ValueError(f"it has more than {MOST_BYTES} bytes")
    return io.TextIOWrapper(io.BytesIO(data), encoding="utf-8").read()


def nearest(word: str, known: list[str]) -> str:
    """`did you mean …?`, or the list of what is known."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"did you mean `{close[0]}`?" if close else f"known here: {', '.join(sorted(known))}"


class _Reading:
    """Turns YAML's nodes into plain data, and keeps the place of every key."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.places: dict[Keys, tuple[int, int]] = {}

    def value(self, node: yaml.Node, keys: Keys, above: tuple[yaml.Node, ...]) -> Any:
        """What the node says; `above` are the nodes that it lies in."""
        self.places.setdefault(keys, _start(node))
        if node in above or len(self.places) > MOST_VALUES:
            raise self._mistake(node, keys, "an alias that leads to itself or to too many values", "write it out")
        if isinstance(node, yaml.MappingNode):
            return dict(self._pairs(node, keys, (*above, node)))
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*keys, number), (*above, node)) for number, item in enumerate(node.value)]
        return self._scalar(node, keys)

    def _scalar(self, node: yaml.Node, keys: Keys) -> Any:
        # A date stays the text that it is: nothing in a spec is a point in time, and JSON knows none.
        if node.tag == TIME:
            return node.value
        if node.tag not in PLAIN_TAGS:
            raise self._mistake(node, keys, f"the tag {node.tag} has no meaning here", "write plain text")
        try:
            return yaml.SafeLoader("").construct_object(node)
        except (yaml.YAMLError, ValueError) as error:
            raise self._mistake(node, keys, "not a value of its kind", "put quotes around text") from error

    def _pairs(self, node: yaml.MappingNode, keys: Keys, above: tuple[yaml.Node, ...]) -> Iterator[tuple[str, Any]]:
        seen: dict[str, int] = {}
        for name_node, value_node in node.value:
            if not isinstance(name_node, yaml.ScalarNode):
                raise self._mistake(name_node, keys, "a key must be a plain word", "quote it")
            # Keys are names: `no:` and `2024:` are taken as written, not as a boolean or a number.
            name = name_node.value
            if name in seen:
                said = f"`{name}` is said twice (first on line {seen[name]})"
                raise self._mistake(name_node, (*keys, name), said, "keep one of them")
            if VARIABLE.search(name):
                said = "a variable cannot stand in a key, only in a value"
                raise self._mistake(name_node, (*keys, name), said, "write the key itself")
            seen[name] = _start(name_node)[0]
            self.places[(*keys, name)] = _start(name_node)
            yield name, self.value(value_node, (*keys, name), above)

    def _mistake(self, node: yaml.Node, keys: Keys, said: str, hint: str) -> SpecError:
        return _mistake(self.file, _start(node), keys, said, hint)


class _Filling:
    """Puts the values of variables into the texts of a document."""

    def __init__(self, file: Path, places: Places, environment: Mapping[str, str]) -> None:
        self.file = file
        self.places = places
        self.environment = environment
        self.filled: set[Keys] = set()
        self.variables: dict[str, str] = {}

    def value(self, said: Any, keys: Keys) -> Any:
        """The same with `${NAME}` filled in every text."""
        if isinstance(said, dict):
            return {name: self.value(inner, (*keys, name)) for name, inner in said.items()}
        if isinstance(said, list):
            return [self.value(inner, (*keys, number)) for number, inner in enumerate(said)]
        if not isinstance(said, str):
            return said
        return VARIABLE.sub(lambda match: self._one(match, keys), said)

    def _one(self, match: re.Match[str], keys: Keys) -> str:
        escaped, name, default = match.groups()
        if escaped:
            return match[0][1:]
        if name is None:
            hint = "write ${NAME} or ${NAME:-default}; $${ stands for the text ${"
            raise self._mistake(keys, "`${` begins no variable", hint)
        if value := self.environment.get(name):
            self.filled.add(keys)
            self.variables[name] = value
            return value
        if default is None:
            hint = f"set it, give it in --env-file, or write ${{{name}:-default}}"
            raise self._mistake(keys, f"the variable {name} is not set", hint)
        return str(default)

    def _mistake(self, keys: Keys, said: str, hint: str) -> SpecError:
        return _mistake(self.file, self.places[keys], keys, said, hint)


def _word(value: str) -> str:
    return re.escape(value) if len(value) >= SHORT else rf"(?<!\w){re.escape(value)}(?!\w)"


def _start(node: yaml.Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _mistake(file: Path, place: tuple[int, int], keys: Keys, said: str, hint: str) -> SpecError:
    line, column = place
    message = f"{file}:{line}:{column}: {said}"
    return SpecError(message, hint=hint, file=str(file), line=line, column=column, key=dotted(keys) or None)


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
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return "it is not UTF-8 text" if isinstance(error, UnicodeError) else str(error)
