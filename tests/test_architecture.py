"""The house's rules about imports: written down in .importlinter and DESIGN, held here."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CONTRACTS = ROOT / ".importlinter"
HEAVY = ("pyarrow", "duckdb", "pydantic", "huggingface_hub", "hf_xet", "numpy", "datasets", "pandas", "polars")
VENDORS = (
    *HEAVY,
    "starlette",
    "uvicorn",
    "rich",
    "click",
    "yaml",
    "blake3",
    "nibabel",
    "soundfile",
    "PIL",
    "mido",
    "av",
    "pypdf",
    "torch",
)


def loaded_by(code: str, names: tuple[str, ...]) -> list[str]:
    """Which of the names a fresh process has loaded after the code."""
    ask = f"{code}\nimport sys\nprint('loaded:', *(name for name in {names!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1].removeprefix("loaded:").split()


def test_imports_keep_to_the_layers_and_vendors_to_their_homes(tmp_path: Path) -> None:
    """Every contract in .importlinter holds, and every module has its place in the layers."""
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--config", CONTRACTS, "--cache-dir", tmp_path],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_folder_of_modules_is_a_package() -> None:
    """A folder without `__init__.py` would be left out of the import graph, and of every contract with it."""
    folders = {module.parent for module in (ROOT / "src" / "sealift").rglob("*.py")}
    assert [str(folder) for folder in sorted(folders) if not (folder / "__init__.py").exists()] == []


def waiting() -> list[tuple[str, ...]]:
    """For every contract that is commented out, the modules that it waits for."""
    return [tuple(names.split()) for names in re.findall(r"^# waits for: (.+)$", CONTRACTS.read_text(), re.MULTILINE)]


@pytest.mark.parametrize("modules", waiting(), ids=" ".join)
def test_a_contract_waits_only_for_modules_that_are_not_there(modules: tuple[str, ...]) -> None:
    """A contract that is commented out comes into force with the last of its modules."""
    absent = [name for name in modules if not module_exists(name)]
    assert absent, f"{' and '.join(modules)} exist now: uncomment their contract in .importlinter"


def module_exists(name: str) -> bool:
    """Whether the package holds a module or package of that dotted name."""
    place = ROOT.joinpath("src", *name.split("."))
    return place.with_suffix(".py").exists() or (place / "__init__.py").exists()


def test_import_loads_no_vendor() -> None:
    """`import sealift` loads nothing but the standard library and ourselves."""
    assert loaded_by("import sealift", VENDORS) == []


def test_help_loads_nothing_heavy() -> None:
    """`sealift --help` loads none of the libraries that take long to load."""
    code = """
from sealift.cli.main import main
import sys
sys.argv = ['sealift', '--help']
try:
    main()
except SystemExit as ended:
    assert ended.code == 0
"""
    assert loaded_by(code, HEAVY) == []


PACKING = {"blake3", "numpy", "pyarrow"}
WORKER = "import sealift.runners.local, sealift.pack, sealift.stores.local, sealift.stores.local_stage"
DRIVER = {*PACKING, "annotated_types", "click", "duckdb", "pydantic", "pydantic_core", "yaml"}
DRIVER |= {
    "typing_extensions",
    "typing_inspection",
    "dateutil",
}  # pydantic's own, and what pyarrow takes for time zones
PUBLISH = """
import sys
from sealift.cli.main import main
sys.argv = ['sealift', 'publish', {spec!r}, '--to', {out!r}, '--workers', '1', '--quiet']
try:
    main()
except SystemExit as ended:
    assert ended.code == 0
"""


def libraries_of(code: str) -> set[str]:
    """The top-level modules that a fresh process loads for the code; not the standard library's, nor ours, nor those
    that begin with an underscore or come with any start of Python."""
    ask = f"import sys\nbefore = {{*sys.modules}}\n{code}\nprint(*{{*sys.modules}} - before)"
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    found = {name.partition(".")[0] for name in done.stdout.splitlines()[-1].split()}
    known = sys.stdlib_module_names | {"cython_runtime", "sealift"}
    return {name for name in found - known if not name.startswith("_")}


def test_a_worker_loads_what_packing_needs() -> None:
    """A worker process loads no spec, no engine, no Hub and no terminal: it is started often, and has little memory."""
    assert libraries_of(WORKER) <= PACKING


def test_a_publication_into_a_folder_loads_nothing_of_the_hub(tmp_path: Path) -> None:
    """From start to end, `sealift publish` loads what it uses: no client of the Hub, no bars where nobody sees them,
    and no pandas, which pyarrow would look for."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "a.bin").write_bytes(b"abc")
    spec = tmp_path / "sealift.yaml"
    spec.write_text("from: source\nrows: SELECT path AS file, size FROM files\nmedia: {file: binary}\n")
    found = libraries_of(PUBLISH.format(spec=str(spec), out=str(tmp_path / "out")))
    assert found - DRIVER == set()
    assert (tmp_path / "out" / "README.md").exists()


def test_the_probe_sees_what_is_loaded() -> None:
    """The two tests above would notice a vendor: one that is loaded is named."""
    assert loaded_by("import click", VENDORS) == ["click"]
