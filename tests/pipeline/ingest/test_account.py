"""The account adds up, in whatever order its parts are added, or says that it does not."""

import json
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import MillraceError
from pipeline.ingest.account import Account

ROW = {"file": "f", "line": 1, "value": "x"}


def account(train: int, evaluation: int, bad: int) -> Account:
    made = Account(rows=train + evaluation + bad, splits=Counter(train=train, eval=evaluation), quarantined=bad)
    if bad:
        made.note("type", "a", "expected a number", bad, [ROW] * bad)
        made.note_values("a", {"x": bad})
    if train:
        made.note_times("train", train, train + 1)
    made.files.append({"file": "f", "span": 0, "rows": made.rows, "quarantined": bad})
    return made


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(*[st.integers(0, 5)] * 3), max_size=6))
def test_sums(parts: list[tuple[int, int, int]]) -> None:
    total = Account()
    for part in parts:
        total.add(Account.of_record(json.loads(json.dumps(account(*part).record()))))
    total.check()
    record = total.record()
    assert record["rows"] == sum(map(sum, parts))
    assert record["quarantined"] == sum(part[2] for part in parts)
    assert record["splits"] == ({"train": sum(p[0] for p in parts), "eval": sum(p[1] for p in parts)} if parts else {})
    assert len(record["files"]) == len(parts)
    assert sum(entry["rows"] for entry in record["rules"]) == record["quarantined"]
    assert all(len(entry["examples"]) <= 3 for entry in record["rules"])
    trained = [p[0] for p in parts if p[0]]
    assert record["times"] == ({"train": [min(trained), max(trained) + 1]} if trained else {})


def test_a_record_comes_back() -> None:
    made = account(3, 0, 2)
    made.note("domain", "b", "m", 0, [])
    made.new_columns["z"] = {"file": "f", "examples": ["1"]}
    made.missing_columns["y"] = "f"
    again = Account.of_record(json.loads(json.dumps(made.record())))
    assert again == made


@pytest.mark.parametrize(
    "wrong", [Account(rows=1), Account(splits=Counter(train=1)), Account(rows=1, quarantined=1), Account(quarantined=1)]
)
def test_a_wrong_sum_is_told(wrong: Account) -> None:
    with pytest.raises(MillraceError, match="does not add up") as caught:
        wrong.check()
    assert caught.value.exit_code == 1


def test_the_first_file_with_or_without_a_column_is_kept() -> None:
    total = Account()
    for name in "ab":
        new = {"z": {"file": name, "examples": []}}
        total.add(Account(new_columns=new, missing_columns={"y": name}))
    assert total.record()["new_columns"] == [{"column": "z", "file": "a", "examples": []}]
    assert total.record()["missing_columns"] == [{"column": "y", "file": "a"}]


def test_of_too_many_values_the_first_thousand_are_counted() -> None:
    made = Account()
    made.note_values("a", {str(number): 1 for number in range(1500)})
    made.note_values("a", {"3": 4, "1400": 1})
    assert len(made.values["a"]) == 1000
    assert made.record()["values"]["a"]["3"] == 5


def test_rules_are_sorted_by_how_often_they_were_broken() -> None:
    made = Account()
    made.note("type", "a", "m", 1, [])
    made.note("range", "b", "m", 5, [])
    assert [entry["rule"] for entry in made.record()["rules"]] == ["range", "type"]


def test_records_that_are_no_rows_are_told_apart_by_what_was_expected() -> None:
    account = Account()
    for line, message in enumerate(("expected 3 values. Received: 2", "expected UTF-8. Received: other bytes"), 2):
        account.note("parse", None, message, 1, [{"file": "a", "line": line, "value": "x"}])
    account.note("parse", None, "expected 3 values. Received: 5", 1, [{"file": "a", "line": 9, "value": "y"}])
    again = Account.of_record(account.record())
    again.add(account)
    assert [(entry.message, entry.rows) for entry in again.broken.values()] == [
        ("expected 3 values. Received: 2", 4),
        ("expected UTF-8. Received: other bytes", 2),
    ]
