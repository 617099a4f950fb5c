"""Data that would harm a page, and columns whose values nobody may see."""

import json
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

from components.data_checks.findings import finding
from pipeline import schema as schemas
from pipeline.checks import Checks, Waiver
from pipeline.report.privacy import Privacy
from pipeline.report.sections import data
from pipeline.splits import TimeSplit
from pipeline.task import Task

SCRIPT = "<script>alert(1)</script>"
BREAKOUT = '"><img src=x onerror=alert(1)>'
MARKS = "a\u202eb\u2066c\u200f"
TEXTS = [SCRIPT, BREAKOUT, '=HYPERLINK("http://x","y")', MARKS, "", "n" * 10_000, "{{ 7*7 }}", "' onload='x"]


class Tags(HTMLParser):
    """The elements and attributes of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


def hostile(made: Callable[..., Any], **others: Any) -> Any:
    """A run with the texts as names of columns, as values, in findings, in the quarantine and in the schema."""
    columns = {name or "empty": TEXTS for name in [*TEXTS, "company"]} | {"fare": list(map(float, range(len(TEXTS))))}
    schema = schema_pb2.Schema()
    for name in columns:
        column = schema.feature.add(name=name, type=schema_pb2.BYTES)
        column.string_domain.value.extend(TEXTS)
    found = [finding("drift", f"as {t}", f"{t} in most", feature=t or None, examples=[t], split="train") for t in TEXTS]
    found += [finding("bad_rows", "a value", "some", feature="company", rows=len(TEXTS), total=20)]
    found += [finding("bad_rows", "INT", "some", feature=SCRIPT, rows=1, total=20)]
    bad = [("domain", "company", "expected a value", text) for text in TEXTS]
    bad += [
        ("parse", None, f"expected 3 values. Received: {SCRIPT}", f"{SCRIPT},,"),
        ("type", SCRIPT, "expected INT", b"\0\xff"),
    ]
    return made({"train": columns, "eval": columns}, findings=found, bad=bad, schema=schema, **others)


def test_nothing_of_the_data_becomes_markup(made: Callable[..., Any], rendered: Callable[..., Any]) -> None:
    _, html = rendered(hostile(made))
    page = Tags(html)
    assert not page.tags & {"script", "img", "iframe", "style", "a"}
    assert not {name for name in page.attributes if name.startswith("on")}
    assert not any(mark in html for mark in "\u202e\u2066\u200f")
    assert SCRIPT in page.text and '=HYPERLINK("http://x","y")' in page.text and "{{ 7*7 }}" in page.text
    assert "a\\u202eb\\u2066c\\u200f" in page.text
    assert "2 bytes: 00 ff" in page.text
    assert len(html) < 1_000_000


def test_bytes_that_are_no_text_are_named(made: Callable[..., Any], rendered: Callable[..., Any]) -> None:
    part, html = rendered(made({"train": {"company": [b"\xff\xfe", b"\xff\xfe", b"ok"]}}))
    (card,) = [card for card in part["features"] if card["name"] == "company"]
    assert card["top"][0]["stands_for"] == "values that are not UTF-8"
    assert "values that are not UTF-8" in html


def secrets(made: Callable[..., Any], task: Task | None) -> Any:
    """A run in which each value of a sensitive column can be told by its text."""
    columns = {
        "miles": [1.0, 2.0, 3.0],
        "fare": [777771.25, 777772.5, 777773.75],
        "company": ["SECRET-A", "SECRET-B", "SECRET-B"],
        "email": ["SECRET-C", "SECRET-D", None],
        "tips": [0.5, 0.25, 0.75],
    }
    schema = schema_pb2.Schema()
    schema.feature.add(name="company", type=schema_pb2.BYTES).string_domain.value.extend(["SECRET-A", "SECRET-B"])
    fare = schema.feature.add(name="fare", type=schema_pb2.FLOAT)
    fare.float_domain.max = 777773.75
    found = [
        finding("drift", "within 0.1", "0.5; largest change: SECRET-B: 1% -> 66%", feature="company", split="train"),
        finding("skew", "within 0.1", "0.5; median 777771.25 -> 8", feature="fare", examples=["777772.5"]),
        finding("new_column", "only known columns", "a new one", feature="email", examples=["'SECRET-C'"]),
        finding("label_values", "a label", "'SECRET-L': 3", feature="tips", rows=3, total=3),
        finding("bad_rows", "one of SECRET-A", "'SECRET-X'", feature="company", rows=1, total=6),
        finding("bad_rows", "a row", "'1,SECRET-X'", rows=1, total=6),
        finding("volume", "10 rows", "3"),
    ]
    bad = [
        ("domain", "company", "expected one of SECRET-A", "SECRET-X"),
        ("parse", None, "expected 5 values. Received: 2, SECRET-P", "1,SECRET-X"),
        ("unique", "miles", "expected a key (miles, email) that no earlier row has", "1.0, SECRET-C"),
        ("range", "fare", "expected at most 777773.75", "777779.5"),
    ]
    return made(
        {"train": columns, "eval": columns}, task=task, findings=found, bad=bad, schema=schema, previous=columns
    )


@pytest.mark.parametrize("known", [True, False])
def test_values_of_sensitive_columns_are_nowhere(
    made: Callable[..., Any], rendered: Callable[..., Any], secretive: Task, known: bool,
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any,
) -> None:  # fmt: skip
    monkeypatch.setattr(schemas, "SCHEMAS", tmp_path / "schemas")
    schemas.write(
        tmp_path / "schemas" / "tiny" / "schema.pbtxt",
        'feature { name: "company" type: BYTES string_domain { value: "SECRET-A" } }',
    )
    part, html = rendered(secrets(made, secretive if known else None))
    for text in (json.dumps(part, ensure_ascii=False), html):
        assert "SECRET" not in text
        assert "77777" not in text and "777,77" not in text
    cards = {card["name"]: card for card in part["features"]}
    assert cards["company"]["sets"][0]["distinct"] == 2
    assert cards["email"]["sets"][0]["missing"] == 1
    assert cards["fare"]["sets"][0] | {"values": 3, "numbers": None, "histogram": None} == cards["fare"]["sets"][0]
    assert (cards["miles"]["sets"][0]["numbers"] is None) is not known
    assert [f["withheld"] for f in part["findings"] if f["check"] == "volume"] == [False]
    assert html.count("not shown: the column is sensitive") >= 6
    if known:
        assert part["withheld"] == {"all": False, "columns": ["fare", "company", "email"], "unknown": []}
        changes = part["proposal"]["changes"]
        assert {change["column"] for change in changes if change["withheld"]} == {"fare", "company", "email"}
        assert {change["column"] for change in changes if not change["withheld"]} == {"miles", "tips"}
        assert part["proposal"]["diff"] == []


def test_a_name_that_no_column_has_is_told(made: Callable[..., Any], rendered: Callable[..., Any], tiny: Task) -> None:
    part, html = rendered(made({"train": {"email": ["x"]}}, task=replace(tiny, sensitive=("emial",))))
    assert part["withheld"]["unknown"] == ["emial"]
    assert "no column of the data has that name" in html


def test_which_sentences_may_hold_values(secretive: Task) -> None:
    privacy = Privacy(replace(secretive, split=TimeSplit("email", eval_from="2026-01-01")))
    assert privacy.hides_finding("drift", "fare") and not privacy.hides_finding("drift", "miles")
    assert not privacy.hides_finding("missing_values", "fare")
    assert privacy.hides_finding("label_values", "tips"), "the label reads the fare"
    assert privacy.hides_finding("time_overlap", None)
    assert privacy.hides_rule("unique", "miles") and not privacy.hides_rule("range", "miles")
    assert not Privacy(replace(secretive, sensitive=())).hides_rule("parse", None)


def test_waivers_and_reasons_are_escaped(made: Callable[..., Any], rendered: Callable[..., Any], tiny: Task) -> None:
    waiver = Waiver("drift", feature="fare", reason=SCRIPT, until="2026-12-31")
    task = replace(tiny, checks=Checks(waivers=(waiver,)))
    part, html = rendered(made(task=task, findings=[finding("drift", "x", "y", feature="fare")]))
    assert part["findings"][0]["waiver"]["reason"] == SCRIPT
    assert SCRIPT not in html


def wide(columns: int, values: int) -> statistics_pb2.DatasetFeatureStatisticsList:
    """Statistics of many columns; the odd ones are categories."""
    made = statistics_pb2.DatasetFeatureStatisticsList()
    dataset = made.datasets.add(num_examples=1000)
    for at in range(columns):
        feature = dataset.features.add()
        feature.path.step.append(f"column_{at:03}")
        if at % 2:
            feature.type = statistics_pb2.FeatureNameStatistics.STRING
            feature.string_stats.unique = values
            feature.string_stats.common_stats.num_non_missing = 1000
            feature.string_stats.common_stats.tot_num_values = 1000
            for rank in range(min(values, 1000)):
                feature.string_stats.rank_histogram.buckets.add(
                    low_rank=rank, high_rank=rank, label=f"value {rank}", sample_count=1000 - rank
                )
            continue
        feature.type = statistics_pb2.FeatureNameStatistics.FLOAT
        feature.num_stats.common_stats.num_non_missing = 1000
        feature.num_stats.max = 10.0
        for kind, count in ((statistics_pb2.Histogram.STANDARD, 10), (statistics_pb2.Histogram.QUANTILES, 50)):
            histogram = feature.num_stats.histograms.add(type=kind)
            for bucket in range(count):
                histogram.buckets.add(low_value=bucket, high_value=bucket + 1, sample_count=1000 / count)
    return made


def test_fifty_columns_stay_small(made: Callable[..., Any], rendered: Callable[..., Any]) -> None:
    statistics = wide(50, 10_000)
    part, html = rendered(made({"train": statistics, "eval": statistics, "test": statistics}))
    assert len(html) < 2_000_000
    assert {len(card["top"]) for card in part["features"] if card["kind"] == "categories"} == {20}


def test_of_many_columns_sixty_have_a_card(made: Callable[..., Any], rendered: Callable[..., Any]) -> None:
    statistics = wide(500, 30)
    part, html = rendered(made({"train": statistics, "eval": statistics}))
    assert sum(card["full"] for card in part["features"]) == 60
    assert html.count("<article") == 60
    assert "column_499" in html
    assert len(html) < 3_000_000
    assert data.cards.FULL == 60
