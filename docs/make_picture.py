"""Draw docs/demo.svg: what `sealift demo` really says, without the paths and the timings of the machine it ran on.

    python docs/make_picture.py

The same output gives the same picture, byte for byte, for one version of rich.
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

PICTURE = Path(__file__).with_name("demo.svg")
PROMPT = "$ sealift demo"
OF_THE_MACHINE = "the work"
"""A table of three lines that is not drawn: memory, time and workers depend on the machine."""
HALFWAY = re.compile(r"(plan|pack|publish|verify): (?!done)")
"""What a slow machine says while it is at it."""


def run() -> str:
    """What the demo says on both streams, in its order."""
    command = [Path(sys.executable).with_name("sealift"), "demo"]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True, env=_environment()
    )
    return done.stdout


def drawn_lines(said: str) -> list[str]:
    """The lines to be drawn: without timings and the machine's table, and with the temporary folder called `demo`."""
    lines = [line for line in said.splitlines() if not HALFWAY.match(line)]
    at = lines.index(OF_THE_MACHINE)
    del lines[at : at + 3]
    named = (re.sub(r"\S*/sealift-demo-[^/\s]+", "demo", line) for line in lines)
    return [PROMPT, *(re.sub(r" in \d+:\d\d$", "", line).rstrip() for line in named)]


def draw(lines: Sequence[str]) -> str:
    """The lines as a terminal in SVG."""
    console = Console(record=True, width=max(map(len, lines)) + 1, file=io.StringIO(), color_system="truecolor")
    for line in lines:
        console.print(Text(line, _style(line)), soft_wrap=True)
    picture = console.export_svg(title="sealift demo", unique_id="demo")
    # Pages that show the picture do not let it fetch fonts.
    return re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL)


def _environment() -> dict[str, str]:
    """Plain text in one order, and nothing of the user's own settings."""
    return {**os.environ, "PYTHONUNBUFFERED": "1", "NO_COLOR": "1", "COLUMNS": "100"}


def _style(line: str) -> str:
    if line == PROMPT:
        return "bold"
    if re.match(r"\d\. ", line):
        return "bold cyan"
    return "green" if "proven" in line else ""


if __name__ == "__main__":
    PICTURE.write_text(draw(drawn_lines(run())), encoding="utf-8")
