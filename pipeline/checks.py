"""What is checked on the data before anything learns from it, and how much it matters: plain settings, no TensorFlow.

    checks=Checks(
        drift=Limits(numbers=0.05, features=(("company", 0.2),)),
        severities=(Severity("drift", "ignore", feature="trip_start_month"),),
        waivers=(Waiver("drift", feature="fare", reason="Fares went up on 1 May.", until="2027-05-14"),),
    )

`docs/data_checks.md` says what each check compares.
"""

import datetime
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Literal

from pipeline.errors import TaskError, nearest

Level = Literal["fail", "warn", "ignore"]
LEVELS: tuple[Level, ...] = ("fail", "warn", "ignore")

DEFAULT_LEVELS: dict[str, Level] = {
    "accounting": "fail",
    "empty_split": "fail",
    "span_gap": "fail",
    "bad_rows": "fail",
    "quarantined_rows": "warn",
    "schema": "fail",
    "missing_column": "fail",
    "unread_column": "warn",
    "new_column": "warn",
    "label_values": "fail",
    "label_constant": "fail",
    "label_unseen": "fail",
    "label_absent": "warn",
    "leak": "fail",
    "missing_values": "fail",
    "label_shift": "fail",
    "drift": "fail",
    "served_drift": "warn",
    "skew": "fail",
    "label_at_serving": "warn",
    "split_drift": "warn",
    "entity_overlap": "fail",
    "split_overlap": "warn",
    "time_overlap": "fail",
    "repeated_span": "fail",
    "duplicate_rows": "warn",
    "constant_feature": "warn",
    "duplicate_features": "warn",
    "volume": "warn",
}
"""Check -> what becomes of a finding where the task says nothing else; in the order in which a stop lists its causes."""

ALWAYS = frozenset({"accounting", "empty_split"})
"""Checks that can be neither waived nor ignored: without rows, or with rows lost, nothing downstream holds."""


@dataclass(frozen=True)
class Limits:
    """How far two distributions of a column may lie apart; 0 is equal, 1 has nothing in common.

    Where few rows were compared, chance alone parts two samples: then what chance explains is allowed too.

    Attributes:
      categories: for strings, the L-infinity distance: the largest difference of one value's share of the rows.
      numbers: for numbers, the Jensen-Shannon divergence in bits over the deciles of the reference; 0.05 is a shift of
        all values by about half a standard deviation. Below 0.005 the statistics are too coarse to tell.
      features: (column, limit) pairs for columns with a limit of their own.
    """

    categories: float = 0.1
    numbers: float = 0.05
    features: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        limits = {"categories": self.categories, "numbers": self.numbers}
        limits |= {f"features: {column!r}": limit for column, limit in self.features}
        for name, limit in limits.items():
            _require(0 < limit <= 1, f"limits: {name}: expected above 0 and at most 1", limit)
        columns = [column for column, _ in self.features]
        _require(len(set(columns)) == len(columns), "limits: features: expected each column once", columns)

    def of(self, column: str, *, categorical: bool) -> float:
        """The limit of a column."""
        return dict(self.features).get(column, self.categories if categorical else self.numbers)


@dataclass(frozen=True)
class Severity:
    """What becomes of a check's findings.

    Attributes:
      check: its name, see DEFAULT_LEVELS.
      level: "fail" stops the run, "warn" is told, "ignore" is only recorded.
      feature: a column for which alone it is so; None is all.
    """

    check: str
    level: Level
    feature: str | None = None

    def __post_init__(self) -> None:
        _known(self.check)
        _require(
            self.level in LEVELS, f"severity of {self.check}: level: expected one of {', '.join(LEVELS)}", self.level
        )
        if self.check in ALWAYS and self.level != "fail":
            raise TaskError(f"severity of {self.check}: it always stops the run. Received: level={self.level!r}")


@dataclass(frozen=True)
class Waiver:
    """Lets a finding through for a while: it becomes a warning.

    Attributes:
      check: its name, see DEFAULT_LEVELS.
      reason: why the data is right all the same; shown with the warning.
      until: the last day on which it holds, as in "2027-01-31" (UTC).
      feature: a column for which alone it holds; None is all.
    """

    check: str
    reason: str
    until: str
    feature: str | None = None

    def __post_init__(self) -> None:
        _known(self.check)
        if self.check in ALWAYS:
            raise TaskError(f"waiver of {self.check}: it can't be waived; it always stops the run.")
        _require(
            bool(self.reason.strip()), f"waiver of {self.check}: reason: expected why the data is right", self.reason
        )
        try:
            well_formed = datetime.date.fromisoformat(self.until).isoformat() == self.until
        except (TypeError, ValueError):
            well_formed = False
        _require(well_formed, f"waiver of {self.check}: until: expected a day such as '2027-01-31'", self.until)

    def holds(self, today: datetime.date) -> bool:
        """Whether the day is not past; the last day is included."""
        return today <= datetime.date.fromisoformat(self.until)

    def covers(self, check: str, feature: str | None) -> bool:
        """Whether it is about that check of that column."""
        return self.check == check and self.feature in (None, feature)


@dataclass(frozen=True)
class Checks:
    """The limits of the checks, what becomes of their findings, and what is let through all the same.

    Attributes:
      drift: limits against the previous data that the gate let through, for each column that the task reads.
      served_drift: the same against the data that the served model learned from.
      skew: limits between logged serving requests and the train split.
      split_drift: limits between the train split and the others, unless they are split by time or span.
      label_shift: limit for the label's columns against the previous data, and for the label itself between splits; of
        named classes, for the share of each.
      missing_values: by how much the share of missing values of a column may rise.
      duplicate_rows: the largest share of rows that may be exact copies of others.
      volume: the smallest share of the previous data's rows (or the inverse of the largest).
      leak: what a single feature may tell of the label at most. Binary: the AUC of that feature alone. Regression: the
        absolute rank correlation, or the correlation with the means of its values on other rows. Named classes: the
        mean AUC of each class against the rest, by their share of the rows.
      sample_rows: rows of the train split from which leaks, duplicate features and the label are judged.
      severities: exceptions from DEFAULT_LEVELS; one with a feature goes before one without, the last one given wins.
      waivers: what is let through until a day.
    """

    drift: Limits = field(default_factory=Limits)
    served_drift: Limits = field(default_factory=Limits)
    skew: Limits = field(default_factory=Limits)
    split_drift: Limits = field(default_factory=Limits)
    label_shift: float = 0.1
    missing_values: float = 0.05
    duplicate_rows: float = 0.1
    volume: float = 0.5
    leak: float = 0.99
    sample_rows: int = 50_000
    severities: tuple[Severity, ...] = ()
    waivers: tuple[Waiver, ...] = ()

    def __post_init__(self) -> None:
        for name in ("severities", "waivers"):
            given = getattr(self, name)
            if not isinstance(given, tuple):
                raise TaskError(f"checks: {name}: expected a tuple, such as {name}=(…,). Received: {given!r}")
        for name in ("label_shift", "missing_values", "duplicate_rows", "volume"):
            limit = getattr(self, name)
            _require(0 < limit <= 1, f"checks: {name}: expected above 0 and at most 1", limit)
        _require(0.5 < self.leak <= 1, "checks: leak: expected above 0.5 and at most 1", self.leak)
        _require(self.sample_rows >= 1000, "checks: sample_rows: expected at least 1000", self.sample_rows)

    def level(self, check: str, feature: str | None) -> Level:
        """What becomes of a finding of a check on a column (None: on all rows)."""
        fitting = [s for s in self.severities if s.check == check and s.feature in (None, feature)]
        own = [s for s in fitting if s.feature is not None]
        chosen = own or fitting
        return chosen[-1].level if chosen else DEFAULT_LEVELS[check]

    def unknown_columns(self, known: Iterable[str]) -> list[str]:
        """A sentence for each setting that names a column that is not there: it would have no effect.

        Args:
          known: the columns of the schema and of the task.
        """
        columns = set(known)
        named = [(f"severity of {s.check}", s.feature) for s in self.severities]
        named += [(f"waiver of {w.check}", w.feature) for w in self.waivers]
        for section in ("drift", "served_drift", "skew", "split_drift"):
            named += [(f"checks.{section}.features", column) for column, _ in getattr(self, section).features]
        return [
            f"{where}: no column {column!r}.{nearest(column, columns)}"
            for where, column in named
            if column is not None and column not in columns
        ]


def in_force(checks: Checks, today: datetime.date) -> tuple[Waiver, ...]:
    """The waivers that hold on a day."""
    return tuple(waiver for waiver in checks.waivers if waiver.holds(today))


def waivers_today(checks: Checks, today: datetime.date | None = None) -> str:
    """The waivers as a parameter of the data gate: JSON that changes on the day on which one expires.

    Args:
      checks: of the task.
      today: None is today in UTC.
    """
    day = today or datetime.datetime.now(datetime.UTC).date()
    held = [asdict(waiver) for waiver in in_force(checks, day)]
    expired = [asdict(waiver) for waiver in checks.waivers if not waiver.holds(day)]
    return json.dumps({"in_force": held, "expired": expired}, sort_keys=True)


def read_waivers(text: str) -> tuple[list[Waiver], list[Waiver]]:
    """Those in force and those expired, of what `waivers_today` wrote; empty text has none."""
    stored: dict[str, Sequence[dict[str, str]]] = json.loads(text or "{}")
    held, expired = ([Waiver(**waiver) for waiver in stored.get(key, ())] for key in ("in_force", "expired"))
    return held, expired


def _known(check: str) -> None:
    if check not in DEFAULT_LEVELS:
        raise TaskError(f"checks: unknown check {check!r}.{nearest(check, DEFAULT_LEVELS)}")


def _require(ok: bool, rule: str, received: object) -> None:
    """Raises TaskError with the rule and what was received, unless ok; a limit that is not a number is never ok."""
    if not ok or (isinstance(received, float) and math.isnan(received)):
        raise TaskError(f"{rule}. Received: {received!r}")
