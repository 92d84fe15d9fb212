"""`python -m sealift.localhub`: a Hub on loopback; its address and tokens are the one line on standard output."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from sealift.localhub.faultfile import WrongFaults, at_start
from sealift.localhub.faults import Fault
from sealift.localhub.server import RootInUse, serve
from sealift.localhub.settings import Settings, parse_size


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT, then return 0; 1 if the root or the port is taken."""
    try:
        serve(_settings(arguments), _announce)
    except (RootInUse, OSError) as error:
        print(f"sealift.localhub: {error}", file=sys.stderr)  # noqa: T201 — this is a program of its own
        return 1
    return 0


def _settings(arguments: Sequence[str] | None) -> Settings:
    default = Settings(Path())
    parser = argparse.ArgumentParser("sealift.localhub", description=__doc__)
    size = _size
    parser.add_argument("--root", type=Path, required=True, help="folder of its state; made if it is not there")
    parser.add_argument("--port", type=int, default=default.port, help="0 takes a free one")
    parser.add_argument("--org", action="append", metavar="NAME", help="only these namespaces and `local` are writable")
    parser.add_argument("--no-xet", action="store_true", help="be a Hub without Xet")
    parser.add_argument("--max-folder-entries", type=int, default=default.max_folder_entries)
    parser.add_argument("--max-commit-files", type=int, default=default.max_commit_files)
    parser.add_argument("--max-commit-bytes", type=size, default=default.max_commit_bytes)
    parser.add_argument("--lfs-multipart-over", type=size, default=default.lfs_multipart_over)
    parser.add_argument("--lfs-part-size", type=size, default=default.lfs_part_size)
    parser.add_argument("--quota-api", type=int, help="requests to the API in five minutes; none: unlimited")
    parser.add_argument("--quota-resolvers", type=int, help="downloads in five minutes; none: unlimited")
    parser.add_argument(
        "--faults", type=_faults, default=(), metavar="FILE", help="what goes wrong; or a profile's name"
    )
    chosen = parser.parse_args(arguments)
    return Settings(
        root=chosen.root,
        port=chosen.port,
        orgs=None if chosen.org is None else tuple(chosen.org),
        xet=not chosen.no_xet,
        max_folder_entries=chosen.max_folder_entries,
        max_commit_files=chosen.max_commit_files,
        max_commit_bytes=chosen.max_commit_bytes,
        lfs_multipart_over=chosen.lfs_multipart_over,
        lfs_part_size=chosen.lfs_part_size,
        quota_api=chosen.quota_api,
        quota_resolvers=chosen.quota_resolvers,
        faults=chosen.faults,
    )


def _size(text: str) -> int:
    try:
        return parse_size(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _faults(named: str) -> tuple[Fault, ...]:
    try:
        return at_start(named)
    except WrongFaults as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _announce(address: Mapping[str, str]) -> None:
    sys.stdout.write(json.dumps(dict(address)) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
