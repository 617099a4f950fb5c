"""Rows as rows: none lost, few kept out, none delivered twice."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from components.data_checks import rows
from components.data_checks.facts import Facts
from pipeline.checks import Checks
from pipeline.task import Task

Trips = Callable[..., dict[str, Any]]
Making = Callable[..., Facts]


def account(**others: Any) -> dict[str, Any]:
    return {"rows": 300, "splits": {"train": 200, "eval": 100}, "quarantined": 0, "rules": [], **others}


@pytest.fixture
def both(facts: Making, trips: Trips) -> Callable[..., Facts]:
    """A function: facts about 200 and 100 rows with an account."""

    def made(**others: Any) -> Facts:
        return facts({"train": trips(200, 1), "eval": trips(100, 2)}, **others)

    return made


def test_rows_that_add_up(both: Making) -> None:
    assert rows.accounting(both(account=account())).findings == ()
    assert rows.accounting(both()).findings == ()


def test_a_row_that_is_in_no_split(both: Making) -> None:
    (found,) = rows.accounting(both(account=account(rows=303, quarantined=2))).findings
    assert found.check == "accounting"
    assert found.message == (
        "the data: expected as many rows in splits and quarantine as came in, 303. Received: 302 (2 of them in quarantine)"
    )
    assert "--no-cache" in found.next


def test_statistics_of_other_rows(both: Making) -> None:
    wrong = account(splits={"train": 201, "eval": 99})
    found = rows.accounting(both(account=wrong)).findings
    assert [f.message for f in found] == [
        "the data (split 'train'): expected 201 rows, as were written. Received: 200 in the statistics",
        "the data (split 'eval'): expected 99 rows, as were written. Received: 100 in the statistics",
    ]


RULE = {
    "rule": "domain",
    "column": "company",
    "rows": 12,
    "message": "expected one of a, b",
    "examples": [{"file": "/data/day.csv", "line": 17, "value": "Bitcoin"}],
}


def test_quarantined_rows_within_what_the_task_bears(both: Making) -> None:
    few = account(rows=2000, quarantined=12, rules=[RULE], max_bad_fraction=0.01)
    (found,) = rows.quarantine(both(account=few)).findings
    assert found.check == "quarantined_rows"
    assert found.message == (
        "company (12 of 2,000 rows): expected one of a, b. Received: 'Bitcoin' (day.csv:17), …; 0.60% of all rows are in "
        "quarantine, 1.00% may be"
    )


def test_too_many_quarantined_rows_name_each_rule(both: Making) -> None:
    parse = {"rule": "parse", "column": None, "rows": 28, "message": "expected 18 values, received 17", "examples": []}
    many = account(rows=400, quarantined=40, rules=[parse, RULE], max_bad_fraction=0.01)
    found = rows.quarantine(both(account=many)).findings
    assert [(f.check, f.feature, f.rows) for f in found] == [("bad_rows", None, 28), ("bad_rows", "company", 12)]
    assert found[1].next == (
        "if the data is right: `millrace schema propose --task tiny`, then `millrace schema accept --task tiny`"
    )
    assert "rows.max_bad_fraction" in found[0].next


def test_span_gaps(both: Making) -> None:
    assert rows.span_gap(both(account=account())).findings == ()
    (found,) = rows.span_gap(both(account=account(gaps=[3, 4], span=7, window=7))).findings
    assert found.message == (
        "the data: expected files of every span of the window of 7 up to 7. Received: none of 3, 4"
    )
    by_date = account(gaps=["2026-11-18"], span=20777, span_name="2026-11-20", window=3)
    (found,) = rows.span_gap(both(account=by_date)).findings
    assert found.message.endswith("the window of 3 up to 2026-11-20. Received: none of 2026-11-18")


@pytest.mark.parametrize(("before", "fires"), [(300, False), (600, False), (601, True), (150, False), (149, True)])
def test_volume(both: Making, trips: Trips, before: int, fires: bool) -> None:
    assert bool(rows.volume(both(previous={"train": trips(before)})).findings) is fires


def test_volume_without_previous_data(both: Making) -> None:
    assert rows.volume(both()).findings == ()


def test_copies_of_rows(both: Making, tiny: Task) -> None:
    hashes = {"train": np.arange(200, dtype=np.uint64) % 120, "eval": np.arange(500, 600, dtype=np.uint64)}
    (found,) = rows.duplicate_rows(both(hashes=hashes)).findings
    assert (found.check, found.rows, found.total) == ("duplicate_rows", 80, 300)
    assert "Received: 26.7%; perhaps a file was delivered twice" in found.message
    bearing = dataclasses.replace(tiny, checks=Checks(duplicate_rows=0.3))
    assert rows.duplicate_rows(both(hashes=hashes, task=bearing)).findings == ()
    assert rows.duplicate_rows(both()).findings == ()


def test_a_span_delivered_again(both: Making, trips: Trips) -> None:
    same = {"train": trips(200, 1), "eval": trips(100, 2)}
    (found,) = rows.repeated_span(both(previous=same, account=account(span=4))).findings
    assert found.check == "repeated_span"
    assert "other rows than those of the previous data (span 3)" in found.message
    assert rows.repeated_span(both(previous=same, account=account(span=3))).findings == ()
    other = {**same, "eval": trips(100, 3)}
    assert rows.repeated_span(both(previous=other, account=account(span=4))).findings == ()


def _files(*spans: tuple[int, int, str]) -> list[dict[str, Any]]:
    return [
        {"file": f"/{span}/a.csv", "span": span, "span_name": f"day {span}", "rows": count, "digest": digest}
        for span, count, digest in spans
    ]


def test_the_newest_span_of_a_window_is_compared_with_the_others(both: Making, trips: Trips) -> None:
    short = account(files=_files((1, 100, "a"), (2, 110, "b"), (3, 40, "c")))
    (found,) = rows.volume(both(account=short, previous={"train": trips(300)})).findings
    assert found.message == (
        "the data (40 rows): expected 52 to 210 rows in span day 3, from the other spans' 105. Received: 40"
    )
    usual = account(files=_files((1, 100, "a"), (2, 110, "b"), (3, 90, "c")))
    assert rows.volume(both(account=usual, previous={"train": trips(3)})).findings == ()


def test_a_span_delivered_again_within_a_window(both: Making) -> None:
    again = account(files=_files((1, 100, "a"), (2, 110, "b"), (3, 100, "a")))
    (found,) = rows.repeated_span(both(account=again)).findings
    assert "expected other rows in span day 3 than in span day 1. Received: the same, delivered again" in found.message
    assert rows.repeated_span(both(account=account(files=_files((1, 100, "a"), (2, 100, "b"))))).findings == ()
