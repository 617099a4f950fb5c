"""page.js on pages of its own: filters, the threshold explorer, and ten thousand rows."""

import json
import time
from pathlib import Path
from typing import Any

from browsing import Open
from markupsafe import Markup
from playwright.sync_api import expect

from pipeline.report import figures, page

BUILD: dict[str, Any] = {"task": "tips", "run_id": "1", "made": "today", "versions": [], "overview": None}
POINTS = [
    {"threshold": 0.1, "tp": 100, "fp": 300, "tn": 600, "fn": 0},
    {"threshold": 0.52, "tp": 80, "fp": 20, "tn": 880, "fn": 20},
    {"threshold": 0.9, "tp": 0, "fp": 0, "tn": 900, "fn": 100},
]


def written(folder: Path, content: str) -> Path:
    """A page with this content."""
    parts = [{"name": "part", "title": "Part", "content": Markup(content), "problem": None}]
    path = folder / "index.html"
    path.write_text(page.render("page.html.j2", BUILD, parts=parts), "utf-8")
    return path


def test_the_explorer_shows_the_counts_of_a_threshold_and_finds_the_cheapest(tmp_path: Path, open_page: Open) -> None:
    names = (
        "threshold",
        "precision",
        "recall",
        "selection_rate",
        "false_positive_rate",
        "cost",
        "tp",
        "fp",
        "tn",
        "fn",
    )
    content = (
        f"<div data-explorer><script type='application/json' class='points'>{json.dumps(POINTS)}</script>"
        "<input type=range class=at aria-label=threshold><input class=cost-fp type=number value=1 aria-label=fp>"
        "<input class=cost-fn type=number value=5 aria-label=fn><button class=cheapest>Cheapest</button>"
        + "".join(f"<output data-out={name}></output>" for name in names)
        + "</div>"
    )
    opened = open_page(written(tmp_path, content))

    def shown() -> dict[str, str]:
        return {name: opened.page.inner_text(f"[data-out={name}]") for name in names}

    assert shown() == {
        "threshold": "0.520", "precision": "80.0 %", "recall": "80.0 %", "selection_rate": "10.0 %",
        "false_positive_rate": "2.2 %", "cost": "120", "tp": "80", "fp": "20", "tn": "880", "fn": "20",
    }  # fmt: skip
    opened.page.locator(".at").press("ArrowRight")
    assert (shown()["threshold"], shown()["precision"], shown()["cost"]) == ("0.900", figures.NOTHING, "500")
    opened.page.fill(".cost-fn", "100")
    assert shown()["cost"] == "10,000"
    opened.page.click(".cheapest")
    assert (shown()["threshold"], shown()["cost"]) == ("0.100", "300")
    assert opened.page.get_attribute(".at", "aria-valuetext") == "threshold 0.100"
    assert opened.complaints == []


def test_a_filter_takes_all_words_and_says_how_many_rows_are_left(tmp_path: Path, open_page: Open) -> None:
    rows = "".join(
        f"<tr><td>{fruit}</td><td>{colour}</td></tr>" for fruit in ("Apple", "Pear") for colour in ("red", "green")
    )
    table = f"<div class=wide><table data-filter=fruit><thead><tr><th>a</th><th>b</th></tr></thead><tbody>{rows}</tbody></table></div>"
    opened = open_page(written(tmp_path, table))
    opened.page.get_by_label("Filter fruit").fill("APPLE red")
    expect(opened.page.locator("tbody tr[hidden]")).to_have_count(3)
    assert opened.page.inner_text(".filter .muted") == "1 of 4"
    opened.page.get_by_label("Filter fruit").fill("")
    expect(opened.page.locator("tbody tr[hidden]")).to_have_count(0)


def test_ten_thousand_rows_and_five_hundred_cards_stay_quick(tmp_path: Path, open_page: Open) -> None:
    rows = "".join(
        f"<tr><td>category {i}</td><td class=num><data value='{i * 7919 % 10007}'>{i}</data></td></tr>"
        for i in range(10_000)
    )
    head = "<thead><tr><th data-sort=text>name</th><th data-sort=number>rows</th></tr></thead>"
    cards = "".join(f"<div class=card><h4>feature {i}</h4><p>{'words ' * 60}</p></div>" for i in range(500))
    table = f"<table class=sortable data-filter=rows>{head}<tbody>{rows}</tbody></table>"
    path = written(tmp_path, f"<div class=cards data-filter=features>{cards}</div>{table}")
    began = time.monotonic()
    opened = open_page(path)
    assert opened.page.evaluate("performance.getEntriesByType('navigation')[0].domInteractive") < 2000
    assert time.monotonic() - began < 10
    spent = opened.page.evaluate(
        "() => { const began = performance.now(); document.querySelectorAll('.sort')[1].click(); return performance.now() - began; }"
    )
    assert spent < 1000
    first = opened.page.locator("tbody tr data").first.get_attribute("value")
    assert first == str(max(i * 7919 % 10007 for i in range(10_000)))
    assert opened.complaints == []
