"""What is wrong with a spec, said with its place: file, line, column and key, and the nearest word that is right."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from sealift.errors import RequestError, SpecError
from sealift.spec.document import Document, Keys, dotted, nearest
from sealift.spec.grammar import Grammar

Kind = TypeVar("Kind", bound=RequestError)

SAID = {
    "string_type": "must be text",
    "dict_type": "must be a mapping of keys to values",
    "model_type": "must be a mapping of keys to values",
    "tuple_type": "must be a name or a list of names",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "greater_than": "must be above 0",
    "missing": "is missing",
    "byte_size": "must be a size such as 500MB or 2GiB",
    "byte_size_unit": "must be a size such as 500MB or 2GiB",
}
"""What pydantic's errors are called here; none of these words show the value."""

GRAMMAR = "see docs/spec.md for the grammar"
QUOTES = "put quotes around it: YAML reads words such as no, yes, on and off as true or false, and digits as a number"


def mistaken(error: ValidationError, document: Document | None) -> SpecError:
    """The first mistake of a validation, at its place, with the nearest valid key. The value itself is never shown."""
    mistakes = error.errors(include_url=False)
    first = min(mistakes, key=lambda mistake: _order(mistake["loc"], document))
    keys = _written(tuple(first["loc"]), first["type"], document)
    if first["type"] == "extra_forbidden":
        message, hint = f"unknown key `{dotted(keys)}`", nearest(str(keys[-1]), _keys_at(keys[:-1]))
    else:
        said, hint = _said(first, document)
        message = f"`{dotted(keys)}` {said}" if keys else said
    if len(mistakes) > 1:
        hint += f" ({len(mistakes) - 1} more mistake{'s' if len(mistakes) > 2 else ''} after this one)"
    return located(SpecError, message, keys, document, hint=hint)


def located(
    kind: type[Kind], message: str, keys: tuple[str | int, ...], document: Document | None, *, hint: str
) -> Kind:
    """An error of that kind at the place of the key; values of variables are hidden in it."""
    key = dotted(keys) or None
    if document is None:
        return kind(message, hint=hint, key=key)
    message, hint = document.hide(message), document.hide(hint)
    line, column = document.place(keys) or (1, 1)
    message = f"{document.file}:{line}:{column}: {message}"
    return kind(message, hint=hint, key=key, file=document.file, line=line, column=column)


def _said(mistake: Mapping[str, Any], document: Document | None) -> tuple[str, str]:
    """What is wrong with a value, and what to do."""
    kind, message = mistake["type"], str(mistake["msg"])
    if kind == "literal_error":
        choices = re.findall(r"'([^']*)'", message)
        return f"must be {', '.join(choices[:-1])} or {choices[-1]}", _choice(mistake, choices, document)
    if kind == "string_type" and isinstance(mistake["input"], bool | int | float):
        return SAID[kind], QUOTES
    if kind in SAID:
        return SAID[kind], GRAMMAR
    return f"is wrong: {message.removeprefix('Value error, ')}", GRAMMAR


def _choice(mistake: Mapping[str, Any], choices: list[str], document: Document | None) -> str:
    # What a misspelt word is near to tells something of the word: not when it came from a variable.
    if document is not None and document.from_variable(tuple(mistake["loc"])):
        return "the value came from a variable"
    return nearest(str(mistake["input"]), choices)


def _order(loc: tuple[str | int, ...], document: Document | None) -> tuple[int, int]:
    return (document.place(tuple(loc)) if document else None) or (1 << 30, 0)


def _written(keys: Keys, kind: str, document: Document | None) -> Keys:
    """The key path as it is written, without the names of alternatives that pydantic puts between."""
    if document is None:
        return keys
    return (*document.known(keys[:-1]), keys[-1]) if kind in ("missing", "extra_forbidden") else document.known(keys)


def _keys_at(keys: Keys) -> list[str]:
    """The keys that are valid at that place of the grammar."""
    model: type[BaseModel] = Grammar
    for step in keys:
        field = next((f for n, f in model.model_fields.items() if step in (n, f.alias)), None)
        models = [a for a in _flat(field.annotation if field else None) if _is_model(a)]
        model = models[0] if models else model
    return [field.alias or name for name, field in model.model_fields.items()]


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _flat(annotation: Any) -> list[Any]:
    return [annotation, *(inner for argument in get_args(annotation) for inner in _flat(argument))]
