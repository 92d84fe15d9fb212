"""The contenders: what each is called, where it lives, and how it is started."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Kind = Literal["limit", "peer", "ours"]
OURS = "sealift"


@dataclass(frozen=True)
class Contender:
    """Somebody who packs a corpus.

    `environment` is the one its module runs in: `own` is ours, others are built from `requirements/bench`. `command` is
    run as it stands, in the corpus's folder; without it the module's `write` is. `shards` is the pattern of those files
    that count as shards; empty for who makes none. `quick` ones are in the short form.
    """

    name: str
    kind: Kind
    module: str
    environment: str
    shards: str = ""
    command: tuple[str, ...] = ()
    workers: tuple[int, ...] = (1, 2)
    quick: bool = True
    note: str = ""


CONTENDERS = (
    Contender(
        OURS,
        "ours",
        "sealift_publish",
        "own",
        shards="data/*.parquet",
        command=("{bin}/sealift", "publish", "{spec}", "--to", "{out}", "--workers", "{workers}", "--quiet"),
        note="The whole command: start-up, plan, probes, a digest of every file, SHA-256 of every shard, index, card.",
    ),
    Contender(
        "cat",
        "limit",
        "cat_files",
        "own",
        command=("sh", "-c", "xargs -0 -a {names} cat > {out}/all.bin"),
        workers=(1,),
        note="All files into one. No columns, no digest.",
    ),
    Contender(
        "GNU tar",
        "limit",
        "gnu_tar",
        "own",
        command=("tar", "--create", "--file", "{out}/all.tar", "--null", "--no-recursion", "--files-from", "{names}"),
        workers=(1,),
        note="All files in one archive. No columns, no digest.",
    ),
    Contender(
        "read + sha256",
        "limit",
        "sha256_files",
        "own",
        command=("{python}", "{here}/contenders/sha256_files.py", "write", "{names}", "{out}", "{workers}"),
        note="Every file read and hashed by plain Python. Nothing is written but digests.",
    ),
    Contender(
        "pyarrow loop",
        "limit",
        "pyarrow_loop",
        "tables",
        shards="*.parquet",
        note="A loop as fast as we know to write it: pages of about 1 MB, SHA-256 of every file.",
    ),
    Contender(
        "datasets",
        "peer",
        "hf_push",
        "tables",
        shards="*.parquet",
        note="What push_to_hub builds, with the upload left out. Keeps a file's name without its folder.",
    ),
    Contender("webdataset", "peer", "webdataset_shards", "tables", shards="*.tar", note="ShardWriter. JSON columns."),
    Contender(
        "lance", "peer", "lance_plain", "tables", shards="rows.lance/data/*.lance", note="A large-binary column."
    ),
    Contender("lance blob", "peer", "lance_blob", "tables", shards="rows.lance/data/*.lance", note="A blob column."),
    Contender(
        "duckdb",
        "peer",
        "duckdb_copy",
        "tables",
        shards="**/*.parquet",
        note="COPY of a join with read_blob. The order of rows is lost: files by bytes are not to be had with it.",
    ),
    Contender("polars", "peer", "polars_sink", "tables", shards="**/*.parquet", note="A streaming sink, cut by bytes."),
    Contender(
        "daft", "peer", "daft_write", "tables", shards="**/*.parquet", quick=False, note="download, write_parquet."
    ),
    Contender(
        "ray data",
        "peer",
        "ray_data",
        "tables",
        shards="**/*.parquet",
        quick=False,
        note="map_batches, write_parquet. Starts and stops a cluster on this machine in every run.",
    ),
    Contender(
        "MDSWriter",
        "peer",
        "mds_writer",
        "training",
        shards="**/*.mds",
        quick=False,
        note="Holds no nulls: empty bytes instead. Its vision part, which is not needed, is not imported.",
    ),
    Contender(
        "litdata",
        "peer",
        "litdata_optimize",
        "training",
        shards="*.bin",
        quick=False,
        note="Holds no nulls: empty bytes instead.",
    ),
)
WRONG = Contender("wrong", "limit", "wrong", "own", workers=(1,), note="Wrong on purpose: the harness must report it.")


@dataclass(frozen=True)
class Place:
    """The folders of a run. `work` is emptied before; `out` in it takes the shards, `tmp` what tools leave behind."""

    corpus: Path
    work: Path

    @property
    def out(self) -> Path:
        return self.work / "out"

    @property
    def names(self) -> Path:
        """The paths of the corpus's files, in order, with a zero byte between them."""
        return self.work / "names"

    @property
    def spec(self) -> Path:
        return self.work / "spec.yaml"


def command(contender: Contender, verb: str, python: Path, place: Place, workers: int, target: int) -> list[str]:
    """What starts it, to `write` or to `read` back what it wrote."""
    if verb == "write" and contender.command:
        known = {
            "bin": python.parent,
            "python": python,
            "here": Path(__file__).resolve().parent,
            "names": place.names,
            "spec": place.spec,
            "out": place.out,
            "workers": workers,
        }
        return [word.format(**known) for word in contender.command]
    module = f"benchmarks.contenders.{contender.module}"
    options = ["--corpus", place.corpus, "--out", place.out, "--workers", workers, "--target", target]
    return [str(python), "-m", module, verb, *map(str, options)]
