"""The benchmark of growth: its corpus, its table and its picture."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pyarrow.parquet as pq
from benchmarks.growth import Run, make, picture, table

from sealift.plan import DEFAULT_MEMORY, plan
from sealift.plan.estimate import Memory
from sealift.spec import Spec
from sealift.stores.local import LocalFolder

CPU = {("plan", 1000): 1.0, ("plan", 11_000): 1.1, ("publish", 1000): 1.5, ("publish", 11_000): 2.0}
RUNS = [
    Run(verb, files, number, wall=cpu + 0.5, cpu=cpu + number, peak=100_000_000)
    for (verb, files), cpu in CPU.items()
    for number in range(2)
]


def test_the_corpus_can_be_planned(tmp_path: Path) -> None:
    """Every row of the table has its file, in one folder or in many, and each is of its own."""
    for flat in (False, True):
        folder = tmp_path / f"tiny-{flat}"
        made = plan(Spec.load(make(folder, 12, flat=flat)), LocalFolder(folder), tmp_path / "w", Memory(DEFAULT_MEMORY))
        files = [folder / path for path in pq.read_table(folder / "rows.parquet")["audio"].to_pylist()]
        assert (made.problems, made.shards[0].cells) == ((), 12)
        assert len({file.read_bytes() for file in files}) == 12


def test_what_start_up_takes_is_apart_from_what_a_file_does() -> None:
    """The table has the least CPU time of each kind, and what each file costs beyond those of the row before."""
    rows = [line.split(" | ") for line in table(RUNS).splitlines()[2:]]
    assert [(row[1], row[3], row[4], row[5]) for row in rows] == [
        ("1,000", "1.00", "1000.0", ""),
        ("11,000", "1.10", "100.0", "10.0"),
        ("1,000", "1.50", "1500.0", ""),
        ("11,000", "2.00", "181.8", "50.0"),
    ]


def test_the_picture_is_well_formed() -> None:
    """It is XML with a curve for each verb in each of two charts, and every point inside."""
    found = ElementTree.fromstring(picture(RUNS))
    name = "{http://www.w3.org/2000/svg}"
    assert len(found.findall(f"{name}polyline")) == 4
    dots = list(found.iter(f"{name}circle"))
    assert len(dots) == 8
    assert all(
        0 < float(dot.attrib["cy"]) < 300 and 0 < float(dot.attrib["cx"]) < 820 for dot in found.iter(f"{name}circle")
    )
