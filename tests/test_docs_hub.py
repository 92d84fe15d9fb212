"""The documents that need a Hub are true, too: their pages are run beside one on this machine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.hubs import ROOT, start_hub, tail
from tests.test_docs import PAGES, name_of, needs_hub, to_run

SECONDS = 240


@pytest.mark.parametrize("page", [page for page in PAGES if to_run(page) and needs_hub(page)], ids=name_of)
def test_what_a_page_shows_is_what_happens_on_a_hub(page: Path, tmp_path: Path) -> None:
    """The blocks of the page do and say what it shows, in a process that knows the Hub from its start: the official
    clients read their environment when they are imported. No request ends in an internal error."""
    with start_hub(tmp_path / "hub") as hub:
        known = {"SEALIFT_DOCS_ON_HUB": "1", "READ_TOKEN": hub.read_token or ""}
        words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--basetemp={tmp_path / 'inner'}"]
        words += [f"tests/test_docs.py::test_what_a_page_shows_is_what_happens[{name_of(page)}]"]
        environment = {**hub.environment(tmp_path / "home"), **known}
        ended = subprocess.run(
            words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=SECONDS
        )
        assert ended.returncode == 0, ended.stdout[-6000:]
        assert "1 passed" in ended.stdout
        assert hub.log is not None
        assert "Traceback" not in (said := tail(hub.log)), said
