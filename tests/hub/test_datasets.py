"""Datasets that the `datasets` library publishes to a Hub, loads from it and streams."""

from __future__ import annotations

import io
import random
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Picture
from tests.hub.client import Client
from tests.hub.files import upload
from tests.hubs import Hub

Rows = dict[str, list[Any]]


def some_rows(count: int, first: int = 0) -> Rows:
    """Rows of the usual types."""
    numbers = range(first, first + count)
    words = [f"row {number} ünïcödé" for number in numbers]
    lists = [[number] * (number % 3) for number in numbers]
    return {"id": list(numbers), "text": words, "half": [number / 2 for number in numbers], "lists": lists}


def test_what_was_pushed_is_loaded(client: Client, name: Callable[[], str]) -> None:
    """`push_to_hub` creates a private repository and cuts shards; loaded whole and streamed, the rows are the same."""
    repo, rows = name(), some_rows(1000)
    client.call(push, repo, rows, private=True, max_shard_size=20_000)
    files = [path for path in client.api.list_repo_files(repo, repo_type="dataset") if path.endswith(".parquet")]
    assert len(files) > 2
    assert files[0] == f"data/train-00000-of-{len(files):05}.parquet"
    assert client.api.repo_info(repo, repo_type="dataset").private
    assert client.call(failure, repo, token=False) == "DatasetNotFoundError"
    assert client.call(load, repo) == as_rows(rows)
    assert client.call(load, repo, streaming=True) == as_rows(rows)


def test_configs_and_splits_keep_apart(client: Client, name: Callable[[], str]) -> None:
    """Several configs and splits of one repository are listed, described by the card, and each loads its own rows."""
    repo = name()
    client.call(push_splits, repo, {"train": some_rows(20), "test": some_rows(5, 100)})
    client.call(push, repo, some_rows(7, 200), config_name="small", split="validation")
    assert client.call("datasets:get_dataset_config_names", repo) == ["default", "small"]
    assert client.call("datasets:get_dataset_split_names", repo, "default") == ["train", "test"]
    assert client.call(described, repo, "small") == {"columns": list(some_rows(1)), "rows": {"validation": 7}}
    assert client.call(described, repo, "default") == {"columns": list(some_rows(1)), "rows": {"train": 20, "test": 5}}
    assert client.call(load, repo, split="test") == as_rows(some_rows(5, 100))
    assert client.call(load, repo, "small", split="validation") == as_rows(some_rows(7, 200))
    assert client.call(load, repo, "small", split="validation", streaming=True) == as_rows(some_rows(7, 200))


def test_a_second_push_replaces_the_first(client: Client, name: Callable[[], str]) -> None:
    """No shard of the first is left; the first can still be had by its commit, tag or branch."""
    repo = name()
    first = client.call(push, repo, some_rows(300), num_shards=3)
    client.api.create_tag(repo, tag="v1", repo_type="dataset")
    client.call(push, repo, some_rows(10, 1000), num_shards=2)
    files = [path for path in client.api.list_repo_files(repo, repo_type="dataset") if path.endswith(".parquet")]
    assert sorted(files) == [f"data/train-0000{number}-of-00002.parquet" for number in range(2)]
    assert client.call(load, repo) == as_rows(some_rows(10, 1000))
    for revision in ("v1", first):
        assert client.call(load, repo, revision=revision) == as_rows(some_rows(300))
        assert client.call(load, repo, revision=revision, streaming=True) == as_rows(some_rows(300))


def test_a_push_may_go_to_a_branch_or_be_proposed(client: Client, name: Callable[[], str]) -> None:
    """With `revision` a branch is made for it, with `create_pr` a pull request: main keeps its rows."""
    repo = name()
    client.call(push, repo, some_rows(3))
    client.call(push, repo, some_rows(4, 10), revision="next")
    client.call(push, repo, some_rows(5, 20), create_pr=True)
    assert client.call(load, repo, revision="next", streaming=True) == as_rows(some_rows(4, 10))
    assert client.call(load, repo, revision="refs/pr/1", streaming=True) == as_rows(some_rows(5, 20))
    assert client.call(load, repo, streaming=True) == as_rows(some_rows(3))


def test_media_come_back_byte_for_byte(client: Client, name: Callable[[], str], tmp_path: Path) -> None:
    """Audio and images that are not decoded are the bytes of the files, under their names."""
    repo, files = name(), media(tmp_path)
    client.call(push_media, repo, tmp_path, len(files) // 2)
    for streaming in (False, True):
        assert client.call(load_media, repo, streaming=streaming) == files


def test_a_stream_can_be_pushed(client: Client, name: Callable[[], str]) -> None:
    """`IterableDataset.push_to_hub` writes a shard for each of its own."""
    repo = name()
    client.call(push_stream, repo, some_rows(90), 3)
    files = [path for path in client.api.list_repo_files(repo, repo_type="dataset") if path.endswith(".parquet")]
    assert len(files) == 3
    assert client.call(load, repo) == as_rows(some_rows(90))


def test_columns_that_are_not_wanted_are_not_sent(default: Client, name: Callable[[], str], local_hub: Hub) -> None:
    """Streaming one light column of a file with a heavy one reads a part of it."""
    repo, heavy = name(), random.Random(5).randbytes(30_000_000)
    default.call(push_heavy, repo, heavy, 300)
    before = local_hub.counts()["bytes_out"]
    assert default.call(load, repo, columns=["id"], streaming=True) == [{"id": number} for number in range(300)]
    assert local_hub.counts()["bytes_out"] - before < 15_000_000


def test_files_without_a_card_are_a_dataset(default: Client, repo: str) -> None:
    """CSV files that were uploaded as they are load by their places and names."""
    for path, text in (("data/train.csv", "a,b\n1,x\n2,y\n"), ("data/test.csv", "a,b\n3,z\n")):
        upload(default, repo, path, text.encode())
    for streaming in (False, True):
        assert default.call(load, repo, streaming=streaming) == [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]
        assert default.call(load, repo, split="test", streaming=streaming) == [{"a": 3, "b": "z"}]
    place = f"hf://datasets/{repo}/data/test.csv"
    assert default.call(load, "csv", data_files=place) == [{"a": 3, "b": "z"}]


def test_what_cannot_be_loaded_is_named(default: Client, name: Callable[[], str]) -> None:
    """No such dataset, config, split and revision each are an error of the right kind."""
    repo = name()
    assert default.call(failure, repo) == "DatasetNotFoundError"
    default.call(push, repo, some_rows(3))
    assert default.call(failure, repo, "no-config") == "ValueError"
    assert default.call(failure, repo, split="no-split") == "ValueError"
    assert default.call(failure, repo, revision="nowhere") == "DatasetNotFoundError"


@pytest.mark.parametrize("streaming", [False, True])
def test_anyone_loads_a_public_dataset(streaming: bool, default: Client, name: Callable[[], str]) -> None:
    """No token is needed."""
    repo = name()
    default.call(push, repo, some_rows(3))
    assert default.call(load, repo, token=False, streaming=streaming) == as_rows(some_rows(3))


def as_rows(columns: Rows) -> list[dict[str, Any]]:
    """The rows of these columns."""
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def push(repo: str, rows: Rows, **more: Any) -> str:
    """The id of the commit."""
    from datasets import Dataset

    return str(Dataset.from_dict(rows).push_to_hub(repo, **more).oid)


def push_splits(repo: str, splits: dict[str, Rows]) -> None:
    from datasets import Dataset, DatasetDict

    DatasetDict({split: Dataset.from_dict(rows) for split, rows in splits.items()}).push_to_hub(repo)


def push_stream(repo: str, rows: Rows, shards: int) -> None:
    from datasets import Dataset

    Dataset.from_dict(rows).to_iterable_dataset(num_shards=shards).push_to_hub(repo)


def push_heavy(repo: str, heavy: bytes, rows: int) -> None:
    """A light column and a heavy one, in one file."""
    from datasets import Dataset

    size = len(heavy) // rows
    parts = [heavy[number * size : (number + 1) * size] for number in range(rows)]
    Dataset.from_dict({"id": list(range(rows)), "heavy": parts}).push_to_hub(repo, num_shards=1)


def push_media(repo: str, folder: Path, count: int) -> None:
    from datasets import Audio, Dataset, Image

    sounds = [str(folder / f"sound-{number}.wav") for number in range(count)]
    images = [str(folder / f"image-{number}.png") for number in range(count)]
    rows = Dataset.from_dict({"sound": sounds, "image": images})
    rows = rows.cast_column("sound", Audio(decode=False)).cast_column("image", Image(decode=False))
    rows.push_to_hub(repo, num_shards=2)


def load(repo: str, *config: str, split: str = "train", **more: Any) -> list[dict[str, Any]]:
    """Every row."""
    from datasets import load_dataset

    return [dict(row) for row in load_dataset(repo, *config, split=split, **more)]


def load_media(repo: str, streaming: bool) -> dict[str, bytes]:
    """The bytes of every cell, by the name that it has."""
    from datasets import Audio, Image, load_dataset

    rows = load_dataset(repo, split="train", streaming=streaming)
    rows = rows.cast_column("sound", Audio(decode=False)).cast_column("image", Image(decode=False))
    return {cell["path"]: cell["bytes"] for row in rows for cell in row.values()}


def described(repo: str, config: str) -> dict[str, Any]:
    """What is known of a config before anything is loaded."""
    from datasets import load_dataset_builder

    info = load_dataset_builder(repo, config).info
    return {"columns": list(info.features), "rows": {name: split.num_examples for name, split in info.splits.items()}}


def failure(repo: str, *config: str, **more: Any) -> str:
    """The kind of error that loading raises."""
    from datasets import load_dataset

    try:
        load_dataset(repo, *config, **more)
    except Exception as error:
        return type(error).__name__
    return "none"


def media(folder: Path, count: int = 4) -> dict[str, bytes]:
    """Tiny sounds and images, each with a content of its own."""
    files: dict[str, bytes] = {}
    for number in range(count):
        sound, image = io.BytesIO(), io.BytesIO()
        with wave.open(sound, "wb") as out:
            out.setparams((1, 2, 8000, 0, "NONE", "NONE"))
            out.writeframes(random.Random(number).randbytes(1600))
        Picture.new("RGB", (8 + number, 8), (number * 50, 10, 20)).save(image, "PNG")
        files |= {f"sound-{number}.wav": sound.getvalue(), f"image-{number}.png": image.getvalue()}
    for path, data in files.items():
        (folder / path).write_bytes(data)
    return files
