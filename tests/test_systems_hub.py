"""The systems on a Hub: everything that holds for a folder holds for `load_dataset("org/name")`."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.hubs import ROOT, start_hub


@pytest.mark.parametrize("xet", [True, pytest.param(False, marks=pytest.mark.long)], ids=["xet", "lfs"])
def test_what_holds_for_a_folder_holds_for_a_hub(tmp_path: Path, xet: bool) -> None:
    """The suite of the two systems passes with the repositories of a Hub in the place of folders, with and without Xet
    on the server: rows, columns, features, splits, every byte, tables beside, proof against the source."""
    with start_hub(tmp_path / "hub", *([] if xet else ["--no-xet"])) as hub:
        environment = {**hub.environment(tmp_path / "home"), "SEALIFT_SYSTEMS_ON_HUB": "1"}
        words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--basetemp={tmp_path / 'inner'}"]
        words += ["tests/test_systems.py", "-k", "music or scans or player or tables or laid_out or proven"]
        ended = subprocess.run(
            words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=300
        )
        assert ended.returncode == 0, ended.stdout[-6000:]
        passed = re.search(r"(\d+) passed", ended.stdout)
        assert passed, ended.stdout
        assert int(passed[1]) >= 20
        counts = hub.counts()
    assert counts["requests"]["commit"] == 4
    assert (counts["requests"].get("cas-shard", 0) > 0) == xet
    assert (counts["requests"].get("lfs-put", 0) > 0) != xet
