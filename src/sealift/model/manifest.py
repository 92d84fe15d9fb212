"""The manifest: what a publication says of itself, in `.sealift/manifest.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, is_dataclass
from functools import cache
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from sealift.errors import IntegrityError
from sealift.model.path import unfit
from sealift.model.receipt import Receipt

FORMAT = 1
FOLDER = ".sealift"
PATH = f"{FOLDER}/manifest.json"
REJECTS = f"{FOLDER}/rejects.parquet"
INDEX_FOLDER = f"{FOLDER}/index"
CARD = "README.md"
ATTRIBUTES = ".gitattributes"
"""Git's own file, with the Hub's rules of what is large."""


@dataclass(frozen=True, slots=True)
class PublishedFile:
    """A file of the publication that is no shard; `role` is card, index, rejects or also.

    `config` is that of an index file. Of a table published beside the data, `rows` and `columns` are said where known,
    and the path at the source that it was copied from, with the version (mtime, etag) that it had there.
    """

    path: str
    role: str
    size: int
    sha256: str
    config: str | None = None
    rows: int | None = None
    columns: tuple[str, ...] | None = None
    xet_hash: str | None = None
    source: str | None = None
    version: str | None = None


@dataclass(frozen=True, slots=True)
class PublishedSplit:
    """A split of a config: `num_bytes` its rows take in memory, `present` counts the non-null cells by media column."""

    name: str
    rows: int
    num_bytes: int
    media_bytes: int
    present: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class PublishedConfig:
    """A config: `id` is the plan's identity for it, `fingerprint` that of the source's versions when it was packed."""

    name: str
    default: bool
    folder: str
    id: str
    fingerprint: str
    features: Mapping[str, Mapping[str, Any]]
    splits: tuple[PublishedSplit, ...]


@dataclass(frozen=True)
class Manifest:
    """Everything needed to verify a publication without its source.

    `plan` is the identity of the whole plan; `versions` are those of the libraries that fix the bytes of a shard;
    `key` the columns that identify a row.
    """

    plan: str
    versions: Mapping[str, str]
    key: tuple[str, ...]
    spec: Mapping[str, Any]
    configs: tuple[PublishedConfig, ...]
    shards: tuple[Receipt, ...]
    files: tuple[PublishedFile, ...]

    def as_bytes(self) -> bytes:
        """The manifest as JSON: the same bytes for the same content."""
        said = {
            "format": FORMAT,
            "plan": self.plan,
            "versions": dict(self.versions),
            "key": list(self.key),
            "spec": self.spec,
            "configs": [asdict(config) for config in self.configs],
            "shards": [receipt.as_json() for receipt in self.shards],
            "files": [asdict(file) for file in self.files],
        }
        return (json.dumps(said, indent=1, ensure_ascii=False) + "\n").encode()

    def paths(self) -> dict[str, tuple[int, str]]:
        """Every file that the publication owns, but the manifest itself: path → (size, sha256)."""
        owned = {shard.path: (shard.size, shard.sha256) for shard in self.shards}
        return owned | {file.path: (file.size, file.sha256) for file in self.files}

    def owned_by(self, config: str) -> dict[str, int]:
        """The shards and index files of a config: path → size."""
        shards = {shard.path: shard.size for shard in self.shards if shard.config == config}
        return shards | {file.path: file.size for file in self.files if file.config == config}

    def config(self, name: str) -> PublishedConfig | None:
        """The config of that name, if it is published."""
        return next((config for config in self.configs if config.name == name), None)


def read_manifest(data: bytes) -> Manifest:
    """The manifest in these bytes; every value has its type, and every path lies in the repository.

    Raises:
        IntegrityError: it is not a manifest, or of a format that this version does not know.
    """
    try:
        said = json.loads(data)
        if said["format"] != FORMAT:
            raise IntegrityError(
                f"{PATH} has format {said['format']}; this version reads format {FORMAT}",
                hint="install a newer sealift",
                path=PATH,
            )
        found: Manifest = _typed(Manifest, {name: value for name, value in said.items() if name != "format"})
        _check_paths(found)
        _check_places(found)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise IntegrityError(
            f"{PATH} is damaged: {type(error).__name__}: {error}",
            hint=f"publish anew with --purge, or delete {PATH} there first",
            path=PATH,
        ) from error
    return found


def _typed(kind: Any, said: Any) -> Any:
    """What JSON said, as a value of that type; a TypeError where it is none."""
    if isinstance(kind, type) and is_dataclass(kind):
        types = _types(kind)
        return kind(**{name: _typed(types[name], value) for name, value in said.items()})
    origin, inner = get_origin(kind), get_args(kind)
    if origin is UnionType:
        return None if said is None else _typed(inner[0], said)
    if origin is tuple and isinstance(said, list):
        return tuple(_typed(inner[0], one) for one in said)
    if origin is Mapping and isinstance(said, dict):
        return {name: _typed(inner[1], one) for name, one in said.items()}
    if kind is not Any and type(said) is not kind:
        raise TypeError(f"{str(said)[:40]!r} stands where {getattr(kind, '__name__', kind)} should")
    return said


@cache
def _types(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _check_places(found: Manifest) -> None:
    splits = {(config.name, split.name) for config in found.configs for split in config.splits}
    strays = [shard.path for shard in found.shards if (shard.config, shard.split) not in splits]
    configs = {config.name for config in found.configs}
    strays += [file.path for file in found.files if file.role == "index" and file.config not in configs]
    if strays:
        raise ValueError(f"{strays[0]} is of a config or split that it does not have")


def _check_paths(found: Manifest) -> None:
    """What the manifest names, an update deletes and a reader writes to a disk: so each file has a path of its kind."""
    roles = [(shard.path, "shard") for shard in found.shards] + [(file.path, file.role) for file in found.files]
    if len({path for path, _ in roles}) < len(roles):
        raise ValueError("it names a file twice")
    for path, role in roles:
        if wrong := unfit(path):
            raise ValueError(f"{path!r} cannot be a file of it: {wrong}")
        if not _has_place(path, role):
            raise ValueError(f"{path!r} cannot be a file of the role {role!r}")


def _has_place(path: str, role: str) -> bool:
    own = path in (CARD, ATTRIBUTES) or path.split("/")[0] == FOLDER
    places = {"card": path == CARD, "rejects": path == REJECTS, "index": path.startswith(f"{INDEX_FOLDER}/")}
    return places.get(role, not own)
