"""Small corpora in the layouts that people have, with the specs that publish them.

Every name in a corpus comes from `seed`, so two seeds give two corpora of one layout that share no name, and the files'
sizes differ too. Media are real, and tiny.
"""

from __future__ import annotations

import csv
import json
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sealift.tools.makers import brain, flac, melody, midi, nifti, noise, picture, png

RATE = 8000
SPLITS = {"train": "train", "val": "validation", "test": "test"}
SCORES = (
    *("timing", "steadiness", "tempo_hold", "evenness", "loudness", "accents", "accent_hits"),
    *("balance", "weak_hand", "grace", "doubles", "rolls", "groove", "overall"),
)

MUSIC_SPEC = f"""\
to: players/takes                       # three views of one dataset, split by player
from: .
tables:
  samples: labels/samples.parquet
  exercises: labels/exercises.parquet
  splits: splits.json
rows: |
  SELECT s.sample_id, s.player_id, s.pattern, s.level, CAST(s.tempo AS DOUBLE) AS tempo, s.seconds, s.cycles, s.hand,
         s.kit, s.room, s.audio_path AS audio, s.midi_path AS midi,
         {", ".join(f"e.{name}" for name in SCORES)},
         CASE WHEN list_contains(p.train_players, s.player_id) THEN 'train'
              WHEN list_contains(p.val_players, s.player_id) THEN 'validation'
              WHEN list_contains(p.test_players, s.player_id) THEN 'test' END AS split
  FROM samples s LEFT JOIN exercises e USING (sample_id), splits p
  ORDER BY s.sample_id
key: sample_id
split: {{column: split}}
media:
  audio: {{type: audio, sampling_rate: {RATE}}}
  midi: midi
configs:
  audio: {{default: true}}
  midi_only: {{drop: [audio]}}
  labels_only: {{drop: [audio, midi]}}
also:
  auxiliary/: [labels/strokes.parquet, labels/measures.parquet]
shards: {{format: parquet, max_bytes: 60kB, row_group_bytes: 12kB}}
card: {{license: mit, pretty_name: Takes, tags: [audio, midi]}}
"""
"""26 columns in `audio`, 25 in `midi_only`, 24 in `labels_only`; the split goes by player."""

BIDS_SPEC = """\
to: scans/sessions                      # a row a session; any scan may be missing, some come in lists
from: .
layout: bids
tables: {participants: participants.tsv}
rows: |
  SELECT 'sub-' || f.subject AS subject_id, 'ses-' || f.session AS session_id,
         list(path) FILTER (suffix = 'T1w' AND derivative IS NULL) AS t1w,
         list(path) FILTER (suffix = 'FLAIR' AND derivative IS NULL) AS flair,
         list(path ORDER BY path) FILTER (suffix = 'bold' AND derivative IS NULL) AS bold,
         list(path ORDER BY path) FILTER (suffix = 'dwi' AND derivative IS NULL) AS dwi,
         list(path) FILTER (suffix = 'mask' AND "desc" = 'lesion') AS lesion,
         any_value(p.age) AS age, any_value(p.sex) AS sex, any_value(p.score) AS score
  FROM files f LEFT JOIN participants p ON p.participant_id = 'sub-' || f.subject
  WHERE f.extension = '.nii.gz'
  GROUP BY f.subject, f.session ORDER BY 1, 2
key: [subject_id, session_id]
split: train
media: {t1w: nifti, flair: nifti, bold: [nifti], dwi: [nifti], lesion: nifti}
shards: {max_bytes: 64kB, row_group_bytes: 14kB}
card: {license: cc0-1.0}
"""


def music(folder: Path, seed: str = "one", players: int = 6, takes: int = 5) -> None:
    """Takes of players: `labels/*.parquet`, `splits.json`, `audio/<pattern>/*.flac`, `midi/<pattern>/*.mid`.

    Ids of players are UUIDs and some patterns look like dates, so that a reader that guesses types breaks the join.
    The first four players are in train, then one each in val and test; the last take has no scores.
    """
    ids = [str(uuid.UUID(bytes=noise(f"{seed} player {n}", 16).tobytes(), version=4)) for n in range(players)]
    patterns = [f"2021-03-0{1 + len(seed) % 7}", f"{seed}-roll"]
    samples = [_take(seed, ids[n // takes], n, patterns[n % 2]) for n in range(players * takes)]
    for row in samples:
        sound = noise(f"{seed} sound {row['sample_id']}", 2 * int(row["seconds"] * RATE)).view("<i2").reshape(-1, 1)
        tune = melody(row["sample_id"], 3 + len(row["sample_id"]) % 5)
        _put(folder, row["audio_path"], flac(sound.astype(np.int16), RATE))
        _put(folder, row["midi_path"], midi(tune, row["tempo"]))
    scores = [_scores(seed, row["sample_id"]) for row in samples[:-1]]
    strokes = [
        {"index": n, "hand": "LR"[n % 2], "error_ms": n / 8, "sample_id": row["sample_id"]}
        for row in samples
        for n in range(row["cycles"])
    ]
    measures = [{"index": 0, "mean": row["seconds"], "sample_id": row["sample_id"]} for row in samples]
    tables = {"samples": samples, "exercises": scores, "strokes": strokes, "measures": measures}
    for name, rows in tables.items():
        _put(folder, f"labels/{name}.parquet", b"")
        pq.write_table(pa.Table.from_pylist(rows), folder / f"labels/{name}.parquet")
    shares = {"train_players": ids[:-2], "val_players": ids[-2:-1], "test_players": ids[-1:]}
    said = {**shares, "stats": {"total": players, "made": "2021-03-04"}}
    _put(folder, "splits.json", json.dumps(said, indent=1).encode())
    _put(folder, "sealift.yaml", MUSIC_SPEC.encode())


def _take(seed: str, player: str, number: int, pattern: str) -> dict[str, Any]:
    name = f"{seed}{number:03}_{pattern}"
    size, tempo, cycles = noise(f"{seed} take {number}", 3).tolist()
    return {
        "sample_id": name,
        "player_id": player,
        "pattern": pattern,
        "level": ("new", "good")[number % 2],
        "tempo": 60 + tempo % 120,
        "seconds": (400 + 12 * size) / RATE,
        "cycles": 2 + cycles % 4,
        "hand": "right",
        "kit": seed,
        "room": None if number % 5 == 0 else "hall",
        "audio_path": f"audio/{pattern}/{name}.flac",
        "midi_path": f"midi/{pattern}/{name}.mid",
    }


def _scores(seed: str, sample: str) -> dict[str, Any]:
    dice = noise(f"{seed} scores {sample}", len(SCORES)).tolist()
    scores = {name: None if value < 16 else value / 2.55 for name, value in zip(SCORES, dice, strict=True)}
    return {**scores, "sample_id": sample}


def bids(folder: Path, seed: str = "A", subjects: int = 9, shape: tuple[int, int, int] = (14, 14, 8)) -> None:
    """A BIDS tree with 13 sessions (every second subject has two), missing scans, several runs, masks in derivatives.

    `participants.tsv` has `n/a`, and the last subject is not in it.
    """
    people = [("participant_id", "sex", "age", "score")]
    session = 0
    for number in range(subjects):
        subject = f"{seed}{101 + 7 * number}"
        if number + 1 < subjects:
            people.append((f"sub-{subject}", "FM"[number % 2], "n/a" if number % 3 == 0 else f"{40 + number}", "1.5"))
        for visit in range(1 + number % 2):
            _session(folder, subject, f"{len(seed) + 3 * visit + number}", session, shape)
            session += 1
    rows = "".join("\t".join(row) + "\n" for row in people)
    _put(folder, "participants.tsv", rows.encode())
    _put(folder, "dataset_description.json", json.dumps({"Name": seed, "BIDSVersion": "1.9.0"}).encode())
    _put(folder, "sealift.yaml", BIDS_SPEC.encode())


def _session(folder: Path, subject: str, session: str, number: int, shape: tuple[int, int, int]) -> None:
    """One session: T1w but for every fifth, FLAIR for every third, up to two runs of bold, up to three of dwi."""
    stem = f"sub-{subject}_ses-{session}"
    scans = [f"anat/{stem}_T1w"] * (number % 5 > 0) + [f"anat/{stem}_FLAIR"] * (number % 3 == 0)
    scans += [f"func/{stem}_task-rest_run-{run}_bold" for run in range(1, 1 + number % 3)]
    scans += [f"dwi/{stem}_run-{run}_dwi" for run in range(1, 1 + (number + 2) % 4)]
    places = [f"sub-{subject}/ses-{session}/{scan}" for scan in scans]
    if number % 2:
        mask = f"anat/{stem}_space-T1w_desc-lesion_mask"
        places.append(f"derivatives/masks/sub-{subject}/ses-{session}/{mask}")
    for place in places:
        deep = (*shape[:2], shape[2] + number % 3)
        _put(folder, f"{place}.nii.gz", nifti(brain(place, deep), (2.0, 2.0, 2.5)))


def classes(
    folder: Path, names: Sequence[str] = ("cat", "dog", "owl"), splits: Sequence[str] = ("train", "test"), each: int = 4
) -> None:
    """Pictures in `<split>/<class>/<number>.png`; without splits in `<class>/<number>.png`."""
    for split in splits or [""]:
        for name in names:
            for number in range(each):
                place = "/".join(filter(None, (split, name, f"{number:02}.png")))
                _put(folder, place, png(picture(place, 12, 16 + number)))


def described(folder: Path, table: str = "csv", rows: int = 9, prefix: str = "clip") -> None:
    """Sounds and covers that `metadata.csv` (or `.jsonl`) names, by `file_name` and `cover_file_name` or none."""
    records = []
    for number in range(rows):
        sound, cover = f"sounds/{prefix}{number}.flac", f"covers/{prefix}{number}.png" if number % 3 else None
        _put(folder, sound, flac(noise(sound, 400 + 20 * number).view("<i2").reshape(-1, 1).astype(np.int16), RATE))
        if cover:
            _put(folder, cover, png(picture(cover, 8, 8)))
        records.append({"file_name": sound, "cover_file_name": cover, "text": f"{prefix}, number {number}"})
    with (folder / f"metadata.{table}").open("w", encoding="utf-8", newline="") as file:
        if table == "jsonl":
            file.writelines(json.dumps(record) + "\n" for record in records)
        else:
            writer = csv.DictWriter(file, list(records[0]))
            writer.writeheader()
            writer.writerows(records)


def _put(folder: Path, path: str, data: bytes) -> None:
    """Write a file and the folders above it."""
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_bytes(data)
