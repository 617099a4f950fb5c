"""The frame: nothing is loaded, one script runs, what came from data is text, the palette is legible."""

import base64
import hashlib
import re
from html.parser import HTMLParser
from typing import Any

import jinja2
import pytest
from markupsafe import Markup

from pipeline.report import page

REPORT: dict[str, Any] = {
    "task": "tips",
    "run_id": "20260101T000000",
    "made": "2026-01-01T00:01:00+00:00",
    "versions": [{"name": "tfx", "version": "1.21.0"}],
    "overview": {"title": "Pushed", "tone": "ok", "question": "<b>?", "started": "now", "seconds": 61.5, "ended": None},
}  # fmt: skip


def part(**changes: Any) -> dict[str, Any]:
    return {"name": "overview", "title": "Overview", "content": Markup("<p>here</p>"), "problem": None} | changes


class Tags(HTMLParser):
    """What a page consists of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def test_the_policy_allows_the_one_script_and_nothing_from_elsewhere() -> None:
    html = page.render("page.html.j2", REPORT, parts=[part()])
    (script,) = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    tags = Tags(html)
    (policy,) = (meta["content"] for meta in tags.all("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith(
        f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; img-src data:"
    )
    assert "unsafe-eval" not in policy
    assert tags.all("link") == tags.all("img") == tags.all("iframe") == []
    assert {str(link["href"]) for link in tags.all("a")} == {"#main", "#overview", "../index.html", "report.json"}
    assert not re.search(r"@import|url\(|https?://", html)


def test_the_frame_has_a_language_a_viewport_one_h1_and_a_heading_for_each_part() -> None:
    html = page.render("page.html.j2", REPORT, parts=[part(), part(name="data", title="Data")])
    tags = Tags(html)
    assert html.startswith("<!doctype html>")
    assert tags.all("html") == [{"lang": "en"}]
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in tags.all("meta")
    assert len(tags.all("h1")) == len(tags.all("main")) == len(tags.all("nav")) == 1
    assert [section["aria-labelledby"] for section in tags.all("section")] == ["overview-title", "data-title"]
    assert "<title>tips, run 20260101T000000: Pushed</title>" in html
    assert '<data value="61.5" data-path="overview.seconds">1 min 2 s</data>' in html
    assert "tfx 1.21.0" in html


def test_a_part_that_failed_or_is_missing_says_why() -> None:
    failed = page.render("page.html.j2", REPORT, parts=[part(content=None, problem="KeyError: <x>")])
    assert 'This part could not be made: <bdi class="name">KeyError: &lt;x&gt;</bdi>' in failed
    assert "This run has nothing for this part." in page.render("page.html.j2", REPORT, parts=[part(content=None)])
    stopped = {
        **REPORT,
        "overview": {**REPORT["overview"], "ended": "The run stopped at the data gate: there is no model."},
    }
    missing = page.render("page.html.j2", stopped, parts=[part(content=None)])
    assert "The run stopped at the data gate: there is no model. There is nothing for this part." in missing


def test_a_page_without_an_overview_is_still_a_page() -> None:
    html = page.render("page.html.j2", {**REPORT, "overview": None}, parts=[part(content=None, problem="boom")])
    assert "<title>tips, run 20260101T000000</title>" in html


def test_what_is_not_ours_is_escaped() -> None:
    html = page.render("page.html.j2", REPORT, parts=[part()])
    assert "&lt;b&gt;?" in html
    assert "<b>?" not in html


def test_a_name_that_is_not_given_is_an_error() -> None:
    with pytest.raises(jinja2.UndefinedError, match="'parts' is undefined"):
        page.render("page.html.j2", REPORT)


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.03928 else ((value + 0.055) / 1.055) ** 2.4 for value in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_every_colour_for_text_and_series_has_the_contrast_of_aa(theme: int) -> None:
    found = re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)", page.inlined("style.css"))
    colours = {name: pair[theme] for name, *pair in found}
    names = ["ink", "muted", "link", "ok", "warn", "bad", "off", *(f"c{i}" for i in range(1, 7))]
    low = [(a, b) for a in names for b in ("paper", "card") if _contrast(colours[a], colours[b]) < 4.5]
    low += [(a, f"{a}-soft") for a in ("ok", "warn", "bad", "off") if _contrast(colours[a], colours[f"{a}-soft"]) < 4.5]
    assert low == []
