"""A small dataset like those that people have: sound, scores, covers and scans in folders, and tables about them."""

from __future__ import annotations

import csv
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from sealift.tools.makers import TICKS, Note, brain, flac, melody, midi, nifti, noise, picture, png, tones

RATE = 16000
SHARES = {"train": 8, "validation": 2, "test": 2}
MOODS = ("calm", "lively", "solemn")
SPEC = Path(__file__).with_name("corpus.yaml")

README = """\
# Listening in the scanner

Twelve pianists each recorded short tunes of their own, and for some of the sessions they lay in a scanner while they
listened back. Nobody was really there: the tunes, pictures and scans are drawn by a program, so take what you like.

- `recordings/<performer>/<id>.flac`: mono, 16 kHz
- `scores/<id>.mid`: what was played
- `covers/<id>.png`: the performer's drawing for it, where there is one
- `scans/<id>_run-<n>.nii.gz`: none to three runs for each recording
- `labels/`: the recordings, who is in which split, and every beat
"""


@dataclass(frozen=True, slots=True)
class Recording:
    """One row to be: who played what, and which files it has."""

    id: str
    performer: str
    number: int
    tempo_bpm: int
    mood: str
    notes: tuple[Note, ...]
    covered: bool
    scans: int

    @property
    def seconds(self) -> float:
        """How long the tune is."""
        last = self.notes[-1]
        return (last.start + last.length) * 60 / (TICKS * self.tempo_bpm)

    @property
    def audio(self) -> str:
        """The recording's path."""
        return f"recordings/{self.performer}/{self.id}.flac"

    @property
    def score(self) -> str:
        """The score's path."""
        return f"scores/{self.id}.mid"

    @property
    def cover(self) -> str:
        """The cover's path, or nothing."""
        return f"covers/{self.id}.png" if self.covered else ""


def make(folder: Path, rows: int = 200, seed: int = 0) -> None:
    """Write the dataset and its `sealift.yaml` into the folder: about 60 KB a row, the same files for the same seed.

    Files that are there already are overwritten. The Parquet table's bytes depend on pyarrow's version.
    """
    performers = [_identifier(f"performer {seed} {n}") for n in range(sum(SHARES.values()))]
    recordings = [_recording(seed, n, performers) for n in range(rows)]
    for path in ("scores", "covers", "scans", "labels", *(f"recordings/{performer}" for performer in performers)):
        (folder / path).mkdir(parents=True, exist_ok=True)
    for recording in recordings:
        for path, data in _files(recording):
            (folder / path).write_bytes(data)
    _write_labels(folder / "labels", recordings, performers)
    (folder / "README.md").write_text(README, encoding="utf-8")
    (folder / "sealift.yaml").write_text(spec(rows), encoding="utf-8")


def spec(rows: int) -> str:
    """The spec that publishes a corpus of so many rows."""
    return SPEC.read_text(encoding="utf-8").replace("${ROWS}", str(rows))


def _identifier(seed: str) -> str:
    return str(uuid.UUID(bytes=noise(seed, 16).tobytes(), version=4))


def _recording(seed: int, number: int, performers: list[str]) -> Recording:
    name = f"recording {seed} {number}"
    tempo, mood, length, cover, scans = noise(name, 5).tolist()
    return Recording(
        id=_identifier(name),
        performer=performers[number % len(performers)],
        number=number,
        tempo_bpm=90 + tempo % 90,
        mood=MOODS[mood % len(MOODS)],
        notes=melody(name, 4 + length % 6),
        covered=cover % 8 > 0,
        scans=max(0, scans % 6 - 2),
    )


def _files(recording: Recording) -> Iterator[tuple[str, bytes]]:
    """(path, content) of each of the recording's media files."""
    sound = tones(recording.notes, RATE, recording.tempo_bpm)
    yield recording.audio, flac(sound, RATE)
    yield recording.score, midi(recording.notes, recording.tempo_bpm)
    if recording.covered:
        yield recording.cover, png(picture(recording.id))
    for run in range(1, recording.scans + 1):
        volume = brain(f"{recording.performer} {recording.number} {run}", (24, 24, 16))
        yield f"scans/{recording.id}_run-{run}.nii.gz", nifti(volume, (2.5, 2.5, 3.0))


def _write_labels(folder: Path, recordings: list[Recording], performers: list[str]) -> None:
    with (folder / "recordings.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("recording_id", "performer_id", "mood", "tempo_bpm", "duration_s", "audio", "score", "cover"))
        for item in recordings:
            about = (item.mood, item.tempo_bpm, f"{item.seconds:.3f}")
            table.writerow((item.id, item.performer, *about, item.audio, item.score, item.cover))
    groups = iter(performers)
    splits = {split: [next(groups) for _ in range(count)] for split, count in SHARES.items()}
    (folder / "performers.json").write_text(json.dumps(splits, indent=1) + "\n", encoding="utf-8")
    pq.write_table(_beats(recordings), folder / "beats.parquet")


def _beats(recordings: list[Recording]) -> pa.Table:
    """Every note as a row: which recording, when in seconds, which pitch, how loud."""
    played = [(item, note) for item in recordings for note in item.notes]
    return pa.table(
        {
            "recording_id": pa.array([item.id for item, _ in played], pa.string()),
            "onset_s": pa.array([note.start * 60 / (TICKS * item.tempo_bpm) for item, note in played], pa.float64()),
            "pitch": pa.array([note.pitch for _, note in played], pa.int16()),
            "velocity": pa.array([note.velocity for _, note in played], pa.int16()),
        }
    )
