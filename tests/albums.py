"""A small dataset to publish again and again: tracks with sound, pages and a score, in three configs and two splits."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from sealift.api import publish
from sealift.build import Built
from sealift.model import manifest
from sealift.model.manifest import Manifest, read_manifest
from sealift.spec import Spec
from sealift.tools.makers import flac, melody, midi, noise, picture, png

SPEC: dict[str, Any] = {
    "from": ".",
    "tables": {"tracks": "tracks.parquet"},
    "rows": "SELECT * FROM tracks ORDER BY id",
    "key": "id",
    "split": {"column": "split"},
    "media": {"sound": "audio", "pages": ["image"], "score": "midi"},
    "configs": {
        "full": {"default": True},
        "scores": {"drop": ["sound", "pages"]},
        "words": {"columns": ["id", "label"]},
    },
    "also": {"extra/": ["notes.csv", "beats.parquet"]},
    "shards": {"max_bytes": "20kB", "row_group_rows": 3},
    "card": {"license": "mit", "pretty_name": "Albums"},
}
ROWS = 24


def albums(folder: Path, **keys: Any) -> Path:
    """Make the files and the spec, with these keys instead; the answer is the folder.

    Every third track has no score, every fourth no sound; tracks have none to three pages, or null.
    """
    write_tracks(folder, [_track(number) for number in range(ROWS)])
    for number in range(ROWS):
        track = _track(number)
        if track["sound"]:
            sound = noise(f"sound {number}", 800 + 40 * number).view("<i2").reshape(-1, 1)
            _put(folder, track["sound"], flac(sound.astype(np.int16), 8000))
        if track["score"]:
            _put(folder, track["score"], midi(melody(number, 3 + number % 4)))
        for page in track["pages"] or ():
            _put(folder, page, png(picture(page, 12, 16)))
    _put(folder, "notes.csv", b"id,note\ntrack-00,first\ntrack-01,second\n")
    pq.write_table(pa.table({"id": ["track-00"] * 3, "beat_s": [0.5, 1.0, 1.5]}), folder / "beats.parquet")
    write_spec(folder, **keys)
    return folder


def _track(number: int) -> dict[str, Any]:
    pages = [f"pages/{number:02}-{page}.png" for page in range(number % 4)]
    return {
        "id": f"track-{number:02}",
        "label": f"label of {number}",
        "sound": None if number % 4 == 1 else f"sounds/{'ab'[number % 2]}/{number:02}.flac",
        "pages": None if number % 5 == 2 else pages,
        "score": None if number % 3 == 2 else f"scores/{number:02}.mid",
        "split": "train" if number < ROWS - 8 else "test",
    }


def write_tracks(folder: Path, tracks: list[dict[str, Any]]) -> None:
    """Write the table of tracks."""
    folder.mkdir(parents=True, exist_ok=True)
    kinds = {name: pa.string() for name in _track(0)} | {"pages": pa.list_(pa.string())}
    pq.write_table(pa.Table.from_pylist(tracks, pa.schema(list(kinds.items()))), folder / "tracks.parquet")


def tracks(folder: Path) -> list[dict[str, Any]]:
    """The table of tracks as it is."""
    return list(pq.read_table(folder / "tracks.parquet").to_pylist())


def write_spec(folder: Path, **keys: Any) -> Path:
    """Write the spec with these keys instead of the usual ones; a key that is None is left out."""
    said = {name: value for name, value in {**SPEC, **keys}.items() if value is not None}
    file = folder / "sealift.yaml"
    file.write_text(yaml.safe_dump(said, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return file


def publish_albums(folder: Path, out: Path, **options: Any) -> Built:
    """Publish what the folder's spec says."""
    return publish(Spec.load(folder / "sealift.yaml"), str(out), **options)


def _put(folder: Path, path: str, data: bytes) -> None:
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_bytes(data)


def files(out: Path) -> dict[str, bytes]:
    """Every file of a folder, by its path."""
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


def digests(out: Path) -> dict[str, str]:
    """The SHA-256 of every file of a folder."""
    return {path: hashlib.sha256(data).hexdigest() for path, data in files(out).items()}


def identities(out: Path) -> dict[str, tuple[int, int]]:
    """Inode and modification time of every file of a folder: what a file that is not written again keeps."""
    found = {path: os.stat(out / path) for path in files(out)}
    return {path: (state.st_ino, state.st_mtime_ns) for path, state in found.items()}


def manifest_of(out: Path) -> Manifest:
    """What the publication says of itself."""
    return read_manifest((out / manifest.PATH).read_bytes())
