"""`import sealift`: the same from Python, with rows in whatever form they come."""

from __future__ import annotations

import pickle
import pydoc
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from tests import corpora

import sealift
from sealift.errors import PlanRefused, RequestError, SourceMissing
from sealift.model.event import Advanced, Event, Finished, Started
from sealift.tools.makers import picture, png

ROWS = {"id": [f"row-{n}" for n in range(12)], "number": [*range(12)], "image": [f"{n % 4}/{n}.png" for n in range(12)]}
SAID: dict[str, Any] = {"media": {"image": "image"}, "key": "id", "workers": 1}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve pictures in four folders."""
    folder = tmp_path_factory.mktemp("source")
    for number, path in enumerate(ROWS["image"]):
        (folder / str(path)).parent.mkdir(exist_ok=True)
        (folder / str(path)).write_bytes(png(picture(number, 8, 8 + number)))
    return folder


def published(out: Path) -> dict[str, bytes]:
    """Every published file but the manifest, whose spec may say more."""
    return {str(one.relative_to(out)): one.read_bytes() for one in out.rglob("*.parquet")}


FORMS: dict[str, Callable[[], Any]] = {
    "pandas": lambda: pd.DataFrame(ROWS),
    "polars": lambda: pl.DataFrame(ROWS),
    "duckdb": lambda: duckdb.from_arrow(pa.table(ROWS)),
    "reader": lambda: pa.table(ROWS).to_reader(max_chunksize=5),
    "list": lambda: pa.table(ROWS).to_batches(max_chunksize=5),
    "generator": lambda: (batch for batch in pa.table(ROWS).to_batches(max_chunksize=5)),
}


@pytest.mark.parametrize("form", FORMS)
def test_rows_may_come_in_any_form(form: str, source: Path, tmp_path: Path) -> None:
    """A table, a frame, a relation or an iterator with the same rows publishes the same files."""
    sealift.publish(pa.table(ROWS), tmp_path / "table", from_=str(source), **SAID)
    built = sealift.publish(FORMS[form](), tmp_path / "other", from_=str(source), **SAID)
    assert (built.packed, built.to) == (1, str(tmp_path / "other"))
    assert published(tmp_path / "other") == published(tmp_path / "table")
    assert sealift.verify(tmp_path / "other", against=pa.table(ROWS), from_=str(source), **_without_workers()).proven


def _without_workers() -> dict[str, Any]:
    return {name: value for name, value in SAID.items() if name != "workers"}


def test_a_spec_of_objects_is_a_spec_of_text(tmp_path: Path) -> None:
    """The same keys as a file, as a Spec, and as arguments over a file give the same plan."""
    corpora.music(tmp_path / "in", players=3, takes=2)
    file = tmp_path / "in/sealift.yaml"
    plan = sealift.plan(file)
    assert sealift.plan(sealift.Spec.load(file))["plan"] == plan["plan"]
    assert sealift.plan(str(file), from_=str(tmp_path / "in"))["plan"] == plan["plan"]
    only = sealift.plan(file, configs=["labels_only"])
    assert [*only["plan"].items()] == [("labels_only", plan["plan"]["labels_only"])]
    assert sealift.plan(file, shards={"rows": 1})["configs"][0]["splits"][0]["shards"] == 2


def test_a_folder_is_recognised(tmp_path: Path) -> None:
    """The path of a folder stands for its own spec, or for what its layout says."""
    corpora.classes(tmp_path / "in", splits=())
    assert sealift.plan(tmp_path / "in")["configs"][0]["splits"][0]["rows"] == 12
    (tmp_path / "in/sealift.yaml").write_text("rows: SELECT path AS image FROM files WHERE size < 1 ORDER BY path\n")
    assert sealift.plan(str(tmp_path / "in"))["configs"][0]["splits"] == []


@pytest.mark.parametrize("form", ["reader", "generator"])
def test_an_iterator_is_read_once(form: str, source: Path, tmp_path: Path) -> None:
    """Rows that were used up by a plan are an error that says so, never an empty dataset."""
    rows = FORMS[form]()
    sealift.plan(rows, from_=str(source), **SAID)
    with pytest.raises(RequestError, match="read once has nothing more"):
        sealift.publish(rows, tmp_path / "out", from_=str(source), **SAID)
    assert not (tmp_path / "out").exists()


def test_a_table_can_be_read_again(source: Path, tmp_path: Path) -> None:
    """Planning takes nothing away from a table; publishing twice writes nothing the second time."""
    spec = sealift.Spec(rows=pa.table(ROWS), from_=str(source), media={"image": "image"}, key="id")
    sealift.plan(spec)
    first = sealift.publish(spec, tmp_path / "out", workers=1)
    assert len(first.publication.written) == 4
    assert sealift.publish(spec, tmp_path / "out", workers=1).publication.written == ()


def test_the_function_stays_where_a_module_has_its_name() -> None:
    """`sealift.publish`, `plan` and `verify` are the functions, however their modules were imported, in any order."""
    code = """
import importlib, sys
import sealift.publish, sealift.plan.report, sealift.verify.codes, sealift.api
from sealift import plan
import sealift
importlib.import_module("sealift.plan")
importlib.reload(sys.modules["sealift.verify"])
for name in ("publish", "plan", "verify"):
    assert getattr(sealift, name).__module__ == "sealift.api", name
assert plan is sealift.plan
from sealift.verify import Verified
from sealift.publish import Publication
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_importing_loads_no_other_library() -> None:
    """`import sealift` is cheap: it loads the standard library and itself, and lists its names all the same."""
    code = """
import sys
before = set(sys.modules)
import sealift
loaded = {name.partition(".")[0] for name in set(sys.modules) - before} - {"sealift"}
assert loaded <= sys.stdlib_module_names, loaded - sys.stdlib_module_names
assert {"publish", "plan", "verify", "Spec", "SealiftError"} <= set(dir(sealift))
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


@pytest.mark.parametrize("name", ["publish", "plan", "verify", "Spec", "SealiftError"])
def test_what_is_public_survives_a_pickle(name: str) -> None:
    """Functions and classes go to another process by their name."""
    assert pickle.loads(pickle.dumps(getattr(sealift, name))) is getattr(sealift, name)


def test_answers_and_errors_survive_a_pickle(source: Path, tmp_path: Path) -> None:
    """What a call returns or raises can be sent to another process, fields and all."""
    built = sealift.publish(pa.table(ROWS), tmp_path / "out", from_=str(source), **SAID)
    assert pickle.loads(pickle.dumps(built.publication)) == built.publication
    verified = sealift.verify(tmp_path / "out")
    assert pickle.loads(pickle.dumps(verified)) == verified
    with pytest.raises(PlanRefused) as caught:
        sealift.publish(pa.table({"id": ["a"], "image": ["none.png"]}), tmp_path / "x", from_=str(source), **SAID)
    again = pickle.loads(pickle.dumps(caught.value))
    assert (type(again), again.fields, again.hint) == (PlanRefused, caught.value.fields, caught.value.hint)
    assert again.fields["problems"][0]["code"] == "media-missing"


def test_help_tells_how_to_begin() -> None:
    """`help(sealift)` shows an example and the public functions with their arguments and their promises."""
    said = pydoc.plain(pydoc.render_doc(sealift))
    assert 'sealift.publish(spec, to="./out")' in said
    for line in (
        "publish(what: 'Any'",
        "plan(what: 'Any'",
        "verify(where: ",
        "Pack and publish, and return",
        "Raises:",
    ):
        assert line in said


@pytest.mark.parametrize("workers", [1, 2])
def test_events_add_up(workers: int, source: Path, tmp_path: Path) -> None:
    """Every stage is started, advanced and finished in this thread; totals that were promised are reached exactly."""
    events: list[Event] = []
    said = {**SAID, "workers": workers, "shards": {"rows": 4}}
    sealift.publish(pa.table(ROWS), tmp_path / "out", from_=str(source), on_event=events.append, **said)
    sealift.verify(tmp_path / "out", on_event=events.append)
    begun = [event for event in events if isinstance(event, Started)]
    assert [event.stage for event in begun] == ["plan", "pack", "publish", "verify"]
    assert [event.stage for event in events if isinstance(event, Finished)] == ["plan", "pack", "publish", "verify"]
    size = sum((source / str(path)).stat().st_size for path in ROWS["image"])
    assert (begun[1].bytes, begun[1].files) == (size, 12)
    for stage in begun[1:]:
        moved = [event for event in events if isinstance(event, Advanced) and event.stage == stage.stage]
        assert (stage.bytes, stage.files) == (sum(one.bytes for one in moved), sum(one.files for one in moved))


def test_what_cannot_be_done_is_said_before_anything_is_written(source: Path, tmp_path: Path) -> None:
    """A source that is not there, a destination that is the source, and rows that are none: each has its error."""
    with pytest.raises(RequestError, match="is the source itself"):
        sealift.publish(pa.table(ROWS), source, from_=str(source), **SAID)
    with pytest.raises(RequestError, match="rows cannot be read from a int"):
        sealift.plan(3, from_=str(source))
    with pytest.raises(SourceMissing):
        sealift.plan(sealift.Spec(rows="SELECT * FROM t", tables={"t": "none.csv"}, from_=str(source)))
    with pytest.raises(RequestError, match="nothing says where"):
        sealift.publish(pa.table(ROWS), from_=str(source), **SAID)
    assert not (tmp_path / "out").exists()


def test_sizes_may_be_said_as_text(source: Path, tmp_path: Path) -> None:
    """`memory` takes what --memory takes, and says what is wrong with anything else."""
    with pytest.raises(RequestError, match="'1GGB' is no size"):
        sealift.plan(source, memory="1GGB")
    assert sealift.plan(source, memory="1GB")["estimate"]["memory_bytes"] <= 10**9


def test_answers_are_short_in_a_notebook(source: Path, tmp_path: Path) -> None:
    """What publish and verify give back is told in a line."""
    built = sealift.publish(source, to=tmp_path / "out", workers=1)
    assert repr(built).startswith("<published to ")
    assert repr(sealift.verify(tmp_path / "out")) == "<proven (full)>"
    assert len(repr(built)) < 200
