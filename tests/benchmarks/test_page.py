"""The page's tables and chart, from figures made up here."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.page import BEGIN, END, PAGE, drawn, main, placed, tables
from benchmarks.sides import Run
from benchmarks.template import Size, figures_of


def run(side: str, seconds: float, peak: float = 1000.0) -> Run:
    return Run(side, seconds, None, seconds, 2 * seconds, 0.3, peak, peak, {"Transform": seconds / 4}, {"auc": 0.9})


@pytest.fixture
def figures() -> dict[str, Any]:
    small = Size(15_002)
    for kind, seconds in {"stock": 50.0, "ours": 16.0, "floor": 9.0, "cached": 8.0, "edited": 12.0}.items():
        small.add(kind, run(kind, seconds))
    large = Size(150_020)
    large.add("ours", run("ours", 180.0, 1500.0))
    machine = {"cpu": "Some CPU", "cores": 2, "memory_gb": 24.2, "python": "3.11.7", "tfx": "1.21.0"}
    return {
        "machine": {**machine, "tensorflow": "2.21.0"},
        "settings": {"rounds": 1, "training": {"ours": {"steps": 1000, "batch_size": 40}}},
        "sizes": [figures_of(small, 2), figures_of(large, 2)],
    }


def test_whole_command_its_share_and_the_reruns(figures: dict[str, Any]) -> None:
    text = tables(figures, "chart.svg")
    assert "| 15,002 | 50.00 s | 16.00 s | 0.32 | 9.00 s | 8.0 s | 12.0 s, 0.75 | 1,000 / 1,000 |" in text
    assert "| Transform | 12.50 s | 4.00 s | 0.32 | 2.25 s |" in text
    assert "1,000 steps of 40 rows. Other programs took up to 2% of the machine" in text
    assert "![Seconds of the whole command by number of rows](chart.svg)" in text


def test_growth_in_rows_of_a_core_hour(figures: dict[str, Any]) -> None:
    assert "| 150,020 | 180 | 360 | 1,500 | 2 million |" in tables(figures, "chart.svg")


def test_only_what_is_between_the_marks_is_replaced(figures: dict[str, Any], tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    page.write_text(f"# Performance\n\n{BEGIN}\nold\n{END}\n\n## Serving\n")
    saved = tmp_path / "figures.json"
    saved.write_text(json.dumps(figures))
    main(saved, page)
    text = page.read_text()
    assert text.startswith(f"# Performance\n\n{BEGIN}\n\nSome CPU") and text.endswith(f"{END}\n\n## Serving\n")
    assert "old" not in text
    assert (tmp_path / "performance.svg").read_text().startswith("<svg")
    with pytest.raises(ValueError, match="expected the lines"):
        placed("# Performance", "text")


def test_the_docs_have_a_place_for_the_figures() -> None:
    assert "the figures" in placed(PAGE.read_text(), "the figures")


def test_the_chart_names_the_sides_that_ran(figures: dict[str, Any]) -> None:
    svg = drawn(figures)
    assert "template" in svg and "Millrace" in svg and "plain script" in svg
