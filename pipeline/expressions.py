"""Arithmetic and comparisons over columns, written in a task and evaluated on any kind of array.

`Column("fare") * 0.2` is a value; `Column("tips") > 0.2 * Column("fare")` a condition. An expression only uses Python's
operators, so that one definition serves TensorFlow tensors in the transform graph and NumPy arrays in a test.
"""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.errors import TaskError

_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}


class Expression:
    """Something with a value in each row."""

    @property
    def columns(self) -> frozenset[str]:
        """Names of the raw columns that the expression reads."""
        raise NotImplementedError

    def evaluate(self, values: Mapping[str, Any]) -> Any:
        """The value in each row.

        Args:
          values: column name -> array of shape [rows]; all of one numeric type.

        Returns:
          An array of shape [rows].
        """
        raise NotImplementedError

    def __bool__(self) -> bool:
        """Refused: `0 <= Column("a") <= 9` asks for it, and would silently lose one half."""
        raise TaskError(f"expression {self}: expected one comparison, without and, or, or a chain such as 0 <= a <= 9")

    def __and__(self, other: object) -> "Expression":
        """Refused: two conditions are two rules."""
        raise TaskError(f"expression {self} & {other}: expected one comparison. Next: write two rules")

    __or__ = __and__

    def __add__(self, other: "Expression | float") -> "Expression":
        return Operation("+", self, _expression(other))

    def __radd__(self, other: float) -> "Expression":
        return Operation("+", _expression(other), self)

    def __sub__(self, other: "Expression | float") -> "Expression":
        return Operation("-", self, _expression(other))

    def __rsub__(self, other: float) -> "Expression":
        return Operation("-", _expression(other), self)

    def __mul__(self, other: "Expression | float") -> "Expression":
        return Operation("*", self, _expression(other))

    def __rmul__(self, other: float) -> "Expression":
        return Operation("*", _expression(other), self)

    def __truediv__(self, other: "Expression | float") -> "Expression":
        return Operation("/", self, _expression(other))

    def __rtruediv__(self, other: float) -> "Expression":
        return Operation("/", _expression(other), self)

    def __gt__(self, other: "Expression | float") -> "Expression":
        return Operation(">", self, _expression(other))

    def __ge__(self, other: "Expression | float") -> "Expression":
        return Operation(">=", self, _expression(other))

    def __lt__(self, other: "Expression | float") -> "Expression":
        return Operation("<", self, _expression(other))

    def __le__(self, other: "Expression | float") -> "Expression":
        return Operation("<=", self, _expression(other))


@dataclass(frozen=True)
class Column(Expression):
    """The value of a raw column."""

    name: str

    @property
    def columns(self) -> frozenset[str]:
        return frozenset({self.name})

    def evaluate(self, values: Mapping[str, Any]) -> Any:
        return values[self.name]

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Constant(Expression):
    """The same number in each row."""

    value: float

    @property
    def columns(self) -> frozenset[str]:
        return frozenset()

    def evaluate(self, values: Mapping[str, Any]) -> Any:
        return self.value

    def __str__(self) -> str:
        return f"{self.value:g}"


@dataclass(frozen=True)
class Operation(Expression):
    """Two expressions and an operator."""

    symbol: str
    left: Expression
    right: Expression

    @property
    def columns(self) -> frozenset[str]:
        return self.left.columns | self.right.columns

    def evaluate(self, values: Mapping[str, Any]) -> Any:
        return _OPERATORS[self.symbol](self.left.evaluate(values), self.right.evaluate(values))

    def __str__(self) -> str:
        return f"({self.left} {self.symbol} {self.right})"


def _expression(value: "Expression | float") -> Expression:
    return value if isinstance(value, Expression) else Constant(float(value))
