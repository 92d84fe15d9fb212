"""The corpora that everything is measured on: made from numbers, the same bytes on every machine.

    python benchmarks/corpora.py A B C --root FOLDER [--scale 0.1]

Each corpus is a folder of WAV files and a table beside them, `rows.parquet`: a row for each file, in the table's order,
with the file's path in `audio`, 4 columns of text and 20 of floats. The samples are noise, so nothing compresses.
"""

from __future__ import annotations

import argparse
import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

VERSION = 1
"""Goes up when other bytes are made from the same numbers: a corpus of before is made anew."""
HEADER = 44
PIECE = 8 << 20
FILES_IN_FOLDER = 1000
MB = 1_000_000

Sizes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Corpus:
    """What a corpus is: how many files, from which size to which in bytes, and how large shards of it are to be.

    `log_normal` is the median in bytes and the sigma of sizes cut off at those limits; without it they are even.
    After `null_every` rows with a file comes one without.
    """

    name: str
    seed: int
    files: int
    least: int
    most: int
    target: int
    log_normal: tuple[float, float] | None = None
    null_every: int = 0

    def sizes(self, scale: float = 1.0) -> Sizes:
        """The bytes of each file, even numbers, header included. A scale takes fewer files, or smaller ones of few."""
        random = np.random.default_rng([self.seed, 0])
        if self.log_normal is None:
            sizes = random.integers(self.least, self.most, self.files)[: max(1, round(self.files * scale))]
        else:
            median, sigma = self.log_normal
            even = np.clip(random.lognormal(np.log(median), sigma, self.files), self.least, self.most) * scale
            sizes = even.astype(np.int64)
        return np.asarray(sizes, np.int64) // 2 * 2


CORPORA = {
    "A": Corpus("A", 1, 60_000, 8_000, 40_000, target=256 << 20),
    "B": Corpus("B", 2, 4_000, 200_000, 1_500_000, target=256 << 20),
    "C": Corpus("C", 3, 90, 2_400_000, 300 * MB, target=1 << 30, log_normal=(30e6, 1.2), null_every=12),
}


def make(corpus: Corpus, root: Path, scale: float = 1.0) -> Path:
    """The corpus below the root, made if it is not there as it should be; where it lies."""
    folder = root / f"{corpus.name}-{scale:g}"
    note = folder / "corpus.json"
    made = {"version": VERSION, "scale": scale, "corpus": repr(corpus)}
    if note.is_file() and json.loads(note.read_text()) == made:
        return folder
    sizes = corpus.sizes(scale)
    paths = []
    for number, size in enumerate(sizes):
        path = f"audio/{number // FILES_IN_FOLDER:03d}/{number:06d}.wav"
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        with open(folder / path, "wb") as file:
            for piece in wav(int(size), [corpus.seed, 1, number]):
                file.write(piece)
        paths.append(path)
    pq.write_table(_rows(corpus, paths), folder / "rows.parquet")
    note.write_text(json.dumps(made))
    return folder


def wav(size: int, seed: list[int]) -> Iterator[bytes]:
    """A mono recording of 16 bits at 16 kHz, `size` bytes in all, an even number of 44 or more; in pieces."""
    samples = size - HEADER
    form = struct.pack("<IHHIIHH", 16, 1, 1, 16_000, 32_000, 2, 16)
    yield b"RIFF" + struct.pack("<I", size - 8) + b"WAVEfmt " + form + b"data" + struct.pack("<I", samples)
    random = np.random.default_rng(seed)
    for start in range(0, samples, PIECE):
        yield random.bytes(min(PIECE, samples - start))


def _rows(corpus: Corpus, paths: list[str]) -> pa.Table:
    """The table: after every so many files a row that has none."""
    cells: list[str | None] = []
    for number, path in enumerate(paths, 1):
        cells.append(path)
        if corpus.null_every and number % corpus.null_every == 0:
            cells.append(None)
    count = len(cells)
    random = np.random.default_rng([corpus.seed, 2])
    words = np.array(["violin", "piano", "drums", "voice", "flute", "organ", "harp", "bass"])
    columns: dict[str, pa.Array] = {
        "id": pa.array([f"{corpus.name}{number:07d}" for number in range(count)]),
        "instrument": pa.array(words[random.integers(0, len(words), count)]),
        "title": pa.array([" ".join(words[random.integers(0, len(words), 6)]) for _ in range(count)]),
        "licence": pa.array(np.array(["cc-by-4.0", "cc0-1.0"])[random.integers(0, 2, count)]),
    }
    for number in range(20):
        columns[f"f{number:02d}"] = pa.array(random.standard_normal(count))
    return pa.table({**columns, "audio": pa.array(cells, pa.string())})


def main() -> None:
    """Make the corpora that are named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="+", choices=sorted(CORPORA))
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--scale", type=float, default=1.0)
    asked = parser.parse_args()
    for name in asked.names:
        folder = make(CORPORA[name], asked.root, asked.scale)
        sizes = CORPORA[name].sizes(asked.scale)
        print(
            f"{folder}: {len(sizes)} files, {int(sizes.sum()) / MB:,.0f} MB, the largest {int(sizes.max()) / MB:,.1f}"
        )


if __name__ == "__main__":
    main()
