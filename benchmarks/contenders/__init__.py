"""Who is measured: each module packs a corpus into shards the way its tool's documentation says, and reads them back.

`python -m benchmarks.contenders.NAME write --corpus FOLDER --out FOLDER --workers N --target BYTES`; `read` instead of
`write` holds what is there against the corpus. They run in the environment of their tool, apart from ours.
"""
