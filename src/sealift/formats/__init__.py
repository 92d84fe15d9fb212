"""Files of rows: writing and reading one shard."""
