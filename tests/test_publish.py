"""Publishing again: only what changed is written, only what is ours is deleted, and readers find what the card says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import datasets
import pyarrow.parquet as pq
import pytest
from datasets import load_dataset
from datasets.info import DatasetInfosDict
from huggingface_hub import DatasetCard
from tests.albums import (
    ROWS,
    SPEC,
    albums,
    digests,
    files,
    identities,
    manifest_of,
    publish_albums,
    tracks,
    write_spec,
    write_tracks,
)

from sealift.build import build, verify_published
from sealift.errors import DestinationError, RequestError, SpecError
from sealift.formats.card_section import BEGIN, END
from sealift.model import manifest
from sealift.spec import Spec

CONFIGS = SPEC["configs"]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return albums(tmp_path / "source")


@pytest.fixture
def out(source: Path, tmp_path: Path) -> Path:
    publish_albums(source, tmp_path / "out", workers=1)
    return tmp_path / "out"


def proven(out: Path) -> bool:
    """Whether everything in the folder is what its manifest says."""
    with TemporaryDirectory() as work:
        verified = verify_published(str(out), Path(work))
    assert verified.problems == ()
    return True


def of_config(out: Path, *names: str) -> dict[str, tuple[int, int]]:
    """The identities of the files that belong to these configs."""
    pattern = re.compile(rf"({'|'.join(names)})/|\.sealift/index/({'|'.join(names)})-")
    return {path: said for path, said in identities(out).items() if pattern.match(path)}


def label(source: Path, number: int, text: str) -> None:
    rows = tracks(source)
    rows[number]["label"] = text
    write_tracks(source, rows)


def test_nothing_changed_nothing_written(source: Path, out: Path) -> None:
    """A second run leaves every file, the manifest and the card too, with its inode and time; it packs nothing."""
    before = identities(out)
    built = publish_albums(source, out, workers=2)
    assert (built.publication.written, built.publication.deleted, built.publication.bytes_written) == ((), (), 0)
    assert built.packed == 0
    assert identities(out) == before
    assert proven(out)


def test_touched_files_are_packed_and_not_written(source: Path, out: Path) -> None:
    """New modification times alone mean packing again, and then finding the same bytes: only the manifest, which
    holds the fingerprint, is new."""
    before = identities(out)
    os.utime(source / "sounds/a/00.flac", ns=(0, 7))
    built = publish_albums(source, out, workers=1)
    assert built.packed > 0
    assert built.publication.written == (manifest.PATH,)
    after = identities(out)
    assert {path for path in before if before[path] != after[path]} == {manifest.PATH}
    assert publish_albums(source, out, workers=1).publication.written == ()


def test_one_label_changes_its_shard_alone(source: Path, out: Path) -> None:
    """Of each config that has the label, the one shard with that row is written; the others keep their inodes."""
    before = identities(out)
    label(source, 0, "LABEL OF 0")
    built = publish_albums(source, out, workers=1)
    shards = [f"{name}/train-00000-of-" for name in CONFIGS]
    written = [path for path in built.publication.written if not path.startswith(".sealift/") and path != "README.md"]
    assert sorted(path[: len(start)] for path, start in zip(sorted(written), sorted(shards), strict=True)) == shards
    after = identities(out)
    assert {path for path in before if before[path] != after[path]} == set(built.publication.written)
    assert built.publication.deleted == ()
    assert proven(out)


def test_a_config_without_the_column_stays(source: Path, out: Path, tmp_path: Path) -> None:
    """A change in a column that a config drops leaves every file of that config alone."""
    before = of_config(out, "words")
    rows = [{**row, "score": None} for row in tracks(source)]
    write_tracks(source, rows)
    built = publish_albums(source, out, workers=1)
    assert of_config(out, "words") == before
    assert any(path.startswith("scores/") for path in built.publication.written)
    assert proven(out)


def test_fewer_shards_delete_the_old_ones(source: Path, out: Path) -> None:
    """When the shards are cut anew, those of before go, in the same commit, and nothing else does."""
    foreign = {"LICENSE": b"mine", "full/notes.txt": b"mine", ".gitattributes": b"*.parquet lfs"}
    for path, data in foreign.items():
        (out / path).write_bytes(data)
    old = {shard.path for shard in manifest_of(out).shards}
    write_spec(source, shards={"max_bytes": "1MB"})
    built = publish_albums(source, out, workers=1)
    new = {shard.path for shard in manifest_of(out).shards}
    assert set(built.publication.deleted) == old - new
    assert len(built.publication.deleted) >= 3
    assert {path: files(out)[path] for path in foreign} == foreign
    assert set(files(out)) == {*new, *foreign, *(one.path for one in manifest_of(out).files), manifest.PATH}


def test_the_index_goes_with_its_config(source: Path, out: Path) -> None:
    """Index files of configs that have no media any more are deleted."""
    write_spec(source, configs={"words": CONFIGS["words"]})
    built = publish_albums(source, out, workers=1)
    assert ".sealift/index/full-00000-of-00001.parquet" in built.publication.deleted
    assert not (out / ".sealift/index").exists()


@pytest.mark.parametrize(
    "stranger",
    ["full/train-00000-of-00005.parquet", "words/test-00000-of-00001.parquet", "extra/notes.csv", "scores"],
)
def test_a_strangers_file_in_the_way_is_named(source: Path, out: Path, tmp_path: Path, stranger: str) -> None:
    """A file that no publication of ours put there is never overwritten: it is named before anything is packed, and
    everything stays."""
    paths = [shard.path for shard in manifest_of(out).shards]
    stranger = next((path for path in paths if path[:16] == stranger[:16]), stranger)
    folder = tmp_path / "theirs"
    (folder / stranger).parent.mkdir(parents=True)
    (folder / stranger).write_bytes(b"theirs")
    heard: list[str] = []
    with pytest.raises(DestinationError, match=stranger) as caught:
        publish_albums(source, folder, workers=1, on_event=lambda event: heard.append(getattr(event, "stage", "")))
    assert caught.value.fields["paths"] == [stranger]
    assert "pack" not in heard
    assert files(folder) == {stranger: b"theirs"}


def test_other_files_are_left_alone(source: Path, tmp_path: Path) -> None:
    """What lies there and is in nobody's way stays as it is."""
    foreign = {".git/config": b"[core]", ".gitattributes": b"x", "full/other.bin": b"y", "LICENSE": b"z"}
    for path, data in foreign.items():
        (tmp_path / "out" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "out" / path).write_bytes(data)
    publish_albums(source, tmp_path / "out", workers=1)
    assert {path: files(tmp_path / "out")[path] for path in foreign} == foreign


def test_some_configs_alone(source: Path, out: Path) -> None:
    """Publishing one config leaves the files, manifest entries and card entries of the others; a full run afterwards
    writes nothing for what did not change."""
    others, said = of_config(out, "full", "scores"), manifest_of(out)
    label(source, 0, "changed")
    built = publish_albums(source, out, workers=1, configs=["words"])
    assert of_config(out, "full", "scores") == others
    assert {path.split("/")[0] for path in built.publication.written} == {"words", "README.md", ".sealift"}
    now = manifest_of(out)
    assert [config.name for config in now.configs] == ["full", "scores", "words"]
    assert [now.config(name) for name in ("full", "scores")] == [said.config(name) for name in ("full", "scores")]
    assert [shard for shard in now.shards if shard.config != "words"] == [
        shard for shard in said.shards if shard.config != "words"
    ]
    card = DatasetCard.load(out / "README.md").data.to_dict()
    assert [one["config_name"] for one in card["configs"]] == ["full", "scores", "words"]
    assert proven(out)
    words = of_config(out, "words")
    rest = publish_albums(source, out, workers=1)
    assert rest.packed == len([shard for shard in now.shards if shard.config != "words"])
    assert of_config(out, "words") == words
    assert proven(out)


def test_configs_one_by_one_are_the_same_as_all_at_once(source: Path, out: Path, tmp_path: Path) -> None:
    """Published one after another, the configs give the files that one run gives."""
    for name in CONFIGS:
        publish_albums(source, tmp_path / "one by one" / "out", workers=1, configs=[name])
    assert digests(tmp_path / "one by one" / "out") == digests(out)


def test_a_config_that_should_stay_must_be_whole(source: Path, out: Path) -> None:
    """If files of a config that is left out are gone, that is said; it is not dropped behind the user's back."""
    (out / next(shard.path for shard in manifest_of(out).shards if shard.config == "full")).unlink()
    before = files(out)
    with pytest.raises(DestinationError, match="`full`") as caught:
        publish_albums(source, out, workers=1, configs=["words"])
    assert "--configs" in caught.value.hint
    assert files(out) == before
    publish_albums(source, out, workers=1)
    assert proven(out)


def test_a_config_that_is_gone_from_the_spec_goes(source: Path, out: Path) -> None:
    """Its files, its index and its place in card and manifest go; the others stay as they are."""
    stay = of_config(out, "full", "words")
    write_spec(source, configs={name: said for name, said in CONFIGS.items() if name != "scores"})
    built = publish_albums(source, out, workers=1)
    assert {path for path in built.publication.deleted if not path.startswith(".sealift/")} == {
        path for path in built.publication.deleted if path.startswith("scores/")
    }
    assert built.packed == 0
    assert of_config(out, "full", "words") == stay
    assert not (out / "scores").exists()
    assert "scores" not in {one["config_name"] for one in DatasetCard.load(out / "README.md").data.to_dict()["configs"]}
    assert proven(out)


def test_a_config_may_be_renamed(source: Path, out: Path) -> None:
    """Under its new name it is published, under its old one it is gone, in the card as well."""
    write_spec(source, configs={{"scores": "midi"}.get(name, name): said for name, said in CONFIGS.items()})
    publish_albums(source, out, workers=1)
    assert not (out / "scores").exists()
    infos = DatasetInfosDict.from_dataset_card_data(DatasetCard.load(out / "README.md").data)
    assert set(infos) == {"full", "midi", "words"}
    assert proven(out)


def test_a_table_that_changed_is_copied_again(source: Path, out: Path) -> None:
    """A file beside the data is the source's, byte for byte; shards with the same bytes stay."""
    before = of_config(out, *CONFIGS)
    (source / "notes.csv").write_bytes(b"id,note\nnew,new\n")
    built = publish_albums(source, out, workers=1)
    assert "extra/notes.csv" in built.publication.written
    assert (out / "extra/notes.csv").read_bytes() == b"id,note\nnew,new\n"
    assert of_config(out, *CONFIGS) == before


def test_a_damaged_file_is_mended_once_it_is_gone(source: Path, out: Path) -> None:
    """A shard that was deleted or cut is packed again, and nothing else is written."""
    shard = next(shard.path for shard in manifest_of(out).shards if shard.config == "full")
    before = digests(out)
    for cut in (True, False):
        data = (out / shard).read_bytes()
        (out / shard).unlink()
        if cut:
            (out / shard).write_bytes(data[:-1])
        assert publish_albums(source, out, workers=1).publication.written == (shard, manifest.PATH)
        assert digests(out) == before


# --- the card


def test_a_given_readme_is_kept(source: Path, tmp_path: Path) -> None:
    """`card: {readme: …}`: its text is kept to the byte, line ends too, and its other metadata."""
    words = "\r\n# Mine\r\n\r\nText — with *all*.  \r\n\r\n```\r\ncode\r\n```\r\n"
    (source / "CARD.md").write_bytes(f"---\r\nlanguage: [de]\r\nlicense: other\r\n---{words}".encode())
    write_spec(source, card={"readme": "CARD.md", "license": "mit"})
    out = tmp_path / "out"
    publish_albums(source, out, workers=1)
    card = (out / "README.md").read_bytes().decode()
    assert words.removeprefix("\r\n") in card
    said = DatasetCard(card).data.to_dict()
    assert (said["language"], said["license"]) == (["de"], "mit")
    assert publish_albums(source, out, workers=1).publication.written == ()


def test_edits_at_the_destination_are_kept(source: Path, out: Path) -> None:
    """What people write into the published card around the marks stays through every later publication, as do
    metadata and configs of theirs."""
    card = (out / "README.md").read_bytes().decode()
    edited = card.replace("# Albums", "# Our albums\r\n\r\nBy us.").replace(END, f"{END}\r\n\r\nAfter.\r\n")
    edited = edited.replace("license: mit", "license: mit\ncitation_note: please\n").replace(
        "configs:\n", "configs:\n- config_name: theirs\n  data_files: theirs/*.csv\n", 1
    )
    (out / "README.md").write_bytes(edited.encode())
    label(source, 0, "changed")
    publish_albums(source, out, workers=1)
    now = (out / "README.md").read_bytes().decode()
    text, wanted = DatasetCard(now).text, DatasetCard(edited).text
    assert text.partition(BEGIN)[0] == wanted.partition(BEGIN)[0]
    assert text.partition(END)[2] == wanted.partition(END)[2]
    said = DatasetCard(now).data.to_dict()
    assert said["citation_note"] == "please"
    assert [one["config_name"] for one in said["configs"]] == ["full", "scores", "words", "theirs"]
    assert publish_albums(source, out, workers=1).publication.written == ()


def test_a_card_that_is_there_already_is_kept(source: Path, tmp_path: Path) -> None:
    """A README.md that lies at the destination before the first publication is no stranger: its text is kept."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "README.md").write_bytes(b"\xef\xbb\xbf# Ours\r\n\r\nWords.\r\n")
    publish_albums(source, tmp_path / "out", workers=1)
    assert "# Ours\r\n\r\nWords.\r\n" in (tmp_path / "out" / "README.md").read_bytes().decode()


@pytest.mark.parametrize("data", ["# Größe".encode("latin-1"), b"---\na: [\n---\n", f"{BEGIN}\nhalf".encode()])
def test_a_card_that_cannot_be_kept_is_named_before_the_work(source: Path, tmp_path: Path, data: bytes) -> None:
    """Before anything is packed, and whether it lies at the destination or is given in the spec."""
    heard: list[str] = []
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "README.md").write_bytes(data)
    with pytest.raises(RequestError, match=r"README.md"):
        publish_albums(
            source, tmp_path / "out", workers=1, on_event=lambda event: heard.append(getattr(event, "stage", ""))
        )
    assert "pack" not in heard
    assert files(tmp_path / "out") == {"README.md": data}
    (source / "CARD.md").write_bytes(data)
    write_spec(source, card={"readme": "CARD.md"})
    with pytest.raises(RequestError, match=r"README.md"):
        publish_albums(source, tmp_path / "new", workers=1)
    assert not (tmp_path / "new").exists()


def test_a_readme_that_is_not_there_is_named(source: Path, tmp_path: Path) -> None:
    """At its place in the spec."""
    write_spec(source, card={"readme": "NONE.md"})
    with pytest.raises(SpecError, match=r"NONE.md") as caught:
        publish_albums(source, tmp_path / "out", workers=1)
    assert caught.value.fields["key"] == "card.readme"


# --- readers


@pytest.fixture(scope="module")
def read_only(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A publication that no test changes."""
    source = albums(tmp_path_factory.mktemp("read") / "source")
    publish_albums(source, source.parent / "out", workers=1)
    return source.parent / "out"


@pytest.fixture
def cache(tmp_path: Path) -> str:
    return str(tmp_path / "cache")


@pytest.mark.parametrize("config", CONFIGS)
def test_load_dataset_accepts_the_card(read_only: Path, cache: str, config: str) -> None:
    """With verification on, every split has the rows and the features that the card says."""
    found = load_dataset(str(read_only), config, verification_mode="all_checks", cache_dir=cache)
    assert {name: split.num_rows for name, split in found.items()} == {"train": ROWS - 8, "test": 8}
    infos = DatasetInfosDict.from_dataset_card_data(DatasetCard.load(read_only / "README.md").data)
    assert found["train"].features == infos[config].features
    assert [type(feature).__name__ for feature in found["train"].features.values()] == {
        "full": ["Value", "Value", "Audio", "List", "Value"],
        "scores": ["Value", "Value", "Value"],
        "words": ["Value", "Value"],
    }[config]


def test_the_default_config_is_loaded_without_a_name(read_only: Path, cache: str) -> None:
    """`load_dataset` of the folder alone gives the config that is the default."""
    found = load_dataset(str(read_only), split="test", cache_dir=cache)
    assert found.column_names == ["id", "label", "sound", "pages", "score"]


def test_the_footers_say_the_same_features(read_only: Path) -> None:
    """The features in every shard's footer are those of the card."""
    infos = DatasetInfosDict.from_dataset_card_data(DatasetCard.load(read_only / "README.md").data)
    for shard in manifest_of(read_only).shards:
        schema = pq.read_schema(read_only / shard.path)
        assert datasets.Features.from_arrow_schema(schema) == infos[shard.config].features


def test_the_snippets_of_the_card_run(read_only: Path, tmp_path: Path) -> None:
    """A reader who copies the code of the card, beside the folder, gets the dataset and the tables."""
    section = (read_only / "README.md").read_text().partition(BEGIN)[2].partition(END)[0]
    snippets = [part.partition("```")[0] for part in section.split("```python\n")[1:]]
    assert len(snippets) == 2
    code = "\n".join(
        [*snippets, "print(next(iter(stream.decode(False)))['id'])", "print(len(notes), len(beats), beats.columns[1])"]
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=read_only.parent,
        env={**os.environ, "HF_DATASETS_CACHE": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.endswith("track-00\n2 3 beat_s\n")
    assert f"num_rows: {ROWS - 8}" in ran.stdout


def test_a_split_that_lost_all_rows_is_left_out(tmp_path: Path, cache: str) -> None:
    """If the policy leaves out every row of a split, the split is left out: no reader takes an empty one."""
    source = albums(tmp_path / "source", missing="skip", configs=None)
    rows: list[dict[str, Any]] = tracks(source)
    write_tracks(source, [{**row, "sound": "none.flac"} if row["split"] == "test" else row for row in rows])
    publish_albums(source, tmp_path / "out", workers=1)
    found = load_dataset(str(tmp_path / "out"), verification_mode="all_checks", cache_dir=cache)
    assert {name: split.num_rows for name, split in found.items()} == {"train": ROWS - 8}
    assert proven(tmp_path / "out")
    assert publish_albums(source, tmp_path / "out", workers=1).publication.written == ()


@pytest.mark.parametrize("path", ["full/train-00000", ".sealift/index/full-", "extra/notes.csv"])
def test_what_is_damaged_is_made_anew_on_request(source: Path, out: Path, path: str) -> None:
    """A file with its size and other bytes is not seen by a common run; `repair` reads, and writes that file alone."""
    damaged = next(file for file in out.rglob("*") if file.is_file() and str(file.relative_to(out)).startswith(path))
    whole = damaged.read_bytes()
    middle = len(whole) // 2
    damaged.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
    before = identities(out)
    assert publish_albums(source, out, workers=1).publication.written == ()
    built = publish_albums(source, out, workers=1, repair=True)
    name = damaged.relative_to(out).as_posix()
    assert damaged.read_bytes() == whole
    assert set(built.publication.written) == {name, manifest.PATH}
    after = identities(out)
    assert {one for one in before if after[one] != before[one]} == {name, manifest.PATH}
    assert proven(out)


def test_another_dataset_is_not_replaced_by_mistake(tmp_path: Path, out: Path) -> None:
    """Without a column in common it is another dataset, which goes only when that is said."""
    (tmp_path / "other").mkdir()
    (tmp_path / "other/page.txt").write_text("one")
    other = Spec(from_=str(tmp_path / "other"), rows="SELECT path AS page, size FROM files ORDER BY path")
    before = identities(out)
    with pytest.raises(RequestError, match="another dataset"):
        build(other, str(out), workers=1)
    assert identities(out) == before
    build(other, str(out), workers=1, replace=True)
    assert sorted(features_of(out)) == ["page", "size"]


def features_of(out: Path) -> list[str]:
    return [*manifest_of(out).configs[0].features]
