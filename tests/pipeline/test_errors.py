"""Errors: the exit codes that a scheduler reads, the nearest name, at most five problems at once."""

import pytest

from pipeline.errors import DataBlocked, ExitCode, MillraceError, TaskError, UsageError, nearest, raise_all, summarise


def test_exit_codes_are_the_contract() -> None:
    assert {code.name: int(code) for code in ExitCode} == {
        "PUSHED": 0,
        "FAILED": 1,
        "USAGE": 2,
        "DATA_BLOCKED": 10,
        "NOT_BLESSED": 11,
        "SERVING_BLOCKED": 12,
    }
    assert (MillraceError.exit_code, UsageError.exit_code, TaskError.exit_code) == (1, 2, 2)
    assert DataBlocked.exit_code == 10


def test_nearest_offers_a_close_name_and_lists_all_sorted() -> None:
    assert nearest("taxi_tip", ["taxi_tips", "fare"]) == " Did you mean 'taxi_tips'? Known: fare, taxi_tips."
    assert nearest("zzz", ["b", "a"]) == " Known: a, b."
    assert nearest("zzz", []) == " Known: none."


def test_at_most_five_problems_are_shown_and_the_rest_counted() -> None:
    assert summarise(["one"]) == "  - one"
    assert summarise(list("abcde")) == "\n".join(f"  - {letter}" for letter in "abcde")
    assert summarise(list("abcdefg")).splitlines()[-2:] == ["  - e", "  - and 2 more"]


def test_raise_all_raises_once_or_not_at_all() -> None:
    raise_all(TaskError, "title", [])
    with pytest.raises(TaskError, match=r"^title\n  - a\n  - b$"):
        raise_all(TaskError, "title", ["a", "b"])
