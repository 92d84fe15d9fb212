"""Certificates: what was proven is written down, and held against the dataset again by anybody."""

from __future__ import annotations

import json
import shutil
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.command import answer, run

import sealift
from sealift.errors import RequestError
from sealift.model import manifest


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A publication of a few small files."""
    folder = tmp_path_factory.mktemp("good")
    (folder / "in").mkdir()
    for number in range(12):
        (folder / f"in/{number}.bin").write_bytes(bytes([number]) * (100 + number))
    rows = pa.table({"id": [f"r{n}" for n in range(12)], "sound": [f"{n}.bin" for n in range(12)]})
    said: dict[str, Any] = {"media": {"sound": "binary"}, "key": "id", "split": "train", "shards": {"rows": 5}}
    sealift.publish(rows, str(folder / "out"), from_=str(folder / "in"), workers=1, **said)
    return folder / "out"


@pytest.fixture
def out(good: Path, tmp_path: Path) -> Path:
    """A copy to be changed."""
    return Path(shutil.copytree(good, tmp_path / "out"))


def codes(out: Path, certificate: Path, **said: Any) -> list[str]:
    """What is found beside a certificate."""
    return [one.code for one in sealift.verify(out, certified=certificate, **said).problems]


def flip(file: Path, at: int) -> None:
    """Change one byte."""
    data = bytearray(file.read_bytes())
    data[at] ^= 1
    file.write_bytes(data)


def test_a_certificate_says_what_was_proven(good: Path, tmp_path: Path) -> None:
    """Level, part, digests, counts, time and versions; all digests can be taken again with hashlib alone."""
    file = tmp_path / "c.json"
    answer("verify", good, "--part", "2/2", "--certificate", file)
    said, listed = json.loads(file.read_text()), json.loads((good / manifest.PATH).read_text())
    assert said["proven"] == {"level": "full", "cells": None, "seed": None, "part": [2, 2]}
    assert (said["dataset"], said["revision"], said["against"]) == (str(good), None, False)
    assert said["manifest"] == sha256((good / manifest.PATH).read_bytes()).hexdigest()
    files = sorted((one["path"], one["sha256"], one["size"]) for one in listed["shards"] + listed["files"])
    lines = "".join(f"{digest}  {path}\n" for path, digest, _ in files)
    assert said["files"] == sha256(lines.encode()).hexdigest()
    assert said["size"] == sum(size for _, _, size in files)
    assert said["cells"] == sha256("".join(one["digest"] + "\n" for one in listed["shards"]).encode()).hexdigest()
    assert said["checked"]["rows"] == 12
    assert 0 < said["checked"]["cells"] < 12
    assert datetime.fromisoformat(said["time"]).utcoffset() is not None
    assert said["versions"]["sealift"] == sealift.__version__
    assert "ot signed" in said["note"]


def test_what_is_the_same_is_proven_as_far_as_before(good: Path, tmp_path: Path) -> None:
    """With a certificate and no word about how far, its own level, part, cells and seed are those that are proven."""
    for number, said in enumerate([{"level": "sample", "cells": 5, "seed": 3}, {"part": (1, 3)}, {"level": "tree"}]):
        first = sealift.verify(good, certificate=tmp_path / f"{number}", **said)  # type: ignore[arg-type]
        again = sealift.verify(good, certified=tmp_path / f"{number}")
        assert again.proven
        assert (again.extent, again.checked) == (first.extent, first.checked)
    assert sealift.verify(good, "rows", certified=tmp_path / "2").extent.level == "rows"
    assert "proven (tree)" in run("verify", good, "--certified", tmp_path / "2").stderr


def test_damage_is_told_from_change(out: Path, tmp_path: Path) -> None:
    """A damaged file is damage, with its own code alone; a manifest that was changed in a word that nothing else
    repeats is a change; and both are both."""
    file = tmp_path / "c.json"
    sealift.verify(out, certificate=file)
    shard = min(out.glob("data/*.parquet"))
    flip(shard, 200)
    assert codes(out, file) == ["file-sha256"]
    said = json.loads((out / manifest.PATH).read_text())
    said["spec"]["split"] = "test"
    (out / manifest.PATH).write_text(json.dumps(said))
    assert codes(out, file) == ["file-sha256", "manifest-changed"]
    flip(shard, 200)
    assert codes(out, file) == ["manifest-changed"]
    assert sealift.verify(out).proven
    assert answer("verify", out, "--certified", file, exit_code=7)["problems"][0]["place"] == manifest.PATH


def test_a_bit_of_the_manifest_never_goes_unseen(out: Path, tmp_path: Path) -> None:
    """Beside a certificate, whatever byte of the manifest changes is a problem of the manifest, or of what it names."""
    file = tmp_path / "c.json"
    sealift.verify(out, "tree", certificate=file)
    size = (out / manifest.PATH).stat().st_size
    for at in range(5, size, size // 40):
        flip(out / manifest.PATH, at)
        found = codes(out, file)
        assert "manifest-changed" in found or all(code.startswith("manifest-") for code in found)
        assert found
        flip(out / manifest.PATH, at)
    assert codes(out, file) == []


@pytest.mark.parametrize("name", ["plan", "files", "cells", "size"])
def test_a_certificate_that_was_changed_is_found(name: str, good: Path, tmp_path: Path) -> None:
    """A certificate about this manifest that says something else than is in it is not believed."""
    file = tmp_path / "c.json"
    sealift.verify(good, "tree", certificate=file)
    said = json.loads(file.read_text())
    said[name] = 7 if name == "size" else "0" * 64
    file.write_text(json.dumps(said))
    assert codes(good, file) == ["certificate-damaged"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "[" * 100_000,
        '{"sealift": "certificate"}',
        '{"sealift": "certificate", "format": 2}',
        "PART",
        "LEVEL",
        "COMMIT",
        "ENDLESS",
    ],
)
def test_what_is_no_certificate_is_refused(text: str, good: Path, tmp_path: Path) -> None:
    """Any bytes may be given as one: that is a mistake of the call, with what to do."""
    file = tmp_path / "c.json"
    sealift.verify(good, "tree", certificate=file)
    said = json.loads(file.read_text())
    said["proven"] |= {"PART": {"part": [1, "2"]}, "LEVEL": {"level": ["full"]}}.get(text, {})
    said |= {"revision": "../main"} if text == "COMMIT" else {}
    said["checked"] |= {"rows": "ENDLESS"} if text == "ENDLESS" else {}
    file.write_text(json.dumps(said).replace('"ENDLESS"', "1e999") if text.isupper() else text)
    assert run("verify", good, "--certified", file).returncode == 2
    with pytest.raises(RequestError):
        sealift.verify(good, certified=tmp_path / "none.json")


def test_only_what_is_proven_is_certified(out: Path, tmp_path: Path) -> None:
    """Where something is wrong there is no certificate, and the one before stays as it was."""
    file = tmp_path / "c.json"
    sealift.verify(out, certificate=file)
    before = file.read_bytes()
    flip(min(out.glob("data/*.parquet")), 200)
    assert not sealift.verify(out, certificate=file).proven
    assert file.read_bytes() == before
    assert not sealift.verify(out, certificate=tmp_path / "other.json").proven
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["c.json"]


def test_a_certificate_has_a_place_of_its_own(out: Path, tmp_path: Path) -> None:
    """In the dataset it would be unexpected; a folder that is not there is said before anything is read."""
    for file in (out / "c.json", out / "data/c.json", tmp_path / "none/c.json"):
        with pytest.raises(RequestError):
            sealift.verify(out, certificate=file)
        assert not file.exists()
