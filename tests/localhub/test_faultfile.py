"""How faults are written and chosen: mistakes are named, chance can be repeated."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.hubs import start_hub
from tests.localhub.test_own import KINDS
from tests.localhub.wire import Wire

from sealift.localhub.faultfile import WrongFaults, at_start, read
from sealift.localhub.faults import NAMES, Plan
from sealift.localhub.profiles import PROFILES

MISTAKES = [
    ("7", "list of objects"),
    ("faults: 7", "list of objects"),
    ("- status: 500", "fault 1 is no object with a `kind`"),
    (
        "- {kind: commit, drop: true}\n- {kind: tree, statsu: 500}",
        "fault 2 has no key 'statsu'; did you mean 'status'?",
    ),
    ("- {kind: commit, times: often, drop: true}", "fault 1: `times` is a whole number, not 'often'"),
    ("- {kind: commit, times: true, drop: true}", "`times` is a whole number"),
    ("- {kind: commit, status: 42}", "`status` is an HTTP status from 200 to 599, not 42"),
    ("- {kind: commit, cut_request: 1.5}", "`cut_request` is a number of bytes, or a part"),
    ("- {kind: commit, probability: 2, drop: true}", "`probability` is a number from 0 to 1"),
    ("- {kind: commit, headers: {Retry-After: 3}, status: 429}", "`headers` is an object of strings"),
    ("- {kind: commit, method: FETCH, drop: true}", "`method` is one of GET"),
    ("- {kind: commit, skip: 2}", "fault 1 does nothing"),
    ("- {kind: commit, delay: 0}", "fault 1 does nothing"),
    ("- {kind: commit, collect_after: 3}", "collecting is about content"),
    ("- {kind: commit", "expected"),
    ("slow-down", "there is no profile 'slow-down'"),
]


@pytest.mark.parametrize(("text", "said"), MISTAKES)
def test_a_mistake_is_named(tmp_path: Path, text: str, said: str) -> None:
    """With the file, the fault and the key, and what would be right."""
    file = tmp_path / "faults.yaml"
    file.write_text(text)
    with pytest.raises(WrongFaults) as wrong:
        at_start(str(file))
    assert str(wrong.value).startswith(f"{file}: ")
    assert said in str(wrong.value)
    assert "\n" not in str(wrong.value)


def test_neither_a_file_nor_a_profile_is_said(tmp_path: Path) -> None:
    """With the profiles that there are."""
    with pytest.raises(WrongFaults, match="neither a file nor a profile; those are busy, flaky"):
        at_start(str(tmp_path / "none.yaml"))


@pytest.mark.parametrize("text", ['{"faults": [{"kind": "tree", "status": 500}]}', "- {kind: tree, status: 500}"])
def test_json_and_yaml_say_the_same(tmp_path: Path, text: str) -> None:
    """A list, or an object that holds one; without `times` it happens once."""
    (tmp_path / "faults").write_text(text)
    [fault] = at_start(str(tmp_path / "faults"))
    assert (fault.kind, fault.status, fault.times) == ("tree", 500, 1)


@pytest.mark.parametrize("name", PROFILES)
def test_every_profile_is_well_written(name: str) -> None:
    """And none of them ends after one request."""
    assert all(fault.times is None or fault.collect_after is not None for fault in at_start(name))


def test_the_page_lists_every_key_profile_and_kind() -> None:
    """docs/faults.md has each of them in the first column of a table, and nothing that is not there."""
    page = (Path(__file__).parents[2] / "docs/faults.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`[^|]+`) \|", page, re.M)
    listed = {name for row in rows for name in re.findall(r"`([\w-]+)`", row)}
    kinds = {kind for _, _, kind in KINDS} | {"auth-check", "move-repo", "settings", "storage", "lfs-get"}
    kinds |= {"lfs-duplicate", "cas-xorb-get"}
    assert listed == (NAMES - {"collect_after", "remembers"}) | set(PROFILES) | kinds
    assert "`collect_after`" in page and "`remembers: true`" in page


def test_chance_can_be_repeated() -> None:
    """The same seed takes the same requests of a sequence, another seed others; about as many as it should."""

    def taken(seed: int) -> list[bool]:
        plan = Plan(read([{"kind": "tree", "drop": True, "probability": 0.25, "seed": seed}]))
        return [plan.next("tree") is not None for _ in range(400)]

    assert taken(1) == taken(1) != taken(2)
    assert 70 < sum(taken(1)) < 130


def test_each_fault_draws_for_itself() -> None:
    """Another fault before it does not change which requests it takes, as long as that one takes none of them."""
    rare = {"kind": "tree", "drop": True, "probability": 0.2, "seed": 5}
    alone, beside = Plan(read([rare])), Plan(read([{"kind": "commit", "status": 500, "times": None}, rare]))
    beside.next("commit")
    assert [alone.next("tree") for _ in range(50)] == [beside.next("tree") for _ in range(50)]


def test_one_request_meets_one_fault() -> None:
    """The first of the list that takes it; the others wait for their turn."""
    plan = Plan(read([{"kind": "t*", "status": 500}, {"kind": "tree", "status": 502, "times": None}]))
    assert [met.fault.status for _ in range(3) if (met := plan.next("tree"))] == [500, 502, 502]
    assert [one["happened"] for one in plan.as_json()] == [1, 2]


def test_faults_are_in_force_from_the_start(tmp_path: Path) -> None:
    """`--faults FILE` holds for the first request."""
    (tmp_path / "faults.yaml").write_text("- {kind: whoami, status: 503, times: }\n")
    with start_hub(tmp_path / "root", "--faults", str(tmp_path / "faults.yaml")) as hub:
        assert [Wire(hub)("GET", "/api/whoami-v2").status for _ in range(2)] == [503, 503]
        hub.faults([])
        assert Wire(hub)("GET", "/api/whoami-v2").status == 200


def test_a_wrong_file_keeps_it_from_starting(tmp_path: Path) -> None:
    """Exit code 2, with the file and the key."""
    (tmp_path / "faults.yaml").write_text("- {kind: whoami, statsu: 503}\n")
    words = [sys.executable, "-m", "sealift.localhub", "--root", str(tmp_path / "root")]
    words += ["--faults", str(tmp_path / "faults.yaml")]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert "faults.yaml: fault 1 has no key 'statsu'; did you mean 'status'?" in done.stderr
