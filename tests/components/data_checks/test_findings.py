"""Findings: their sentence, their severity, their file."""

import json

from components.data_checks.findings import Measured, Report, finding, from_json, graded, to_json
from pipeline.checks import Checks, Severity

DRIFT = finding("drift", "as before", "0.4", feature="fare", split="train", total=20)
BAD = finding("bad_rows", "text", "a number", rows=3, total=20, examples=["1", "2", "3", "4"])


def test_the_sentence() -> None:
    assert DRIFT.message == "fare (split 'train', 20 rows): expected as before. Received: 0.4"
    assert BAD.message == "the data (3 of 20 rows): expected text. Received: a number, e.g. 1, 2, 3"
    assert finding("volume", "more", "less").message == "the data: expected more. Received: less"
    assert BAD.examples == ("1", "2", "3")


def test_long_descriptions_are_cut() -> None:
    long = finding("schema", "a", ", ".join(f"company {i}" for i in range(5000)), examples=["x" * 500])
    assert len(long.message) < 700
    assert long.received.endswith(" …")


def test_the_waiver_s_snippet_is_python() -> None:
    assert DRIFT.next == (
        "if the data is right, in the task: "
        'checks=Checks(waivers=(Waiver("drift", feature="fare", reason="…", until="YYYY-MM-DD"),))'
    )


def test_the_gravest_come_first() -> None:
    volume = finding("volume", "more", "less")
    report = graded(Report((volume, DRIFT, BAD)), Checks(severities=(Severity("drift", "ignore", feature="fare"),)))
    assert [(f.check, f.severity) for f in report.findings] == [
        ("bad_rows", "fail"),
        ("volume", "warn"),
        ("drift", "ignore"),
    ]


def test_what_is_written_is_read() -> None:
    measured = Measured("drift", "fare", "train", 0.4, 0.05, 0.001, "jensen_shannon", "the previous data")
    text = to_json(Report((DRIFT, BAD), (measured,)), {"previous": {"span": 3}, "served": None})
    assert from_json(text) == [DRIFT, BAD]
    stored = json.loads(text)
    assert stored["measured"][0]["distance"] == 0.4
    assert stored["references"] == {"previous": {"span": 3}, "served": None}
    assert stored["findings"][1] == {
        "check": "bad_rows",
        "message": BAD.message,
        "feature": None,
        "split": None,
        "rows": 3,
        "total": 20,
        "examples": ["1", "2", "3"],
        "expected": "text",
        "received": "a number",
        "next": BAD.next,
        "severity": "fail",
        "waiver": None,
    }
