"""Generated media is real: other people's decoders read it and give the values back."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import mido
import nibabel
import numpy as np
import pytest
import soundfile
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sealift.media import TYPES
from sealift.spec import Spec
from sealift.tools import corpus, makers


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's corpus, whole."""
    made = tmp_path_factory.mktemp("corpus")
    corpus.make(made)
    return made


def contents(folder: Path) -> dict[str, bytes]:
    """Relative path → bytes of every file."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def random_sound(frames: int, channels: int) -> np.ndarray:
    """Loud noise: every bit of every sample matters."""
    return makers.noise("sound", frames * channels * 2).view("<i2").astype(np.int16).reshape(frames, channels)


@pytest.mark.parametrize("channels", [1, 2, 5])
@pytest.mark.parametrize("frames", [0, 1, 4095, 4096, 4097, 600_000])
def test_flac_gives_its_samples_back(frames: int, channels: int) -> None:
    """Samples written as FLAC come back exactly, at the edges of frames and past 128 of them; the MD5 is theirs."""
    samples = random_sound(frames, channels)
    data = makers.flac(samples, 22050)
    assert data[26:42] == hashlib.md5(samples.tobytes()).digest()
    if frames:  # libsndfile refuses a FLAC without a frame
        read, rate = soundfile.read(io.BytesIO(data), dtype="int16", always_2d=True)
        assert rate == 22050
        assert np.array_equal(read, samples)


@given(st.binary(max_size=200))
def test_crc16_is_that_of_its_definition(data: bytes) -> None:
    """The folded checksum equals the one computed bit by bit."""
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1) ^ (0x18005 if crc & 0x8000 else 0)
    assert makers.crc16(data) == crc


def test_wav_gives_its_samples_back() -> None:
    """Samples written as WAV come back exactly."""
    samples = random_sound(1000, 2)
    read, rate = soundfile.read(io.BytesIO(makers.wav(samples, 8000)), dtype="int16", always_2d=True)
    assert rate == 8000
    assert np.array_equal(read, samples)


notes = st.lists(
    st.builds(makers.Note, st.integers(0, 20_000), st.integers(1, 20_000), st.integers(0, 127), st.integers(1, 127)),
    max_size=20,
    unique_by=lambda note: note.pitch,
)


@settings(max_examples=50)
@given(notes, st.integers(20, 300))
def test_midi_gives_its_notes_back(written: list[makers.Note], tempo: int) -> None:
    """Notes come back with their ticks, pitch, velocity and the file's tempo, whatever the gaps between them."""
    score = mido.MidiFile(file=io.BytesIO(makers.midi(written, tempo)))
    assert (score.type, len(score.tracks), score.ticks_per_beat) == (1, 2, makers.TICKS)
    assert score.tracks[0][0].tempo == 60_000_000 // tempo
    now, started, read = 0, {}, []
    for message in score.tracks[1]:
        now += message.time
        if message.type == "note_on":
            started[message.note] = now, message.velocity
        elif message.type == "note_off":
            start, velocity = started.pop(message.note)
            read.append(makers.Note(start, now - start, message.note, velocity))
    assert sorted(read) == sorted(written)


def test_a_repeated_note_ends_before_it_starts_again() -> None:
    """Two notes of one pitch that touch are two notes, not one that is cut off."""
    twice = [makers.Note(0, 480, 60, 80), makers.Note(480, 480, 60, 80)]
    score = mido.MidiFile(file=io.BytesIO(makers.midi(twice)))
    kinds = [message.type for message in score.tracks[1] if message.type.startswith("note")]
    assert kinds == ["note_on", "note_off", "note_on", "note_off"]


@pytest.mark.parametrize(("height", "width"), [(1, 1), (48, 64), (7, 301)])
def test_png_gives_its_pixels_back(height: int, width: int) -> None:
    """A picture comes back pixel by pixel."""
    drawn = makers.noise("pixels", height * width * 3).reshape(height, width, 3)
    with Image.open(io.BytesIO(makers.png(drawn))) as read:
        assert read.mode == "RGB"
        assert np.array_equal(np.asarray(read), drawn)


@pytest.mark.parametrize("gz", [True, False])
@pytest.mark.parametrize("dtype", makers.NIFTI_TYPES)
@pytest.mark.parametrize("shape", [(3, 4, 5), (3, 4, 5, 2)])
def test_nifti_gives_its_voxels_back(shape: tuple[int, ...], dtype: str, gz: bool) -> None:
    """A volume comes back voxel by voxel, with its type, spacing and units."""
    volume = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    zooms = (2.0, 2.5, 3.0, 1.5)[: len(shape)]
    data = makers.nifti(volume, zooms, gz=gz)
    image = nibabel.Nifti1Image.from_bytes(gzip.decompress(data) if gz else data)
    assert image.get_data_dtype() == np.dtype(dtype)
    assert np.array_equal(np.asanyarray(image.dataobj), volume)
    assert image.header.get_zooms() == zooms
    assert image.header.get_xyzt_units() == ("mm", "sec")
    assert np.array_equal(np.diag(image.affine)[:3], zooms[:3])


def test_drawings_are_fixed_for_ever() -> None:
    """What a seed draws never changes: a corpus made on another machine is the same corpus."""
    drawn = {
        "melody": repr(makers.melody(1)).encode(),
        "tones": makers.tones(makers.melody(1), 8000).astype("<i2").tobytes(),
        "picture": makers.picture(1).tobytes(),
        "brain": makers.brain(1).astype("<i2").tobytes(),
    }
    assert {name: hashlib.sha256(data).hexdigest()[:16] for name, data in drawn.items()} == {
        "melody": "58730cf8c1330882",
        "tones": "ed2a9d72ffc6963f",
        "picture": "d7f9886d307fce7e",
        "brain": "074789bffa69e04f",
    }


@pytest.mark.parametrize("draw", [makers.melody, makers.picture, makers.brain])
def test_seeds_draw_different_things(draw: Callable[[object], object]) -> None:
    """Another seed is another tune, picture or scan."""
    assert len({np.asarray(draw(seed)).tobytes() for seed in range(20)}) == 20


def test_tones_sound_as_long_and_as_high_as_the_notes() -> None:
    """An A of one beat at 60 bpm is one second of 440 Hz, and nothing is clipped."""
    sound = makers.tones([makers.Note(0, makers.TICKS, 69, 100)], 16000, tempo_bpm=60)
    spectrum = np.abs(np.fft.rfft(sound[:, 0].astype(float)))
    assert sound.shape == (16000, 1)
    assert int(spectrum.argmax()) == 440
    assert 8000 < np.abs(sound.astype(int)).max() < 32767


def test_corpus_is_the_same_for_the_same_seed(tmp_path: Path) -> None:
    """Two corpora of one seed are equal file by file; another seed shares no media with them."""
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        corpus.make(tmp_path / name, rows=15, seed=seed)
    first, same, other = (contents(tmp_path / name) for name in "abc")
    assert first == same
    assert not {path for path in first if not path.startswith("labels")} & other.keys() - {"README.md", "sealift.yaml"}


def test_corpus_is_small_and_whole(folder: Path) -> None:
    """The corpus has 10 to 20 MB, and every media file is what its name says."""
    files = contents(folder)
    kinds = {".flac": "audio", ".mid": "midi", ".png": "image", ".gz": "nifti"}
    media = [(kinds[Path(path).suffix], data) for path, data in files.items() if Path(path).suffix in kinds]
    assert 10e6 < sum(map(len, files.values())) < 20e6
    assert {kind for kind, _ in media} == set(kinds.values())
    assert {TYPES[kind].probe(data[:4096], data[-4096:], len(data)) for kind, data in media} == {None}
    for kind, data in media[::40]:
        TYPES[kind].describe(data)


def test_corpus_spec_finds_every_row_and_file(folder: Path) -> None:
    """The spec's query gives 200 rows with unique keys, three splits that share no performer, and files that exist."""
    said = yaml.safe_load((folder / "sealift.yaml").read_text())
    files = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    connection = duckdb.connect()
    connection.execute("CREATE TABLE files (path VARCHAR, extension VARCHAR)")
    connection.executemany(
        "INSERT INTO files VALUES (?, ?)", [(path, ".nii.gz" if path.endswith(".nii.gz") else "") for path in files]
    )
    connection.read_csv(str(folder / said["tables"]["recordings"])).create("recordings")
    performers = json.loads((folder / said["tables"]["performers"]).read_text())
    connection.execute(
        "CREATE TABLE performers AS SELECT ? AS train, ? AS validation, ? AS test", [*performers.values()]
    )
    rows = connection.sql(said["rows"]).fetchall()
    names = [column[0] for column in connection.sql(said["rows"]).description]
    records = [dict(zip(names, row, strict=True)) for row in rows]
    connection.close()

    assert said["expect"] == {"rows": len(records)} == {"rows": 200}
    assert len({record[said["key"]] for record in records}) == 200
    assert {record["split"] for record in records} == {"train", "validation", "test"}
    assert len({(record["performer_id"], record["split"]) for record in records}) == 12
    named = [record[column] for record in records for column in ("audio", "score", "cover") if record[column]]
    named += [scan for record in records for scan in record["scans"] or []]
    media = {path for path in files if path.split("/")[0] in ("recordings", "scores", "covers", "scans")}
    assert set(named) == media
    assert len(named) == len(media)
    assert {len(record["scans"] or []) for record in records} == {0, 1, 2, 3}
    assert any(record["cover"] is None for record in records)
    assert all(set(config.get("drop", [])) <= set(said["media"]) for config in said["configs"].values())


def test_corpus_spec_is_a_spec(folder: Path) -> None:
    """The spec beside the corpus is read without complaint, and names types and a text that are there."""
    said = Spec.load(folder / "sealift.yaml")
    assert {name: (media.type, media.many) for name, media in said.media.items()} == {
        "audio": ("audio", False),
        "score": ("midi", False),
        "cover": ("image", False),
        "scans": ("nifti", True),
    }
    assert (folder / (said.card.readme or "")).read_text() == corpus.README
    said.check_supported()


def test_corpus_beats_belong_to_recordings(folder: Path) -> None:
    """Every beat of the auxiliary table joins a recording, and none has a negative onset."""
    found: Any = duckdb.sql(
        f"SELECT count(*) FILTER (r.recording_id IS NULL), count(*) FILTER (onset_s < 0), count(*) "
        f"FROM '{folder}/labels/beats.parquet' b LEFT JOIN '{folder}/labels/recordings.csv' r USING (recording_id)"
    )
    [(lone, early, beats)] = found.fetchall()
    assert (lone, early) == (0, 0)
    assert beats > 800
    assert len(json.loads((folder / "labels/performers.json").read_text())["train"]) == 8
