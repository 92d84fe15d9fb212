"""What makes two plans the same: an identity for each config, and a fingerprint of the source's versions."""

from __future__ import annotations

import json
from collections.abc import Sequence

import blake3

from sealift.formats.rowfile import KEY
from sealift.model.plan import Config, PlannedShard
from sealift.plan.gather import Gathered
from sealift.plan.resolve import Resolved
from sealift.spec import Spec

FORMAT = 2
"""Goes into every identity: a change of what a plan means, or of how a shard is laid out, raises it."""


def identity(spec: Spec, config: Config, gathered: Gathered, resolved: Resolved, shards: Sequence[PlannedShard]) -> str:
    """What the config's shards will hold and how they are cut: equal identities give equal files."""
    digests = {name: split.digest.columns() for name, split in resolved.splits.items()}
    said = {
        "format": FORMAT,
        "config": [config.name, config.columns, config.default, config.folder],
        "key": spec.key,
        "features": {name: gathered.features[name] for name in config.columns},
        "rows": {split: [found[name] for name in (*config.columns, KEY)] for split, found in digests.items()},
        "shards": [[one.path, one.first_row, one.row_groups] for one in shards if one.config == config.name],
    }
    return str(blake3.blake3(json.dumps(said, sort_keys=True).encode()).hexdigest())


def fingerprint(resolved: Resolved) -> str:
    """What the rows say, and the versions of all entries that they name."""
    said = [[name, split.digest.columns(), split.digest.versions()] for name, split in resolved.splits.items()]
    return str(blake3.blake3(json.dumps(said, sort_keys=True).encode()).hexdigest())
