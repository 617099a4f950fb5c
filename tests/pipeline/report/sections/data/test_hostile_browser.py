"""A hostile CSV file in a real browser: the page stays safe, quick and legible."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.csv as pa_csv
import pytest
from browsing import DESKTOP, PHONE, Open, browser, open_page

from pipeline.report import page
from pipeline.report.sections import data

__all__ = ["browser", "open_page"]

NAMES = ["<script>window.evil=1</script>", '=HYPERLINK("http://evil","x")', "a\u202etxt.exe", "n" * 10_000, "{{ 7*7 }}"]
WHOLE = {"task": "tiny", "run_id": "r1", "made": "now", "overview": None, "versions": [], "problems": []}
VALUES = ["<img src=x onerror=window.evil=1>", "=cmd|' /C calc'!A0", "\u202eabc", "v" * 10_000, "${7*7}"]


@pytest.fixture
def hostile(tmp_path: Path, statistics_of: Callable[..., Any], columns: int) -> Any:
    """TFDV's statistics of a CSV file, with one more column of 10,000 categories."""
    file = tmp_path / "hostile.csv"
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow([*NAMES, *(f"feature {at}" for at in range(columns - len(NAMES)))])
        writer.writerows(
            [*VALUES[row:], *VALUES[:row], *(str(row * at % 7) for at in range(columns - len(NAMES)))]
            for row in range(5)
        )
    made = statistics_of(pa_csv.read_csv(file).to_pydict())
    many = statistics_of({"shop": [f"shop {at}" for at in range(10_000)]})
    made.datasets[0].features.extend(many.datasets[0].features)
    return made


@pytest.mark.parametrize("columns", [20, 500])
def test_a_hostile_file_leaves_the_page_safe_quick_and_legible(
    hostile: Any, columns: int, made: Callable[..., Any], open_page: Open, tmp_path: Path
) -> None:
    part = data.collect(made({"train": hostile, "eval": hostile}))
    report = json.loads(json.dumps({"data": part, **WHOLE}, allow_nan=False))
    content = page.section("data", report, data.charts(report["data"]))
    parts = [{"name": "data", "title": data.TITLE, "content": content, "problem": None}]
    file = tmp_path / "index.html"
    file.write_text(page.render("page.html.j2", report, parts=parts), "utf-8")
    assert file.stat().st_size < 5_000_000
    for width, scheme in ((DESKTOP, "light"), (PHONE, "dark")):
        opened = open_page(file, width, scheme)
        assert opened.page.evaluate("performance.getEntriesByType('navigation')[0].domInteractive") < 2000
        assert opened.faults(audited=columns < 100) == {}
        assert opened.page.evaluate("window.evil") is None
        assert opened.page.locator("main script, main img").count() == 0
    text = str(opened.page.text_content("main"))
    assert "<script>window.evil=1</script>" in text and "a\\u202etxt.exe" in text
    assert "n" * 200 not in text and f"feature {columns - len(NAMES) - 1}" in text and "{{ 7*7 }}" in text
