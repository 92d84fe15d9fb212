"""The configs of a plan: those that the spec names, or the one there is without."""

from __future__ import annotations

from collections.abc import Sequence

from sealift.errors import RequestError
from sealift.model.plan import Config
from sealift.spec import Spec


def configs_of(spec: Spec, columns: tuple[str, ...], chosen: Sequence[str] | None) -> tuple[Config, ...]:
    """The configs with their columns, in the query's order; of all of them the chosen ones.

    Raises:
        SpecError: a config has no columns left.
        RequestError: there is no config of a chosen name.
    """
    made = _named(spec, columns) if spec.configs else (Config("default", columns, default=True, folder="data"),)
    known = [config.name for config in made]
    for name in chosen or ():
        if name not in known:
            raise RequestError(f"there is no config `{name}`", hint=f"the configs are {', '.join(known)}", key=name)
    return tuple(config for config in made if chosen is None or config.name in chosen)


def _named(spec: Spec, columns: tuple[str, ...]) -> tuple[Config, ...]:
    default = next((name for name, said in spec.configs.items() if said.default), next(iter(spec.configs)))
    made = []
    for name, said in spec.configs.items():
        wanted = [one for one in columns if one not in said.drop and (said.columns is None or one in said.columns)]
        if not wanted:
            raise spec.mistake(f"config `{name}` has no columns left", "configs", name, hint="drop fewer columns")
        made.append(Config(name, tuple(wanted), default=name == default, folder=name))
    return tuple(made)
