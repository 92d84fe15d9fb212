"""The audit of the locked libraries: what could not be asked is never taken for harmless."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

AUDIT = runpy.run_path(str(Path(__file__).parents[1] / ".ci/audit.py"))
SAFE = {"name": "a", "version": "1", "vulns": []}
UNSAFE = {"name": "b", "version": "2", "vulns": [{"id": "CVE-1", "fix_versions": ["3"]}]}
UNKNOWN = {"name": "c", "skip_reason": "not found"}


@pytest.mark.parametrize(
    ("answer", "codes", "last"),
    [
        ([SAFE, SAFE], (0, 0), "audited: no known vulnerability in 2 libraries"),
        ([SAFE, UNSAFE], (1, 1), "audited: 1 known vulnerabilities in 2 libraries"),
        ([SAFE, UNKNOWN], (0, 2), "NOT AUDITED: 1 of 2 libraries are not known there; is the network there?"),
        ([UNSAFE, UNKNOWN], (1, 1), "NOT AUDITED: 1 of 2 libraries are not known there; is the network there?"),
        ([], (0, 2), "NOT AUDITED: no answer; is the network there?"),
        (None, (0, 2), "NOT AUDITED: no answer; is the network there?"),
    ],
)
def test_the_verdict(answer: list[dict[str, Any]] | None, codes: tuple[int, int], last: str) -> None:
    """A vulnerability fails; what nobody could be asked about is said, and fails where the audit is required."""
    said = None if answer is None else {"dependencies": answer}
    for required, code in enumerate(codes):
        found, lines = AUDIT["verdict"](said, bool(required))
        assert (found, lines[-1]) == (code, last)


def test_what_is_locked_is_pinned_by_hash_and_names_no_index() -> None:
    """A build installs what was looked at, from wherever it gets its packages."""
    for lock in (Path(__file__).parents[1] / "requirements").glob("*.txt"):
        lines = lock.read_text().splitlines()
        assert not [line for line in lines if "://" in line or "--index" in line or "--find-links" in line]
        pinned = [number for number, line in enumerate(lines) if "==" in line and not line.lstrip().startswith("#")]
        assert pinned
        assert all("--hash=sha256:" in lines[number + 1] for number in pinned)
