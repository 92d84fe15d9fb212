"""What a process that is ours alone does without."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import ModuleType

NAME = "pandas"


class _Refuses:
    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        if name == NAME:
            raise ModuleNotFoundError(f"{NAME} is not used in this process", name=name)


def without_pandas() -> None:
    """Nothing finds pandas in this process from now on, unless it is loaded already.

    With the first array that it makes, pyarrow looks for pandas, which takes longer to load than all that we use. Never
    for a process that is not ours: what others make of their frames there would change.
    """
    # None in sys.modules would not do: compiled code that imports takes it for the module.
    sys.meta_path.insert(0, _Refuses())
