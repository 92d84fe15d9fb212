"""The documents are true: what they show is run, what they list is complete, and their links lead somewhere."""

from __future__ import annotations

import ast
import json
import os
import re
import runpy
import select
import shlex
import signal
import subprocess
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import BaseModel
from tests.command import COMMAND

import sealift
from sealift import errors
from sealift.cli.main import sealift as program
from sealift.errors import NotSupportedYet, SpecError
from sealift.formats import measured
from sealift.model.manifest import Manifest, PublishedConfig, PublishedFile, PublishedSplit
from sealift.model.receipt import INDEX_COLUMNS, REJECT_COLUMNS, Receipt
from sealift.plan import limits
from sealift.plan.cells import REASONS
from sealift.rehearse import figures
from sealift.rows.bids import ENTITIES
from sealift.spec import Spec, grammar
from sealift.stores.hub import stage, wire
from sealift.tools import corpus
from sealift.tools.makers import brain, flac, melody, midi, nifti, picture, png, tones

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
EVERY_PAGE = [*PAGES, *(ROOT / name for name in ("CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"))]
RUN = ("console", "python", "yaml")
GAP = "…"
SECONDS = 60
"""What a command that serves gets to start, and to stop."""
ON_HUB = "SEALIFT_DOCS_ON_HUB" in os.environ
"""Whether this is the process in which tests/test_docs_hub.py has the pages run that need a Hub."""
NEEDS_HUB = "<!-- run beside a Hub on this machine -->"
"""What such a page has in its source."""
GIVEN = {"docs/verify.md": ("sealift init recordings", "sealift publish sealift.yaml --to ./out")}
"""What pages take as done before they begin."""


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, where it begins, and the HTML comment right before it."""

    language: str
    text: str
    line: int
    said: str

    @property
    def reason(self) -> str:
        """Why it is not run, if it says so."""
        return self.said.partition("not run:")[2].strip()


def name_of(page: Path) -> str:
    """The page's path in the repository."""
    return str(page.relative_to(ROOT))


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page."""
    pattern = re.compile(r"(?:<!--\s*(?P<said>.*?)\s*-->\n+)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.M | re.S)
    text = page.read_text(encoding="utf-8")
    return [
        Block(found["language"], found["text"], text[: found.start("text")].count("\n"), found["said"] or "")
        for found in pattern.finditer(text)
    ]


# --- what is shown is run ---------------------------------------------------------------------------------------------


def write(path: Path, data: bytes) -> None:
    """Write a file, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def make_sources(folder: Path) -> None:
    """What the pages call theirs: recordings in folders, a corpus with tables, a BIDS tree, and a few pictures."""
    sound = [flac(tones(melody(n, 2), 8000), 8000) for n in range(2)]
    for split, count in (("train", 4), ("test", 2)):
        for number in range(count):
            for bird in ("robin", "wren"):
                write(folder / f"recordings/{split}/{bird}/{number}.flac", sound[number % 2])
    corpus.make(folder / "music", rows=24)
    scan = nifti(brain(1, (8, 8, 6)), (2.0, 2.0, 2.0))
    for subject in ("01", "02"):
        write(folder / f"scans/sub-{subject}/ses-1/anat/sub-{subject}_ses-1_T1w.nii.gz", scan)
        for run in range(1, 1 + int(subject)):
            write(folder / f"scans/sub-{subject}/ses-1/func/sub-{subject}_ses-1_task-rest_run-{run}_bold.nii.gz", scan)
    write(folder / "scans/dataset_description.json", b'{"Name": "Two people", "BIDSVersion": "1.9.0"}')
    write(folder / "scans/participants.tsv", b"participant_id\tage\tsex\nsub-01\t34\tF\nsub-02\tn/a\tM\n")
    for number in range(3):
        write(folder / f"pictures/images/{number}.png", png(picture(number, 8, 8)))
    write(folder / "pictures/metadata.csv", b"file_name,caption\nimages/0.png,one\nimages/1.png,two\nimages/2.png,\n")
    write(folder / "takes/audio/a.flac", sound[0])
    write(folder / "takes/audio/b.flac", sound[1])
    write(folder / "takes/scores/a.mid", midi(melody(0, 2)))
    table = b"take_id,audio,score,tempo\na,audio/a.flac,scores/a.mid,120\nb,audio/b.flac,,96\n"
    write(folder / "takes/labels/takes.csv", table)


class Shell:
    """Runs the commands of console blocks in this process: `sealift`, and the few others that pages use."""

    def __init__(self, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.capfd = capfd

    def run(self, command: str) -> str:
        """What the command says on both streams; the exit code on a last line, if it is not 0."""
        words = [os.path.expandvars(word) for word in shlex.split(command, comments=True)]
        self.capfd.readouterr()
        code = getattr(self, f"_{words[0]}")(*words[1:])
        out, err = self.capfd.readouterr()
        return f"{out}\n{err}\n" + (f"exit code {code}" if code else "")

    def _sealift(self, *words: str) -> int:
        if words[0] == "hub":
            return serve(words)
        with pytest.raises(SystemExit) as ended:
            program.main(list(words))
        return int(ended.value.code or 0)

    def _rm(self, *words: str) -> int:
        for word in words:
            (self.folder / word).unlink()
        return 0


def serve(words: tuple[str, ...]) -> int:
    """Run a command that serves until Ctrl-C, and press that when it has said what to type; its exit code."""
    command = [str(COMMAND), *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, bufsize=0) as process:
        try:
            assert process.stdout is not None
            assert select.select([process.stdout], [], [], SECONDS)[0], f"{command} said nothing"
            print(process.stdout.read(1 << 16).decode())
            process.send_signal(signal.SIGINT)
            return process.wait(SECONDS)
        finally:
            process.kill()


def commands(block: Block) -> Iterator[tuple[str, list[str]]]:
    """Each command of a console block, with the lines that it is shown to say."""
    for part in re.split(r"^\$ ", block.text, flags=re.M)[1:]:
        command, *shown = part.replace("\\\n", " ").splitlines()
        yield command, [line for line in shown if line.strip()]


def missing_line(shown: list[str], said: str) -> str | None:
    """The first line that was not said as shown; `…` stands for anything, lines may stand on either stream."""
    lines = [" ".join(line.split()) for line in said.splitlines()]
    for line in shown:
        pattern = ".*".join(re.escape(" ".join(part.split())) for part in line.split(GAP)).replace(r".*", r"\s*.*\s*")
        if not any(re.fullmatch(pattern, there) for there in lines):
            return line
    return None


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with sources, as the working directory; and one core, so that no worker processes are started."""
    import datasets

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    make_sources(tmp_path)
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    yield tmp_path
    os.sched_setaffinity(0, cores)


def needs_hub(page: Path) -> bool:
    """Whether the page is run where HF_ENDPOINT and HF_TOKEN name a Hub."""
    return NEEDS_HUB in page.read_text(encoding="utf-8")


def to_run(page: Path) -> list[Block]:
    """The blocks of a page that are run: all of the languages that can be, but those that say why not."""
    return [block for block in blocks(page) if block.language in RUN and not block.reason]


@pytest.mark.parametrize("page", [page for page in PAGES if to_run(page) and needs_hub(page) == ON_HUB], ids=name_of)
def test_what_a_page_shows_is_what_happens(page: Path, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The blocks of a page, one after another in one folder, do and say what the page shows."""
    shell, names = Shell(folder, capfd), {"__name__": "docs"}
    for command in GIVEN.get(name_of(page), ()):
        assert "exit code" not in shell.run(command), command
    for block in to_run(page):
        place = f"{name_of(page)}:{block.line}"
        if block.language == "console":
            for command, shown in commands(block):
                said = shell.run(command)
                if not any(line.startswith("exit code") for line in shown):
                    assert "exit code" not in said, f"{place}: {command}\n{said}"
                assert (absent := missing_line(shown, said)) is None, f"{place}: {command}\nnot said: {absent}\n{said}"
        elif block.language == "python":
            exec(compile(block.text, place, "exec"), names)
        else:
            check_spec(block, folder, place)


def check_spec(block: Block, folder: Path, place: str) -> None:
    """The YAML is a spec, or keys of one; a block whose first line names a file is written there."""
    named = re.match(r"# (\S+\.yaml)", block.text)
    file = folder / (named[1] if named else "fragment.yaml")
    file.write_text(block.text, encoding="utf-8")
    if "not a spec" in block.said:
        with pytest.raises(SpecError):
            Spec.load(file, {})
        return
    spec = Spec.load(file, {})
    if "not supported yet" in block.said:
        with pytest.raises(NotSupportedYet):
            spec.check_supported()
        return
    spec.check_supported()
    if spec.from_ and (spec.rows or spec.layout == "folder"):
        found = sealift.plan(spec)["problems"]
        assert not [problem for problem in found if problem["severity"] == "error"], f"{place}: {found}"


def test_the_hash_of_shares_is_the_one_that_is_shown(folder: Path) -> None:
    """Whoever computes a group's point as docs/spec.md shows it finds the split where the row is."""
    shown: dict[str, Any] = {}
    exec(next(block.text for block in blocks(ROOT / "docs" / "spec.md") if "def point(" in block.text), shown)
    groups = [f"performer {number}" for number in range(40)]
    split = {"train": 0.6, "test": 0.4, "by": "performer", "seed": 7}
    sealift.publish(pa.table({"performer": groups}), to="./dealt", split=split)
    train = pq.read_table(folder / "dealt/data/train-00000-of-00001.parquet")["performer"].to_pylist()
    assert train == [group for group in groups if shown["point"](group, 7) < 0.6]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_block_is_run_or_says_why_not(page: Path) -> None:
    """A block is of a language that is run, or `text` or `json`; one that is not run has its reason before it."""
    for block in blocks(page):
        assert block.language in (*RUN, "text", "json"), f"{name_of(page)}:{block.line}: {block.language!r}"
        if "not run" in block.said:
            assert len(block.reason) > 10, f"{name_of(page)}:{block.line}: say why it is not run"
        if block.language == "json":
            json.loads(block.text)


def not_run() -> list[str]:
    """The commands that are shown but not run."""
    shown = [block for page in EVERY_PAGE for block in blocks(page) if block.reason and block.language == "console"]
    return [command for block in shown for command, _ in commands(block)]


def test_the_set_up_that_is_shown_exists() -> None:
    """Commands that set up a machine are not run; but their make targets, extras and sealift commands are there."""
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.M)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert not_run()
    for command in not_run():
        for target in re.findall(r"\bmake (\w+)", command):
            assert target in targets, command
        for extras in re.findall(r"\[([\w,]+)\]", command):
            assert set(extras.split(",")) <= project["optional-dependencies"].keys(), command


@pytest.mark.parametrize("page", EVERY_PAGE, ids=name_of)
def test_make_targets_and_extras_that_a_page_names_exist(page: Path) -> None:
    """`make x` and `sealift[x]` in running text name what there is."""
    text = page.read_text(encoding="utf-8")
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.M)
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(re.findall(r"`make (\w+)", text)) <= set(targets)
    assert {name for found in re.findall(r"sealift\[([\w,]+)\]", text) for name in found.split(",")} <= set(extras)


# --- links ------------------------------------------------------------------------------------------------------------


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and the Hub make them."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    titles = re.findall(r"^#+ (.+)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", EVERY_PAGE, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link of a page leads to a file of the repository, and to a heading in it if it names one."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{name_of(page)}: {target}"
        assert not anchor or anchor in anchors(file), f"{name_of(page)}: {target}"


def test_every_page_can_be_reached_from_the_readme() -> None:
    """Nobody has to know the name of a page to find it."""
    seen: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in seen:
            continue
        seen.add(page)
        links = re.findall(r"\]\(([^)#\s]+\.md)", page.read_text(encoding="utf-8"))
        waiting += [(page.parent / link).resolve() for link in links if "://" not in link]
    assert {name_of(page) for page in PAGES} <= {name_of(page) for page in seen}


# --- lists are complete -----------------------------------------------------------------------------------------------


def models() -> list[type[BaseModel]]:
    """The parts of the grammar."""
    found = (value for value in vars(grammar).values() if isinstance(value, type))
    return [value for value in found if issubclass(value, grammar.Part) and value is not grammar.Part]


@pytest.mark.parametrize("model", models(), ids=lambda model: model.__name__)
def test_the_page_on_the_spec_names_every_key(model: type[BaseModel]) -> None:
    """Every key of the grammar occurs in docs/spec.md as code, in a block or between backticks."""
    text = (ROOT / "docs" / "spec.md").read_text(encoding="utf-8")
    code = " ".join(re.findall(r"^```.*?^```$|`[^`\n]+`", text, re.M | re.S))
    keys = [field.alias or name for name, field in model.model_fields.items()]
    inner = {"Media": {"options"}}.get(model.__name__, set())  # an option stands beside the type, without that word
    assert [key for key in keys if key not in inner and not re.search(rf"\b{key}\b", code)] == []


def problem_codes(folder: Path) -> set[str]:
    """The codes of the problems that the modules of a folder make."""
    found: set[str] = set()
    for module in folder.rglob("*.py"):
        tree = ast.parse(module.read_text(encoding="utf-8"))
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args):
            called = call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")
            if called in ("Problem", "_warning", "add"):
                found |= codes_in(call.args[0])
    return found


def codes_in(argument: ast.expr) -> set[str]:
    """The codes that an argument can be: a literal, or `media-` and each reason for which a cell is refused."""
    if isinstance(argument, ast.Constant) and re.fullmatch(r"[a-z]+(-[a-z0-9]+)+", str(argument.value)):
        return {str(argument.value)}
    if isinstance(argument, ast.JoinedStr):
        return {f"media-{reason}" for reason in REASONS}
    return set()


def table(page: str, heading: str) -> list[list[str]]:
    """The cells of the first table below a heading, without its head."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8").split(f"\n## {heading}\n")[1]
    rows = [line for line in text.split("\n## ")[0].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows[2:]]


def test_the_table_of_a_plans_problems_is_complete() -> None:
    """docs/publish.md lists each code that a plan or a run can name, and no other; each has a meaning and a remedy."""
    listed = table("publish.md", "What a plan can say")
    assert all(len(row) == 4 and all(row) for row in listed)
    codes = [row[0].strip("`") for row in listed]
    assert codes == sorted(set(codes))
    assert set(codes) == problem_codes(ROOT / "src" / "sealift" / "plan") | {"media-suspect"}


def messages(*modules: str) -> list[str]:
    """The texts that these parts of the package can say, with `…` for what is filled in."""
    found: list[str] = []
    files = [file for name in modules for file in (ROOT / "src" / "sealift" / name).rglob("*.py")]
    for tree in (ast.parse(file.read_text(encoding="utf-8")) for file in files):
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                found.append(
                    "".join(str(part.value) if isinstance(part, ast.Constant) else GAP for part in node.values)
                )
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return found


def test_the_failures_that_are_listed_exist() -> None:
    """docs/hub.md quotes messages that the code has, each with its class, and the exit code where it is not 6."""
    said = messages("stores", "publish", "build", "formats", "journal")
    listed = table("hub.md", "When something fails")
    assert len(listed) > 10
    for message, names, meaning in listed:
        pattern = ".*".join(re.escape(part.strip()) for part in message.strip("`").split(GAP))
        assert any(re.search(pattern, one) for one in said), message
        name, _, code = names.partition(", code ")
        assert getattr(errors, name.strip("`")).exit_code == int(code or 6), names
        assert meaning


def test_the_figures_of_the_hub_are_those_of_the_code() -> None:
    """Sizes, counts and seconds that docs/hub.md names are those by which the code goes."""
    text = " ".join((ROOT / "docs" / "hub.md").read_text(encoding="utf-8").split())
    *waits, last = (f"{seconds:g}" for seconds in wire.WAITS)
    for shown in (
        f"The plan counts {stage.HELD // 10**6} MB for the upload in each worker",
        f"{stage.LFS_STAGING // 10**9} GB at most, and no more than half of what is free",
        f"the footer and {measured.MARKS} pieces at random places",
        f"Up to {limits.COMMIT_FILES:,} files are documented for one commit",
        f"after {', '.join(waits)} and {last} seconds",
        f"up to {wire.PATIENCE / 60:g} minutes",
        f"about {figures.COMMITS_PER_HOUR} an hour",
    ):
        assert shown in text, shown


@pytest.mark.parametrize(
    ("heading", "fields"),
    [
        ("The manifest", [*Manifest.__dataclass_fields__, "format"]),
        ("Configs in the manifest", [*PublishedConfig.__dataclass_fields__, *PublishedSplit.__dataclass_fields__]),
        ("Shards in the manifest", [name for name in Receipt.__dataclass_fields__ if name not in ("findings", "made")]),
        ("Other files in the manifest", list(PublishedFile.__dataclass_fields__)),
        ("The index", list(INDEX_COLUMNS)),
        ("The rejects", list(REJECT_COLUMNS)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_tables_of_published_files_are_complete(heading: str, fields: list[str]) -> None:
    """docs/published-files.md has a line for every field of what is published, and no other."""
    named = [row[0].strip("`").removeprefix("splits[].") for row in table("published-files.md", heading)]
    assert sorted(set(named)) == sorted(set(fields))


def test_the_bids_entities_are_listed() -> None:
    """docs/layouts.md names every entity that becomes a column."""
    text = (ROOT / "docs" / "layouts.md").read_text(encoding="utf-8")
    assert [name for name in ENTITIES.values() if f"`{name}`" not in text] == []


def test_the_architecture_names_every_module() -> None:
    """docs/architecture.md has a word on everything that lies in the package."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    there = {path.stem for path in (ROOT / "src" / "sealift").iterdir() if path.suffix == ".py" or path.is_dir()}
    modules = {name for name in there if not name.startswith("_")}
    assert [name for name in sorted(modules) if f"**`{name}`**" not in text] == []


def test_every_decision_is_in_the_index() -> None:
    """docs/decisions/README.md links every note by its number, in order, and each note has its parts."""
    notes = sorted((ROOT / "docs" / "decisions").glob("0*.md"))
    linked = re.findall(r"\]\((\d{4}-[\w-]+\.md)\)", (ROOT / "docs" / "decisions" / "README.md").read_text())
    assert linked == [note.name for note in notes]
    for number, note in enumerate(notes, 1):
        text = note.read_text(encoding="utf-8")
        assert note.name.startswith(f"{number:04d}-") and text.startswith(f"# {number}. ")
        for part in ("## Question", "## Options", "## Choice", "## Cost"):
            assert part in text, f"{note.name}: {part}"


# --- the picture ------------------------------------------------------------------------------------------------------


def without_figures(line: str) -> str:
    """The words of a line: sizes differ a little between builds of zlib."""
    return " ".join(re.sub(r"[\d.,]+", "#", line).split())


def test_the_picture_is_what_the_demo_says(folder: Path) -> None:
    """docs/demo.svg shows the demo's own output (`python docs/make_picture.py` draws it), and no place of a machine."""
    drawing: Mapping[str, Any] = runpy.run_path(str(ROOT / "docs" / "make_picture.py"))
    lines = drawing["drawn_lines"](drawing["run"]())
    fresh, kept = drawing["draw"](lines), (ROOT / "docs" / "demo.svg").read_text(encoding="utf-8")
    assert shown_in(kept) == shown_in(fresh), "draw it anew: python docs/make_picture.py"
    assert "/tmp" not in kept and str(Path.home()) not in kept


def shown_in(svg: str) -> list[str]:
    """The lines of text of a picture, without their figures."""
    rows: dict[float, str] = {}
    for y, text in re.findall(r'<text class="demo-r\d+" x="[\d.]+" y="([\d.]+)"[^>]*>([^<]*)<', svg):
        rows[float(y)] = rows.get(float(y), "") + text
    return [without_figures(rows[y].replace("&#160;", " ")) for y in sorted(rows)]
