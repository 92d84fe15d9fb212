"""What can be chosen about a local Hub when it starts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from sealift.localhub.faults import Fault

USER = "local"
"""The one user. Its tokens are the only ones that there are."""
REGULAR_BYTES = 10 * 1024 * 1024
"""The largest file that is taken inside a commit instead of being uploaded apart."""

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "KI": 2**10, "MI": 2**20, "GI": 2**30, "TI": 2**40}


@dataclass(frozen=True, slots=True)
class Settings:
    """The choices; sizes are bytes, quotas requests in five minutes. Each default is what is known of the Hub."""

    root: Path
    port: int = 0
    orgs: tuple[str, ...] | None = None
    """Namespaces beside the user's own that may be written to; None is all of them."""
    xet: bool = True
    max_folder_entries: int = 10_000
    max_commit_files: int = 25_000
    max_commit_bytes: int = 1_000_000_000
    lfs_multipart_over: int = 64_000_000
    lfs_part_size: int = 16_000_000
    quota_api: int | None = None
    quota_resolvers: int | None = None
    faults: tuple[Fault, ...] = ()
    """What goes wrong from the start on."""


def parse_size(text: str) -> int:
    """The bytes that `1GB`, `16 MiB` or `5000000` stands for.

    Raises:
        ValueError: it is no size; the message says what one looks like.
    """
    found = re.fullmatch(r"(\d+)\s*([KMGT]I?)?B?", text.strip().upper())
    if not found:
        raise ValueError(f"{text!r} is not a size; write it like 5000000, 64MB or 1GiB")
    return int(found[1]) * _UNITS[found[2] or ""]
