"""Holds locked libraries against the known vulnerabilities, and says loudly what could not be asked.

    python .ci/audit.py requirements/dev.txt

Exit code 1 if one is vulnerable; 0 if none is known to be. Where the service cannot be asked, as in a build without
network, the last line begins with NOT AUDITED, and the exit code is 0, or 2 with AUDIT=required.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

WAIT_S = 10


def ask(lock: str) -> tuple[Mapping[str, Any] | None, str]:
    """What pip-audit answers about a lock, None if it has no answer; and what it says beside it."""
    words = [sys.executable, "-m", "pip_audit", "--requirement", lock, "--disable-pip", "--require-hashes"]
    words += ["--format", "json", "--progress-spinner", "off", "--timeout", str(WAIT_S)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    try:
        return json.loads(done.stdout), done.stderr.strip()
    except ValueError:
        return None, done.stderr.strip()


def verdict(answer: Mapping[str, Any] | None, required: bool) -> tuple[int, list[str]]:
    """Exit code and lines for an answer: a library that nobody knew was not audited, whatever the exit code was."""
    libraries = (answer or {}).get("dependencies", [])
    lines = [
        f"{one['name']} {one['version']}: {found['id']}, mended in {', '.join(found['fix_versions']) or 'none yet'}"
        for one in libraries
        for found in one.get("vulns", [])
    ]
    unknown = [one["name"] for one in libraries if "skip_reason" in one]
    asked = len(libraries) - len(unknown)
    if unknown or not libraries:
        some = f"{len(unknown)} of {len(libraries)} libraries are not known there" if libraries else "no answer"
        return (1 if lines else 2 if required else 0), [*lines, f"NOT AUDITED: {some}; is the network there?"]
    if lines:
        return 1, [*lines, f"audited: {len(lines)} known vulnerabilities in {asked} libraries"]
    return 0, [f"audited: no known vulnerability in {asked} libraries"]


def main(locks: Sequence[str]) -> int:
    """Ask about every lock; the worst of the exit codes."""
    codes = []
    for lock in locks:
        answer, beside = ask(lock)
        code, lines = verdict(answer, os.environ.get("AUDIT") == "required")
        if answer is None and beside:
            print(beside.splitlines()[-1])
        print("\n".join(f"{lock}: {line}" if not line.startswith(("audited", "NOT")) else line for line in lines))
        codes.append(code)
    return 1 if 1 in codes else max(codes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
