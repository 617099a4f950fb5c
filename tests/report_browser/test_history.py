"""The index of runs and a comparison of two, in the browser."""

import json
from pathlib import Path
from typing import Any

import pytest
from browsing import DESKTOP, PHONE, Open, wrong_figures

from pipeline.report import index, sources, written
from pipeline.report.diff import compare, show

EVIL = "<script>window.evil = 1</script>\u202e"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The index of three runs, and the comparison of the last two."""
    home = tmp_path_factory.mktemp("root") / "taxi_tips"
    for day, outcome in ((1, "pushed"), (2, "pushed"), (3, "not_blessed")):
        folder = home / "runs" / f"2026010{day}T000000"
        folder.mkdir(parents=True)
        record: dict[str, Any] = {
            "run_id": folder.name, "task": "taxi_tips", "started": f"2026-01-0{day}T00:00:00+00:00", "outcome": outcome,
            "exit_code": 0, "reason": EVIL if day == 3 else None, "seconds": 10.5 * day, "nodes": {}, "pushed": None,
            "gates": [{"name": "auc at least 0.9", "metric": "auc", "passed": True, "reason": ""}],
            "metrics": {"auc": 0.95 - day / 100}, "intervals": {"auc": [0.9, 0.96]}, "rows": {"in": 10 * day, "quarantined": 0},
            "config": {"task": "taxi_tips", "root": str(home.parent), "overrides": [f"training.steps={EVIL}"] if day == 3 else []},
        }  # fmt: skip
        (folder / "run.json").write_text(json.dumps(record))
    runs = [sources.open_run(home / "runs" / f"2026010{day}T000000") for day in (2, 3)]
    return {"index": index.write(home), "diff": show.write(home, written.plain(compare.compare(*runs)))}


@pytest.mark.parametrize("name", ["index", "diff"])
@pytest.mark.parametrize(("width", "scheme"), [(DESKTOP, "light"), (PHONE, "dark")])
def test_a_page_is_whole_quiet_and_legible(
    pages: dict[str, Path], open_page: Open, name: str, width: int, scheme: str
) -> None:
    opened = open_page(pages[name], width=width, scheme=scheme)
    assert opened.faults() == {}
    assert wrong_figures(opened, pages[name].with_suffix(".json")) == []
    assert opened.page.evaluate("window.evil") is None
    assert len(opened.figures()) > 8


def test_the_filter_finds_runs_by_outcome(pages: dict[str, Path], open_page: Open) -> None:
    page = open_page(pages["index"]).page
    page.get_by_label("Filter runs").fill("not blessed")
    page.get_by_text("1 of 3").first.wait_for()
    assert page.locator("#runs tbody tr:visible").count() == 1
