"""The main job on whole datasets: published by the command, read by `datasets`, equal to the source to the byte.

The two systems go to folders; with SEALIFT_SYSTEMS_ON_HUB set, to the Hub that HF_ENDPOINT and HF_TOKEN name.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import nibabel
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from huggingface_hub import snapshot_download
from tests import corpora
from tests.command import answer, process

ROOT = Path(__file__).parents[1]
COUNTS = {"one": {"train": 20, "validation": 5, "test": 5}, "zwei": {"train": 12, "validation": 4, "test": 4}}
WIDTHS = {"audio": 26, "midi_only": 25, "labels_only": 24}
ON_HUB = "SEALIFT_SYSTEMS_ON_HUB" in os.environ


def destination(folder: Path, name: str) -> str:
    """Where a system is published."""
    return f"systems/{name}" if ON_HUB else str(folder / f"out-{name}")


def files_of(out: str) -> Path:
    """The published files, in a folder: that itself, or what a snapshot of the repository has."""
    return Path(snapshot_download(out, repo_type="dataset")) if ON_HUB else Path(out)


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, str]]:
    """Two corpora of the music layout, (source, published), both by the spec that lies in the first."""
    folder = tmp_path_factory.mktemp("music")
    corpora.music(folder / "one", "one")
    corpora.music(folder / "zwei", "zwei", players=5, takes=4)
    spec, to = folder / "one/sealift.yaml", {seed: destination(folder, seed) for seed in ("one", "zwei")}
    ended = process("publish", spec, "--to", to["one"])
    assert ended.returncode == 0, ended.stderr
    answer("publish", spec, "--from", folder / "zwei", "--to", to["zwei"], "--workers", 1)
    return {seed: (folder / seed, to[seed]) for seed in to}


@pytest.fixture(scope="module")
def bids(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, str]]:
    """Two BIDS corpora, (source, published), both by the spec that lies in the first."""
    folder = tmp_path_factory.mktemp("bids")
    corpora.bids(folder / "A", "A")
    corpora.bids(folder / "Q", "Q", shape=(12, 14, 8))
    spec, to = folder / "A/sealift.yaml", {seed: destination(folder, seed) for seed in "AQ"}
    answer("publish", spec, "--to", to["A"], "--workers", 1)
    answer("publish", spec, "--from", folder / "Q", "--to", to["Q"], "--workers", 1)
    return {seed: (folder / seed, to[seed]) for seed in to}


def load(out: str | Path, config: str | None = None, **options: Any) -> Any:
    """What `load_dataset` makes of it, its checks of the card's counts on."""
    out = Path(out) if os.path.isabs(out) else out
    cache = out.with_name(f"cache-{out.name}") if isinstance(out, Path) else None
    return datasets.load_dataset(str(out), config, cache_dir=cache and str(cache), **options)


def stored(dataset: Any) -> Iterator[dict[str, Any]]:
    """The rows with media as they are stored: {bytes, path}, nothing decoded."""
    for batch in dataset.with_format("arrow").iter(batch_size=7):
        yield from batch.to_pylist()


def equal_to_source(cell: dict[str, Any] | None, path: str | None, source: Path) -> bool:
    """Whether the cell is the file at that path, or null where there is none."""
    if path is None or cell is None:
        return cell is None and path is None
    return bool(cell["path"] == path and cell["bytes"] == (source / path).read_bytes())


@pytest.mark.parametrize("seed", COUNTS)
@pytest.mark.parametrize("config", WIDTHS)
@pytest.mark.parametrize("streaming", [False, True])
def test_music_is_what_lies_at_the_source(music: Any, seed: str, config: str, streaming: bool) -> None:
    """Rows, columns, split sizes and every byte of every medium are those of the source, as a map and as a stream."""
    source, out = music[seed]
    samples = pd.read_parquet(source / "labels/samples.parquet").set_index("sample_id")
    scores = pd.read_parquet(source / "labels/exercises.parquet").set_index("sample_id")
    loaded = load(out, config, streaming=streaming)
    counts = {}
    for split, dataset in loaded.items():
        assert len(dataset.column_names) == WIDTHS[config]
        rows = list(stored(dataset))
        counts[split] = len(rows)
        for row in rows:
            said = samples.loc[row["sample_id"]]
            assert (row["pattern"], row["tempo"], row["seconds"]) == (said.pattern, float(said.tempo), said.seconds)
            assert row["room"] == (None if pd.isna(said.room) else said.room)
            given = scores.loc[row["sample_id"]] if row["sample_id"] in scores.index else None
            want = None if given is None or pd.isna(given.overall) else given.overall
            assert row["overall"] == want
            if "audio" in row:
                assert equal_to_source(row["audio"], said.audio_path, source)
            if "midi" in row:
                assert row["midi"] == (source / said.midi_path).read_bytes()
    assert counts == COUNTS[seed]


def test_music_has_the_features_that_loaders_decode(music: Any) -> None:
    """Audio is the Audio feature with the rate that the spec says, a score plain binary; columns keep their order."""
    _, out = music["one"]
    features = load(out, "audio", split="train").features
    assert features["audio"] == datasets.Audio(sampling_rate=corpora.RATE)
    assert features["midi"] == datasets.Value("binary")
    assert [*features][:3] == ["sample_id", "player_id", "pattern"]
    assert [*features][-len(corpora.SCORES) :] == [*corpora.SCORES]
    assert datasets.get_dataset_config_names(out) == ["audio", "midi_only", "labels_only"]
    assert datasets.get_dataset_default_config_name(out) == "audio"


def test_no_player_is_in_two_splits(music: Any) -> None:
    """The split of a row is its player's, read from a JSON file whose ids look like UUIDs and stay strings."""
    _, out = music["one"]
    players = [set(dataset["player_id"]) for dataset in load(out, "labels_only").values()]
    assert sum(map(len, players)) == len(set().union(*players)) == 6


def test_tables_beside_the_data_join(music: Any) -> None:
    """The tables of `also:` are the source's, byte for byte, and join with the rows on sample_id in pandas."""
    source, out = music["one"]
    rows = pd.concat(dataset.to_pandas() for dataset in load(out, "labels_only").values())
    files = files_of(out)
    for name in ("strokes", "measures"):
        table = files / f"auxiliary/{name}.parquet"
        assert table.read_bytes() == (source / f"labels/{name}.parquet").read_bytes()
        beside = pd.read_parquet(table)
        assert len(beside.merge(rows, on="sample_id")) == len(beside) > 0
    assert set(pd.read_parquet(files / "auxiliary/measures.parquet").sample_id) == set(rows.sample_id)


def test_the_folder_is_laid_out_as_on_the_hub(music: Any) -> None:
    """Shards are `<config>/<split>-<number>-of-<count>.parquet`, several of them, with several row groups each."""
    files = files_of(music["one"][1])
    shards = sorted(files.glob("audio/train-*.parquet"))
    assert len(shards) >= 3
    assert [one.name for one in shards] == [f"train-{n:05}-of-{len(shards):05}.parquet" for n in range(len(shards))]
    assert max(pq.read_metadata(one).num_row_groups for one in shards) >= 2
    assert (files / "labels_only/test-00000-of-00001.parquet").is_file()


@pytest.mark.parametrize("seed", ["A", "Q"])
@pytest.mark.parametrize("streaming", [False, True])
def test_scans_are_what_lies_at_the_source(bids: Any, seed: str, streaming: bool) -> None:
    """13 sessions: each scan in its column, lists in order, null where there is none, participants joined."""
    source, out = bids[seed]
    people = pd.read_csv(source / "participants.tsv", sep="\t").set_index("participant_id")
    loaded = load(out, streaming=streaming)
    assert [*loaded] == ["train"]
    rows = list(stored(loaded["train"]))
    keys = [(row["subject_id"], row["session_id"]) for row in rows]
    assert len(keys) == 13
    assert keys == sorted(keys)
    cells = 0
    for row in rows:
        for column in ("t1w", "flair"):
            found = [*_scans(source, row, f"_{column.upper().replace('1W', '1w')}")]
            assert equal_to_source(row[column], found[0] if found else None, source)
            cells += len(found)
        for column in ("bold", "dwi"):
            found = [*_scans(source, row, f"_{column}")]
            assert len(row[column] or []) == len(found)
            assert all(equal_to_source(cell, path, source) for cell, path in zip(row[column] or [], found, strict=True))
            cells += len(found)
        mask = [*_scans(source, row, "_mask", "derivatives/masks/")]
        assert equal_to_source(row["lesion"], mask[0] if mask else None, source)
        cells += len(mask)
        given = people.loc[row["subject_id"]] if row["subject_id"] in people.index else None
        assert row["sex"] == (None if given is None else given.sex)
        assert row["age"] == (None if given is None or pd.isna(given.age) else given.age)
    assert cells == len([*source.rglob("*.nii.gz")])
    assert {row["age"] for row in rows} > {None}


def _scans(source: Path, row: dict[str, Any], end: str, below: str = "") -> Iterator[str]:
    folder = source / below / row["subject_id"] / row["session_id"]
    for path in sorted(folder.rglob(f"*{end}.nii.gz")):
        yield str(path.relative_to(source))


def test_scans_decode_to_the_arrays_of_the_source(bids: Any) -> None:
    """`load_dataset` gives nibabel images, in lists too, equal to what nibabel reads from the source."""
    source, out = bids["A"]
    dataset = load(out, split="train")
    assert dataset.features["t1w"] == datasets.Nifti()
    assert dataset.features["bold"] == datasets.List(datasets.Nifti())
    raw = list(stored(dataset))
    decoded = 0
    for row, plain in zip(dataset, raw, strict=True):
        pairs = [(row["t1w"], plain["t1w"]), *zip(row["bold"] or [], plain["bold"] or [], strict=True)]
        for image, cell in pairs:
            assert (image is None) == (cell is None)
            if cell:
                there: Any = nibabel.load(source / cell["path"])
                assert np.array_equal(np.asarray(image.dataobj), np.asarray(there.dataobj))
                assert np.array_equal(image.affine, there.affine)
                decoded += 1
    assert decoded > 13


def test_both_systems_are_proven_from_the_folder_and_against_the_source(music: Any, bids: Any) -> None:
    """Every level passes for what was published, and the source says the same of each row and cell."""
    for (source, out), spec in [(music["zwei"], music["one"][0]), (bids["Q"], bids["A"][0])]:
        said = answer("verify", out, "--against", spec / "sealift.yaml", "--from", source)
        assert said["problems"] == []
        assert said["checked"]["cells"] > 50


def test_pictures_without_a_spec(tmp_path: Path) -> None:
    """A folder of classes and splits is published as it stands; pictures decode and labels are their folders' names."""
    corpora.classes(tmp_path / "pictures")
    answer("publish", tmp_path / "pictures", "--to", tmp_path / "out", "--max-shard-size", "12kB", "--workers", 1)
    assert len([*(tmp_path / "out/data").glob("train-*")]) >= 1
    loaded = load(tmp_path / "out")
    assert {split: dataset.num_rows for split, dataset in loaded.items()} == {"train": 12, "test": 12}
    for split, dataset in loaded.items():
        assert dataset.features["label"].names == ["cat", "dog", "owl"]
        for row, cell in zip(dataset, stored(dataset), strict=True):
            path = cell["image"]["path"]
            assert path.split("/")[:2] == [split, dataset.features["label"].int2str(row["label"])]
            assert cell["image"]["bytes"] == (tmp_path / "pictures" / path).read_bytes()
            assert row["image"].size[0] == 16 + int(Path(path).stem)


def test_film_and_paper_arrive_whole(tmp_path: Path) -> None:
    """Video and PDF columns keep their bytes and paths and have their features; a row may lack either."""
    av = pytest.importorskip("av")
    (tmp_path / "in").mkdir()
    film = io.BytesIO()
    with av.open(film, "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=5)
        stream.width = stream.height = 16
        for shade in (0, 90, 180):
            frame = av.VideoFrame.from_ndarray(np.full((16, 16, 3), shade, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    (tmp_path / "in/film.mp4").write_bytes(film.getvalue())
    (tmp_path / "in/paper.pdf").write_bytes(b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n")
    (tmp_path / "in/rows.csv").write_text("id,film,paper\na,film.mp4,\nb,,paper.pdf\n")
    spec = "from: .\ntables: {t: rows.csv}\nrows: SELECT * FROM t\nkey: id\nmedia: {film: video, paper: pdf}\n"
    (tmp_path / "in/sealift.yaml").write_text(spec)
    answer("publish", tmp_path / "in/sealift.yaml", "--to", tmp_path / "out", "--workers", 1)
    dataset = load(tmp_path / "out", split="train")
    assert [dataset.features[name]._type for name in ("film", "paper")] == ["Video", "Pdf"]
    first, second = stored(dataset)
    assert equal_to_source(first["film"], "film.mp4", tmp_path / "in")
    assert equal_to_source(second["paper"], "paper.pdf", tmp_path / "in")
    assert first["paper"] is second["film"] is None


def test_skewed_sizes_keep_the_cap_and_the_plan(tmp_path: Path) -> None:
    """1,000 files of 1 kB, then files of up to 3 MB: no shard exceeds the cap but those of a single row, and what the
    plan counted is what lies there: rows, shards, cells, entries of each folder; files no larger than it said."""
    cap = 1_000_000
    (tmp_path / "in").mkdir()
    sizes = [1000] * 1000 + [10_000 * 2**n for n in range(8)] + [3_000_000, 999_000, 5]
    dice = np.random.default_rng(3)
    for number, size in enumerate(sizes):
        (tmp_path / f"in/{number:04}.bin").write_bytes(dice.bytes(size))
    table = pa.table({"id": range(len(sizes)), "file": [f"{n:04}.bin" for n in range(len(sizes))]})
    pq.write_table(table, tmp_path / "in/rows.parquet")
    spec = "from: .\ntables: {t: rows.parquet}\nrows: SELECT * FROM t ORDER BY id\nkey: id\nmedia: {file: binary}\n"
    (tmp_path / "in/sealift.yaml").write_text(spec + "shards: {row_group_bytes: 200kB}\n")
    given = (tmp_path / "in/sealift.yaml", "--to", tmp_path / "out", "--max-shard-size", cap, "--workers", 1)
    plan = answer("plan", *given)
    answer("publish", *given)
    manifest = json.loads((tmp_path / "out/.sealift/manifest.json").read_text())
    split = plan["configs"][0]["splits"][0]
    assert split["rows"] == len(sizes) == sum(shard["rows"] for shard in manifest["shards"])
    assert split["shards"] == len(manifest["shards"]) >= 5
    assert split["present"] == {"file": len(sizes)} == manifest["configs"][0]["splits"][0]["present"]
    for shard in manifest["shards"]:
        assert (tmp_path / "out" / shard["path"]).stat().st_size == shard["size"]
        assert shard["size"] <= cap or shard["rows"] == 1
    above = [shard for shard in manifest["shards"] if shard["size"] > cap]
    assert [shard["media_bytes"] for shard in above] == [1_280_000, 3_000_000, 999_000]  # the last by its footer
    files = [one.relative_to(tmp_path / "out") for one in (tmp_path / "out").rglob("*") if one.is_file()]
    assert plan["files"]["total"] == len(files)
    entries: dict[str, set[str]] = {}
    for file in files:
        for parent in file.parents:
            name = "" if str(parent) == "." else str(parent)
            entries.setdefault(name, set()).add(file.relative_to(parent).parts[0])
    assert plan["files"]["folders"] == {folder: len(names) for folder, names in entries.items()}
    assert sum(shard["size"] for shard in manifest["shards"]) <= split["file_bytes"]


def test_no_sample_corpus_is_known_to_the_program() -> None:
    """What the program does for a layout it does for any corpus of it: the source names none."""
    names = ("sousa", "arc-aphasia", "aphasia", "episodes-mini", "stamps", "zkeown", "rudiment", "wab_", "dnsmos")
    for file in (ROOT / "src").rglob("*"):
        if file.is_file() and "__pycache__" not in file.parts:
            text = file.read_text(encoding="utf-8").lower()
            assert [name for name in names if name in text] == [], file
