"""What `publish` and `plan` are asked: a spec file or a folder, and what the options say anew."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sealift.cli.names import configs_option
from sealift.cli.options import access_options, max_shard_size_option, memory_option, staging_option, workers_option
from sealift.cli.output import Output
from sealift.errors import RequestError

if TYPE_CHECKING:
    from sealift.build.places import Access
    from sealift.spec import Spec

from_option = click.option("--from", "from_", metavar="FOLDER", help="Where the files are, instead of `from:`.")
env_file_option = click.option(
    "--env-file", type=click.Path(dir_okay=False, path_type=Path), help="Fill ${VARIABLES} from FILE, too."
)


@dataclass(frozen=True, slots=True)
class Asked:
    """The options of `publish` and `plan`; None where nothing was said. `state` and `bandwidth` are of `publish`."""

    spec_or_dir: str
    to: str | None
    from_: str | None
    configs: tuple[str, ...]
    strict: bool
    env_file: Path | None
    max_shard_size: int | None
    memory: int | None
    workers: int | None
    endpoint: str | None
    token: str | None = field(repr=False)
    staging: int | None
    state: Path | None = None
    bandwidth: int | None = None

    @property
    def access(self) -> Access:
        """How to reach the Hub, and where the job is kept."""
        from sealift.build.places import Access

        return Access(self.endpoint, self.token, self.staging, self.state, self.bandwidth)

    def spec(self, output: Output) -> Spec:
        """The spec with the options said over it; see `read_spec`."""
        spec = read_spec(self.spec_or_dir, output, self.env_file, self.from_)
        if self.max_shard_size is None:
            return spec
        return spec.having(shards=spec.shards.model_copy(update={"max_bytes": self.max_shard_size}))


def asked_options(body: Callable[..., Any]) -> Callable[..., Any]:
    """Add the argument SPEC_OR_DIR and the options that go with it; the body gets them as one keyword, `asked: Asked`.

    The command must be a `NamesConfigs`.
    """

    @functools.wraps(body)
    def gathered(**given: Any) -> Any:
        asked = {name: given.pop(name) for name in Asked.__slots__ if name in given}
        return body(asked=Asked(**asked), **given)

    options: tuple[Callable[..., Any], ...] = (
        staging_option,
        access_options,
        workers_option,
        memory_option,
        max_shard_size_option,
        env_file_option,
        click.option("--strict", is_flag=True, help="Take warnings for errors."),
        configs_option,
        from_option,
        click.option("--to", metavar="FOLDER|ORG/NAME", help="Where to publish, instead of `to:`."),
        click.argument("spec_or_dir"),
    )
    return functools.reduce(lambda wrapped, option: option(wrapped), options, gathered)


def read_spec(given: str, output: Output, env_file: Path | None = None, from_: str | None = None) -> Spec:
    """The spec in a file, or that of a folder: its own `sealift.yaml`, or what its layout stands for.

    Raises:
        RequestError: there is no such file or folder, or its layout is not known.
        SpecError: the spec is wrong.
    """
    from sealift.spec import Spec, read_environment_file

    path = Path(given)
    if (path / "sealift.yaml").is_file():
        path /= "sealift.yaml"
        output.say(f"using {path}")
    if path.is_file():
        environment = {**os.environ, **(read_environment_file(env_file) if env_file else {})}
        spec = Spec.load(path, environment)
    elif path.is_dir():
        spec = _recognised(path, output)
    else:
        raise RequestError(f"there is no {given}", hint="give a spec file (sealift.yaml) or a folder", path=given)
    return spec.having(from_=os.path.abspath(from_) if from_ and "://" not in from_ else from_)


def _recognised(folder: Path, output: Output) -> Spec:
    from sealift.spec import Spec
    from sealift.tools.init import recognise

    layout = recognise(folder)
    output.say(f"recognised {folder} as a {layout.name} layout; `sealift init {folder}` writes it down as a spec")
    for note in layout.notes:
        output.say(f"  {note}")
    return Spec(from_=str(folder.absolute()), **layout.as_spec())
