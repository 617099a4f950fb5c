"""The frame and the overview in a real browser: silent, offline, accessible, exact, narrow, printable."""

import re
from pathlib import Path
from typing import Any

import pytest
from browsing import DESKTOP, PHONE, Open, wrong_figures
from made import page_of, record, run_of
from playwright.sync_api import expect

from pipeline.task import Task

LONG = "n" * 10_000
HOSTILE = (
    '<script>alert(1)</script>"><img src=http://example.com/x onerror=alert(1)>',
    "a\u202etxt.exe",
    "{{ 7*7 }}",
    LONG,
)


def hostile() -> dict[str, Any]:
    """A record in which every text that can come from data is hostile."""
    findings = [
        {"check": "domain", "severity": severity, "message": f"{text}: not allowed", "feature": text, "waiver": None}
        for text in HOSTILE
        for severity in ("fail", "warn")
    ]
    gates = [{"name": f"auc per {text} at least 0.5", "passed": False, "reason": text} for text in HOSTILE]
    rows = {"in": 4, **dict.fromkeys(HOSTILE, 1), "quarantined": 0}
    metrics = {text: 0.5 for text in HOSTILE}
    return record(
        "data_blocked", findings=findings, gates=gates, rows=rows, metrics=metrics, intervals={}, spans=[*HOSTILE]
    )


RECORDS = {
    "pushed": record(),
    "not_blessed": record("not_blessed", reason="auc 0.9432: below 0.95"),
    "failed": record("failed", reason="Trainer failed: boom\nIts log: x", nodes={"Trainer": {"state": "failed", "seconds": 1.5, "cached": False, "peak_mb": 700}}, metrics={}, gates=[]),
    "nothing": record("failed", reason="interrupted. Next: again", nodes={}, metrics={}, gates=[], rows=None),
    "hostile": hostile(),
}  # fmt: skip


@pytest.fixture(params=RECORDS)
def page(request: pytest.FixtureRequest, tmp_path: Path, tiny: Task) -> Path:
    """index.html of each record."""
    run = run_of(tmp_path, RECORDS[request.param], tiny)
    (run.folder / "logs" / "Trainer.log").write_text("\n".join([*HOSTILE, "ValueError: boom"]), "utf-8")
    return page_of(run)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [DESKTOP, PHONE])
def test_a_page_is_silent_offline_accessible_and_not_too_wide(
    page: Path, open_page: Open, scheme: str, width: int
) -> None:
    assert open_page(page, width, scheme).faults() == {}


def test_every_figure_is_that_of_report_json(page: Path, open_page: Open) -> None:
    opened = open_page(page)
    assert wrong_figures(opened, page.with_name("report.json")) == []


def test_text_from_data_is_text(tmp_path: Path, tiny: Task, open_page: Open) -> None:
    opened = open_page(page_of(run_of(tmp_path, RECORDS["hostile"], tiny)))
    told = str(opened.page.text_content("main"))
    assert "{{ 7*7 }}" in told and "<script>alert(1)</script>" in told and "a\\u202etxt.exe" in told
    assert LONG not in told
    assert opened.page.locator("main script, main img").count() == 0


def test_a_pushed_run_has_all_its_figures(tmp_path: Path, tiny: Task, open_page: Open) -> None:
    page = page_of(run_of(tmp_path, RECORDS["pushed"], tiny))
    opened = open_page(page)
    found = opened.figures()
    assert len(found) >= 35
    assert ("overview.metrics.0.value", "1234.5") in found
    assert ("overview.time.core_seconds", "32.75") in found
    assert opened.page.inner_text(".answer p") == "Pushed as version 17 because both gates hold."
    assert opened.page.inner_text("#next-command").startswith("millrace serve tips --root ")


def test_it_reads_without_scripts(page: Path, open_page: Open) -> None:
    opened = open_page(page, PHONE, script=False)
    assert opened.page.locator("main h2").inner_text() == "Overview"
    assert opened.page.locator("button:visible").count() == 0
    assert opened.requests == []


def test_it_prints_on_light_paper_with_all_that_is_folded(page: Path, open_page: Open) -> None:
    opened = open_page(page, scheme="dark")
    assert opened.page.pdf(format="A4")[:5] == b"%PDF-"
    opened.page.emulate_media(media="print")
    assert opened.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    opened.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert opened.page.locator("details:not([open])").count() == 0
    assert opened.complaints == []


def test_a_table_is_sorted_with_the_keyboard(tmp_path: Path, tiny: Task, open_page: Open) -> None:
    opened = open_page(page_of(run_of(tmp_path, RECORDS["pushed"], tiny)))
    table = opened.page.locator("table.sortable")
    head = table.locator("th", has_text="Time")

    def nodes() -> list[str]:
        return [text.strip() for text in table.locator("tbody th").all_inner_texts()]

    assert nodes() == ["ExampleGen", "Transform", "Trainer"]
    head.locator("button").focus()
    opened.page.keyboard.press("Enter")
    assert (nodes(), head.get_attribute("aria-sort")) == (["Transform", "Trainer", "ExampleGen"], "descending")
    opened.page.keyboard.press("Space")
    assert (nodes(), head.get_attribute("aria-sort")) == (["ExampleGen", "Trainer", "Transform"], "ascending")
    cost = table.locator("th", has_text="Core-seconds").locator("button")
    for _ in range(2):
        cost.click()
        assert nodes()[-1] == "ExampleGen"
    assert head.get_attribute("aria-sort") is None


def test_the_theme_turns_and_is_kept(tmp_path: Path, tiny: Task, open_page: Open) -> None:
    opened = open_page(page_of(run_of(tmp_path, RECORDS["pushed"], tiny)))
    paper = "getComputedStyle(document.body).backgroundColor"
    light = opened.page.evaluate(paper)
    opened.page.locator("button.theme").press("Enter")
    dark = opened.page.evaluate(paper)
    assert dark != light
    opened.page.reload()
    assert opened.page.evaluate(paper) == dark


def test_a_command_is_copied(tmp_path: Path, tiny: Task, open_page: Open) -> None:
    opened = open_page(page_of(run_of(tmp_path, RECORDS["pushed"], tiny)))
    button = opened.page.locator("[data-copy]")
    button.click()
    expect(opened.page.locator("#told")).to_have_text(re.compile("Copied|Selected"))
