"""The nouns, as frozen values without I/O: entry, column, plan, shard, receipt, manifest, event."""
