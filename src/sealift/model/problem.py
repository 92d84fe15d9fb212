"""Problems: what a plan or a verification has to say, each with a code, a place and a remedy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: `code` is stable and documented, `place` says where, `remedy` what to do.

    `count` is how many times it was seen when one problem stands for many.
    """

    code: str
    message: str
    place: str = ""
    remedy: str = ""
    severity: Severity = "error"
    count: int = 1

    def as_json(self) -> dict[str, Any]:
        """The problem as a JSON object."""
        return asdict(self)

    def __str__(self) -> str:
        where = f"{self.place}: " if self.place else ""
        times = f" (x{self.count})" if self.count > 1 else ""
        todo = f" — {self.remedy}" if self.remedy else ""
        return f"{self.code}: {where}{self.message}{times}{todo}"


def errors(problems: Iterable[Problem]) -> list[Problem]:
    """Those that stop the work."""
    return [problem for problem in problems if problem.severity == "error"]


def warnings(problems: Iterable[Problem]) -> list[Problem]:
    """Those that the work goes on in spite of."""
    return [problem for problem in problems if problem.severity == "warning"]
