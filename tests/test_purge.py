"""`--purge`: everything but the publication goes, in the same commit, after somebody has agreed to it."""

from __future__ import annotations

import os
import pty
import subprocess
from pathlib import Path

import pytest
from tests.albums import albums, files, identities, manifest_of, publish_albums, write_spec
from tests.command import COMMAND, run

from sealift.errors import RequestError
from sealift.model import manifest


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return albums(tmp_path / "source")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A folder that holds another's things, and words about them."""
    out = tmp_path / "out"
    (out / "raw" / "deep").mkdir(parents=True)
    (out / "raw" / "deep" / "a.wav").write_bytes(b"RIFF")
    (out / "full").mkdir()
    (out / "full" / "notes.txt").write_text("mine")
    (out / ".gitattributes").write_text("*.wav filter=lfs\n")
    (out / "README.md").write_text("---\nlicense: other\n---\n# Of the old days\n")
    return out


def test_everything_else_goes(source: Path, out: Path) -> None:
    """After a purge there is the publication and `.gitattributes`; the old card's words are gone, too."""
    built = publish_albums(source, out, workers=1, purge=True)
    found = manifest_of(out)
    assert set(files(out)) == {*found.paths(), manifest.PATH, ".gitattributes"}
    assert set(built.publication.deleted) == {"raw/deep/a.wav", "full/notes.txt"}
    assert "old days" not in (out / "README.md").read_text()
    assert not (out / "raw").exists()


def test_a_second_purge_changes_nothing(source: Path, out: Path) -> None:
    """What is there already is not written again, purge or not."""
    publish_albums(source, out, workers=1, purge=True)
    before = identities(out)
    built = publish_albums(source, out, workers=1, purge=True)
    assert (built.publication.written, built.publication.deleted, built.packed) == ((), (), 0)
    assert identities(out) == before


def test_old_configs_go(source: Path, out: Path) -> None:
    """A purge leaves no config of an earlier publication that is not of this one."""
    publish_albums(source, out, workers=1, purge=True)
    write_spec(source, configs={"words": {"columns": ["id", "label"]}})
    publish_albums(source, out, workers=1, purge=True)
    assert [config.name for config in manifest_of(out).configs] == ["words"]
    assert set(files(out)) == {*manifest_of(out).paths(), manifest.PATH, ".gitattributes"}


def test_some_configs_alone_do_not_purge(source: Path, out: Path) -> None:
    """`--configs` leaves the others and `--purge` deletes them: both together are refused."""
    before = identities(out)
    with pytest.raises(RequestError, match="some configs alone leave the others"):
        publish_albums(source, out, workers=1, purge=True, configs=["words"])
    assert identities(out) == before


def test_without_a_terminal_it_refuses(source: Path, out: Path) -> None:
    """Where nobody can answer, `--purge` says how much would go, and deletes nothing without `--yes`."""
    before = identities(out)
    refused = run("publish", source, "--to", out, "--purge")
    assert refused.returncode == RequestError.exit_code
    assert "3 files, 49 B" in refused.stderr
    assert "--yes" in refused.stderr
    assert identities(out) == before
    done = run("publish", source, "--to", out, "--purge", "--yes")
    assert done.returncode == 0, done.stderr
    assert "2 deleted" in done.stderr
    assert set(files(out)) == {*manifest_of(out).paths(), manifest.PATH, ".gitattributes"}


def test_nothing_there_asks_nothing(source: Path, tmp_path: Path) -> None:
    """A purge of a place that is not there yet, or holds `.gitattributes` alone, needs no answer."""
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / ".gitattributes").write_text("*.wav filter=lfs\n")
    for out in ("none", "new"):
        done = run("publish", source, "--to", tmp_path / out, "--purge")
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("answer", "gone"), [("y\n", True), ("n\n", False), ("\n", False)])
def test_on_a_terminal_it_asks(source: Path, out: Path, answer: str, gone: bool) -> None:
    """The question says how many files and bytes; only `y` deletes."""
    before = identities(out)
    ours, theirs = pty.openpty()
    os.write(ours, answer.encode())
    command = [str(COMMAND), "publish", str(source), "--to", str(out), "--purge"]
    ended = subprocess.run(command, stdin=theirs, capture_output=True, text=True, timeout=60, check=False)
    os.close(ours)
    os.close(theirs)
    assert ended.returncode == 0, ended.stderr
    assert "3 files, 49 B" in ended.stderr
    assert (identities(out) != before) == gone
    assert (out / "raw").exists() != gone
    assert ("nothing was published" in ended.stderr) != gone


def test_configs_one_by_one_come_to_the_same(source: Path, tmp_path: Path) -> None:
    """`--commits per-config` ends with the same files, byte for byte, as one commit; with a purge, too."""
    publish_albums(source, tmp_path / "one", workers=1)
    built = publish_albums(source, tmp_path / "several", workers=1, commits="per-config", purge=True)
    several = {path: data for path, data in files(tmp_path / "several").items() if path != "README.md"}
    one = {path: data for path, data in files(tmp_path / "one").items() if path != "README.md"}
    assert several.keys() == one.keys()
    assert {path for path in one if one[path] != several[path]} == {manifest.PATH}  # the card's digest: its name
    assert built.publication.commits == 5
    assert set(built.publication.written) == {*manifest_of(tmp_path / "several").paths(), manifest.PATH}
