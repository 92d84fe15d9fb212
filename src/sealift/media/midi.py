"""Scores: Standard MIDI Files; decoded with mido."""

from __future__ import annotations

import io
from struct import Struct

from sealift.media.kind import Ends, MediaType, vendor
from sealift.media.sniff import mismatch

CUT = "truncated: a track is not whole"

HEADER = Struct(">4xIHHH")
CHUNK = Struct(">4sI")


def inspect(ends: Ends) -> str | None:
    """Why the file is not a whole MIDI file, or None."""
    if ends.head[:4] != b"MThd":
        return mismatch(ends.head, "MIDI")
    if ends.size < 14 or len(ends.head) < 14:
        return "truncated: the header is not whole"
    length, form, tracks, division = HEADER.unpack_from(ends.head)
    if length < 6 or form > 2 or not division:
        return "damaged: the MIDI header is impossible"
    return _walk(ends, 8 + length, tracks)


def _walk(ends: Ends, at: int, tracks: int) -> str | None:
    """Go from track to track as far as they are in view."""
    while tracks and (chunk := ends.read(at, 8)):
        name, length = CHUNK.unpack(chunk)
        at += 8 + length
        tracks -= name == b"MTrk"
        if at > ends.size:
            return CUT
    if not tracks:
        return None
    return "truncated: fewer tracks than the header promises" if at + 8 > ends.size else None


def decode(data: bytes) -> str:
    """Decode every message of every track and say what it was."""
    mido = vendor("mido", "midi")
    score = mido.MidiFile(file=io.BytesIO(data))
    notes = sum(message.type == "note_on" and message.velocity > 0 for track in score.tracks for message in track)
    tracks = f"{len(score.tracks)} track{'s' * (len(score.tracks) != 1)}"
    # The tracks of type 2 share no clock; a negative number of ticks counts film frames, which mido does not.
    length = "" if score.type == 2 or score.ticks_per_beat < 0 else f"{score.length:.1f} s, "
    return f"MIDI type {score.type}, {tracks}, {length}{notes} note{'s' * (notes != 1)}"


MIDI = MediaType(
    name="midi", extensions=(".mid", ".midi"), boxed=False, feature_type="Value", inspect=inspect, decode=decode
)
