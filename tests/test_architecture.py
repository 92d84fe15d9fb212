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


def test_the_probe_sees_what_is_loaded() -> None:
    """The two tests above would notice a vendor: one that is loaded is named."""
    assert loaded_by("import click", VENDORS) == ["click"]
