"""A plan as one JSON object: what `sealift plan --json` prints, and what its tables show."""

from __future__ import annotations

from typing import Any

from sealift.model.plan import Plan
from sealift.plan.limits import folder_counts, published_paths


def report(plan: Plan, *, commit_per_config: bool = False) -> dict[str, Any]:
    """Everything worth knowing of a plan.

    Sizes are bytes: `bytes` of a split are those of its rows in memory, media and all; `file_bytes` bounds its files.
    """
    paths = published_paths(plan.shards, plan.also, plan.configs, plan.rejects)
    return {
        "plan": dict(plan.ids),
        "fingerprint": plan.fingerprint,
        "key": list(plan.key),
        "configs": [_config(plan, config.name) for config in plan.configs],
        "also": [
            {"path": table.path, "source": table.source, "bytes": table.size, "rows": table.rows} for table in plan.also
        ],
        "schema": [
            {
                "column": name,
                "feature": feature,
                "configs": [config.name for config in plan.configs if name in config.columns],
            }
            for name, feature in plan.features.items()
        ],
        "files": {"total": len(paths), "folders": folder_counts(paths)},
        "commits": _commits(plan) if commit_per_config else 1,
        "rejects": plan.rejects,
        "estimate": {
            "memory_bytes": plan.estimate.memory,
            "disk_bytes": plan.estimate.disk,
            "seconds": round(plan.estimate.seconds, 1),
            "workers": plan.estimate.workers,
        },
        "problems": [problem.as_json() for problem in plan.problems],
    }


def _commits(plan: Plan) -> int:
    """One for each config, one for what lies beside them, and one for the card."""
    return len(plan.configs) + (1 if plan.also or plan.rejects else 0) + 1


def _config(plan: Plan, name: str) -> dict[str, Any]:
    config = plan.config(name)
    splits = []
    for total in (one for one in plan.totals if one.config == name):
        shards = [shard for shard in plan.shards if (shard.config, shard.split) == (name, total.split)]
        splits.append(
            {
                "split": total.split,
                "rows": total.rows,
                "bytes": total.num_bytes,
                "media_bytes": total.media_bytes,
                "file_bytes": sum(shard.bound for shard in shards),
                "shards": len(shards),
                "row_groups": sum(len(shard.row_groups) for shard in shards),
                "present": dict(total.present),
            }
        )
    return {"config": name, "default": config.default, "columns": list(config.columns), "splits": splits}
