"""Faults by name: a Hub in the moods that a publication should survive, or fail in without damage."""

from __future__ import annotations

from typing import Any

_UPLOADS = ("lfs-put", "lfs-part", "cas-xorb-put")
_DOWNLOADS = ("resolve", "lfs-get", "cas-xorb-get")


def _each(kinds: tuple[str, ...], **what: Any) -> list[dict[str, Any]]:
    """The same for each of these kinds."""
    return [{"kind": kind, **what} for kind in kinds]


PROFILES: dict[str, list[dict[str, Any]]] = {
    "busy": [
        {"kind": "*", "probability": 0.06, "seed": 1, "status": 429, "rate_limit": 1},
        {"kind": "*", "probability": 0.06, "seed": 2, "status": 429, "retry_after": 1},
        {"kind": "*", "probability": 0.06, "seed": 3, "status": 429, "retry_date": 1},
    ],
    "flaky": [
        *({"kind": "*", "probability": 0.02, "seed": status, "status": status} for status in (500, 502, 503, 504)),
        {"kind": "*", "probability": 0.02, "seed": 1, "drop": True},
        {"kind": "*", "probability": 0.02, "seed": 2, "drop": True, "after": True},
        {"kind": "*", "probability": 0.02, "seed": 3, "cut_request": 0.5},
        {"kind": "*", "probability": 0.02, "seed": 4, "cut_answer": 0.5},
    ],
    "slow": [
        {"kind": "*", "times": None, "delay": 0.2, "slow_request": 2_000_000, "slow_answer": 2_000_000},
    ],
    "stalling": [
        *_each(_UPLOADS, probability=0.1, seed=1, stall_request=0.5),
        *_each(_DOWNLOADS, probability=0.05, seed=2, stall_answer=0.5),
    ],
    "forgetful": [{"collect_after": 5, "remembers": True}],
    "lossy": [
        {"kind": "lfs-put", "probability": 0.1, "seed": 1, "status": 200, "body": {}},
        {"kind": "cas-xorb-put", "probability": 0.1, "seed": 2, "status": 200, "body": {"was_inserted": True}},
        {"kind": "cas-shard", "probability": 0.1, "seed": 3, "status": 200, "body": {"result": 1}},
    ],
    "corrupting": [
        *_each(_DOWNLOADS, probability=0.1, seed=1, flip_answer=1),
        *_each(_DOWNLOADS, probability=0.05, seed=2, truncate_answer=0.5),
        *_each(_UPLOADS, probability=0.1, seed=3, flip_request=1),
    ],
    "full": _each((*_UPLOADS, "cas-shard", "commit"), times=None, disk_full=0.5),
}
