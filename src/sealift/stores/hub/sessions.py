"""Sessions with Xet's library, and how it comes to the store: tokens, their renewal, what it may remember."""

from __future__ import annotations

import importlib
import importlib.util
import os
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from huggingface_hub import constants

from sealift.errors import DestinationError
from sealift.stores.hub.client import Access, HubClient

MARGIN = 120
"""A token is not used in its last seconds."""
NEVER = timedelta(days=1)
REPORTED = 1 << 16
"""The library says that so many bytes more have gone."""

_accesses: dict[tuple[str, str, str | None, str, int], Access] = {}
_sessions: dict[tuple[int, int], Any] = {}
_downloads: dict[tuple[HubClient, int], Any] = {}


def library() -> Any:
    """The client of the store, which has no types, and which some machines do not have."""
    return importlib.import_module("hf_xet")


def usable() -> bool:
    """Whether this machine can speak Xet: the library is there and nobody switched it off (HF_HUB_DISABLE_XET)."""
    return not constants.HF_HUB_DISABLE_XET and importlib.util.find_spec("hf_xet") is not None


def session(blocks: int, memory: Path | None = None) -> Any:
    """The threads and connections of this process; those of a parent are of no use after a fork.

    With `memory`, an empty folder, it is a new one, which knows of nothing that was sent before: neither what this
    machine remembers (the shard cache) nor what the store says that it has (the query for deduplication).
    """
    key = (os.getpid(), blocks)
    if memory is not None or key not in _sessions:
        made = library().XetSession(library().XetConfig().with_config(_settings(blocks, memory)))
        if memory is not None:
            return made
        _sessions[key] = made
    return _sessions[key]


def _settings(blocks: int, memory: Path | None) -> dict[str, Any]:
    settings = {
        "client.ac_initial_upload_concurrency": min(2, blocks),
        "client.ac_max_upload_concurrency": blocks,
        # The library counts this from the first byte of a block to the answer to it, whether bytes move or not: its
        # own five minutes would break off every block on a line of less than 220 kB/s, and send it from its start.
        # That something moves is watched from here.
        "client.read_timeout": NEVER,
        "client.upload_reporting_block_size": REPORTED,
        "telemetry.enabled": False,
    }
    if memory is not None:
        # A folder below the cache, if it is no absolute one.
        settings |= {"shard.cache_subdir": str(memory), "deduplication.global_dedup_query_enabled": False}
    return settings


def abandon() -> None:
    """What comes next in this process has a session and a token of its own; what is being read by one of now ends."""
    groups = list(_downloads.values())
    for kept in (_sessions, _downloads, _accesses):
        kept.clear()
    for group in groups:
        group.abort()


def new_commit(client: HubClient, memory: Path | None = None) -> Any:
    """A group of uploads, whose files are there when it is finished; `memory` as in `session`."""
    return session(client.blocks, memory).new_upload_commit(**connection(client, "write"))


def downloads(client: HubClient) -> Any:
    """The group of downloads of this process; it renews its token by itself."""
    key = (client, os.getpid())
    if key not in _downloads:
        _downloads[key] = session(client.blocks).new_download_stream_group(**connection(client, "read"))
    return _downloads[key]


def connection(client: HubClient, right: str) -> dict[str, Any]:
    """Where the store is, and how its token is renewed."""
    found, headers = access(client, right), client.headers
    if found is None:
        raise DestinationError(f"{client.place.endpoint} has no Xet any more", hint="run the same command again")
    return {
        "endpoint": found.endpoint,
        "token": found.token,
        "token_expiry_unix_secs": found.expires,
        "token_refresh_url": client.access_url(right),
        "token_refresh_headers": headers,
        "custom_headers": {name: value for name, value in headers.items() if name.lower() != "authorization"},
    }


def access(client: HubClient, right: str) -> Access | None:
    """A token for the store; one that is still good is used again, since asking counts against the quota."""
    key = (client.place.endpoint, client.access_url(right), client.token, right, os.getpid())
    found = _accesses.get(key)
    if found is None or found.expires - MARGIN < time.time():
        found = client.access(right)
        if found is not None:
            _accesses[key] = found
    return found
