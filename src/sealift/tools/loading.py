"""Loading a dataset as its readers will: by `datasets.load_dataset`, in a process of its own.

The clients read their environment when they are imported, so a process that is to know another Hub must be a new one.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any, Literal

import pyarrow as pa

from sealift.errors import IntegrityError
from sealift.tools.hubprocess import end

Way = Literal["map", "stream"]
WAYS: tuple[Way, ...] = ("map", "stream")
Batches = Iterator[tuple[str, pa.Table]]
"""Rows in order, as (split, rows with media as they are stored)."""
STOP_S = 15
PROGRAM = """\
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from sealift.tools.loading import serve
serve()
"""
"""What the process runs that loads."""


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be loaded: a repository or a folder, one of its configs, map-style or as a stream."""

    where: str
    config: str
    way: Way
    batch_rows: int
    revision: str | None = None


@dataclass(frozen=True, slots=True)
class Loader:
    """A process that loads what it is told, one job after another; its caches lie in `home`."""

    process: subprocess.Popen[bytes]
    answers: pa.PythonFile
    home: Path

    def rows(self, job: Job) -> Batches:
        """The rows, to be taken to their end. Memory: a batch here, and there what `datasets` takes.

        What a map-style load keeps on disk is gone when the last row was taken.

        Raises:
            IntegrityError: `datasets` cannot load it.
        """
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps({name: getattr(job, name) for name in Job.__slots__}).encode() + b"\n")
            self.process.stdin.flush()
            yield from _batches(pa.ipc.open_stream(self.answers))
        except (pa.ArrowInvalid, OSError) as error:
            raise self._failed(job) from error
        shutil.rmtree(self.home / "hf" / "hub", ignore_errors=True)

    def _failed(self, job: Job) -> IntegrityError:
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(STOP_S)
        said = _log(self.home).read_text(errors="replace").strip().splitlines()
        return IntegrityError(
            f"config {job.config}: load_dataset cannot load it ({job.way}): {said[-1] if said else 'it said nothing'}",
            hint="look at the features of its columns: `sealift plan` shows them",
            config=job.config,
        )


def can_load() -> bool:
    """Whether `datasets` is installed."""
    try:
        return find_spec("datasets") is not None
    except ImportError:
        return False


@contextmanager
def loader(environment: Mapping[str, str], home: Path) -> Iterator[Loader]:
    """A process with that environment, which keeps its caches under `home`; it ends with the block."""
    home.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-c", PROGRAM, json.dumps(sys.path)]
    with (
        _log(home).open("wb") as heard,
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=heard,
            env=dict(environment),
            start_new_session=True,
        ) as process,
    ):
        try:
            yield Loader(process, pa.PythonFile(process.stdout, mode="r"), home)
        finally:
            end(process)


def serve() -> None:
    """The life of the process that loads: a job on each line of stdin, an Arrow stream on stdout for each."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print must not get among the rows
    import datasets

    datasets.disable_progress_bars()
    datasets.config.USE_PARQUET_EXPORT = False  # the viewer's service is a host of its own, and not on this machine
    for line in sys.stdin:
        _answer(Job(**json.loads(line)), answers)


def _answer(job: Job, answers: IO[bytes]) -> None:
    from datasets import load_dataset

    cache = Path(os.environ["HF_HOME"]) / "map"
    options: dict[str, Any] = {"streaming": True} if job.way == "stream" else {"cache_dir": str(cache)}
    writer = None
    for split, dataset in load_dataset(job.where, job.config, revision=job.revision, **options).items():
        for table in dataset.with_format("arrow").iter(job.batch_rows):
            writer = writer or pa.ipc.new_stream(answers, table.schema)
            for batch in table.combine_chunks().to_batches():
                writer.write_batch(batch, custom_metadata={"split": str(split)})
    # Before the end is told: who has heard it ends this process.
    shutil.rmtree(cache, ignore_errors=True)
    (writer or pa.ipc.new_stream(answers, pa.schema([]))).close()
    answers.flush()


def _batches(reader: Any) -> Batches:
    while True:
        try:
            batch, said = reader.read_next_batch_with_custom_metadata()
        except StopIteration:
            return
        yield said["split"].decode(), pa.Table.from_batches([batch])


def _log(home: Path) -> Path:
    return home / "loading.log"
