"""Notes of what is wrong with rows: a count of each kind, with the first few places."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

from sealift.model.problem import Problem, Severity


@dataclass
class Notes:
    """Problems that grow as rows pass by. Memory: a handful of places for each kind, however many rows are wrong."""

    EXAMPLES: ClassVar[int] = 5
    _seen: dict[tuple[str, str], tuple[Problem, list[str]]] = field(default_factory=dict)

    def add(
        self, code: str, message: str, remedy: str, count: int, places: Sequence[str], severity: Severity = "error"
    ) -> None:
        """Count `count` more of this kind; `places` names the first of them, no more than `EXAMPLES`."""
        if not count:
            return
        none = Problem(code, message, remedy=remedy, severity=severity, count=0)
        problem, examples = self._seen.get((code, message), (none, []))
        self._seen[(code, message)] = (
            replace(problem, count=problem.count + count),
            [*examples, *places][: self.EXAMPLES],
        )

    def problems(self) -> Iterator[Problem]:
        """One problem for each kind, in the order in which they were met."""
        for problem, examples in self._seen.values():
            yield replace(problem, place=", ".join(examples))
