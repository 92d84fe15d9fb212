"""Sealift packs media datasets into shards, publishes them as one safe operation, and proves what arrived.

    import sealift

    spec = sealift.Spec(from_="recordings", rows=table, media={"audio": "audio"}, key="id")
    sealift.publish(spec, to="./out")
    assert sealift.verify("./out").proven

Importing this loads no other library; each name is fetched when it is first used.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sealift.api import finish as finish
    from sealift.api import plan as plan
    from sealift.api import publish as publish
    from sealift.api import status as status
    from sealift.api import verify as verify
    from sealift.errors import SealiftError as SealiftError
    from sealift.spec import Spec as Spec

__version__ = "0.1.0"
__all__ = ["SealiftError", "Spec", "finish", "plan", "publish", "status", "verify"]

_HOMES = {
    "SealiftError": "sealift.errors",
    "Spec": "sealift.spec",
    "finish": "sealift.api",
    "plan": "sealift.api",
    "publish": "sealift.api",
    "status": "sealift.api",
    "verify": "sealift.api",
}


class _Package(ModuleType):
    """This package, where `sealift.publish` is the function although a module has that name, too.

    Importing `sealift.publish` would put the module in the function's place; here that assignment has no effect.
    """

    def __getattribute__(self, name: str) -> Any:
        if name in _HOMES:
            return getattr(importlib.import_module(_HOMES[name]), name)
        return super().__getattribute__(name)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *_HOMES})


sys.modules[__name__].__class__ = _Package
