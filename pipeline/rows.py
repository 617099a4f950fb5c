"""What a task demands of each row, beyond the schema, and how many bad ones it bears."""

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.errors import TaskError
from pipeline.expressions import Expression, Operation

_COMPARISONS = (">", ">=", "<", "<=")


@dataclass(frozen=True)
class Rule:
    """A condition over columns that each row must meet. A row in which one of them is missing passes.

    Attributes:
      name: what is demanded, in a few words: "a tip is at most the fare".
      condition: such as `Column("tips") <= Column("fare")`.
    """

    name: str
    condition: Expression

    def __post_init__(self) -> None:
        if not self.name:
            raise TaskError(f"rows: a rule needs a name. Received: {self.condition}")
        if not (isinstance(self.condition, Operation) and self.condition.symbol in _COMPARISONS):
            raise TaskError(f"rows: rule {self.name!r}: expected a comparison. Received: {self.condition}")

    @property
    def columns(self) -> frozenset[str]:
        """The columns that it reads."""
        return self.condition.columns


@dataclass(frozen=True)
class Matches:
    """A regular expression that the whole text of a column must match: dates in one format, codes, addresses.

    Attributes:
      column: of text. A missing value passes.
      pattern: RE2 syntax, matched against the whole value.
    """

    column: str
    pattern: str

    def __post_init__(self) -> None:
        import pyarrow as pa
        import pyarrow.compute as pc

        try:
            pc.match_substring_regex(pa.array([""]), self.pattern)
        except pa.ArrowInvalid as error:
            raise TaskError(f"rows: {self.column!r} matches: {self.pattern!r} is no pattern: {error}") from error

    @property
    def columns(self) -> frozenset[str]:
        """The column that it reads."""
        return frozenset({self.column})

    @property
    def name(self) -> str:
        """What is demanded."""
        return f"{self.column} matches {self.pattern}"


@dataclass(frozen=True)
class RowRules:
    """What each row must be. A row that is not goes to the quarantine, with the reason.

    Attributes:
      key: columns that together are different in each row; the first row of a key is kept.
      rules: conditions over columns.
      max_bad_fraction: of all rows: with more in the quarantine the data gate stops the run, with up to so many it
        goes on without them.
    """

    key: tuple[str, ...] = ()
    rules: tuple[Rule | Matches, ...] = ()
    max_bad_fraction: float = 0.01

    def __post_init__(self) -> None:
        for name, value in (("key", self.key), ("rules", self.rules)):
            if not isinstance(value, tuple):
                raise TaskError(f"rows: {name}: expected a tuple, such as {name}=(…,). Received: {value!r}")
        if not 0.0 <= self.max_bad_fraction < 1.0:
            raise TaskError(f"rows: max_bad_fraction: expected a number in [0, 1). Received: {self.max_bad_fraction:g}")

    @property
    def columns(self) -> Mapping[str, str]:
        """The columns that the rules read, each with what it is there."""
        roles = {column: f"read by the rule {rule.name!r}" for rule in self.rules for column in rule.columns}
        return {**roles, **dict.fromkeys(self.key, "part of the rows' key")}
