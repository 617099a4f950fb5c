"""Which columns' values may be shown."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from pipeline.report.values import text
from pipeline.splits import TimeSplit
from pipeline.task import Task

_WITHOUT_VALUES = frozenset(
    {
        *("accounting", "empty_split", "span_gap", "volume", "duplicate_rows", "repeated_span", "entity_overlap"),
        *("split_overlap", "missing_values", "missing_column", "unread_column", "duplicate_features", "leak"),
        *("label_at_serving", "label_absent"),
    }
)
"""Checks whose sentences name columns, counts and shares only."""
_OF_ROWS = frozenset({"parse", "unique", "key"})
"""Rules whose values are of the whole row or of several columns."""


@dataclass(frozen=True)
class Privacy:
    """What is withheld.

    Attributes:
      task: says which columns are sensitive; None: each may be.
    """

    task: Task | None

    def record(self, columns: Collection[str]) -> dict[str, Any]:
        """As in report.json: whether all values are withheld, the columns whose values are, names that no column has.

        Args:
          columns: of the data; none where they are not known.
        """
        named = [str(text(name)) for name in self.task.sensitive] if self.task else []
        unknown = [name for name in named if columns and name not in columns]
        return {"all": self.task is None, "columns": named, "unknown": unknown}

    @property
    def any(self) -> bool:
        """Whether some column's values are withheld."""
        return self.task is None or bool(self.task.sensitive)

    def hides(self, column: str | None) -> bool:
        """Whether a column's values are withheld; None is a whole row."""
        if self.task is None or column is None:
            return self.any
        return column in self.task.sensitive

    def hides_finding(self, check: str, feature: str | None) -> bool:
        """Whether the sentences of a finding may hold values that are withheld."""
        if not self.any or check in _WITHOUT_VALUES:
            return False
        return any(map(self.hides, self._concerned(check, feature)))

    def hides_rule(self, rule: str, column: str | None) -> bool:
        """Whether a broken rule's message and values may hold values that are withheld."""
        return self.any if rule in _OF_ROWS else self.hides(column)

    def _concerned(self, check: str, feature: str | None) -> Collection[str | None]:
        if self.task is None:
            return [feature]
        if check.startswith("label_"):
            return [feature, *self.task.label.columns]
        if feature is None and check == "time_overlap" and isinstance(self.task.split, TimeSplit):
            return [self.task.split.column]
        return [feature]
