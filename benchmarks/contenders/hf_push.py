"""`datasets`: what `Dataset.push_to_hub` does before and while it uploads, with the upload itself left out.

The library's own method runs; only the call that would upload a finished shard keeps the file instead, by a hard link.
The files are embedded by `Audio`, as its documentation says. It keeps a file's name, not its folder. `num_proc` is what
it offers for two workers.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
from datasets import Audio, Dataset
from huggingface_hub import HfApi
from huggingface_hub.hf_file_system import HfFileSystemResolvedRepositoryPath

from benchmarks.contenders.job import MEDIA, Job, Sample, main, parquet_samples

KEPT_IN = "BENCHMARK_KEPT_IN"
"""The environment says it, since `datasets` spawns its workers: they import this module anew."""


def keep(_api: HfApi, **upload: Any) -> None:
    """In the place of an upload: a second name for the shard, which `datasets` is about to remove."""
    for addition in upload["additions"]:
        os.link(addition.path_or_fileobj, Path(os.environ[KEPT_IN]) / Path(addition.path_in_repo).name)


setattr(HfApi, "preupload_lfs_files", keep)  # noqa: B010 (mypy would not have it assigned)


def write(job: Job) -> None:
    """The shards as they would be uploaded."""
    os.environ[KEPT_IN] = str(job.out)
    paths = pa.array([path and f"{job.corpus}/{path}" for path in job.paths], pa.string())
    table = job.table.set_column(job.table.schema.get_field_index(MEDIA), MEDIA, paths)
    place = HfFileSystemResolvedRepositoryPath(repo_type="dataset", repo_id="o/r", revision="main", path_in_repo="")
    Dataset(table).cast_column(MEDIA, Audio(decode=False))._push_parquet_shards_to_hub(
        resolved_output_path=place,
        data_dir="data",
        split="train",
        token="none",  # noqa: S106
        create_pr=False,
        max_shard_size=job.target,
        num_shards=None,
        embed_external_files=True,
        num_proc=job.workers if job.workers > 1 else None,
    )


def read(job: Job) -> Iterator[Sample]:
    """The rows, each path with its folder put back, where it follows from the name."""
    for light, media in parquet_samples(list(job.out.glob("*.parquet"))):
        name = light[MEDIA]
        yield {**light, MEDIA: name and f"audio/{name[:3]}/{name}"}, media


if __name__ == "__main__":
    main(write, read)
