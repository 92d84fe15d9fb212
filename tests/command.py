"""The `sealift` command: in a process of its own, or in this one, which is faster and all the same to most promises."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

from click.testing import CliRunner

from sealift.cli.main import sealift

COMMAND = Path(sys.executable).with_name("sealift")


def run(*args: object, **env: str) -> CompletedProcess[str]:
    """Run `sealift` with these arguments in this process; `env` is added to the environment."""
    words = [*map(str, args)]
    result = CliRunner().invoke(sealift, words, env=env, prog_name="sealift")
    return CompletedProcess(words, result.exit_code, result.stdout, result.stderr)


def answer(*args: object, exit_code: int = 0, **env: str) -> dict[str, Any]:
    """The one JSON object that `sealift … --json` prints; it must end with that exit code."""
    ended = run(*args, "--json", **env)
    assert ended.returncode == exit_code, ended.stderr
    said: dict[str, Any] = json.loads(ended.stdout)
    return said


def process(*args: object, cwd: Path | None = None, **env: str) -> CompletedProcess[str]:
    """Run the installed `sealift` to its end."""
    words, environment = [str(COMMAND), *map(str, args)], {**os.environ, **env}
    return subprocess.run(words, capture_output=True, text=True, check=False, cwd=cwd, env=environment)
