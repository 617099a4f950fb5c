"""Settings of the row rules."""

import pytest

from pipeline.errors import TaskError
from pipeline.expressions import Column
from pipeline.rows import Matches, RowRules, Rule


def test_columns_and_what_they_are() -> None:
    rules = RowRules(
        key=("id", "day"), rules=(Rule("less", Column("tips") <= 2 * Column("fare")), Matches("day", "[0-9]+"))
    )
    assert dict(rules.columns) == {
        "tips": "read by the rule 'less'",
        "fare": "read by the rule 'less'",
        "day": "part of the rows' key",
        "id": "part of the rows' key",
    }
    assert dict(RowRules().columns) == {}


@pytest.mark.parametrize("fraction", [-0.1, 1.0, 2.0, float("nan")])
def test_a_fraction(fraction: float) -> None:
    with pytest.raises(TaskError, match="max_bad_fraction"):
        RowRules(max_bad_fraction=fraction)


def test_a_rule_is_a_comparison_with_a_name() -> None:
    with pytest.raises(TaskError, match="a rule needs a name"):
        Rule("", Column("a") > 1)
    with pytest.raises(TaskError, match="'x': expected a comparison"):
        Rule("x", Column("a") + 1)
    with pytest.raises(TaskError, match="'x': expected a comparison"):
        Rule("x", Column("a"))


@pytest.mark.parametrize("pattern", ["(", "[a", "(?=a)b", r"(a)\1"])
def test_a_pattern_is_one_that_arrow_knows(pattern: str) -> None:
    """Python's look-ahead would only fail in the middle of a run."""
    with pytest.raises(TaskError, match=r"'a' matches: .* is no pattern"):
        Matches("a", pattern)


def test_a_pattern() -> None:
    rule = Matches("day", r"\d+")
    assert (rule.name, rule.columns) == (r"day matches \d+", {"day"})


def test_a_forgotten_comma_is_said() -> None:
    with pytest.raises(TaskError, match=r"rules: expected a tuple, such as rules=\(…,\)"):
        RowRules(rules=Matches("t", "a+"))  # type: ignore[arg-type]
    with pytest.raises(TaskError, match=r"key: expected a tuple"):
        RowRules(key="trip")  # type: ignore[arg-type]
