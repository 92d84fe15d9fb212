"""The manifest: what a publication says of itself, in `.sealift/manifest.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sealift.errors import IntegrityError
from sealift.model.receipt import Receipt

FORMAT = 1
FOLDER = ".sealift"
PATH = f"{FOLDER}/manifest.json"
REJECTS = f"{FOLDER}/rejects.parquet"
INDEX_FOLDER = f"{FOLDER}/index"
CARD = "README.md"


@dataclass(frozen=True, slots=True)
class PublishedFile:
    """A file of the publication that is no shard; `role` is card, index, rejects or also.

    `config` is that of an index file; `rows` and `columns` those of a table published beside the data, where known.
    """

    path: str
    role: str
    size: int
    sha256: str
    config: str | None = None
    rows: int | None = None
    columns: tuple[str, ...] | None = None


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
    """The manifest in these bytes.

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
        return Manifest(
            plan=said["plan"],
            versions=said["versions"],
            key=tuple(said["key"]),
            spec=said["spec"],
            configs=tuple(_config(config) for config in said["configs"]),
            shards=tuple(Receipt(**shard) for shard in said["shards"]),
            files=tuple(_file(file) for file in said["files"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise IntegrityError(
            f"{PATH} is damaged: {type(error).__name__}: {error}", hint="publish the dataset again", path=PATH
        ) from error


def _config(said: Mapping[str, Any]) -> PublishedConfig:
    return PublishedConfig(**{**said, "splits": tuple(PublishedSplit(**split) for split in said["splits"])})


def _file(said: Mapping[str, Any]) -> PublishedFile:
    columns = said.get("columns")
    return PublishedFile(**{**said, "columns": None if columns is None else tuple(columns)})
