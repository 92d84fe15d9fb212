"""What a command is given: a spec file, or a folder whose layout is recognised; and what its options say anew."""

from __future__ import annotations

import os
from pathlib import Path

from sealift.cli.output import Output
from sealift.errors import RequestError
from sealift.spec import Shards, Spec, read_environment_file


def read_spec(
    given: str,
    output: Output,
    *,
    env_file: Path | None = None,
    from_: str | None = None,
    max_shard_size: int | None = None,
) -> Spec:
    """The spec in a file, or that of a folder: its own `sealift.yaml`, or what its layout stands for.

    Raises:
        RequestError: there is no such file or folder, or its layout is not known.
        SpecError: the spec is wrong.
    """
    path = Path(given)
    environment = {**os.environ, **(read_environment_file(env_file) if env_file else {})}
    if path.is_dir() and (path / "sealift.yaml").is_file():
        output.say(f"using {path / 'sealift.yaml'}")
        path = path / "sealift.yaml"
    if path.is_file():
        spec = Spec.load(path, environment)
    elif path.is_dir():
        spec = _recognised(path, output)
    else:
        raise RequestError(f"there is no {given}", hint="give a spec file (sealift.yaml) or a folder", path=given)
    shards = Shards(**{**spec.shards.model_dump(), "max_bytes": max_shard_size}) if max_shard_size else None
    return spec.having(from_=os.path.abspath(from_) if from_ and "://" not in from_ else from_, shards=shards)


def _recognised(folder: Path, output: Output) -> Spec:
    from sealift.tools.init import recognise

    layout = recognise(folder)
    output.say(f"recognised {folder} as a {layout.name} layout; `sealift init {folder}` writes it down as a spec")
    for note in layout.notes:
        output.say(f"  {note}")
    return Spec(from_=str(folder.absolute()), **layout.as_spec())
