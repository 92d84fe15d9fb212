"""The manifest as a statement that anybody may have written: examined as a whole before anything in it is believed."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields
from typing import Any

import blake3

from sealift.errors import IntegrityError
from sealift.model import manifest
from sealift.model.manifest import (
    FORMAT,
    Manifest,
    PublishedConfig,
    PublishedFile,
    PublishedSplit,
    read_manifest,
)
from sealift.model.path import unfit
from sealift.model.problem import Problem
from sealift.model.receipt import Receipt
from sealift.verify.codes import problem

MOST_VALUES = 8_000_000
"""Some 20 for each of 100,000 shards, four times over: what JSON can make of a file is bounded before it is parsed."""
MOST_DEPTH = 100
MOST = 1 << 63
_HEX = re.compile(r"[0-9a-f]{64}")
_UNSAID = {"findings", "made"}
Found = Iterator[tuple[str, str]]
"""Codes, each with what is wrong."""


def examine(data: bytes) -> tuple[Manifest | None, list[Problem]]:
    """The manifest that these bytes state, or what is wrong with them: then nothing else in them counts."""
    try:
        said = _parsed(data)
        wrong = _first(said, (_format, _twice_said, _unknown, _paths, _names))
        if wrong:
            return None, wrong
        found = read_manifest(data)
        wrong = _first(found, (_digests, _numbers, _order, _features, _identity))
    except IntegrityError as error:
        return None, [problem("manifest-damaged", error.message, manifest.PATH)]
    except (ValueError, RecursionError) as error:
        return None, [problem("manifest-damaged", f"it is no JSON: {error}", manifest.PATH)]
    return (None, wrong) if wrong else (found, [])


def _first(said: Any, checks: Iterable[Callable[[Any], Found]]) -> list[Problem]:
    """What the first of the checks finds that finds anything: a problem for each code, with its first case."""
    for check in checks:
        cases: dict[str, list[str]] = {}
        for code, message in check(said):
            cases.setdefault(code, []).append(message)
        if cases:
            return [problem(code, all_[0], manifest.PATH, len(all_)) for code, all_ in cases.items()]
    return []


class _Twice(dict[str, Any]):
    """An object of JSON that says a key twice: readers disagree about which one counts."""

    key = ""


def _parsed(data: bytes) -> Any:
    if sum(map(data.count, (b",", b"[", b"{"))) > MOST_VALUES:
        raise ValueError(f"more than {MOST_VALUES} values")
    return json.loads(data, object_pairs_hook=_object)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    said = dict(pairs)
    if len(said) < len(pairs):
        said = _Twice(said)
        said.key = Counter(name for name, _ in pairs).most_common(1)[0][0]
    return said


def _format(said: Any) -> Found:
    number = said.get("format") if isinstance(said, dict) else None
    if type(number) is int and number != FORMAT:
        yield "manifest-format", f"it has format {str(number)[:20]}; this version reads format {FORMAT}"


def _twice_said(said: Any) -> Found:
    yield from (("manifest-duplicate", f"it says {one.key!r} twice") for one, _ in _walk(said) if type(one) is _Twice)
    if any(depth > MOST_DEPTH for _, depth in _walk(said)):
        yield "manifest-damaged", f"its values nest deeper than {MOST_DEPTH}"


def _walk(said: Any) -> Iterator[tuple[Any, int]]:
    waiting = [(said, 0)]
    while waiting:
        one, depth = waiting.pop()
        yield one, depth
        inner = one.values() if isinstance(one, dict) else one if isinstance(one, list) else ()
        waiting += ((value, depth + 1) for value in inner if isinstance(value, dict | list))


def _unknown(said: Any) -> Found:
    """Keys that no manifest of this format has."""
    configs = _objects(said, "configs")
    kinds: list[tuple[type[Any], list[dict[str, Any]]]] = [
        (PublishedConfig, configs),
        (PublishedSplit, [split for config in configs for split in _objects(config, "splits")]),
        (Receipt, _objects(said, "shards")),
        (PublishedFile, _objects(said, "files")),
    ]
    strange = _keys([said]) - _named(Manifest) - {"format"}
    for kind, objects in kinds:
        strange |= _keys(objects) - _named(kind)
    for name in sorted(strange):
        yield "manifest-unknown", f"it says {name[:40]!r}, which no manifest of format {FORMAT} does"


def _named(kind: type[Any]) -> set[str]:
    return {one.name for one in fields(kind)} - _UNSAID


def _keys(objects: Iterable[Any]) -> set[str]:
    return {name for one in objects if isinstance(one, dict) for name in one}


def _objects(said: Any, name: str) -> list[dict[str, Any]]:
    listed = said.get(name) if isinstance(said, dict) else None
    return [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []


def _paths(said: Any) -> Found:
    """Paths that lead out of the dataset, or to what is none of its files; and those that are named twice."""
    paths = [one["path"] for one in (*_objects(said, "shards"), *_objects(said, "files")) if _is_text(one, "path")]
    for path in paths:
        if wrong := "it is the manifest itself" if path == manifest.PATH else unfit(path):
            yield "manifest-path", f"{path[:200]!r} cannot be a file of it: {wrong}"
    yield from (("manifest-duplicate", f"it names {path[:200]!r} twice") for path in _repeated(paths))


def _names(said: Any) -> Found:
    """Configs and splits that are named twice, and files of those that are not named."""
    configs = _objects(said, "configs")
    if not configs:
        return  # What it is instead is said when its types are looked at.
    names = [str(config.get("name")) for config in configs]
    places = [(str(c.get("name")), str(split.get("name"))) for c in configs for split in _objects(c, "splits")]
    for name in (*_repeated(names), *("/".join(place) for place in _repeated(places))):
        yield "manifest-duplicate", f"it names the config or split {name[:80]!r} twice"
    there = {*places}
    for shard in _objects(said, "shards"):
        if (str(shard.get("config")), str(shard.get("split"))) not in there:
            yield "manifest-stray", f"{str(shard.get('path'))[:200]!r} is of a config or split that is not there"
    for file in _objects(said, "files"):
        if file.get("role") == "index" and file.get("config") not in names:
            yield "manifest-stray", f"{str(file.get('path'))[:200]!r} is the index of a config that is not there"


def _is_text(said: Mapping[str, Any], name: str) -> bool:
    return isinstance(said.get(name), str)


def _repeated(values: Iterable[Any]) -> list[Any]:
    return [value for value, times in Counter(values).items() if times > 1]


def _digests(found: Manifest) -> Found:
    told = [(shard.path, digest) for shard in found.shards for digest in (shard.sha256, shard.digest, shard.xet_hash)]
    told += [(file.path, digest) for file in found.files for digest in (file.sha256, file.xet_hash)]
    for path, digest in told:
        if digest is not None and not _HEX.fullmatch(digest):
            yield "manifest-digest", f"{digest[:80]!r}, said of {path}, is no digest"


def _numbers(found: Manifest) -> Found:
    """Numbers that nothing can have, and those that contradict each other."""
    told: list[tuple[str, list[int]]] = [
        (s.path, [s.index, s.rows, s.size, s.cells, s.media_bytes]) for s in found.shards
    ]
    told += [(file.path, [file.size, file.rows or 0]) for file in found.files]
    splits = [(f"{config.name}/{split.name}", split) for config in found.configs for split in config.splits]
    told += [(place, [s.rows, s.num_bytes, s.media_bytes, *s.present.values()]) for place, s in splits]
    for place, numbers in told:
        for number in numbers:
            if not 0 <= number < MOST:
                yield "manifest-counts", f"{str(number)[:40]}, said of {place}, counts nothing"
    for place, split in splits:
        for column, rows in split.present.items():
            if rows > split.rows:
                yield "manifest-counts", f"{place} has {split.rows} rows, {rows} of them with files in `{column}`"
    for shard in found.shards:
        if shard.media_bytes and not shard.cells:
            yield "manifest-counts", f"{shard.path} has {shard.media_bytes} bytes of media in no cell"


def _order(found: Manifest) -> Found:
    """A split's shards are numbered from 0 as they come: a number that is left out is a shard that is."""
    following = Counter[tuple[str, str]]()
    for shard in found.shards:
        place = (shard.config, shard.split)
        if shard.index != following[place]:
            yield "manifest-order", f"{shard.path} is number {shard.index} of its split; {following[place]} comes there"
        following[place] += 1


def _features(found: Manifest) -> Found:
    for config in found.configs:
        for name, feature in config.features.items():
            if not _is_feature(feature):
                yield "manifest-features", f"the feature of `{name}` in {config.name} is none"
        media = {column for split in config.splits for column in split.present}
        for name in sorted(media - config.features.keys()):
            yield "manifest-features", f"{config.name} counts files in `{name}`, which is no column"


def _is_feature(feature: Any) -> bool:
    """Whether that is a feature as `datasets` writes it, or a struct of some."""
    if not isinstance(feature, Mapping):
        return False
    kind = feature.get("_type")
    if kind in ("List", "LargeList"):
        return _is_feature(feature.get("feature"))
    if kind == "Value":
        return _is_text(feature, "dtype")
    return isinstance(kind, str) or all(map(_is_feature, feature.values()))


def _identity(found: Manifest) -> Found:
    together = blake3.blake3(" ".join(config.id for config in found.configs).encode("utf-8", "replace")).hexdigest()
    if found.plan != together:
        yield "manifest-plan", "the identity of the plan is not that of its configs together"
