"""A whole publication with a token: no file on this machine and no output of it holds the token, though it fails."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.albums import albums
from tests.command import process
from tests.hubs import Hub, start_hub

SIGNED = re.compile(
    rb"(?:[?&]X-[A-Za-z-]*Signature|[?&](?:signature|sig|token))=(?!\[hidden)[^&\s\"']+|\beyJ[\w-]{20,}", re.I
)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with start_hub(tmp_path_factory.mktemp("hub") / "root") as hub:
        yield hub


@pytest.mark.parametrize("by", ["option", pytest.param("environment", marks=pytest.mark.long)])
def test_a_publication_leaves_no_secret_behind(hub: Hub, tmp_path: Path, by: str) -> None:
    """Neither in the log with its tracebacks, nor in the journal that stays, which is private, nor on the terminal."""
    source = albums(tmp_path / "source")
    hub.faults([{"kind": "commit", "status": 403, "times": 99}])
    state, log = tmp_path / "state", tmp_path / "log"
    words = ["publish", source / "sealift.yaml", "--to", hub.name(), "--state", state, "--log-file", log, "--json"]
    words += ["--token", hub.token] if by == "option" else []
    environment = hub.environment(tmp_path / "home") | {"SEALIFT_TRACEBACK": "1"}
    environment["HF_TOKEN"] = "" if by == "option" else hub.token
    try:
        ended = process(*words, cwd=tmp_path, **environment)
    finally:
        hub.faults([])
    assert ended.returncode == 6, ended.stderr
    kept = {
        file: file.read_bytes() for folder in (state, log) for file in (folder, *folder.rglob("*")) if file.is_file()
    }
    assert any(file.name == "journal.sqlite" for file in kept)
    for data in (ended.stdout.encode(), ended.stderr.encode(), *kept.values()):
        assert hub.token.encode() not in data
        assert not SIGNED.search(data)
    assert {folder.stat().st_mode & 0o777 for folder in state.iterdir()} == {0o700}
