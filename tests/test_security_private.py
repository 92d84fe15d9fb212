"""What stays on this machine of a job says no secret; that only its user can read it, the suites of its parts show."""

from __future__ import annotations

from pathlib import Path

import pytest

from sealift.errors import DestinationError
from sealift.journal import Journal
from sealift.journal.records import Basis
from sealift.model.plan import PlannedShard

TOKEN = "hf_" + "q7" * 17
SIGNED = "https://store/x?X-Amz-Signature=5ec7e7&Signature=0123abcd"
SHARD = PlannedShard("default", "train", 0, "data/train-00000-of-00001.parquet", 0, (1,), 1, 1, 1)


@pytest.mark.parametrize(
    "error", [DestinationError(f"no answer of {SIGNED} with {TOKEN}"), RuntimeError(SIGNED + TOKEN)]
)
def test_a_journal_keeps_no_secret_of_what_stopped_the_run(tmp_path: Path, error: Exception) -> None:
    """What a run ends with is kept for those who ask; tokens and the signed part of addresses are not."""
    with pytest.raises(type(error)), Journal(tmp_path / "job") as journal:
        journal.begin("org/name", "https://hub/datasets/org/name", Basis({}, {}, "f", {}, None), [SHARD])
        raise error
    kept = b"".join(file.read_bytes() for file in (tmp_path / "job").rglob("*") if file.is_file())
    assert b"org/name" in kept
    for secret in (TOKEN, "5ec7e7", "0123abcd"):
        assert secret.encode() not in kept
