"""A Hub on this machine, for rehearsals and tests: it speaks the Hub's API to the official clients.

It listens on loopback only, keeps its state in one folder, and refuses what the Hub refuses. It imports nothing else of
ours, so that client and server cannot share a misunderstanding.
"""

from __future__ import annotations

from sealift.localhub.server import serve
from sealift.localhub.settings import Settings

__all__ = ["Settings", "serve"]
