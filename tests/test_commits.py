"""Publications that others, or earlier ones, have left something for: what stays, what goes, what is made anew.

Config by config and at once come to the same; the folder shows it here, `test_publish_hub.py` the Hub.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.albums import SPEC, albums, digests, files, identities, manifest_of, publish_albums, write_spec
from tests.test_publish import label, proven

from sealift.errors import IntegrityError
from sealift.model import manifest

CONFIGS = SPEC["configs"]
WAYS = ["one", "per-config"]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return albums(tmp_path / "source")


@pytest.fixture
def out(source: Path, tmp_path: Path) -> Path:
    publish_albums(source, tmp_path / "out", workers=1)
    return tmp_path / "out"


def card_configs(out: Path) -> list[str]:
    """The configs that the card lists."""
    lines = (out / "README.md").read_text().splitlines()
    return [*dict.fromkeys(line.split(": ")[1] for line in lines if line.startswith("- config_name: "))]


@pytest.mark.parametrize("commits", WAYS)
def test_some_configs_leave_all_others(source: Path, out: Path, commits: str) -> None:
    """`--configs` leaves the files of every other config, also of those that the spec does not name any more."""
    label(source, 0, "LABEL OF 0")
    write_spec(source, configs={"words": CONFIGS["words"]})
    before = {path: said for path, said in identities(out).items() if path.startswith(("full/", "scores/"))}
    built = publish_albums(source, out, workers=1, configs=["words"], commits=commits)
    assert {path: said for path, said in identities(out).items() if path.startswith(("full/", "scores/"))} == before
    assert any(path.startswith("words/") for path in built.publication.written)
    assert built.publication.deleted == ()
    assert sorted(card_configs(out)) == ["full", "scores", "words"]
    assert proven(out)


@pytest.mark.parametrize("commits", WAYS)
def test_a_config_that_is_gone_leaves_the_card(source: Path, out: Path, commits: str) -> None:
    """A config that the spec names no more goes with its files, and with its entry in the card."""
    write_spec(source, configs={name: CONFIGS[name] for name in ("full", "words")})
    label(source, 0, "LABEL OF 0")
    publish_albums(source, out, workers=1, commits=commits)
    assert sorted(card_configs(out)) == ["full", "words"]
    assert [config.name for config in manifest_of(out).configs] == ["full", "words"]
    assert not (out / "scores").exists()
    assert proven(out)


@pytest.mark.parametrize("commits", WAYS)
def test_a_table_that_changed_is_published_anew(source: Path, out: Path, commits: str) -> None:
    """A file beside the data is copied again when it is another than before, of whatever size; no config is packed."""
    notes = (source / "notes.csv").read_bytes()
    (source / "notes.csv").write_bytes(notes.replace(b"first", b"FIRST"))
    built = publish_albums(source, out, workers=1, commits=commits)
    assert built.packed == 0
    assert (out / "extra/notes.csv").read_bytes() == (source / "notes.csv").read_bytes()
    assert publish_albums(source, out, workers=1).publication.written == ()
    assert proven(out)


def test_a_table_that_changed_with_the_rows(source: Path, out: Path) -> None:
    """Config by config, tables come after the configs, and are those of now."""
    label(source, 0, "LABEL OF 0")
    (source / "notes.csv").write_bytes((source / "notes.csv").read_bytes().replace(b"first", b"FIRST"))
    publish_albums(source, out, workers=1, commits="per-config")
    assert b"FIRST" in (out / "extra/notes.csv").read_bytes()
    assert publish_albums(source, out, workers=1).publication.written == ()


def test_a_table_that_is_gone_goes(source: Path, out: Path) -> None:
    """So does one that the spec names no more, by either way."""
    for commits, tables in (("per-config", ["beats.parquet"]), ("one", None)):
        write_spec(source, also={"extra/": tables} if tables else None)
        publish_albums(source, out, workers=1, commits=commits)
        assert sorted(path.name for path in out.glob("extra/*")) == (tables or [])
        assert proven(out)


@pytest.mark.parametrize("commits", WAYS)
@pytest.mark.parametrize(
    "pattern", ["full/train-00000-*", "words/test-*", ".sealift/index/scores-*", "extra/notes.csv"]
)
def test_repair_by_either_way(source: Path, out: Path, commits: str, pattern: str) -> None:
    """What is damaged is made anew, and nothing is in the way of that."""
    before = digests(out)
    victim = next(out.glob(pattern))
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 255
    victim.write_bytes(data)
    built = publish_albums(source, out, workers=1, repair=True, commits=commits)
    assert str(victim.relative_to(out)) in built.publication.written
    assert digests(out) == before


def test_the_order_of_configs_is_the_specs(source: Path, out: Path, tmp_path: Path) -> None:
    """However it was published, manifest and card have the configs as the spec has them."""
    publish_albums(source, tmp_path / "steps", workers=1, commits="per-config")
    names = [[config.name for config in manifest_of(place).configs] for place in (out, tmp_path / "steps")]
    assert names == [[*CONFIGS]] * 2
    assert card_configs(out) == card_configs(tmp_path / "steps")


def test_a_purge_by_configs_writes_over_strangers(source: Path, tmp_path: Path) -> None:
    """What is to be purged is in nobody's way."""
    out = tmp_path / "out"
    (out / "words").mkdir(parents=True)
    (out / "words" / "test-00000-of-00001.parquet").write_bytes(b"theirs")
    (out / "words" / "notes.txt").write_bytes(b"theirs")
    publish_albums(source, out, workers=1, commits="per-config", purge=True)
    assert set(files(out)) == {*manifest_of(out).paths(), manifest.PATH}
    assert proven(out)


def test_a_damaged_manifest_is_no_obstacle_to_a_purge(source: Path, out: Path) -> None:
    """Without one it is an error that says what to do; a card that cannot be read is none, either."""
    (out / manifest.PATH).write_text("{")
    with pytest.raises(IntegrityError, match="damaged") as caught:
        publish_albums(source, out, workers=1)
    assert "--purge" in caught.value.hint
    (out / "README.md").write_bytes(b"\xff\xfe")
    publish_albums(source, out, workers=1, purge=True)
    assert proven(out)


def test_a_file_below_a_new_file_is_in_the_way(source: Path, tmp_path: Path) -> None:
    """A folder of somebody else where a file should go is named before anything is packed."""
    stranger = tmp_path / "out" / "extra" / "notes.csv" / "deep.txt"
    stranger.parent.mkdir(parents=True)
    stranger.write_bytes(b"theirs")
    with pytest.raises(Exception, match=r"extra/notes\.csv/deep\.txt"):
        publish_albums(source, tmp_path / "out", workers=1)
    assert stranger.read_bytes() == b"theirs"
    assert os.listdir(tmp_path / "out") == ["extra"]
